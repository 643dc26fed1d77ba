"""A model with a softmax on top, a command that succeeds, and the server that downloads come from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from numpy_elmo.cli import main
from numpy_elmo.language_model import LanguageModel
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.files.server import cache, publish, server  # noqa: F401

MADE = str(FIXTURES / "language_model")
Run = Callable[..., str]


@pytest.fixture(scope="session")
def made() -> LanguageModel:
    return LanguageModel.load(MADE)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command and return what it prints."""

    def run_command(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    return run_command
