"""Models in tar archives: unpacked somewhere else, deleted afterwards, and nothing outside that place is touched."""

from __future__ import annotations

import errno
import gc
import gzip
import io
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from numpy_elmo import Elmo, LanguageModel, load
from numpy_elmo.errors import ModelNotFoundError, OutputError, WeightsError
from numpy_elmo.files import tar
from numpy_elmo.interfaces import hub
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.faults.limits import needs_limits, outcome_with_memory

CHECKPOINTS, SOURCE = FIXTURES / "checkpoints", FIXTURES / "language_model"
SENTENCES = [["Where", "have", "you"], ["Yes"]]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def pack(folder: Path, path: Path, mode: str = "w:gz", prefix: str = ".") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, prefix)
    return path


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return pack(CHECKPOINTS / "hub", tmp_path_factory.mktemp("packed") / "m.tar.gz").read_bytes()


def same_vectors(found: Elmo, expected: Elmo) -> None:
    for a, b in zip(found.embed(SENTENCES), expected.embed(SENTENCES), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("mode", "prefix"), [("w:gz", "."), ("w:gz", "elmo/3"), ("w", ".")])
def test_the_module_of_tf_hub_is_read_as_it_is_published(
    tmp_path: Path, temporary: Path, mode: str, prefix: str
) -> None:
    path = pack(CHECKPOINTS / "hub", tmp_path / "elmo_3.tar.gz", mode, prefix)
    same_vectors(load(path), load(SOURCE))
    module = hub.Module(path)
    assert (module.aggregation_weights.tolist(), module.aggregation_scaling) == ([0.25, -0.5, 1.0], 1.5)
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_files_stay_while_they_are_read(tmp_path: Path, temporary: Path) -> None:
    path = pack(CHECKPOINTS / "training", tmp_path / "model.tar.gz")
    model = LanguageModel.load(path, in_memory=False)
    expected = LanguageModel.load(SOURCE)
    for a, b in zip(model.log_probs(SENTENCES), expected.log_probs(SENTENCES), strict=True):
        np.testing.assert_array_equal(a.forward, b.forward)
    assert len(list(temporary.iterdir())) == 1
    del model
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_what_the_archive_holds_is_named(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "bert_config.json").write_bytes(b"{}")
    with pytest.raises(ModelNotFoundError, match=r"bert\.tar\.gz holds no weight file.*BERT"):
        load(pack(tmp_path / "bert", tmp_path / "bert.tar.gz"))
    folder = Path(shutil.copytree(SOURCE, tmp_path / "model"))
    (folder / "weights.hdf5").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"model\.tar\.gz!weights\.hdf5 is empty"):
        load(pack(folder, tmp_path / "model.tar.gz"))


def test_an_archive_needs_room(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(CHECKPOINTS / "hub", tmp_path / "elmo.tar.gz")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=tar.SPARE_BYTES + 1000))
    with pytest.raises(OutputError, match=r"room for 1,000 in .*temporary; set the environment variable TMPDIR"):
        load(path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OutputError, match=r"No space left on device\); set the environment variable TMPDIR"):
        load(path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(OutputError, match=r"temporary folder cannot be written.*nowhere"):
        load(path)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_download_knows_a_whole_archive(tmp_path: Path, mode: str) -> None:
    path = pack(CHECKPOINTS / "hub", tmp_path / "elmo.tar", mode)
    assert tar.is_whole(path)
    path.write_bytes(path.read_bytes()[:200])
    assert not tar.is_whole(path)


# -- hostile archives ------------------------------------------------------------------------------------------------


def members(*made: tuple[str, bytes | None, bytes]) -> bytes:
    """An archive of members: a name, its content or None, and its type."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content, kind in made:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content or b""), "../../etc/passwd"
            archive.addfile(info, None if content is None else io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name", ["../outside", "a/../../outside", "/outside", "C:\\outside", "..\\outside", "a/..", "\\\\server\\outside"]
)
def test_members_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "m.tar.gz").write_bytes(members((name, b"x", tarfile.REGTYPE)))
    with pytest.raises(WeightsError, match="a link or points out of it"):
        load(tmp_path / "m.tar.gz")
    assert not list(tmp_path.rglob("*outside*"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE]
)
def test_members_that_are_no_files_are_refused(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "m.tar.gz").write_bytes(members(("weights.hdf5", None, kind)))
    if kind == tarfile.CONTTYPE:  # an old kind of regular file
        with pytest.raises(ModelNotFoundError, match="holds no options file"):
            load(tmp_path / "m.tar.gz")
        return
    with pytest.raises(WeightsError, match="a link or points out of it"):
        load(tmp_path / "m.tar.gz")


def header(size: bytes) -> bytes:
    info = bytearray(tarfile.TarInfo("weights.hdf5").tobuf(tarfile.USTAR_FORMAT))
    info[124:136] = size
    info[148:156] = b" " * 8
    info[148:156] = b"%06o\0 " % sum(info)
    return bytes(info)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-8] + bytes(8),  # the checksum at the end
        lambda whole: gzip.compress(b"hello"),
        lambda whole: gzip.compress(bytes(4096) + b"x" * 4096),
        lambda whole: gzip.compress(header(b"77777777777\0")),
        lambda whole: gzip.compress(header(b"\xff" * 12) + bytes(1024)),  # a negative size
        lambda whole: gzip.compress(header(b"00000000010\0")),
        lambda whole: members(*[("a", b"x", tarfile.REGTYPE)] * 2),
        lambda whole: members(("a", b"x", tarfile.REGTYPE), ("a/b", b"x", tarfile.REGTYPE)),
        lambda whole: members(("a" * 300, b"x", tarfile.REGTYPE)),
    ],
)
def test_damaged_archives_are_refused(
    tmp_path: Path, temporary: Path, packed: bytes, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "m.tar.gz"
    path.write_bytes(damage(packed))
    with pytest.raises((WeightsError, OutputError, ModelNotFoundError)):
        load(path)
    gc.collect()
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@needs_limits
def test_an_archive_cannot_unpack_to_more_than_a_model(tmp_path: Path) -> None:
    """A gigabyte of zeros in a megabyte, as a file, as a name, and as the values of a header."""
    kinds = (tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE)
    for kind, size in [(kind, 1 << 30) for kind in kinds] + [(tarfile.REGTYPE, 10**12)]:
        info = tarfile.TarInfo("weights.hdf5")
        info.type, info.size = kind, size
        packed = gzip.compress(info.tobuf(tarfile.GNU_FORMAT)) + gzip.compress(bytes(1 << 24)) * 64
        (tmp_path / "m.tar.gz").write_bytes(packed)
        found = outcome_with_memory(f"load({str(tmp_path / 'm.tar.gz')!r})", 256 << 20)
        assert found.startswith("WeightsError"), found
        assert "unpacks to more than 16 times its size" in found
