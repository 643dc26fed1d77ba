"""Reading npz files of unknown origin: no pickles, and no more than such a file can hold."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from numpy_elmo.files.arrays import max_unpacked
from numpy_elmo.files.places import PACKINGS, ZIP_ERRORS
from numpy_elmo.layers.arrays import Array

# What is raised where an npz file is damaged.
NPZ_ERRORS = (*ZIP_ERRORS, KeyError, TypeError, OverflowError)


class NpzFile:
    """An open npz file.  All of it raises `NPZ_ERRORS`."""

    def __init__(self, path: Path) -> None:
        self._max_bytes = max_unpacked(path.stat().st_size)
        self._archive = zipfile.ZipFile(path)
        self.close = self._archive.close
        members = self._archive.namelist()
        self.names = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
        if members and not self.names:
            self.close()
            raise zipfile.BadZipFile("there is no array in it")

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and type of an array."""
        with self._open(name) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            try:
                shape, _, dtype = read(member)
            except (TokenError, SyntaxError, MemoryError) as error:  # the header is Python, which is parsed
                raise zipfile.BadZipFile(f"the header of {name!r} is damaged") from error
        return shape, dtype

    def read(self, name: str) -> Array:
        """Return an array."""
        shape, dtype = self.header(name)
        if not dtype.hasobject and prod(shape) * dtype.itemsize > self._archive.getinfo(f"{name}.npy").file_size:
            raise zipfile.BadZipFile(f"{name!r} says that it is larger than its place in the file")
        with self._open(name) as member:
            array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        info = self._archive.getinfo(f"{name}.npy")
        if info.file_size > self._max_bytes or info.compress_type not in PACKINGS:
            raise zipfile.BadZipFile(f"{name!r} unpacks to {info.file_size:,} bytes, or in an unusual way")
        with self._archive.open(info) as member:
            yield member
