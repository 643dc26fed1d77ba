"""What the tests share: made models, and the fixtures that TensorFlow left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from numpy_elmo import Elmo, load
from tests.fixtures.recipes import SMALL, Recipe, write_weights


def write_model(folder: Path, recipe: Recipe) -> Path:
    """Write a model folder from its recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(json.dumps(recipe.options), encoding="utf-8")
    write_weights(folder / "weights.hdf5", recipe)
    return folder


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A folder of one small model that a test may change."""
    return write_model(tmp_path / "model", SMALL["base"])


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Elmo:
    """A small model in float32; tests must leave its carried and frozen states as they are."""
    return load(write_model(tmp_path_factory.mktemp("base"), SMALL["base"]))


@pytest.fixture(scope="session")
def base64(tmp_path_factory: pytest.TempPathFactory) -> Elmo:
    """The same model in float64."""
    return load(write_model(tmp_path_factory.mktemp("base64"), SMALL["base"]), dtype="float64")
