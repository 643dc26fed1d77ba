"""The BLAS has one thread while the package computes, and what it had before afterwards."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from numpy_elmo import Elmo, load
from numpy_elmo.layers import blas
from numpy_elmo.network.batching import Packing, pack
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.state import BilmState
from numpy_elmo.network.threads import Workers

needs_openblas = pytest.mark.skipif(blas.openblas() is None, reason="NumPy was built with another BLAS")


@contextmanager
def threads_set_to(n: int) -> Iterator[blas.OpenBlas]:
    """Give OpenBLAS n threads for a test."""
    library = blas.openblas()
    assert library is not None
    before = library.get_num_threads()
    library.set_num_threads(n)
    try:
        yield library
    finally:
        library.set_num_threads(before)


@needs_openblas
def test_one_thread_inside_and_the_number_before_afterwards() -> None:
    with threads_set_to(2) as library:
        with blas.one_thread():
            assert library.get_num_threads() == 1
            with blas.one_thread():
                assert library.get_num_threads() == 1
            assert library.get_num_threads() == 1
        assert library.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError), blas.one_thread():
            1 // 0  # noqa: B018
        assert library.get_num_threads() == 2


@needs_openblas
def test_the_last_of_several_callers_restores_the_number() -> None:
    inside, leave = threading.Barrier(5, timeout=20), threading.Barrier(5, timeout=20)

    def caller(_: int) -> None:
        with blas.one_thread():
            inside.wait()
            leave.wait()

    with threads_set_to(2) as library:
        with ThreadPoolExecutor(4) as threads:
            done = threads.map(caller, range(4))
            inside.wait()
            assert library.get_num_threads() == 1
            leave.wait()
            list(done)
        assert library.get_num_threads() == 2


@needs_openblas
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_child_forked_while_another_thread_computes_has_the_number_before() -> None:
    inside, leave = threading.Event(), threading.Event()

    def caller() -> None:
        with blas.one_thread():
            inside.set()
            leave.wait(20)

    with threads_set_to(2) as library:
        thread = threading.Thread(target=caller)
        thread.start()
        inside.wait(20)
        context = multiprocessing.get_context("fork")
        numbers = context.Queue()

        def child() -> None:
            numbers.put(library.get_num_threads())
            with blas.one_thread():
                numbers.put(library.get_num_threads())
            numbers.put(library.get_num_threads())

        process = context.Process(target=child)
        process.start()
        assert [numbers.get(timeout=30) for _ in range(3)] == [2, 1, 2]
        process.join()
        leave.set()
        thread.join()
        assert library.get_num_threads() == 2


@needs_openblas
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, 1),
        ({"threads": 1}, 2),
        ({"threads": 1, "reproducible": True}, 1),
        ({"threads": 3, "reproducible": False}, 1),
    ],
)
def test_every_forward_pass_has_one_blas_thread_unless_threads_is_one(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, int | bool], expected: int
) -> None:
    seen = []
    run = Workers.map

    with threads_set_to(2) as library:
        elmo: Elmo = load("tiny", **arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(Workers, "map", lambda *a: seen.append(library.get_num_threads()) or run(*a))  # type: ignore[func-returns-value]
        elmo.bilm(elmo.encoder(["a", "b"]), *_batch_of_two(elmo.bilm))
        assert seen == [expected] * 2
        for _ in zip(elmo.embed_corpus([["a"], ["b"]], window=1), range(1), strict=False):
            assert library.get_num_threads() == 2  # the caller of a generator has all threads
        with pytest.raises(TypeError):
            elmo.embed([[1]])  # type: ignore[list-item]
        assert library.get_num_threads() == 2


def _batch_of_two(bilm: Bilm) -> tuple[Packing, BilmState]:
    return pack([2]), bilm.zero_state(1)


def test_nothing_breaks_where_the_blas_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "openblas", lambda: None)
    assert blas.kernel() == "unknown"
    with blas.one_thread():
        [vectors] = load("tiny").embed([["a", "b"]])
    assert vectors.shape[1] == 2
