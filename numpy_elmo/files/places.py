"""Folders and zips, in which files are found and read by their names."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, NamedTuple, TypeAlias, cast

from numpy_elmo.errors import ElmoError, InputError, InputTypeError, ModelNotFoundError, OptionsError, WeightsError
from numpy_elmo.files.arrays import Arrays, max_unpacked
from numpy_elmo.files.hdf5 import SIGNATURE, open_arrays

# What the standard library raises for a zip that is damaged or needs a missing module.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    NotImplementedError,
    RuntimeError,
)

# How a file in a zip may be packed: Python unpacks what is packed in other ways without a bound.
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Kind(NamedTuple):
    """A kind of small file, read whole: its name in messages, its largest size, and the error for another file."""

    what: str
    max_bytes: int
    error: type[ElmoError]


OPTIONS = Kind("options file", 1 << 20, OptionsError)
VOCABULARY = Kind("vocabulary file", 64 << 20, InputError)  # the published one has 9 MB


def to_path(value: str | os.PathLike[str], expected: str) -> Path:
    """Return a path; raise InputTypeError for anything else."""
    try:
        return Path(value).expanduser()
    except (TypeError, RuntimeError) as error:  # RuntimeError: no home folder for ~
        raise InputTypeError(f"{expected}, not {type(value).__name__}") from error


def exists(path: Path) -> bool:
    """Say whether there is such a file or folder; False for invalid names."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def read_file(path: Path, kind: Kind) -> bytes:
    """Return the content of a small file."""
    if not exists(path):
        raise ModelNotFoundError(f"{path}: there is no such {kind.what}")
    if not path.is_file():  # a pipe may never be written to, and a device may never end
        raise kind.error(f"{path} is no regular file; give the {kind.what}")
    try:
        with path.open("rb") as file:
            data = file.read(kind.max_bytes + 1)
    except OSError as error:
        raise kind.error(f"{path} cannot be read: {error.strerror}; give the {kind.what}") from error
    return _bounded(data, kind, str(path))


def _bounded(data: bytes, kind: Kind, name: str) -> bytes:
    if len(data) > kind.max_bytes and not data.startswith(SIGNATURE):  # decoding reports a weight file
        raise kind.error(f"{name} is larger than any {kind.what} ({kind.max_bytes >> 20} MiB); give the {kind.what}")
    return data


@dataclass(frozen=True)
class Folder:
    """The files of a folder, without those of folders in it.

    Links out of it are refused (`InputError`), except those from huggingface_hub's cache into its own blobs.
    """

    path: Path

    @property
    def name(self) -> str:
        """Its name in messages."""
        return str(self.path)

    def names(self) -> list[str]:
        """Return the names of its files, sorted."""
        try:
            return sorted(path.name for path in self.path.iterdir() if not path.is_dir())
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}; check its permissions") from error

    def label(self, name: str) -> str:
        """Return the path of a file."""
        return str(self.path / name)

    def read(self, name: str, kind: Kind) -> bytes:
        """Return the content of a small file."""
        return read_file(self.inside(name), kind)

    def open_binary(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for sequential reading."""
        path = self.inside(name)
        if not path.is_file():  # reading a pipe may wait for ever
            raise WeightsError(f"{path} is no regular file; put the file in its place")
        return path.open("rb")

    def open_hdf5(self, name: str) -> AbstractContextManager[Arrays]:
        """Open an HDF5 file for reading."""
        return open_arrays(self.inside(name), self.label(name))

    def inside(self, name: str) -> Path:
        """Return the path of a file; raise InputError if it is a link out of the folder."""
        path = self.path / name
        try:
            target, folder = path.resolve(), self.path.resolve()
            is_inside = target.is_relative_to(folder)
            if folder.parent.name == "snapshots":  # huggingface_hub's cache: snapshots/HASH/NAME -> ../../blobs/HASH
                is_inside |= target.is_relative_to(folder.parents[1] / "blobs")
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path} is a link that ends nowhere ({error}); put the file in its place") from error
        if not is_inside:
            raise InputError(
                f"{path} is a link out of its folder, to {target}, and is not followed; if that is the right file, "
                "give it by its own path"
            )
        return path


@dataclass(frozen=True)
class Zip:
    """The files of a zip, which is never unpacked to disk."""

    path: Path

    @property
    def name(self) -> str:
        """Its name in messages."""
        return str(self.path)

    def names(self) -> list[str]:
        """Return the names of its files; raise WeightsError if one is a link or points out of the zip."""
        with _zip_errors(self.path), zipfile.ZipFile(self.path) as archive:
            infos = archive.infolist()
        for info in infos:
            parts = PureWindowsPath(info.filename)  # handles both slashes, and drives
            if parts.anchor or ".." in parts.parts or stat.S_ISLNK(info.external_attr >> 16):
                raise WeightsError(
                    f"{self.path} has a member that is a link or points out of it, {info.filename!r}, which no "
                    "model's zip has; fetch it from where it was published"
                )
        return [info.filename for info in infos if not info.is_dir()]

    def label(self, name: str) -> str:
        """Return the paths of the zip and of the file in it."""
        return f"{self.path}!{name}"

    def read(self, name: str, kind: Kind) -> bytes:
        """Return the content of a small file."""
        with _zip_errors(self.path), zipfile.ZipFile(self.path) as archive, self._open(archive, name) as file:
            return _bounded(file.read(kind.max_bytes + 1), kind, self.label(name))

    @contextmanager
    def open_binary(self, name: str) -> Iterator[BinaryIO]:
        """Open a file for sequential reading."""
        with _zip_errors(self.path), zipfile.ZipFile(self.path) as archive:
            n_bytes, packed = archive.getinfo(name).file_size, self.path.stat().st_size
            if n_bytes > max_unpacked(packed):
                raise WeightsError(
                    f"{self.label(name)} unpacks to {n_bytes:,} bytes, from a zip of {packed:,}, which "
                    "no model does; fetch it from where it was published"
                )
            with self._open(archive, name) as file:
                yield file

    @contextmanager
    def open_hdf5(self, name: str) -> Iterator[Arrays]:
        """Open an HDF5 file for reading, in memory, because a compressed file cannot be read at random."""
        with self.open_binary(name) as file:
            # Without a number, Python unpacks up to 2 GiB before it compares with the size that the zip states.
            data = file.read(max_unpacked(self.path.stat().st_size))
        with open_arrays(io.BytesIO(data), self.label(name)) as arrays:
            yield arrays

    def _open(self, archive: zipfile.ZipFile, name: str) -> BinaryIO:
        if archive.getinfo(name).compress_type not in PACKINGS:
            raise WeightsError(
                f"{self.label(name)} is packed in an unusual way, not with Deflate; unpack the zip and give the folder"
            )
        return cast("BinaryIO", archive.open(name))


Place: TypeAlias = Folder | Zip


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except ElmoError:
        raise
    except ZIP_ERRORS as error:
        raise WeightsError(f"{path} is a damaged zip ({error}); fetch it again") from error


def place_of(path: Path) -> Place | None:
    """Return a folder or zip as a place, or None; a pipe is not read, because that may wait for ever."""
    if path.is_dir():
        return Folder(path)
    return Zip(path) if path.is_file() and zipfile.is_zipfile(path) else None


def pick(place: Place, preferred: str, pattern: str, what: str, *, remedy: str, without: str = "\0") -> str | None:
    """Return the file called `preferred`, or the only one that fits `pattern`; the least nested ones first."""
    files = [PurePosixPath(name) for name in place.names()]
    for fits in (preferred, pattern):
        found = [file for file in files if fnmatchcase(file.name, fits) and without not in file.name]
        nearest = min((len(file.parts) for file in found), default=0)
        found = [file for file in found if len(file.parts) == nearest]
        if len(found) > 1:
            names = ", ".join(sorted(map(str, found)))
            raise InputError(f"{place.name} holds several files that may be the {what} ({names}); {remedy}")
        if found:
            return str(found[0])
    return None
