"""Softmax and vocabulary are found, checked, and fit each other."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from numpy_elmo.errors import InputError, ModelNotFoundError, WeightsError
from numpy_elmo.language_model import LanguageModel
from numpy_elmo.layers.arrays import Array
from tests.language_model.conftest import FOLDER, SENTENCES


def test_a_vocabulary_of_another_length(folder: Path) -> None:
    with (folder / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("more\n")
    with pytest.raises(WeightsError, match=r"45 rows.*46 words; give the vocabulary"):
        LanguageModel.load(folder)


def test_the_order_of_the_vocabulary_is_free(made: LanguageModel, folder: Path) -> None:
    order = np.random.default_rng(5).permutation(len(made.vocabulary))
    with h5py.File(folder / "softmax_weights.hdf5", "r+") as file:
        for name in ("softmax/W", "softmax/b"):
            file[name][...] = file[name][()][order]
    (folder / "vocab.txt").write_text("\n".join(made.vocabulary[k] for k in order), encoding="utf-8")
    shuffled = LanguageModel.load(folder)
    for one, other in zip(made.log_probs(SENTENCES), shuffled.log_probs(SENTENCES), strict=True):
        np.testing.assert_allclose(one.both, other.both, atol=1e-5)
        assert one.start == pytest.approx(other.start, abs=1e-5)
    assert [w for w, _ in made.substitutes(SENTENCES[0], 2)] == [w for w, _ in shuffled.substitutes(SENTENCES[0], 2)]
    assert made.sample(seed=2, top_k=1, max_tokens=5) == shuffled.sample(seed=3, top_k=1, max_tokens=5)


def test_a_softmax_of_another_model(folder: Path) -> None:
    with h5py.File(folder / "softmax_weights.hdf5", "r+") as file:
        W = file["softmax/W"][()]
        del file["softmax/W"]
        file["softmax/W"] = np.hstack([W, W])
    with pytest.raises(WeightsError, match=r"rows of 16 values.*have 8 in each direction"):
        LanguageModel.load(folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("softmax/W", None, "holds no softmax"),
        ("softmax/b", None, "holds no softmax"),
        ("softmax/b", np.zeros(3, np.float32), r"must be \(V, P\)"),
        ("softmax/W", np.zeros((45, 8), np.int32), "floating-point"),
    ],
)
def test_damaged_softmaxes(folder: Path, name: str, value: Array | None, message: str) -> None:
    with h5py.File(folder / "softmax_weights.hdf5", "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value
    with pytest.raises(WeightsError, match=message):
        LanguageModel.load(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["softmax/W", "softmax/b"])
def test_values_that_are_not_finite(folder: Path, name: str, value: float) -> None:
    with h5py.File(folder / "softmax_weights.hdf5", "r+") as file:
        file[name][4] = value
    with pytest.raises(WeightsError, match=rf"{name} holds \d+ values that are not finite"):
        LanguageModel.load(folder)
    if name == "softmax/W":
        disk = LanguageModel.load(folder, in_memory=False)
        for call in (lambda: disk.next_words(["a"]), lambda: disk.log_probs(SENTENCES), lambda: disk.sample(seed=0)):
            with pytest.raises(WeightsError, match="not finite"):
                call()


def test_where_softmax_and_vocabulary_are_found(made: LanguageModel, folder: Path, tmp_path: Path) -> None:
    expected = made.next_words(["the"])
    # Inside the weight file.
    apart = tmp_path / "softmax_apart.hdf5"
    shutil.move(folder / "softmax_weights.hdf5", apart)
    with pytest.raises(ModelNotFoundError, match=r"no softmax was found.*numpy_elmo\.download\(NAME, softmax=True\)"):
        LanguageModel.load(folder)
    with h5py.File(folder / "weights.hdf5", "r+") as file, h5py.File(apart) as source:
        for name in ("softmax/W", "softmax/b"):
            file[name] = source[name][()]
    assert LanguageModel.load(folder).next_words(["the"]) == expected
    weights, options_file = folder / "weights.hdf5", folder / "options.json"
    assert LanguageModel.load(weights, options=options_file, in_memory=False).next_words(["the"]) == expected
    # In a zip, where it cannot be read in parts without unpacking, and need not be.
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    assert LanguageModel.load(tmp_path / "model.zip").next_words(["the"]) == expected
    # Given, with the vocabulary beside it or given too.
    shutil.move(folder / "vocab.txt", tmp_path / "words.txt")
    with pytest.raises(ModelNotFoundError, match="no vocabulary"):
        LanguageModel.load(folder)
    assert LanguageModel.load(folder, softmax=apart, vocabulary=tmp_path / "words.txt").next_words(["the"]) == expected
    shutil.copy(tmp_path / "words.txt", tmp_path / "vocab-2016.txt")
    assert LanguageModel.load(folder, softmax=apart).next_words(["the"]) == expected
    shutil.copy(tmp_path / "words.txt", tmp_path / "vocab-2017.txt")
    with pytest.raises(InputError, match=r"several files.*vocab-2016\.txt, vocab-2017\.txt.*vocabulary=\.\.\."):
        LanguageModel.load(folder, softmax=apart)
    with pytest.raises(ModelNotFoundError, match="no such softmax"):
        LanguageModel.load(folder, softmax=tmp_path / "none.hdf5")
    with pytest.raises(ModelNotFoundError, match="no such vocabulary"):
        LanguageModel.load(folder, vocabulary=tmp_path / "none.txt")
    with pytest.raises(WeightsError, match="JSON, not HDF5"):
        LanguageModel.load(folder, softmax=options_file, vocabulary=tmp_path / "words.txt")


def test_several_softmaxes_and_a_zip_with_one(made: LanguageModel, folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"inner/{path.name}")
    assert LanguageModel.load(tmp_path / "model.zip").next_words(["the"]) == made.next_words(["the"])
    with zipfile.ZipFile(tmp_path / "without.zip", "w") as archive:
        for name in ("weights.hdf5", "options.json"):
            archive.write(folder / name, name)
    with pytest.raises(ModelNotFoundError, match="no softmax was found"):
        LanguageModel.load(tmp_path / "without.zip")
    with pytest.raises(ModelNotFoundError, match="no vocabulary"):
        LanguageModel.load(tmp_path / "without.zip", softmax=shutil.copy(FOLDER / "softmax_weights.hdf5", tmp_path))
    shutil.copy(folder / "softmax_weights.hdf5", folder / "other_softmax.hdf5")
    with pytest.raises(InputError, match=r"several files.*softmax=\.\.\."):
        LanguageModel.load(folder)
