"""Finding a model's files: in a folder or archive, by a weight file with its options, or by the model's name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import TypeAlias

from numpy_elmo.errors import InputError, ModelNotFoundError
from numpy_elmo.files import published
from numpy_elmo.files.allennlp import is_torch_file, open_allennlp
from numpy_elmo.files.arrays import Arrays
from numpy_elmo.files.checkpoint import AGGREGATION, check_data, open_checkpoint
from numpy_elmo.files.hdf5 import check_is_hdf5, open_arrays
from numpy_elmo.files.options import ASSUMED, ModelOptions, decode_options, layer_norm_of_config, options_of_shapes
from numpy_elmo.files.places import OPTIONS, Folder, Place, exists, pick, place_of, read_file, to_path
from numpy_elmo.files.safetensors import open_safetensors
from numpy_elmo.files.tar import unpacked

StrPath: TypeAlias = "str | os.PathLike[str]"

SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model, found but not opened; `find_model` also accepts it as a source.

    Attributes
    ----------
    name : str
        Name of the weight file in messages.
    options : ModelOptions
        The model's sizes.
    open_weights : callable
        Returns a context manager that opens the weight file.
    place : Folder or Zip
        Location of the model's other files.
    assumed : str
        The options that no file states and that are assumed.
    damaged : callable, optional
        If the format has checksums: returns the names of the arrays that do not match theirs.
    layer_norm : bool
        Whether the mixes stored with the model normalise the layers.
    """

    name: str
    options: ModelOptions
    open_weights: Callable[[], AbstractContextManager[Arrays]]
    place: Place
    assumed: str = ""
    damaged: Callable[[], list[str]] | None = None
    layer_norm: bool = False


def find_model(source: StrPath | ModelFiles, options: StrPath | None = None) -> ModelFiles:
    """Find a model's two files and read its options.

    Parameters
    ----------
    source : str, path or ModelFiles
        A folder, a weight file (with `options`), an NLPL ``.zip``, a ``.tar.gz``, or the name of a model.  A path that
        exists takes precedence over a name.
    options : str or path, optional
        The options file, if it is not beside the weights under a known name.

    Returns
    -------
    ModelFiles

    Raises
    ------
    ModelNotFoundError
        If there is no such path and no such model, or a file of the model is missing.
    OptionsError
        If the options file is invalid.
    WeightsError
        If the weight file is something else (a git-lfs pointer, an options file, a web page).
    """
    if isinstance(source, ModelFiles):
        return source
    path = to_path(source, "source must be a path or a model's name")
    prefix = path.with_name(f"{path.name}.index") if path.name else path
    if exists(path) and path.suffix == ".index" and path.is_file():
        path, prefix = path.with_suffix(""), path
    if not exists(path) and exists(prefix):
        return _of_checkpoint(Folder(path.parent), path.name, options)
    if not exists(path):
        if not (isinstance(source, str) and published.is_name(source)):
            if "://" in str(source):
                raise ModelNotFoundError(_answer_to_address(str(source)))
            raise ModelNotFoundError(f"{path}: there is no such file or folder; give a folder, a zip or a model's name")
        path = published.find(source)
    place = None if is_torch_file(path) else place_of(path) or unpacked(path)
    return _of_file(path, options) if place is None else _of_place(place, options)


def _of_file(path: Path, options: StrPath | None) -> ModelFiles:
    """Return the model of a weight file."""
    place = Folder(path.parent)
    if is_torch_file(path):
        return _of_allennlp(place, path.name, options)
    given = None if options is None else _options(place, options)
    if path.suffix != SAFETENSORS:
        check_is_hdf5(path, str(path))
    if given is None:
        raise InputError(f"{path} is a weight file; give its options file too (options=...), or the folder of both")
    if path.suffix == SAFETENSORS:
        return ModelFiles(str(path), given, partial(open_safetensors, place, path.name), place)
    return ModelFiles(str(path), given, partial(open_arrays, path, str(path)), place)


def _of_place(place: Place, options: StrPath | None) -> ModelFiles:
    """Return the model in a folder or archive, in the first format that is found."""
    if (name := pick_weights(place)) is not None:
        return ModelFiles(place.label(name), _options(place, options), partial(place.open_hdf5, name), place)
    if (name := pick_safetensors(place)) is not None and (options or pick_options(place) or not what_is_it(place)):
        return ModelFiles(place.label(name), _options(place, options), partial(open_safetensors, place, name), place)
    if (name := pick_torch_file(place)) is not None:
        return _of_allennlp(place, name, options)
    if (name := pick_checkpoint(place)) is not None:
        return _of_checkpoint(place, name, options)
    if is_saved_model(place):
        return _of_checkpoint(Folder(place.path / "variables"), "variables", options)
    what = what_is_it(place) or "give the folder or archive that does"
    raise ModelNotFoundError(f"{place.name} holds no weight file (model.hdf5 or *.hdf5); {what}")


def _options(place: Place, given: StrPath | None) -> ModelOptions:
    """Read the options that were given, or those beside the weights."""
    if given is not None:
        return decode_options(read_file(to_path(given, "options must be a path"), OPTIONS), str(given))
    beside = pick_options(place)
    if beside is None:
        raise ModelNotFoundError(
            f"{place.name} holds no options file (options.json or *options*.json); give it (options=...)"
        )
    return decode_options(place.read(beside, OPTIONS), place.label(beside))


def _answer_to_address(address: str) -> str:
    """Say what to do with a web address given as a model."""
    asked, _, _ = address.partition("?")  # https://tfhub.dev/google/elmo/3 has its file at ...?tf-hub-format=compressed
    for model in published.table().values():
        if any(known.partition("?")[0] == asked for file in model.files for known in file.addresses):
            return (
                f"{address} is an address, and loading downloads nothing; get the model once with "
                f"numpy_elmo.download({model.name!r}), then load({model.name!r})"
            )
    return f"{address} is an address, and loading downloads nothing; download the files, and give their folder"


def _of_checkpoint(place: Place, prefix: str, options: StrPath | None) -> ModelFiles:
    name, open_weights = place.label(prefix), partial(open_checkpoint, place, prefix)
    assumed = ""
    with open_weights() as arrays:  # before the options: it may not be a checkpoint
        # google/elmo has no options file
        if options is None and pick_options(place) is None and AGGREGATION in arrays:
            found, assumed = options_of_shapes(arrays), ASSUMED
    if not assumed:
        found = _options(place, options)
    return ModelFiles(name, found, open_weights, place, assumed, partial(check_data, place, prefix))


def _of_allennlp(place: Place, weights: str, options: StrPath | None) -> ModelFiles:
    name, open_weights = place.label(weights), partial(open_allennlp, place, weights)
    with open_weights() as arrays:
        found = options_of_shapes(arrays) if options is None and pick_options(place) is None else None
    assumed = "" if found is None else ASSUMED
    if found is None:
        found = _options(place, options)
    config = pick(place, "config.json", "config.json", "configuration", remedy="give the weights by their path")
    layer_norm = config is not None and layer_norm_of_config(place.read(config, OPTIONS), place.label(config))
    return ModelFiles(name, found, open_weights, place, assumed, layer_norm=layer_norm)


def pick_weights(place: Place) -> str | None:
    """Return the name of the weight file in a place, other than that of a softmax."""
    what, remedy = "weight file", "give both files by path"
    found = pick(place, "model.hdf5", "*.hdf5", what, remedy=remedy, without="softmax")
    return found or pick(place, "weights_file", "weights_file", what, remedy=remedy)  # the name in bio_embeddings


def pick_options(place: Place) -> str | None:
    """Return the name of the options file in a place."""
    what, remedy = "options file", "give both files by path"
    found = pick(place, "options.json", "*options*.json", what, remedy=remedy)
    found = found or pick(place, "options_file", "*options_file", what, remedy=remedy)  # AllenNLP: fta/...options_file
    folder = place.path / "fta"
    if found is None and isinstance(place, Folder) and folder.is_dir():
        found = pick(Folder(folder), "options_file", "*options_file", what, remedy=remedy)
        return found and f"fta/{found}"
    return found


def pick_safetensors(place: Place) -> str | None:
    """Return the name of the safetensors file in a place."""
    return pick(place, "model.safetensors", f"*{SAFETENSORS}", "weight file", remedy="give both files by path")


def pick_torch_file(place: Place) -> str | None:
    """Return the name of the weights of an AllenNLP model in a place."""
    remedy = "give the right one by its path"
    for preferred in ("weights.th", "best.th"):
        if found := pick(place, preferred, preferred, "PyTorch file", remedy=remedy):
            return found
    return pick(place, "*.th", "*.th", "PyTorch file", remedy=remedy, without="training_state")


def pick_checkpoint(place: Place) -> str | None:
    """Return the prefix of a TensorFlow checkpoint in a place: the latest that its training names, or the only one."""
    names = place.names()
    if "checkpoint" in names:
        text = place.read("checkpoint", OPTIONS).decode("utf-8", "replace")
        latest = re.search(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
        prefix = PureWindowsPath(latest[1]).name if latest else ""
        if f"{prefix}.index" in names:  # the path may be that of another folder
            return prefix
    index = pick(place, "model.ckpt.index", "*.index", "checkpoint", remedy="give the right one by its prefix")
    return None if index is None else index.removesuffix(".index")


def is_saved_model(place: Place) -> bool:
    """Say whether a folder is a TensorFlow SavedModel or TF-Hub module with its variables."""
    graphs = {"saved_model.pb", "tfhub_module.pb"} & set(place.names())
    return bool(graphs) and (place.path / "variables" / "variables.index").is_file()


def what_is_it(place: Place) -> str | None:
    """Say what a place holds instead of a model; None if it is not recognised."""
    names = set(place.names())
    for needed, what in _OTHERS:
        if needed <= names:
            return f"it looks like {what}"
    return None


_OTHERS = (
    ({"encoder.pkl", "token_embedder.pkl"}, "a model of ELMoForManyLangs, whose layout is not supported"),
    ({"config.json", "pytorch_model.bin"}, "a model of the transformers library (such as BERT), not of ELMo"),
    ({"config.json", "model.safetensors"}, "a model of the transformers library (such as BERT), not of ELMo"),
    ({"bert_config.json"}, "a BERT model, not ELMo"),
    (
        {"saved_model.pb"},
        "a TensorFlow module (saved_model.pb) without its variables; fetch it again with the folder variables/",
    ),
    ({"tfhub_module.pb"}, "a TF-Hub module without its variables; fetch it again with the folder variables/"),
)
