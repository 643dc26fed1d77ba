"""Npz files that are damaged, or declare or unpack to more than they hold."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from numpy_elmo.corpus import load_embeddings
from numpy_elmo.errors import InputError


def write_npy(path: Path, header: bytes, n_zeros: int, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive, archive.open("arr_0.npy", "w") as member:
        member.write(b"\x93NUMPY\x02\0" + header)
        for _ in range(n_zeros >> 20):
            member.write(bytes(1 << 20))
    return path


def npy_header(shape: str) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return len(text).to_bytes(4, "little") + text


@pytest.mark.parametrize(
    ("header", "n_zeros", "compression"),
    [
        (npy_header(f"({25 << 20},)"), 100 << 20, zipfile.ZIP_DEFLATED),
        (b"\0\0\x40\x06", 100 << 20, zipfile.ZIP_DEFLATED),  # a header of 100 MiB
        (npy_header("(4, 262144)"), 4 << 20, zipfile.ZIP_BZIP2),
        (npy_header("(100000000000,)"), 1 << 20, zipfile.ZIP_STORED),
        (npy_header(f"({10**30},)"), 1 << 20, zipfile.ZIP_STORED),
        (npy_header(f"({10**30}, 0)"), 1 << 20, zipfile.ZIP_STORED),
        (npy_header("("), 1 << 20, zipfile.ZIP_STORED),
        (npy_header("(" * 9000), 1 << 20, zipfile.ZIP_STORED),
    ],
)
def test_an_npz_that_declares_or_unpacks_to_too_much_is_named(
    tmp_path: Path, header: bytes, n_zeros: int, compression: int
) -> None:
    path = write_npy(tmp_path / "v.npz", header, n_zeros, compression)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"v\.npz is damaged or no file of vectors.*give HDF5 or npz"):
        load_embeddings(path)[0]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20
