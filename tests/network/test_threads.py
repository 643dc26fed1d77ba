"""Threads, the token cache, and the boundaries that are computed once: the same vectors as without them."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo import Elmo, load
from numpy_elmo.elmo import StatePolicy
from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.threads import VARIABLE, Workers, chosen_threads

# Of the largest value.  Products of other shapes add up in another order; tiny's values come to 8.
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


@settings(max_examples=12, deadline=None)
@given(
    sentences=st.lists(st.lists(st.sampled_from(WORDS), max_size=12), max_size=12),
    batch_size=st.integers(1, 6),
    threads=st.integers(2, 5),
)
def test_threads_change_nothing(tiny: Elmo, sentences: list[list[str]], batch_size: int, threads: int) -> None:
    threaded = Elmo(tiny.options, tiny.encoder.layers, tiny.bilm, threads=threads)
    expected = tiny.embed(sentences, batch_size=batch_size)
    for found, array in zip(threaded.embed(sentences, batch_size=batch_size), expected, strict=True):
        assert_close(found, array)


@settings(max_examples=10, deadline=None)
@given(sentences=st.lists(st.lists(st.sampled_from(WORDS), max_size=12), max_size=12), warm=st.booleans())
def test_boundaries_computed_once_are_the_boundaries(tiny: Elmo, sentences: list[list[str]], warm: bool) -> None:
    elmo = Elmo(tiny.options, tiny.encoder.layers, tiny.bilm)
    elmo.warm_up([["the", "bank"], ["of", "money", "."]])
    state: StatePolicy = "frozen" if warm else "reset"
    whole = elmo.embed(sentences, state=state, boundaries=True)  # runs <S> and </S> of every sentence
    for found, array in zip(elmo.embed(sentences, state=state), whole, strict=True):
        assert_close(found, array[:, 1:-1])


def test_work_is_done_in_turn_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert Workers(3).map(lambda n: n * n, range(5)) == [0, 1, 4, 9, 16]


def test_a_thread_that_outlives_the_main_thread_keeps_its_work() -> None:
    code = (
        "import threading, numpy_elmo; elmo = numpy_elmo.load('tiny'); elmo._forward._workers.n = 2\n"
        "from numpy_elmo.network.threads import Workers; elmo._forward._workers = Workers(2)\n"
        "def work():\n"
        "    threading.main_thread().join()\n"
        "    print(len(elmo.embed([['a'], ['b', 'c']], batch_size=1)))\n"
        "threading.Thread(target=work).start()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")
