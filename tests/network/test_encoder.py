"""Each type is encoded once, with a vector that depends on nothing but its spelling."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo import Elmo, load
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.characters import character_ids
from numpy_elmo.network.encoder import ENTRY_BYTES, Encoder, Ids

WORDS = [
    "the",
    "The",
    "bank",
    "of",
    "river",
    "money",
    "naïve",
    "東京",
    "🙂",
    "a" * 60,
    "<S>",
    "</S>",
    ",",
    "x" * 47,
    "",
]


class Counter(Encoder):
    """An encoder that counts the types it is asked for; a vector is the sum and the number of the ids."""

    def __init__(self, capacity: int) -> None:
        layers = load("tiny").encoder.layers
        super().__init__(layers, 50, cache_bytes=capacity * (8 + ENTRY_BYTES))
        self.encoded: list[int] = []
        self._counting = threading.Lock()

    def encode(self, ids: Ids) -> Array:
        with self._counting:
            self.encoded += [int(n) for n in (ids < 256).sum(axis=1)]
        return np.stack([ids.sum(axis=1), (ids < 256).sum(axis=1)], axis=1).astype(np.float32)


def expected(tokens: list[str]) -> Array:
    ids = character_ids(tokens, 50)
    return np.stack([ids.sum(axis=1), (ids < 256).sum(axis=1)], axis=1).astype(np.float32)


def test_a_type_is_encoded_once_while_there_is_room() -> None:
    encoder = Counter(3)
    encoder(["a", "bb", "a"])
    encoder(["bb", "ccc"])
    assert encoder.encoded == [1, 2, 3]
    encoder(["a", "dddd"])  # forgets bb, which was used longest ago
    encoder(["a", "ccc", "dddd"])
    assert encoder.encoded == [1, 2, 3, 4]
    np.testing.assert_array_equal(encoder(["bb", "a"]), expected(["bb", "a"]))
    assert encoder.encoded[4:] == [2]


def test_long_tokens_are_not_remembered_and_a_copy_remembers_nothing() -> None:
    encoder = Counter(20)
    encoder(["w" * 50])
    encoder(["w" * 50])
    assert encoder.encoded == [48, 48]
    assert len(pickle.dumps(load("tiny").encoder)) == len(pickle.dumps(warm().encoder))


def warm() -> Elmo:
    elmo = load("tiny")
    elmo.embed([WORDS])
    return elmo


def test_the_encoder_may_be_called_from_many_threads() -> None:
    encoder = Counter(20)
    rng = np.random.default_rng(0)
    calls = [[chr(97 + c) * n for c, n in rng.integers(1, 20, (30, 2))] for _ in range(300)]
    with ThreadPoolExecutor(8) as threads:
        for tokens, vectors in zip(calls, threads.map(encoder, calls), strict=True):
            np.testing.assert_array_equal(vectors, expected(tokens))


@settings(max_examples=12, deadline=None)
@given(calls=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12), min_size=1, max_size=6))
def test_a_vector_depends_neither_on_its_neighbours_nor_on_earlier_calls(calls: list[list[str]]) -> None:
    encoder = load("tiny").encoder
    for call in calls:
        for token, vector in zip(call, encoder(call), strict=True):
            np.testing.assert_array_equal(vector, ALONE[token])


ALONE = {word: load("tiny").encoder([word])[0] for word in WORDS}


@pytest.mark.parametrize("word", WORDS)
def test_cutting_padding_changes_the_rounding_only(word: str) -> None:
    encoder = load("tiny").encoder
    whole = encoder.layers(character_ids([word], 50))[0]
    np.testing.assert_allclose(ALONE[word], whole, rtol=0, atol=2e-6 * max(1, np.abs(whole).max()))
