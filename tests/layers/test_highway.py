"""A highway layer is its equation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numpy_elmo.layers.highway import Highway


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def test_highway_is_its_equation() -> None:
    rng = np.random.default_rng(1)
    W_g, b_g, W_h, b_h = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=(4, 4)), rng.normal(size=4)
    x = rng.normal(size=(3, 4))
    found = Highway(W_g, b_g, W_h, b_h)(x)
    for n in range(3):
        for k in range(4):
            g = logistic(sum(x[n, m] * W_g[m, k] for m in range(4)) + b_g[k])
            h = max(0.0, sum(x[n, m] * W_h[m, k] for m in range(4)) + b_h[k])
            assert found[n, k] == pytest.approx(g * h + (1 - g) * x[n, k], abs=1e-12)
