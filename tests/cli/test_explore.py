"""The command explore."""

from __future__ import annotations

from pathlib import Path

import pytest

from numpy_elmo.cli import main
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.analysis.test_explore import CORPUS, MODEL, TEXTS, saved_data


def test_the_command_writes_one_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text").write_text("\n".join([*TEXTS, " ".join(["long"] * 70)]), encoding="utf-8")
    command = ["explore", "--model", str(MODEL), "--html", str(tmp_path / "page.html")]
    command += ["--corpus", str(tmp_path / "text")]
    assert main([*command, "--word", "bank", "--compare", "My money is in the bank."]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'page.html'}\n"
    assert f"loading {MODEL / 'weights.hdf5'}: 0 MB in memory" in printed.err
    assert f"loading {MODEL / 'softmax_weights.hdf5'}: 45 words, 0 MB in memory" in printed.err
    data = saved_data((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert data["state"] == {
        "a": {"text": TEXTS[0], "split": False, "at": 5},
        "b": {"text": "My money is in the bank.", "split": True, "at": 5},
    }
    [about] = [answer for question, answer in data["answers"] if question == ["about"]]
    assert about["corpus"] == {"name": "text", "waiting": "", "sentences": 8, "tokens": sum(map(len, CORPUS)) + 70}
    for wrong, message in (
        ([], "exists already; remove it, or give --overwrite"),
        (["--overwrite", "--word", "none"], "text has no sentence with 'none'; give the sentence"),
        (["--overwrite", "--sentence", "a b", "--word", "none"], "'none' is no token of the sentence 'a b'"),
        (["--overwrite", "--sentence", "a " * 61], "61 tokens"),
        (["--overwrite", "--softmax", "none"], "no such softmax file"),
    ):
        assert main([*command, *wrong]) == 2
        assert message in capsys.readouterr().err


def test_a_model_without_softmax_can_be_explored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text").write_text("rain fell\nthe rain\nrain\n", encoding="utf-8")
    command = ["explore", "--html", str(tmp_path / "page"), "--model", str(FIXTURES / "base")]
    assert main([*command, "--corpus", str(tmp_path / "text")]) == 0
    data = saved_data((tmp_path / "page").read_text(encoding="utf-8"))
    [about] = [answer for question, answer in data["answers"] if question == ["about"]]
    assert about["noWords"].startswith("no softmax was found")
    assert "words" not in capsys.readouterr().err
