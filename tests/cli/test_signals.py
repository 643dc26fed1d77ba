"""Signals end a command once, with one line."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from numpy_elmo.cli import main
from numpy_elmo.corpus.resume import checkpoint_of
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.corpus.test_embed import command, write_text

BASE = str(FIXTURES / "base")


@pytest.mark.parametrize(
    ("number", "times"),
    [
        pytest.param(number, times, marks=() if (number, times) == (signal.SIGINT, 2) else pytest.mark.slow)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for times in (1, 2, 10)
    ],
)
def test_any_number_of_signals_ends_in_one_line(tmp_path: Path, number: signal.Signals, times: int) -> None:
    text, out = write_text(tmp_path / "in.txt", 30_000), tmp_path / "out.hdf5"
    words = command(text, out, "--model", BASE, "--checkpoint", "0")
    inherited = signal.signal(number, signal.SIG_DFL)  # under nohup the command would ignore SIGHUP
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        signal.signal(number, inherited)
        while process.poll() is None and not checkpoint_of(out).exists():
            time.sleep(0.01)
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.002)
        message = process.communicate()[1].decode()
    assert process.returncode == 128 + number, message
    *progress, last = message.splitlines()
    assert last.startswith(f"numpy-elmo: {number.name}: stopped; ")
    assert last.endswith(" sentences are kept, the same command with --resume continues after them")
    assert all("tokens/s" in line for line in progress), message


@pytest.mark.slow
def test_a_signal_that_the_parent_ignores_stays_ignored(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    text, out = write_text(tmp_path / "in.txt", 6_000), tmp_path / "out.hdf5"
    with subprocess.Popen(
        command(text, out, "--model", BASE),
        stdout=subprocess.DEVNULL,
        preexec_fn=ignore,  # noqa: PLW1509 -- no other threads
    ) as process:
        while process.poll() is None and not Path(f"{out}.part").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGHUP)
    assert process.returncode == 0
    assert out.exists()


def test_the_command_runs_in_any_thread_and_leaves_the_handlers(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    text, found = write_text(tmp_path / "in.txt", 3), []
    words = ["embed", str(text), str(tmp_path / "out.hdf5"), "--model", BASE, "--overwrite"]
    thread = threading.Thread(target=lambda: found.append(main(words)))
    thread.start()
    thread.join()
    assert found == [0]
    assert main(words) == 0
    assert signal.getsignal(signal.SIGINT) is before
