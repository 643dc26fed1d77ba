"""Vectors are arrays of floats, and what is none is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.layers.arrays import check_vectors, read_only


def test_integers_become_float32_and_floats_stay_as_they_are() -> None:
    vectors = np.ones((2, 3))
    assert check_vectors(vectors) is vectors
    assert check_vectors([[1, 2]]).dtype == np.float32


@pytest.mark.parametrize(
    ("vectors", "n_axes", "error", "message"),
    [
        ([[1.0], [1.0, 2.0]], 2, InputTypeError, "its name must be an array of numbers, not list"),
        (np.array([["a"]]), 2, InputTypeError, "must be an array of numbers, not ndarray"),
        (None, 2, InputTypeError, "not NoneType"),
        (np.ones(3), 2, InputError, r"must have the shape \(\.\.\., tokens, features\), not \(3,\)"),
        (np.ones((3, 2)), 3, InputError, r"must have the shape 3 axes, not \(3, 2\)"),
    ],
)
def test_what_is_no_array_of_vectors_is_named(vectors: Any, n_axes: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_vectors(vectors, "its name", n_axes)


def test_weights_cannot_be_written_to() -> None:
    weights = read_only(np.zeros(3))
    with pytest.raises(ValueError, match="read-only"):
        weights[0] = 1
