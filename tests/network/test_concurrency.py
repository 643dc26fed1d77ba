"""Many callers at once: threads, forked and spawned processes, and whose a carried state is."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_elmo import CarriedState, Elmo, LanguageModel, ScalarMix, load
from numpy_elmo.errors import InputError
from numpy_elmo.interfaces.bilm import BidirectionalLanguageModel
from numpy_elmo.interfaces.simple_elmo import ElmoModel
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.forward import ForwardPass
from numpy_elmo.network.threads import lock

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDER = FIXTURES / "language_model"
ROOT = Path(__file__).parents[2]

N_THREADS = 8
N_CALLS = 1000

WORDS = ["the", "bank", "of", "a", "river", ",", "Where", "have", "you", "placed", "point", "naïve", "東京", "xyzzy"]


def text(seed: int) -> list[list[str]]:
    random = np.random.RandomState(seed)
    lengths = random.randint(0, 9, size=random.randint(1, 6))
    return [[WORDS[k] for k in random.randint(len(WORDS), size=length)] for length in lengths]


def chained(elmo: Elmo, seed: int) -> list[Array]:
    state = CarriedState()
    return [vectors for k in range(3) for vectors in elmo.embed(text(seed + k), state=state, batch_size=2)]


def scores(model: LanguageModel, seed: int) -> list[Any]:
    found = model.log_probs(text(seed))
    return [array for sentence in found for array in (sentence.forward, sentence.backward)]


CALLS: list[Callable[[LanguageModel, int], list[Any]]] = [
    lambda model, seed: model.elmo.embed(text(seed)),
    lambda model, seed: model.elmo.embed(text(seed), layers="top", batch_size=2),
    lambda model, seed: model.elmo.embed(text(seed), layers="average", boundaries=True),
    lambda model, seed: model.elmo.embed(text(seed), layers=0),
    lambda model, seed: model.elmo.embed(text(seed), layers=ScalarMix([0.1, 0.2, seed % 7])),
    lambda model, seed: model.elmo.embed(text(seed), state="frozen"),
    lambda model, seed: list(model.elmo.embed_padded(text(seed))),
    lambda model, seed: list(model.elmo.embed_corpus(text(seed), state="carry", batch_size=1)),
    lambda model, seed: list(model.elmo.embed_corpus(text(seed), window=2)),
    lambda model, seed: chained(model.elmo, seed),
    scores,
    lambda model, seed: [model.perplexity(text(seed)).average],
    lambda model, seed: [candidate.log_prob for candidate in model.next_words(text(seed)[0], k=5)],
    lambda model, seed: [candidate.log_prob for candidate in model.substitutes(["the", *text(seed)[0]], 0, k=5)],
]


def mixed_call(model: LanguageModel, number: int) -> list[Any]:
    return CALLS[number % len(CALLS)](model, number)


def assert_same(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(np.asarray(one, float), np.asarray(other, float), rtol=1e-6, atol=1e-6)


@pytest.fixture(params=[True, False], ids=["softmax in memory", "softmax on disk"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    result = LanguageModel.load(FOLDER, in_memory=request.param)
    result.elmo.warm_up([["some", "text"]])
    return result


@pytest.fixture
def quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_switches")
def test_a_thousand_mixed_calls_in_eight_threads_equal_serial_ones(model: LanguageModel) -> None:
    expected = [mixed_call(model, number) for number in range(N_CALLS)]
    start = threading.Barrier(N_THREADS)
    with ThreadPoolExecutor(N_THREADS, initializer=start.wait) as pool:
        found = list(pool.map(lambda number: mixed_call(model, number), range(N_CALLS)))
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


# -- whose a carried state is ----------------------------------------------------------------------------------------


def in_a_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.fixture
def elmo() -> Elmo:
    return load(FOLDER)


def test_the_models_own_state_is_of_one_thread_until_it_is_reset(elmo: Elmo) -> None:
    first = elmo.embed(text(1), state="carry")
    with pytest.raises(InputError, match=r"another thread.*CarriedState"):
        in_a_thread(lambda: elmo.embed(text(1), state="carry"))
    # The refused call changed nothing.
    follower = load(FOLDER)
    follower.embed(text(1), state="carry")
    assert_same(elmo.embed(text(2), state="carry"), follower.embed(text(2), state="carry"))
    elmo.reset_state()
    assert_same(in_a_thread(lambda: elmo.embed(text(1), state="carry")), first)
    with pytest.raises(InputError, match="another thread"):
        elmo.embed(text(1), state="carry")


def test_a_state_may_be_handed_to_another_thread_but_not_run_twice_at_once(elmo: Elmo) -> None:
    expected = chained(elmo, 5)
    state, found = CarriedState(), []
    for k in range(3):
        found += in_a_thread(partial(elmo.embed, text(5 + k), state=state, batch_size=2))
    assert_same(found, expected)
    with state.running(), pytest.raises(InputError, match=r"in use by another call.*CarriedState"):
        in_a_thread(lambda: elmo.embed(text(1), state=state))
    with state.running(), pytest.raises(InputError, match="in use by another call"):
        elmo.embed(text(1), state=state)
    elmo.embed(text(1), state=state)


def test_a_call_that_fails_lets_the_state_go_unchanged(elmo: Elmo, monkeypatch: pytest.MonkeyPatch) -> None:
    state = CarriedState()
    elmo.embed(text(1), state=state)
    before = state.to_arrays()
    with monkeypatch.context() as patch:
        patch.setattr(ForwardPass, "_run", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            elmo.embed(text(2), state=state)
    assert_same(state.to_arrays(), before)
    elmo.embed(text(2), state=state)


def test_a_warm_up_meanwhile_does_not_cut_a_frozen_call_in_two(elmo: Elmo, monkeypatch: pytest.MonkeyPatch) -> None:
    elmo.warm_up([["the", "old", "text"]])
    expected = elmo.embed([["a"], ["b"], ["c"]], state="frozen", batch_size=1)
    run = ForwardPass._run

    def warm_up_after_the_first(self: ForwardPass, *arguments: Any) -> Any:
        monkeypatch.setattr(ForwardPass, "_run", run)
        result = self._run(*arguments)
        elmo.warm_up([["a", "new", "one"]])
        return result

    monkeypatch.setattr(ForwardPass, "_run", warm_up_after_the_first)
    assert_same(elmo.embed([["a"], ["b"], ["c"]], state="frozen", batch_size=1), expected)


def test_a_bilm_has_one_thread_and_another_input_has_a_state_of_its_own() -> None:
    bilm = BidirectionalLanguageModel(FOLDER / "options.json", FOLDER / "weights.hdf5")
    ids = np.full((1, 3, 50), 261)
    first = bilm(ids)["lm_embeddings"]
    with pytest.raises(InputError, match="another thread"):
        in_a_thread(lambda: bilm(ids))
    assert_same([in_a_thread(lambda: bilm.another_input()(ids)["lm_embeddings"])], [first])
    second = bilm(ids)["lm_embeddings"]
    assert np.abs(second - first).max() > 1e-3


@pytest.mark.usefixtures("quick_switches")
def test_simple_elmo_without_a_session_gives_each_thread_what_it_gives_alone() -> None:
    model = ElmoModel()
    model.load(str(FOLDER), max_batch_size=2)
    expected = [model.get_elmo_vectors(text(seed)) for seed in range(40)]
    with ThreadPoolExecutor(N_THREADS) as pool:
        assert_same(list(pool.map(lambda seed: model.get_elmo_vectors(text(seed)), range(40))), expected)
    model.get_elmo_vectors(text(1))
    with pytest.raises(InputError, match="another thread"):
        in_a_thread(lambda: model.get_elmo_vectors(text(1), session="a session"))


# -- processes -------------------------------------------------------------------------------------------------------


def embed_in_child(elmo: Elmo, seed: int) -> list[Array]:
    return elmo.embed(text(seed)) + elmo.embed(text(seed), state="carry")


def load_and_embed(folder: Path, seed: int) -> list[Array]:
    return embed_in_child(load(folder), seed)


@pytest.mark.slow
def test_a_spawned_process_loads_a_model_or_is_given_one(elmo: Elmo) -> None:
    expected = [load_and_embed(FOLDER, seed) for seed in range(4)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        loaded = pool.starmap(load_and_embed, [(FOLDER, seed) for seed in range(4)])
        given = pool.starmap(embed_in_child, [(elmo, seed) for seed in range(4)], chunksize=1)
    for found in (loaded, given):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)


def test_a_copy_goes_on_from_the_state_and_is_nobodys(elmo: Elmo) -> None:
    elmo.embed(text(1), state="carry")
    copies = [pickle.loads(pickle.dumps(elmo)), copy.deepcopy(elmo)]
    expected = elmo.embed(text(2), state="carry")
    for other in copies:
        assert_same(in_a_thread(partial(other.embed, text(2), state="carry")), expected)


def in_a_fork(work: Callable[[], object]) -> int:
    """Run something in a forked child; return its exit status, -1 if it has not ended after twenty seconds."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    for _ in range(2000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        threading.Event().wait(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -1


def forks_while_threads_run() -> list[int]:
    """Fork ten times while other threads compute, carry, claim and hold states; return how the children ended."""
    model = LanguageModel.load(FOLDER, in_memory=False)
    elmo, other = model.elmo, load(FOLDER)
    expected = [mixed_call(model, number) for number in range(len(CALLS)) if number != 5]
    held, stop, ready = CarriedState(), threading.Event(), threading.Barrier(4)
    elmo.embed(text(1), state=held)
    follower = CarriedState.from_arrays(held.to_arrays())
    second = elmo.embed(text(2), state=follower)

    def compute() -> None:
        ready.wait()
        while not stop.is_set():
            mixed_call(model, 9)
            scores(model, 3)

    def carry() -> None:
        elmo.embed(text(1), state="carry")
        ready.wait()
        while not stop.is_set():
            elmo.embed(text(1), state="carry")
            other.reset_state()

    def hold() -> None:
        with held.running():
            ready.wait()
            stop.wait()

    def look() -> None:
        while not stop.is_set():
            with lock:
                stop.wait(0.01)

    def child() -> None:
        for number, wanted in zip((n for n in range(len(CALLS)) if n != 5), expected, strict=True):
            assert_same(mixed_call(model, number), wanted)
        # Both states were another thread's, which is not there any more.
        assert_same(elmo.embed(text(2), state=held), second)
        try:
            elmo.embed(text(1), state="carry")
        except InputError:
            elmo.reset_state()
        assert_same(elmo.embed(text(1), state="carry"), elmo.embed(text(1)))
        other.reset_state()

    threads = [threading.Thread(target=work) for work in (compute, carry, hold, look)]
    for thread in threads:
        thread.start()
    ready.wait()
    results: list[int] = []
    while len(results) < 10 and not any(results):
        results.append(in_a_fork(child))
    stop.set()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_works_whatever_the_other_threads_were_doing() -> None:
    # In a process of its own: it forks with threads running, which pytest's process should not.
    command = "from tests.network.test_concurrency import forks_while_threads_run; print(forks_while_threads_run())"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", command],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.stdout.strip(), done.returncode) == (str([0] * 10), 0), done.stderr
