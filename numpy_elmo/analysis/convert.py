"""Writing any readable model, with its softmax, as the files that bilm-tf's ``dump_weights`` writes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from numpy_elmo.elmo import load
from numpy_elmo.errors import InputError, ModelNotFoundError, OutputError, WeightsError
from numpy_elmo.files.arrays import Arrays
from numpy_elmo.files.find import find_model
from numpy_elmo.files.options import encode_options
from numpy_elmo.files.places import exists, to_path
from numpy_elmo.files.weights import expected_shapes
from numpy_elmo.files.writing import new_file, new_hdf5, output_errors, sync_folder
from numpy_elmo.language_model.files import B, W, find_softmax, find_vocabulary

SENTENCES = [["The", "quick", "brown", "fox", "jumps", "."], ["naïve", "東京", "I"], ["Yes"]]
BLOCK_VALUES = 1 << 22


@dataclass(frozen=True)
class Conversion:
    """What `convert` wrote.

    Attributes
    ----------
    folder : Path
        The new model.
    files : tuple of str
        The names of its files.
    difference : float
        Largest difference between the vectors of the new model and the source, over a few sentences; 0 where float32
        holds all values.
    """

    folder: Path
    files: tuple[str, ...]
    difference: float


def convert(
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    *,
    dtype: Literal["float32", "float16"] = "float32",
    options: str | os.PathLike[str] | None = None,
    softmax: str | os.PathLike[str] | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
) -> Conversion:
    """Write a model in the published layout.

    The new model is loaded and its vectors are compared with the source's before its folder gets its name.

    Parameters
    ----------
    source : str or path
        Anything that `numpy_elmo.load` reads.
    dest : str or path
        The folder to create, with ``options.json``, ``weights.hdf5`` and, if the source has a softmax,
        ``softmax_weights.hdf5`` and ``vocab.txt``.
    dtype : {"float32", "float16"}
        How to store the values.  float16 takes half the space; vectors change by about 1e-3 of their size.
    options, softmax, vocabulary : str or path, optional
        As for `numpy_elmo.load` and `LanguageModel.load`.

    Returns
    -------
    Conversion

    Raises
    ------
    OutputError
        If the folder exists and is not empty, or cannot be written.
    WeightsError
        If the source is damaged, or values are too large for float16.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from numpy_elmo.analysis.convert import convert
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     convert("tiny", Path(folder, "new")).files
    ('options.json', 'softmax_weights.hdf5', 'vocab.txt', 'weights.hdf5')
    """
    if dtype not in ("float32", "float16"):
        raise InputError(f'dtype must be "float32" or "float16", not {dtype!r}')
    files = find_model(source, options)
    target = to_path(dest, "dest must be a path")
    if exists(target) and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target} exists already; remove it, or give another name")
    elmo = load(files)
    with output_errors(target, ValueError):  # a NUL in the name
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.", suffix=".part"))
    try:
        with files.open_weights() as arrays:
            _copy(arrays, folder / "weights.hdf5", expected_shapes(files.options, arrays), dtype)
        try:
            found = find_softmax(files, softmax)
        except ModelNotFoundError:
            if softmax is not None or vocabulary is not None:
                raise
        else:
            with found.open_file() as arrays:
                _copy(arrays, folder / "softmax_weights.hdf5", (W, B), dtype)
            words, _ = find_vocabulary(files, vocabulary, softmax)
            _write(folder / "vocab.txt", "".join(f"{word}\n" for word in words.words))
        _write(folder / "options.json", encode_options(files.options))
        difference = 0.0
        for new, old in zip(load(folder).embed(SENTENCES), elmo.embed(SENTENCES), strict=True):
            difference = max(difference, float(np.abs(new - old).max()))
        names = tuple(sorted(path.name for path in folder.iterdir()))
        with output_errors(target):
            folder.chmod(target.parent.stat().st_mode & 0o777)  # mkdtemp lets nobody else in
            if target.exists():  # empty; Windows renames to no folder that is there
                target.rmdir()
            folder.rename(target)
            sync_folder(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # it is gone where all went well
    return Conversion(target, names, difference)


def _copy(arrays: Arrays, path: Path, names: Iterable[str], dtype: str) -> None:
    """Copy arrays to a new HDF5 file, block by block."""
    with new_hdf5(path) as file:
        for name in names:
            if problem := arrays.problem(name):
                raise WeightsError(f"{arrays.name}: {name} is expected to be an array, found {problem}")
            shape = arrays.shape(name)
            stored = file.create_dataset(name, shape, dtype)
            start = 0
            for rows in arrays.rows(name, max(1, BLOCK_VALUES // max(1, prod(shape[1:]))), "float32"):
                if dtype == "float16" and np.abs(rows).max(initial=0) > np.finfo(dtype).max:
                    raise WeightsError(f"{arrays.name}: {name} has values too large for float16; use float32")
                stored[start : start + len(rows)] = rows.astype(dtype)  # HDF5 before 1.14.4 rounds to float16 wrongly
                start += len(rows)


def _write(path: Path, text: str) -> None:
    with new_file(path) as partial, output_errors(path):
        partial.write_text(text, encoding="utf-8", newline="\n")
