"""Lines of text: packed, or refused because they are none."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo.corpus import read_conllu, read_sentences, read_word2vec
from numpy_elmo.errors import InputError, InputTypeError, InputWarning
from tests.corpus.test_inputs import SENTENCES, TEXT, conllu, read


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE)]
)
@pytest.mark.parametrize("name", ["corpus.txt.gz", "corpus"])
def test_packed_text_is_unpacked_whatever_its_name(tmp_path: Path, pack: Callable[[bytes], bytes], name: str) -> None:
    assert read(tmp_path, pack(TEXT.encode()), name) == SENTENCES
    assert read(tmp_path, pack(conllu(SENTENCES).encode()), name) == SENTENCES
    with pytest.raises(InputError, match=r"damaged (gzip|bzip2|xz) file"):
        read(tmp_path, pack(TEXT.encode() * 50)[:-9], name)


@pytest.mark.parametrize("name", ["corpus.txt.gz", "corpus.BZ2"])
def test_plain_text_under_the_name_of_a_packed_file_is_warned_of(tmp_path: Path, name: str) -> None:
    with pytest.warns(InputWarning, match=f"{name} is not compressed, despite its name, and is read as plain text"):
        assert read(tmp_path, TEXT, name) == SENTENCES


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("text.txt", TEXT)
    return out.getvalue()


def saved() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


def hdf5() -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["0"] = np.zeros(3)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (zipped(), "zip archive"),
        (hdf5(), "HDF5"),
        (saved(), "NumPy array"),
        (b"\x28\xb5\x2f\xfd\x24\0", "zstd"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "7z"),
        (gzip.compress(gzip.compress(TEXT.encode(), mtime=0), mtime=0), "packed twice"),
        (gzip.compress(b"a" * 257 + b"ustar\0" + b"\0" * 200, mtime=0), "tar archive"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<!DOCTYPE html>\n<html>", "HTML"),
        (b"<?xml version='1.0'?>", "XML"),
        (TEXT.encode("utf-16"), "UTF-16"),
        (TEXT.encode("utf-16-le"), "UTF-16"),
        (TEXT.encode("utf-16-be"), "UTF-16"),
        ("Fuß ó\n".encode("utf-16-be"), "UTF-16"),
        ("Дождь шёл весь день .\n".encode("utf-16-le"), "UTF-16"),
        ("雨が 降っ た 。\n".encode("utf-16-be"), "UTF-16"),
        (gzip.compress("Rain fell .\n".encode("utf-16"), mtime=0), "UTF-16"),
        ("Rain fell .\n".encode("utf-32"), "UTF-32"),
        ("Rain fell .\n".encode("utf-32-be"), "UTF-32"),
        ("Дождь шёл весь день .\n".encode("cp1251"), "another encoding"),
        ("雨が 降っ た 。 雨が 降っ た 。\n".encode("shift-jis"), "another encoding"),
        (pickle.dumps(["Rain fell", "Sun shone"], protocol=4), "no text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\x08\6\0\0\0", "no text"),
        (zlib.compress(TEXT.encode() * 9), "no text"),
        (b"\x7fELF\2\1\1" + b"\0" * 60, "no text"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "XML"),
        (b"<!-- a page -->\n<html>", "HTML"),
        (b"{\\rtf1 Rain fell .}", "word processor"),
    ],
)
@pytest.mark.parametrize("encoding_errors", ["strict", "replace"])
def test_what_is_no_text_is_named_and_never_read(
    tmp_path: Path, content: bytes, what: str, encoding_errors: str
) -> None:
    with pytest.raises(InputError, match=what):
        read(tmp_path, content, encoding_errors=encoding_errors)


@pytest.mark.parametrize("reader", [read_sentences, read_conllu, read_word2vec])
def test_something_else_than_a_path_is_named(reader: Callable[[Any], Any]) -> None:
    for wrong in (io.StringIO("a b"), None, 3, ["a.txt"]):
        with pytest.raises(InputTypeError, match="path"):
            list(reader(wrong))


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.txt").write_text(TEXT)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert list(read_sentences("~/in.txt")) == list(read_sentences(Path("~/in.txt"))) == SENTENCES


def test_an_xz_file_gets_bounded_memory(tmp_path: Path) -> None:
    data = lzma.compress(TEXT.encode(), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 12}])
    # Byte 16 of the block header says the size of the dictionary: 37 is 1.5 GiB.  Bytes 20 to 23 are a checksum.
    header = bytearray(data[12:24])
    assert header[4] == 0
    header[4] = 37
    header[8:] = zlib.crc32(header[:8]).to_bytes(4, "little")
    asking = data[:12] + bytes(header) + data[24:]
    with pytest.raises(InputError, match="takes more than 256 MiB to unpack; unpack it first"):
        read(tmp_path, asking)
    assert read(tmp_path, lzma.compress(TEXT.encode(), preset=9) + b"\0" * 8 + lzma.compress(b"So .\n")) == [
        *SENTENCES,
        ["So", "."],
    ]


@pytest.mark.parametrize(("library", "pack"), [("bz2", bz2.compress), ("lzma", lzma.compress)])
def test_a_python_without_a_library_says_so(tmp_path: Path, library: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "packed").write_bytes(pack(TEXT.encode()))
    (tmp_path / "plain").write_text(TEXT)
    code = f"import sys\nsys.modules[{library!r}] = sys.modules['_{library}'] = None\n" + (
        "from numpy_elmo.corpus import read_sentences\n"
        "print(len(list(read_sentences('plain'))))\n"
        "try:\n    list(read_sentences('packed'))\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("2\nInputError this Python cannot unpack ")
