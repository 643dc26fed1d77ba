"""Lines of text files in UTF-8, plain or compressed; errors say what a file is if it is not text."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Literal, TypeAlias, cast

from numpy_elmo.errors import InputError, InputWarning
from numpy_elmo.files.places import to_path

# What is raised for a damaged file.
_DAMAGED: tuple[type[Exception], ...] = (EOFError, zlib.error, OSError)

with suppress(ImportError):  # Pythons that were built without them
    import bz2
with suppress(ImportError):
    import lzma

    _DAMAGED += (lzma.LZMAError,)

EncodingErrors: TypeAlias = Literal["strict", "replace"]

STDIN = "-"

# A line is read whole.  A book of ten million tokens on one line has about this size.
MAX_LINE_BYTES = 64 << 20

# Memory to unpack xz, whose files ask for up to 4 GiB.  `xz -9` takes 65 MiB.
_XZ_MEMORY = 256 << 20

# How compressed files begin, and what unpacks them.
_PACKED: list[tuple[str, re.Pattern[bytes], Callable[[Any], Any]]] = [
    ("gzip", re.compile(rb"\x1f\x8b"), lambda file: gzip.GzipFile(fileobj=file)),
    ("bzip2", re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), lambda file: bz2.BZ2File(file)),  # noqa: PLW0108 -- bz2 may be missing
    ("xz", re.compile(rb"\xfd7zXZ\0|\x5d\0\0[\0\x01\x10\x20\x40\x80]"), lambda file: _Xz(file)),  # noqa: PLW0108 -- defined below
]

_PACKED_NAMES = (".gz", ".bz2", ".xz", ".lzma")

# How files begin that are not text, and what they are.
_NOT_TEXT = [
    (re.compile(pattern, re.DOTALL), what)
    for pattern, what in (
        (rb"PK(\x03\x04|\x05\x06)", "a zip archive; unpack it first"),
        (rb"\x28\xb5\x2f\xfd", "packed with zstd; unpack it first"),
        (rb"\x04\x22\x4d\x18", "packed with lz4; unpack it first"),
        (rb"\x1f\x9d|\x1f\xa0", "packed with compress; unpack it first"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
        (rb"Rar!\x1a\x07", "a rar archive; unpack it first"),
        (rb".{257}ustar", "a tar archive; unpack it first"),
        (rb"\x1f\x8b|BZh[1-9]1AY&SY|\xfd7zXZ\0", "packed twice; unpack it first"),
        (rb"\x89HDF\r\n\x1a\n", "an HDF5 file; give the text"),
        (rb"\x93NUMPY", "a NumPy array; give the text"),
        (rb"PAR1", "a Parquet file; write one of its columns to a text file"),
        (rb"SQLite format 3\0", "a database; write one of its columns to a text file"),
        (rb"%PDF-", "a PDF; extract its text first"),
        (rb"\xd0\xcf\x11\xe0|\{\\rtf", "a document of a word processor; save it as plain text"),
        (rb"(?i:\s*<(!doctype|html[\s>]|\?xml|!--))", "HTML or XML; extract its text first"),
        (rb"%!PS", "PostScript; extract its text first"),
        (rb"version https://git-lfs", "a git-lfs pointer; run 'git lfs pull' where it came from"),
        (rb"(\xff\xfe\0\0|\0\0\xfe\xff)", "not UTF-8 but UTF-32; convert the file"),
        (rb"(\xff\xfe|\xfe\xff)", "not UTF-8 but UTF-16; convert the file"),
    )
]

# Characters that are rare in UTF-8 text, but frequent in other files that are decoded as UTF-8.
_ODD = re.compile("[\\0-\\x08\x0e-\x1a\x7f-\x84\x86-\x9f\ufffd]")


def read_lines(
    path: str | os.PathLike[str], *, encoding_errors: EncodingErrors = "strict"
) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of a text file with their numbers from 1, without the final ``\n``.

    Raises `InputError`, which names the line, if the file cannot be read or is not text in UTF-8.  Warns
    (`InputWarning`) if plain text has the name of a compressed file.
    """
    name = file_name(path)
    if encoding_errors not in ("strict", "replace"):
        raise InputError(f'encoding_errors must be "strict" or "replace", not {encoding_errors!r}')
    with _open_binary(path) as file:
        reader, packing = _unpacked(file)
        try:
            _check_is_text(reader.peek(512)[:8192], name)
            if not packing and name.lower().endswith(_PACKED_NAMES):
                warnings.warn(
                    f"{name} is not compressed, despite its name, and is read as plain text; rename it",
                    InputWarning,
                    stacklevel=2,
                )
            for number, line in enumerate(iter(lambda: reader.readline(MAX_LINE_BYTES + 1), b""), 1):
                if len(line) > MAX_LINE_BYTES:
                    raise InputError(
                        f"{name}, line {number} has more than {MAX_LINE_BYTES >> 20} MiB; is it text, one sentence per "
                        "line?  Cut the line"
                    )
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8", encoding_errors)
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"{name}, line {number}, byte {error.start + 1}: not UTF-8 ({error.reason}); convert the file, "
                        "or read it with encoding_errors='replace'"
                    ) from error
                yield number, text.removesuffix("\n")
        except _DAMAGED as error:
            if "limit exceeded" in str(error):
                raise InputError(f"{name} takes more than {_XZ_MEMORY >> 20} MiB to unpack; unpack it first") from error
            if packing and (not isinstance(error, OSError) or error.errno is None):
                raise InputError(f"{name} is a damaged {packing} file ({error}); compress it again") from error
            raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', error)}") from error


def file_name(path: str | os.PathLike[str]) -> str:
    """Return the name of a text file in messages; raise InputTypeError if it is not a path."""
    return "standard input" if _is_stdin(path) else str(_path(path))


def _is_stdin(path: object) -> bool:
    return isinstance(path, str) and path == STDIN


def _path(path: str | os.PathLike[str]) -> os.PathLike[str]:
    return to_path(path, "a text file must be given by its path, or - for standard input")


@contextmanager
def _open_binary(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    if _is_stdin(path):
        yield sys.stdin.buffer
        return
    try:
        file = open(_path(path), "rb")  # noqa: SIM115, PTH123 -- closed below; opening alone is guarded here
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read: {reason}; give a text file, or - for standard input") from error
    with file:
        yield file


def _unpacked(file: IO[bytes]) -> tuple[io.BufferedReader, str]:
    """Return a reader of the unpacked bytes, and the name of the compression or an empty string."""
    reader = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", file))
    head = reader.peek(16)
    for packing, signature, unpack in _PACKED:
        if signature.match(head):
            try:
                return io.BufferedReader(unpack(reader)), packing
            except NameError as error:
                raise InputError(f"this Python cannot unpack {packing}; unpack the file first") from error
    return reader, ""


class _Xz(io.RawIOBase):
    """The unpacked bytes of an xz file, in bounded memory, unlike `lzma.LZMAFile`."""

    def __init__(self, file: IO[bytes]) -> None:
        lzma  # noqa: B018 -- raises now if it was not imported
        self._chunks = self._unpack(file)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                return 0
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n

    @staticmethod
    def _unpack(file: IO[bytes]) -> Iterator[bytes]:
        packed = file.read(io.DEFAULT_BUFFER_SIZE)
        while packed:  # one stream at a time
            stream = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            while not stream.eof:
                if stream.needs_input and not packed and not (packed := file.read(io.DEFAULT_BUFFER_SIZE)):
                    raise EOFError("it ends early")
                yield stream.decompress(packed, 1 << 20)
                packed = b""
            packed = stream.unused_data.lstrip(b"\0")  # padding
            while not packed and (more := file.read(io.DEFAULT_BUFFER_SIZE)):
                packed = more.lstrip(b"\0")


def _check_is_text(head: bytes, name: str) -> None:
    """Raise `InputError` if the first bytes are not UTF-8 text."""
    for pattern, what in _NOT_TEXT:
        if pattern.match(head.removeprefix(b"\xef\xbb\xbf")):
            raise InputError(f"{name}, line 1, byte 1: {what}" if "UTF-" in what else f"{name} is {what}")
    # In UTF-16, a Latin letter is an ASCII byte and a NUL, which is also valid UTF-8.
    pairs = len(head) // 2
    even, odd = head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if pairs >= 2 and 2 * max(even, odd) > pairs and 2 * min(even, odd) < pairs:
        raise InputError(f"{name} is not UTF-8 but UTF-16 (there is a NUL beside each letter); convert the file")
    text = head.decode("utf-8", "replace")
    if (n_odd := len(_ODD.findall(text))) > 3 and 5 * n_odd > len(text):
        is_wide = any(_spaces(head, f"utf-{bits}-{order}") for bits in (32, 16) for order in ("le", "be"))
        what = "UTF-16 or UTF-32" if is_wide else "another encoding, or no text"
        raise InputError(f"{name} is not UTF-8 but {what}; convert the file, or give the text")


def _spaces(head: bytes, encoding: str) -> bool:
    """Say whether bytes, decoded, have as many spaces and line feeds as text has."""
    text = head.decode(encoding, "replace")
    return 50 * (text.count(" ") + text.count("\n")) >= len(text)
