"""English text is split as the training text was, and every token knows its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_elmo.corpus import tokenize, tokenize_with_offsets
from numpy_elmo.corpus.tokenize import looks_untokenized
from numpy_elmo.errors import InputTypeError


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("He sat on the bank.", "He sat on the bank ."),
        (
            "Mr. Lee doesn't like the U.S. bank's rates, he said.",
            "Mr. Lee does n't like the U.S. bank 's rates , he said .",
        ),
        ("I shouldn't've gone; can't. Won't!", "I should n't 've gone ; ca n't . Wo n't !"),
        ("They cannot, and I'm gonna.", "They cannot , and I 'm gonna ."),
        ("It cost $3.50 (12%), not 1,000.50.", "It cost $ 3.50 ( 12 % ) , not 1,000.50 ."),
        ("From 1941-1945 the mid-1960s well-known O'Brien", "From 1941 - 1945 the mid-1960s well-known O'Brien"),
        ("“I don’t know,” she said—well…", '" I do n\'t know , " she said -- well ...'),
        ("John F. Kennedy and I. At 10:30 a.m.", "John F. Kennedy and I . At 10:30 a.m."),
        ("Get 'em from the '80s!", "Get 'em from the '80s !"),
        (
            "See www.example.org, a@b.org or https://a.org/x?y=1.",
            "See www.example.org , a@b.org or https://a.org/x?y=1 .",
        ),
        ("the dogs' bowls", "the dogs ' bowls"),
        ("नमस्ते दुनिया, cafe\u0301!", "नमस्ते दुनिया , cafe\u0301 !"),
        ("", ""),
        (" \t\u00a0\n", ""),
    ],
)
def test_text_is_split_as_the_training_text_was(text: str, tokens: str) -> None:
    assert tokenize(text) == tokens.split()


@pytest.mark.parametrize(
    "line",
    [
        "I do n't know what he 's done , Mr. Smith ; ca n't you ?",
        'In another contradiction , Hand said " do n\'t want technology on our reservation " .',
        "one genus : aromatic tropical trees ( e.g. of the U.S. ) -- 3 - 0 at home ...",
    ],
)
def test_tokenised_text_stays_as_it_is(line: str) -> None:
    assert tokenize(line) == line.split()


@given(st.text())
def test_tokens_cover_the_text_in_order(text: str) -> None:
    tokens, offsets = tokenize_with_offsets(text)
    assert tokens == tokenize(text)
    assert len(offsets) == len(tokens)
    end = 0
    for token, (first, after) in zip(tokens, offsets, strict=True):
        assert not text[end:first].strip()
        assert first < after
        assert token == text[first:after] or not text[first:after].isascii()
        assert token.split() == [token]
        end = after
    assert not text[end:].strip()


def test_offsets_point_into_the_raw_text() -> None:
    text = "  He can’t  swim."
    tokens, offsets = tokenize_with_offsets(text)
    assert tokens == ["He", "ca", "n't", "swim", "."]
    assert [text[a:b] for a, b in offsets] == ["He", "ca", "n’t", "swim", "."]


def test_only_a_string_is_tokenised() -> None:
    for wrong in (["He sat ."], None, b"He sat.", float("nan")):
        with pytest.raises(InputTypeError, match="one string"):
            tokenize(wrong)  # type: ignore[arg-type]


def test_glued_punctuation_is_counted() -> None:
    assert looks_untokenized(["However,", "he", "said", '"no."', "Don't", "ask!"]) == 4
    assert looks_untokenized(["The", "bank", "lent", "money."]) == 1
    for line in (
        "Mr. Lee , of the U.S. , ca n't ; it 's 3.5 % .",
        "M K T A Y I A K Q",
        "1,000 o'clock etc. and so on",
        ".",
    ):
        assert looks_untokenized(line.split()) == 0
