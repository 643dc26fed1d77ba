"""What info prints."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from numpy_elmo.cli import main
from tests.agreement.tensorflow_outputs import FIXTURES

BASE = str(FIXTURES / "base")


def test_info_prints_what_the_model_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", BASE]) == 0
    printed = capsys.readouterr().out
    with h5py.File(FIXTURES / "base" / "weights.hdf5") as file:
        sizes: list[int] = []
        file.visititems(lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None)
    assert f"{sum(sizes):,}" in printed
    assert "3: tokens and 2 LSTM layers in each direction" in printed
    assert "all values are finite" in printed
    assert main(["info", BASE, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["parameters"] == sum(sizes)
    assert data["lstm"]["n_layers"] == 2


def test_info_of_a_broken_model_is_one_clear_error(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        file["char_embed"][0, 0] = np.nan
    assert main(["info", str(model_folder)]) == 2
    assert "char_embed holds 1 values that are not finite" in capsys.readouterr().err
