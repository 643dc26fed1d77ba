"""Conversion to the published layout: the same vectors, all or nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pytest

from numpy_elmo import LanguageModel, load
from numpy_elmo.analysis.convert import convert
from numpy_elmo.corpus.resume import model_digest
from numpy_elmo.errors import ElmoError, InputError, OutputError, WeightsError
from numpy_elmo.files.find import find_model
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.conftest import write_model
from tests.fixtures.recipes import Recipe, options

CHECKPOINTS, SOURCE = FIXTURES / "checkpoints", FIXTURES / "language_model"
SENTENCES = [["Where", "have", "you"], ["Yes"]]


def datasets(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


SLOW = [pytest.param(source, marks=pytest.mark.slow) for source in ("checkpoints/training", "language_model")]


@pytest.mark.parametrize("source", ["checkpoints/sharded", "checkpoints/hub", *SLOW])
def test_the_files_are_those_that_the_checkpoint_was_made_from(tmp_path: Path, source: str) -> None:
    done = convert(FIXTURES / source, tmp_path / "new")
    assert done.difference == 0
    softmax = () if source == "checkpoints/hub" else ("softmax_weights.hdf5", "vocab.txt")
    assert done.files == ("options.json", *softmax, "weights.hdf5")
    assert {path.name for path in tmp_path.iterdir()} == {"new"}
    for name in done.files:
        if name.endswith(".hdf5"):
            new, old = datasets(tmp_path / "new" / name), datasets(SOURCE / name)
            assert set(new) == set(old)
            for dataset, values in new.items():
                assert values.dtype == np.float32
                np.testing.assert_array_equal(values, old[dataset])
    for a, b in zip(load(tmp_path / "new").embed(SENTENCES), load(SOURCE).embed(SENTENCES), strict=True):
        np.testing.assert_array_equal(a, b)
    if softmax:
        new_model, old_model = LanguageModel.load(tmp_path / "new"), LanguageModel.load(SOURCE)
        assert new_model.vocabulary == old_model.vocabulary
        assert new_model.perplexity(SENTENCES) == old_model.perplexity(SENTENCES)


def test_the_options_are_the_same(tmp_path: Path) -> None:
    convert(CHECKPOINTS / "training", tmp_path / "new")
    assert find_model(tmp_path / "new").options == find_model(CHECKPOINTS / "training").options
    assert json.loads((tmp_path / "new" / "options.json").read_text())["char_cnn"]["n_characters"] == 262


@pytest.mark.slow
def test_a_conversion_of_a_conversion_changes_nothing(tmp_path: Path) -> None:
    both: tuple[Literal["float32", "float16"], ...] = ("float32", "float16")
    for dtype in both:
        convert(SOURCE, tmp_path / dtype / "once", dtype=dtype)
        convert(tmp_path / dtype / "once", tmp_path / dtype / "twice", dtype=dtype)
        assert model_digest(load(tmp_path / dtype / "once")) == model_digest(load(tmp_path / dtype / "twice"))


def test_float16_takes_half_the_space_and_says_what_it_costs(tmp_path: Path) -> None:
    large = options({"lstm/dim": 512, "lstm/projection_dim": 64})  # the file is little more than its values
    source = write_model(tmp_path / "source", Recipe(large, seed=5))
    half = convert(source, tmp_path / "half", dtype="float16")
    sizes = [(folder / "weights.hdf5").stat().st_size for folder in (source, half.folder)]
    assert 1.8 < sizes[0] / sizes[1] < 2
    for name, values in datasets(half.folder / "weights.hdf5").items():
        assert values.dtype == np.float16, name
    # 11 bits: each weight is off by at most 2^-11 of itself, and the layers are a few sums of such products.
    assert 0 < half.difference < 0.02
    a, b = (load(folder).embed(SENTENCES)[0] for folder in (source, half.folder))
    assert 0 < np.abs(a - b).max() < 0.02


def test_a_float16_model_becomes_a_float32_one_with_the_same_vectors(tmp_path: Path) -> None:
    half = convert(SOURCE, tmp_path / "half", dtype="float16")
    single = convert(half.folder, tmp_path / "single")
    assert (half.difference > 0, single.difference) == (True, 0)
    for name in ("weights.hdf5", "softmax_weights.hdf5"):
        new, old = datasets(single.folder / name), datasets(half.folder / name)
        assert new.keys() == old.keys()
        for dataset, values in new.items():
            assert values.dtype == np.float32
            assert old[dataset].dtype == np.float16
            np.testing.assert_array_equal(values, old[dataset])
    models = [LanguageModel.load(done.folder) for done in (single, half)]
    for a, b in zip(*(model.elmo.embed(SENTENCES) for model in models), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b)
    assert models[0].perplexity(SENTENCES) == models[1].perplexity(SENTENCES)


def test_values_too_large_for_float16_leave_nothing(model_folder: Path, tmp_path: Path) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        file["CNN/b_cnn_0"][0] = 1e5
    with pytest.raises(WeightsError, match="CNN/b_cnn_0 has values too large for float16"):
        convert(model_folder, tmp_path / "new", dtype="float16")
    assert {path.name for path in tmp_path.iterdir()} == {"model"}
    convert(model_folder, tmp_path / "new")


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    for name in ("file", "folder/inside"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        with pytest.raises(OutputError, match="exists already"):
            convert(SOURCE, tmp_path / name.partition("/")[0])
    assert (tmp_path / "folder" / "inside").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert convert(SOURCE, tmp_path / "empty").files[0] == "options.json"


@pytest.mark.parametrize("damage", ["weights", "softmax", "vocabulary"])
def test_a_damaged_source_leaves_nothing(tmp_path: Path, damage: str) -> None:
    folder = Path(shutil.copytree(SOURCE, tmp_path / "model"))
    if damage == "vocabulary":
        (folder / "vocab.txt").unlink()
    else:
        name, dataset = ("weights", "char_embed") if damage == "weights" else ("softmax_weights", "softmax/b")
        with h5py.File(folder / f"{name}.hdf5", "a") as file:
            file[dataset][0] = np.nan
    with pytest.raises(ElmoError, match=r"not finite|no vocabulary"):
        convert(folder, tmp_path / "new")
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_an_unknown_precision_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="float64"):
        convert(SOURCE, tmp_path / "new", dtype="float64")  # type: ignore[arg-type]


def test_paths_are_expanded_and_none_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "lm").symlink_to(SOURCE)
    softmax, vocab = "~/lm/softmax_weights.hdf5", "~/lm/vocab.txt"
    assert "vocab.txt" in convert("~/lm", "~/new", softmax=softmax, vocabulary=vocab).files
    assert (tmp_path / "new").is_dir()
    with pytest.raises(OutputError, match="cannot be written"):
        convert(SOURCE, "a\0b")
    with pytest.raises(ElmoError, match="no softmax was found"):
        convert(FIXTURES / "base", tmp_path / "other", vocabulary=vocab)
