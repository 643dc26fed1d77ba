"""Models in tar archives, as TF-Hub and AllenNLP publish them: unpacked to a temporary folder."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import struct
import tarfile
import tempfile
import weakref
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, cast

from numpy_elmo.errors import OutputError, WeightsError
from numpy_elmo.files.arrays import MAX_EXPANSION, max_unpacked
from numpy_elmo.files.places import Folder
from numpy_elmo.files.writing import output_errors

GZIP, USTAR = b"\x1f\x8b", b"ustar"
MAX_MEMBERS = 10_000
SPARE_BYTES = 64 << 20  # left free on the disk of the unpacked files

# What the standard library raises for a damaged archive.
TAR_ERRORS = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, IndexError, KeyError, struct.error)

_FULL = {errno.ENOSPC, errno.EDQUOT}
ROOM = "set the environment variable TMPDIR to a larger folder, or unpack it yourself and give the folder"

# AllenNLP also packs the HDF5 file from which the model's training started.
_NOT_NEEDED = "weight_file"


@dataclass(frozen=True)
class Unpacked(Folder):
    """The files of an archive, including those in folders.  They are deleted with this object."""

    archive: Path

    @property
    def name(self) -> str:
        """Its name in messages."""
        return str(self.archive)

    def names(self) -> list[str]:
        """Return the paths of the files in the archive, sorted."""
        return sorted(path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file())

    def label(self, name: str) -> str:
        """Return the paths of the archive and of the file in it."""
        return f"{self.archive}!{name}"


def unpacked(path: Path) -> Unpacked | None:
    """Unpack a tar archive, compressed with gzip or not; return None if it is another file.

    Raises
    ------
    WeightsError
        If it is damaged, unpacks to far more than its size, or has a member that is a link or points out of it.
    OutputError
        If there is not enough space to unpack it.
    """
    opened = _opened(path)
    if opened is None:
        return None
    with output_errors("the temporary folder"):
        folder = Path(tempfile.mkdtemp(prefix="numpy_elmo."))
    place = Unpacked(folder, path)
    weakref.finalize(place, _remove, folder, os.getpid())
    try:
        with opened as file:
            stream = _Bounded(file, path)
            with tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|") as archive:
                for number, member in enumerate(archive):
                    if number == MAX_MEMBERS:
                        raise WeightsError(f"{path} has more than {MAX_MEMBERS:,} members; give a model's archive")
                    stream.expect(member.size)
                    _unpack(archive, member, place)
            while stream.read(1 << 16):  # to the checksum at its end
                pass
    except TAR_ERRORS as error:
        if isinstance(error, (WeightsError, OutputError)):
            raise
        if isinstance(error, OSError) and error.errno in _FULL:
            raise OutputError(f"{path} cannot be unpacked in {folder.parent} ({error.strerror}); {ROOM}") from error
        raise WeightsError(f"{path} is no tar archive, or a damaged one ({error}); fetch it again") from error
    return place


def is_whole(path: Path) -> bool:
    """Say whether a file is a complete tar archive, by its beginning and its checksum."""
    opened = _opened(path)
    if opened is None:
        return False
    try:
        with opened as file:
            stream = _Bounded(file, path)
            while stream.read(1 << 16):
                pass
    except (*TAR_ERRORS, WeightsError):
        return False
    return True


def _opened(path: Path) -> BinaryIO | None:
    """Open a tar archive, or any file compressed with gzip; return None for other files."""
    head = b""
    if path.is_file():
        with suppress(OSError), path.open("rb") as file:  # whoever opens it next reports the error
            head = file.read(512)
    if head.startswith(GZIP):
        return cast("BinaryIO", gzip.open(path))
    return path.open("rb") if head[257:262] == USTAR else None


class _Bounded:
    """The unpacked bytes of an archive, limited to what a model may have."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._left = max_unpacked(path.stat().st_size)

    def read(self, n: int) -> bytes:
        data = self._file.read(n)
        self.expect(len(data))
        self._left -= len(data)
        return data

    def expect(self, n: int) -> None:
        if n > self._left:
            raise WeightsError(
                f"{self._path} unpacks to more than {MAX_EXPANSION} times its size, which no model does; "
                "fetch it from where it was published"
            )


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, place: Unpacked) -> None:
    """Write one member to the folder."""
    path = PureWindowsPath(member.name)  # handles both slashes, and drives
    is_file = member.isreg() and not member.issparse()
    if path.anchor or ".." in path.parts or not (is_file or member.isdir()):
        raise WeightsError(
            f"{place.archive} has a member that is a link or points out of it, {member.name!r}, which no model's "
            "archive has; fetch it from where it was published"
        )
    if not is_file or path.name.endswith(_NOT_NEEDED):
        return
    free = shutil.disk_usage(place.path).free - SPARE_BYTES
    if member.size > free:
        raise OutputError(
            f"{place.archive} has a file of {member.size:,} bytes, and there is room for {max(0, free):,} in "
            f"{place.path.parent}; {ROOM}"
        )
    target = place.path.joinpath(*path.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file, cast("BinaryIO", archive.extractfile(member)) as packed:
        shutil.copyfileobj(packed, file, 1 << 20)


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not in a fork, whose parent may still read it
        shutil.rmtree(folder, ignore_errors=True)
