"""The same bits for the same sentence: in any order, after any call, and, if reproducible, in any batch."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo import CarriedState, Elmo, ScalarMix, load
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network import forward
from tests.conftest import write_model
from tests.fixtures.recipes import Recipe, options

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
    ",",
    "x" * 47,
]
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), max_size=12), min_size=1, max_size=30)
LARGE = Recipe(options({"lstm/dim": 1024, "lstm/projection_dim": 256, "char_cnn/filters": [[1, 32], [3, 256]]}), seed=5)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | Path]:
    """The embedded model, and one whose weights are cut into blocks."""
    return {"tiny": "tiny", "large": write_model(tmp_path_factory.mktemp("large"), LARGE)}


MODELS = ["tiny", pytest.param("large", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=MODELS)
def as_installed(request: pytest.FixtureRequest, folders: dict[str, str | Path]) -> Elmo:
    return load(folders[request.param])


@pytest.fixture(scope="module", params=MODELS)
def reproducible(request: pytest.FixtureRequest, folders: dict[str, str | Path]) -> Elmo:
    elmo = load(folders[request.param], reproducible=True)
    assert elmo.reproducible
    return elmo


def assert_same_bytes(found: Sequence[Array], expected: Sequence[Array]) -> None:
    assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]


@settings(max_examples=12, deadline=None)
@given(sentences=SENTENCES, before=SENTENCES, seed=st.integers(0, 100), batch_size=st.integers(1, 9))
def test_neither_order_nor_earlier_calls_change_a_bit(
    as_installed: Elmo, sentences: list[list[str]], before: list[list[str]], seed: int, batch_size: int
) -> None:
    elmo = as_installed
    expected = elmo.embed(sentences, batch_size=batch_size)
    elmo.embed(before)
    order = random.Random(seed).sample(range(len(sentences)), len(sentences))
    shuffled = [sentences[k] for k in order]
    assert_same_bytes(elmo.embed(shuffled, batch_size=batch_size), [expected[k] for k in order])
    assert_same_bytes(list(elmo.embed_corpus(shuffled, batch_size=batch_size)), [expected[k] for k in order])
    padded, mask = elmo.embed_padded(shuffled)
    again, _ = elmo.embed_padded(sentences)
    assert mask.sum() == sum(map(len, sentences))
    assert_same_bytes(list(padded), [again[k] for k in order])


def test_equal_sentences_are_separate_arrays() -> None:
    elmo = load("tiny")
    first, _, second = elmo.embed([["a", "b"], ["c"], ["a", "b"]])
    assert not np.shares_memory(first, second)
    first[:] = 0
    assert second.any()


def test_a_frozen_state_changes_nothing_of_that() -> None:
    elmo = load("tiny")
    elmo.warm_up([["the", "bank"]])
    sentences = [["a", "b"], ["c"], ["a"], ["of", "the", "bank"]]
    expected = elmo.embed(sentences, state="frozen")
    assert_same_bytes(elmo.embed(sentences[::-1], state="frozen"), expected[::-1])


@settings(max_examples=12, deadline=None)
@given(sentences=SENTENCES, seed=st.integers(0, 100), batch_size=st.integers(1, 40), window=st.integers(1, 40))
def test_reproducible_bits_are_those_of_the_sentence_alone(
    reproducible: Elmo, sentences: list[list[str]], seed: int, batch_size: int, window: int
) -> None:
    elmo = reproducible
    alone = [elmo.embed([sentence])[0] for sentence in sentences]
    order = random.Random(seed).sample(range(len(sentences)), len(sentences))
    expected, shuffled = [alone[k] for k in order], [sentences[k] for k in order]
    assert_same_bytes(elmo.embed(shuffled, batch_size=batch_size), expected)
    assert_same_bytes(list(elmo.embed_corpus(shuffled, batch_size=batch_size, window=window)), expected)
    padded, _ = elmo.embed_padded(shuffled)
    assert_same_bytes([row[:, : len(s)] for row, s in zip(padded, shuffled, strict=True)], expected)
    assert_same_bytes([a[:, 1:-1] for a in elmo.embed(shuffled, boundaries=True, batch_size=batch_size)], expected)
    mix = ScalarMix([0.3, -1.0, 0.5], layer_norm=True)
    assert_same_bytes(elmo.embed(shuffled, layers=mix, batch_size=batch_size), list(map(mix, expected)))


@settings(max_examples=8, deadline=None)
@given(sentences=SENTENCES, rows=st.integers(1, 8))
def test_reproducible_carried_states_depend_on_their_own_row_alone(
    reproducible: Elmo, sentences: list[list[str]], rows: int
) -> None:
    together = reproducible.embed(sentences, state=CarriedState(), batch_size=rows)
    for row in range(min(rows, len(sentences))):
        alone = reproducible.embed(sentences[row::rows], state=CarriedState(), batch_size=1)
        assert_same_bytes(together[row::rows], alone)


def test_a_document_in_chunks_has_the_bits_of_one_run(reproducible: Elmo, monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = random.Random(0).choices(WORDS, k=300)
    [whole] = reproducible.embed([sentence])
    [shorter] = reproducible.embed([sentence[:5]])
    monkeypatch.setattr(forward, "BATCH_TOKENS", 64)
    for chunk in (1, 7, 64):
        monkeypatch.setattr(forward, "CHUNK_TOKENS", chunk)
        assert_same_bytes(reproducible.embed([sentence[:5], sentence]), [shorter, whole])
        assert_same_bytes(reproducible.embed([sentence], state=CarriedState()), [whole])


@pytest.mark.slow
def test_threads_and_processes_change_no_bit(folders: dict[str, str | Path]) -> None:
    sentences = [random.Random(k).choices(WORDS, k=k) for k in range(20)]
    for folder in folders.values():
        expected = load(folder, reproducible=True).embed(sentences)
        for threads in (1, 2, 4):
            assert_same_bytes(load(folder, reproducible=True, threads=threads).embed(sentences, batch_size=3), expected)
        code = (
            "import sys, hashlib, numpy_elmo; elmo = numpy_elmo.load(sys.argv[1], reproducible=True)\n"
            "vectors = elmo.embed(eval(sys.argv[2]), batch_size=7)\n"
            "print(hashlib.sha256(b''.join(v.tobytes() for v in vectors)).hexdigest())"
        )
        digests = {
            subprocess.run(
                [sys.executable, "-c", code, str(folder), repr(sentences)],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | extra,
            ).stdout
            for extra in ({}, {"OPENBLAS_NUM_THREADS": "1"}, {"NUMPY_ELMO_THREADS": "1"})
        }
        assert len(digests) == 1


def test_only_true_false_or_none() -> None:
    with pytest.raises(ValueError, match="reproducible must be True, False or None"):
        load("tiny", reproducible="yes")  # type: ignore[arg-type]
    assert not load("tiny", reproducible=False).reproducible
