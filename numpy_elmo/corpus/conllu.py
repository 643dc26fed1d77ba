"""Tables with one token per row: CoNLL-U, the format of Universal Dependencies, and other CoNLL columns."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator

from numpy_elmo.corpus.text import EncodingErrors, file_name, read_lines
from numpy_elmo.errors import InputError

_WORD = re.compile(r"[1-9][0-9]*")
_NO_WORD = re.compile(r"[0-9]+[-.][0-9]+")  # 3-4 is a multiword token, 3.1 an empty node
_COMMENT = re.compile(r"#\s?(begin|end) document\b|# ?(newdoc|newpar)\b|# ?[\w.:-]+ ?= ?")


def read_conllu(path: str | os.PathLike[str], *, encoding_errors: EncodingErrors = "strict") -> Iterator[list[str]]:
    """Read the words of a CoNLL-U file, so that vectors line up with its annotated rows.

    Rows of words are kept.  Multiword tokens (``3-4``, whose words have rows of their own), empty nodes (``3.1``) and
    comments are skipped.  A word may contain spaces, as FORM may.

    Parameters
    ----------
    path : str or path
        The file in UTF-8, compressed (gzip, bzip2, xz) or not, or ``-`` for standard input.
    encoding_errors : {"strict", "replace"}
        What to do with bytes that are not UTF-8: refuse the file, or replace them by U+FFFD.

    Yields
    ------
    list of str
        The FORM column of a sentence's words, at least one.  Sentences are read lazily.

    Raises
    ------
    InputError
        If the file cannot be read, is not UTF-8, or a row is not CoNLL-U: fewer than two columns between tabs, an
        empty FORM, an invalid ID, or words whose IDs do not count 1, 2, 3, ...; or if the words of a sentence are
        withheld (every FORM is ``_``).  The message names the line.

    References
    ----------
    https://universaldependencies.org/format.html
    """
    lines = read_lines(path, encoding_errors=encoding_errors)
    return (words for _, words in conllu_sentences(lines, file_name(path)))


def conllu_sentences(lines: Iterable[tuple[int, str]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the last line and the words of each sentence of CoNLL-U."""
    number, all_withheld = 0, True
    for number, words in _sentences(lines, lambda row, n, k: _word(row, n, f"{name}, line {k}")):
        is_withheld = set(words) == {"_"}
        if is_withheld and len(words) > 1:
            raise _withheld(name, number)
        all_withheld &= is_withheld
        yield number, words
    if number and all_withheld:
        raise _withheld(name, number)


def column_sentences(lines: Iterable[tuple[int, str]], name: str, column: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the last line and the tokens of each sentence of a table with one token per row."""

    def token(row: str, _: int, number: int) -> str | None:
        if is_no_token(row):
            return None
        cells = row.split("\t") if "\t" in row else row.split()
        if column >= len(cells) or not cells[column].strip():
            raise InputError(
                f"{name}, line {number} has no token in column {column} (of {len(cells)}, counted from 0); give the "
                "column of the words, and a blank line after each sentence"
            )
        return cells[column].strip()

    return _sentences(lines, token)


def is_no_token(row: str) -> bool:
    """Say whether a row of CoNLL columns is a comment or marks a document."""
    return _COMMENT.match(row) is not None or row.startswith("-DOCSTART-")


def _sentences(
    lines: Iterable[tuple[int, str]], read: Callable[[str, int, int], str | None]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the tokens of the rows between blank lines; `read` takes a row, its place among them, and its line."""
    tokens: list[str] = []
    number = 0
    for number, line in lines:
        if line.strip():
            token = read(line.rstrip("\r"), len(tokens) + 1, number)
            tokens += [] if token is None else [token]
        elif tokens:
            yield number - 1, tokens
            tokens = []
    if tokens:
        yield number, tokens


def _withheld(name: str, number: int) -> InputError:
    return InputError(
        f"{name}, line {number}: the words of this sentence are withheld, every FORM is an underscore; insert them "
        "with the script of the treebank first"
    )


def _word(row: str, expected: int, where: str) -> str | None:
    """Return the word of a row, or None if it has none."""
    if row.startswith("#"):
        return None
    columns = row.split("\t")
    if len(columns) < 2:
        raise InputError(f"{where}: one column where CoNLL-U has ten, separated by tabs; is it another format?")
    identifier, form = columns[:2]
    if _NO_WORD.fullmatch(identifier):
        return None
    if not _WORD.fullmatch(identifier):
        raise InputError(f"{where}: {identifier!r} is not an ID; the first column of CoNLL-U holds 1, 1-2 or 1.1")
    if identifier != str(expected):  # as strings: int() refuses too many digits
        raise InputError(
            f"{where}: found word {identifier:.20} instead of word {expected}; a blank line ends a sentence, and "
            "its words are numbered from 1"
        )
    if not form.strip():
        raise InputError(f"{where}: word {identifier} has an empty FORM; write _ for an underscore, or the word")
    return form
