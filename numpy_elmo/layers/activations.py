"""The nonlinearities of ELMo, elementwise and of the argument's own precision."""

from __future__ import annotations

import numpy as np

from numpy_elmo.layers.arrays import Array


def relu(x: Array) -> Array:
    """Return ``max(x, 0)``, elementwise."""
    return np.maximum(x, 0)


def sigmoid(x: Array, out: Array | None = None) -> Array:
    """Return ``1 / (1 + exp(-x))``, elementwise; in `out`, which may be `x`, if that is given.

    It is computed as ``(tanh(x / 2) + 1) / 2``, the same function, which neither overflows nor warns, and for which
    NumPy has a vectorised kernel.  In float32 its error stays below 1.2e-7.
    """
    result: Array = np.multiply(x, 0.5, out=out)
    np.tanh(result, out=result)
    result *= 0.5
    result += 0.5
    return result
