"""The nonlinearities are exact to their precision."""

from __future__ import annotations

import math

import numpy as np

from numpy_elmo.layers.activations import sigmoid


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def test_sigmoid_is_exact_to_float32_and_never_warns() -> None:
    x = np.concatenate([np.linspace(-30, 30, 10_001), [-1e4, -200, 200, 1e4]]).astype(np.float32)
    exact = np.array([logistic(float(value)) for value in x])
    assert sigmoid(x).dtype == np.float32
    assert np.abs(sigmoid(x) - exact).max() < 1.2e-7
