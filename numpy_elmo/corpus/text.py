"""Reading tokenised text: one sentence a line, tokens separated by white space, UTF-8."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from numpy_elmo.errors import InputError


def read_sentences(path: str) -> Iterator[list[str]]:
    """Read a file of tokenised sentences.

    Lines end at a line feed, and a carriage return before it counts as white space.  Any Unicode white space separates
    tokens, as in ``allennlp elmo``.  The encoding is UTF-8 whatever the platform's is; a byte order mark is skipped.

    Parameters
    ----------
    path : str
        The file, or ``-`` for standard input.

    Yields
    ------
    list of str
        The tokens of a line, none for a blank one.  Lines are read when they are asked for.

    Raises
    ------
    InputError
        If the file cannot be read or is not UTF-8; the message names the line.
    """
    for _, line in read_lines(path):
        yield line.split()


def read_lines(path: str) -> Iterator[tuple[int, str]]:
    """Read the lines of a UTF-8 file, with their numbers from 1 and the ends that they have.

    Lines end at a line feed alone.  A byte order mark is skipped.

    Parameters
    ----------
    path : str
        The file, or ``-`` for standard input.

    Yields
    ------
    int, str
        Read when they are asked for.

    Raises
    ------
    InputError
        If the file cannot be read or is not UTF-8; the message names the line.
    """
    name = "standard input" if path == "-" else path
    with _open_binary(path) as file:
        try:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"{name}, line {number}, byte {error.start + 1}: not UTF-8 ({error.reason}); convert the file"
                    ) from error
                yield number, text
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}") from error


@contextmanager
def _open_binary(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115, PTH123 -- closed below; opening alone is guarded here
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}; give a text file, or - for standard input"
        ) from error
    with file:
        yield file


def check_no_blank_lines(sentences: list[list[str]], name: str) -> None:
    """Refuse text with blank lines, whose vectors would be empty datasets that readers stumble over.

    Raises
    ------
    InputError
        Naming the lines.
    """
    blank = [number for number, sentence in enumerate(sentences, 1) if not sentence]
    if blank:
        shown = ", ".join(map(str, blank[:10])) + (", ..." if len(blank) > 10 else "")
        raise InputError(
            f"{name} has {len(blank)} blank line(s): {shown}; remove them, one sentence a line is expected"
        )
