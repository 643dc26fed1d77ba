"""A file system that forgets: what a run wrote, as it would be found after a crash at any moment."""

from __future__ import annotations

import io
import os
import random
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import pytest


class Step(NamedTuple):
    """A change of the disk, or a promise that earlier ones are on it."""

    kind: str  # create, write, truncate, link, replace, unlink; sync, sync_folder
    file: int = 0
    name: str = ""
    other: str = ""
    start: int = 0
    data: bytes = b""


class Trace:
    """The steps of a run in one folder."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._files: dict[int, int] = {}  # from the system's number, which may be used again, to our own

    def add(self, kind: str, **fields: Any) -> None:
        self.steps.append(Step(kind, **fields))

    def number(self, descriptor: int, *, is_new: bool = False) -> int:
        inode = os.fstat(descriptor).st_ino
        if is_new:
            self._files[inode] = len(self.steps)
        return self._files[inode]

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what numpy_elmo does to files, HDF5's writes included."""
        trace = self
        real_open, real_link = os.open, os.link
        real_hdf5, path_open, path_replace, path_unlink = h5py.File, Path.open, Path.replace, Path.unlink

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                trace.add("write", file=trace.number(self.fileno()), start=self.tell(), data=bytes(data))
                return super().write(data)

            def truncate(self, size: int | None = None) -> int:
                size = self.tell() if size is None else size
                trace.add("truncate", file=trace.number(self.fileno()), start=size)
                return super().truncate(size)

        def opens(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
            descriptor = real_open(path, flags, mode, **more)
            if flags & os.O_EXCL and os.fspath(path).endswith(".part"):
                trace.add("create", file=trace.number(descriptor, is_new=True), name=Path(path).name)
            return descriptor

        def hdf5(path: Any, mode: str = "r", **more: Any) -> Any:
            if mode != "w":
                return real_hdf5(path, mode, **more)
            return real_hdf5(stack_of_files(File(path, "r+")), "w")

        def stack_of_files(file: File) -> File:
            opened.append(file)
            return file

        def opens_path(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
            if mode != "wb":
                return path_open(path, mode, *rest, **more)
            file = File(path, "r+")
            file.truncate(0)
            return io.BufferedWriter(file)

        def syncs(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                trace.add("sync_folder")
            else:
                trace.add("sync", file=trace.number(descriptor))

        def links(source: Path, target: Path) -> None:
            real_link(source, target)
            trace.add("link", name=source.name, other=target.name)

        def replaces(path: Path, target: Path) -> Path:
            trace.add("replace", name=path.name, other=target.name)
            return path_replace(path, target)

        def unlinks(path: Path, missing_ok: bool = False) -> None:
            path_unlink(path, missing_ok)
            trace.add("unlink", name=path.name)

        opened: list[File] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", opens)
            patch.setattr(os, "fdopen", lambda descriptor, *_, **__: File(descriptor, "r+"))
            patch.setattr(os, "fsync", syncs)
            patch.setattr(os, "link", links)
            patch.setattr(h5py, "File", hdf5)
            patch.setattr(Path, "open", opens_path)
            patch.setattr(Path, "replace", replaces)
            patch.setattr(Path, "unlink", unlinks)
            yield
        for file in opened:
            file.close()

    def lost(self, end: int) -> list[int]:
        """Return the steps before `end` that no later promise covers: a power cut may take each of them."""
        synced: set[int] = set()
        folder = False
        found = []
        for k in range(end - 1, -1, -1):
            step = self.steps[k]
            if step.kind == "sync":
                synced.add(step.file)
            elif step.kind == "sync_folder":
                folder = True
            elif not (step.file in synced if step.kind in ("write", "truncate") else folder):
                found.append(k)
        return found[::-1]

    def disk(self, end: int, dropped: frozenset[int] = frozenset()) -> dict[str, tuple[int, bytes]]:
        """Return the files of the folder, by number and content, after the steps before `end` but some."""
        names: dict[str, int] = {}
        files: dict[int, bytearray] = {}
        for k, step in enumerate(self.steps[:end]):
            if step.kind == "create":
                files[step.file] = bytearray()  # what is written to it may come through links
            if k in dropped:
                continue
            if step.kind == "create":
                names[step.name] = step.file
            elif step.kind == "write":
                data = files[step.file]
                data.extend(bytes(max(0, step.start + len(step.data) - len(data))))
                data[step.start : step.start + len(step.data)] = step.data
            elif step.kind == "truncate":
                data = files[step.file]
                del data[step.start :]
                data.extend(bytes(step.start - len(data)))
            elif step.kind == "unlink":
                names.pop(step.name, None)
            elif step.kind in ("link", "replace") and step.name in names:
                names[step.other] = names[step.name]
                if step.kind == "replace":
                    del names[step.name]
        return {name: (number, bytes(files[number])) for name, number in names.items()}

    def crashes(self, seed: int, n_random: int) -> Iterator[tuple[int, frozenset[int]]]:
        """Yield moments, and what is lost: nothing, one step that was not synced, or some of them at random."""
        for end in range(len(self.steps) + 1):
            yield end, frozenset()
            for k in self.lost(end):
                yield end, frozenset([k])
        chance = random.Random(seed)
        for _ in range(n_random):
            end = chance.randrange(len(self.steps) + 1)
            share = chance.random()
            yield end, frozenset(k for k in self.lost(end) if chance.random() < share)


def restore(disk: dict[str, tuple[int, bytes]], folder: Path) -> None:
    """Write the files of a disk into a folder; two names of one file are two names again."""
    first: dict[int, Path] = {}
    for name, (number, data) in disk.items():
        if number in first:
            os.link(first[number], folder / name)
        else:
            first[number] = folder / name
            first[number].write_bytes(data)
