"""The command, run as its users run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo, load
from numpy_elmo.cli import main
from tests.agreement.tensorflow_outputs import FIXTURES, read_case

BASE = str(FIXTURES / "base")


def run(
    *arguments: str, text: str | bytes | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    data = text.encode() if isinstance(text, str) else text
    command = [sys.executable, "-m", "numpy_elmo", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False, cwd=folder)


def test_a_line_of_a_text_file_becomes_tensorflows_vectors(tmp_path: Path) -> None:
    case = read_case("base")
    batch = case.sequences["fresh"][0]
    row = batch.index(["Where", "have", "you", "placed", "the", "point"])
    (tmp_path / "in.txt").write_text("Where have you placed the point\n", encoding="utf-8")
    result = run("embed", "in.txt", "out.hdf5", "--model", BASE, folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"1 sentence, 6 tokens" in result.stdout
    with h5py.File(tmp_path / "out.hdf5") as file:
        vectors = file["0"][()]
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, 6, 2 * load(BASE).options.lstm.projection_dim)
    np.testing.assert_allclose(vectors, case.expected[f"fresh/0/{row}"], rtol=0, atol=2e-6)


def test_the_file_has_the_layout_of_allennlp(tmp_path: Path, base: Elmo) -> None:
    lines = ["the point", " naïve  日本語\u00a0x\t", "the point", "He said so ."]
    (tmp_path / "in.txt").write_text("\n".join(lines), encoding="utf-8")
    assert main(["embed", str(tmp_path / "in.txt"), str(tmp_path / "out.hdf5"), "--model", BASE]) == 0
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert set(file) == {"0", "1", "2", "3", "sentence_to_index"}
        for k, line in enumerate(lines):
            np.testing.assert_allclose(file[str(k)][()], base.embed([line.split()])[0], rtol=0, atol=2e-6)
            assert file[str(k)].chunks is None
        assert file["sentence_to_index"].shape == (1,)
        assert json.loads(file["sentence_to_index"][0]) == {
            "the point": "2",
            "naïve  日本語\u00a0x": "1",  # the line without white space around it, as there
            "He said so .": "3",
        }


@pytest.mark.parametrize("layers", ["all", "top", "average"])
def test_layer_flags(tmp_path: Path, base: Elmo, layers: Literal["all", "top", "average"]) -> None:
    (tmp_path / "in.txt").write_text("a b\nc\n")
    out = tmp_path / "out.hdf5"
    assert main(["embed", str(tmp_path / "in.txt"), str(out), "--model", BASE, f"--{layers}"]) == 0
    expected = base.embed([["a", "b"], ["c"]], layers=layers)
    with h5py.File(out) as file:
        for k, array in enumerate(expected):
            np.testing.assert_allclose(file[str(k)][()], array, rtol=0, atol=1e-6)


def test_carried_state_goes_from_batch_to_batch(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a\nb\nc\nd\ne\n")
    out = tmp_path / "out.hdf5"
    words = ["embed", str(tmp_path / "in.txt"), str(out), "--model", BASE, "--state", "carry", "--batch-size", "2"]
    assert main(words) == 0
    expected = load(BASE).embed([["a"], ["b"], ["c"], ["d"], ["e"]], state="carry", batch_size=2)
    with h5py.File(out) as file:
        for k, array in enumerate(expected):
            np.testing.assert_allclose(file[str(k)][()], array, rtol=0, atol=1e-6)


def test_windows_of_a_long_file_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpy_elmo.corpus.embed.WINDOW", 5)
    sentences = [["w"] * (1 + k % 4) for k in range(13)]
    (tmp_path / "in.txt").write_text("\n".join(" ".join(sentence) for sentence in sentences))
    for state in ("reset", "carry"):
        out = tmp_path / f"{state}.hdf5"
        words = ["--model", BASE, "--state", state, "--batch-size", "3"]
        assert main(["embed", str(tmp_path / "in.txt"), str(out), *words]) == 0
        expected = load(BASE).embed(sentences, state=state, batch_size=3)
        with h5py.File(out) as file:
            for k, array in enumerate(expected):
                np.testing.assert_allclose(file[str(k)][()], array, rtol=0, atol=2e-6)


def test_standard_input_is_utf8_whatever_the_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = run("embed", "-", "out.hdf5", "--model", BASE, text="日本語 ☃\r\n", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    with h5py.File(tmp_path / "out.hdf5") as file:
        np.testing.assert_array_equal(file["0"][()], load(BASE).embed([["日本語", "☃"]])[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"fine\nna\xefve\n", "line 2, byte 3: not UTF-8"),
        (b"a\n\n  \nb\n", "2 blank line(s): 2, 3; remove them"),
        (b"\n", "1 blank line(s): 1"),
    ],
)
def test_text_that_cannot_be_used_is_one_line_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tmp_path / "in.txt").write_bytes(content)
    assert main(["embed", str(tmp_path / "in.txt"), str(tmp_path / "out.hdf5"), "--model", BASE]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"in.txt"}


def test_files_that_cannot_be_read_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("a b\n")
    for words, message in (
        (["missing.txt", "out.hdf5"], "missing.txt cannot be read"),
        ([".", "out.hdf5"], ". cannot be read"),
        (["in.txt", "nowhere/out.hdf5"], "nowhere/out.hdf5 cannot be written"),
        (["in.txt", "."], "is a folder"),
        (["in.txt", "in.txt"], "in.txt is also an input"),
        (["in.txt", "out.hdf5", "--model", "nowhere/model"], "no such file or folder"),
        (["in.txt", "out.hdf5", "--batch-size", "0"], "batch_size must be a positive integer"),
    ):
        assert main(["embed", *words, *(() if "--model" in words else ("--model", BASE))]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
        assert {path.name for path in tmp_path.iterdir()} == {"in.txt"}
    assert (tmp_path / "in.txt").read_text() == "a b\n"


def test_an_output_is_replaced_only_on_request_and_only_when_whole(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a b\n")
    (tmp_path / "out.hdf5").write_text("precious")
    words = ["embed", str(tmp_path / "in.txt"), str(tmp_path / "out.hdf5"), "--model", BASE]
    assert main(words) == 2
    assert main([*words, "--overwrite", "--batch-size", "-1"]) == 2
    assert (tmp_path / "out.hdf5").read_text() == "precious"
    assert main([*words, "--overwrite"]) == 0
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert set(file) == {"0", "sentence_to_index"}


def test_an_empty_file_gives_an_empty_map(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("")
    assert main(["embed", str(tmp_path / "in.txt"), str(tmp_path / "out.hdf5"), "--model", BASE]) == 0
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert set(file) == {"sentence_to_index"}
        assert json.loads(file["sentence_to_index"][0]) == {}


def test_wrong_usage_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["embed"], ["embed", "a", "b", "--all", "--top"], ["nonsense"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("numpy-elmo 0.")
