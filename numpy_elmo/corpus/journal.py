"""A file that can go back to its last checkpoint, whatever happened since.

HDF5 appends vectors at the end of its file, and now and then rewrites its index in the middle.  A process that is
killed between two such writes leaves a file that nobody can open, so HDF5 is given this object to write to instead of
the file:

* What is written beyond the last checkpoint's end goes to the file at once.  Going back is cutting it off.
* What is written before that end, into what the checkpoint needs, stays in memory as pages until the next checkpoint.
  It is little: the parts of the index that changed.
* A checkpoint first makes sure that the appended bytes are on the disk, then writes the pages, with the file's new
  size and the caller's record, into a second file, which takes the first one's place by one rename: that moment is
  the checkpoint.  Only then do the pages go into the file itself; going back writes them once more.

This is the redo log of databases.  The alternative, one HDF5 file a part and a merge at the end, needs twice the disk
and reads and writes everything once more.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows, which does not let two processes write the same file anyway
    fcntl = None  # type: ignore[assignment]

PAGE = 4096

Arrays = Sequence[npt.NDArray[Any]]


class JournaledFile:
    """A binary file for h5py, with checkpoints.

    Parameters
    ----------
    path : Path
        The file.  Its checkpoint is kept beside it, under the name with ``.checkpoint`` added.
    resume : bool
        Go back to the last checkpoint and go on from there, instead of making the file anew.

    Attributes
    ----------
    record : dict
        What the last checkpoint recorded; empty before the first.
    arrays : list of ndarray
        The arrays that it recorded.

    Raises
    ------
    OSError
        If the file cannot be made or read.
    OutputError
        If another process is writing it, or its checkpoint is damaged.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.checkpoint = checkpoint_of(path)
        self.record: dict[str, Any] = {}
        self.arrays: list[npt.NDArray[Any]] = []
        self._size = self._kept_size = self._base = self._position = 0
        self._pages: dict[int, bytearray] = {}
        self._is_abandoned = False
        self._failure: BaseException | None = None
        self._file = open(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b", buffering=0)  # noqa: SIM115, PTH123
        try:
            self._lock()
            if resume:
                self._go_back()
            else:
                self.checkpoint.unlink(missing_ok=True)
                self._file.truncate(0)
        except BaseException:
            self._file.close()
            raise

    # -- what h5py calls ----------------------------------------------------------------------------------------------

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place, from the beginning, from here or from the end."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        """Return the place."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read from the place on; zeros beyond the end."""
        view = memoryview(buffer).cast("B")
        start, end = self._position, self._position + len(view)
        with self._remembering():
            view[:] = self._on_disk(start, len(view))
        for number, here, there in _page_parts(start, min(end, self._base)):
            if number in self._pages:
                view[here] = self._pages[number][there]
        self._position = end
        return len(view)

    def read(self, size: int) -> bytes:
        """Return so many bytes from the place on."""
        buffer = bytearray(size)
        self.readinto(buffer)
        return bytes(buffer)

    def write(self, data: Any) -> int:
        """Write at the place."""
        view = memoryview(data).cast("B")
        start, end = self._position, self._position + len(view)
        split = min(max(start, self._base), end)
        if not self._is_abandoned:
            with self._remembering():
                self._keep(start, view[: split - start])
                self._to_disk(split, view[split - start :])
        self._position = end
        self._size = max(self._size, end)
        return len(view)

    def truncate(self, size: int) -> int:
        """Set the size.  What the last checkpoint needs is cut off the file only with the next one."""
        if size < self._size and not self._is_abandoned:
            with self._remembering():
                self._keep(size, bytes(max(0, min(self._size, self._base) - size)))
                self._file.truncate(max(size, self._base))
        self._size = size
        return size

    def flush(self) -> None:
        """Do nothing: `commit` is what makes a state last."""

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """Keep an exception for later: HDF5 cannot be left by one, and goes on in its next call."""
        try:
            yield
        except BaseException as error:
            self._failure = self._failure or error
            self.abandon()

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def commit(self, record: Mapping[str, Any], arrays: Arrays = ()) -> None:
        """Make a checkpoint of what was written so far.

        Parameters
        ----------
        record : mapping
            What to keep with it, for JSON.
        arrays : sequence of ndarray
            Further things to keep.

        Raises
        ------
        OSError
            If it cannot be written.  `record` says whether the new checkpoint or the one before is kept.
        """
        self.check()
        os.fsync(self._file.fileno())
        numbers = np.array(list(self._pages), dtype=np.int64)
        pages = np.frombuffer(b"".join(self._pages.values()), dtype=np.uint8).reshape(len(numbers), PAGE)
        text = json.dumps({"size": self._size, "record": record})
        new = self.checkpoint.with_name(f"{self.checkpoint.name}.new")
        try:
            with new.open("wb") as file:
                kept: dict[str, Any] = {f"array_{k}": array for k, array in enumerate(arrays)}
                np.savez(file, text=np.frombuffer(text.encode(), np.uint8), numbers=numbers, pages=pages, **kept)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise
        new.replace(self.checkpoint)
        sync_folder(self.path.parent)
        # From here on it is the checkpoint, even if what follows fails.
        self._kept_size = self._size
        self.record, self.arrays = dict(record), list(arrays)
        for number, page in self._pages.items():
            self._to_disk(number * PAGE, page)
        self._file.truncate(self._size)
        self._pages.clear()
        self._base = -(-self._size // PAGE) * PAGE

    def check(self) -> None:
        """Raise what went wrong while HDF5 was writing.

        Raises
        ------
        OSError
            If the file could not be written.  What HDF5 believes to be in it since then is not there.
        """
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Take no further writes.  The last checkpoint is what remains, so h5py may close its file as it likes."""
        self._is_abandoned = True

    def close(self) -> None:
        """Let go of the file."""
        if self._is_abandoned and not self._file.closed:
            with suppress(OSError):  # only to save space: going back cuts it too
                self._file.truncate(self._kept_size)
        self._file.close()

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        os.fsync(self._file.fileno())

    def _keep(self, start: int, data: bytes | memoryview) -> None:
        """Write into the pages that wait for the next checkpoint."""
        for number, here, there in _page_parts(start, start + len(data)):
            if number not in self._pages:
                self._pages[number] = bytearray(self._on_disk(number * PAGE, PAGE))
            self._pages[number][there] = data[here]

    def _go_back(self) -> None:
        with _read_checkpoint(self.checkpoint) as (state, stored):
            for number, page in zip(stored["numbers"].tolist(), stored["pages"], strict=True):
                self._to_disk(number * PAGE, memoryview(page.tobytes()))
            names = [name for name in stored.files if name.startswith("array_")]
            self.arrays = [stored[f"array_{k}"] for k in range(len(names))]
        self.record = state["record"]
        self._size = self._kept_size = state["size"]
        self._base = -(-self._size // PAGE) * PAGE
        self._file.truncate(self._size)

    def _lock(self) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(f"{self.path} is being written by another process; wait for it to end") from error

    def _on_disk(self, start: int, n: int) -> bytes:
        self._file.seek(start)
        parts = []
        while n and (part := self._file.read(n)):
            parts.append(part)
            n -= len(part)
        return b"".join(parts) + bytes(n)

    def _to_disk(self, start: int, data: memoryview | bytearray) -> None:
        self._file.seek(start)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]  # a write may stop short of the end, as on a disk that gets full


def _page_parts(start: int, end: int) -> Iterator[tuple[int, slice, slice]]:
    """Yield the pages of a range of bytes: number, where the page lies in the range, and the range in the page."""
    for number in range(start // PAGE, -(-end // PAGE)) if start < end else ():
        first, last = max(start, number * PAGE), min(end, (number + 1) * PAGE)
        yield number, slice(first - start, last - start), slice(first - number * PAGE, last - number * PAGE)


def checkpoint_of(path: Path) -> Path:
    """Return the name of the checkpoint of a file."""
    return path.with_name(f"{path.name}.checkpoint")


def read_record(path: Path) -> dict[str, Any]:
    """Return what the last checkpoint of a file recorded, without touching the file.

    Raises
    ------
    OutputError
        If the checkpoint is damaged.
    """
    with _read_checkpoint(checkpoint_of(path)) as (state, _):
        record: dict[str, Any] = state["record"]
        return record


@contextmanager
def _read_checkpoint(path: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            yield json.loads(stored["text"].tobytes()), stored
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError) as error:
        raise OutputError(f"{path} is damaged ({error}); remove it, and begin anew with --overwrite") from error


def sync_folder(folder: Path) -> None:
    """Wait until renames in a folder are on the disk, where the system can tell."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
