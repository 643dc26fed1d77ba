"""The checks of arguments: what is taken, and what each refusal says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.network.checks import check_count, check_sentences, check_tokens, each_sentence, first


def test_any_ordered_iterable_of_strings_is_tokens() -> None:
    for tokens in (["a", "b"], ("a", "b"), np.array(["a", "b"]), iter("ab")):
        assert check_tokens(tokens) == ["a", "b"]
    assert check_sentences(tuple(t) for t in (["a"], [])) == [["a"], []]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("a b", r"words must be a list of strings, not one string: give text.split\(\)"),
        (b"a", "not one string"),
        ({"a", "b"}, "not set, which has no order"),
        ({"a": 1}, "not dict, which has no order"),
        (None, "words must be a list of strings, not NoneType"),
        (np.array("a"), "not ndarray"),
        (["a", None], "words, item 1 must be a string, not NoneType: None"),
        (["a", float("nan")], "item 1 must be a string, not float: nan"),
        ([b"a"], "item 0 must be a string, not bytes"),
        ([SimpleNamespace(text="a")], "item 0 must be a string, not SimpleNamespace: .*; give its text"),
        ([["a"] * 99], r"not list: \['a', .*\.\.\.$"),
    ],
)
def test_what_is_no_list_of_tokens_is_named(tokens: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        check_tokens(tokens, "words")


def test_a_sentence_that_is_a_string_is_named_by_its_place() -> None:
    with pytest.raises(InputTypeError, match=r"sentence 1 is a string, 'b c', .* give sentence.split\(\)"):
        check_sentences([["a"], "b c"])
    with pytest.raises(InputTypeError, match=r"sentences must be a list of token lists, not one string"):
        check_sentences("a b")
    with pytest.raises(InputTypeError, match="sentence 0, token 1 must be a string, not int: 3"):
        check_sentences([["a", 3]])  # type: ignore[list-item]


def test_sentences_are_checked_one_at_a_time_when_they_are_read() -> None:
    reader = each_sentence(iter([["a"], "b"]))
    assert next(reader) == ["a"]
    with pytest.raises(InputTypeError, match="sentence 1"):
        next(reader)


def test_counts_are_integers_of_any_kind() -> None:
    assert [check_count("batch_size", value) for value in (1, np.int64(3))] == [1, 3]
    assert check_count("position", 0, minimum=0) == 0
    for value in (0, -1, 1.0, True, np.True_, "1", None):
        with pytest.raises(InputError, match=r"batch_size must be a positive integer, not "):
            check_count("batch_size", value)


def test_long_lists_are_cut_in_messages() -> None:
    assert first([1, 2], 2) == "1, 2"
    assert first(["a", "b", "c"], 2) == "a, b, ..."
