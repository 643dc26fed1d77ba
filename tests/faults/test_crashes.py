"""A run that crashes at any moment, and loses whatever was not yet on the disk, is resumed to the same bytes."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import pytest

from numpy_elmo import CorpusReport, Elmo
from numpy_elmo.corpus import embed
from numpy_elmo.corpus.embed import EmbedOptions, FileEmbedding
from numpy_elmo.corpus.inputs import CorpusInputs
from tests.conftest import write_model
from tests.corpus.test_embed import SMALLEST, job, write_text
from tests.faults.crashes import Trace, restore

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "pooled": {"pooling": "mean"},
    "sentence keys": {"sentence_keys": True, "layers": "top", "dtype": "float16"},
    "carried state": {"state": "carry", "batch_size": 4},
}


class Stopped(BaseException):
    """What ends the first run."""


def traced(folder: Path, elmo: Elmo, changes: dict[str, Any]) -> Trace:
    """Record a run that is stopped after its second window, and the one that resumes it."""
    text, out = write_text(folder / "in.txt", 12), folder / "out.hdf5"

    def stop(report: CorpusReport) -> None:
        if report.n_sentences >= 8:
            raise Stopped

    trace = Trace()
    with trace.recording():
        with pytest.raises(Stopped):
            job(text, out, elmo, **changes).run(checkpoint_seconds=0, progress=stop)
        job(text, out, elmo, **changes).run(checkpoint_seconds=0, resume=True)
    return trace


def write_through_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have HDF5 write as in the trace, through Python: its own driver puts datasets in other places."""
    real = h5py.File

    def opens(path: Any, mode: str = "r", **more: Any) -> Any:
        return real(io.FileIO(path, "r+"), "w") if mode == "w" else real(path, mode, **more)

    monkeypatch.setattr(h5py, "File", opens)


@pytest.mark.parametrize(
    ("n_random", "share"), [pytest.param(1000, 1.0, marks=pytest.mark.slow), (50, 0.1)], ids=["all", "some"]
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # `opens`
def test_after_a_crash_anywhere_resuming_ends_in_the_same_file(
    tmp_path: Path,
    base: Elmo,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Any,
    way: str,
    n_random: int,
    share: float,
) -> None:
    monkeypatch.setattr(embed, "WINDOW", 4)
    monkeypatch.setattr(FileEmbedding, "_check_space", lambda *_: None)  # asks for a name, which a traced file has not
    (tmp_path / "traced").mkdir()
    trace = traced(tmp_path / "traced", base, WAYS[way])
    write_through_python(monkeypatch)
    text = (tmp_path / "traced" / "in.txt").read_bytes()
    job(tmp_path / "traced" / "in.txt", tmp_path / "whole.hdf5", base, **WAYS[way]).run()
    whole = (tmp_path / "whole.hdf5").read_bytes()
    last = {name: data for name, (_, data) in trace.disk(len(trace.steps)).items()}
    assert last == {"out.hdf5": whole}  # the model of the disk is right about no crash
    assert {step.kind for step in trace.steps} >= {"create", "write", "link", "replace", "unlink", "sync"}

    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of runs
    chance = random.Random(way)
    seen: set[frozenset[tuple[str, tuple[int, bytes]]]] = set()
    n_crashes = 0
    for number, (end, dropped) in enumerate(trace.crashes(1, n_random)):
        n_crashes += 1
        disk = trace.disk(end, dropped)
        state = frozenset(disk.items())
        if state in seen or chance.random() > share:
            continue
        seen.add(state)
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "in.txt").write_bytes(text)
        restore(disk, folder)
        FileEmbedding(
            CorpusInputs((str(folder / "in.txt"),)), folder / "out.hdf5", base, EmbedOptions(**WAYS[way])
        ).run(resume=True)
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert left == {"in.txt": text, "out.hdf5": whole}, (end, dropped, trace.steps[end - 1], list(left))
        for name in left:
            (folder / name).unlink()
        folder.rmdir()
    record_property("crashes", n_crashes)
    print(f"{way}: {len(trace.steps)} steps, {n_crashes} crashes, {len(seen)} different disks tried")  # noqa: T201


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path) -> None:
    smallest = str(write_model(tmp_path / "smallest", SMALLEST))
    text = write_text(tmp_path / "in.txt", 3000)
    command = [sys.executable, "-m", "numpy_elmo", "embed", str(text)]
    chance = random.Random(0)
    n_kills = n_finished = 0
    while n_kills < 200:
        way = chance.choice(
            [[], ["--pooling", "mean"], ["--use-sentence-keys"], ["--state", "carry", "--batch-size", "50"]]
        )
        whole = tmp_path / f"{'-'.join(way).strip('-') or 'plain'}.hdf5"
        if not whole.exists():
            subprocess.run([*command, str(whole), "--model", smallest, *way], check=True, capture_output=True)
        out = tmp_path / "out.hdf5"
        words = [*command, str(out), "--model", smallest, *way, "--checkpoint", "0", "--resume"]
        while not out.exists():
            with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                deadline = time.monotonic() + chance.uniform(0.1, 1.2)
                while process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.005)
                process.kill()
                message = process.communicate()[1]
            assert process.returncode in (0, -signal.SIGKILL), message.decode()
            n_kills += process.returncode != 0
        # A kill between the rename and the end leaves the checkpoint, which the next run deletes.
        subprocess.run(words, check=True, capture_output=True)
        assert out.read_bytes() == whole.read_bytes()
        out.unlink()
        n_finished += 1
        left = {path.name for path in tmp_path.iterdir()}
        assert not [name for name in left if "part" in name], left
    print(f"{n_kills} kills, {n_finished} files finished, each the same as that of an uninterrupted run")  # noqa: T201
