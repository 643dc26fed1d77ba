"""Products by blocks against plain products, and what chooses between them."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo.errors import InputError
from numpy_elmo.layers import matmul
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.lstm import LstmLayer
from numpy_elmo.layers.matmul import (
    Matrix,
    chosen_products,
    cut,
    fast,
    multiply,
    multiply_blocks,
    plain,
    rows_for_blocks,
)
from numpy_elmo.network.batching import pack
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.threads import Workers

TOLERANCE = 2e-6


def random_weights(seed: int, *shape: int) -> Array:
    """Values whose products are of the size of 1, as a model's are."""
    values: Array = np.random.default_rng(seed).standard_normal(shape) / np.sqrt(shape[0])
    return values.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 130),
    parts=st.integers(1, 3),
    columns=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_ways_give_the_product(rows: int, parts: int, columns: int, seed: int) -> None:
    W = random_weights(seed, 512 * parts, 64 * columns)
    x = random_weights(seed + 1, 512 * parts, rows).T
    exact = x.astype(np.float64) @ W.astype(np.float64)
    assert cut(W).shape == (parts, columns, 512, 64)
    np.testing.assert_allclose(multiply_blocks(x, cut(W)), exact, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(multiply(x, W), exact, rtol=0, atol=TOLERANCE)


def test_a_matrix_chooses_by_the_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    by_blocks = []

    def note(x: Array, blocks: Array) -> Array:
        by_blocks.append(len(x))
        return multiply_blocks(x, blocks)

    monkeypatch.setattr(matmul, "multiply_blocks", note)
    W = random_weights(0, 512, 1024)
    matrix = Matrix(W, block_rows=8)
    for rows in (1, 2, 8, 9):
        x = random_weights(rows, rows, 512)
        np.testing.assert_allclose(x @ matrix, x @ W, rtol=0, atol=TOLERANCE)
    assert by_blocks == [2, 8]


def test_partial_sums_round_less_than_one_sum() -> None:
    rng = np.random.default_rng(1)
    x, W = rng.random((8, 4096), dtype=np.float32), rng.random((4096, 64), dtype=np.float32)
    exact = x.astype(np.float64) @ W.astype(np.float64)
    in_order = np.zeros((8, 64), np.float32)
    for k in range(4096):
        in_order += x[:, k : k + 1] * W[k]
    for product in (multiply(x, W), multiply_blocks(x, cut(W))):
        assert np.abs(product - exact).mean() < np.abs(in_order - exact).mean()


def test_small_weights_and_double_precision_are_left_as_they_are() -> None:
    small, double, odd = np.ones((512, 64), np.float32), np.ones((512, 1024)), np.ones((512, 1030), np.float32)
    for W in (small, double, odd):
        assert fast(W, block_rows=100) is W
        assert rows_for_blocks(W, W, "blocked") == 0
    large = np.ones((512, 1024), np.float32)
    assert fast(large, block_rows=0) is large
    assert plain(fast(large, block_rows=100)) is large


def test_a_choice_can_be_pinned_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    W = random_weights(3, 512, 1024)
    assert rows_for_blocks(W, W, "plain") == 0
    assert rows_for_blocks(W, W, "blocked") > 10**6
    # Where a way takes as long as the other, the one that needs no second copy is taken.
    monkeypatch.setattr(matmul, "multiply_blocks", lambda x, blocks: multiply(x, W))
    monkeypatch.setattr(matmul, "WORTH", 0.0)
    assert rows_for_blocks(W, W, "auto") == 0
    monkeypatch.setattr(matmul, "WORTH", float("inf"))
    assert rows_for_blocks(W, W, "auto") > 10**6


def test_the_option_comes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(matmul.VARIABLE, raising=False)
    assert chosen_products(None) == "auto"
    monkeypatch.setenv(matmul.VARIABLE, "plain")
    assert chosen_products(None) == "plain"
    assert chosen_products("blocked") == "blocked"
    with pytest.raises(InputError, match="products must be one of 'auto', 'plain', 'blocked', not 'fast'"):
        chosen_products("fast")  # type: ignore[arg-type]
    monkeypatch.setenv(matmul.VARIABLE, "quick")
    with pytest.raises(InputError, match="NUMPY_ELMO_PRODUCTS must be one of"):
        chosen_products(None)


def random_bilm(seed: int) -> Bilm:
    """Two layers each way, of a size that is cut: P = 64, D = 1024; clips that bind now and then."""
    seeds = count(1000 * seed)

    def weights(*shape: int) -> Array:
        return random_weights(next(seeds), *shape)

    def layer() -> LstmLayer:
        return LstmLayer(weights(64, 4096), weights(64, 4096), weights(4096), weights(1024, 64), 1.0, 1.0)

    return Bilm((layer(), layer()), (layer(), layer()), use_skip_connections=True)


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=60), seed=st.integers(0, 100), threads=st.integers(1, 4)
)
def test_a_fast_model_equals_a_plain_one(lengths: list[int], seed: int, threads: int) -> None:
    oracle = random_bilm(seed)
    quick = oracle.with_fast_products("blocked")
    assert isinstance(quick.forward[0].W_h, Matrix)
    assert isinstance(quick.forward[0].W_p, Matrix)
    tokens = np.random.default_rng(seed).standard_normal((sum(lengths), 64)).astype(np.float32)
    packing = pack(lengths)
    expected, expected_state = oracle(tokens, packing, oracle.zero_state(len(lengths)))
    found, state = quick(tokens, packing, quick.zero_state(len(lengths)), Workers(threads))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    for stack, expected_stack in zip(state, expected_state, strict=True):
        for after, expected_after in zip(stack, expected_stack, strict=True):
            np.testing.assert_allclose(after.h, expected_after.h, rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(after.c, expected_after.c, rtol=0, atol=TOLERANCE)
