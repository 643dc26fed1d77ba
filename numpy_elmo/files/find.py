"""Where a model's files are: a folder, a weight file with its options, an NLPL zip, or a model's name."""

from __future__ import annotations

import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import h5py
from h5py._objects import phil

from numpy_elmo.errors import ElmoError, InputError, InputTypeError, ModelNotFoundError, OptionsError, WeightsError
from numpy_elmo.files import published
from numpy_elmo.files.hdf5 import FREE_BYTES, MAX_EXPANSION
from numpy_elmo.files.options import ModelOptions, decode_options

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
LFS_POINTER = b"version https://git-lfs.github.com/spec/"

# An options file is some hundred bytes.  A bound keeps a wrong file from being read whole.
MAX_OPTIONS_BYTES = 1 << 20

# What the standard library raises where a zip is damaged or needs what is not there.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    NotImplementedError,
    RuntimeError,
)


# h5py runs all of HDF5 under one lock.  A child that was forked while another thread held it would wait for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=phil.acquire, after_in_parent=phil.release, after_in_child=phil.release)


@dataclass(frozen=True)
class ModelFiles:
    """A model's checked options and its weight file, not opened yet.

    Attributes
    ----------
    name : str
        How messages call the weight file.
    options : ModelOptions
        The model's sizes.
    open_weights : callable
        Returns a context manager around the open HDF5 file.
    """

    name: str
    options: ModelOptions
    open_weights: Callable[[], AbstractContextManager[h5py.File]]


def find_model(source: str | os.PathLike[str], options: str | os.PathLike[str] | None = None) -> ModelFiles:
    """Find a model's two files and read its options.

    Parameters
    ----------
    source : str or path
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
    path = to_path(source, "source must be a path or a model's name")
    if not exists(path):
        if not (isinstance(source, str) and published.is_name(source)):
            raise ModelNotFoundError(f"{path}: there is no such file or folder; give a folder, a zip or a model's name")
        path = published.find(source)
    given = None
    if options is not None:
        given = decode_options(_read_options(to_path(options, "options must be a path")), str(options))

    if path.is_dir():
        weights = _file_in(path, "model.hdf5", "*.hdf5", "weight file")
        if given is None:
            beside = _file_in(path, "options.json", "*options*.json", "options file")
            given = decode_options(_read_options(beside), str(beside))
        return ModelFiles(str(weights), given, partial(open_hdf5, weights))
    if is_zip(path):
        return _find_in_zip(path, given)
    _check_is_hdf5(path)
    if given is None:
        raise InputError(f"{path} is a weight file; give its options file too (options=...), or the folder of both")
    return ModelFiles(str(path), given, partial(open_hdf5, path))


def to_path(value: str | os.PathLike[str], expected: str) -> Path:
    """Return a path, or say what else was given (`InputTypeError`)."""
    try:
        return Path(value)
    except TypeError as error:
        raise InputTypeError(f"{expected}, not {type(value).__name__}") from error


def exists(path: Path) -> bool:
    """Say whether there is such a file or folder; a name that no file can have has none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_zip(path: Path) -> bool:
    """Say whether a path is a zip; a pipe, whose other end may never write, is not looked into."""
    return path.is_file() and zipfile.is_zipfile(path)


def inside(folder: Path, path: Path) -> Path:
    """Return a path that was found in a folder, unless it is a link to a place outside it (`InputError`)."""
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is a link that ends nowhere ({error}); put the file in its place") from error
    if not is_inside:
        raise InputError(
            f"{path} is a link out of its folder, to {path.resolve()}, and is not followed; if that is the right file, "
            "give it by its own path"
        )
    return path


def _file_in(folder: Path, preferred: str, pattern: str, what: str) -> Path:
    """Return the file of a folder that is called `preferred`, or else the only one that fits `pattern`."""
    if (folder / preferred).exists():
        return inside(folder, folder / preferred)
    # A folder may also hold the softmax of the same model, which is no model by itself.
    candidates = [path for path in sorted(folder.glob(pattern)) if "softmax" not in path.name]
    if not candidates:
        raise ModelNotFoundError(f"{folder} holds no {what} ({preferred} or {pattern}); give the folder that does")
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise InputError(f"{folder} holds several files that may be the {what} ({names}); give both files by path")
    return inside(folder, candidates[0])


def _read_options(path: Path) -> bytes:
    if not exists(path):
        raise ModelNotFoundError(f"{path}: there is no such options file")
    if not path.is_file():
        raise OptionsError(f"{path} is no regular file; give the model's options file")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_OPTIONS_BYTES + 1)
    except OSError as error:
        raise OptionsError(f"{path} cannot be read: {error.strerror}; give the model's options file") from error
    return _bounded(data, str(path))


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MAX_OPTIONS_BYTES and not data.startswith(HDF5_SIGNATURE):
        raise OptionsError(f"{name} is larger than any options file (1 MiB); give the model's options file")
    return data


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, or say what it is instead (`WeightsError`)."""
    _check_is_hdf5(path)
    with _hdf5_errors(str(path)), h5py.File(path, "r") as file:
        yield file


def _check_is_hdf5(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"{path} is no regular file; give the model's weight file")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}; give the model's weight file") from error
    _check_head(head, path.stat().st_size, str(path))


def _check_head(head: bytes, size: int, name: str) -> None:
    if head.startswith(HDF5_SIGNATURE):
        return
    if head.startswith(LFS_POINTER):
        raise WeightsError(f"{name} is a git-lfs pointer, not the weights: run 'git lfs pull' where it came from")
    if not size:
        raise WeightsError(f"{name} is empty; fetch the weight file again")
    if head.lstrip().startswith(b"{"):
        raise WeightsError(f"{name} is JSON, not HDF5: were the options file and the weight file swapped?")
    if head.lstrip()[:9].lower() in (b"<!doctype", b"<html>"):
        raise WeightsError(f"{name} is a web page, not HDF5: its download failed; fetch the weight file again")
    raise WeightsError(f"{name} is not an HDF5 file; give the model's weight file (*.hdf5)")


@contextmanager
def _hdf5_errors(name: str) -> Iterator[None]:
    """Turn what HDF5 raises on opening a broken file into one clear error."""
    try:
        yield
    except ElmoError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        cut = "truncated" in str(error)
        what = "is cut off before its end" if cut else f"is a damaged HDF5 file ({error})"
        raise WeightsError(f"{name} {what}; fetch it again") from error


def _find_in_zip(path: Path, given: ModelOptions | None) -> ModelFiles:
    names = members(path)
    weights = _member(names, "model.hdf5", ".hdf5")
    if weights is None:
        raise ModelNotFoundError(f"{path} holds no weight file (model.hdf5); is it the zip of an ELMo model?")
    if given is None:
        member = _member(names, "options.json", "options.json")
        if member is None:
            raise ModelNotFoundError(f"{path} holds no options.json; give the options file (options=...)")
        name = f"{path}!{member}"
        given = decode_options(_bounded(read_member(path, member, MAX_OPTIONS_BYTES + 1), name), name)
    return ModelFiles(f"{path}!{weights}", given, partial(open_member, path, weights))


def members(path: Path) -> list[str]:
    """Return the names of a zip's files, or say why none of them is to be trusted (`WeightsError`)."""
    with _zip_errors(path), zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    for info in infos:
        parts = PureWindowsPath(info.filename)  # it knows both slashes, and drives
        if parts.anchor or ".." in parts.parts or stat.S_ISLNK(info.external_attr >> 16):
            raise WeightsError(
                f"{path} has a member that is a link or points out of it, {info.filename!r}, which no model's zip has; "
                "fetch it from where it was published"
            )
    return [info.filename for info in infos if not info.is_dir()]


def read_member(path: Path, member: str, at_most: int | None = None) -> bytes:
    """Return what a member of a zip unpacks to, or the first `at_most` bytes of it.

    Raises
    ------
    WeightsError
        If the zip is damaged, or the member says that it unpacks to far more than models do.
    """
    with _zip_errors(path), zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
        if at_most is None and info.file_size > max(FREE_BYTES, MAX_EXPANSION * path.stat().st_size):
            raise WeightsError(
                f"{path}!{member} says that it unpacks to {info.file_size:,} bytes, from a zip of "
                f"{path.stat().st_size:,}: no model does; fetch it from where it was published"
            )
        with archive.open(info) as file:
            return file.read(-1 if at_most is None else at_most)


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except ElmoError:
        raise
    except ZIP_ERRORS as error:
        raise WeightsError(f"{path} is a damaged zip ({error}); fetch it again") from error


def _member(names: list[str], preferred: str, suffix: str) -> str | None:
    """Return the member that is called `preferred`, else one that ends in `suffix`; the least deep first."""
    by_depth = sorted(names, key=lambda name: (len(PurePosixPath(name).parts), name))
    candidates = [name for name in by_depth if PurePosixPath(name).name == preferred]
    candidates += [name for name in by_depth if name.endswith(suffix) and "softmax" not in name]
    return candidates[0] if candidates else None


@contextmanager
def open_member(path: Path, member: str) -> Iterator[h5py.File]:
    """Open an HDF5 file inside a zip, as `open_hdf5` does."""
    # HDF5 jumps about in its file, which a compressed member cannot do, so the member is held in memory meanwhile.
    name = f"{path}!{member}"
    data = read_member(path, member)
    _check_head(data[:512], len(data), name)
    with _hdf5_errors(name), h5py.File(io.BytesIO(data), "r") as file:
        yield file
