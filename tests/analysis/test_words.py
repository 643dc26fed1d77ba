"""Lists of predicted words have <UNK> only where it is asked for."""

from __future__ import annotations

import pytest

from numpy_elmo.analysis.words import without_unknown
from numpy_elmo.errors import InputError
from numpy_elmo.language_model import WordScore


def predict(k: int) -> list[WordScore]:
    return [WordScore(word, -n) for n, word in enumerate(["the", "<UNK>", "of", "and"])][:k]


def test_unknown_words_are_left_out_and_replaced_by_the_next() -> None:
    assert [word for word, _ in without_unknown(predict, 2)] == ["the", "of"]
    assert [word for word, _ in without_unknown(predict, 1)] == ["the"]
    assert [word for word, _ in without_unknown(predict, 9)] == ["the", "of", "and"]
    assert [word for word, _ in without_unknown(predict, 2, show=True)] == ["the", "<UNK>"]


@pytest.mark.parametrize("k", [0, True, 1.5])
def test_a_number_of_words_is_a_positive_integer(k: int) -> None:
    with pytest.raises(InputError, match="k must be a positive integer"):
        without_unknown(predict, k)
