"""What a dataset of unknown origin may do: read nothing outside its file, and take memory in proportion to its size.

HDF5 can keep a dataset in other files (external links, external storage, virtual datasets), and can make much out of
little: sizes that are declared and never written, and compressed chunks that grow a thousandfold with every filter.
No weight file needs any of that, so it is refused before anything is read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from math import prod
from typing import cast

import h5py

# Weights hardly compress, so a file's arrays are about as large as the file.
MAX_EXPANSION = 16
FREE_BYTES = 64 << 20

DEFLATE, SHUFFLE, FLETCHER32, LZF = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, 32000
CHECKSUM_BYTES = 4

# What h5py and h5repack write.  In another order, what a chunk unpacks to cannot be told beforehand.
PIPELINES = [
    [*shuffle, *packing, *checksum]
    for shuffle in ([], [SHUFFLE])
    for packing in ([], [DEFLATE], [LZF])
    for checksum in ([], [FLETCHER32])
]

# What h5py raises where a file is damaged.
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, SystemError)


def dataset_problem(file: h5py.Group, name: str) -> str | None:
    """Say why a dataset cannot be read from this file, if it cannot.

    Parameters
    ----------
    file : h5py.Group
        The open file.
    name : str
        The dataset's path.

    Returns
    -------
    str or None
        What was found in its place, or None if it is a dataset that may be read.
    """
    try:
        return _link_problem(file, name) or _item_problem(file[name])
    except HDF5_ERRORS as error:
        return f"a damaged one ({error})"


def size_problem(file: h5py.Group, shapes: Iterable[tuple[int, ...]]) -> str | None:
    """Say that arrays are too large for the file that they are said to be in, if they are.

    Parameters
    ----------
    file : h5py.Group
        The open file, or a group of it.
    shapes : iterable of tuple of int
        Shapes of all arrays that are to be read, in float32.

    Returns
    -------
    str or None
    """
    n_bytes = 4 * sum(map(prod, shapes))
    size = file.file.id.get_filesize()
    if n_bytes <= max(FREE_BYTES, MAX_EXPANSION * size):
        return None
    return f"arrays of {n_bytes:,} bytes cannot be in a file of {size:,}"


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


def _item_problem(item: object) -> str | None:
    if not isinstance(item, h5py.Dataset):
        return "a group"
    if item.is_virtual or item.external:
        return "a dataset that is kept in other files"
    if item.shape is None:
        return "a dataset without values"
    if item.dtype.hasobject:
        return "a dataset of texts or references"
    return None if item.chunks is None else _chunk_problem(item)


def _chunk_problem(item: h5py.Dataset) -> str | None:
    pipeline = item.id.get_create_plist()
    filters = [pipeline.get_filter(k)[0] for k in range(pipeline.get_nfilters())]
    if filters not in PIPELINES:
        return f"a dataset stored with the filters {filters}; pack it with gzip or not at all"
    chunk_bytes = prod(item.chunks) * item.dtype.itemsize
    if chunk_bytes > max(FREE_BYTES, MAX_EXPANSION * item.file.id.get_filesize()):
        return f"a dataset in chunks of {chunk_bytes:,} bytes"
    if DEFLATE in filters and _inflates_beyond(item, chunk_bytes + CHECKSUM_BYTES):
        return "a compressed dataset with more in a chunk than the chunk's size"
    return None


def _inflates_beyond(dataset: h5py.Dataset, n_bytes: int) -> bool:
    """Say whether a chunk unpacks to more than it should: HDF5 would take memory for all of it."""
    chunks: list[h5py.h5d.StoreInfo] = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if chunk.size > dataset.file.id.get_filesize():
            return True
        _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
        unpacking = zlib.decompressobj()
        try:
            if len(unpacking.decompress(cast("bytes", packed), n_bytes + 1)) > n_bytes:
                return True
        except zlib.error:
            continue  # damaged, or stored as it is; HDF5 says which when it reads
    return False
