"""What the tests share: made models, and the fixtures that TensorFlow left."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from numpy_elmo import Elmo, load
from tests.fixtures.recipes import SMALL, Recipe, write_weights

# A shell that starts the tests in the background has them ignore SIGINT, and so would the programs that they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="end with an error if a test was skipped (the gate)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # All their tests are slow, and they cannot be imported without the libraries of [dev].
    needs_dev = collection_path.name in ("test_spacy.py", "test_torch.py")
    return True if needs_dev and config.option.markexpr == "not slow" else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--no-skips"):
        for report in terminalreporter.stats.get("skipped", []):
            terminalreporter.write_line(f"ERROR skipped, and must not be: {report.nodeid}: {report.longrepr[2]}")


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
