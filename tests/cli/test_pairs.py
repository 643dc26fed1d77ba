"""The command pairs."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from numpy_elmo.analysis.pairs import (
    Accuracy,
    read_pairs,
    score_pairs,
)
from numpy_elmo.cli import main
from numpy_elmo.language_model import LanguageModel
from tests.analysis.test_pairs import line, write
from tests.cli.conftest import MADE


def test_the_table(made: LanguageModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        tmp_path / "pairs.jsonl",
        line("the bank", "bank the", UID="order", linguistics_term="syntax", field="s"),
        line("the river", "the xyzzy", UID="words", linguistics_term="syntax", field="s"),
    )
    assert main(["pairs", str(path), "--model", MADE]) == 0
    header, *lines = [row.split("\t") for row in capsys.readouterr().out.splitlines()]
    assert (
        header == list(Accuracy._fields) == ["level", "name", "pairs", "unknown", "ties", "forward", "backward", "both"]
    )
    expected = score_pairs(made, read_pairs(path)).accuracies()
    assert [row[:5] for row in lines] == [[*map(str, row[:5])] for row in expected]
    assert lines[0][:5] == ["paradigm", "order", "1", "0", "0"]
    assert lines[1] == ["paradigm", "words", "1", "1", "0", "NA", "NA", "NA"]
    assert [float(value) for value in lines[-1][5:]] == list(expected[-1][5:])


def test_json_and_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(line("the xyzzy", "the bank").encode())))
    assert main(["pairs", "-", "--model", MADE, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "level": "all",
            "name": "all",
            "pairs": 1,
            "unknown": 1,
            "ties": 0,
            "forward": None,
            "backward": None,
            "both": None,
        }
    ]


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs", "absent.jsonl"]) == 2
    assert re.fullmatch("numpy-elmo: error: .*absent.jsonl.*\\n", capsys.readouterr().err)
