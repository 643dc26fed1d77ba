"""The array type of the layers."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating]
"""Floating-point array.  Shapes stand in docstrings and in comments at the line that makes them.

The letters are the same everywhere: N tokens, C characters of a token, E length of a character's vector, F filters,
P length of one direction's output (``projection_dim``), D length of the LSTM cell, B sentences, T tokens of a sentence.
"""


def read_only(array: Array) -> Array:
    """Return `array` with writing switched off: weights are shared by calls and threads."""
    array.setflags(write=False)
    return array
