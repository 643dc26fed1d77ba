"""Where a model's files are: a folder, a weight file with its options, an archive, or a model's name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import PureWindowsPath

from numpy_elmo.errors import InputError, ModelNotFoundError
from numpy_elmo.files import published
from numpy_elmo.files.arrays import Arrays
from numpy_elmo.files.checkpoint import AGGREGATION, check_data, open_checkpoint
from numpy_elmo.files.hdf5 import check_is_hdf5, open_arrays
from numpy_elmo.files.options import ASSUMED, ModelOptions, decode_options, options_of_shapes
from numpy_elmo.files.places import OPTIONS, Folder, Place, exists, pick, place_of, read_file, to_path
from numpy_elmo.files.tar import unpacked


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
    assumed : str
        What no file says and the options have nevertheless.
    damaged : callable, optional
        Where the format has checksums: returns the names of the arrays that do not have theirs.
    """

    name: str
    options: ModelOptions
    open_weights: Callable[[], AbstractContextManager[Arrays]]
    place: Place
    assumed: str = ""
    damaged: Callable[[], list[str]] | None = None


def find_model(
    source: str | os.PathLike[str] | ModelFiles, options: str | os.PathLike[str] | None = None
) -> ModelFiles:
    """Find a model's two files and read its options.

    Parameters
    ----------
    source : str, path or ModelFiles
        A folder, a weight file (with `options`), an NLPL ``.zip``, a ``.tar.gz``, or the name of a model.  A path that
        exists comes before a name.
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
    prefix = path.with_name(f"{path.name}.index") if path.name else path
    if exists(path) and path.suffix == ".index" and path.is_file():
        path, prefix = path.with_suffix(""), path
    if not exists(path) and exists(prefix):
        return _find_checkpoint(Folder(path.parent), path.name, options)
    if not exists(path):
        if not (isinstance(source, str) and published.is_name(source)):
            if "://" in str(source):
                raise ModelNotFoundError(_answer_to_address(str(source)))
            raise ModelNotFoundError(f"{path}: there is no such file or folder; give a folder, a zip or a model's name")
        path = published.find(source)
    place = place_of(path) or unpacked(path)
    if place is None:
        place = Folder(path.parent)
        given = None if options is None else _options(place, options)
        check_is_hdf5(path, str(path))
        if given is None:
            raise InputError(f"{path} is a weight file; give its options file too (options=...), or the folder of both")
        return ModelFiles(str(path), given, partial(open_arrays, path, str(path)), place)
    weights = pick_weights(place)
    if weights is not None:
        return ModelFiles(place.label(weights), _options(place, options), partial(place.open_hdf5, weights), place)
    if (prefix_in := pick_checkpoint(place)) is not None:
        return _find_checkpoint(place, prefix_in, options)
    if is_saved_model(place):
        return _find_checkpoint(Folder(path / "variables"), "variables", options)
    raise ModelNotFoundError(f"{path} holds no weight file (model.hdf5 or *.hdf5); {what_is_it(place)}")


def _options(place: Place, given: str | os.PathLike[str] | None) -> ModelOptions:
    """Read the options that were given, or those beside the weights."""
    if given is not None:
        return decode_options(read_file(to_path(given, "options must be a path"), OPTIONS), str(given))
    beside = pick_options(place)
    if beside is None:
        raise ModelNotFoundError(
            f"{place.path} holds no options file (options.json or *options*.json); give it (options=...)"
        )
    return decode_options(place.read(beside, OPTIONS), place.label(beside))


def _answer_to_address(address: str) -> str:
    """Say what to do with a web address that was given for a model."""
    for model in published.table().values():
        if any(address in file.addresses for file in model.files):
            return (
                f"{address} is an address, and nothing is fetched on loading; fetch the model once with "
                f"numpy_elmo.download({model.name!r}), then load({model.name!r})"
            )
    return f"{address} is an address, and nothing is fetched on loading; fetch the files, and give their folder"


def _find_checkpoint(place: Place, prefix: str, options: str | os.PathLike[str] | None) -> ModelFiles:
    name, open_weights = place.label(prefix), partial(open_checkpoint, place, prefix)
    assumed = ""
    with open_weights() as arrays:  # before the options: it may be no checkpoint
        # google/elmo has no options file
        if options is None and pick_options(place) is None and AGGREGATION in arrays:
            found, assumed = options_of_shapes(arrays), ASSUMED
    if not assumed:
        found = _options(place, options)
    return ModelFiles(name, found, open_weights, place, assumed, partial(check_data, place, prefix))


def pick_weights(place: Place) -> str | None:
    """Return the name of the weight file in a place.  A softmax beside it is no model by itself."""
    what, remedy = "weight file", "give both files by path"
    found = pick(place, "model.hdf5", "*.hdf5", what, remedy=remedy, without="softmax")
    return found or pick(place, "weights_file", "weights_file", what, remedy=remedy)  # as bio_embeddings keeps them


def pick_options(place: Place) -> str | None:
    """Return the name of the options file in a place."""
    what, remedy = "options file", "give both files by path"
    found = pick(place, "options.json", "*options*.json", what, remedy=remedy)
    return found or pick(place, "options_file", "options_file", what, remedy=remedy)


def pick_checkpoint(place: Place) -> str | None:
    """Return the prefix of a TensorFlow checkpoint in a place: the latest that a training names, or the only one."""
    names = place.names()
    if "checkpoint" in names:
        text = place.read("checkpoint", OPTIONS).decode("utf-8", "replace")
        latest = re.search(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
        prefix = PureWindowsPath(latest[1]).name if latest else ""
        if f"{prefix}.index" in names:  # it may have been written in another folder
            return prefix
    index = pick(place, "model.ckpt.index", "*.index", "checkpoint", remedy="give the right one by its prefix")
    return None if index is None else index.removesuffix(".index")


def is_saved_model(place: Place) -> bool:
    """Say whether a folder is a TensorFlow SavedModel or TF-Hub module with its variables."""
    graphs = {"saved_model.pb", "tfhub_module.pb"} & set(place.names())
    return bool(graphs) and (place.path / "variables" / "variables.index").is_file()


def what_is_it(place: Place) -> str:
    """Say what a place holds that is no model, or what to give instead."""
    names = set(place.names())
    for needed, what in _OTHERS:
        if needed <= names:
            return f"it looks like {what}"
    return "give the folder or zip that does"


_OTHERS = (
    ({"encoder.pkl", "token_embedder.pkl"}, "a model of ELMoForManyLangs, whose layout is another one and is not read"),
    ({"config.json", "pytorch_model.bin"}, "a model of the transformers library (such as BERT), which is no ELMo"),
    ({"config.json", "model.safetensors"}, "a model of the transformers library (such as BERT), which is no ELMo"),
    ({"bert_config.json"}, "a BERT model, which is no ELMo"),
    (
        {"saved_model.pb"},
        "a TensorFlow module (saved_model.pb) without its variables; fetch it again with the folder variables/",
    ),
    ({"tfhub_module.pb"}, "a TF-Hub module without its variables; fetch it again with the folder variables/"),
)
