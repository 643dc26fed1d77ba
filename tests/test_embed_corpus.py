"""Corpora of any size: the vectors of `embed`, in order, in a memory that does not grow."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numpy_elmo.elmo
import numpy_elmo.network.forward
from numpy_elmo import CarriedState, CorpusReport, Elmo, ScalarMix, load
from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.layers.arrays import Array
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL

SENTENCES = [["Where", "have", "you", "placed", "the", "point"], ["Hi"], [], ["the", "point", "."], ["Hi", "you"]]

sentence = st.lists(st.sampled_from(["a", "the", "naïve", "x" * 60, "日本語", "", "."]), max_size=9)


def assert_close(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def fresh() -> Elmo:
    return load(Path(__file__).parent / "fixtures" / "base")


@settings(deadline=None, max_examples=25)
@given(
    sentences=st.lists(sentence, max_size=12),
    batch_size=st.integers(1, 5),
    window=st.integers(1, 6),
    batch_tokens=st.integers(3, 30),
    window_tokens=st.integers(1, 30),
    chunk=st.integers(1, 4),
    boundaries=st.booleans(),
    layers=st.sampled_from(["all", "top", "average", 0, 1, ScalarMix([0.3, -1.0, 2.0], gamma=2.0)]),
)
def test_windows_batches_and_chunks_of_any_size_change_nothing(
    base: Elmo,
    sentences: list[list[str]],
    batch_size: int,
    window: int,
    batch_tokens: int,
    window_tokens: int,
    chunk: int,
    boundaries: bool,
    layers: Any,
) -> None:
    expected = [base.embed([tokens], layers=layers, boundaries=boundaries)[0] for tokens in sentences]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_elmo.network.forward, "BATCH_TOKENS", batch_tokens)
        patch.setattr(numpy_elmo.elmo, "WINDOW_TOKENS", window_tokens)
        patch.setattr(numpy_elmo.network.forward, "CHUNK_TOKENS", chunk)
        found = list(
            base.embed_corpus(sentences, layers=layers, boundaries=boundaries, batch_size=batch_size, window=window)
        )
    for array, wanted in zip(found, expected, strict=True):
        assert_close(array, wanted)
        assert array.flags.c_contiguous


@settings(deadline=None, max_examples=20)
@given(
    sentences=st.lists(sentence, max_size=12),
    batch_size=st.integers(1, 5),
    batch_tokens=st.integers(3, 30),
    chunk=st.integers(1, 4),
    boundaries=st.booleans(),
)
def test_a_carried_state_does_not_see_how_its_batches_are_cut(
    base: Elmo, sentences: list[list[str]], batch_size: int, batch_tokens: int, chunk: int, boundaries: bool
) -> None:
    whole, cut = CarriedState(), CarriedState()
    expected = base.embed(sentences, state=whole, batch_size=batch_size, boundaries=boundaries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_elmo.network.forward, "BATCH_TOKENS", batch_tokens)
        patch.setattr(numpy_elmo.network.forward, "CHUNK_TOKENS", chunk)
        found = list(base.embed_corpus(sentences, state=cut, batch_size=batch_size, boundaries=boundaries))
    for array, wanted in zip(found, expected, strict=True):
        assert_close(array, wanted)
    for array, wanted in zip(cut.to_arrays(), whole.to_arrays(), strict=True):
        assert_close(array, wanted)


def test_carry_begins_from_zeros_and_leaves_the_models_own_state_alone() -> None:
    elmo = fresh()
    first = elmo.embed(SENTENCES, state="carry", batch_size=2)
    for _ in range(2):
        for array, wanted in zip(elmo.embed_corpus(SENTENCES, state="carry", batch_size=2), first, strict=True):
            np.testing.assert_array_equal(array, wanted)
    continued = fresh()
    continued.embed(SENTENCES, state="carry", batch_size=2)
    for array, wanted in zip(
        elmo.embed(SENTENCES, state="carry", batch_size=2),
        continued.embed(SENTENCES, state="carry", batch_size=2),
        strict=True,
    ):
        np.testing.assert_array_equal(array, wanted)


def test_a_carried_state_goes_on_after_it_was_saved(base: Elmo) -> None:
    state, whole = CarriedState(), CarriedState()
    expected = list(base.embed_corpus(SENTENCES, state=whole, batch_size=2))
    found = list(base.embed_corpus(SENTENCES[:2], state=state, batch_size=2))
    state = CarriedState.from_arrays([array.copy() for array in state.to_arrays()])
    found += base.embed_corpus(SENTENCES[2:], state=state, batch_size=2)
    for array, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array, wanted)
    assert CarriedState.from_arrays(CarriedState().to_arrays()).rows is None


def test_a_state_of_another_model_or_of_nothing_is_refused(base: Elmo, tmp_path: Path) -> None:
    other = load(write_model(tmp_path, SMALL["no_lstm_projection"]))
    state = CarriedState()
    other.embed(SENTENCES, state=state)
    assert state.rows is not None
    assert state.rows.h.shape[3] != base.bilm.zero_state(1).h.shape[3]
    for call in (base.embed, base.embed_corpus):
        with pytest.raises(InputError, match="belongs to another model"):
            call(SENTENCES, state=state)
    arrays = state.to_arrays()
    for wrong in (arrays[:-1], [array[0] for array in arrays], [arrays[0][:1], *arrays[1:]]):
        with pytest.raises(InputError, match=r"no LSTM state.*to_arrays"):
            CarriedState.from_arrays(wrong)


def test_frozen_windows_start_from_the_frozen_state(monkeypatch: pytest.MonkeyPatch) -> None:
    elmo = fresh()
    elmo.warm_up([["the", "point"]])
    expected = elmo.embed(SENTENCES, state="frozen")
    monkeypatch.setattr(numpy_elmo.network.forward, "BATCH_TOKENS", 4)
    for array, wanted in zip(elmo.embed_corpus(SENTENCES, state="frozen", window=2), expected, strict=True):
        assert_close(array, wanted)


def test_an_endless_corpus_is_read_one_window_ahead(base: Elmo) -> None:
    n_read = 0

    def endless() -> Iterator[list[str]]:
        nonlocal n_read
        for n in count():
            n_read = n + 1
            yield [f"w{n}"]

    for k, vectors in enumerate(islice(base.embed_corpus(endless(), window=10), 35)):
        assert vectors.shape == (3, 1, base.vector_size)
        assert n_read == 10 * (k // 10 + 1)


def test_a_corpus_is_not_read_before_its_vectors_are_asked_for(base: Elmo) -> None:
    source = iter(SENTENCES)
    vectors = base.embed_corpus(source)
    assert next(source) == SENTENCES[0]
    assert len(list(vectors)) == len(SENTENCES) - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "window must be a positive integer, not 0"),
        ({"batch_size": True}, "batch_size must be a positive integer, not True"),
        ({"layers": 3}, "there is no layer 3"),
        ({"state": "keep"}, '"reset", "carry", "frozen" or a CarriedState'),
        ({"state": "frozen"}, "call warm_up"),
    ],
)
def test_wrong_arguments_are_named_at_once(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fresh().embed_corpus(SENTENCES, **arguments)
    with pytest.raises(InputTypeError, match="not one string"):
        fresh().embed_corpus("a b c")


@pytest.mark.parametrize("state", ["reset", "carry"])
def test_a_sentence_that_cannot_be_used_is_named_after_the_windows_before_it(base: Elmo, state: Any) -> None:
    vectors = base.embed_corpus([["a"], ["b"], "c d"], window=2, batch_size=2, state=state)
    assert [next(vectors).shape, next(vectors).shape] == [(3, 1, base.vector_size)] * 2
    with pytest.raises(InputTypeError, match="sentence 2 is a string, 'c d'"):
        next(vectors)


@pytest.mark.parametrize(
    ("token", "is_cut"),
    [
        ("a" * 48, False),
        ("a" * 49, True),
        ("é" * 24, False),
        ("é" * 25, True),
        ("\ud800" * 60, False),
        ("x" * 10**7, True),
    ],
)
def test_tokens_that_are_cut_are_counted(base: Elmo, token: str, is_cut: bool) -> None:
    report = CorpusReport()
    [_, vectors] = base.embed_corpus([["a", "b"], ["c", token]], report=report)
    assert report == CorpusReport(2, 4, int(is_cut), (1, 1) if is_cut else None)
    # What is cut away changes nothing, and what is not counted was not cut.
    assert np.allclose(vectors, base.embed([["c", token[:-1] + "b"]])[0], rtol=0, atol=1e-6) == is_cut


def document(n_tokens: int) -> list[str]:
    return [f"w{k % 500}" for k in range(n_tokens)]


@pytest.mark.slow
def test_a_document_takes_little_more_than_its_result(base: Elmo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_elmo.network.forward, "BATCH_TOKENS", 128)
    monkeypatch.setattr(numpy_elmo.network.forward, "CHUNK_TOKENS", 64)
    beside = []
    for n_tokens in (500, 4000):
        tokens = document(n_tokens)
        tracemalloc.start()
        [vectors] = base.embed_corpus([tokens], layers="all")
        beside.append(tracemalloc.get_traced_memory()[1] - vectors.nbytes)
        tracemalloc.stop()
        assert vectors.shape == (3, n_tokens, base.vector_size)
    assert vectors.nbytes > 700e3
    # The list of the tokens grows, 8 bytes each and copied twice.
    assert beside[1] < 1.1 * beside[0] + 3 * 8 * 4000


DOCUMENT = """
import resource, sys, numpy as np, numpy_elmo
elmo = numpy_elmo.load(sys.argv[1])
n_tokens = int(sys.argv[2])
[vectors] = elmo.embed_corpus([[f"w{k % 500}" for k in range(n_tokens)]], layers="all")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
np.save(sys.argv[3], vectors)
print(vectors.nbytes, peak)
"""


@pytest.mark.slow
def test_a_document_of_200000_tokens_is_exact_in_bounded_memory(model_folder: Path, tmp_path: Path) -> None:
    found, beside = [], []
    for n_tokens in (20_000, 200_000):
        path = tmp_path / f"{n_tokens}.npy"
        command = [sys.executable, "-c", DOCUMENT, str(model_folder), str(n_tokens), str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        nbytes, peak = map(int, result.stdout.split())
        found.append(np.load(path))
        beside.append(peak - nbytes)
    assert found[1].shape == (3, 200_000, found[0].shape[2])
    # The text itself is 200,000 tokens of 50 bytes and more in lists; intermediate values would be 100 MB.
    assert beside[1] < beside[0] + 30e6, beside
    # Not truncated and not begun anew at a chunk: one run over the whole gives the same.
    elmo = load(model_folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_elmo.network.forward, "BATCH_TOKENS", 10**9)
        for array in found:
            [whole] = elmo.embed([document(array.shape[1])])
            assert_close(array, whole)


MEMORY = """
import resource, sys, numpy_elmo
elmo = numpy_elmo.load(sys.argv[1])
words = [f"w{k}" for k in range(1000)]
report = numpy_elmo.CorpusReport()
sentences = (words[k % 997 : k % 997 + 1 + k % 5] for k in range(int(sys.argv[2])))
total = 0.0
for vectors in elmo.embed_corpus(sentences, layers="top", batch_size=512, window=4096, report=report):
    total += float(vectors[0, 0])
print(report.n_sentences, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_million_sentences_take_the_memory_of_ten_thousand(model_folder: Path) -> None:
    peaks = []
    for n_sentences in (10_000, 1_000_000):
        command = [sys.executable, "-c", MEMORY, str(model_folder), str(n_sentences)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        done, peak = map(int, result.stdout.split())
        assert done == n_sentences
        peaks.append(peak)
    assert peaks[1] < 1.05 * peaks[0], peaks


def test_memory_does_not_grow_with_the_number_of_sentences(base: Elmo) -> None:
    def peak(n_sentences: int) -> int:
        sentences = islice(cycle([["a", "b", "c"], ["the", "point"], ["Hi"]]), n_sentences)
        tracemalloc.start()
        for _ in base.embed_corpus(sentences, window=100):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(200)
    # Ten times the sentences; the two directions' arrays may or may not be there at the same time.
    assert peak(5000) < 2 * peak(500)


@pytest.mark.parametrize("boundaries", [False, True])
def test_a_mix_with_layer_norm_sees_the_tokens_that_are_returned_on_every_path(
    base: Elmo, monkeypatch: pytest.MonkeyPatch, boundaries: bool
) -> None:
    mix = ScalarMix([0.3, -1.2, 2.0], 1.5, layer_norm=True)
    sentences = [["a", "river", "bank"], [], ["of", "the", "bank", "of"] * 20]
    expected = [mix(layers) for layers in base.embed(sentences, boundaries=boundaries)]
    monkeypatch.setattr(numpy_elmo.network.forward, "CHUNK_TOKENS", 7)
    for batch_tokens in (1 << 14, 30):  # in batches, and the long one as a document
        monkeypatch.setattr(numpy_elmo.network.forward, "BATCH_TOKENS", batch_tokens)
        for found in (
            base.embed(sentences, layers=mix, boundaries=boundaries),
            base.embed(sentences, layers=mix, boundaries=boundaries, state=CarriedState(), batch_size=3),
            list(base.embed_corpus(sentences, layers=mix, boundaries=boundaries)),
        ):
            for array, wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(array, wanted, rtol=0, atol=2e-5)
