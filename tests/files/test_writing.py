"""A file that is written appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from numpy_elmo.errors import InputError, OutputError
from numpy_elmo.files.writing import new_file, output_errors


def test_a_file_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with new_file(target) as partial:
        partial.write_text("whole", encoding="utf-8")
        assert not target.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert target.read_text(encoding="utf-8") == "whole"


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old", encoding="utf-8")

    def write_half() -> None:
        with new_file(target, overwrite=True) as partial:
            partial.write_text("half", encoding="utf-8")
            raise InputError("the input ends in the middle")

    with pytest.raises(InputError):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert target.read_text(encoding="utf-8") == "old"


def test_two_writers_of_one_file_do_not_share_a_partial_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_file(out, overwrite=True) as first, new_file(out, overwrite=True) as second:
        assert first != second
        first.write_text("first", encoding="utf-8")
        second.write_text("second", encoding="utf-8")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "first"  # the one that ended last


def test_a_file_that_is_there_stays_unless_it_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(OutputError, match=r"exists already.*overwrite=True"), new_file(target):
        pass
    with new_file(target, overwrite=True) as partial:
        partial.write_text("new", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "new"


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"), new_file(tmp_path):
        pass
    (tmp_path / "file").write_text("", encoding="utf-8")
    for target in (tmp_path / "nowhere" / "out", tmp_path / "file" / "out"):
        message = rf"{target.parent.name}.out cannot be written.*check the folder"
        with (
            pytest.raises(OutputError, match=message),
            new_file(target) as partial,
            output_errors(target),
        ):
            partial.write_text("", encoding="utf-8")


def test_a_signal_right_after_a_file_was_created_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = os.open

    def interrupted(path: Any, flags: int, *mode: int) -> int:
        descriptor = create(path, flags, *mode)
        if not flags & os.O_EXCL:
            return descriptor
        os.close(descriptor)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt), new_file(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []
