"""Writing a file under another name first, so that the name it was asked for never stands for half a file."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from numpy_elmo.errors import ElmoError, OutputError


@contextmanager
def new_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a name beside `path` to write to, and rename that file to `path` when all went well.

    An exception inside leaves nothing behind, and the file that was there as it was.

    Parameters
    ----------
    path : str or path
        The file to make.
    overwrite : bool
        Whether it may replace a file that is there.

    Yields
    ------
    Path
        The name to write to; there is no such file yet.

    Raises
    ------
    OutputError
        If the file is there already, is a folder, or cannot be renamed.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"{target} is a folder; give the name of the file to write")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already; remove it, or give overwrite=True")
    partial = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.part")  # two writers do not share it
    try:
        yield partial
        with output_errors(target):
            partial.replace(target)
    finally:
        with suppress(OSError):  # it is not there: renamed, or never made
            partial.unlink()


@contextmanager
def output_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what a failed write raises into one clear error.

    Parameters
    ----------
    path : str or path
        How the message calls the file.

    Raises
    ------
    OutputError
        In place of an OSError, or of the RuntimeError that h5py makes of some failed writes.
    """
    try:
        yield
    except ElmoError:
        raise
    except (OSError, RuntimeError) as error:
        raise OutputError(f"{path} cannot be written: {error}; check the folder and the free space") from error


@contextmanager
def new_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file that appears under its name when it is complete, in place of what was there.

    Parameters
    ----------
    path : str or path
        The file to make.

    Yields
    ------
    h5py.File

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with new_file(path, overwrite=True) as partial, output_errors(path), h5py.File(partial, "w") as file:
        yield file
