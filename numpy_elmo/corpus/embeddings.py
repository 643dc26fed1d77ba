"""Reading the vectors of sentences back from the files that hold them: HDF5 and npz."""

from __future__ import annotations

import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import index
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import SupportsIndex, overload

import h5py
import numpy as np

from numpy_elmo.corpus.write import SENTENCE_MAP
from numpy_elmo.errors import InputError, VectorsNotFoundError
from numpy_elmo.layers.arrays import Array

# What a library raises on a damaged file.
_DAMAGE = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)

_NUMBER = re.compile(r"(?:arr_)?(0|[1-9][0-9]*)", re.ASCII)  # "7" in HDF5, "arr_7" as numpy.savez has it


class EmbeddingFile(Sequence[Array]):
    """Vectors of sentences in a file, each read when it is asked for.  Made by `load_embeddings`.

    Use it in a ``with`` statement, or `close` it.

    Attributes
    ----------
    keys : tuple of str
        Names of the datasets, in order.
    rows : mapping from str to int
        Place of every sentence that can be looked up; of equal sentences it is the last.

    Examples
    --------
    ::

        with load_embeddings("vectors.hdf5") as embeddings:
            embeddings[0]  # the first sentence
            embeddings["She sat on the river bank"]  # where the file knows its sentences
            for vectors in embeddings: ...
    """

    def __init__(
        self,
        name: str,
        keys: Iterable[str],
        rows: Mapping[str, int],
        read: Callable[[str], Array],
        close: Callable[[], object],
    ) -> None:
        self.keys = tuple(keys)
        self.rows = MappingProxyType(rows)
        self._name = name
        self._read = read
        self._close = close
        self._is_open = True

    def __repr__(self) -> str:
        return f"<EmbeddingFile: {self._name}, {len(self)} sentences>"

    def __enter__(self) -> EmbeddingFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._is_open = False
        self._close()

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, sentence: object) -> bool:
        return sentence in self.rows

    def __iter__(self) -> Iterator[Array]:
        return map(self._vectors, range(len(self)))

    @overload
    def __getitem__(self, which: SupportsIndex | str) -> Array: ...
    @overload
    def __getitem__(self, which: slice) -> list[Array]: ...
    def __getitem__(self, which: SupportsIndex | str | slice) -> Array | list[Array]:
        """Return the vectors of a sentence, given by its number from 0 or as a string, or of a slice of sentences.

        Raises
        ------
        VectorsNotFoundError
            If there is no such sentence.
        InputError
            If its vectors cannot be read.
        """
        if isinstance(which, slice):
            return list(map(self._vectors, range(len(self))[which]))
        return self._vectors(self._row(which) if isinstance(which, str) else index(which))

    def _row(self, sentence: str) -> int:
        if not self.rows and len(self):
            raise VectorsNotFoundError(
                f"{self._name} does not know its sentences (it has no {SENTENCE_MAP}); look them up by number"
            )
        try:
            return self.rows[sentence]
        except KeyError as error:
            raise VectorsNotFoundError(
                f"{self._name} has no sentence {sentence!r}; give its tokens with one space between them, as they were "
                "embedded"
            ) from error

    def _vectors(self, row: int) -> Array:
        if not -len(self) <= row < len(self):
            raise VectorsNotFoundError(
                f"{self._name} has the sentences 0 to {len(self) - 1}, there is no sentence {row}"
            )
        if not self._is_open:
            raise InputError(f"{self._name} is closed; read inside the with statement, or call load_embeddings again")
        key = self.keys[row]
        with _read_errors(self._name, f"dataset {key!r}"):
            vectors = self._read(key)
            _check_vectors(vectors, key, self._name)
        return vectors


def load_embeddings(path: str | os.PathLike[str]) -> EmbeddingFile:
    """Open a file of sentence vectors.

    It reads

    * HDF5 in the layout of ``allennlp elmo``, which ``numpy-elmo embed`` writes too: datasets ``"0"``, ``"1"``, ...,
      in the order of these numbers, and ``sentence_to_index`` for lookup by sentence where it is there;
    * HDF5 keyed by sentence (``--use-sentence-keys``), in the order of the file, which is that of the alphabet;
    * npz: arrays ``arr_0``, ``arr_1``, ... in the order of these numbers, or arrays of any other names in the order
      of the file.  Arrays that are pickled Python objects are not read.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    EmbeddingFile
        A sequence of arrays with lookup by sentence.  The file stays open until it is closed.

    Raises
    ------
    InputError
        If there is no such file, it is neither HDF5 nor npz, is damaged, or lacks a sentence between others.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> from numpy_elmo.corpus import load_embeddings, write_npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_npz(Path(folder, "vectors.npz"), [np.ones((5, 4)), np.zeros((2, 4))])
    ...     with load_embeddings(Path(folder, "vectors.npz")) as embeddings:
    ...         print(len(embeddings), embeddings[1].shape)
    2 (2, 4)
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; give an HDF5 or npz file of vectors")
    return (_open_npz if zipfile.is_zipfile(path) else _open_hdf5)(str(path))


def _open_npz(name: str) -> EmbeddingFile:
    with _read_errors(name, "its table of contents"):
        arrays = np.load(name, allow_pickle=False)
    rows: dict[str, int] = {}
    keys = _numbered(arrays.files, name)
    if keys is None:
        keys = list(arrays.files)
        rows = {key: row for row, key in enumerate(keys)}
    return EmbeddingFile(name, keys, rows, arrays.__getitem__, arrays.close)


def _open_hdf5(name: str) -> EmbeddingFile:
    with _read_errors(name, "HDF5"):
        file = h5py.File(name, "r")
        try:
            keys, rows = _contents(file, name)
        except BaseException:
            file.close()
            raise
    return EmbeddingFile(name, keys, rows, lambda key: file[key][()], file.close)


def _contents(file: h5py.File, name: str) -> tuple[list[str], dict[str, int]]:
    """Return the names of the datasets in order, and the place of every sentence."""
    numbered = _numbered([key for key in file if key != SENTENCE_MAP], name)
    if numbered is None:
        paths = _paths(file, name)
        return paths, {path: row for row, path in enumerate(paths)}
    return numbered, _sentence_map(file[SENTENCE_MAP], len(numbered), name) if SENTENCE_MAP in file else {}


def _numbered(names: list[str], name: str) -> list[str] | None:
    """Return the names in the order of their numbers, or None if they are no numbers."""
    matches = [_NUMBER.fullmatch(key) for key in names]
    numbers = [int(match[1]) for match in matches if match]
    if len(numbers) < len(names):
        return None
    by_number = dict(zip(numbers, names, strict=True))
    missing = next((k for k in range(len(names)) if k not in by_number), None)
    if missing is not None:
        raise InputError(
            f"{name} has {len(names)} sentences and none of the number {missing}; it is incomplete, write it again"
        )
    return [by_number[k] for k in range(len(names))]


def _sentence_map(dataset: h5py.Dataset, n_sentences: int, name: str) -> dict[str, int]:
    rows = {sentence: int(row) for sentence, row in json.loads(dataset[0]).items()}
    if outside := [row for row in rows.values() if not 0 <= row < n_sentences]:
        raise InputError(
            f"{name}: {SENTENCE_MAP} names dataset {outside[0]!r}, which is not among the {n_sentences} numbered ones; "
            "write the file again"
        )
    return rows


def _paths(file: h5py.File, name: str) -> list[str]:
    """Return the names of all datasets.  A slash in a sentence makes groups, so a sentence may lie deep."""
    found: list[str] = []

    def visit(path: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            _check_vectors(item, path, name)
            found.append(path)

    file.visititems(visit)
    return found


def _check_vectors(array: Array | h5py.Dataset, key: str, name: str) -> None:
    if array.dtype.kind != "f" or not 1 <= array.ndim <= 3:
        raise InputError(
            f"{name}, dataset {key!r}: an array of {array.dtype} with {array.ndim} dimensions holds no vectors of a "
            "sentence; is it a model's weight file?"
        )


@contextmanager
def _read_errors(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{name}, {what} holds pickled Python objects, which could run code; write plain arrays"
            ) from error
        raise InputError(
            f"{name} is damaged or no file of vectors ({what} cannot be read: {error}); give HDF5 or npz"
        ) from error
