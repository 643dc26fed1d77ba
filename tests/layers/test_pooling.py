"""One vector for several tokens."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from numpy_elmo.errors import InputError
from numpy_elmo.layers.pooling import Pooling, pool

VECTORS = np.array([[1.0, -9.0], [2.0, -5.0], [6.0, -1.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [3.0, -5.0]),
        ("max", [6.0, -1.0]),
        ("sum", [9.0, -15.0]),
        ("first", [1.0, -9.0]),
        ("last", [6.0, -1.0]),
    ],
)
def test_a_pooling_gives_what_its_name_says_for_every_layer(pooling: Pooling, expected: list[float]) -> None:
    layers = np.stack([VECTORS, 2 * VECTORS])
    pooled = pool(layers, pooling)
    assert pooled.dtype == np.float32
    np.testing.assert_array_equal(pooled, [expected, 2 * np.array(expected)])


@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_no_tokens_give_zeros(pooling: Pooling) -> None:
    np.testing.assert_array_equal(pool(np.empty((3, 0, 4), np.float32), pooling), np.zeros((3, 4)))


def test_an_unknown_pooling_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match="'mean', 'max', 'sum', 'first', 'last', not 'median'"):
        pool(VECTORS, "median")  # type: ignore[arg-type]
