"""Each layer against its equation, evaluated number by number in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numpy_elmo import ScalarMix
from numpy_elmo.errors import InputError
from numpy_elmo.layers import lstm
from numpy_elmo.layers.activations import relu, sigmoid
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.char_cnn import CharCNN, Convolution
from numpy_elmo.layers.highway import Highway
from numpy_elmo.layers.lstm import LstmLayer
from numpy_elmo.layers.matmul import as_matrix
from numpy_elmo.network.batching import pack


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def test_sigmoid_is_exact_to_float32_and_never_warns() -> None:
    x = np.concatenate([np.linspace(-30, 30, 10_001), [-1e4, -200, 200, 1e4]]).astype(np.float32)
    exact = np.array([logistic(float(value)) for value in x])
    assert sigmoid(x).dtype == np.float32
    assert np.abs(sigmoid(x) - exact).max() < 1.2e-7


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


def random_layer(rng: np.random.Generator, P: int, D: int, *, project: bool, clip: float | None) -> LstmLayer:
    return LstmLayer(
        W_x=rng.normal(size=(P, 4 * D)),
        W_h=rng.normal(size=(P, 4 * D)),
        b=rng.normal(size=4 * D),
        W_p=rng.normal(size=(D, P)) if project else None,
        cell_clip=clip,
        proj_clip=clip,
    )


def one_sentence(layer: LstmLayer, x: Array, h: Array, c: Array) -> tuple[Array, Array, Array]:
    """The layer's equations for one sentence, one number at a time."""
    P, D = len(h), len(c)
    W_x, W_h = as_matrix(layer.W_x).W, as_matrix(layer.W_h).W
    W_p = None if layer.W_p is None else as_matrix(layer.W_p).W

    def clip(value: float, bound: float | None) -> float:
        return value if bound is None else max(-bound, min(bound, value))

    outputs = []
    for x_t in x:
        z = [
            sum(x_t[p] * W_x[p, k] for p in range(P)) + sum(h[p] * W_h[p, k] for p in range(P)) + layer.b[k]
            for k in range(4 * D)
        ]
        i, j, f, o = z[:D], z[D : 2 * D], z[2 * D : 3 * D], z[3 * D :]
        c = np.array(
            [clip(logistic(f[d]) * c[d] + logistic(i[d]) * math.tanh(j[d]), layer.cell_clip) for d in range(D)]
        )
        m = np.array([logistic(o[d]) * math.tanh(c[d]) for d in range(D)])
        if W_p is None:
            h = m
        else:
            h = np.array([clip(sum(m[d] * W_p[d, p] for d in range(D)), layer.proj_clip) for p in range(P)])
        outputs.append(h)
    return np.array(outputs), h, c


@pytest.mark.parametrize("chunk_rows", [1, 4, 512])
@pytest.mark.parametrize(("project", "clip"), [(True, 0.8), (True, None), (False, 0.8)])
def test_lstm_is_its_equation(monkeypatch: pytest.MonkeyPatch, chunk_rows: int, project: bool, clip: float) -> None:
    monkeypatch.setattr(lstm, "CHUNK_ROWS", chunk_rows)
    rng = np.random.default_rng(2)
    P, D = (2, 3) if project else (3, 3)
    layer = random_layer(rng, P, D, project=project, clip=clip)
    lengths = [2, 5, 1, 5]
    sentences = [rng.normal(size=(length, P)) for length in lengths]
    h, c = rng.normal(size=(4, P)), rng.normal(size=(4, D))
    packing = pack(lengths)
    x = np.concatenate(sentences)[packing.forward]
    after_h, after_c = h[packing.order], c[packing.order]
    packed = layer(x, packing.batch_sizes, after_h, after_c)
    outputs = np.empty_like(packed)
    outputs[packing.forward] = packed
    for place, k in enumerate(packing.order):
        start = sum(lengths[:k])
        expected, last_h, last_c = one_sentence(layer, sentences[k], h[k], c[k])
        np.testing.assert_allclose(outputs[start : start + lengths[k]], expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(after_h[place], last_h, rtol=0, atol=1e-12)
        np.testing.assert_allclose(after_c[place], last_c, rtol=0, atol=1e-12)


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
    with pytest.raises(InputError, match="one finite number a layer"):
        ScalarMix(weights)


def test_scalar_mix_refuses_another_number_of_layers() -> None:
    with pytest.raises(InputError, match=r"2 weights.*3 layers"):
        ScalarMix([0, 0])(np.zeros((3, 1, 2)))


def test_scalar_mix_weights_cannot_be_changed_by_accident() -> None:
    mix = ScalarMix([0, 0])
    with pytest.raises(ValueError, match="read-only"):
        mix.weights[0] = 1
