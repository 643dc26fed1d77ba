"""Tokens as character ids: the UTF-8 bytes of a token between two boundary marks.

The published models know 261 characters: the byte values 0 to 255 and five marks.  The implementations in TensorFlow
and PyTorch add 1 to every id, to keep 0 for padding between tokens, and look the ids up in a table with a row of
zeros on top.  This package never computes such padding, so ids are the rows of the file.

Source: Peters et al. 2018, arXiv:1802.05365, section 3.4, and Jozefowicz et al. 2016, arXiv:1602.02410.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BEGIN_SENTENCE = 256
END_SENTENCE = 257
BEGIN_WORD = 258
END_WORD = 259
PADDING = 260
N_CHARACTERS = 261

SENTENCE_START = "<S>"
SENTENCE_END = "</S>"


def token_bytes(token: str, max_characters: int) -> list[int]:
    """Ids of one token with its boundary marks, without padding.

    The literal tokens ``<S>`` and ``</S>`` are always the sentence boundaries, also if they occur in the text, as in
    AllenNLP, and in bilm-tf with its own vocabulary.

    Parameters
    ----------
    token : str
        Any text.  Lone surrogates, which UTF-8 cannot encode, are left out, as in the published code.
    max_characters : int
        Largest number of ids, including the two marks.  Bytes beyond it are cut off, even inside a character.

    Returns
    -------
    list of int
        At most `max_characters` ids in 0..259.
    """
    if token == SENTENCE_START:
        return [BEGIN_WORD, BEGIN_SENTENCE, END_WORD]
    if token == SENTENCE_END:
        return [BEGIN_WORD, END_SENTENCE, END_WORD]
    return [BEGIN_WORD, *token.encode("utf-8", "ignore")[: max_characters - 2], END_WORD]


def is_cut(token: str, max_characters: int) -> bool:
    """Say whether `token_bytes` cuts bytes off a token."""
    # A character has at most 4 bytes, so most tokens need not be encoded.
    return 4 * len(token) > max_characters - 2 and len(token.encode("utf-8", "ignore")) > max_characters - 2


def character_ids(tokens: Sequence[str], max_characters: int) -> npt.NDArray[np.intp]:
    """Character ids of some tokens, padded to one length.

    Parameters
    ----------
    tokens : sequence of str
        The tokens, N of them.
    max_characters : int
        The model's ``max_characters_per_token``.

    Returns
    -------
    ndarray of int, shape (N, max_characters)
        Ids in 0..260; 260 is padding.
    """
    ids = np.full((len(tokens), max_characters), PADDING, dtype=np.intp)
    for row, token in zip(ids, tokens, strict=True):
        characters = token_bytes(token, max_characters)
        row[: len(characters)] = characters
    return ids
