"""The softmax gives the same in blocks of any size, from memory or from the disk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo.language_model import LanguageModel
from numpy_elmo.language_model import softmax as softmax_module
from numpy_elmo.language_model.softmax import Softmax, in_memory
from numpy_elmo.layers.arrays import Array
from tests.language_model.conftest import FOLDER, SENTENCES


@st.composite
def softmaxes(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    n_words, width, n = draw(st.integers(1, 60)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.0, 1.0, 300.0]))  # ties; the usual; differences that overflow an exponential
    W = np.round(scale * random.standard_normal((n_words, width)))
    return W, np.round(scale * random.standard_normal(n_words)), random.standard_normal((n, width)).round(1)


@settings(max_examples=150, deadline=None)
@given(case=softmaxes(), block_values=st.integers(1, 80), k=st.integers(1, 12))
def test_blocks_of_any_size_give_the_same(case: tuple[Array, Array, Array], block_values: int, k: int) -> None:
    W, b, h = case
    logits = h @ W.T + b
    peak = logits.max(axis=1, keepdims=True)
    expected = logits - peak - np.log(np.exp(logits - peak).sum(axis=1, keepdims=True))
    softmax = Softmax(in_memory(W), b, block_values=block_values)
    atol = 1e-10 * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(softmax.log_probs(h), expected, rtol=0, atol=atol)
    targets = np.arange(len(h)) % len(W)
    np.testing.assert_allclose(
        softmax.target_log_probs(h, targets), expected[np.arange(len(h)), targets], rtol=0, atol=atol
    )
    rows, values = softmax.top(h, k)
    assert rows.shape == (len(h), min(k, len(W)))
    np.testing.assert_allclose(values, -np.sort(-expected, axis=1)[:, :k], rtol=0, atol=atol)
    np.testing.assert_allclose(np.take_along_axis(expected, rows, 1), values, rtol=0, atol=atol)
    assert all(len(set(line)) == len(line) for line in rows.tolist())


def test_equal_words_keep_the_order_of_the_vocabulary() -> None:
    for block_values in range(1, 12):
        softmax = Softmax(
            in_memory(np.zeros((10, 2))), np.array([0, 1, 0, 1, 1, 0, 1, 1, 0, 1.0]), block_values=block_values
        )
        assert softmax.top(np.ones((1, 2)), 4)[0].tolist() == [[1, 3, 4, 6]]
        assert softmax.top(np.ones((1, 2)), 8)[0].tolist() == [[1, 3, 4, 6, 7, 9, 0, 2]]


def test_many_positions_are_cut_into_passes(made64: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made64.log_probs(SENTENCES), made64.candidates(SENTENCES, 4)
    monkeypatch.setattr(softmax_module, "POSITIONS", 3)
    for one, other in zip(before[0], made64.log_probs(SENTENCES), strict=True):
        np.testing.assert_allclose(one.both, other.both, rtol=1e-12)
    for one_found, other_found in zip(before[1], made64.candidates(SENTENCES, 4), strict=True):
        np.testing.assert_array_equal(one_found[0], other_found[0])


def test_a_batch_shares_one_pass_over_the_weights(made: LanguageModel) -> None:
    passes = 0

    def counting(n_rows: int) -> Iterator[Array]:
        nonlocal passes
        passes += 1
        return made._softmax._W(n_rows)

    LanguageModel(made.elmo, Softmax(counting, made._softmax._b), made._words).log_probs(SENTENCES)
    assert passes == 1


def test_on_disk_equals_in_memory(made: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax_module, "DISK_VALUES", 5 * made.elmo.vector_size // 2)
    disk = LanguageModel.load(FOLDER, in_memory=False)
    assert [len(block) for block in disk._softmax._W(1000)] == 9 * [5]
    assert disk.vocabulary == made.vocabulary
    for one, other in zip(disk.log_probs(SENTENCES), made.log_probs(SENTENCES), strict=True):
        np.testing.assert_allclose(one.both, other.both, rtol=0, atol=1e-5)
    assert [word for word, _ in disk.next_words(SENTENCES[1])] == [word for word, _ in made.next_words(SENTENCES[1])]
    words = ["the", "bank", "out", "camera"]
    np.testing.assert_allclose(
        [value for _, value in disk.next_words(["a"], vocabulary=words)],
        [value for _, value in made.next_words(["a"], vocabulary=words)],
        atol=1e-6,
    )


def test_weights_in_memory_are_read_only(made: LanguageModel) -> None:
    [W] = made._softmax._W(1000)
    for array in (W, made._softmax._b):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
