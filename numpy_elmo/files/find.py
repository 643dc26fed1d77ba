"""Where a model's files are: a folder, a weight file with its options, an NLPL zip, or a model's name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from numpy_elmo.errors import InputError, ModelNotFoundError
from numpy_elmo.files import published
from numpy_elmo.files.hdf5 import ArrayFile, check_is_hdf5, open_arrays
from numpy_elmo.files.options import ModelOptions, decode_options
from numpy_elmo.files.places import OPTIONS, Folder, Place, exists, pick, place_of, read_file, to_path

Source = "str | os.PathLike[str] | ModelFiles"


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model, found once and not opened yet; `find_model` takes it in place of a source.

    Attributes
    ----------
    name : str
        The weight file, as messages call it.
    options : ModelOptions
        The model's sizes.
    open_weights : callable
        Returns a context manager around the open weight file.
    place : Folder or Zip
        Where the model's other files are.
    """

    name: str
    options: ModelOptions
    open_weights: Callable[[], AbstractContextManager[ArrayFile]]
    place: Place

    def digest(self) -> str:
        """Return 32 hexadecimal digits for the options and weights, whatever the files are called."""
        digest = hashlib.sha256(repr(self.options).encode())
        with self.open_weights() as arrays:
            for part in arrays.stored_bytes():
                digest.update(part)
        return digest.hexdigest()[:32]


def find_model(
    source: str | os.PathLike[str] | ModelFiles, options: str | os.PathLike[str] | None = None
) -> ModelFiles:
    """Find a model's two files and read its options.

    Parameters
    ----------
    source : str, path or ModelFiles
        A folder, a weight file (with `options`), an NLPL ``.zip``, or the name of a model.  A path that exists comes
        before a name.
    options : str or path, optional
        The options file, where it is not beside the weights under a name that can be found.

    Returns
    -------
    ModelFiles

    Raises
    ------
    ModelNotFoundError
        If there is no such path and no such model, or a file of the model is missing.
    OptionsError
        If the options file is not one.
    WeightsError
        If what stands for the weight file is something else (a git-lfs pointer, an options file, a web page).
    """
    if isinstance(source, ModelFiles):
        return source
    path = to_path(source, "source must be a path or a model's name")
    if not exists(path):
        if not (isinstance(source, str) and published.is_name(source)):
            raise ModelNotFoundError(f"{path}: there is no such file or folder; give a folder, a zip or a model's name")
        path = published.find(source)
    given = None
    if options is not None:
        given = decode_options(read_file(to_path(options, "options must be a path"), OPTIONS), str(options))

    place = place_of(path)
    if place is None:
        check_is_hdf5(path, str(path))
        if given is None:
            raise InputError(f"{path} is a weight file; give its options file too (options=...), or the folder of both")
        return ModelFiles(str(path), given, partial(open_arrays, path, str(path)), Folder(path.parent))
    weights = pick_weights(place)
    if weights is None:
        raise ModelNotFoundError(f"{path} holds no weight file (model.hdf5 or *.hdf5); give the place that does")
    if given is None:
        beside = pick_options(place)
        if beside is None:
            raise ModelNotFoundError(
                f"{path} holds no options file (options.json or *options*.json); give it (options=...)"
            )
        given = decode_options(place.read(beside, OPTIONS), place.label(beside))
    return ModelFiles(place.label(weights), given, partial(place.open_hdf5, weights), place)


def pick_weights(place: Place) -> str | None:
    """Return the name of the weight file in a place.  A softmax beside it is no model by itself."""
    return pick(place, "model.hdf5", "*.hdf5", "weight file", remedy="give both files by path", without="softmax")


def pick_options(place: Place) -> str | None:
    """Return the name of the options file in a place."""
    return pick(place, "options.json", "*options*.json", "options file", remedy="give both files by path")
