"""The words of a softmax, one per line; line i is row i of its weights."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable

from numpy_elmo.errors import InputError
from numpy_elmo.files.places import VOCABULARY, read_file, to_path
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START
from numpy_elmo.network.checks import first

UNKNOWN = "<UNK>"

MAX_WORDS = 1 << 22  # five times the published vocabulary; a word takes about 100 bytes

# Some vocabularies end with this line, which bilm-tf skips.
_END_MARK = "!!!MAXTERMID"

_SEVERAL_WORDS = re.compile(r"\S[ \t]+\S")
_WITH_COUNT = re.compile(r".+[,;|:]\d+")


class Vocabulary:
    """Distinct words in the order of the softmax's rows.

    Attributes
    ----------
    words : tuple of str
        The words; ``words[i]`` belongs to row i.

    Parameters
    ----------
    words : iterable of str
        The words, at least one.
    name : str
        Name of the vocabulary in messages.

    Raises
    ------
    InputError
        If a word occurs twice, or there is no word.
    """

    def __init__(self, words: Iterable[str], name: str = "the vocabulary") -> None:
        self.words = tuple(words)
        self._rows = {word: row for row, word in enumerate(self.words)}
        if not self.words:
            raise InputError(f"{name} holds no word; give one word per line")
        if len(self._rows) < len(self.words):
            twice = [repr(word) for word, count in Counter(self.words).items() if count > 1]
            raise InputError(
                f"{name} holds {len(twice)} word(s) more than once ({first(twice, 5)}), so rows and words cannot be "
                "matched; give the vocabulary that the softmax was trained with"
            )

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._rows

    def row(self, word: str) -> int | None:
        """Return the row of a word, or None if it is not in the vocabulary."""
        return self._rows.get(word)

    def check_marks(self, name: str) -> None:
        """Raise `InputError` if ``<S>``, ``</S>`` or ``<UNK>`` is missing."""
        missing = [mark for mark in (SENTENCE_START, SENTENCE_END, UNKNOWN) if mark not in self]
        if missing:
            raise InputError(
                f"{name} lacks {', '.join(missing)}, which a vocabulary of an ELMo softmax has (usually as its first "
                "lines); give the file that the softmax was trained with"
            )


def read_vocabulary(path: str | os.PathLike[str]) -> Vocabulary:
    """Read a vocabulary file.

    Parameters
    ----------
    path : str or path
        A text file in UTF-8, one word per line.

    Returns
    -------
    Vocabulary

    Raises
    ------
    ModelNotFoundError
        If there is no such file.
    InputError
        If it cannot be read, is not UTF-8, holds a word twice, or lacks ``<S>``, ``</S>`` or ``<UNK>``.
    """
    return decode_vocabulary(read_file(to_path(path, "the vocabulary must be a path"), VOCABULARY), str(path))


def vocabulary_lines(data: bytes, name: str) -> list[str]:
    """Return the lines of a vocabulary file, without the mark at its end."""
    if data.count(b"\n") > MAX_WORDS:
        raise InputError(f"{name} has more than {MAX_WORDS:,} lines; give the vocabulary of a softmax")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{name}, line {line}: not UTF-8 ({error.reason}); give the vocabulary as text") from error
    # Lines end only at line feeds: str.splitlines would also cut at separators inside words from web pages.
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    return [line for line in lines if line.strip() != _END_MARK]


def decode_vocabulary(data: bytes, name: str) -> Vocabulary:
    """Read a vocabulary from the bytes of its file; see `read_vocabulary`."""
    lines = vocabulary_lines(data, name)
    for number, word in enumerate(lines, 1):
        if _SEVERAL_WORDS.search(word):  # tokens have no spaces, so every word would be unknown
            raise InputError(f"{name}, line {number} holds more than a word, {word[:40]!r}; give one word per line")
    vocabulary = Vocabulary(lines, name)
    words = [word for word in vocabulary.words if word not in (SENTENCE_START, SENTENCE_END, UNKNOWN)]
    if words and all(map(_WITH_COUNT.fullmatch, words)):
        raise InputError(f"{name} holds counts beside the words, such as {words[0]!r}; give one word per line")
    vocabulary.check_marks(name)
    return vocabulary
