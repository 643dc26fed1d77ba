"""Vectors that others wrote, and our own in every form, are read back in order and found by whatever names them."""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from numpy_elmo import Elmo
from numpy_elmo.cli import main
from numpy_elmo.corpus import VectorFile, load_embeddings, write_npz
from numpy_elmo.errors import InputError, InputTypeError, VectorsNotFoundError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import pool
from tests.agreement.tensorflow_outputs import FIXTURES

BASE = str(FIXTURES / "base")


def marked(number: int, n_tokens: int = 2) -> Any:
    return np.full((n_tokens, 3), number, np.float32)


def write(path: Path, names: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in names.items():
            file[name] = value
    return path


def order(path: Path) -> list[int]:
    with load_embeddings(path) as embeddings:
        return [int(vectors.flat[0]) for vectors in embeddings]


# -- names and their order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        [str(k) for k in range(12)],
        [f"{k:03}" for k in range(12)],
        ["1", "2", "4", "10", "100"],
        ["-3", "-20"],
        ["1899", "1900", "2000"],
        ["sentence_2", "sentence_10", "sentence_11"],
        ["doc:a/0", "doc:a/2", "doc:a/10", "doc:b/1", "doc:b/11"],
        ["train/part1/2", "train/part1/10", "train/part2/1", "train/part10/0"],
        ["0", "1", "10", "9" * 5000],
    ],
)
def test_numbers_come_in_their_order_at_any_depth(tmp_path: Path, names: list[str]) -> None:
    path = write(tmp_path / "v.hdf5", {name: marked(k) for k, name in reversed(list(enumerate(names)))})
    assert order(path) == list(range(len(names)))
    with load_embeddings(path) as embeddings:
        assert list(embeddings.keys) == names
        for k, name in enumerate(names):
            assert embeddings[name][0, 0] == k
            assert name in embeddings


@pytest.mark.parametrize("extra", ["mean", "layer weights", "zz/1", "labels"])
def test_one_more_array_does_not_change_the_order(tmp_path: Path, extra: str) -> None:
    names = {str(k): marked(k) for k in range(12)}
    path = write(tmp_path / "v.hdf5", {**names, extra: np.arange(3) if extra == "labels" else marked(12)})
    assert order(path) == list(range(12 if extra == "labels" else 13))


def test_npz_has_its_numbers_in_order_and_other_names_as_they_came(tmp_path: Path) -> None:
    for names, expected in (
        (["arr_10", "arr_2", "mean", "arr_0"], ["arr_0", "arr_2", "arr_10", "mean"]),
        (["7157", "672"], ["672", "7157"]),
        (["doc/10", "doc/9"], ["doc/9", "doc/10"]),
        (["river", "bank", "2b"], ["river", "bank", "2b"]),
    ):
        write_npz(tmp_path / "v.npz", {name: marked(k) for k, name in enumerate(names)}, overwrite=True)
        with load_embeddings(tmp_path / "v.npz") as embeddings:
            assert list(embeddings.keys) == expected
            for k, name in enumerate(names):
                assert embeddings[name][0, 0] == k


def test_labels_beside_the_vectors_are_left_out_of_npz_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", ids=np.array(["a", "b"]), y=np.arange(2), arr_10=marked(1), arr_9=marked(0))
    assert order(tmp_path / "v.npz") == [0, 1]
    np.savez(tmp_path / "v.npz", y=np.arange(2))
    with load_embeddings(tmp_path / "v.npz") as embeddings, pytest.raises(InputError, match="holds no vectors"):
        embeddings[0]


def test_a_group_among_numbers_is_opened(tmp_path: Path) -> None:
    path = write(
        tmp_path / "v.hdf5", {"0": marked(0), "1/0": marked(1), "1/10": marked(3), "1/2": marked(2), "2": marked(4)}
    )
    assert order(path) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["0", "a b", "vectors", "sentence_to_index"])
@pytest.mark.parametrize("kind", ["external storage", "external link", "soft link", "virtual", "size"])
def test_what_is_in_no_or_another_file_is_not_read(tmp_path: Path, name: str, kind: str) -> None:
    os.mkfifo(tmp_path / "fifo")  # whoever opens it waits for ever
    path = write(tmp_path / "v.hdf5", {"1": marked(1)} if name != "vectors" else {})
    with h5py.File(path, "a") as file:
        if name == "vectors":
            file.attrs["numpy_elmo"] = '{"pooling": "mean"}'
        if kind == "external storage":
            file.create_dataset(name, (2, 3), "f4", external=[(str(tmp_path / "fifo"), 0, 24)])
        elif kind == "external link":
            file[name] = h5py.ExternalLink(str(tmp_path / "fifo"), "0")
        elif kind == "soft link":
            file[name] = h5py.SoftLink("/nowhere")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((2, 3), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "fifo"), "0", (2, 3))
            file.create_virtual_dataset(name, layout)
        else:
            file.create_dataset(name, (10**9, 10**3), "f4", chunks=(1, 10**3))
    if kind.endswith("link") and name == "a b":
        assert order(path) == [1]  # beside others, links are passed over
    else:
        with pytest.raises(InputError, match=r"in other files|not followed|cannot be in this file"):
            order(path)


# -- looking up --------------------------------------------------------------------------------------------------------


def test_a_sentence_is_found_by_tokens_and_by_any_spaces(tmp_path: Path) -> None:
    keys = {"Rain\tfell .": "0", "Costs 10\u00a0000 .": "1", "Mr.  Smith": "2", "10 000 veces": "3", "Do n't !": "4"}
    path = write(tmp_path / "v.hdf5", {str(k): marked(k) for k in range(5)})
    with h5py.File(path, "a") as file:
        file.create_dataset("sentence_to_index", (1,), dtype=h5py.string_dtype(), data=json.dumps(keys))
    with load_embeddings(path) as embeddings:
        for which, number in (
            ("Rain\tfell .", 0),
            ("Rain fell .", 0),
            ("  Rain   fell .\n", 0),
            (["Rain", "fell", "."], 0),
            (("Costs", "10", "000", "."), 1),
            (np.array(["Mr.", "Smith"]), 2),
            (pd.Series(["Mr.", "Smith"]), 2),
            (["10 000", "veces"], 3),
            ("Don't!", 4),
            ("3", 3),
            (np.int64(2), 2),
        ):
            assert embeddings[which][0, 0] == number
        assert embeddings.sentence(1) == "Costs 10\u00a0000 ."
        assert embeddings.sentence(-1) == "Do n't !"
        assert ["Rain", "fell"] not in embeddings
        assert 3.5 not in embeddings
        with pytest.raises(VectorsNotFoundError, match="no sentence"):
            embeddings[["Rain", "fell"]]
        for wrong in (None, 1.5, ["Rain", 1], {"Rain"}):
            with pytest.raises(InputTypeError):
                embeddings[wrong]  # type: ignore[index]


def test_a_sentence_comes_before_a_name_and_exact_spelling_before_spaces(tmp_path: Path) -> None:
    path = write(tmp_path / "v.hdf5", {str(k): marked(k) for k in range(3)})
    with h5py.File(path, "a") as file:
        keys = {"2": "0", "a  b": "1", "a b": "2"}
        file.create_dataset("sentence_to_index", (1,), dtype=h5py.string_dtype(), data=json.dumps(keys))
    with load_embeddings(path) as embeddings:
        assert [int(embeddings[key][0, 0]) for key in ("2", "a  b", "a b", "1")] == [0, 1, 2, 1]


# -- our own files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("forget", [False, True])
@pytest.mark.parametrize("layers", ["all", "top"])
def test_pooled_sentences_are_read_back_one_by_one(
    tmp_path: Path, base: Elmo, pooling: Any, forget: bool, layers: Any
) -> None:
    text, out = tmp_path / "in.txt", tmp_path / "v.hdf5"
    text.write_text("the bank\na river bank\n")
    flags = ["--model", BASE, "--pooling", pooling, "--layers", layers, *(["--forget-sentences"] if forget else [])]
    assert main(["embed", str(text), str(out), *flags]) == 0
    sentences = [["the", "bank"], ["a", "river", "bank"]]
    expected = [pool(vectors, pooling) for vectors in base.embed(sentences, layers=layers)]
    with load_embeddings(out) as embeddings:
        assert len(embeddings) == 2
        for k, vector in enumerate(expected):
            assert embeddings[k].shape == vector.shape
            np.testing.assert_allclose(embeddings[k], vector, rtol=0, atol=2e-6)
        if forget:
            with pytest.raises(VectorsNotFoundError, match="does not know its sentences"):
                embeddings["the bank"]
        else:
            np.testing.assert_array_equal(embeddings[["a", "river", "bank"]], embeddings[1])
            assert embeddings.sentence(0) == "the bank"


def test_our_sentence_keys_are_sentences_though_they_are_numbers(tmp_path: Path, base: Elmo) -> None:
    text, out = tmp_path / "in.txt", tmp_path / "v.hdf5"
    text.write_text("1999\n2001\n1789\n")
    assert main(["embed", str(text), str(out), "--model", BASE, "--use-sentence-keys"]) == 0
    with load_embeddings(out) as embeddings:
        assert len(embeddings) == 3
        for year in ("1999", "2001", "1789"):
            np.testing.assert_allclose(embeddings[year], base.embed([[year]])[0], rtol=0, atol=2e-6)
            assert embeddings.sentence(embeddings.rows[year]) == year


# -- what other programs write -----------------------------------------------------------------------------------------


def test_seqvecs_proteins_are_found_by_their_original_id(tmp_path: Path) -> None:
    path = write(tmp_path / "v.h5", {"1": marked(1), "0": marked(0)[0], "2": marked(2)})
    ids = {"0": "sp|P12345|A", "1": b"tr/Q9.1", "2": "P3"}
    with h5py.File(path, "a") as file:
        for key, identifier in ids.items():
            file[key].attrs["original_id"] = identifier
    with h5py.File(path, "a") as file:
        file["00"] = marked(9)  # without an identifier
    with load_embeddings(path) as embeddings:
        assert embeddings["00"].flat[0] == 9
    with h5py.File(path, "a") as file:
        del file["00"]
    with load_embeddings(path) as embeddings:
        assert [embeddings[name].flat[0] for name in ("sp|P12345|A", "tr/Q9.1", "P3")] == [0, 1, 2]
        assert embeddings.sentence(1) == "tr/Q9.1"
        assert embeddings[0].shape == (3,)


def test_bilm_tf_and_structural_probes_number_their_sentences(tmp_path: Path) -> None:
    arrays = {str(k): np.full((3, k % 4 + 1, 8), k, np.float32) for k in range(11)}  # no map of sentences
    path = write(tmp_path / "v.hdf5", arrays)
    assert order(path) == list(range(11))
    with load_embeddings(path) as embeddings, pytest.raises(VectorsNotFoundError, match="does not know its sentences"):
        embeddings["a b"]


def test_groups_of_a_coreference_cache(tmp_path: Path) -> None:
    names = {f"bc:cctv:00_{part}/{k}": np.full((4, 8, 3), 100.0 * part + k) for part in (0, 1) for k in range(11)}
    assert order(write(tmp_path / "v.hdf5", names)) == [*range(11), *range(100, 111)]


def test_files_without_any_vectors_are_named(tmp_path: Path) -> None:
    for value in (np.arange(3), np.array([b"text"]), np.zeros((1, 2, 3, 4))):
        with pytest.raises(InputError, match="holds no vectors"):
            load_embeddings(write(tmp_path / "v.hdf5", {"labels": value}))
    for wrong in (None, 3, [tmp_path]):
        with pytest.raises(InputTypeError, match="by its path"):
            load_embeddings(wrong)  # type: ignore[arg-type]
    with h5py.File(tmp_path / "empty.hdf5", "w"):
        pass
    with load_embeddings(tmp_path / "empty.hdf5") as embeddings:
        assert len(embeddings) == 0


def test_offsets_are_none_where_the_text_was_tokenised_before(tmp_path: Path, base: Elmo) -> None:
    with VectorFile(tmp_path / "v.hdf5") as file:
        file.write(["a", "b"], base.embed([["a", "b"]])[0])
    with load_embeddings(tmp_path / "v.hdf5") as embeddings:
        assert embeddings.offsets(0) is None
        with pytest.raises(IndexError):
            embeddings.offsets(1)


def numbered_vectors(n: int) -> list[Array]:
    return [np.full((k % 3 + 1, 2, 4), k, dtype=np.float32) for k in range(n)]


@pytest.fixture
def hdf5(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.hdf5"
    with VectorFile(path) as file:
        for k, vectors in enumerate(numbered_vectors(12)):
            file.write(["sentence", str(k % 11)], vectors)
    return path


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
    with pytest.raises(InputError, match="no file of vectors"):
        load_embeddings(tmp_path / "model.zip")
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


@pytest.mark.parametrize("index", ['{"b": 1e400}', '{"b": NaN}', '{"b": [1]}', '{"b": null}', "[1]", "{", "5"])
def test_a_map_that_leads_nowhere_is_named(tmp_path: Path, index: str) -> None:
    with h5py.File(tmp_path / "odd.hdf5", "w") as file:
        file["0"] = np.zeros((3, 1, 16), np.float32)
        file.create_dataset("sentence_to_index", (1,), dtype=h5py.string_dtype(), data=index)
    with pytest.raises(InputError, match=r"odd\.hdf5"):
        load_embeddings(tmp_path / "odd.hdf5")


@pytest.mark.parametrize("shape", [(10**9, 0), (1 << 25, 1)])
def test_rows_without_values_are_not_named_one_by_one(tmp_path: Path, shape: tuple[int, int]) -> None:
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        file.attrs["numpy_elmo"] = '{"pooling": "mean"}'
        file.create_dataset("vectors", shape, "f2", chunks=(1024, 1) if shape[1] else None)
    with pytest.raises(InputError, match=r"v\.hdf5: 'vectors' has .* rows.*write the file again"):
        load_embeddings(tmp_path / "v.hdf5")


@pytest.mark.parametrize("name", ["0", "vectors", "sentence_to_index"])
def test_a_chunk_that_unpacks_to_too_much_is_not_read(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        file.attrs["numpy_elmo"] = '{"pooling": "mean"}' if name == "vectors" else "{}"
        if name == "sentence_to_index":
            file["1"] = marked(1)
        dataset = file.create_dataset(
            name, (4,) if name == "sentence_to_index" else (4, 4), "f4", chunks=True, compression="gzip"
        )
        dataset.id.write_direct_chunk((0,) * dataset.ndim, zlib.compress(bytes(1 << 20)))
    with pytest.raises(InputError, match="with more in a chunk than the chunk's size"):
        order(tmp_path / "v.hdf5")


@pytest.mark.parametrize("offsets", [np.zeros((2, 3), int), np.zeros((3, 2), int), np.full((2, 2), np.inf), "text"])
def test_offsets_that_are_no_pairs_of_the_tokens_are_named(tmp_path: Path, offsets: Any) -> None:
    path = write(tmp_path / "v.hdf5", {"0": marked(0)})
    with h5py.File(path, "a") as file:
        file["0"].attrs["offsets"] = offsets
    with load_embeddings(path) as embeddings, pytest.raises(InputError, match="the offsets of '0' cannot be read"):
        embeddings.offsets(0)


@pytest.mark.parametrize("name", ["numpy_elmo", "original_id"])
def test_an_attribute_of_many_texts_is_not_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "v.hdf5", {"0": marked(0)})
    with h5py.File(path, "a") as file:
        (file if name == "numpy_elmo" else file["0"]).attrs[name] = ["a", "b"]
    with pytest.raises(InputError, match=f"'{name}' has more than one value"):
        load_embeddings(path)


def test_hdf5_tables_are_checked_before_hdf5_sees_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray((FIXTURES / "one_layer" / "weights.hdf5").read_bytes())
    for place, mask in ((64304, 33), (48249, 233), (11620, 238)):  # HDF5 takes 23.8 GB in this circle
        data[place] ^= mask
    (tmp_path / "v.hdf5").write_bytes(data)
    monkeypatch.setattr(h5py, "File", None)
    with pytest.raises(InputError, match="form a circle"):
        load_embeddings(tmp_path / "v.hdf5")


def test_a_newer_layout_is_named_with_its_remedy(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.hdf5", "w", libver="latest") as file:
        for k in range(12):
            file[str(k)] = marked(k)
    with pytest.raises(InputError, match="in a fractal heap; copy its datasets to a new file"):
        load_embeddings(tmp_path / "v.hdf5")
