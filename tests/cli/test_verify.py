"""The command verify."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from numpy_elmo import load
from numpy_elmo.cli import main
from numpy_elmo.files import published
from numpy_elmo.files.published import PublishedModel
from tests.analysis.test_verify import perturb, record, row_of
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL


@pytest.fixture
def folder(cache: Path) -> Path:
    return write_model(cache / "made", SMALL["base"])


@pytest.fixture
def publish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[PublishedModel], None]:
    def make(row: PublishedModel) -> None:
        monkeypatch.setattr(published, "table", lambda: {"made": row})

    make(row_of(folder, (record(load(folder)),)))
    return make


def test_the_command_prints_expected_found_and_difference(
    folder: Path, publish: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "made"]) == 0
    good = capsys.readouterr().out
    assert "FAIL" not in good
    assert "14 checks, 0 failed" in good
    assert good.splitlines()[0] == "made, compared with made"

    perturb(folder)
    assert main(["verify", str(folder), "--as", "made"]) == 1
    bad = capsys.readouterr().out
    rows = [line for line in bad.splitlines() if line.startswith("FAIL") and "top-layer vector, [0]" in line]
    assert len(rows) == 1
    for word in ("expected", "found", "difference", "at most 1e-05"):
        assert word in rows[0]


def test_the_command_says_that_there_are_no_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path / "model", SMALL["base"])
    assert main(["verify", str(folder)]) == 0
    assert "note  this is none of the published models" in capsys.readouterr().out


def test_the_command_fails_with_status_2_where_there_is_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "small"]) == 2
    assert "numpy-elmo download small" in capsys.readouterr().err
