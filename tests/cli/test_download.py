"""The command download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from numpy_elmo import download
from numpy_elmo.cli import main
from numpy_elmo.files.published import PublishedModel
from tests.files.server import WEIGHTS, Server, good, status


def test_the_command_prints_where_the_model_is(
    publish: Callable[..., PublishedModel], cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(good(WEIGHTS))
    assert main(["download", "made"]) == 0
    assert main(["download", "made", "--dest", str(tmp_path / "here")]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [str(cache / "made"), str(tmp_path / "here")]
    assert err == "", "no progress bar where nobody watches"


def test_the_command_lists_what_there_is(
    publish: Callable[..., PublishedModel], capsys: pytest.CaptureFixture[str]
) -> None:
    publish(good(WEIGHTS))
    assert main(["download", "--list"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["made", "-"]
    download("made")
    assert main(["download", "--list"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["made", "here"]


def test_the_command_fails_with_status_2(
    publish: Callable[..., PublishedModel], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(status(404))
    assert main(["download", "made", "--mirror", f"{server.base}/mirror"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("numpy-elmo: error: weights.hdf5 could not be fetched")
    assert f"{server.base}/mirror/made/weights.hdf5" in err
