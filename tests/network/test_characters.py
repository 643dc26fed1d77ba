"""Character ids are those of the published models."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from numpy_elmo.network.characters import character_ids, token_bytes


def test_a_word_is_its_bytes_between_boundary_marks() -> None:
    assert token_bytes("aé", 50) == [258, 0x61, 0xC3, 0xA9, 259]
    assert character_ids(["aé"], 8).tolist() == [[258, 0x61, 0xC3, 0xA9, 259, 260, 260, 260]]


def test_sentence_boundaries_have_ids_of_their_own_and_unk_has_not() -> None:
    assert character_ids(["<S>", "</S>"], 4).tolist() == [[258, 256, 259, 260], [258, 257, 259, 260]]
    assert token_bytes("<UNK>", 50) == [258, *b"<UNK>", 259]


def test_a_long_token_keeps_48_bytes_even_if_that_cuts_a_character() -> None:
    assert token_bytes("x" * 100, 50) == [258, *b"x" * 48, 259]
    assert token_bytes("€" * 20, 50) == [258, *("€" * 16).encode(), 259]
    assert token_bytes("a" + "€" * 20, 50)[-4:] == [0xAC, 0xE2, 0x82, 259]
    assert token_bytes("abcdef", 5) == [258, *b"abc", 259]


def test_what_utf8_cannot_encode_is_left_out() -> None:
    assert token_bytes("a\ud800b", 50) == [258, *b"ab", 259]
    assert token_bytes("", 50) == [258, 259]


@given(st.lists(st.text(max_size=80), min_size=1, max_size=5), st.integers(3, 60))
def test_rows_have_the_models_length_and_ids(tokens: list[str], max_characters: int) -> None:
    ids = character_ids(tokens, max_characters)
    assert ids.shape == (len(tokens), max_characters)
    assert (ids[:, 0] == 258).all()
    assert ids.min() >= 0
    assert ids.max() <= 260
