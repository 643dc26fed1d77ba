"""Pooling: one vector for several tokens, such as a sentence or a span."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array, check_vectors

Pooling: TypeAlias = Literal["mean", "max", "sum", "first", "last"]

_POOLINGS: dict[str, Callable[[Array], Array]] = {
    "mean": lambda vectors: vectors.mean(axis=-2),
    "max": lambda vectors: vectors.max(axis=-2),
    "sum": lambda vectors: vectors.sum(axis=-2),
    "first": lambda vectors: vectors[..., 0, :],
    "last": lambda vectors: vectors[..., -1, :],
}


def pool(vectors: npt.ArrayLike, pooling: Pooling) -> Array:
    """Make one vector from the vectors of some tokens.

    Parameters
    ----------
    vectors : ndarray, shape (..., n_tokens, n_features)
        Vectors of tokens, without padding, and without boundaries unless they should count.
    pooling : {"mean", "max", "sum", "first", "last"}
        Mean, maximum or sum of every feature over the tokens; or the first or the last token's vector.

    Returns
    -------
    ndarray, shape (..., n_features)
        In the precision of `vectors`.  Without tokens the vector is zeros in every pooling, so that a table has a row
        for every sentence.

    Raises
    ------
    InputError
        If there is no such pooling, or the vectors are not of tokens.
    InputTypeError
        If the vectors are not an array of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> pool(np.array([[1.0, 2.0], [3.0, 8.0]]), "mean")
    array([2., 5.])
    """
    if pooling not in _POOLINGS:
        raise InputError(f"pooling must be one of {', '.join(map(repr, get_args(Pooling)))}, not {pooling!r}")
    vectors = check_vectors(vectors)
    if not vectors.shape[-2]:
        return np.zeros((*vectors.shape[:-2], vectors.shape[-1]), vectors.dtype)
    return _POOLINGS[pooling](vectors)
