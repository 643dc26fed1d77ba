"""The scalar mix: its equation, TensorFlow's values and gradients, and finite differences."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo import ScalarMix
from numpy_elmo.errors import InputError

NAMES = {False: "plain", True: "layer_norm"}


@pytest.fixture(scope="module")
def tensorflow() -> dict[str, Any]:
    with np.load(Path(__file__).parents[1] / "fixtures" / "scalar_mix.npz") as file:
        return dict(file)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_mix_and_gradient_are_tensorflows(tensorflow: dict[str, Any], layer_norm: bool) -> None:
    layers, mask, upstream = (tensorflow[name] for name in ("layers", "mask", "upstream"))
    mix = ScalarMix(tensorflow["weights"], float(tensorflow["gamma"]), layer_norm=layer_norm)
    name = NAMES[layer_norm]
    np.testing.assert_allclose(mix(layers, mask), tensorflow[f"{name}/mix"], rtol=0, atol=1e-12)
    weights, gamma = mix.gradient(layers, upstream, mask)
    np.testing.assert_allclose(weights, tensorflow[f"{name}/weights"], rtol=0, atol=1e-11)
    np.testing.assert_allclose(gamma, tensorflow[f"{name}/gamma"], rtol=0, atol=1e-11)
    single = ScalarMix(tensorflow["weights"], float(tensorflow["gamma"]), layer_norm=layer_norm)(
        layers.astype(np.float32), mask
    )
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, tensorflow[f"{name}/mix"], rtol=0, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_layers=st.integers(1, 4), layer_norm=st.booleans())
def test_gradient_is_the_limit_of_differences(seed: int, n_layers: int, layer_norm: bool) -> None:
    rng = np.random.default_rng(seed)
    layers, upstream = rng.normal(size=(n_layers, 3, 4)), rng.normal(size=(3, 4))
    weights, gamma = rng.normal(size=n_layers), float(rng.normal())

    def loss(weights: Any, gamma: float) -> float:
        return float((ScalarMix(weights, gamma, layer_norm=layer_norm)(layers) * upstream).sum())

    found = ScalarMix(weights, gamma, layer_norm=layer_norm).gradient(layers, upstream)
    step = 1e-6
    for k in range(n_layers):
        change = np.eye(n_layers)[k] * step
        slope = (loss(weights + change, gamma) - loss(weights - change, gamma)) / (2 * step)
        assert found.weights[k] == pytest.approx(slope, abs=1e-7)
    assert found.gamma == pytest.approx(
        (loss(weights, gamma + step) - loss(weights, gamma - step)) / (2 * step), abs=1e-7
    )


def test_layer_norm_counts_the_true_tokens_alone() -> None:
    layers = np.random.default_rng(0).normal(3, 2, size=(2, 1, 4, 5))
    mask = np.array([[True, True, True, False]])
    layers[:, :, 3] = 1e6  # what stands at padding must not matter
    mixed = ScalarMix([0, 0], layer_norm=True)(layers, mask)[mask]
    np.testing.assert_allclose(mixed, ScalarMix([0, 0], layer_norm=True)(layers[:, 0, :3]), rtol=0, atol=1e-12)
    one = ScalarMix([50, -50], layer_norm=True)(layers, mask)[mask]
    assert one.mean() == pytest.approx(0, abs=1e-12)
    assert one.std() == pytest.approx(1, abs=1e-9)


def test_a_task_can_learn_the_scalars() -> None:
    rng = np.random.default_rng(1)
    layers = rng.normal(size=(3, 40, 6))
    target = 2.5 * layers[1]  # the task needs layer 1, scaled
    weights, gamma = np.zeros(3), 1.0
    for _ in range(2000):
        mix = ScalarMix(weights, gamma)
        gradient = mix.gradient(layers, (mix(layers) - target) / len(target))
        weights, gamma = weights - 0.1 * gradient.weights, gamma - 0.1 * gradient.gamma
    shares = np.exp(weights) / np.exp(weights).sum()
    assert shares[1] > 0.95
    assert gamma == pytest.approx(2.5, abs=0.1)


def test_nothing_to_mix_is_nothing() -> None:
    assert ScalarMix([0, 0], layer_norm=True)(np.empty((2, 0, 4))).shape == (0, 4)


def test_upstream_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape of the mix, \(3, 4\), not \(4, 3\)"):
        ScalarMix([0, 0]).gradient(np.zeros((2, 3, 4)), np.zeros((4, 3)))


def test_scalar_mix_is_its_equation() -> None:
    layers = np.random.default_rng(4).normal(size=(3, 5, 4))
    w, gamma = [0.3, -1.2, 2.0], 0.7
    total = sum(math.exp(value) for value in w)
    expected = gamma * sum(math.exp(value) / total * layer for value, layer in zip(w, layers, strict=True))
    np.testing.assert_allclose(ScalarMix(w, gamma)(layers), expected, rtol=0, atol=1e-12)


def test_scalar_mix_of_zeros_is_the_average_and_large_weights_do_not_overflow() -> None:
    layers = np.random.default_rng(5).normal(size=(3, 2, 4)).astype(np.float32)
    mixed = ScalarMix([0, 0, 0])(layers)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, layers.mean(axis=0), rtol=0, atol=1e-6)
    np.testing.assert_allclose(ScalarMix([1000, 0, 0])(layers), layers[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("weights", [[], [float("nan"), 0], [[0, 1]], [float("inf")]])
def test_scalar_mix_refuses_weights_that_are_not_finite_numbers(weights: list[float]) -> None:
    with pytest.raises(InputError, match="one finite number per layer"):
        ScalarMix(weights)


def test_scalar_mix_refuses_another_number_of_layers() -> None:
    with pytest.raises(InputError, match=r"2 weights.*3 layers"):
        ScalarMix([0, 0])(np.zeros((3, 1, 2)))


def test_scalar_mix_weights_cannot_be_changed_by_accident() -> None:
    mix = ScalarMix([0, 0])
    with pytest.raises(ValueError, match="read-only"):
        mix.weights[0] = 1
