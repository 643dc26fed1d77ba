"""Vectors of spans and of target words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_elmo import Elmo
from numpy_elmo.analysis.spans import occurrences, span_vectors, target_vectors
from numpy_elmo.corpus import load_embeddings, write_npz
from numpy_elmo.errors import InputError, InputTypeError

SENTENCES = [["the", "bank", "of", "the", "river"], ["a", "Bank"], [], ["bank", "bank"]]


def test_a_span_is_pooled_from_its_own_tokens_in_every_layer(base: Elmo) -> None:
    [layers] = base.embed([["a", "b", "c", "d"]])
    found = span_vectors(layers, [(1, 3), (0, 4), (3, 4)])
    assert found.shape == (len(layers), 3, layers.shape[2])
    np.testing.assert_allclose(found[:, 0], (layers[:, 1] + layers[:, 2]) / 2, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(found[:, 2], layers[:, 3])
    np.testing.assert_array_equal(span_vectors(layers[-1], [(1, 3)], "last"), layers[-1, 2:3])
    assert found.dtype == layers.dtype


def test_numbers_of_numpy_are_numbers_and_no_spans_give_no_vectors() -> None:
    vectors = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(span_vectors(vectors, np.array([[0, 1], [2, 3]])), vectors[[0, 2]])
    assert span_vectors(np.zeros((3, 4, 5), np.float32), []).shape == (3, 0, 5)


@pytest.mark.parametrize(
    ("span", "error", "message"),
    [
        ((2, 2), InputError, r"span 1, \(2, 2\), is empty"),
        ((3, 1), InputError, r"span 1, \(3, 1\), is not inside a sentence of 4 tokens"),
        ((-2, 4), InputError, "give 0 <= first < end <= 4"),
        ((0, 5), InputError, "not inside a sentence of 4 tokens"),
        ((0, 1, 2), InputTypeError, r"span 1 must be a pair of integers.*not \(0, 1, 2\)"),
        ((0.0, 1.0), InputTypeError, "pair of integers"),
        (3, InputTypeError, "pair of integers"),
    ],
)
def test_a_bad_span_is_named_with_what_is_wrong(span: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        span_vectors(np.zeros((4, 2)), [(0, 1), span])


def test_a_word_is_found_wherever_it_stands() -> None:
    assert list(occurrences(SENTENCES, "bank")) == [(0, 1), (3, 0), (3, 1)]
    assert list(occurrences(SENTENCES, "Bank")) == [(1, 1)]
    assert list(occurrences(SENTENCES, "banks")) == []
    with pytest.raises(InputTypeError, match=r"sentence 0 is a string.*split\(\)"):
        list(occurrences(["the bank"], "bank"))


def test_target_vectors_are_those_of_the_occurrences(base: Elmo, tmp_path: Path) -> None:
    vectors = base.embed(SENTENCES)
    found = target_vectors(SENTENCES, vectors, "bank")
    np.testing.assert_array_equal(found, np.stack([vectors[0][:, 1], vectors[3][:, 0], vectors[3][:, 1]], axis=1))
    write_npz(tmp_path / "vectors.npz", vectors)
    with load_embeddings(tmp_path / "vectors.npz") as file:
        np.testing.assert_array_equal(target_vectors(SENTENCES, file, "bank"), found)


def test_targets_that_cannot_be_found_or_aligned_are_errors(base: Elmo) -> None:
    vectors = base.embed(SENTENCES)
    with pytest.raises(InputError, match="'brook' does not occur"):
        target_vectors(SENTENCES, vectors, "brook")
    with pytest.raises(InputError, match="4 sentences and vectors of 3"):
        target_vectors(SENTENCES, vectors[:3], "bank")
    with pytest.raises(InputError, match=r"sentence 0 has 5 tokens and 7 vectors.*boundaries"):
        target_vectors(SENTENCES, base.embed(SENTENCES, boundaries=True), "bank")
