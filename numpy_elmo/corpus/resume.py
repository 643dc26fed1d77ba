"""An unfinished file of vectors: ``NAME.part``, laid out in full, with ``NAME.part.checkpoint`` beside it.

Names and shapes of all datasets follow from the text, so the whole HDF5 file is laid out before the first vector is
computed: every dataset has its place, but no values yet.  From then on the index never changes, and a run only fills in
bytes.  So a run that is killed leaves a file that can be opened, and writing the same bytes again does no harm.

A checkpoint says how many sentences are on the disk: the file is synced first, then a small record replaces the last
one.  A resumed run continues after these sentences.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from numpy_elmo.elmo import Elmo
from numpy_elmo.errors import OutputError
from numpy_elmo.files import writing
from numpy_elmo.files.hdf5 import attribute, open_checked
from numpy_elmo.files.npz import NPZ_ERRORS, NpzFile
from numpy_elmo.files.writing import (
    check_target,
    delete_abandoned,
    is_at,
    lock,
    new_file,
    output_errors,
    partial_file,
    publish,
    sync,
    sync_folder,
)
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.matmul import Matrix

ATTRIBUTE = "numpy_elmo"


class Checkpoint(NamedTuple):
    """How far a run has come."""

    n_done: int  # sentences on the disk
    arrays: Sequence[npt.NDArray[Any]]  # the carried state after them


class PartFile:
    """The unfinished run of a file, open and locked; use it in a ``with`` statement.

    Raises FileNotFoundError if there is none, and OutputError if ``NAME.part`` is in use or is something else.
    """

    def __init__(self, target: Path) -> None:
        check_target(part_of(target), overwrite=True)
        flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with output_errors(part_of(target)):
            self._open(target, os.fdopen(os.open(part_of(target), flags), "r+b", buffering=0))

    @classmethod
    def laid_out(cls, target: Path, fill: Callable[[h5py.File], object], *, overwrite: bool) -> PartFile:
        """Make the unfinished file; it is locked before it gets its name, and stays locked."""
        path = part_of(target)
        check_target(path, overwrite=overwrite)
        with partial_file(path) as (opened, partial):
            try:
                with output_errors(path, RuntimeError), h5py.File(partial, "w", locking=False) as file:
                    fill(file)
                check_target(path, overwrite=overwrite)  # do not delete the checkpoint of another run
                with output_errors(path):
                    forget_checkpoint(target)
                    sync(opened.fileno())
                    if writing.WINDOWS:  # which does not rename open files
                        opened.close()
                    publish(partial, path, overwrite=overwrite)
                if opened.closed:
                    return cls(target)
                made = cls.__new__(cls)
                made._open(target, opened, is_own=True)
            except BaseException:
                opened.close()
                raise
            return made

    def _open(self, target: Path, file: BinaryIO, *, is_own: bool = False) -> None:
        self.target, self.path = target, part_of(target)
        with output_errors(self.path, RuntimeError), ExitStack() as stack:
            self._file = stack.enter_context(file)
            locked = lock(self._file.fileno())
            if locked is None:
                warnings.warn(f"{self.path.parent} has no file locks; let only one run write {target}", stacklevel=4)
            if locked is False or not is_at(self._file.fileno(), self.path):
                raise OutputError(f"{self.path} is being written by another process; wait for it to end")
            if not is_own:
                made = made_with(self.path)
                if made is None:
                    raise OutputError(f"{self.path} is not an unfinished run, or is damaged; rename or remove it")
                self.made_with = made
            self.checkpoint = read_checkpoint(target)
            # With locking, HDF5 would conflict with our own lock.
            self._index = stack.enter_context(h5py.File(self.path, "r", locking=False))
            self._stack = stack.pop_all()

    def __enter__(self) -> PartFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, name: str, data: Array, first: int = 0) -> None:
        """Fill in the rows of a dataset from `first` on."""
        if data.size:
            start = first * data[0].nbytes
            with output_errors(self.path, RuntimeError):
                dataset = h5py.h5d.open(self._index.id, name.encode())
                if start + data.nbytes > dataset.get_storage_size():
                    raise OutputError(f"{self.path} has no room for {name!r}; start again with overwrite=True")
                self._file.seek(dataset.get_offset() + start)
                view = data.reshape(-1).view(np.uint8).data
                while view:
                    view = view[self._file.write(view) :]  # a write may be short when a disk is full

    def keep(self, checkpoint: Checkpoint) -> None:
        """Make a checkpoint."""
        with output_errors(self.path):
            sync(self._file.fileno())
        arrays = {f"array_{k}": array for k, array in enumerate(checkpoint.arrays)}
        path = checkpoint_of(self.target)
        with new_file(path, overwrite=True) as partial, output_errors(path), partial.open("wb") as file:
            np.savez(file, n_done=np.array(checkpoint.n_done), **arrays)  # type: ignore[arg-type]
        self.checkpoint = checkpoint

    def finish(self, *, overwrite: bool) -> None:
        """Give the file its name."""
        with output_errors(self.target):
            sync(self._file.fileno())
            if not is_at(self._file.fileno(), self.path):
                raise OutputError(f"{self.path} was moved or deleted during the run; it was not renamed")
            check_target(self.target, overwrite=overwrite)
            if writing.WINDOWS:  # which does not rename open files
                self._stack.close()
            publish(self.path, self.target, overwrite=overwrite)
            self._stack.close()
            clean_up(self.target)

    def give_up(self) -> int:
        """Return how many sentences a resumed run will find; delete the file if there are none."""
        if not (self.path.exists() if self._file.closed else is_at(self._file.fileno(), self.path)):
            return 0
        if not self.checkpoint.n_done:
            if writing.WINDOWS:  # which does not delete open files
                self._stack.close()
            with suppress(OSError):
                self.path.unlink()
        return self.checkpoint.n_done


def clean_up(target: Path) -> None:
    """Delete what is left beside the file of a run that was killed while finishing."""
    part = part_of(target)
    with suppress(OSError):
        if part.exists() and part.samefile(target):  # linked, but not yet unlinked
            part.unlink()
        if not part.exists():
            forget_checkpoint(target)
        delete_abandoned(part)
        delete_abandoned(checkpoint_of(target))


def forget_checkpoint(target: Path) -> None:
    """Delete the checkpoint, also on the disk: a new run must not continue from an old checkpoint."""
    if checkpoint_of(target).exists():
        read_checkpoint(target)  # raises if it is not a checkpoint
        checkpoint_of(target).unlink()
        sync_folder(target.parent)


def part_of(target: Path) -> Path:
    """Return the name of a file before it is complete."""
    return target.with_name(f"{target.name}.part")


def checkpoint_of(target: Path) -> Path:
    """Return the name of the checkpoint of an unfinished run."""
    return target.with_name(f"{target.name}.part.checkpoint")


def read_checkpoint(target: Path) -> Checkpoint:
    """Return the checkpoint of an unfinished run; raise OutputError if it is damaged."""
    path = checkpoint_of(target)
    try:
        with closing(NpzFile(path)) as stored:
            arrays = [stored.read(f"array_{k}") for k in range(len(stored.names) - 1)]
            return Checkpoint(int(stored.read("n_done")), arrays)
    except FileNotFoundError:
        return Checkpoint(0, ())
    except NPZ_ERRORS as error:
        raise OutputError(
            f"{path} is no checkpoint, or a damaged one ({error}); remove it, and the run starts again with the "
            "first sentence"
        ) from error


def made_with(path: Path) -> dict[str, Any] | None:
    """Return what a file of vectors, finished or not, was made with; None if it is not such a file."""
    try:
        with open_checked(path) as file:
            found = json.loads(attribute(file, ATTRIBUTE))
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the differences of two fingerprints in words, one entry each."""
    other = {"model": "another model", "text": "another text"}
    names = [name for name in wanted if found.get(name) != wanted[name]]
    return [other.get(name, f"{name}={found.get(name)!r}") for name in names]


def model_digest(elmo: Elmo) -> str:
    """Return 32 hexadecimal digits that identify a model by its options and weights."""
    digest = hashlib.sha256(repr(elmo.options).encode())
    for name, array in _weights(elmo, ""):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]


def _weights(part: object, name: str) -> Iterator[tuple[str, Array]]:
    if isinstance(part, (np.ndarray, Matrix)):
        yield name, part.W if isinstance(part, Matrix) else part
    elif isinstance(part, (tuple, list)):
        for k, item in enumerate(part):
            yield from _weights(item, f"{name}.{k}")
    elif type(part).__module__.startswith("numpy_elmo."):
        for key, item in sorted(vars(part).items()):
            if not key.startswith("_"):  # scratch and caches
                yield from _weights(item, f"{name}.{key}")


class TextDigest:
    """A running digest of sentences."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, tokens: Sequence[str], text: str = "") -> None:
        """Add a sentence and its name."""
        parts = [token.encode("utf-8", "surrogatepass") for token in (*tokens, text)]
        self._digest.update(f"{[len(part) for part in parts]}".encode() + b"".join(parts))

    def __str__(self) -> str:
        return self._digest.hexdigest()[:32]
