"""The command neighbors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from numpy_elmo.cli import main
from tests.analysis.test_neighbors import CORPUS


def test_the_command_finds_marks_and_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(" ".join(tokens) for tokens in CORPUS if tokens) + "\n")
    command = ["neighbors", "bank", str(text), "-k", "2", "--index", str(tmp_path / "index")]
    assert main([*command, "--query", "He sat on the bank of the river ."]) == 0
    first = capsys.readouterr().out.splitlines()
    assert first[0] == "He sat on the [bank] of the river ."
    assert "river" in first[1]
    assert "[bank]" in first[1]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr("numpy_elmo.cli.neighbors.build_index", refuse)
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 4
    assert [len(one["neighbors"]) for one in found] == [2] * 4
    assert all(one["tokens"][one["position"]] == "bank" for one in found)
    assert main([*command, "--layer", "1"]) == 2
    assert "--layer 2" in capsys.readouterr().err
    assert main(["neighbors", "Bank", str(text)]) == 2
    assert "does not occur" in capsys.readouterr().err
