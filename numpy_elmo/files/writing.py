"""Writing files under a temporary name first, so that the final name never belongs to an incomplete file.

A new file begins as ``.NAME.1a2b3c4d.part`` beside the target, opened exclusively and locked.  When it is complete, it
is synced and renamed, and the folder is synced too.  A process that is killed leaves the ``.part``; the next one that
writes the same target deletes it, if no process holds its lock.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import h5py

from numpy_elmo.errors import ElmoError, OutputError
from numpy_elmo.files.places import to_path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
try:
    import msvcrt
except ImportError:
    msvcrt = None  # type: ignore[assignment]

StrPath = str | os.PathLike[str]

WINDOWS = os.name == "nt"

# Longest name in bytes that all file systems allow, minus what is added to it.
_LONGEST_NAME = 255 - len("..12345678.part")

# Seconds to wait for another program to close a file: Windows does not replace open files.
_PATIENCE = 2.0

_LOCKED_BYTE = 1 << 62

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}


@contextmanager
def new_file(path: StrPath, *, overwrite: bool = False, inputs: Iterable[StrPath] = ()) -> Iterator[Path]:
    """Create a file beside `path` to write to, and rename it to `path` at the end.

    An exception inside deletes the new file and keeps an existing one.  Raises OutputError if `path` exists, or appears
    meanwhile, and may not be replaced (`overwrite` is for regular files); if it is one of `inputs`, which are being
    read, or a folder, a link or a device; or if it cannot be written.
    """
    target = check_target(path, overwrite=overwrite, inputs=inputs)
    with partial_file(target) as (opened, partial), opened:
        yield partial
        with output_errors(target):
            sync(opened.fileno())
            if WINDOWS:  # which does not rename open files
                opened.close()
            publish(partial, target, overwrite=overwrite)


@contextmanager
def new_hdf5(path: StrPath, *, overwrite: bool = True, inputs: Iterable[StrPath] = ()) -> Iterator[h5py.File]:
    """Open an HDF5 file that gets its name when it is complete; arguments and errors are those of `new_file`."""
    with (
        new_file(path, overwrite=overwrite, inputs=inputs) as partial,
        output_errors(path, RuntimeError),
        h5py.File(partial, "w", locking=False) as file,  # `new_file` holds the lock
    ):
        yield file


@contextmanager
def output_errors(path: StrPath, *others: type[Exception]) -> Iterator[None]:
    """Turn OSError, and `others`, into OutputError; h5py raises RuntimeError for some failed writes."""
    kinds: tuple[type[Exception], ...] = (OSError, UnicodeEncodeError, *others)
    try:
        yield
    except ElmoError:
        raise
    except kinds as error:
        reason = _shown(" ".join(str(error).split()))  # messages of HDF5 have several lines
        raise OutputError(f"{_shown(path)} cannot be written: {reason}; check the folder and the free space") from error


def check_target(path: StrPath, *, overwrite: bool = False, inputs: Iterable[StrPath] = ()) -> Path:
    """Return the file to write as a path; raise OutputError if it must not be written."""
    target, name = to_path(path, "a file to write must be given by its path"), _shown(path)
    try:
        found = target.lstat()
    except FileNotFoundError:
        found = None
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate
        raise OutputError(f"{name} cannot be written: {error}; check the folder and the name") from error
    if name.endswith(("/", os.sep)) or not target.name or (found and stat.S_ISDIR(found.st_mode)):
        raise OutputError(f"{name} is a folder; give the name of the file to write")
    if found is None:
        return target
    if stat.S_ISLNK(found.st_mode):
        raise OutputError(f"{name} is a link, which is not followed; give the name of the file itself")
    if not stat.S_ISREG(found.st_mode):
        raise OutputError(f"{name} is a device or a pipe; give the name of a file")
    for source in inputs:
        if _is_file(found, source):
            raise OutputError(f"{name} is also an input; give the output another name")
    if not overwrite:
        raise OutputError(f"{name} exists already; remove it, or give overwrite=True")
    return target


@contextmanager
def partial_file(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Create, open and lock an empty file beside the target; delete those of killed processes.

    At the end the file is deleted if it was not renamed, even after a signal; the caller closes it.
    """
    partial = None
    try:
        with output_errors(target):
            delete_abandoned(target)
            while True:
                partial = target.with_name(f".{_stem(target)}.{uuid.uuid4().hex[:8]}.part")
                descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
                opened = os.fdopen(descriptor, "r+b", buffering=0)
                if lock(descriptor) is not False and is_at(descriptor, partial):
                    break
                opened.close()  # another process deleted it before it was locked
        yield opened, partial
    finally:
        if partial is not None:
            with suppress(OSError):  # renamed
                partial.unlink()


def publish(partial: Path, target: Path, *, overwrite: bool) -> None:
    """Rename a complete file, and sync its folder.

    Raises OutputError if the target exists by now and may not be replaced, or stays open in another program.
    """
    started = time.monotonic()
    while True:
        try:
            if overwrite:
                partial.replace(target)
            else:
                _rename_if_free(partial, target)
        except FileExistsError as error:
            raise OutputError(f"{target} appeared meanwhile and was left as it is; choose another name") from error
        except PermissionError:  # Windows: the target, or the file itself, is open somewhere
            if not WINDOWS or time.monotonic() - started > _PATIENCE:
                raise
            time.sleep(0.05)
        else:
            break
    sync_folder(target.parent)


def sync(descriptor: int) -> None:
    """Wait until the content of a file is on the disk."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS, where fsync leaves data in the drive's cache
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, on systems that support it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network folders
                raise
        finally:
            os.close(descriptor)


def lock(descriptor: int) -> bool | None:
    """Lock an open file until it is closed; False if another process has the lock, None if locks are not supported."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:  # a byte beyond the end, because locked bytes cannot be read
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            return None
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def delete_abandoned(target: Path) -> None:
    """Delete the partial files of a target that no process has locked."""
    leftover = re.compile(rf"\.{re.escape(_stem(target))}\.[0-9a-f]{{8}}\.part")
    with suppress(OSError):  # the folder cannot be listed
        for path in target.parent.iterdir():
            if leftover.fullmatch(path.name):
                _delete_if_abandoned(path)


def _shown(name: StrPath) -> str:
    """Return a name in characters that any terminal can show."""
    return os.fspath(name).replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _is_file(found: os.stat_result, path: StrPath) -> bool:
    try:
        return os.path.samestat(found, to_path(path, "an input must be a path").stat())
    except (ElmoError, OSError, ValueError):  # standard input, or a path that its reader will report
        return False


def _stem(target: Path) -> str:
    """Return the target's name, shortened if it is too long to add to."""
    name = os.fsencode(target.name)
    if len(name) <= _LONGEST_NAME:
        return target.name
    return f"{target.name[:40]}-{hashlib.sha256(name).hexdigest()[:8]}"


def _delete_if_abandoned(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            if lock(descriptor):
                path.unlink()
        finally:
            os.close(descriptor)


def _rename_if_free(partial: Path, target: Path) -> None:
    if WINDOWS:  # where renaming never replaces a file
        partial.rename(target)
        return
    try:
        os.link(partial, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):  # the best that a file system without links can do
            raise FileExistsError(target) from error
        partial.replace(target)
    else:
        partial.unlink(missing_ok=True)  # another run may have found both names, and deleted this one
