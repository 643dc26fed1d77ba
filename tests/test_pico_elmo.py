"""The forward pass on one page gives the package's vectors, without the package."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_elmo import load
from tests.agreement.tensorflow_outputs import FIXTURES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "pico_elmo.py"
FOLDERS = [ROOT / "weights" / "tiny", *sorted(path.parent for path in FIXTURES.glob("*/weights.hdf5"))]
SENTENCES = ["They sat on the river bank .", "The naïve man", "Ω " + "x" * 70, "one"]


@pytest.fixture(scope="module")
def embed() -> Callable[[Path, list[str]], np.ndarray[Any, Any]]:
    function: Callable[[Path, list[str]], np.ndarray[Any, Any]] = runpy.run_path(str(PAGE))["embed"]
    return function


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_page_computes_the_vectors_of_the_package(
    embed: Callable[[Path, list[str]], np.ndarray[Any, Any]], folder: Path
) -> None:
    elmo = load(folder)
    for text in SENTENCES:
        tokens = text.split()
        [expected] = elmo.embed([tokens])
        scale = max(1, np.abs(expected).max())  # tiny's token vectors are large
        np.testing.assert_allclose(embed(folder, tokens), expected, rtol=0, atol=2e-6 * scale)


def test_the_page_runs_by_itself_and_imports_numpy_and_h5py_alone(tmp_path: Path) -> None:
    (tmp_path / "numpy_elmo.py").write_text("raise ImportError('the page needs the package')")
    code = f"import runpy, sys; sys.argv[1:] = sys.argv[2:]; runpy.run_path({str(PAGE)!r}, run_name='__main__')"
    command = [sys.executable, "-c", code, "_", str(FOLDERS[0]), "They sat on the bank"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", "(3, 5, 256)")


def test_the_page_is_one_page() -> None:
    source = PAGE.read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in source.splitlines()) <= 80
    assert max(map(len, source.splitlines())) <= 88  # pages quote it
    assert "class " not in source
