"""The command perplexity."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from numpy_elmo.cli import main
from numpy_elmo.language_model import LanguageModel
from tests.cli.conftest import MADE, Run


def test_perplexity(run: Run, made: LanguageModel, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffthe bank of the river\r\n\r\nxyzzy Yes\n".encode())
    expected = made.perplexity([["the", "bank", "of", "the", "river"], ["xyzzy", "Yes"]])
    found = json.loads(run("perplexity", str(path), "--model", MADE, "--json"))
    assert found["average"] == pytest.approx(expected.average, rel=1e-6)
    assert (found["n_sentences"], found["n_tokens"], found["n_predictions"], found["n_unknown"]) == (2, 7, 9, 1)
    shown = run("perplexity", str(path), "--model", MADE)
    assert f"average     {expected.average:.2f}\n" in shown
    assert "7, 1 of them (14.3%) unknown" in shown


def test_perplexity_of_standard_input(run: Run, made: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"the bank\n")))
    found = json.loads(run("perplexity", "-", "--model", MADE, "--json", "--state", "carry", "--batch-size", "1"))
    assert found["forward"] == pytest.approx(made.perplexity([["the", "bank"]]).forward, rel=1e-6)


@pytest.mark.parametrize(("content", "message"), [(b"", "no sentence"), (b"the\n\xff\n", "line 2, byte 1: not UTF-8")])
def test_text_that_has_no_perplexity(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    assert main(["perplexity", str(tmp_path / "text.txt"), "--model", MADE]) == 2
    assert re.fullmatch(f"numpy-elmo: error: .*{message}.*\\n", capsys.readouterr().err)
