"""The command convert."""

from __future__ import annotations

from pathlib import Path

import pytest

from numpy_elmo.cli import main
from tests.agreement.tensorflow_outputs import FIXTURES

CHECKPOINTS, SOURCE = FIXTURES / "checkpoints", FIXTURES / "language_model"


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(CHECKPOINTS / "training" / "model.ckpt-7")
    assert main(["convert", source, str(tmp_path / "new")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{tmp_path / 'new'}: options.json, softmax_weights.hdf5, vocab.txt, weights.hdf5",
        f"the vectors equal those of {source}",
    ]
    assert main(["convert", source, str(tmp_path / "half"), "--dtype", "float16"]) == 0
    assert "the vectors differ by at most" in capsys.readouterr().out
    assert main(["convert", source, str(tmp_path / "new")]) == 2
    assert "exists already" in capsys.readouterr().err
