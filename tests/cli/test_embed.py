"""The flags of numpy-elmo embed, each by what it does."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo
from numpy_elmo.cli import main
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import pool
from tests.agreement.tensorflow_outputs import FIXTURES

BASE = str(FIXTURES / "base")
LINES = ["the point", "He said so .", "naïve 日本語", "the point"]


class Command:
    """Runs the command on a text and reads what it wrote."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.out = folder / "out.hdf5"
        self._capsys = capsys

    def __call__(self, *flags: str, text: str | bytes = "\n".join(LINES), name: str = "in.txt") -> dict[str, Any]:
        """Return the datasets."""
        status, message = self.tried(*flags, text=text, name=name)
        assert status == 0, message
        with h5py.File(self.out) as file:
            return {name: item[()] for name, item in file.items() if isinstance(item, h5py.Dataset)}

    def tried(self, *flags: str, text: str | bytes = "\n".join(LINES), name: str = "in.txt") -> tuple[int, str]:
        """Return the status and the messages."""
        (self.folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        self.out.unlink(missing_ok=True)
        model = () if {"--model", "--weight-file"} & set(flags) else ("--model", BASE)
        status = main(["embed", str(self.folder / name), str(self.out), *model, *flags])
        return status, self._capsys.readouterr().err


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


def expected(elmo: Elmo, lines: list[str] = LINES, layers: Any = "all") -> list[Array]:
    return elmo.embed([line.split() for line in lines], layers=layers)


def assert_sentences(found: dict[str, Any], arrays: list[Array]) -> None:
    assert set(found) - {"sentence_to_index"} == {str(k) for k in range(len(arrays))}
    for k, array in enumerate(arrays):
        np.testing.assert_allclose(found[str(k)], array, rtol=0, atol=2e-6)


@pytest.mark.parametrize("layers", ["all", "top", "average", 0, 1, 2, -1])
def test_layers(command: Command, base: Elmo, layers: Any) -> None:
    assert_sentences(command("--layers", str(layers)), expected(base, layers=layers))


@pytest.mark.parametrize(("layers", "message"), [("3", "there is no layer 3"), ("best", '"all", "top", "average"')])
def test_layers_that_are_not_there(command: Command, layers: str, message: str) -> None:
    status, error = command.tried("--layers", layers)
    assert (status, message in error) == (2, True)


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("layers", ["all", "top"])
def test_pooled_vectors_are_the_rows_of_a_table(command: Command, base: Elmo, pooling: Any, layers: Any) -> None:
    found = command(
        "--pooling", pooling, "--layers", layers, "--blank-lines", "empty", text="the point\n\nHe said so .\n"
    )
    assert set(found) == {"vectors", "sentence_to_index"}
    rows = [pool(array, pooling) for array in expected(base, ["the point", "", "He said so ."], layers)]
    np.testing.assert_allclose(found["vectors"], np.stack(rows), rtol=0, atol=2e-6)
    assert not found["vectors"][1].any()
    assert json.loads(found["sentence_to_index"][0])["He said so ."] == "2"


def test_no_sentences_pool_to_no_rows(command: Command) -> None:
    assert command("--pooling", "mean", text="")["vectors"].shape == (0, 3, 16)


def test_float16(command: Command, base: Elmo) -> None:
    found = command("--dtype", "float16")
    for k, array in enumerate(expected(base)):
        assert found[str(k)].dtype == np.float16
        # Half a unit in the last of float16's 11 bits; a value at the edge may be rounded to either side.
        np.testing.assert_allclose(found[str(k)].astype(np.float32), array, rtol=2**-11, atol=2e-6)


def test_values_that_float16_cannot_hold_are_an_error(command: Command, model_folder: Path) -> None:
    with h5py.File(model_folder / "weights.hdf5", "r+") as file:
        file["CNN_proj/b_proj"][...] = 70000.0
    status, error = command.tried("--dtype", "float16", "--layers", "0", "--model", str(model_folder))
    assert status == 2
    assert "sentence 0 has values beyond float16's largest, 65504; store float32; nothing was written" in error
    assert not command.out.exists()


def test_compression_is_a_step_afterwards(command: Command) -> None:
    status, error = command.tried("--compression", "gzip")
    assert (status, f"h5repack -f SHUF -f GZIP=6 {command.out} packed.hdf5" in error) == (2, True)
    assert command.tried("--compression", "none")[0] == 0


def test_an_empty_sentence_has_a_dataset(command: Command) -> None:
    found = command("--blank-lines", "empty", text="a\n\nb\n")
    assert [found[str(k)].shape for k in range(3)] == [(3, 1, 16), (3, 0, 16), (3, 1, 16)]


def test_forget_sentences(command: Command, base: Elmo) -> None:
    found = command("--forget-sentences")
    assert "sentence_to_index" not in found
    assert_sentences(found, expected(base))


def test_sentence_keys(command: Command, base: Elmo) -> None:
    lines = ["the point", "naïve  日本語", "either / or", "a : b"]
    command("--use-sentence-keys", text="\n".join(lines))
    with h5py.File(command.out) as file:
        for line, array in zip(lines, expected(base, lines), strict=True):
            np.testing.assert_allclose(file[line][()], array, rtol=0, atol=2e-6)
        assert "sentence_to_index" not in file


@pytest.mark.parametrize("text", ["a b\nc\na b\n", "a\n.\n", "a\na/b\n", "a\nx\0y\n", "/\n"])
def test_sentences_that_cannot_be_keys_are_named(command: Command, text: str) -> None:
    status, error = command.tried("--use-sentence-keys", text=text)
    assert status == 2
    assert f"sentence {text.count(chr(10)) - 1} (" in error
    assert "number the sentences" in error
    assert error.count("\n") == 1
    assert {path.name for path in command.folder.iterdir()} == {"in.txt"}


def test_blank_lines(command: Command, base: Elmo) -> None:
    text = "a b\n\n \t\nc\n"
    assert_sentences(command("--blank-lines", "skip", text=text), expected(base, ["a b", "c"]))
    found = command("--blank-lines", "empty", text=text)
    assert_sentences(found, expected(base, ["a b", "", "", "c"]))
    assert json.loads(found["sentence_to_index"][0]) == {"a b": "0", "": "2", "c": "3"}
    status, error = command.tried(text=text)
    assert status == 2
    assert "in.txt has 2 blank line(s): 2, 3; remove them" in error
    assert "give --blank-lines empty or skip; nothing was written" in error


def test_a_blank_line_of_a_pipe_is_found_before_the_work(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a\n" * 1024 + b"\nb\n")))
    assert main(["embed", "-", str(command.out), "--model", BASE]) == 2
    assert "standard input has 1 blank line(s): 1025; remove them" in (error := capsys.readouterr().err)
    assert error.endswith("; nothing was written\n")
    assert list(command.folder.iterdir()) == []


def test_encoding_errors(command: Command, base: Elmo) -> None:
    text = b"fine\nna\xefve \xff\n"
    status, error = command.tried(text=text)
    assert (status, "in.txt, line 2, byte 3: not UTF-8" in error) == (2, True)
    assert "--encoding-errors replace" in error
    assert_sentences(command("--encoding-errors", "replace", text=text), expected(base, ["fine", "na\ufffdve \ufffd"]))


def test_gzip_is_known_by_its_bytes(command: Command, base: Elmo) -> None:
    text = "\n".join(LINES).encode()
    for name in ("in.txt.gz", "no.suffix"):
        assert_sentences(command(text=gzip.compress(text), name=name), expected(base))
    in_two = gzip.compress(text[:20]) + gzip.compress(text[20:])
    assert_sentences(command(text=in_two), expected(base))
    result = subprocess.run(
        [sys.executable, "-m", "numpy_elmo", "embed", "-", str(command.out), "--model", BASE, "--overwrite"],
        input=gzip.compress(text),
        check=True,
        capture_output=True,
    )
    assert b"4 sentences" in result.stdout


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_gzip_is_named(command: Command, damage: str) -> None:
    packed = bytearray(gzip.compress("\n".join(f"{k} {k * k}" for k in range(5000)).encode(), mtime=0))
    if damage == "flipped":
        packed[len(packed) // 2] ^= 255
    status, error = command.tried(text=bytes(packed[: len(packed) // 2] if damage == "cut" else packed))
    assert (status, "in.txt is a damaged gzip file" in error) == (2, True)
    assert not command.out.exists()


CONLLU = "# text = It's on\n1-2\tIt's\t_\n1\tIt\tit\n2\t's\tbe\n3\tNew York\t_\n\n1\tHi\thi\n"


@pytest.mark.parametrize(
    ("name", "flags"), [("in.conllu", ()), ("in.conllu.gz", ()), ("in.txt", ("--format", "conllu"))]
)
def test_conllu(command: Command, base: Elmo, name: str, flags: tuple[str, ...]) -> None:
    text = gzip.compress(CONLLU.encode()) if name.endswith(".gz") else CONLLU
    found = command(*flags, text=text, name=name)
    assert_sentences(found, base.embed([["It", "'s", "New York"], ["Hi"]]))
    assert json.loads(found["sentence_to_index"][0]) == {"It 's New York": "0", "Hi": "1"}


def test_a_file_named_conllu_may_be_text(command: Command, base: Elmo) -> None:
    assert_sentences(command("--format", "text", name="in.conllu"), expected(base))


def test_several_inputs_are_one_corpus(command: Command, base: Elmo) -> None:
    files = {"a.txt": b"the point", "b.conllu": CONLLU.encode(), "c.txt.gz": gzip.compress(b"last one\n")}
    for name, text in files.items():
        (command.folder / name).write_bytes(text)
    words = ["embed", *(str(command.folder / name) for name in files), str(command.out), "--model", BASE]
    assert main(words) == 0
    with h5py.File(command.out) as file:
        found = {name: item[()] for name, item in file.items()}
    assert_sentences(found, base.embed([["the", "point"], ["It", "'s", "New York"], ["Hi"], ["last", "one"]]))


def test_a_forgotten_output_does_not_cost_an_input(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [command.folder / name for name in ("a.txt", "b.txt")]
    for text in texts:
        text.write_text("precious")
    assert main(["embed", *map(str, texts), str(texts[1]), "--model", BASE, "--overwrite"]) == 2
    assert "b.txt, the last file, would be overwritten, and is not an HDF5 file; was OUTPUT" in capsys.readouterr().err
    assert texts[1].read_text() == "precious"


def test_what_allennlp_has_and_we_do_not_need_is_taken(command: Command, base: Elmo) -> None:
    ignored = ["--vocab-path", "v", "--cuda-device", "0", "--include-package", "p", "--file-friendly-logging"]
    files = ["--options-file", f"{BASE}/options.json", "--weight-file", f"{BASE}/weights.hdf5"]
    found = command(*files, *ignored, "--average", "--batch-size", "2")
    assert_sentences(found, expected(base, layers="average"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--weight-file", "https://example.org/weights.hdf5"],
            "is not downloaded; get the model with 'numpy-elmo download'",
        ),
        (["--model", "x", "--weight-file", "y"], "--model and --weight-file mean the same"),
        (["--weight-file", f"{BASE}/weights.hdf5"], "give its options file too"),
        (["--checkpoint", "-1"], "--checkpoint must not be negative"),
        (["--checkpoint", "nan"], "--checkpoint must not be negative"),
        (["--batch-size", "0"], "batch_size must be a positive integer"),
    ],
)
def test_flags_that_cannot_be(command: Command, flags: list[str], message: str) -> None:
    status, error = command.tried(*flags)
    assert (status, message in error) == (2, True), error
    assert error.count("\n") == 1
    assert not command.out.exists()


def test_cut_tokens_are_counted_at_the_end(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    (command.folder / "in.txt").write_text("a b\nc " + "x" * 10**6 + " " + "y" * 49 + "\n")
    assert main(["embed", str(command.folder / "in.txt"), str(command.out), "--model", BASE]) == 0
    assert "cut to what the model reads: 2 tokens; the first one is token 1 of sentence 1" in (capsys.readouterr().out)


# -- progress ----------------------------------------------------------------------------------------------------------
