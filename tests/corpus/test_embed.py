"""Long runs from files to a file: interrupted anywhere and resumed, they leave what one run leaves."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import CorpusReport, Elmo, load
from numpy_elmo.cli import main
from numpy_elmo.corpus import embed, load_embeddings
from numpy_elmo.corpus.embed import EmbedOptions, FileEmbedding
from numpy_elmo.corpus.inputs import CorpusInputs
from numpy_elmo.corpus.resume import PartFile, read_checkpoint
from numpy_elmo.errors import OutputError
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.fixtures.recipes import Recipe, options

BASE = str(FIXTURES / "base")

# As small as the format allows, so that many sentences are about the sentences.
SMALLEST = Recipe(
    options(
        {
            "lstm/dim": 2,
            "lstm/projection_dim": 2,
            "lstm/n_layers": 1,
            "char_cnn/filters": [[1, 2]],
            "char_cnn/n_highway": 0,
            "char_cnn/embedding": {"dim": 2},
        }
    ),
    seed=1,
)

# A carried state has small windows, a batch each, so that a short run has many.
WAYS: dict[str, list[str]] = {
    "layers": [],
    "carried state": ["--state", "carry", "--batch-size", "100"],
    "pooled": ["--state", "carry", "--batch-size", "100", "--pooling", "mean", "--layers", "average"],
    "float16": ["--state", "carry", "--batch-size", "100", "--dtype", "float16", "--top"],
    "sentence keys": ["--state", "carry", "--batch-size", "100", "--use-sentence-keys", "--layers", "0"],
}


def write_text(path: Path, n_sentences: int) -> Path:
    """Write sentences that all differ, of 1 to 7 tokens."""
    words = [f"w{k}" for k in range(50)]
    lines = (" ".join([f"s{k}", *words[k % 37 : k % 37 + k % 7]]) for k in range(n_sentences))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def assert_same(path: Path, other: Path) -> None:
    assert path.read_bytes() == other.read_bytes()


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "numpy_elmo", "embed", *map(str, words)]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def kept(output: Path) -> int:
    """Return how many sentences the unfinished run of an output has kept."""
    return read_checkpoint(output).n_done


def wait_until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Wait, but no longer than the process runs."""
    while process.poll() is None and not condition():
        time.sleep(0.002)


# -- killed, stopped, interrupted --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_is_killed_again_and_again_leaves_what_one_run_leaves(
    tmp_path: Path, smallest: str, way: str
) -> None:
    n_sentences = 4_000 if WAYS[way] else 6_000
    text = write_text(tmp_path / "in.txt", n_sentences)
    arguments = ["--model", smallest, *WAYS[way]]
    subprocess.run(command(text, tmp_path / "whole.hdf5", *arguments), check=True, capture_output=True)

    out = tmp_path / "out.hdf5"
    again = command(text, out, *arguments, "--checkpoint", "0", "--resume")
    chance = random.Random(way)
    kills, progress = 0, [0]
    while not out.exists():
        with subprocess.Popen(again, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            if kills < 4:
                wait_until(lambda: kept(out) > progress[-1], process)
                time.sleep(chance.random() * 0.03)
                process.kill()
            message = process.communicate()[1]
            assert process.returncode in (0, -signal.SIGKILL), message.decode()
        kills += process.returncode != 0
        progress.append(kept(out) if not out.exists() else n_sentences)
    assert kills >= 3, progress
    assert len(set(progress)) > 3  # it did go on, and did not begin anew
    assert_same(out, tmp_path / "whole.hdf5")
    assert names(tmp_path) == {"in.txt", "out.hdf5", "whole.hdf5"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_one_line_and_keeps_what_was_done(
    tmp_path: Path, smallest: str, number: signal.Signals
) -> None:
    text = write_text(tmp_path / "in.txt", 8_000)
    out = tmp_path / "out.hdf5"
    with subprocess.Popen(
        command(text, out, "--model", smallest, "--checkpoint", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: kept(out) > 2000, process)
        process.send_signal(number)
        printed, message = process.communicate()
    assert (process.returncode, printed) == (128 + number, b"")
    assert not out.exists()
    done = kept(out)
    assert 2000 < done < 8_000
    *progress, last = message.decode().splitlines()
    assert last == (
        f"numpy-elmo: {number.name}: stopped; {done:,} sentences are kept, the same command with --resume continues "
        "after them"
    )
    assert all("tokens/s" in line for line in progress), "a slow machine shows progress"
    assert main(["embed", str(text), str(out), "--model", smallest, "--resume"]) == 0
    assert main(["embed", str(text), str(tmp_path / "whole.hdf5"), "--model", smallest]) == 0
    assert_same(out, tmp_path / "whole.hdf5")


def test_a_signal_before_the_first_window_leaves_nothing(tmp_path: Path, smallest: str) -> None:
    out = tmp_path / "out.hdf5"
    with subprocess.Popen(
        command("-", out, "--model", smallest), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        wait_until(lambda: list(tmp_path.glob(".out.hdf5.part.*.part")), process)
        process.send_signal(signal.SIGINT)
        process.wait()
        assert process.stderr is not None
        assert process.stderr.read() == b"numpy-elmo: SIGINT: stopped; nothing was written\n"
    assert process.returncode == 130
    assert names(tmp_path) == set()


class Stopped(BaseException):
    """What ends a run in the middle."""


def job(text: Path, output: Path, elmo: Elmo, **changes: Any) -> FileEmbedding:
    return FileEmbedding(CorpusInputs((str(text),)), str(output), elmo, EmbedOptions(**changes))


@pytest.mark.parametrize("state", [pytest.param("reset", marks=pytest.mark.slow), "carry"])
def test_a_run_may_end_after_any_window(
    tmp_path: Path, base: Elmo, state: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "WINDOW", 5)
    monkeypatch.setattr(embed, "WINDOW_TOKENS", 12)
    text = write_text(tmp_path / "in.txt", 40)
    seen: list[int] = []
    job(text, tmp_path / "whole.hdf5", base, state=state, batch_size=3).run(
        progress=lambda report: seen.append(report.n_sentences)
    )
    assert seen[0] == 0
    assert seen[-1] == 40
    assert len(seen) > 8
    for stop in seen:

        def stop_there(report: CorpusReport, stop: int = stop) -> None:
            if report.n_sentences == stop:
                raise Stopped

        out = tmp_path / f"{stop}.hdf5"
        run = job(text, out, base, state=state, batch_size=3)
        with pytest.raises(Stopped):
            run.run(progress=stop_there)
        assert run.n_kept == stop  # without any checkpoint on the way: the last one is made when the run ends
        assert not out.exists()
        resumed = job(text, out, base, state=state, batch_size=3)
        report = resumed.run(resume=True)
        assert (report.n_sentences, report) == (40, resumed.report)
        assert_same(out, tmp_path / "whole.hdf5")


def test_a_death_between_the_last_checkpoint_and_the_renaming(
    tmp_path: Path, base: Elmo, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, out = write_text(tmp_path / "in.txt", 30), tmp_path / "out.hdf5"
    job(text, tmp_path / "whole.hdf5", base).run()
    link = os.link

    def dies(source: Path, target: Path) -> None:
        if target == out:
            raise Stopped
        link(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", dies)
        with pytest.raises(Stopped):
            job(text, out, base).run()
    assert not out.exists()
    run = job(text, out, base)
    assert run.run(resume=True).n_sentences == 30
    assert_same(out, tmp_path / "whole.hdf5")
    assert names(tmp_path) == {"in.txt", "out.hdf5", "whole.hdf5"}


# -- disks and folders -------------------------------------------------------------------------------------------------


FLAGS = [["--state", "carry"], ["--pooling", "max", "--forget-sentences"]]


@pytest.mark.parametrize("flags", [[], *(pytest.param(flags, marks=pytest.mark.slow) for flags in FLAGS)])
def test_a_file_that_may_not_be_so_large_is_refused_before_the_work(
    tmp_path: Path, smallest: str, flags: list[str]
) -> None:
    text, out = write_text(tmp_path / "in.txt", 4_000), tmp_path / "out.hdf5"
    result = subprocess.run(
        command(text, out, "--model", smallest, *flags),
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    message = result.stderr.decode()
    # Old HDF5 crashes when the process ends and it closes what could not be extended; all is said and done by then.
    crash = () if h5py.version.hdf5_version_tuple >= (1, 14, 4) else (-signal.SIGSEGV,)
    assert result.returncode in (2, *crash), message
    assert "cannot be written" in message
    assert message.endswith("; nothing was written\n")
    assert message.count("\n") == 1
    assert names(tmp_path) == {"in.txt"}


@pytest.mark.parametrize("fails_at", range(0, 40, 8))
def test_a_disk_that_is_full_at_any_write_costs_no_more_than_a_window(
    tmp_path: Path, base: Elmo, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    monkeypatch.setattr(embed, "WINDOW", 5)
    text, out = write_text(tmp_path / "in.txt", 40), tmp_path / "out.hdf5"
    job(text, tmp_path / "whole.hdf5", base).run()
    writes = 0
    write = PartFile.write

    def full(self: PartFile, *arguments: Any) -> None:
        nonlocal writes
        writes += 1
        if writes > fails_at:
            raise OutputError("out.hdf5.part cannot be written: No space left on device; check the free space")
        write(self, *arguments)

    run = job(text, out, base)
    with monkeypatch.context() as patch:
        patch.setattr(PartFile, "write", full)
        with pytest.raises(OutputError, match=r"out\.hdf5.* cannot be written: .*No space left.*free space"):
            run.run(checkpoint_seconds=0)
    assert not out.exists()
    assert kept(out) == run.n_kept
    assert Path(f"{out}.part").exists() == (run.n_kept > 0)
    job(text, out, base).run(resume=True)
    assert_same(out, tmp_path / "whole.hdf5")


@pytest.mark.parametrize("output", ["in.txt/out.hdf5", "nowhere/out.hdf5", "nowhere/deeper/out.hdf5"])
def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    text = write_text(tmp_path / "in.txt", 3)
    assert main(["embed", str(text), str(tmp_path / output), "--model", BASE]) == 2
    message = capsys.readouterr().err
    assert f"{tmp_path / output} cannot be written" in message
    assert message.endswith("; nothing was written\n")
    assert message.count("\n") == 1
    assert names(tmp_path) == {"in.txt"}


def test_a_file_that_will_not_fit_is_refused_before_the_work(
    tmp_path: Path, base: Elmo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = tmp_path / "in.txt", tmp_path / "out.hdf5"
    text.write_text(f"{'a ' * 200}\n" * 40)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=200_000))
    words = ["embed", str(text), str(out), "--model", BASE]
    assert main(words) == 2
    message = capsys.readouterr().err
    assert "out.hdf5 needs 1.5 MB more and its disk has 200.0 kB free; fewer layers, --dtype float16" in message
    assert names(tmp_path) == {"in.txt"}
    assert main([*words, "--pooling", "mean", "--layers", "top"]) == 0


@pytest.mark.parametrize(
    "changes",
    [{}, {"layers": "top"}, {"dtype": "float16"}, {"pooling": "max"}, {"sentence_map": False}, {"sentence_keys": True}],
)
def test_the_size_is_known_beforehand(tmp_path: Path, base: Elmo, changes: Any) -> None:
    text, out = write_text(tmp_path / "in.txt", 400), tmp_path / "out.hdf5"
    run = job(text, out, base, **changes)
    sizes: list[tuple[int, int]] = []
    run.run(progress=lambda report: sizes.append((report.n_sentences, run.n_bytes)))
    assert sizes[0] == (0, out.stat().st_size)


def test_a_large_file_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("numpy_elmo.cli.embed.LARGE", 1000)
    text = write_text(tmp_path / "in.txt", 10)
    assert main(["embed", str(text), str(tmp_path / "out.hdf5"), "--model", BASE]) == 0
    assert "10 sentences, 34 tokens: " in (message := capsys.readouterr().err)
    assert "will have " in message


# -- what is there already ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_runs_do_not_write_one_file(tmp_path: Path, smallest: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, out = write_text(tmp_path / "in.txt", 8_000), tmp_path / "out.hdf5"
    with subprocess.Popen(command(text, out, "--model", smallest), stdout=subprocess.DEVNULL) as process:
        wait_until(Path(f"{out}.part").exists, process)
        process.send_signal(signal.SIGSTOP)
        try:
            for flags in ([], ["--resume"], ["--overwrite"]):
                assert main(["embed", str(write_text(tmp_path / "few.txt", 3)), str(out), "--model", BASE, *flags]) == 2
                assert "out.hdf5.part is being written by another process" in capsys.readouterr().err
        finally:
            process.send_signal(signal.SIGCONT)
        process.communicate()
    assert process.returncode == 0
    with load_embeddings(out) as embeddings:
        assert len(embeddings) == 8_000


# -- a million sentences -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_million_sentences_with_a_kill_in_the_middle_are_all_there_once(tmp_path: Path, smallest: str) -> None:
    n_sentences = 1_000_000
    text, out = write_text(tmp_path / "in.txt", n_sentences), tmp_path / "out.hdf5"
    words = command(text, out, "--model", smallest, "--batch-size", "512", "--checkpoint", "5", "--resume")
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        wait_until(lambda: kept(out) > n_sentences // 3, process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    at_the_kill = kept(out)
    assert n_sentences // 3 < at_the_kill < n_sentences
    finished = subprocess.run(words, capture_output=True, check=True)
    assert b": 1000000 sentences, " in finished.stdout

    elmo = load(smallest)
    rng = random.Random(1)
    with h5py.File(out) as file, text.open() as lines:
        assert len(file) == n_sentences + 1
        index = json.loads(file["sentence_to_index"][0])
        for k, line in enumerate(lines):
            assert index[line.strip()] == str(k)
            # All are there; the values of some, and of those around the kill, are looked at.
            if rng.random() < 0.002 or abs(k - at_the_kill) < 600:
                tokens = line.split()
                np.testing.assert_allclose(file[str(k)][()], elmo.embed([tokens])[0], rtol=0, atol=2e-6)
        assert len(index) == n_sentences
