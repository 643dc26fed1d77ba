"""Reading sentences from CoNLL-U, the format of Universal Dependencies treebanks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from numpy_elmo.corpus.text import EncodingErrors, read_lines
from numpy_elmo.errors import InputError

_WORD = re.compile(r"[1-9][0-9]*")
_NO_WORD = re.compile(r"[0-9]+[-.][0-9]+")  # 3-4 is a multiword token, 3.1 an empty node


def read_conllu(path: str | os.PathLike[str], *, encoding_errors: EncodingErrors = "strict") -> Iterator[list[str]]:
    """Read the words of a CoNLL-U file, so that vectors line up with its annotated rows.

    Rows of words are kept.  Multiword tokens (``3-4``, whose words have rows of their own), empty nodes (``3.1``) and
    comments are passed over.  A word may contain spaces, as FORM may.

    Parameters
    ----------
    path : str or path
        The file in UTF-8, gzipped or not, or ``-`` for standard input.
    encoding_errors : {"strict", "replace"}
        What to do with bytes that are not UTF-8: refuse the file, or read U+FFFD in their place.

    Yields
    ------
    list of str
        The FORM column of a sentence's words, at least one.  Sentences are read when they are asked for.

    Raises
    ------
    InputError
        If the file cannot be read, is not UTF-8, or a row is not one of CoNLL-U: fewer than two columns between tabs,
        an empty FORM, an ID that is none, or words whose IDs do not count 1, 2, 3, ...  The message names the line.

    References
    ----------
    https://universaldependencies.org/format.html
    """
    name = os.fspath(path)
    words: list[str] = []
    for number, line in read_lines(name, encoding_errors=encoding_errors):
        row = line.rstrip("\r\n")
        if not row.strip():
            if words:
                yield words
            words = []
        elif not row.startswith("#"):
            word = _word(row, len(words) + 1, f"{name}, line {number}")
            words += [] if word is None else [word]
    if words:
        yield words


def _word(row: str, expected: int, where: str) -> str | None:
    """Return the word of a row, or None where the row is no word's."""
    columns = row.split("\t")
    if len(columns) < 2:
        raise InputError(f"{where}: one column where CoNLL-U has ten, separated by tabs; is it another format?")
    identifier, form = columns[:2]
    if _NO_WORD.fullmatch(identifier):
        return None
    if not _WORD.fullmatch(identifier):
        raise InputError(f"{where}: {identifier!r} is no ID; the first column of CoNLL-U holds 1, 1-2 or 1.1")
    if int(identifier) != expected:
        raise InputError(
            f"{where}: word {identifier} stands where word {expected} should; a blank line ends a sentence, and its "
            "words are numbered from 1"
        )
    if not form.strip():
        raise InputError(f"{where}: word {identifier} has an empty FORM; write _ for an underscore, or the word")
    return form
