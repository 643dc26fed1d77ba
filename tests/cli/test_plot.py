"""The command plot."""

from __future__ import annotations

from pathlib import Path

import pytest

from numpy_elmo.cli import main
from tests.analysis.test_plots import SENTENCES


@pytest.mark.slow
def test_commands_write_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(" ".join(tokens) for tokens in SENTENCES), encoding="utf-8")
    for number, arguments in enumerate(
        [
            ["senses", "bank", str(text), "--layer", "1"],
            ["similarity", "the bank of the river"],
            ["gates", "the bank", "--direction", "backward", "--layer", "1", "--units", "6"],
            ["next", "They like to", "-k", "3", "--theme", "dark"],
        ]
    ):
        output = tmp_path / f"{number}.{'svg' if number % 2 else 'png'}"
        assert main(["plot", *arguments, "--output", str(output)]) == 0
        assert capsys.readouterr().out == f"{output}\n"
        assert output.stat().st_size > 5000
        assert main(["plot", *arguments, "--output", str(output)]) == 2
        assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_pictures_are_named_after_what_they_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("a and/or b\nc and/or d\ne f and/or\n")
    for arguments, name in (
        (["senses", "and/or", "text.txt"], "and_or.png"),
        (["similarity", "the bank"], "similarity.png"),
        (["gates", "the bank"], "gates.png"),
        (["next", "the bank"], "next.png"),
    ):
        assert main(["plot", *arguments]) == 0
        assert capsys.readouterr().out == f"{name}\n"
        assert main(["plot", *arguments]) == 2
        assert "--overwrite" in capsys.readouterr().err
        assert main(["plot", *arguments, "--overwrite"]) == 0
        capsys.readouterr()
