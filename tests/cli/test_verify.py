"""The command verify."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import numpy_elmo
from numpy_elmo.cli import main
from numpy_elmo.files.published import PublishedModel
from tests.analysis.test_verify import perturb, publishing
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL


@pytest.fixture
def folder(cache: Path) -> Path:
    return write_model(cache / "made", SMALL["base"])


@pytest.fixture
def publish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[PublishedModel], None]:
    return publishing(folder, monkeypatch)


def test_the_command_prints_expected_found_and_difference(
    folder: Path, publish: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "made"]) == 0
    good = capsys.readouterr().out
    assert "FAIL" not in good
    assert "14 checks, 0 failed" in good
    lines = good.splitlines()
    assert lines[0] == "### numpy-elmo verify: made, compared with made"
    assert lines[2].startswith(f"- numpy_elmo {numpy_elmo.__version__}, NumPy {np.__version__} (OpenBLAS kernels: ")
    for line, path in zip(lines[3:5], (folder / "options.json", folder / "weights.hdf5"), strict=True):
        data = path.read_bytes()
        assert line == f"- {path.name}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}"
    assert lines[6] == "```text"
    assert lines[-1] == "```"
    assert str(folder.parent) not in good  # nobody's business

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
