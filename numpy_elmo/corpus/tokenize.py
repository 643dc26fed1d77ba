"""Splitting English text into tokens like those of the training text, with their places in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from numpy_elmo.errors import InputTypeError

_ABBREVIATIONS = (
    "Mr|Mrs|Ms|Messrs|Mme|Mlle|Dr|Drs|Prof|Rev|Hon|Fr|Sr|Jr|Esq|St|Ste|Mt|Ft|Gen|Col|Maj|Capt|Cmdr|Lt|Sgt|Cpl|Pvt|Adm|"
    "Gov|Sen|Sens|Rep|Reps|Pres|Supt|Atty|Inc|Corp|Co|Cos|Ltd|Bros|Assn|Dept|Univ|Ave|Blvd|Rd|Hwy|No|Nos|Vol|vol|Fig|fig|"
    "Eq|eq|Ch|ch|pp|p|ed|eds|vs|v|cf|viz|al|etc|approx|est|ca|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec|Ph\\.D"
)
_WORD = r"[^\s!-/:-@\[-^`{-~¡-©«¬®-±´¶-¸»¿×÷\u2010-\u205e\u20a0-\u27bf\u3001-\u301f\U0001f000-\U0001faff]"
_TOKEN = re.compile(
    rf"""
      https?://[^\s<>"]*[^\s<>".,;:!?)\]}}'] | www\.[\w.-]+\w(?:/[^\s<>"]*[^\s<>".,;:!?)\]}}'])?  # addresses
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
    | (?:[A-Za-z]\.){{2,}} | (?:{_ABBREVIATIONS})\.(?!\w)               # U.S. a.m. Mr.
    | (?!I\.)[A-Z]\.(?=\s+[A-Z])                                      # John F. Kennedy
    | \d+(?:[.,:/]\d+)+(?:{_WORD}+(?:-{_WORD}+)*)? | [.](?=\d)\d+         # 1,000.50 and 10:30
    | ['\u2019](?:em|tis|twas|til|cause|\d\ds?)\b                     # 'em and '80s
    | \d+(?=[-\u2013]\d) | {_WORD}+(?:(?:[-'\u2019&/]|\.(?=[a-z0-9])){_WORD}+)*  # words; 1941-1945 is three tokens
    | ['\u2019](?:s|re|ve|ll|d|m)\b                                   # a contraction that was split already
    | \.{{2,}} | -{{2,}} | [\u2013\u2014\u2015] | \u2026 | \S
    """,
    re.VERBOSE,
)
_CONTRACTION = re.compile(r"(.+?)(n['\u2019]t|['\u2019](?:s|re|ve|ll|d|m))", re.IGNORECASE)
_PLAIN = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2026": "..."}
    | dict.fromkeys("\u2013\u2014\u2015", "--")
)

# Tokens of text that was split only at spaces: punctuation after a word, or a whole contraction.
_GLUED = re.compile(
    r".*[^\W\d_]{2}([,;!?]+[\"'\u201d\u2019)\]]*|[.:][\"\u201d)]+)|.+(n['\u2019]t|['\u2019](re|ve|ll|s))"
)
_GLUED_LAST = re.compile(r".*[^\W\d_]{2}\.")


def tokenize(text: str) -> list[str]:
    """Split English text into tokens like the training text of ``"tiny"`` and of the published models.

    * Punctuation is split off: ``bank.`` becomes ``bank .``, ``$3.50`` becomes ``$ 3.50``, ``12%`` becomes ``12 %``.
    * Contractions are split: ``don't`` becomes ``do n't``, ``he's`` becomes ``he 's``; ``cannot`` stays whole.
    * Abbreviations keep their periods (``Mr.``, ``U.S.``, ``a.m.``, the ``F.`` of ``John F. Kennedy``), numbers their
      points and commas, words their hyphens and inner apostrophes (``well-known``, ``O'Brien``); ranges such as
      ``1941-1945`` are three tokens.
    * Quotes become straight (``"`` and ``'``), dashes ``--``, and the ellipsis character ``...``.

    Text that is already tokenised does not change.  Sentences are not split: give one at a time.

    Parameters
    ----------
    text : str
        A sentence.

    Returns
    -------
    list of str
        Its tokens.

    Raises
    ------
    InputTypeError
        If it is not a string.

    Examples
    --------
    >>> tokenize("Mr. Lee doesn't like the U.S. bank's rates, he said.")
    ['Mr.', 'Lee', 'does', "n't", 'like', 'the', 'U.S.', 'bank', "'s", 'rates', ',', 'he', 'said', '.']
    """
    return [token for token, _ in _tokens(text)]


def tokenize_with_offsets(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the tokens of `tokenize`, and their places in the text.

    Parameters
    ----------
    text : str
        A sentence.

    Returns
    -------
    tokens : list of str
        Its tokens.
    offsets : list of (int, int)
        For each token, its first character and the one after its last, as in a Python slice.

    Raises
    ------
    InputTypeError
        If the text is not a string.

    Examples
    --------
    >>> tokenize_with_offsets("He can't.")
    (['He', 'ca', "n't", '.'], [(0, 2), (3, 5), (5, 8), (8, 9)])
    """
    pairs = list(_tokens(text))
    return [token for token, _ in pairs], [offsets for _, offsets in pairs]


def looks_untokenized(tokens: list[str]) -> int:
    """Return how many tokens of a sentence have punctuation or a contraction that `tokenize` would split off."""
    glued = sum(1 for token in tokens if len(token) > 2 and _GLUED.fullmatch(token))
    return glued + (1 if tokens and _GLUED_LAST.fullmatch(tokens[-1]) else 0)


def _tokens(text: Any) -> Iterator[tuple[str, tuple[int, int]]]:
    if not isinstance(text, str):
        raise InputTypeError(f"tokenize takes one string, not {type(text).__name__}: call it for each text")
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        cuts = [end]
        while (parts := _CONTRACTION.fullmatch(text, start, cuts[-1])) is not None:  # from the right: should n't 've
            cuts.append(parts.start(2))
        for first, after in pairwise([start, *reversed(cuts)]):
            yield text[first:after].translate(_PLAIN), (first, after)
