"""Files that others read and write: HDF5, npz, the text format of word2vec, CoNLL-U."""

from __future__ import annotations

import io
import itertools
import json
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import conllu
import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo
from numpy_elmo.corpus import (
    VectorFile,
    WordVectors,
    load_embeddings,
    read_conllu,
    read_word2vec,
    token_vectors,
    type_vectors,
    write_npz,
    write_word2vec,
)
from numpy_elmo.errors import InputError, InputTypeError, OutputError, VectorsNotFoundError
from numpy_elmo.layers.arrays import Array
from tests.agreement.tensorflow_outputs import FIXTURES


def numbered_vectors(n: int) -> list[Array]:
    return [np.full((k % 3 + 1, 2, 4), k, dtype=np.float32) for k in range(n)]


@pytest.fixture
def hdf5(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.hdf5"
    with VectorFile(path) as file:
        for k, vectors in enumerate(numbered_vectors(12)):
            file.write(["sentence", str(k % 11)], vectors)
    return path


# -- reading HDF5 and npz ----------------------------------------------------------------------------------------------


def test_hdf5_is_read_in_the_order_of_its_numbers(hdf5: Path) -> None:
    with h5py.File(hdf5) as file:
        assert list(file)[:3] == ["0", "1", "10"]  # what a reader gets that takes the datasets as they come
    with load_embeddings(hdf5) as embeddings:
        assert len(embeddings) == 12
        assert embeddings.keys == tuple(map(str, range(12)))
        for found, expected in zip(embeddings, numbered_vectors(12), strict=True):
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(embeddings[-1], numbered_vectors(12)[11])
        np.testing.assert_array_equal(embeddings[np.int64(10)], numbered_vectors(12)[10])
        assert [int(vectors[0, 0, 0]) for vectors in embeddings[9:]] == [9, 10, 11]


def test_a_sentence_is_looked_up_and_of_equal_ones_the_last_is_found(hdf5: Path) -> None:
    with load_embeddings(hdf5) as embeddings:
        assert embeddings["sentence 10"][0, 0, 0] == 10
        assert embeddings.rows["sentence 0"] == 11
        assert embeddings["sentence 0"][0, 0, 0] == 11
        assert "sentence 3" in embeddings
        assert "sentence 11" not in embeddings
        with pytest.raises(KeyError, match="no sentence 'sentence 11'"):
            embeddings["sentence 11"]
        for outside in (12, -13):
            with pytest.raises(IndexError, match=f"the sentences 0 to 11, there is no sentence {outside}"):
                embeddings[outside]


def test_vectors_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "vectors.hdf5"
    with h5py.File(path, "w") as file:
        for k in range(50):
            file[str(k)] = np.zeros((1000, 100), np.float32)  # 400 kB
    tracemalloc.start()
    with load_embeddings(path) as embeddings:
        total = sum(vectors.nbytes for vectors in embeddings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 50 * 400_000
    assert peak < 2_000_000


def test_a_file_without_a_map_is_read_by_number(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "forgetful.hdf5", "w") as file:
        file["0"] = np.zeros((3, 4), np.float32)
    with load_embeddings(tmp_path / "forgetful.hdf5") as embeddings:
        assert embeddings[0].shape == (3, 4)
        with pytest.raises(VectorsNotFoundError, match=r"does not know its sentences.*by number"):
            embeddings["a b c"]


def test_a_file_keyed_by_sentence_is_read_slashes_included(tmp_path: Path) -> None:
    sentences = ["He said / she said", "A dog", "12", "日本 語"]
    with h5py.File(tmp_path / "keyed.hdf5", "w") as file:
        for sentence in sentences:
            file.create_dataset(sentence, data=np.full((len(sentence.split()), 4), len(sentence), np.float32))
    with load_embeddings(tmp_path / "keyed.hdf5") as embeddings:
        assert sorted(embeddings.keys) == sorted(sentences)
        for sentence in sentences:
            assert embeddings[sentence].shape == (len(sentence.split()), 4)
            np.testing.assert_array_equal(embeddings[embeddings.rows[sentence]], embeddings[sentence])


def test_npz_is_read_in_the_order_of_its_numbers_whoever_wrote_it(tmp_path: Path) -> None:
    arrays = numbered_vectors(12)
    backwards: dict[str, Any] = {f"arr_{k}": arrays[k] for k in reversed(range(12))}
    np.savez(tmp_path / "numpy.npz", **backwards)
    np.savez_compressed(tmp_path / "words.npz", river=arrays[1], bank=arrays[2])
    with load_embeddings(tmp_path / "numpy.npz") as embeddings:
        for found, expected in zip(embeddings, arrays, strict=True):
            np.testing.assert_array_equal(found, expected)
    with load_embeddings(tmp_path / "words.npz") as embeddings:
        assert embeddings.keys == ("river", "bank")
        np.testing.assert_array_equal(embeddings["bank"], arrays[2])


@pytest.mark.parametrize("compress", [False, True])
def test_numpy_reads_npz_that_is_written_one_sentence_at_a_time(tmp_path: Path, compress: bool) -> None:
    seen: list[int] = []

    def one_by_one() -> Iterator[Array]:
        for k, vectors in enumerate(numbered_vectors(12)):
            seen.append(k)
            yield vectors

    write_npz(tmp_path / "vectors.npz", one_by_one(), compress=compress)
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as arrays:
        assert arrays.files == [f"arr_{k}" for k in range(12)]
        for k, expected in enumerate(numbered_vectors(12)):
            np.testing.assert_array_equal(arrays[f"arr_{k}"], expected)
    write_npz(tmp_path / "words.npz", {"a/b": np.ones((2, 3)), "file": np.zeros((1, 3))}, compress=compress)
    with np.load(tmp_path / "words.npz") as arrays:
        assert arrays.files == ["a/b", "file"]


def test_npz_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Any]:
        yield np.ones((2, 3))
        yield ["no", "array"]

    with pytest.raises(InputError, match="arr_1 must be an array of numbers, not list"):
        write_npz(tmp_path / "vectors.npz", broken())
    with pytest.raises(InputError, match="arr_0 must be an array of numbers"):
        write_npz(tmp_path / "vectors.npz", [np.array([{}], dtype=object)])
    assert list(tmp_path.iterdir()) == []
    write_npz(tmp_path / "vectors.npz", [])
    with pytest.raises(OutputError, match="exists already"):
        write_npz(tmp_path / "vectors.npz", [])
    with load_embeddings(tmp_path / "vectors.npz") as embeddings:
        assert len(embeddings) == 0


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, ("this object was unpickled",)


def test_pickled_objects_in_npz_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "bomb.npz", np.array([Bomb()], dtype=object))
    with (
        load_embeddings(tmp_path / "bomb.npz") as embeddings,
        pytest.raises(InputError, match="pickled Python objects"),
    ):
        embeddings[0]


def damage_map(file: h5py.File, value: object) -> None:
    del file["sentence_to_index"]
    file.create_dataset("sentence_to_index", (1,), dtype=h5py.string_dtype(), data=json.dumps(value))


def test_files_that_are_something_else_are_named(tmp_path: Path, hdf5: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        load_embeddings(tmp_path / "nowhere.hdf5")
    (tmp_path / "text.hdf5").write_text("no vectors", encoding="utf-8")
    with pytest.raises(InputError, match=r"text\.hdf5 is damaged or no file of vectors"):
        load_embeddings(tmp_path / "text.hdf5")
    with pytest.raises(InputError, match="is it a model's weight file"):
        load_embeddings(FIXTURES / "base" / "weights.hdf5")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("options.json", "{}")
    with load_embeddings(tmp_path / "model.zip") as embeddings, pytest.raises(InputError, match="no file of vectors"):
        embeddings[0]
    (tmp_path / "cut.hdf5").write_bytes(hdf5.read_bytes()[:-3000])
    with pytest.raises(InputError, match="damaged"):
        load_embeddings(tmp_path / "cut.hdf5")


def test_an_incomplete_file_is_found_out_on_opening(hdf5: Path) -> None:
    with h5py.File(hdf5, "a") as file:
        damage_map(file, {"sentence 12": "12"})
    with pytest.raises(InputError, match=r"names dataset '12'.*not among its 12"):
        load_embeddings(hdf5)
    with h5py.File(hdf5, "a") as file:
        damage_map(file, ["no", "map"])
    with pytest.raises(InputError, match="damaged"):
        load_embeddings(hdf5)


@pytest.mark.parametrize("kind", ["hdf5", "npz"])
def test_a_closed_file_says_so(tmp_path: Path, hdf5: Path, kind: str) -> None:
    write_npz(tmp_path / "vectors.npz", numbered_vectors(2))
    with load_embeddings(tmp_path / f"vectors.{kind}") as embeddings:
        pass
    with pytest.raises(InputError, match="is closed"):
        embeddings[0]


# -- word vectors ------------------------------------------------------------------------------------------------------

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
    with pytest.raises(InputError, match="several vectors a token"):
        type_vectors(base, CORPUS, ["bank"], layers="all")
    with pytest.raises(InputError, match="'bank' is there more than once"):
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
        ("2 1\nbank 0.1\nbank 0.2\n", "'bank' is there more than once"),
    ],
)
def test_text_that_is_not_word2vecs_is_an_error_that_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "words.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_word2vec(tmp_path / "words.txt")


# -- CoNLL-U -----------------------------------------------------------------------------------------------------------


def row(identifier: str, form: str) -> str:
    return "\t".join([identifier, form, *"_" * 8])


TREEBANK = "\n".join(
    [
        "# newdoc",
        "# sent_id = 1",
        "# text = Vámonos al mar , 10 000 veces",
        row("1-2", "Vámonos"),
        row("1", "Vamos"),
        row("2", "nos"),
        row("3-4", "al"),
        row("3", "a"),
        row("4", "el"),
        row("5", "mar"),
        row("5.1", "elided"),
        row("6", ","),
        row("7", "10 000"),
        row("8", "#"),
        row("9", "_"),
        row("10", "a\u2028b"),
        "",
        "",
        "# a comment in front",
        row("0.1", "empty"),
        row("1", "日本"),
        row("2", '"'),
        "",
        row("1", "Last"),
    ]
)
EXPECTED = [
    ["Vamos", "nos", "a", "el", "mar", ",", "10 000", "#", "_", "a\u2028b"],
    ["日本", '"'],
    ["Last"],
]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n\n\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_words_are_those_that_the_package_conllu_finds(tmp_path: Path, end: str, newline: str, mark: bytes) -> None:
    path = tmp_path / "treebank.conllu"
    path.write_bytes(mark + (TREEBANK + end).replace("\n", newline).encode())
    theirs = conllu.parse_incr(io.StringIO(TREEBANK + end))
    words = [[token["form"] for token in sentence if isinstance(token["id"], int)] for sentence in theirs]
    assert list(read_conllu(path)) == words == EXPECTED


def test_sentences_are_read_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "treebank.conllu").write_text(TREEBANK + "\n\n1 broken", encoding="utf-8")
    sentences = read_conllu(tmp_path / "treebank.conllu")
    assert list(itertools.islice(sentences, 3)) == EXPECTED
    with pytest.raises(InputError, match="line 26"):
        next(sentences)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 The _ _\n", "line 1: one column.*separated by tabs"),
        (f"{row('1', 'a')}\n{row('3', 'b')}\n", "line 2: word 3 stands where word 2 should"),
        (f"{row('1', 'a')}\n{row('1', 'b')}\n", "line 2: word 1 .*a blank line ends a sentence"),
        (f"{row('x', 'a')}\n", "line 1: 'x' is no ID"),
        (f"{row('1', '')}\n", "line 1: word 1 has an empty FORM"),
    ],
)
def test_a_row_that_is_none_is_an_error_that_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "treebank.conllu").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        list(read_conllu(tmp_path / "treebank.conllu"))
