"""Where a softmax and its vocabulary are, and reading them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError, ModelNotFoundError, WeightsError
from numpy_elmo.files import published
from numpy_elmo.files.find import (
    ModelFiles,
    exists,
    inside,
    is_zip,
    members,
    open_hdf5,
    open_member,
    read_member,
    to_path,
)
from numpy_elmo.files.hdf5 import HDF5_ERRORS, dataset_problem, size_problem
from numpy_elmo.files.vocabulary import Vocabulary, decode_vocabulary, read_vocabulary
from numpy_elmo.language_model.softmax import BLOCK_VALUES, InMemory, Matrix, OnDisk, Softmax
from numpy_elmo.layers.arrays import Array, read_only

PathLike: TypeAlias = "str | os.PathLike[str]"
OpenFile: TypeAlias = Callable[[], AbstractContextManager[h5py.File]]

REMEDY = (
    "give it (softmax=..., vocab=...), or fetch it with the model: numpy-elmo download NAME --softmax.  "
    "Not every published model has one"
)


@dataclass(frozen=True)
class SoftmaxFile:
    """A file with ``softmax/W`` and ``softmax/b``, not opened yet.

    Attributes
    ----------
    name : str
        How messages call it.
    open_file : callable
        Returns a context manager around the open HDF5 file.
    """

    name: str
    open_file: OpenFile


def find_softmax(source: PathLike, model: ModelFiles, softmax: PathLike | None) -> SoftmaxFile:
    """Find the softmax of a model.

    Parameters
    ----------
    source : str or path
        The model's folder, weight file or zip, or its name.
    model : ModelFiles
        The same model's files.
    softmax : str or path, optional
        The softmax's file.  By default it is the model's weight file, if the softmax is in it, or else the one
        ``*softmax*.hdf5`` beside it.

    Returns
    -------
    SoftmaxFile

    Raises
    ------
    ModelNotFoundError
        If there is none.
    InputError
        If there are several.
    """
    if softmax is not None:
        given = to_path(softmax, "softmax must be a path")
        if not exists(given):
            raise ModelNotFoundError(f"{softmax}: there is no such softmax file")
        return SoftmaxFile(str(softmax), partial(open_hdf5, given))
    with model.open_weights() as file:
        if "softmax/W" in file:
            return SoftmaxFile(model.name, model.open_weights)
    path = _path(source)
    if is_zip(path):
        found_members = _members(path, "softmax", ".hdf5")
        if not found_members:
            raise ModelNotFoundError(
                f"{path} holds no softmax (softmax/W in its weight file, or *softmax*.hdf5); {REMEDY}"
            )
        return SoftmaxFile(f"{path}!{found_members[0]}", partial(open_member, path, found_members[0]))
    found = _beside(path, "*softmax*.hdf5", None, "softmax=...")
    if found is None:
        raise ModelNotFoundError(
            f"no softmax was found, neither softmax/W in {model.name} nor *softmax*.hdf5 beside it; {REMEDY}"
        )
    return SoftmaxFile(str(found), partial(open_hdf5, found))


def find_vocabulary(source: PathLike, vocab: PathLike | None, softmax: PathLike | None) -> tuple[Vocabulary, str]:
    """Find and read the vocabulary of a softmax.

    Parameters
    ----------
    source : str or path
        The model's folder, weight file or zip, or its name.
    vocab : str or path, optional
        The vocabulary's file.  By default it is ``vocab.txt``, or the one ``vocab*.txt``, beside the softmax that was
        given, or else beside the model.
    softmax : str or path, optional
        The softmax's file, if one was given.

    Returns
    -------
    vocabulary : Vocabulary
        Its words.
    name : str
        How messages call it.

    Raises
    ------
    ModelNotFoundError
        If there is none.
    InputError
        If there are several, or it cannot be used.
    """
    if vocab is not None:
        return read_vocabulary(vocab), str(vocab)
    path = _path(source)
    if softmax is not None and (found := _beside(Path(softmax), "vocab*.txt", "vocab.txt", "vocab=...")):
        return read_vocabulary(found), str(found)
    if is_zip(path):
        found_members = _members(path, "vocab", ".txt")
        if found_members:
            name = f"{path}!{found_members[0]}"
            return decode_vocabulary(read_member(path, found_members[0]), name), name
    elif found := _beside(path, "vocab*.txt", "vocab.txt", "vocab=..."):
        return read_vocabulary(found), str(found)
    raise ModelNotFoundError(
        f"no vocabulary (vocab*.txt, one word a line) was found beside {path}; give it (vocab=...)"
    )


def read_softmax(
    file: SoftmaxFile,
    *,
    width: int,
    vocabulary: Vocabulary,
    vocabulary_name: str,
    dtype: npt.DTypeLike,
    in_memory: bool,
) -> Softmax:
    """Read a softmax, or prepare to read it block by block.

    Parameters
    ----------
    file : SoftmaxFile
        The file.
    width : int
        Length P of the vectors that the model gives in each direction.
    vocabulary : Vocabulary
        The words.
    vocabulary_name : str
        How messages call them.
    dtype : {"float32", "float64"}
        Precision to compute in.
    in_memory : bool
        Whether to read W now and keep it.

    Returns
    -------
    Softmax

    Raises
    ------
    WeightsError
        If the file holds no softmax, its sizes do not fit the model or the vocabulary, or values are not finite.  Of
        a W that stays on disk the values are looked at when they are used.
    """
    with file.open_file() as opened:
        for name in ("softmax/W", "softmax/b"):
            if problem := dataset_problem(opened, name):
                raise WeightsError(
                    f"{file.name} holds no softmax: {name} is expected to be a dataset, found {problem}; "
                    "give the file that the softmax was published in"
                )
        W, b = opened["softmax/W"], opened["softmax/b"]
        if W.ndim != 2 or b.shape != W.shape[:1] or W.dtype.kind != "f" or b.dtype.kind != "f":
            raise WeightsError(
                f"{file.name}: softmax/W must be (V, P) and softmax/b (V,), floating-point; "
                f"found {W.shape} {W.dtype} and {b.shape} {b.dtype}"
            )
        if W.shape[1] != width:
            raise WeightsError(
                f"{file.name}: softmax/W has rows of {W.shape[1]} values, and the model's vectors have {width} in each "
                "direction; give the softmax that was trained with this model"
            )
        if W.shape[0] != len(vocabulary):
            raise WeightsError(
                f"{file.name}: softmax/W has {W.shape[0]:,} rows, and {vocabulary_name} has {len(vocabulary):,} words; "
                "give the vocabulary that the softmax was trained with"
            )
        if problem := size_problem(opened, [W.shape, b.shape]):
            raise WeightsError(f"{file.name}: {problem}; fetch the file again")
        biases = _read(b, file.name, dtype)
        shape = (int(W.shape[0]), int(W.shape[1]))
        weights: Matrix = (
            InMemory(_read(W, file.name, dtype))
            if in_memory
            else OnDisk(file.open_file, shape, biases.dtype, file.name)
        )
    return Softmax(weights, biases)


def _read(dataset: h5py.Dataset, name: str, dtype: npt.DTypeLike) -> Array:
    # Piece by piece into its place: a second copy of the published W would be another 1.6 GB.
    values: Array = np.empty(dataset.shape, dtype)
    n_rows = max(1, BLOCK_VALUES // int(np.prod(dataset.shape[1:], dtype=np.intp)))
    for start in range(0, len(values), n_rows):
        rows = slice(start, start + n_rows)
        try:
            values[rows] = dataset[rows]
        except HDF5_ERRORS as error:
            raise WeightsError(f"{name}: {dataset.name[1:]} cannot be read ({error}); fetch the file again") from error
        if not np.isfinite(values[rows]).all():
            raise WeightsError(
                f"{name}: {dataset.name[1:]} holds values that are not finite (NaN or infinite); "
                "the file is damaged or its training diverged: fetch it again"
            )
    return read_only(values)


def _path(source: PathLike) -> Path:
    path = Path(source)
    return path if exists(path) else published.find(str(source))


def _members(path: Path, part: str, suffix: str) -> list[str]:
    """Return the members of a zip with such a file name, the least deep first."""
    names = [PurePosixPath(name) for name in members(path)]
    found = [name for name in names if part in name.name and name.suffix == suffix]
    return [str(name) for name in sorted(found, key=lambda name: (len(name.parts), str(name)))]


def _beside(path: Path, pattern: str, preferred: str | None, argument: str) -> Path | None:
    folder = path if path.is_dir() else path.parent
    if preferred is not None and (folder / preferred).is_file():
        return inside(folder, folder / preferred)
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise InputError(f"{folder} holds several files {pattern} ({names}); give the right one ({argument})")
    return inside(folder, found[0]) if found else None
