"""An HDF5 file that is made in several goes: under another name, with checkpoints, renamed when it is complete."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py

from numpy_elmo.corpus.fingerprint import differences
from numpy_elmo.corpus.journal import Arrays, JournaledFile, checkpoint_of, read_record, sync_folder
from numpy_elmo.errors import OutputError
from numpy_elmo.files.writing import output_errors

ATTRIBUTE = "numpy_elmo"


class ResumableFile:
    """An HDF5 file on its way: ``NAME.part``, with ``NAME.part.checkpoint`` beside it.

    Use it in a ``with`` statement, and `finish` it inside.  Otherwise what the last `commit` had is kept.

    Parameters
    ----------
    path : str or path
        The file to make.
    fingerprint : mapping
        What it is made with; it is kept in the checkpoint, and in the attribute ``numpy_elmo`` of the finished file.
    resume : bool
        Go on with a file that was begun.
    overwrite : bool
        Replace a finished file, and begin anew instead of refusing one that was begun.

    Attributes
    ----------
    file : h5py.File
        To write to; what is there already on resuming included.
    arrays : list of ndarray
        The arrays that the last `commit` of the run before recorded.
    is_complete : bool
        Whether all is done already and the file was only not renamed yet: there is nothing more to write.

    Raises
    ------
    OutputError
        If there is a finished or an unfinished file and nothing says what to do about it, if the unfinished one was
        begun with something else, or if it cannot be written.
    """

    def __init__(
        self, path: str, fingerprint: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
    ) -> None:
        self.path = Path(path)
        self._part = part_of(self.path)
        self._fingerprint = dict(fingerprint)
        goes_on = is_begun(self.path, fingerprint, resume=resume, overwrite=overwrite)
        with output_errors(self.path):
            self._journal = JournaledFile(self._part, resume=goes_on)
        self.arrays = self._journal.arrays
        self.is_complete = bool(self._journal.record.get("is_complete"))
        try:
            with output_errors(self.path):
                self.file = h5py.File(self._journal, "r+" if goes_on else "w")
                self._journal.check()
        except BaseException:
            self._let_go()
            raise

    def __enter__(self) -> ResumableFile:
        return self

    @property
    def record(self) -> dict[str, Any]:
        """What the last `commit` recorded; empty before the first."""
        record: dict[str, Any] = self._journal.record.get("record", {})
        return record

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Give a context for everything that writes to `file`, which raises what the disk said.

        Raises
        ------
        OutputError
            If something could not be written.
        """
        with output_errors(self.path):
            try:
                yield
            finally:
                self._journal.check()  # HDF5 was told that all went well, and may have stumbled over it afterwards

    def commit(self, record: Mapping[str, Any], arrays: Arrays = ()) -> None:
        """Make sure that what was written until now is kept whatever happens.

        Parameters
        ----------
        record : mapping
            What to keep with it, for JSON.
        arrays : sequence of ndarray
            Further things to keep.

        Raises
        ------
        OutputError
            If it cannot be written.  `record` says what is kept.
        """
        with self.writing():
            self.file.flush()
            self._commit(record, arrays, is_complete=False)

    def finish(self, record: Mapping[str, Any]) -> None:
        """Close the file and give it its name.

        Parameters
        ----------
        record : mapping
            What to keep in its attribute, beside the fingerprint.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        with self.writing():
            if not self.is_complete:
                self.file.attrs[ATTRIBUTE] = json.dumps({**self._fingerprint, **record})
                self.file.close()
                self._commit(record, (), is_complete=True)
            self._journal.sync()
            self.file.close()
            self._journal.close()
            self._part.replace(self.path)
            sync_folder(self.path.parent)
            checkpoint_of(self._part).unlink()

    def _commit(self, record: Mapping[str, Any], arrays: Arrays, *, is_complete: bool) -> None:
        kept = {"fingerprint": self._fingerprint, "record": dict(record), "is_complete": is_complete}
        self._journal.commit(kept, arrays)

    def __exit__(self, *_: object) -> None:
        self._let_go()

    def _let_go(self) -> None:
        """Close what is open; remove a file that nothing was kept of."""
        self._journal.abandon()
        if hasattr(self, "file"):
            with suppress(OSError, RuntimeError):
                self.file.close()
        self._journal.close()
        if not self._journal.record:
            with suppress(OSError):
                self._part.unlink()


def part_of(path: Path) -> Path:
    """Return the name of a file before it is complete."""
    return Path(f"{path}.part")


def is_begun(path: Path, fingerprint: Mapping[str, Any], *, resume: bool, overwrite: bool) -> bool:
    """Say whether there is an unfinished file to go on with.

    Parameters
    ----------
    path : Path
        The file to make.
    fingerprint, resume, overwrite
        As for `ResumableFile`.

    Returns
    -------
    bool

    Raises
    ------
    OutputError
        If there is a finished or an unfinished file and nothing says what to do about it, or the unfinished one was
        begun with something else.
    """
    part = part_of(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of the file to write")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; remove it, or give --overwrite (overwrite=True)")
    if not (part.exists() and checkpoint_of(part).exists()):
        return False  # without a checkpoint nothing was kept
    if resume:
        _check_fingerprint(read_record(part)["fingerprint"], fingerprint, part)
    elif not overwrite:
        raise OutputError(f"{part} is an unfinished run; go on with it by --resume, or begin anew with --overwrite")
    return resume


def finished_record(path: str, fingerprint: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a finished file recorded, if there is one and it was made with this fingerprint.

    Parameters
    ----------
    path : str
        The file.
    fingerprint : mapping
        The fingerprint of this run.

    Returns
    -------
    dict or None
        None if there is no such file, or it is no file of this kind.

    Raises
    ------
    OutputError
        If it was made with another fingerprint.
    """
    try:
        with h5py.File(path, "r") as file:
            found: dict[str, Any] = json.loads(file.attrs[ATTRIBUTE])
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return None
    _check_fingerprint(found, fingerprint, path)
    return found


def _check_fingerprint(found: Mapping[str, Any], wanted: Mapping[str, Any], path: str | Path) -> None:
    if other := differences(found, wanted):
        raise OutputError(
            f"{path} was made with {', '.join(other)}; resume it with the same model and options, or begin anew with "
            "--overwrite instead of --resume"
        )
