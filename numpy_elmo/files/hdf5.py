"""Opening HDF5 files of unknown origin, and reading their arrays.

An HDF5 dataset can be kept in other files (external links, external storage, virtual datasets), and a small file can
need much memory: sizes may be declared but never written, and compressed chunks may grow a thousandfold.  No weight
file needs any of that, so it is refused before anything is read.  `hdf5_structure` checks the tables that lead to the
datasets.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, cast

import h5py
import numpy as np

from numpy_elmo.errors import ElmoError, WeightsError
from numpy_elmo.files.arrays import Arrays, Stored, max_unpacked
from numpy_elmo.files.hdf5_structure import UnreadLayoutError, check_structure

SIGNATURE = b"\x89HDF\r\n\x1a\n"
LFS_POINTER = b"version https://git-lfs.github.com/spec/"

DEFLATE, SHUFFLE, FLETCHER32, LZF = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, 32000
CHECKSUM_BYTES = 4

# What h5py and h5repack write.  For other orders, the size of an unpacked chunk cannot be checked beforehand.
PIPELINES = [
    [*shuffle, *packing, *checksum]
    for shuffle in ([], [SHUFFLE])
    for packing in ([], [DEFLATE], [LZF])
    for checksum in ([], [FLETCHER32])
]

# What h5py raises for a damaged file.
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, SystemError)

# h5py runs all of HDF5 under one lock.  A child forked while another thread holds it would wait for ever.  The lock is
# private: if h5py no longer has it, a program must not fork while another thread reads a file.
with suppress(ImportError):
    from h5py._objects import phil

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=phil.acquire, after_in_parent=phil.release, after_in_child=phil.release)


def open_checked(source: Path | BinaryIO) -> h5py.File:
    """Check the tables of an HDF5 file and open it for reading; this package opens none without.  Raises OSError."""
    if isinstance(source, Path):
        if not source.is_file():  # the other end of a pipe may never write
            raise OSError(f"{source} is no regular file")
        with source.open("rb") as file:
            _check_tables(file)
    else:
        _check_tables(source)
    return h5py.File(source, "r", locking=False)  # reading needs no lock, and the file may be locked


def _check_tables(file: BinaryIO) -> None:
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise OSError("it is not an HDF5 file")
    check_structure(file)
    file.seek(0)


@contextmanager
def open_arrays(source: Path | BinaryIO, name: str) -> Iterator[ArrayFile]:
    """Open a weight file, called `name` in messages; raise `WeightsError` if it is something else or damaged."""
    check_is_hdf5(source, name)
    try:
        with open_checked(source) as file:
            yield ArrayFile(file, name)
    except ElmoError:
        raise
    except UnreadLayoutError as error:
        raise WeightsError(f"{name}: {error}; copy its datasets to a new file with h5py's default settings") from error
    except (OSError, RuntimeError, KeyError) as error:
        what = "is cut off before its end" if "truncated" in str(error) else f"is a damaged HDF5 file ({error})"
        raise WeightsError(f"{name} {what}; fetch it again") from error


def check_is_hdf5(source: Path | BinaryIO, name: str) -> None:
    """Raise `WeightsError` if a file does not begin like HDF5, saying what it is."""
    try:
        if isinstance(source, Path):
            if not source.is_file():
                raise WeightsError(f"{name} is no regular file; give the model's weight file")
            with source.open("rb") as file:
                head = file.read(512)
        else:
            head = source.read(512)
            source.seek(0)
    except OSError as error:
        raise WeightsError(f"{name} cannot be read: {error.strerror}; give the model's weight file") from error
    if head.startswith(SIGNATURE):
        return
    if head.startswith(LFS_POINTER):
        raise WeightsError(f"{name} is a git-lfs pointer, not the weights: run 'git lfs pull' where it came from")
    if not head:
        raise WeightsError(f"{name} is empty; fetch the weight file again")
    if head.lstrip().startswith(b"{"):
        raise WeightsError(f"{name} is JSON, not HDF5: were the options file and the weight file swapped?")
    if is_web_page(head):
        raise WeightsError(f"{name} is a web page, not HDF5: its download failed; fetch the weight file again")
    raise WeightsError(f"{name} is not an HDF5 file; give the model's weight file (*.hdf5)")


def is_web_page(head: bytes) -> bool:
    """Say whether a file begins like HTML or XML."""
    return head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml"))


class ArrayFile(Arrays):
    """An open HDF5 file."""

    def __init__(self, file: h5py.File, name: str) -> None:
        super().__init__(name, file.id.get_filesize())
        self._file = file

    def names(self) -> list[str]:
        """Return the paths of all readable datasets of numbers."""
        found: list[str] = []

        def visit(path: str, item: object) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and not item_problem(item):
                found.append(path)

        self._file.visititems(visit)
        return found

    def __contains__(self, path: str) -> bool:
        """Say whether there is such a dataset or group, without following links out of the file."""
        return _link_problem(self._file, path) is None

    def problem(self, path: str) -> str | None:
        """Say what was found instead of a readable dataset; None if it is one."""
        return dataset_problem(self._file, path)

    def shape(self, path: str) -> tuple[int, ...]:
        """Return the shape of a dataset."""
        return tuple(map(int, self._file[path].shape))

    def dtype(self, path: str) -> np.dtype[Any]:
        """Return the type of a dataset's values as stored."""
        return cast("np.dtype[Any]", self._file[path].dtype)

    def fill(self, path: str, values: Stored, start: int | None) -> None:
        """Read a dataset, or its rows from `start` on, directly into `values`."""
        stored = self._file[path]
        try:
            if values.size:
                stored.read_direct(values, np.s_[...] if start is None else np.s_[start : start + len(values)])
        except HDF5_ERRORS as error:
            raise WeightsError(f"{self.name}: {path} cannot be read ({error}); fetch the file again") from error


def dataset_problem(file: h5py.Group, path: str, *, texts: bool = False) -> str | None:
    """Say what was found instead of a readable dataset; None if it is one."""
    try:
        return _link_problem(file, path) or item_problem(file[path], texts=texts)
    except HDF5_ERRORS as error:
        return f"a damaged one ({error})"


def place_problem(file: h5py.Group, path: str) -> str | None:
    """Say that an item is not in this file, or is larger than this file can hold; None if neither.  Reads no values."""
    if problem := _link_problem(file, path):
        return problem
    item = file[path]
    if not isinstance(item, h5py.Dataset):
        return None
    if item.is_virtual or item.external:
        return "a dataset that is kept in other files"
    if item.nbytes > max_unpacked(item.file.id.get_filesize()):
        return f"a dataset of {item.nbytes:,} bytes, which cannot be in this file"
    return None


def attribute(item: h5py.HLObject, name: str) -> Any:
    """Return an attribute with one value, or None; of several texts, all may be the same large one in the file."""
    if name not in item.attrs:
        return None
    if item.attrs.get_id(name).shape != ():
        raise OSError(f"the attribute {name!r} has more than one value")
    return item.attrs[name]


def _link_problem(file: h5py.Group, name: str) -> str | None:
    path = ""
    for part in name.split("/"):
        path = f"{path}/{part}".lstrip("/")
        link = file.get(path, getlink=True)
        if link is None:
            return "no such dataset"
        if not isinstance(link, h5py.HardLink):
            return f"a link to {link.path!r}, which is not followed"
        if path != name and not isinstance(file[path], h5py.Group):
            return "no such dataset"
    return None


def item_problem(item: object, *, texts: bool = False) -> str | None:
    """Say what an object is if it is no dataset of numbers, or with `texts` of anything, that may be read."""
    if not isinstance(item, h5py.Dataset):
        return "a group"
    if item.is_virtual or item.external:
        return "a dataset that is kept in other files"
    if item.shape is None:
        return "a dataset without values"
    if item.dtype.hasobject and not texts:
        return "a dataset of texts or references"
    return None if item.chunks is None else _chunk_problem(item)


def _chunk_problem(item: h5py.Dataset) -> str | None:
    pipeline = item.id.get_create_plist()
    filters = [pipeline.get_filter(k)[0] for k in range(pipeline.get_nfilters())]
    if filters not in PIPELINES:
        return f"a dataset stored with the filters {filters}; pack it with gzip or not at all"
    chunk_bytes = prod(item.chunks) * item.dtype.itemsize
    if chunk_bytes > max_unpacked(item.file.id.get_filesize()):
        return f"a dataset in chunks of {chunk_bytes:,} bytes"
    if DEFLATE in filters and _inflates_beyond(item, chunk_bytes + CHECKSUM_BYTES):
        return "a compressed dataset with more in a chunk than the chunk's size"
    return None


def _inflates_beyond(dataset: h5py.Dataset, n_bytes: int) -> bool:
    """Say whether a chunk unpacks to more than it should; HDF5 would allocate memory for all of it."""
    for chunk in _chunks(dataset):
        if chunk.size > dataset.file.id.get_filesize():
            return True
        _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
        unpacking = zlib.decompressobj()
        try:
            if len(unpacking.decompress(cast("bytes", packed), n_bytes + 1)) > n_bytes:
                return True
        except zlib.error:
            continue  # damaged, or stored uncompressed; HDF5 finds out when it reads
    return False


def _chunks(dataset: h5py.Dataset) -> list[h5py.h5d.StoreInfo]:
    if not hasattr(dataset.id, "chunk_iter"):  # before HDF5 1.12.3; slower, since each call starts again
        return [dataset.id.get_chunk_info(k) for k in range(dataset.id.get_num_chunks())]
    chunks: list[h5py.h5d.StoreInfo] = []
    dataset.id.chunk_iter(chunks.append)
    return chunks
