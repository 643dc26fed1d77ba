"""What the commands share: their errors, and the embedded model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from numpy_elmo.cli import main
from tests.cli.conftest import MADE, Run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("next", "a", "-k", "0"), "k must be a positive integer"),
        (("next", "a", "--among", "zebra"), "'zebra'"),
        (("substitutes", "a b", "--position", "2"), "no token 2"),
        (("substitutes", "a b", "--position", "-3"), "no token -3"),
        (("substitutes", "a b"), "0 tokens are marked; mark one"),
        (("substitutes", "[a] [b]"), "2 tokens are marked"),
        (("substitutes", "a b", "--word", "c"), "'c' does not occur"),
        (("substitutes", "a b a", "--word", "a"), "'a' occurs at the positions 0, 2 in the text; mark the token"),
        (("substitutes", "[do n't] go", "--tokenize"), "holds 2 tokens; mark one"),
        (("substitutes", "a b", "--position", "0", "--temperature", "0"), "temperature"),
        (("perplexity", "absent.txt"), "absent.txt cannot be read"),
    ],
)
def test_errors(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    assert main([*arguments, "--model", MADE]) == 2
    assert re.fullmatch(f"numpy-elmo: error: .*{message}.*\\n", capsys.readouterr().err)


def test_the_commands_work_on_tiny(run: Run, tmp_path: Path) -> None:
    def words(*arguments: str) -> list[str]:
        found: dict[str, Any] = json.loads(run(*arguments, "--json"))
        return [row["word"] for row in found["words"]]

    assert words("next", "On Saturdays the older boys like to hang", "--among", "camera out") == ["out", "camera"]
    assert len(words("next", "let 's stick to")) == 10
    assert len(words("substitutes", "He took the money to the bank .", "--position", "6")) == 10
    (tmp_path / "text.txt").write_text("He took the money to the bank .\n", encoding="utf-8")
    assert json.loads(run("perplexity", str(tmp_path / "text.txt"), "--json"))["average"] > 1
