"""The arrays that a trace shows are those of the forward pass: they fit the equations, and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from numpy_elmo import Elmo, load
from numpy_elmo.errors import InputTypeError
from numpy_elmo.layers.activations import relu
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.matmul import as_matrix
from numpy_elmo.layers.tracing import note, recording

TOKENS = ["The", "bank", "lent", "the", "money", "."]
Trace = dict[str, npt.NDArray[Any]]


@pytest.fixture(scope="module")
def elmo() -> Elmo:
    return load("tiny", dtype="float64")


@pytest.fixture(scope="module")
def trace(elmo: Elmo) -> Trace:
    return elmo.trace(TOKENS)


def assert_equal(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def sigmoid(x: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-x))
    return result


def test_the_layers_are_those_that_embed_returns(elmo: Elmo, trace: Trace) -> None:
    [expected] = elmo.embed([TOKENS], boundaries=True)
    assert_equal(trace["layers"], expected)
    assert next(iter(trace)) == "character_ids"
    assert list(trace)[-1] == "layers"


def test_the_token_layer_fits_its_parts(elmo: Elmo, trace: Trace) -> None:
    encoder = elmo.encoder.layers
    np.testing.assert_array_equal(trace["char_cnn.characters"], encoder.char_cnn.char_embed[trace["character_ids"]])
    x = []
    for k, filters in enumerate(encoder.char_cnn.convolutions):
        width = len(filters.W)
        convolved = trace[f"char_cnn.conv_{k}.convolved"]
        assert convolved.shape == (8, 50 - width + 1, filters.W.shape[2])
        window = trace["char_cnn.characters"][:, 3 : 3 + width]
        assert_equal(convolved[:, 3], np.einsum("nwe,wef->nf", window, filters.W))
        assert_equal(trace[f"char_cnn.conv_{k}.pooled"], relu((convolved + filters.b).max(axis=1)))
        x.append(trace[f"char_cnn.conv_{k}.pooled"])
    y = np.concatenate(x, axis=1)
    for k, highway in enumerate(encoder.highways):
        gate, hidden = trace[f"highway.{k}.gate"], trace[f"highway.{k}.hidden"]
        assert_equal(gate, sigmoid(y @ as_matrix(highway.W_gate).W + highway.b_gate))
        assert_equal(hidden, relu(y @ as_matrix(highway.W_hidden).W + highway.b_hidden))
        assert_equal(trace[f"highway.{k}.output"], gate * hidden + (1 - gate) * y)
        y = trace[f"highway.{k}.output"]
    assert encoder.W_proj is not None
    assert encoder.b_proj is not None
    assert_equal(trace["token_vectors"], y @ as_matrix(encoder.W_proj).W + encoder.b_proj)
    assert_equal(trace["layers"][0], np.tile(trace["token_vectors"], 2))


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("depth", [0, 1])
def test_the_gates_fit_the_cell_and_the_output(elmo: Elmo, trace: Trace, direction: str, depth: int) -> None:
    layer = getattr(elmo.bilm, direction).layers[depth]
    reading = 1 if direction == "forward" else -1
    P = len(trace["token_vectors"][0])
    half = slice(0, P) if direction == "forward" else slice(P, 2 * P)

    def part(name: str) -> Array:
        """The rows in the order in which the direction reads them."""
        rows: Array = trace[f"{direction}.{depth}.{name}"][::reading]
        return rows

    x = trace["layers"][depth][::reading, half]
    h, c = np.zeros(P), np.zeros(len(layer.b) // 4)
    for t in range(len(TOKENS) + 2):
        i, j, f, o = np.split(x[t] @ as_matrix(layer.W_x).W + h @ as_matrix(layer.W_h).W + layer.b, 4)
        assert_equal(part("input_gate")[t], sigmoid(i))
        assert_equal(part("candidate")[t], np.tanh(j))
        assert_equal(part("forget_gate")[t], sigmoid(f))
        assert_equal(part("output_gate")[t], sigmoid(o))
        c = np.clip(sigmoid(f) * c + sigmoid(i) * np.tanh(j), -layer.cell_clip, layer.cell_clip)
        assert_equal(part("cell")[t], c)
        h = np.clip((sigmoid(o) * np.tanh(c)) @ as_matrix(layer.W_p).W, -layer.proj_clip, layer.proj_clip)
        assert_equal(part("output")[t], h)
    residual = x if depth > 0 else 0
    assert_equal(trace["layers"][depth + 1][::reading, half], part("output") + residual)


def test_arrays_of_a_trace_are_copies(elmo: Elmo, trace: Trace) -> None:
    again = elmo.trace(TOKENS)
    for array in again.values():
        array[...] = 0
    for name, array in elmo.trace(TOKENS).items():
        np.testing.assert_array_equal(array, trace[name])


def test_nothing_is_recorded_outside_a_recording() -> None:
    note(before=np.ones(1))
    with recording() as record:
        note(inside=np.ones(2))
    note(after=np.ones(3))
    assert list(record.arrays) == ["inside"]


def test_a_string_is_no_sentence(elmo: Elmo) -> None:
    with pytest.raises(InputTypeError, match="not one string"):
        elmo.trace("The bank")
