"""Finding and reading a softmax and its vocabulary."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy.typing as npt

from numpy_elmo.errors import ModelNotFoundError, WeightsError
from numpy_elmo.files.arrays import Arrays
from numpy_elmo.files.find import ModelFiles
from numpy_elmo.files.hdf5 import open_arrays
from numpy_elmo.files.places import VOCABULARY, Folder, Place, exists, pick, to_path
from numpy_elmo.files.vocabulary import Vocabulary, decode_vocabulary, read_vocabulary
from numpy_elmo.language_model.softmax import Blocks, Softmax, in_memory, on_disk

PathLike: TypeAlias = "str | os.PathLike[str]"

W, B = "softmax/W", "softmax/b"
REMEDY = (
    "give it (softmax=..., vocabulary=...), or fetch it with the model: numpy_elmo.download(NAME, softmax=True).  "
    "Not every published model has one"
)


class SoftmaxFile(NamedTuple):
    """A file with ``softmax/W`` and ``softmax/b``, not opened yet, and its name in messages."""

    name: str
    open_file: Callable[[], AbstractContextManager[Arrays]]


def find_softmax(model: ModelFiles, softmax: PathLike | None) -> SoftmaxFile:
    """Find the softmax of a model: the one given, the one in the weight file, or ``*softmax*.hdf5`` beside it."""
    if softmax is not None:
        given = to_path(softmax, "softmax must be a path")
        if not exists(given):
            raise ModelNotFoundError(f"{softmax}: there is no such softmax file")
        return SoftmaxFile(str(softmax), partial(open_arrays, given, str(softmax)))
    with model.open_weights() as file:
        if W in file:
            return SoftmaxFile(model.name, model.open_weights)
    found = pick(model.place, "softmax.hdf5", "*softmax*.hdf5", "softmax", remedy="give the right one (softmax=...)")
    if found is None:
        raise ModelNotFoundError(
            f"no softmax was found, neither softmax/W in {model.name} nor *softmax*.hdf5 beside it; {REMEDY}"
        )
    return SoftmaxFile(model.place.label(found), partial(model.place.open_hdf5, found))


def find_vocabulary(model: ModelFiles, vocab: PathLike | None, softmax: PathLike | None) -> tuple[Vocabulary, str]:
    """Read the vocabulary given, or the one beside the softmax that was given or the model; return its name too."""
    if vocab is not None:
        return read_vocabulary(vocab), str(vocab)
    places: list[Place] = [model.place]
    if softmax is not None:
        places.insert(0, Folder(to_path(softmax, "softmax must be a path").parent))
    for place in places:
        if found := pick(place, "vocab.txt", "vocab*.txt", "vocabulary", remedy="give the right one (vocabulary=...)"):
            name = place.label(found)
            return decode_vocabulary(place.read(found, VOCABULARY), name), name
    raise ModelNotFoundError(
        f"no vocabulary (vocab*.txt, one word per line) was found beside {model.name}; give it (vocabulary=...)"
    )


def read_softmax(
    file: SoftmaxFile,
    *,
    width: int,
    vocabulary: Vocabulary,
    vocabulary_name: str,
    dtype: npt.DTypeLike,
    keep: bool,
) -> Softmax:
    """Read a softmax, or prepare to read it block by block.

    Raises
    ------
    WeightsError
        If the file holds no softmax, its sizes do not fit the model (vectors of `width` values in each direction) or
        the vocabulary, or values are not finite.  A W that stays on disk is checked when it is used.
    """
    with file.open_file() as opened:
        for name in (W, B):
            if problem := opened.problem(name):
                raise WeightsError(
                    f"{file.name} holds no softmax: {name} is expected to be a dataset, found {problem}; "
                    "give the file that the softmax was published in"
                )
        (n_words, *rest), biases = opened.shape(W) or (0,), opened.shape(B)
        if len(rest) != 1 or biases != (n_words,) or any(opened.dtype(name).kind != "f" for name in (W, B)):
            raise WeightsError(
                f"{file.name}: softmax/W must be (V, P) and softmax/b (V,), floating-point; "
                f"found {opened.shape(W)} {opened.dtype(W)} and {biases} {opened.dtype(B)}"
            )
        if rest[0] != width:
            raise WeightsError(
                f"{file.name}: softmax/W has rows of {rest[0]} values, and the model's vectors have {width} in each "
                "direction; give the softmax that was trained with this model"
            )
        if n_words != len(vocabulary):
            raise WeightsError(
                f"{file.name}: softmax/W has {n_words:,} rows, and {vocabulary_name} has {len(vocabulary):,} words; "
                "give the vocabulary that the softmax was trained with"
            )
        if problem := opened.size_problem([(n_words, width), biases]):
            raise WeightsError(f"{file.name}: {problem}; fetch the file again")
        b = opened.read(B, dtype)
        weights: Blocks = in_memory(opened.read(W, dtype)) if keep else on_disk(file.open_file, width, b.dtype)
    return Softmax(weights, b)
