"""Reading sentence vectors from HDF5 and npz files."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from operator import index
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, SupportsIndex, overload

import h5py
import numpy as np
import numpy.typing as npt

from numpy_elmo.corpus.tokenize import tokenize
from numpy_elmo.corpus.write import POOLED, SENTENCE_MAP, read_offsets
from numpy_elmo.errors import ElmoError, InputError, InputTypeError, VectorsNotFoundError
from numpy_elmo.files.hdf5 import HDF5_ERRORS, ArrayFile, attribute, item_problem, open_checked, place_problem
from numpy_elmo.files.hdf5_structure import UnreadLayoutError
from numpy_elmo.files.npz import NPZ_ERRORS, NpzFile
from numpy_elmo.files.places import to_path
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.checks import check_tokens

# What h5py, NumPy and zipfile raise for a damaged file.
_DAMAGE = (*HDF5_ERRORS, *NPZ_ERRORS, AttributeError)

_DIGITS = re.compile(r"([0-9]+)")
_NUMBERED = re.compile(r"(arr_)?[0-9]+")  # "7" in HDF5, "arr_7" from numpy.savez
_ATTRIBUTE = "numpy_elmo"  # what a file of numpy_elmo was made with
_ORIGINAL_ID = "original_id"  # an attribute of SeqVec's datasets


class EmbeddingFile(Sequence[Array]):
    """Sentence vectors in a file, each read on access; made by `load_embeddings`.

    Use it in a ``with`` statement, or `close` it.

    Attributes
    ----------
    keys : tuple of str
        Names of the datasets, in order; for pooled sentences, their row numbers.
    rows : mapping from str to int
        Number of each sentence by its name in the file; of equal sentences, the last.

    Examples
    --------
    ::

        with load_embeddings("vectors.hdf5") as embeddings:
            embeddings[0]  # the first sentence
            embeddings["She sat on the river bank"]  # if the file stores its sentences
            embeddings[["She", "sat", "on", "the", "river", "bank"]]  # the same, by its tokens
            embeddings.sentence(0)  # "She sat on the river bank"
            for vectors in embeddings: ...
    """

    def __init__(
        self,
        name: str,
        keys: Iterable[str],
        read: Callable[[str], Array],
        close: Callable[[], object],
        *,
        sentences: Mapping[str, int],
        has_names: bool = True,
        offsets: Callable[[str], npt.NDArray[np.integer] | None] = lambda _: None,
    ) -> None:
        self.keys = tuple(keys)
        self.rows = MappingProxyType({**(_rows(self.keys) if has_names else {}), **sentences})
        self._sentences = sentences
        self._name = name
        self._read = read
        self._close = close
        self._offsets = offsets
        self._is_open = True

    def __repr__(self) -> str:
        return f"<EmbeddingFile: {self._name}, {len(self)} sentences>"

    def __enter__(self) -> EmbeddingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._is_open = False
        self._close()

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, sentence: object) -> bool:
        try:
            return self._find(sentence) is not None
        except InputTypeError:
            return False

    def __iter__(self) -> Iterator[Array]:
        return map(self._vectors, range(len(self)))

    @overload
    def __getitem__(self, which: SupportsIndex | str | Iterable[str]) -> Array: ...
    @overload
    def __getitem__(self, which: slice) -> list[Array]: ...
    def __getitem__(self, which: SupportsIndex | str | Iterable[str] | slice) -> Array | list[Array]:
        """Return the vectors of a sentence, or of a slice of sentences.

        A sentence is given by its number from 0, as a string or as a list of tokens.  A string is looked up among the
        stored sentences and the names of the datasets: as it is, with single spaces, and tokenised.

        Raises
        ------
        VectorsNotFoundError
            If there is no such sentence.
        InputTypeError
            If it has another type.
        InputError
            If its vectors cannot be read.
        """
        if isinstance(which, slice):
            return list(map(self._vectors, range(len(self))[which]))
        return self._vectors(self._row(which))

    def sentence(self, number: SupportsIndex) -> str | None:
        """Return a sentence by its number; None if it is not stored, or an equal one comes later.

        Raises
        ------
        VectorsNotFoundError
            If there is no such sentence.
        """
        return self._by_number.get(self._checked(index(number)))

    def offsets(self, which: SupportsIndex | str | Iterable[str]) -> list[tuple[int, int]] | None:
        """Return the place of each token in the raw text, [first, end); None if it was not tokenised by the run.

        Raises
        ------
        VectorsNotFoundError, InputTypeError, InputError
            As for the vectors.
        """
        key = self.keys[self._checked(self._row(which))]
        with _read_errors(self._name, f"the offsets of {key!r}"):
            found = self._offsets(key)
            return None if found is None else [(int(first), int(after)) for first, after in found]

    def _row(self, which: Any) -> int:
        try:
            return index(which)
        except TypeError:
            row = self._find(which)
        if row is not None:
            return row
        if not self._sentences and len(self) and _NUMBERED.fullmatch(self.keys[0]):
            raise VectorsNotFoundError(
                f"{self._name} does not know its sentences (it has no {SENTENCE_MAP}); look them up by number"
            )
        raise VectorsNotFoundError(
            f"{self._name} has no sentence {which!r}; look it up as it was embedded, or by number"
        )

    def _find(self, sentence: Any) -> int | None:
        if not isinstance(sentence, str):
            sentence = " ".join(check_tokens(sentence, "a sentence"))
        if sentence in self.rows:
            return self.rows[sentence]
        row = self._by_words.get(" ".join(sentence.split()))
        return self._by_words.get(" ".join(tokenize(sentence))) if row is None else row

    @cached_property
    def _by_words(self) -> dict[str, int]:
        """Row by sentence, with single spaces."""
        return {" ".join(sentence.split()): row for sentence, row in self.rows.items()}

    @cached_property
    def _by_number(self) -> dict[int, str]:
        return {row: sentence for sentence, row in self._sentences.items()}

    def _checked(self, row: int) -> int:
        if not -len(self) <= row < len(self):
            raise VectorsNotFoundError(
                f"{self._name} has the sentences 0 to {len(self) - 1}, there is no sentence {row}"
            )
        if not self._is_open:
            raise InputError(f"{self._name} is closed; read inside the with statement, or call load_embeddings again")
        return row % len(self)

    def _vectors(self, row: int) -> Array:
        key = self.keys[self._checked(row)]
        with _read_errors(self._name, f"dataset {key!r}"):
            vectors = self._read(key)
            if not _is_vectors(vectors):
                raise _no_vectors(vectors, key, self._name)
        return vectors


def load_embeddings(path: str | os.PathLike[str]) -> EmbeddingFile:
    """Open a file of sentence vectors.

    It reads

    * what ``numpy-elmo embed`` and `VectorFile` write, pooled or not, by number and by sentence;
    * HDF5 in the layout of ``allennlp elmo``, of bilm-tf and of structural probes: datasets ``"0"``, ``"1"``, ...,
      and ``sentence_to_index``, if present, for lookup by sentence;
    * HDF5 with any other names, in groups or not, such as sentences, documents, or the proteins of SeqVec, which can
      also be looked up by the attribute ``original_id``;
    * npz: arrays ``arr_0``, ``arr_1``, ... or any other names.  Pickled Python objects are not read.

    Sentences are sorted by the numbers in their names, 2 before 10; names of npz without numbers keep the order of the
    file.  Every name can be looked up.  Arrays that are not vectors, such as labels, are left out.

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
    InputTypeError
        If `path` is not a path.
    InputError
        If there is no such file, it is neither HDF5 nor npz, or is damaged.

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
    file = to_path(path, "a file of vectors must be given by its path")
    if not file.is_file():
        raise InputError(f"{path}: there is no such file; give an HDF5 or npz file of vectors")
    return (_open_npz if zipfile.is_zipfile(file) else _open_hdf5)(file, str(file))


def _open_npz(path: Path, name: str) -> EmbeddingFile:
    with _read_errors(name, "its table of contents"):
        arrays = NpzFile(path)
        headers = {key: arrays.header(key) for key in arrays.names}
    keys = [key for key, (shape, dtype) in headers.items() if dtype.kind == "f" and 1 <= len(shape) <= 3]
    keys = keys or list(headers)
    if all(key[-1:].isdecimal() for key in keys):
        keys.sort(key=_natural)
    else:
        keys.sort(key=lambda key: _natural(key) if _NUMBERED.fullmatch(key) else [(1 << 30, "")])
    return EmbeddingFile(name, keys, arrays.read, arrays.close, sentences={})


def _open_hdf5(path: Path, name: str) -> EmbeddingFile:
    with _read_errors(name, "HDF5"):
        file = open_checked(path)
        try:
            return _read_hdf5(file, name)
        except BaseException:
            file.close()
            raise


def _read_hdf5(file: h5py.File, name: str) -> EmbeddingFile:
    made_with = json.loads(attribute(file, _ATTRIBUTE) or "{}")
    others = set(file) - {SENTENCE_MAP}
    if others == {POOLED} and (made_with.get("pooling", "none") != "none" or SENTENCE_MAP in file):
        table = _at(file, POOLED, to_read="numbers")
        # Rows may have no values, but each has a name of about 64 bytes in memory.
        if problem := ArrayFile(file, name).size_problem([(len(table), 16)]):
            raise InputError(f"{name}: {POOLED!r} has {len(table):,} rows, and {problem}; write the file again")
        keys = [str(row) for row in range(len(table))]
        sentences = _sentences(file, _rows(keys), name)
        return EmbeddingFile(name, keys, lambda key: table[int(key)], file.close, sentences=sentences, has_names=False)
    keys = sorted(_dataset_names(file, sorted(others), name), key=_natural)
    rows = _rows(keys)
    sentences = rows if made_with.get("sentence_keys") else _sentences(file, rows, name)
    if any(_ORIGINAL_ID in _at(file, key).attrs for key in keys[:100]):
        sentences = {_text(attribute(_at(file, key), _ORIGINAL_ID) or key): row for key, row in rows.items()}
    return EmbeddingFile(
        name,
        keys,
        lambda key: _at(file, key, to_read="numbers")[()],
        file.close,
        sentences=sentences,
        offsets=lambda key: read_offsets(_at(file, key)),
    )


def _dataset_names(file: h5py.File, names: list[str], name: str) -> list[str]:
    """Return the names of the datasets of vectors, in groups too: a slash in a sentence makes a group."""
    if all(map(_NUMBERED.fullmatch, names)) and all(isinstance(_at(file, key), h5py.Dataset) for key in _sample(names)):
        return names  # opening each of millions would take long
    if {"char_embed", "RNN_0"} & set(names):
        raise InputError(f"{name} holds no vectors of sentences; is it a model's weight file?")
    found: list[str] = []
    others: list[tuple[Any, str]] = []

    def visit(path: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and path != SENTENCE_MAP:
            found.append(path) if _is_vectors(_at(file, path)) else others.append((item, path))

    file.visititems(visit)
    if others and not found:
        raise _no_vectors(*others[0], name)
    return found


def _sentences(file: h5py.File, rows: Mapping[str, int], name: str) -> dict[str, int]:
    """Return the row of each stored sentence."""
    if SENTENCE_MAP not in file:
        return {}
    text = _at(file, SENTENCE_MAP, to_read="texts")
    found = json.loads(text[()] if text.shape == () else text[0])
    if outside := [key for key in found.values() if str(key) not in rows]:
        problem = f"{SENTENCE_MAP} names dataset {str(outside[0])!r}, which is not among its {len(rows)}"
        raise InputError(f"{name}: {problem}; write the file again")
    return {sentence: rows[str(key)] for sentence, key in found.items()}


def _at(file: h5py.File, path: str, *, to_read: Literal["numbers", "texts"] | None = None) -> Any:
    """Return an item; raise InputError if it is elsewhere, larger than this file can hold, or unsafe to read."""
    problem = place_problem(file, path)
    if not problem:
        item = file[path]
        problem = item_problem(item, texts=to_read == "texts") if to_read else None
    if problem:
        raise InputError(f"{file.filename}: {path!r} is {problem}; write plain datasets")
    return item


def _sample(names: list[str]) -> list[str]:
    """Return at most about 10,000 of the names, evenly spaced, and the last."""
    return [*names[:: 1 + len(names) // 10_000], *names[-1:]]


def _rows(keys: Iterable[str]) -> dict[str, int]:
    return {key: row for row, key in enumerate(keys)}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts the numbers in names by value."""
    parts = _DIGITS.split(name)
    digits = [part.lstrip("0") for part in parts]
    return [(len(digits[k]), digits[k]) if k % 2 else (0, part) for k, part in enumerate(parts)]


def _is_vectors(array: Array | h5py.Dataset) -> bool:
    return array.dtype.kind == "f" and 1 <= array.ndim <= 3


def _no_vectors(array: Array | h5py.Dataset, key: str, name: str) -> InputError:
    return InputError(
        f"{name}, dataset {key!r}: an array of {array.dtype} with {array.ndim} dimensions holds no vectors of a "
        "sentence; is it a model's weight file?"
    )


@contextmanager
def _read_errors(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except ElmoError:
        raise
    except UnreadLayoutError as error:
        raise InputError(f"{name}: {error}; copy its datasets to a new file with h5py's default settings") from error
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{name}, {what} holds pickled Python objects, which could run code; write plain arrays"
            ) from error
        raise InputError(
            f"{name} is damaged or no file of vectors ({what} cannot be read: {error}); give HDF5 or npz"
        ) from error
