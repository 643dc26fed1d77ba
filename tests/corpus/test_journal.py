"""The file that goes back to its last checkpoint, whatever happens: at every step of writing and of the checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo.corpus import journal
from numpy_elmo.corpus.journal import JournaledFile, checkpoint_of, read_record
from numpy_elmo.errors import OutputError

# A write of some bytes at a place, a checkpoint, a cut to a size.
operation = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 60), st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("commit"), st.just(0), st.just(b"")),
    st.tuples(st.just("truncate"), st.integers(0, 60), st.just(b"")),
)


class Killed(BaseException):
    """Stands for the end of the process: nothing is cleaned up."""


def apply(file: JournaledFile, model: bytearray, what: str, place: int, data: bytes) -> None:
    if what == "write":
        file.seek(place)
        assert file.write(data) == len(data)
        model.extend(bytes(max(0, place + len(data) - len(model))))
        model[place : place + len(data)] = data
    elif what == "truncate" and place <= len(model):
        file.truncate(place)
        del model[place:]


def content(file: JournaledFile) -> bytes:
    size = file.seek(0, os.SEEK_END)
    assert file.tell() == size
    file.seek(0)
    return file.read(size)


def kill(file: JournaledFile) -> None:
    file._file.close()


@settings(deadline=None, max_examples=300)
@given(operations=st.lists(operation, max_size=25), dies_at=st.integers(0, 60))
def test_after_a_death_at_any_step_the_last_checkpoint_is_there(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int, bytes]], dies_at: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "file"
    model = bytearray()
    checkpoints: list[bytes] = [b""]
    steps = 0

    def step(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps > dies_at:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "PAGE", 8)
        to_disk, replace = JournaledFile._to_disk, Path.replace

        def half_written(self: JournaledFile, start: int, data: memoryview) -> None:
            to_disk(self, start, memoryview(data)[: len(data) // 2])
            step()
            to_disk(self, start, data)

        def renamed(self: Path, target: Path) -> Path:
            step()
            result: Path = replace(self, target)
            checkpoints.append(bytes(model))
            step()
            return result

        file = JournaledFile(path, resume=False)
        patch.setattr(JournaledFile, "_to_disk", half_written)
        patch.setattr(Path, "replace", renamed)
        patch.setattr(os, "fsync", step)
        try:
            for what, place, data in operations:
                if what == "commit":
                    file.commit({"n": len(checkpoints)}, [np.arange(len(model))])
                else:
                    apply(file, model, what, place, data)
                    file.check()
                assert content(file) == model
        except Killed:
            pass
        patch.setattr(JournaledFile, "_to_disk", to_disk)
        kill(file)
        if len(checkpoints) == 1:
            assert not checkpoint_of(path).exists()
            return
        for _ in range(2):  # going back is itself safe to repeat
            again = JournaledFile(path, resume=True)
            assert content(again) == checkpoints[-1]
            assert path.read_bytes() == checkpoints[-1]
            assert again.record == {"n": len(checkpoints) - 1}
            assert [array.tolist() for array in again.arrays] == [list(range(len(checkpoints[-1])))]
            kill(again)


def test_hdf5_goes_on_after_every_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for n in range(40):
        raw = JournaledFile(path, resume=n > 0)
        with h5py.File(raw, "r+" if n else "w") as file:
            assert set(file) == {str(k) for k in range(10 * n)}
            for k in range(10 * n, 10 * n + 10):
                file[str(k)] = np.full((k % 7, 3), k, np.float32)
            file.flush()
            raw.commit({})
            # This is lost, and so is what closing writes.
            file["more"] = np.ones(5000)
            raw.abandon()
        raw.close()
    JournaledFile(path, resume=True).close()
    with h5py.File(path) as file:
        for k in range(400):
            np.testing.assert_array_equal(file[str(k)][()], np.full((k % 7, 3), k, np.float32))
        assert "more" not in file


def test_a_failed_checkpoint_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    file = JournaledFile(path, resume=False)
    file.write(b"one")
    file.commit({"n": 1})
    file.write(b"two")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(OSError, match="No space left"):
            file.commit({"n": 2})
    file.abandon()
    assert file.write(b"lost") == 4
    file.close()
    file.close()
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "file.checkpoint"}
    assert path.read_bytes() == b"one"
    assert read_record(path) == {"n": 1}


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = JournaledFile(path, resume=False)
    file.write(b"one" * 1000)
    file.commit({"n": 1})
    file.close()
    whole = checkpoint_of(path).read_bytes()
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2], whole.replace(b"record", b"recurd")):
        checkpoint_of(path).write_bytes(damaged)
        with pytest.raises(OutputError, match=r"file\.checkpoint is damaged.*--overwrite"):
            read_record(path)


def test_two_writers_do_not_share_a_file(tmp_path: Path) -> None:
    first = JournaledFile(tmp_path / "file", resume=False)
    first.write(b"mine")
    with pytest.raises(OutputError, match="being written by another process"):
        JournaledFile(tmp_path / "file", resume=False)
    first.commit({})
    first.close()
    assert (tmp_path / "file").read_bytes() == b"mine"
    JournaledFile(tmp_path / "file", resume=True).close()
