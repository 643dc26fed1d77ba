"""The fixture with a softmax on top, which TensorFlow made, and copies of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from numpy_elmo.language_model import LanguageModel
from tests.agreement.tensorflow_outputs import FIXTURES

FOLDER = FIXTURES / "language_model"
SENTENCES: list[list[str]] = json.loads((FOLDER / "sentences.json").read_text(encoding="utf-8"))["sentences"]


@pytest.fixture(scope="session")
def made() -> LanguageModel:
    return LanguageModel.load(FOLDER)


@pytest.fixture(scope="session")
def made64() -> LanguageModel:
    return LanguageModel.load(FOLDER, dtype="float64")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the fixture that a test may change."""
    return Path(shutil.copytree(FOLDER, tmp_path / "model"))
