"""An LSTM layer is its equation, one token at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numpy_elmo.layers import lstm
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.lstm import LstmLayer
from numpy_elmo.layers.matmul import as_matrix
from numpy_elmo.network.batching import pack


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


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
