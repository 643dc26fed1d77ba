"""Two stacks over one input, in opposite directions."""

from __future__ import annotations

import numpy as np

from numpy_elmo import Elmo
from numpy_elmo.network.batching import pack
from numpy_elmo.network.state import BilmState

LENGTHS = [2, 4, 1]


def test_the_directions_share_their_input_and_nothing_else(base64: Elmo) -> None:
    bilm = base64.bilm
    zeros = bilm.zero_state(1)
    P = zeros.h.shape[3]
    tokens = np.random.default_rng(0).normal(size=(sum(LENGTHS), P))
    layers, after = bilm(tokens, pack(LENGTHS), zeros.repeat(3))
    np.testing.assert_array_equal(layers[0], np.concatenate([tokens, tokens], axis=1))
    begin = 0
    for k, length in enumerate(LENGTHS):
        x = tokens[begin : begin + length]
        found = layers[1:, begin : begin + length]
        for direction, (stack, way) in enumerate([(bilm.forward, 1), (bilm.backward, -1)]):
            h, c = zeros.h[direction].copy(), zeros.c[direction].copy()
            expected = stack(x[::way], np.ones(length, np.intp), h, c)[:, ::way]
            half = slice(direction * P, (direction + 1) * P)
            np.testing.assert_allclose(found[..., half], expected, rtol=0, atol=1e-12)
            np.testing.assert_allclose(after.h[direction, :, k], h[:, 0], rtol=0, atol=1e-12)
            np.testing.assert_allclose(after.c[direction, :, k], c[:, 0], rtol=0, atol=1e-12)
        begin += length


def test_the_state_that_is_given_stays_as_it_was(base64: Elmo) -> None:
    state = base64.bilm.zero_state(3)
    before = BilmState(state.h.copy(), state.c.copy())
    base64.bilm(np.ones((sum(LENGTHS), state.h.shape[3])), pack(LENGTHS), state)
    np.testing.assert_array_equal(state.h, before.h)
    np.testing.assert_array_equal(state.c, before.c)
