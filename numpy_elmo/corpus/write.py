"""Writing vectors: HDF5 in the layout of ``allennlp elmo``, which probes and parsers read, and npz."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import count, takewhile
from typing import Literal, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError, OutputError
from numpy_elmo.files.places import to_path
from numpy_elmo.files.writing import new_file, new_hdf5, output_errors
from numpy_elmo.layers.arrays import Array, check_vectors
from numpy_elmo.network.checks import check_tokens

SENTENCE_MAP = "sentence_to_index"
POOLED = "vectors"
OFFSETS = "offsets"

# An attribute holds 64 KiB; longer documents need several.
_OFFSETS_EACH = 8000

StoredType: TypeAlias = Literal["float32", "float16"]

_HDF5_TYPES = {"float32": h5py.h5t.IEEE_F32LE, "float16": h5py.h5t.IEEE_F16LE}


class Datasets:
    """Creates datasets like h5py's ``create_dataset``: contiguous, without compression.

    It uses h5py's low-level interface, which is three times faster: a corpus has millions.  With `early`, each dataset
    gets its place in the file at once and its values later.
    """

    def __init__(self, file: h5py.File, dtype: StoredType = "float32", *, early: bool = False) -> None:
        self._file = file
        self._type = _HDF5_TYPES[dtype]
        self._properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        self._properties.set_obj_track_times(False)  # the same input gives the same file
        if early:
            self._properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            self._properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)

    def create(self, name: str, shape: tuple[int, ...]) -> h5py.h5d.DatasetID:
        """Create a dataset."""
        return self._create(self._file, name, shape)

    def create_for(self, index: int, sentence: str, shape: tuple[int, ...]) -> h5py.h5d.DatasetID:
        """Create a dataset that is named by its sentence; raise InputError if it cannot be."""
        where = f"sentence {index} ({sentence[:60]!r})"
        try:
            # Names in HDF5 end at a NUL; a slash makes a group.
            if "\0" in sentence or not sentence.strip("/") or sentence in self._file:
                raise InputError(f"{where} occurs twice, or is no name for HDF5; number the sentences instead")
            folder, _, name = sentence.rpartition("/")
            return self._create(self._file.require_group(folder) if folder else self._file, name, shape)
        except (ValueError, TypeError, UnicodeEncodeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{where} cannot name a dataset: {error}; number the sentences instead") from error

    def _create(self, group: h5py.Group, name: str, shape: tuple[int, ...]) -> h5py.h5d.DatasetID:
        space = h5py.h5s.create_simple(shape)
        links = None if name.isascii() else _utf8_links()
        return h5py.h5d.create(group.id, name.encode(), self._type, space, self._properties, links)


def _utf8_links() -> h5py.h5p.PropLCID:
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_char_encoding(h5py.h5t.CSET_UTF8)
    return links


def write_dataset(dataset: h5py.h5d.DatasetID, data: Array) -> None:
    """Write all values of a dataset."""
    if data.size:
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def write_offsets(dataset: h5py.h5d.DatasetID, offsets: Sequence[tuple[int, int]]) -> None:
    """Write the place of each token in the raw text, (tokens, 2), as attributes ``offsets``, ``offsets1``, ..."""
    table = np.array(offsets, np.int32).reshape(-1, 2)
    attributes = h5py.Dataset(dataset).attrs
    for k, start in enumerate(range(0, max(1, len(table)), _OFFSETS_EACH)):
        attributes[f"{OFFSETS}{k or ''}"] = table[start : start + _OFFSETS_EACH]


def read_offsets(dataset: h5py.Dataset) -> npt.NDArray[np.integer] | None:
    """Return what `write_offsets` wrote, (tokens, 2); None if there are no offsets."""
    names = list(takewhile(dataset.attrs.__contains__, (f"{OFFSETS}{k or ''}" for k in count())))
    if not names:
        return None
    if any(dataset.attrs.get_id(name).dtype.kind != "i" for name in names):
        raise ValueError("they are no integers")
    offsets: npt.NDArray[np.integer] = np.concatenate([dataset.attrs[name] for name in names])
    if offsets.shape != (dataset.shape[-2], 2):
        raise ValueError(f"an array {offsets.shape} is not one pair per token")
    return offsets


def stored(vectors: Array, dtype: StoredType, index: int) -> Array:
    """Return vectors in the precision of a file; raise OutputError if a value would become infinite."""
    if dtype == "float16" and vectors.size and np.abs(vectors).max() > np.finfo(np.float16).max:
        raise OutputError(f"sentence {index} has values beyond float16's largest, 65504; store float32")
    return np.ascontiguousarray(vectors, dtype=np.dtype(dtype).newbyteorder("<"))


def write_sentence_map(file: h5py.File, index: Mapping[str, str]) -> None:
    """Write the map from sentences to the names of their datasets: one string, a JSON object."""
    text = h5py.string_dtype(encoding="utf-8")
    file.create_dataset(SENTENCE_MAP, (1,), dtype=text, data=json.dumps(index))


class VectorFile:
    """An HDF5 file of sentence vectors, which gets its name when it is complete.

    Dataset ``"0"`` holds the vectors of the first sentence, ``"1"`` of the second, and so on: float32, contiguous.
    ``sentence_to_index`` holds one string, a JSON object from sentence to index; for equal sentences, the last.

    Use it in a ``with`` statement.  An exception inside leaves nothing behind.

    Parameters
    ----------
    path : str or path
        The file to write.
    overwrite : bool
        Whether it may replace a file.

    Raises
    ------
    OutputError
        If the file exists, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = to_path(path, "a file of vectors must be given by its path")
        self._index: dict[str, str] = {}
        self._n_sentences = 0
        self._stack = ExitStack()
        self._file = self._stack.enter_context(new_hdf5(path, overwrite=overwrite))
        self._datasets = Datasets(self._file)

    def __enter__(self) -> VectorFile:
        return self

    def write(self, tokens: Iterable[str], vectors: npt.ArrayLike) -> None:
        """Append a sentence.

        Parameters
        ----------
        tokens : iterable of str
            The sentence, for the map.
        vectors : ndarray, shape (..., n_tokens, n_features)
            Its vectors.

        Raises
        ------
        InputTypeError
            If the tokens are not strings, or the vectors are not numbers.
        InputError
            If tokens and vectors differ in number, or a value is not finite.
        """
        key = str(self._n_sentences)
        sentence = check_tokens(tokens)
        data = stored(check_vectors(vectors), "float32", self._n_sentences)
        if data.shape[-2] != len(sentence):
            raise InputError(f"sentence {key} has {len(sentence)} tokens and {data.shape[-2]} vectors; give one each")
        if not np.isfinite(data).all():
            raise InputError(f"the vectors of sentence {key} hold NaN or infinity")
        with output_errors(self.path, RuntimeError):
            write_dataset(self._datasets.create(key, data.shape), data)
        self._index[" ".join(sentence)] = key
        self._n_sentences += 1

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            with self._stack:
                write_sentence_map(self._file, self._index)
        else:
            self._stack.__exit__(*exception)  # type: ignore[arg-type]


def write_npz(
    path: str | os.PathLike[str],
    vectors: Iterable[Array] | Iterable[tuple[str, Array]] | Mapping[str, Array],
    *,
    compress: bool = False,
    overwrite: bool = False,
) -> None:
    """Write arrays of vectors to an npz file, one at a time, so that they need not all be in memory.

    Parameters
    ----------
    path : str or path
        The file to write, under exactly this name.
    vectors : iterable of ndarray, iterable of (str, ndarray), or mapping from str to ndarray
        One array per sentence, named ``arr_0``, ``arr_1``, ... as by `numpy.savez`; or arrays with names of their
        own, such as the occurrences of a word.
    compress : bool
        Whether to compress, like `numpy.savez_compressed`: slower, and somewhat smaller.
    overwrite : bool
        Whether it may replace a file.

    Raises
    ------
    InputError
        If an item is not an array of numbers.
    OutputError
        If the file exists, or cannot be written.
    """
    items = vectors.items() if isinstance(vectors, Mapping) else vectors
    named = (item if isinstance(item, tuple) else (f"arr_{k}", item) for k, item in enumerate(items))
    compression = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with (
        new_file(path, overwrite=overwrite) as partial,
        output_errors(path),
        zipfile.ZipFile(partial, "w", compression) as archive,
    ):
        for name, array in named:
            if not isinstance(array, np.ndarray) or array.dtype.hasobject:
                raise InputError(f"{name} must be an array of numbers, not {type(array).__name__}")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
