"""Vectors of words, and the word2vec format that gensim reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from numpy_elmo import Elmo
from numpy_elmo.corpus import (
    WordVectors,
    read_word2vec,
    token_vectors,
    type_vectors,
    write_word2vec,
)
from numpy_elmo.errors import InputError, InputTypeError, VectorsNotFoundError

WORDS = ["bank", "naïve", "日本語", "</S>", "a/b", "#"]


def test_token_vectors_are_the_token_layer_whatever_the_sentence(base: Elmo) -> None:
    found = token_vectors(base, ["bank", "river"])
    assert found.counts is None
    for sentence in (["bank"], ["the", "river", "bank"], ["river", "bank", "?"]):
        [layers] = base.embed([sentence])
        np.testing.assert_allclose(np.tile(found["bank"], 2), layers[0, sentence.index("bank")], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_gensim_reads_the_words_and_the_exact_numbers(tmp_path: Path) -> None:
    from gensim.models import KeyedVectors  # noqa: PLC0415 -- of [dev]

    # So many numbers that some need all nine digits.
    vectors = WordVectors(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 2000)).astype(np.float32))
    write_word2vec(tmp_path / "words.txt", vectors)
    read = KeyedVectors.load_word2vec_format(str(tmp_path / "words.txt"), binary=False)
    assert read.index_to_key == WORDS
    np.testing.assert_array_equal(read.vectors, vectors.vectors)


@pytest.mark.slow
def test_what_gensim_writes_is_read(tmp_path: Path) -> None:
    from gensim.models import KeyedVectors  # noqa: PLC0415 -- of [dev]

    theirs = KeyedVectors(3)
    theirs.add_vectors(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 3)).astype(np.float32))
    theirs.save_word2vec_format(str(tmp_path / "words.txt"))
    ours = read_word2vec(tmp_path / "words.txt")
    assert list(ours.words) == theirs.index_to_key
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)


CORPUS = [["the", "bank", "of", "the", "river"], [], ["no", "match"], ["bank", "bank"], ["Bank"], ["the", "bank"]]


def test_a_type_vector_is_the_mean_over_all_occurrences(base: Elmo) -> None:
    top = base.embed(CORPUS, layers="top")
    expected = {
        "bank": [top[0][1], top[3][0], top[3][1], top[5][1]],
        "the": [top[0][0], top[0][3], top[5][0]],
    }
    found = type_vectors(base, (iter(sentence) for sentence in CORPUS), ["the", "absent", "bank"], layers="top")
    assert list(found.words) == ["the", "bank"]
    assert found.counts is not None
    assert found.counts.tolist() == [3, 4]
    assert found.vectors.dtype == np.float32
    for word, vectors in expected.items():
        np.testing.assert_allclose(found[word], np.mean(vectors, axis=0), rtol=0, atol=1e-6)


def test_type_vectors_do_not_depend_on_how_the_corpus_is_cut(base: Elmo, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = type_vectors(base, CORPUS, ["bank"])
    monkeypatch.setattr("numpy_elmo.corpus.word_vectors._WINDOW", 2)
    cut = type_vectors(base, CORPUS, ["bank"], batch_size=1)
    np.testing.assert_allclose(cut.vectors, whole.vectors, rtol=0, atol=1e-6)
    assert cut.counts is not None
    assert cut.counts.tolist() == [4]


def test_words_that_make_no_vectors_are_errors(base: Elmo) -> None:
    with pytest.raises(InputError, match="none of the words occurs"):
        type_vectors(base, CORPUS, ["absent"])
    with pytest.raises(InputError, match="several vectors per token"):
        type_vectors(base, CORPUS, ["bank"], layers="all")
    with pytest.raises(InputError, match="'bank' occurs more than once"):
        type_vectors(base, CORPUS, ["bank", "the", "bank"])
    with pytest.raises(InputTypeError, match=r"not one string: give .*\[word\]"):
        token_vectors(base, "bank")
    with pytest.raises(InputTypeError, match="words, item 1 must be a string, not int"):
        token_vectors(base, ["bank", 1])  # type: ignore[list-item]
    with pytest.raises(InputError, match="no word"):
        token_vectors(base, [])
    with pytest.raises(InputError, match=r"2 words need as many rows of vectors, not an array of shape \(3, 2\)"):
        WordVectors(["a", "b"], np.zeros((3, 2)))
    with pytest.raises(VectorsNotFoundError, match="no vector of 'c'"):
        WordVectors(["a"], np.zeros((1, 2)))["c"]


@pytest.mark.parametrize("word", ["New York", "10\u00a0000", "", "line\n"])
def test_a_word_that_the_format_cannot_hold_is_an_error_and_nothing_is_written(tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match="white space"):
        write_word2vec(tmp_path / "words.txt", WordVectors(["a", word], np.zeros((2, 3))))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the number of words"),
        ("bank 0.1 0.2\n", "line 1: expected the number of words"),
        ("1 2\nbank 0.1 x\n", "line 2: .*a word and numbers"),
        ("1 2\nbank 0.1\n", "line 2: 1 numbers, where the first line says 2"),
        ("3 2\nbank 0.1 0.2\n", "1 words, where its first line says 3"),
        ("2 1\nbank 0.1\nbank 0.2\n", "'bank' occurs more than once"),
    ],
)
def test_text_that_is_not_word2vecs_is_an_error_that_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "words.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_word2vec(tmp_path / "words.txt")
