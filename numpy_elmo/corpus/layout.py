"""How vectors lie in an HDF5 file: the layout of ``allennlp elmo``, which probes and parsers read, or one table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

import h5py
import numpy as np

from numpy_elmo.errors import InputError, OutputError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import Pooling, pool

SENTENCE_MAP = "sentence_to_index"
POOLED = "vectors"

StoredType: TypeAlias = Literal["float32", "float16"]
Compression: TypeAlias = Literal["gzip", "lzf"] | None

_HDF5_TYPES = {"float32": h5py.h5t.IEEE_F32LE, "float16": h5py.h5t.IEEE_F16LE}

# Bytes of a chunk of the table: HDF5 reads and compresses whole chunks.
_CHUNK_BYTES = 1 << 18

# Rows of the table that are held before they are written.
_HELD_ROWS = 1024


class Layout(Protocol):
    """A way to put the vectors of sentences into a file."""

    def write(self, index: int, sentence: str, vectors: Array) -> None:
        """Write the vectors of a sentence, the one after the last that was written."""

    def flush(self) -> None:
        """Hand everything over to HDF5."""


class SentenceDatasets:
    """A dataset a sentence: ``"0"``, ``"1"`` and so on, or the sentences themselves.

    The datasets are what h5py's ``create_dataset`` makes, contiguous unless compressed.  They are made one level below
    it, which is three times faster: a corpus has millions.

    Parameters
    ----------
    file : h5py.File
        Where to.
    dtype : {"float32", "float16"}
        Precision to store.
    compression : {"gzip", "lzf"}, optional
        Filter; the bytes are shuffled first, without which floats hardly get smaller.
    sentence_keys : bool
        Name the datasets by the sentences.
    """

    def __init__(
        self,
        file: h5py.File,
        *,
        dtype: StoredType = "float32",
        compression: Compression = None,
        sentence_keys: bool = False,
    ) -> None:
        self._file = file
        self._dtype: StoredType = dtype
        self._compression = compression
        self._sentence_keys = sentence_keys
        self._properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        self._properties.set_obj_track_times(False)  # the same input gives the same file

    def write(self, index: int, sentence: str, vectors: Array) -> None:
        """Write the vectors of a sentence.

        Raises
        ------
        InputError
            If HDF5 cannot name a dataset by this sentence.
        OutputError
            If the values do not fit the precision.
        """
        data = stored(vectors, self._dtype, index)
        if self._sentence_keys:
            self._write_by_sentence(sentence, data, index)
        elif self._compression and data.size:
            self._file.create_dataset(str(index), data=data, compression=self._compression, shuffle=True)
        else:
            space = h5py.h5s.create_simple(data.shape)
            made = h5py.h5d.create(
                self._file.id, str(index).encode(), _HDF5_TYPES[self._dtype], space, self._properties
            )
            if data.size:
                made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)

    def flush(self) -> None:
        """Do nothing: every sentence is written at once."""

    def _write_by_sentence(self, sentence: str, data: Array, index: int) -> None:
        where = f"sentence {index} ({sentence[:60]!r})"
        filters = {"compression": self._compression, "shuffle": True} if self._compression and data.size else {}
        try:
            if "\0" in sentence or sentence in self._file:  # HDF5's names end at a NUL
                raise InputError(f"{where} is there twice, or is no name for HDF5; number the sentences instead")
            self._file.create_dataset(sentence, data=data, **filters)
        except (ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{where} cannot name a dataset: {error}; number the sentences instead of --use-sentence-keys"
            ) from error


class PooledRows:
    """One table ``"vectors"``, a row a sentence: a dataset of its own would cost a pooled vector more than itself.

    Parameters
    ----------
    file : h5py.File
        Where to; the table is made, or found and continued.
    pooling : {"mean", "max", "sum", "first", "last"}
        How to pool a sentence's tokens.
    shape : tuple of int
        Shape of a pooled sentence.
    dtype : {"float32", "float16"}
        Precision to store.
    compression : {"gzip", "lzf"}, optional
        Filter, after shuffling.
    """

    def __init__(
        self,
        file: h5py.File,
        pooling: Pooling,
        shape: tuple[int, ...],
        *,
        dtype: StoredType = "float32",
        compression: Compression = None,
    ) -> None:
        self._pooling: Pooling = pooling
        self._dtype: StoredType = dtype
        self._rows: list[Array] = []
        if POOLED not in file:
            n_rows = max(1, _CHUNK_BYTES // (np.dtype(dtype).itemsize * int(np.prod(shape))))
            file.create_dataset(
                POOLED,
                (0, *shape),
                dtype=dtype,
                maxshape=(None, *shape),
                chunks=(n_rows, *shape),
                compression=compression,
                shuffle=compression is not None or None,
            )
        self._table = file[POOLED]

    def write(self, index: int, sentence: str, vectors: Array) -> None:
        """Add the row of a sentence.

        Raises
        ------
        OutputError
            If the values do not fit the precision.
        """
        self._rows.append(stored(pool(vectors, self._pooling), self._dtype, index))
        if len(self._rows) == _HELD_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held."""
        if self._rows:
            n = len(self._table)
            self._table.resize(n + len(self._rows), axis=0)
            self._table[n:] = np.stack(self._rows)
            self._rows.clear()


def stored(vectors: Array, dtype: StoredType, index: int) -> Array:
    """Return vectors in the precision of a file.

    Raises
    ------
    OutputError
        If a value is too large for it; infinite ones would be stored silently.
    """
    if dtype == "float16" and vectors.size and np.abs(vectors).max() > np.finfo(np.float16).max:
        raise OutputError(f"sentence {index} has values beyond float16's largest, 65504; store float32")
    return np.ascontiguousarray(vectors, dtype=np.dtype(dtype).newbyteorder("<"))


def write_sentence_map(file: h5py.File, index: Mapping[str, str]) -> None:
    """Write the map from sentence to index: one string, a JSON object.

    Parameters
    ----------
    file : h5py.File
        Where to.
    index : mapping of str to str
        From sentence to the name of its dataset.
    """
    text = h5py.string_dtype(encoding="utf-8")
    file.create_dataset(SENTENCE_MAP, (1,), dtype=text, data=json.dumps(index))
