"""Reading tokenised text: one sentence a line, tokens separated by white space, UTF-8, gzipped or not."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Literal, TypeAlias, cast

from numpy_elmo.errors import InputError

EncodingErrors: TypeAlias = Literal["strict", "replace"]

GZIP = b"\x1f\x8b"

# A line is held whole.  The longest that means anything, a book of ten million tokens, has about this size.
MAX_LINE_BYTES = 64 << 20


def read_sentences(path: str, *, encoding_errors: EncodingErrors = "strict") -> Iterator[list[str]]:
    """Read a file of tokenised sentences.

    Lines end at a line feed, and a carriage return before it counts as white space.  Any Unicode white space separates
    tokens, as in ``allennlp elmo``.  The encoding is UTF-8 whatever the platform's is; a byte order mark is skipped.

    Parameters
    ----------
    path : str
        The file, or ``-`` for standard input.  What begins as gzip does is unpacked.
    encoding_errors : {"strict", "replace"}
        What to do with bytes that are not UTF-8: refuse the file, or read U+FFFD in their place.

    Yields
    ------
    list of str
        The tokens of a line, none for a blank one.  Lines are read when they are asked for.

    Raises
    ------
    InputError
        If the file cannot be read or is not UTF-8; the message names the line.
    """
    for _, line in read_lines(path, encoding_errors=encoding_errors):
        yield line.split()


def read_lines(path: str, *, encoding_errors: EncodingErrors = "strict") -> Iterator[tuple[int, str]]:
    """Read the lines of a UTF-8 file, with their numbers from 1 and the ends that they have.

    Lines end at a line feed alone.  A byte order mark is skipped.

    Parameters
    ----------
    path : str
        The file, or ``-`` for standard input.  What begins as gzip does is unpacked.
    encoding_errors : {"strict", "replace"}
        What to do with bytes that are not UTF-8: refuse the file, or read U+FFFD in their place.

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
            for number, line in enumerate(_lines(_unpacked(file)), 1):
                if len(line) > MAX_LINE_BYTES:
                    raise InputError(
                        f"{name}, line {number} has more than {MAX_LINE_BYTES >> 20} MiB; is it text, one sentence a "
                        "line?  Cut the line"
                    )
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8", encoding_errors)
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"{name}, line {number}, byte {error.start + 1}: not UTF-8 ({error.reason}); convert the file, "
                        "or read it with encoding_errors='replace' (--encoding-errors replace)"
                    ) from error
                yield number, text
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{name} is a damaged gzip file ({error}); pack it again") from error
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}") from error


@contextmanager
def _open_binary(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115, PTH123 -- closed below; opening alone is guarded here
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read: {reason}; give a text file, or - for standard input") from error
    with file:
        yield file


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.readline(MAX_LINE_BYTES + 1), b"")


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    reader = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", file))
    return cast("IO[bytes]", gzip.GzipFile(fileobj=reader)) if reader.peek(len(GZIP)).startswith(GZIP) else reader
