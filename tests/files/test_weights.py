"""Datasets are read into the layers, and every mismatch is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import load
from numpy_elmo.errors import WeightsError
from tests.conftest import write_model
from tests.files.test_find import vectors
from tests.fixtures.recipes import SMALL


def test_261_and_262_characters_are_the_same_model(model_folder: Path) -> None:
    expected = vectors(model_folder)
    edit_options(model_folder, lambda options: options["char_cnn"].update(n_characters=261))
    np.testing.assert_array_equal(vectors(model_folder), expected)


def test_unknown_keys_and_datasets_are_ignored(model_folder: Path) -> None:
    expected = vectors(model_folder)
    edit_options(model_folder, lambda options: options.update(n_train_tokens=7, bidirectional=True))
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        file["softmax/W"] = np.zeros((5, 4), np.float32)
        file["something"] = "else"
    np.testing.assert_array_equal(vectors(model_folder), expected)


def test_one_layer_loads_under_either_of_its_names(tmp_path: Path) -> None:
    folder = write_model(tmp_path, SMALL["one_layer"])
    expected = vectors(folder)
    with h5py.File(folder / "weights.hdf5", "a") as file:
        for direction in ("RNN_0", "RNN_1"):
            wrapped, bare = f"{direction}/RNN/MultiRNNCell/Cell0/LSTMCell", f"{direction}/RNN/LSTMCell"
            old, new = (wrapped, bare) if wrapped in file else (bare, wrapped)
            file.move(old, new)
            if old == wrapped:
                del file[f"{direction}/RNN/MultiRNNCell"]
    np.testing.assert_array_equal(vectors(folder), expected)


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_weights_of_other_precisions_are_converted(model_folder: Path, dtype: str) -> None:
    expected = vectors(model_folder)
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        values = file["CNN_proj/W_proj"][()]
        del file["CNN_proj/W_proj"]
        file["CNN_proj/W_proj"] = values.astype(dtype)
    found = vectors(model_folder)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.05 if dtype == "float16" else 0)


def edit_options(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "options.json"
    options = json.loads(path.read_text(encoding="utf-8"))
    change(options)
    path.write_text(json.dumps(options), encoding="utf-8")


def test_every_mismatch_is_listed_in_one_error(model_folder: Path) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        shape = file["CNN_proj/W_proj"].shape
        del file["CNN_proj/W_proj"], file["CNN/b_cnn_0"], file["char_embed"]
        file["CNN_proj/W_proj"] = np.zeros((3, 2), np.float32)
        file["char_embed/group"] = 1
        cell = "RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell"
        n_gates = file[f"{cell}/B"].shape
        del file[f"{cell}/B"]
        file[f"{cell}/B"] = np.zeros(n_gates, int)
    with pytest.raises(WeightsError) as caught:
        load(model_folder)
    message = str(caught.value)
    assert f"CNN_proj/W_proj: expected {shape}, found (3, 2)" in message
    assert "CNN/b_cnn_0: expected" in message
    assert "found no such dataset" in message
    assert "char_embed: expected" in message
    assert "found a group" in message
    assert f"{cell}/B: expected floating-point values, found int64" in message
    assert "options file that was published with these weights" in message
    assert len(message.splitlines()) == 6


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("lstm", "dim", 999),
        ("lstm", "n_layers", 1),
        ("lstm", "n_layers", 3),
        ("char_cnn", "n_highway", 0),
        ("char_cnn", "n_highway", 3),
        ("char_cnn", "filters", [[1, 4]]),
        ("char_cnn", "embedding", {"dim": 99}),
    ],
)
def test_options_of_another_model_are_noticed(model_folder: Path, section: str, key: str, value: Any) -> None:
    edit_options(model_folder, lambda options: options[section].update({key: value}))
    with pytest.raises(WeightsError, match="does not fit its options"):
        load(model_folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(model_folder: Path, bad: float) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        file["CNN_high_0/W_carry"][1, 2] = bad
    with pytest.raises(WeightsError, match="CNN_high_0/W_carry holds 1 values that are not finite"):
        load(model_folder)


def test_a_double_too_large_for_single_precision_is_noticed(model_folder: Path) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        values = file["CNN_proj/W_proj"][()].astype("f8")
        values[0, 0] = 1e300
        del file["CNN_proj/W_proj"]
        file["CNN_proj/W_proj"] = values
    with pytest.raises(WeightsError, match="not finite"):
        load(model_folder)
    load(model_folder, dtype="float64")


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        (["0", "1", "sentence_to_index"], "holds vectors that ELMo made"),
        (["softmax/W", "softmax/b"], "holds a softmax alone"),
        (["embedding"], "word ids instead of characters"),
    ],
)
def test_other_hdf5_files_are_recognised(model_folder: Path, datasets: list[str], message: str) -> None:
    with h5py.File(model_folder / "weights.hdf5", "w") as file:
        for name in datasets:
            file[name] = np.zeros(3)
    with pytest.raises(WeightsError, match=message):
        load(model_folder)
