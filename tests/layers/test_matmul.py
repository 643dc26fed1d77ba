"""Products in every form against plain products, and the bits of a row in any batch."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo.errors import InputError
from numpy_elmo.layers import matmul
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.blas import SMALL_MATRIX_KERNELS, kernel, one_thread
from numpy_elmo.layers.lstm import LstmLayer
from numpy_elmo.layers.matmul import Form, Matrix, as_matrix, chosen_form, cut, independent_form, keeps_bits, reshaped
from numpy_elmo.network.batching import pack
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.stack import Stack
from numpy_elmo.network.threads import Workers

TOLERANCE = 2.5e-6

FORMS = [
    Form(rows, exactly=exactly, blocks=blocks)
    for rows, exactly in ((1, False), (4, False), (8, True), (1, True))
    for blocks in (0, 256, 512)
]


def random_weights(seed: int, *shape: int) -> Array:
    """Values whose products are of the size of 1, as a model's are."""
    values: Array = np.random.default_rng(seed).standard_normal(shape) / np.sqrt(shape[0])
    return values.astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 70),
    K=st.sampled_from([48, 512, 1024, 1536]),
    N=st.sampled_from([40, 512, 1024]),
    form=st.sampled_from(FORMS),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_form_gives_the_product(rows: int, K: int, N: int, form: Form, seed: int) -> None:
    W = random_weights(seed, K, N)
    x = random_weights(seed + 1, K, rows).T
    exact = x.astype(np.float64) @ W.astype(np.float64)
    matrix = Matrix(W, form)
    np.testing.assert_array_equal(matrix.W, W)
    np.testing.assert_allclose(x @ matrix, exact, rtol=0, atol=TOLERANCE)
    again = matrix.multiply(x, matrix.scratch(rows))
    np.testing.assert_array_equal(again.reshape(rows, N), x @ matrix)
    tiled = matrix.tile(exact)
    assert tiled.shape == again.shape
    np.testing.assert_array_equal(tiled.reshape(rows, N), exact)


def test_weights_are_cut_where_they_are_large_float32_and_of_whole_blocks() -> None:
    large = random_weights(0, 1024, 512)
    assert cut(large, 256).shape == (4, 8, 256, 64)
    assert cut(large, 2048).shape == (1, 8, 1024, 64)
    assert Matrix(large, Form(blocks=256)).is_cut
    small, double, odd = np.ones((512, 64), np.float32), np.ones((512, 1024)), np.ones((512, 1030), np.float32)
    for W in (small, double, odd):
        assert not Matrix(W, Form(blocks=256)).is_cut
    assert not Matrix(large, Form()).is_cut


@pytest.mark.parametrize(
    ("form", "n", "expected"),
    [
        (Form(), 3, (1, 3)),
        (Form(), 20, (3, 7)),
        (Form(4), 1, (1, 4)),
        (Form(4), 9, (2, 5)),
        (Form(8, exactly=True), 1, (1, 8)),
        (Form(8, exactly=True), 9, (2, 8)),
        (Form(1, exactly=True), 3, (3, 1)),
    ],
)
def test_a_form_fixes_the_rows_of_every_product(form: Form, n: int, expected: tuple[int, int]) -> None:
    assert form.groups(n, most=8) == expected


def test_partial_sums_round_less_than_one_sum() -> None:
    rng = np.random.default_rng(1)
    x, W = rng.random((8, 4096), dtype=np.float32), rng.random((4096, 64), dtype=np.float32)
    exact = x.astype(np.float64) @ W.astype(np.float64)
    in_order = np.zeros((8, 64), np.float32)
    for k in range(4096):
        in_order += x[:, k : k + 1] * W[k]
    for form in (Form(), Form(blocks=256)):
        assert np.abs(x @ Matrix(W, form) - exact).mean() < np.abs(in_order - exact).mean()


def test_a_probe_of_bits_sees_products_that_depend_on_the_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    W = random_weights(3, 512, 512)
    assert keeps_bits(W, Form(1, exactly=True))
    multiply = Matrix.multiply

    def differs(self: Matrix, x: Array, out: Array | None = None) -> Array:
        result = multiply(self, x, out)
        return result + np.float32(1e-6) if len(x) == 12 else result

    monkeypatch.setattr(Matrix, "multiply", differs)
    assert not keeps_bits(W, Form(4))
    with pytest.raises(InputError, match="the bits of a row depend on the rows beside it"):
        chosen_form([W], True)
    assert chosen_form([W], None)[1] is False
    assert chosen_form([W], False)[1] is False
    assert independent_form([W]) == Form(1, exactly=True)


def test_blocks_are_chosen_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    W = random_weights(3, 64, 64)
    monkeypatch.setattr(matmul, "kernel", lambda: "SkylakeX")
    assert chosen_form([W], False) == (Form(blocks=256), False)
    monkeypatch.setattr(matmul, "kernel", lambda: "Haswell")
    assert chosen_form([W], False) == (Form(), False)


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 70), seed=st.integers(0, 2**32 - 1), shape=st.sampled_from([(512, 1024), (128, 2048)]))
def test_in_the_form_that_was_found_a_row_has_the_same_bits_alone(rows: int, seed: int, shape: tuple[int, int]) -> None:
    W = random_weights(0, *shape)
    x = random_weights(seed, shape[0], rows).T.copy()
    for form in (chosen_form([W], True)[0], independent_form([W])):
        matrix = Matrix(W, form)
        together = x @ matrix
        for k in {0, rows // 2, rows - 1}:
            np.testing.assert_array_equal(x[k : k + 1] @ matrix, together[k : k + 1])


@pytest.mark.parametrize("P", [96, 128, 256, 512])  # 96 is no multiple of 64
@pytest.mark.parametrize("K", [512, 1024, 2048])
def test_with_small_kernels_the_bits_of_projections_are_kept_by_default(K: int, P: int) -> None:
    """Those of AllenNLP's small model and of ``tiny`` are too small to be cut, and longer than the BLAS's own sums.

    Other kernels promise nothing by default, and there this checks nothing.
    """
    with one_thread():
        assert chosen_form([random_weights(0, K, P)], None)[1] or kernel() not in SMALL_MATRIX_KERNELS


def random_bilm(seed: int) -> Bilm:
    """Two layers each way, of a size that is cut: P = 256, D = 1024; clips that bind now and then."""
    seeds = count(1000 * seed)

    def weights(*shape: int) -> Array:
        return random_weights(next(seeds), *shape)

    def layer() -> LstmLayer:
        return LstmLayer(weights(256, 4096), weights(256, 4096), weights(4096), weights(1024, 256), 1.0, 1.0)

    return Bilm(Stack((layer(), layer()), True), Stack((layer(), layer()), True))


@settings(max_examples=3, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=60),
    seed=st.integers(0, 100),
    form=st.sampled_from(FORMS),
    threads=st.integers(1, 3),
)
def test_a_model_in_any_form_equals_a_plain_one(lengths: list[int], seed: int, form: Form, threads: int) -> None:
    oracle = random_bilm(seed)
    made = oracle.in_form(form)
    quick = Bilm(made.forward, made.backward, Workers(threads))
    assert as_matrix(quick.forward.layers[0].W_h).is_cut is bool(form.blocks)
    assert quick.forward.layers[0].W_p is not None
    assert as_matrix(quick.forward.layers[0].W_p).is_cut is bool(form.blocks)
    tokens = np.random.default_rng(seed).standard_normal((sum(lengths), 256)).astype(np.float32)
    packing = pack(lengths)
    expected, expected_state = oracle(tokens, packing, oracle.zero_state(len(lengths)))
    found, state = quick(tokens, packing, quick.zero_state(len(lengths)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(state.h, expected_state.h, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(state.c, expected_state.c, rtol=0, atol=TOLERANCE)


def test_weights_change_their_form_without_a_change_of_value() -> None:
    W = random_weights(5, 512, 1024)
    there = reshaped(W, Form(blocks=256))
    back = reshaped(there, Form())
    np.testing.assert_array_equal(back.W, W)
