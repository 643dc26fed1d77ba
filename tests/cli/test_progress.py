"""What a run shows of its progress."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from types import SimpleNamespace

import pytest

from numpy_elmo import CorpusReport
from numpy_elmo.cli import progress
from tests.agreement.tensorflow_outputs import FIXTURES

BASE = str(FIXTURES / "base")


def test_lines_of_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([100.0, 100.0, 104.0, 105.0, 109.0, 110.0])
    monkeypatch.setattr("numpy_elmo.cli.progress.time", SimpleNamespace(monotonic=lambda: next(times)))
    total = CorpusReport(300, 3000)
    with progress.progress() as show:
        show(CorpusReport(100, 1000), total)  # what a run before had done says nothing of the speed
        for n_sentences in (110, 120, 130, 140):
            show(CorpusReport(n_sentences, 10 * n_sentences), total)
    assert capsys.readouterr().err.splitlines() == [
        "120 sentences, 1,200 tokens (40.0%), 40 tokens/s, 0:45 left",
        "140 sentences, 1,400 tokens (46.7%), 40 tokens/s, 0:40 left",
    ]


def on_a_terminal(*flags: str, folder: Path, code: str = "import sys") -> str:
    """Return what the command shows on a terminal."""
    (folder / "in.txt").write_text("a b c\n" * 3000)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    run = f"{code}; from numpy_elmo.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", run, "embed", "in.txt", "out.hdf5", "--model", BASE, *flags]
    with subprocess.Popen(words, cwd=folder, stderr=theirs, stdout=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            while True:
                try:
                    part = terminal.read(4096)
                except OSError:  # how Linux says that the other end is closed
                    break
                if not part:
                    break
                shown += part
    assert process.returncode == 0, shown
    return shown.decode()


def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    shown = on_a_terminal(folder=tmp_path)
    assert "100%" in shown
    assert "9.00k/9.00k" in shown


@pytest.mark.parametrize(
    ("flags", "code"), [(["--file-friendly-logging"], "import sys"), ([], "import sys; sys.modules['tqdm'] = None")]
)
def test_a_terminal_gets_no_bar_on_request_or_without_tqdm(tmp_path: Path, flags: list[str], code: str) -> None:
    shown = on_a_terminal(*flags, folder=tmp_path, code=code)
    assert "|" not in shown
    assert all("tokens/s" in line for line in shown.splitlines()), "a slow machine shows lines"
