"""The command surprisal."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from numpy_elmo.cli import main
from numpy_elmo.language_model import LanguageModel
from tests.language_model.conftest import FOLDER, SENTENCES

COLUMNS = ["sentence_id", "token_id", "token", "surprisal", "surprisal_backward", "entropy", "rank", "unknown"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["surprisal", *arguments, "--model", str(FOLDER)]) == 0
    return capsys.readouterr().out


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def write(path: Path, sentences: list[list[str]]) -> str:
    path.write_text("".join(" ".join(tokens) + "\n" for tokens in sentences), encoding="utf-8")
    return str(path)


def test_the_table(made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sentences = [["the", "bank", "xyzzy"], ["Yes", '"', "."]]
    printed = run(capsys, write(tmp_path / "text.txt", sentences))
    assert printed.splitlines()[0].split("\t") == COLUMNS
    expected = [row for k, found in enumerate(made.surprisal(sentences), 1) for row in found.rows(k)]
    assert len(expected) == 8
    for line, row in zip(table(printed), expected, strict=True):
        assert (int(line["sentence_id"]), int(line["token_id"]), line["token"]) == row[:3]
        assert float(line["surprisal"]) == pytest.approx(row.surprisal, abs=1e-5)
        assert float(line["entropy"]) == pytest.approx(row.entropy, abs=1e-5)
        assert (int(line["rank"]), line["unknown"]) == (row.rank, str(int(row.unknown)))
        if row.token == "</S>":
            assert line["surprisal_backward"] == "NA"
        else:
            assert float(line["surprisal_backward"]) == pytest.approx(row.surprisal_backward, abs=1e-5)
    frame = pd.read_csv(io.StringIO(printed), sep="\t", quoting=csv.QUOTE_NONE)
    assert frame.surprisal_backward.isna().sum() == 2


def test_the_table_in_nats_and_as_json(made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write(tmp_path / "text.txt", SENTENCES[:2])
    lines = [json.loads(line) for line in run(capsys, path, "--unit", "nats", "--json").splitlines()]
    expected = [row for k, found in enumerate(made.surprisal(SENTENCES[:2], unit="nats"), 1) for row in found.rows(k)]
    for line, row in zip(lines, expected, strict=True):
        assert list(line) == COLUMNS
        assert line["surprisal"] == pytest.approx(row.surprisal, abs=1e-5)
        assert (line["surprisal_backward"] is None) == (row.token == "</S>")


def test_blank_lines_separate_documents(
    made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second = SENTENCES[:2], SENTENCES[1:4]
    assert all(map(len, first + second))
    path = write(tmp_path / "text.txt", [*first, [], [], *second])
    carried = table(run(capsys, path, "--state", "carry"))
    expected = [
        row
        for k, found in enumerate(made.surprisal(first, state="carry") + made.surprisal(second, state="carry"), 1)
        for row in found.rows(k)
    ]
    for line, row in zip(carried, expected, strict=True):
        assert (int(line["sentence_id"]), line["token"]) == (row.sentence_id, row.token)
        assert float(line["surprisal"]) == pytest.approx(row.surprisal, abs=1e-5)
    reset = table(run(capsys, path, "--batch-size", "1"))
    assert [line["sentence_id"] for line in reset] == [line["sentence_id"] for line in carried]
    assert reset != carried


def test_a_long_text_is_read_window_by_window(
    made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "text.txt", [["the", "bank"]] * 20)
    lines = table(run(capsys, path, "--batch-size", "1"))  # windows of 8
    assert [line["sentence_id"] for line in lines[::3]] == [str(k) for k in range(1, 21)]
    assert len({line["surprisal"] for line in lines[::3]}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("absent.txt",), "absent.txt"), (("absent.txt", "--batch-size", "0"), "batch_size must be a positive integer")],
)
def test_errors(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    assert main(["surprisal", *arguments, "--model", str(FOLDER)]) == 2
    assert re.fullmatch(f"numpy-elmo: error: .*{message}.*\\n", capsys.readouterr().err)


def test_all_formats_of_text_are_read(made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    [expected] = made.surprisal([["He", "does", "n't", "like", "it", "."]])
    path = tmp_path / "text.jsonl"
    path.write_text(json.dumps({"item": 1, "text": "He doesn't like it."}) + "\n", encoding="utf-8")
    lines = table(run(capsys, str(path), "--json-field", "text", "--tokenize"))
    assert tuple(line["token"] for line in lines) == expected.tokens
    np.testing.assert_allclose([float(line["surprisal"]) for line in lines], expected.surprisal, rtol=0, atol=1e-5)
