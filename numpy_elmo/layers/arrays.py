"""The array type of the layers."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError, InputTypeError

Array: TypeAlias = npt.NDArray[np.floating]
"""Floating-point array.  Docstrings give shapes, and so do comments on the line that makes an array.

The letters are the same everywhere: N tokens, C characters of a token, E length of a character's vector, F filters,
P length of one direction's output (``projection_dim``), D length of the LSTM cell, B sentences, T tokens of a sentence.
Only in `numpy_elmo.layers.matmul`, K and N are the rows and columns of any matrix.
"""


def read_only(array: Array) -> Array:
    """Return `array` with writing switched off: weights are shared by calls and threads."""
    array.setflags(write=False)
    return array


def check_vectors(vectors: npt.ArrayLike, name: str = "vectors", n_axes: int = 2) -> Array:
    """Return vectors as an array of floats with at least `n_axes` axes, or raise an error that says what is wrong."""
    try:
        array = np.asarray(vectors)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "fiu":
        raise InputTypeError(f"{name} must be an array of numbers, not {type(vectors).__name__}")
    if array.ndim < n_axes:
        expected = "(..., tokens, features)" if n_axes == 2 else f"{n_axes} axes"
        raise InputError(f"{name} must have the shape {expected}, not {array.shape}")
    floats: Array = array if array.dtype.kind == "f" else array.astype(np.float32)
    return floats
