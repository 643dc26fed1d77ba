"""Writing vectors as npz, NumPy's own format for several arrays; `load_embeddings` reads it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping

import numpy as np

from numpy_elmo.errors import InputError
from numpy_elmo.files.writing import new_file, output_errors
from numpy_elmo.layers.arrays import Array


def write_npz(
    path: str | os.PathLike[str],
    vectors: Iterable[Array] | Mapping[str, Array],
    *,
    compress: bool = False,
    overwrite: bool = False,
) -> None:
    """Write arrays of vectors to an npz file, one after the other, so that they need not be in memory together.

    Parameters
    ----------
    path : str or path
        The file to make; its name is taken as it is.
    vectors : iterable of ndarray, or mapping from str to ndarray
        Arrays, one a sentence, which get the names ``arr_0``, ``arr_1``, ... that `numpy.savez` gives; or arrays
        with names of their own, such as the occurrences of a word.
    compress : bool
        Whether to deflate, as `numpy.savez_compressed` does: slower, and somewhat smaller.
    overwrite : bool
        Whether it may replace a file that is there.

    Raises
    ------
    InputError
        If something is not an array of numbers.
    OutputError
        If the file is there already, or cannot be written.
    """
    named = vectors.items() if isinstance(vectors, Mapping) else ((f"arr_{k}", v) for k, v in enumerate(vectors))
    compression = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with (
        new_file(path, overwrite=overwrite) as partial,
        output_errors(path),
        zipfile.ZipFile(partial, "w", compression) as archive,
    ):
        for name, array in named:
            if not isinstance(array, np.ndarray) or array.dtype.hasobject:
                raise InputError(f"{name} must be an array of numbers, not {type(array).__name__}")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
