"""Threads, the token cache, and the boundaries that are computed once: the same vectors as without them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo import Elmo, load
from numpy_elmo.elmo import StatePolicy
from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.threads import VARIABLE, Workers, chosen_threads
from numpy_elmo.network.token_cache import TokenCache

# Of the largest value.  Products of other shapes add up in another order; tiny's values come to 6.
TOLERANCE = 2e-6

WORDS = ["the", "The", "bank", "of", "river", "money", "naïve", "東京", "🙂", "a" * 60, "<S>", ","]


def assert_close(found: Array, expected: Array) -> None:
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale)


@pytest.fixture(scope="module")
def tiny() -> Elmo:
    return load("tiny", threads=1)


def test_workers_keep_the_order_and_pass_errors_on() -> None:
    workers = Workers(3)
    assert workers.map(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        workers.map(lambda n: 1 // n, [2, 1, 0])


def test_workers_run_at_the_same_time_and_one_worker_is_the_caller() -> None:
    meeting = threading.Barrier(3, timeout=20)
    Workers(3).map(lambda _: meeting.wait(), range(3))  # ends only if three of them meet
    assert Workers(1).map(lambda _: threading.get_ident(), range(3)) == [threading.get_ident()] * 3


def test_the_number_of_threads_is_asked_for_by_option_or_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen_threads(None) in (1, 2)
    assert chosen_threads(5) == 5
    monkeypatch.setenv(VARIABLE, "3")
    assert chosen_threads(None) == 3
    assert chosen_threads(1) == 1
    for wrong in (0, -1, True, 1.5, "two"):
        with pytest.raises(InputError, match="threads must be a positive integer"):
            chosen_threads(wrong)  # type: ignore[arg-type]
    monkeypatch.setenv(VARIABLE, "many")
    with pytest.raises(InputError, match="NUMPY_ELMO_THREADS must be a positive integer, not 'many'"):
        load("tiny")


@settings(max_examples=25, deadline=None)
@given(
    sentences=st.lists(st.lists(st.sampled_from(WORDS), max_size=12), max_size=12),
    batch_size=st.integers(1, 6),
    threads=st.integers(2, 5),
)
def test_threads_change_nothing(tiny: Elmo, sentences: list[list[str]], batch_size: int, threads: int) -> None:
    threaded = Elmo(tiny.options, tiny.encoder, tiny.bilm, threads=threads)
    expected = tiny.embed(sentences, batch_size=batch_size)
    for found, array in zip(threaded.embed(sentences, batch_size=batch_size), expected, strict=True):
        assert_close(found, array)


@settings(max_examples=25, deadline=None)
@given(sentences=st.lists(st.lists(st.sampled_from(WORDS), max_size=12), max_size=12), warm=st.booleans())
def test_boundaries_computed_once_are_the_boundaries(tiny: Elmo, sentences: list[list[str]], warm: bool) -> None:
    elmo = Elmo(tiny.options, tiny.encoder, tiny.bilm)
    elmo.warm_up([["the", "bank"], ["of", "money", "."]])
    state: StatePolicy = "frozen" if warm else "reset"
    whole = elmo.embed(sentences, state=state, boundaries=True)  # runs <S> and </S> of every sentence
    for found, array in zip(elmo.embed(sentences, state=state), whole, strict=True):
        assert_close(found, array[:, 1:-1])


class Counter:
    """Stands in for an encoder: counts the types that it is asked for."""

    max_characters = 50

    def __init__(self) -> None:
        self.encoded: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, tokens: list[str], workers: Workers) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        with self._lock:
            self.encoded += tokens
        return np.array([[sum(token.encode()), len(token)] for token in tokens], np.float32)


def counted(capacity: int) -> tuple[Counter, TokenCache]:
    counter = Counter()
    return counter, TokenCache(counter, capacity_bytes=8 * capacity)  # type: ignore[arg-type]


def test_a_type_is_encoded_once_while_there_is_room() -> None:
    counter, cache = counted(3)
    cache(["a", "b", "a"])
    cache(["b", "c"])
    assert counter.encoded == ["a", "b", "c"]
    cache(["a", "d"])  # forgets b, which was used longest ago
    cache(["a", "c", "d"])
    assert counter.encoded == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(cache(["b", "a"]), [[98, 1], [97, 1]])
    assert counter.encoded[4:] == ["b"]
    assert len(cache) == 3


def test_what_is_kept_stays_beyond_the_bound_and_long_tokens_are_not_remembered() -> None:
    counter, cache = counted(2)
    cache.keep(["x", "y", "z"])
    cache(list("abcdefgh"))
    cache(["x", "y", "z"])
    assert counter.encoded == [*"xyz", *"abcdefgh"]
    cache(["w" * 50])
    cache(["w" * 50])
    assert counter.encoded[-2:] == ["w" * 50] * 2
    assert len(cache) == 5


def test_the_cache_may_be_called_from_many_threads() -> None:
    _, cache = counted(20)
    rng = np.random.default_rng(0)
    calls = [[chr(97 + c) * n for c, n in rng.integers(1, 20, (30, 2))] for _ in range(300)]
    with ThreadPoolExecutor(8) as threads:
        for tokens, vectors in zip(calls, threads.map(cache, calls), strict=True):
            np.testing.assert_array_equal(vectors, [[sum(token.encode()), len(token)] for token in tokens])
    assert len(cache) <= 20


def test_a_vocabulary_can_be_precomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    elmo = load("tiny")
    expected = elmo.embed([["the", "bank"]])[0]
    elmo = load("tiny")
    elmo.precompute(["the", "bank", "the"])
    elmo.embed([["bank"]])  # meets the boundaries, which are tokens too

    def refuse(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(elmo._forward._encoder, "_encoder", refuse)
    assert_close(elmo.embed([["the", "bank"]])[0], expected)
    with pytest.raises(InputTypeError, match="string"):
        elmo.precompute("the bank")
