"""The character CNN is its equation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numpy_elmo.layers.activations import relu
from numpy_elmo.layers.char_cnn import CharCNN, Convolution


def test_char_cnn_is_its_equation() -> None:
    rng = np.random.default_rng(0)
    embed = rng.normal(size=(261, 3))
    banks = tuple(
        Convolution(W=rng.normal(size=(width, 3, count)), b=rng.normal(size=count))
        for width, count in ((1, 2), (2, 1), (4, 3))
    )
    ids = rng.integers(0, 261, size=(5, 7))
    for activation, scalar in ((relu, lambda v: max(v, 0.0)), (np.tanh, math.tanh)):
        found = CharCNN(embed, banks, activation)(ids)
        assert found.shape == (5, 6)
        for n in range(5):
            column = 0
            for bank in banks:
                width, _, count = bank.W.shape
                for k in range(count):
                    sums = [
                        sum(bank.W[s, e, k] * embed[ids[n, t + s], e] for s in range(width) for e in range(3))
                        for t in range(7 - width + 1)
                    ]
                    assert found[n, column] == pytest.approx(scalar(max(sums) + bank.b[k]), abs=1e-12)
                    column += 1
