"""One direction: layers over layers, with and without skip connections."""

from __future__ import annotations

import numpy as np
import pytest

from numpy_elmo import Elmo
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.stack import Stack

N, SIZES = 5, np.array([2, 2, 1])


def random_input(base: Elmo) -> list[Array]:
    rng = np.random.default_rng(0)
    zeros = base.bilm.zero_state(2)
    return [rng.normal(size=shape) for shape in ((N, zeros.h.shape[3]), zeros.h.shape[1:], zeros.c.shape[1:])]


@pytest.mark.parametrize("skip", [False, True])
def test_each_layer_reads_what_the_one_below_gives_to_the_caller(base64: Elmo, skip: bool) -> None:
    x, h, c = random_input(base64)
    layers = base64.bilm.forward.layers
    below, expected = x, []
    for depth, layer in enumerate(layers):
        y = layer(below, SIZES, h[depth].copy(), c[depth].copy())
        below = y + below if skip and depth else y
        expected.append(below)
    np.testing.assert_allclose(Stack(layers, skip)(x, SIZES, h, c), expected, rtol=0, atol=1e-12)


def test_the_states_are_those_after_the_last_token_and_see_no_skip_connection(base64: Elmo) -> None:
    x, h, c = random_input(base64)
    outputs = Stack(base64.bilm.forward.layers, use_skip_connections=True)(x, SIZES, h, c)
    np.testing.assert_array_equal(h[0], outputs[0, [4, 3]])  # the first text ends at the last step, the second before
    np.testing.assert_allclose(h[1], outputs[1, [4, 3]] - outputs[0, [4, 3]], rtol=0, atol=1e-12)
