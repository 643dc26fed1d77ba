"""What an attacker found in long runs and in writing files: each finding is provoked here."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import CorpusReport, Elmo
from numpy_elmo.analysis.neighbors import build_index
from numpy_elmo.cli import main
from numpy_elmo.corpus import (
    VectorFile,
    WordVectors,
    embed,
    load_embeddings,
    read_word2vec,
    resume,
    write_npz,
    write_word2vec,
)
from numpy_elmo.corpus.resume import PartFile, TextDigest, checkpoint_of
from numpy_elmo.errors import InputError, OutputError
from numpy_elmo.files import writing
from numpy_elmo.files.writing import new_file, new_hdf5
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.corpus.test_embed import Stopped, job, names, write_text
from tests.faults.limits import outcome

BASE = str(FIXTURES / "base")


@pytest.fixture
def whole(tmp_path: Path, base: Elmo, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The file of an uninterrupted run of 12 sentences in windows of 4."""
    monkeypatch.setattr(embed, "WINDOW", 4)
    job(write_text(tmp_path / "in.txt", 12), tmp_path / "whole.hdf5", base).run()
    data = (tmp_path / "whole.hdf5").read_bytes()
    (tmp_path / "whole.hdf5").unlink()
    return data


def leave_unfinished(folder: Path, elmo: Elmo, **changes: Any) -> Path:
    """Stop a run after 8 of 12 sentences; return the name of its output."""

    def stop(report: CorpusReport) -> None:
        if report.n_sentences == 8:
            raise Stopped

    with pytest.raises(Stopped):
        job(folder / "in.txt", folder / "out.hdf5", elmo, **changes).run(progress=stop)
    return folder / "out.hdf5"


# -- other writers (finding 1) -----------------------------------------------------------------------------------------


def test_a_vector_file_does_not_touch_an_unfinished_run_of_the_same_name(
    tmp_path: Path, base: Elmo, whole: bytes
) -> None:
    out = leave_unfinished(tmp_path, base)
    before = Path(f"{out}.part").read_bytes()

    def fail() -> None:
        with VectorFile(out) as file:
            file.write(["a"], np.zeros((3, 1, 16), np.float32))
            raise Stopped

    with pytest.raises(Stopped):
        fail()
    with VectorFile(out) as file:
        file.write(["a"], np.zeros((3, 1, 16), np.float32))
    assert Path(f"{out}.part").read_bytes() == before
    out.unlink()
    assert job(tmp_path / "in.txt", out, base).run(resume=True).n_sentences == 12
    assert out.read_bytes() == whole


def test_a_vector_file_beside_a_live_run_and_the_run_leave_each_other_alone(
    tmp_path: Path, base: Elmo, whole: bytes
) -> None:
    out, kept = tmp_path / "out.hdf5", tmp_path / "kept.hdf5"
    vectors = np.zeros((3, 1, 16), np.float32)

    def write_within(report: CorpusReport) -> None:
        if report.n_sentences == 4:
            with VectorFile(out) as file:
                file.write(["a"], vectors)

    with pytest.raises(OutputError, match=r"out\.hdf5 appeared meanwhile|out\.hdf5 exists already"):
        job(tmp_path / "in.txt", out, base).run(progress=write_within)
    with load_embeddings(out) as embeddings:
        np.testing.assert_array_equal(embeddings["a"], vectors)
    out.rename(kept)
    assert job(tmp_path / "in.txt", out, base).run(resume=True).n_sentences == 12
    assert out.read_bytes() == whole
    out.unlink()
    file = VectorFile(out)
    file.write(["a"], vectors)
    job(tmp_path / "in.txt", out, base).run()
    with pytest.raises(OutputError, match=r"out\.hdf5 appeared meanwhile"):
        file.__exit__(None, None, None)
    assert out.read_bytes() == whole
    assert names(tmp_path) == {"in.txt", "kept.hdf5", "out.hdf5"}


# -- what is resumed (findings 5, 6, 17, 19) ---------------------------------------------------------------------------


def test_a_finished_file_of_another_text_is_not_taken_for_this_one(
    tmp_path: Path, base: Elmo, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("quite another text\n")
    words = [str(tmp_path / "out.hdf5"), "--model", BASE, "--resume"]
    assert main(["embed", str(write_text(tmp_path / "in.txt", 3)), *words]) == 0
    assert main(["embed", str(other), *words]) == 2
    assert "out.hdf5 was made with another text" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.7, 0.999])
@pytest.mark.parametrize("pooling", ["none", "mean"])
def test_an_unfinished_file_that_was_cut_is_refused(
    tmp_path: Path, base: Elmo, whole: bytes, share: float, pooling: Any
) -> None:
    out = leave_unfinished(tmp_path, base, pooling=pooling)
    part = Path(f"{out}.part")
    os.truncate(part, int(part.stat().st_size * share))
    with pytest.raises(OutputError, match=r"out\.hdf5\.part is not an unfinished run, or is damaged; rename or remove"):
        job(tmp_path / "in.txt", out, base, pooling=pooling).run(resume=True)
    part.unlink()  # the remedy
    job(tmp_path / "in.txt", out, base).run(resume=True)
    assert out.read_bytes() == whole


@pytest.mark.parametrize("name", ["out.hdf5", "out.hdf5.part"])
def test_the_tables_of_what_is_there_are_checked_before_hdf5_follows_them(
    tmp_path: Path, base: Elmo, whole: bytes, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data = bytearray((FIXTURES / "one_layer" / "weights.hdf5").read_bytes())
    for place, mask in ((64304, 33), (48249, 233), (11620, 238)):  # HDF5 takes 23.8 GB in this circle
        data[place] ^= mask
    (tmp_path / name).write_bytes(data)
    run = job(tmp_path / "in.txt", tmp_path / "out.hdf5", base)

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("HDF5 opened it")

    monkeypatch.setattr(h5py, "File", opened)
    with pytest.raises(OutputError, match=r"exists already|not an unfinished run, or is damaged"):
        run.run(resume=True)
    assert (tmp_path / name).read_bytes() == bytes(data)


def test_a_damaged_checkpoint_is_named_and_its_remedy_works(tmp_path: Path, base: Elmo, whole: bytes) -> None:
    out = leave_unfinished(tmp_path, base)
    good = checkpoint_of(out).read_bytes()
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w") as archive, archive.open("n_done.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<i8", "fortran_order": False, "shape": (10**12,)})
    for bad in (b"", good[:100], good[:-30], b"text", bytes(len(good)), huge.getvalue()):
        checkpoint_of(out).write_bytes(bad)
        with pytest.raises(OutputError, match="is no checkpoint, or a damaged one"):
            job(tmp_path / "in.txt", out, base).run(resume=True)
    checkpoint_of(out).unlink()
    job(tmp_path / "in.txt", out, base).run(resume=True)
    assert out.read_bytes() == whole


def test_a_file_that_is_deleted_during_the_run_is_not_said_to_be_kept(tmp_path: Path, base: Elmo, whole: bytes) -> None:
    def delete(report: CorpusReport) -> None:
        if report.n_sentences == 8:
            (tmp_path / "out.hdf5.part").unlink()

    run = job(tmp_path / "in.txt", tmp_path / "out.hdf5", base)
    with pytest.raises(OutputError, match="was moved or deleted during the run"):
        run.run(progress=delete, checkpoint_seconds=0)
    assert run.n_kept == 0
    assert not (tmp_path / "out.hdf5").exists()


def test_texts_that_differ_have_digests_that_differ() -> None:
    texts = [[["a\0b"]], [["a", "b"]], [["ab"]], [["a"], ["b"]], [["a", "b"], []], [[], ["a", "b"]], [["a,1", "b"]]]
    digests = set()
    for sentences in texts:
        digest = TextDigest()
        for sentence in sentences:
            digest.add(sentence)
        digests.add(str(digest))
    assert len(digests) == len(texts)


# -- what is not to be overwritten (finding 7) -------------------------------------------------------------------------


def test_a_foreign_part_file_is_refused(tmp_path: Path, base: Elmo, whole: bytes) -> None:
    foreign = tmp_path / "out.hdf5.part"
    for data in (b"", b"precious"):
        foreign.write_bytes(data)
        every: list[dict[str, Any]] = [{}, {"resume": True}, {"overwrite": True}]
        for flags in every:
            with pytest.raises(OutputError, match=r"out\.hdf5\.part is not an unfinished run"):
                job(tmp_path / "in.txt", tmp_path / "out.hdf5", base).run(**flags)
        assert foreign.read_bytes() == data


@pytest.mark.parametrize("flags", [[], ["--overwrite"], ["--resume"]])
def test_an_output_that_is_an_input_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    text = write_text(tmp_path / "c.txt", 3)
    os.link(text, tmp_path / "same.txt")
    part = write_text(tmp_path / "d.txt.part", 3)
    before = text.read_bytes(), part.read_bytes()
    for source, output in (("c.txt", "c.txt"), ("c.txt", "same.txt"), ("d.txt.part", "d.txt")):
        assert main(["embed", str(tmp_path / source), str(tmp_path / output), "--model", BASE, *flags]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert (text.read_bytes(), part.read_bytes()) == before
    assert names(tmp_path) == {"c.txt", "same.txt", "d.txt.part"}


@pytest.mark.parametrize("command", ["embed", "seqvec", "explore"])
def test_an_output_that_is_a_file_of_the_model_is_refused(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    weights = model_folder / "weights.hdf5"
    before = weights.read_bytes()
    (tmp_path / "in.txt").write_text(">a\nAB\n")
    options = {
        "embed": [str(tmp_path / "in.txt"), str(weights)],
        "seqvec": ["--input", str(tmp_path / "in.txt"), "--output", str(weights)],
        "explore": ["--html", str(weights)],
    }
    assert main([command, *options[command], "--model", str(model_folder), "--overwrite"]) == 2
    assert f"{weights} is also an input; give the output another name" in capsys.readouterr().err
    assert weights.read_bytes() == before


def test_vectors_beside_the_model_may_be_replaced(tmp_path: Path, model_folder: Path) -> None:
    (tmp_path / "in.txt").write_text("a b\n")
    (model_folder / "weights.hdf5").rename(model_folder / "model.hdf5")
    words = ["embed", str(tmp_path / "in.txt"), str(model_folder / "vectors.hdf5"), "--model", str(model_folder)]
    for _ in range(2):
        assert main([*words, "--overwrite"]) == 0


@pytest.mark.parametrize("command", ["explore", "plot"])
def test_a_page_and_a_picture_do_not_replace_their_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    text = tmp_path / "text.png"
    text.write_text("the bank\n")
    words = {"explore": ["--corpus", text, "--html", text], "plot": ["senses", "bank", text, "--output", text]}[command]
    assert main([command, *map(str, words), "--model", BASE, "--overwrite"]) == 2
    assert "text.png is also an input" in capsys.readouterr().err
    assert text.read_text() == "the bank\n"


def test_a_link_is_not_followed(tmp_path: Path, base: Elmo, whole: bytes) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for name in ("out.hdf5", "out.hdf5.part"):
        (tmp_path / name).symlink_to(precious)
        with pytest.raises(OutputError, match="is a link, which is not followed"):
            job(tmp_path / "in.txt", tmp_path / "out.hdf5", base).run(overwrite=True)
        (tmp_path / name).unlink()
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("overwrite", [False, True])
def test_devices_pipes_and_folders_are_refused(tmp_path: Path, overwrite: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null"), Path("/dev/stdout")):
        with pytest.raises(OutputError, match=r"is a (device|link)"), new_file(path, overwrite=overwrite):
            pass
        with pytest.raises(OutputError, match=r"is a (device|link)"), new_hdf5(path, overwrite=overwrite):
            pass
    for name in (f"{tmp_path}/", f"{tmp_path}/new/", str(tmp_path)):
        with pytest.raises(OutputError, match="is a folder"), new_file(name, overwrite=overwrite):
            pass
    assert names(tmp_path) == {"pipe"}


def test_a_file_that_appears_during_a_run_stays(tmp_path: Path, base: Elmo, whole: bytes) -> None:
    out = tmp_path / "out.hdf5"

    def appear(report: CorpusReport) -> None:
        if report.n_sentences == 12:
            out.write_text("precious")

    with pytest.raises(OutputError, match=r"out\.hdf5 exists already"):
        job(tmp_path / "in.txt", out, base).run(progress=appear)
    assert out.read_text() == "precious"
    out.unlink()
    job(tmp_path / "in.txt", out, base).run(resume=True)
    assert out.read_bytes() == whole


def test_a_file_that_appears_at_the_very_end_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="appeared meanwhile and was left as it is"), new_file(tmp_path / "out"):
        (tmp_path / "out").write_text("precious")
    for code in (errno.EPERM, errno.ENOTSUP):  # file systems without links

        def no_links(*_: object, code: int = code) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "link", no_links)
        with pytest.raises(OutputError, match="appeared meanwhile"), new_file(tmp_path / "out2"):
            (tmp_path / "out2").write_text("precious")
        (tmp_path / "out2").unlink()
        with new_file(tmp_path / "out3", overwrite=False) as partial:
            partial.write_text("new")
        (tmp_path / "out3").unlink()
    assert names(tmp_path) == {"out"}


# -- odd names and values (finding 11) ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 238, "x" * 245, "x" * 252, "x" * 255, "x" * 300, "\udcff", "a\0b"])
def test_a_name_that_cannot_be_written_is_one_error(tmp_path: Path, base: Elmo, name: str) -> None:
    text = write_text(tmp_path / "in.txt", 3)
    for write in (
        lambda: job(text, tmp_path / name, base).run(),
        lambda: write_npz(tmp_path / name, []),
        lambda: VectorFile(tmp_path / name).__exit__(None, None, None),
    ):
        outcome(write)
    assert not [found for found in names(tmp_path) if found.endswith((".part", ".checkpoint"))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{'9' * 5000} 3\n", "line 1"),
        (f"{'9' * 30} 3\n", "line 1"),
        ("1 2\nbank nan 1\n", "line 2: a number that is not finite"),
        ("1 2\nbank 1 inf\n", "line 2: a number that is not finite"),
        ("1 2\nbank 1 1e999\n", "line 2: a number that is not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_odd_word_vectors_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "words.txt").write_text(content)
    with pytest.raises(InputError, match=message):
        read_word2vec(tmp_path / "words.txt")


def test_a_lone_surrogate_is_no_word_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lone surrogate"):
        write_word2vec(tmp_path / "words.txt", WordVectors(["a\ud800"], np.zeros((1, 2))))
    assert names(tmp_path) == set()


# -- races (finding 12) ------------------------------------------------------------------------------------------------


def second_run(out: Path, base: Elmo, whole: bytes, monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any]) -> str:
    """Run the job again in the middle of the first run; return how that ended."""
    monkeypatch.undo()
    monkeypatch.setattr(embed, "WINDOW", 4)
    try:
        job(out.with_name("in.txt"), out, base).run(**flags)
    except OutputError as error:
        return str(error)
    assert out.read_bytes() == whole
    return "finished"


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"overwrite": True}])
@pytest.mark.parametrize("moment", ["before the renaming", "after the renaming", "before the deletion"])
def test_a_second_run_at_the_end_of_the_first_harms_nothing(
    tmp_path: Path, base: Elmo, whole: bytes, monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], moment: str
) -> None:
    out = tmp_path / "out.hdf5"
    outcomes: list[str] = []

    def second() -> None:
        outcomes.append(second_run(out, base, whole, monkeypatch, flags))

    if moment == "before the deletion":
        forget = resume.forget_checkpoint

        def forgets(target: Path) -> None:
            if out.exists():
                second()
            forget(target)

        monkeypatch.setattr(resume, "forget_checkpoint", forgets)
    else:
        link = os.link

        def links(source: Path, target: Path) -> None:
            if target == out and moment == "before the renaming":
                second()
            link(source, target)
            if target == out and moment == "after the renaming":
                second()

        monkeypatch.setattr(os, "link", links)
    job(tmp_path / "in.txt", out, base).run(checkpoint_seconds=0)
    assert len(outcomes) == 1
    assert out.read_bytes() == whole
    assert names(tmp_path) == {"in.txt", "out.hdf5"}


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"overwrite": True}])
@pytest.mark.parametrize("moment", ["before the naming", "after the naming"])
def test_a_second_run_at_the_beginning_of_the_first_harms_nothing(
    tmp_path: Path, base: Elmo, whole: bytes, monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], moment: str
) -> None:
    out, link = tmp_path / "out.hdf5", os.link
    outcomes: list[str] = []

    def second() -> None:
        outcomes.append(second_run(out, base, whole, monkeypatch, flags))

    def links(source: Path, target: Path) -> None:
        if moment == "before the naming":
            second()
        link(source, target)
        if moment == "after the naming":
            second()

    monkeypatch.setattr(os, "link", links)
    first = job(tmp_path / "in.txt", out, base)
    if moment == "after the naming":
        assert first.run().n_sentences == 12
        assert "is being written by another process" in outcomes[0]
    else:  # the second one is a whole run
        with pytest.raises(OutputError, match="exists already"):
            first.run()
        assert outcomes == ["finished"]
    assert out.read_bytes() == whole
    assert names(tmp_path) == {"in.txt", "out.hdf5"}


# -- on the disk (finding 15) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True])
def test_every_writer_waits_for_the_disk_before_it_renames_and_after(
    tmp_path: Path, base: Elmo, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    steps: list[str] = []
    fsync, link, replace = os.fsync, os.link, Path.replace

    def syncs(descriptor: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")  # noqa: PTH112
        fsync(descriptor)

    def links(source: Path, target: Path) -> None:
        steps.append("rename")
        link(source, target)

    def replaces(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", syncs)
    monkeypatch.setattr(os, "link", links)
    monkeypatch.setattr(Path, "replace", replaces)
    words = WordVectors(["a"], np.zeros((1, 2)))
    writers: dict[str, Callable[[Path], None]] = {
        "npz": lambda path: write_npz(path, [np.zeros(2)], overwrite=overwrite),
        "word2vec": lambda path: write_word2vec(path, words, overwrite=overwrite),
        "hdf5": lambda path: VectorFile(path, overwrite=overwrite).__exit__(None, None, None),
        "index": lambda path: build_index(path, base, [["a"]]),
    }
    for name, write in writers.items():
        steps.clear()
        write(tmp_path / name)
        assert steps == ["file", "rename", "folder"], name
    text = write_text(tmp_path / "in.txt", 3)
    steps.clear()
    job(text, tmp_path / "run.hdf5", base).run(checkpoint_seconds=0, overwrite=overwrite)
    layout, checkpoint, end = (["file", "rename", "folder"],) * 3
    assert steps == [*layout, "file", *checkpoint, *end, "folder"]  # the last one after the checkpoint is deleted


# -- where messages go (finding 4) -------------------------------------------------------------------------------------

TALKATIVE = "import sys; from numpy_elmo.cli import main, progress; progress.INTERVAL = 0; sys.exit(main())"


@pytest.mark.slow
def test_the_work_goes_on_when_nobody_reads_its_progress(tmp_path: Path) -> None:
    text = write_text(tmp_path / "in.txt", 6_000)
    words = [sys.executable, "-c", TALKATIVE, "embed", str(text)]
    more = ["--model", BASE]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as gone, Path("/dev/full").open("wb") as full:  # noqa: PTH123
        for name, stream in {"gone": gone, "full": full}.items():
            done = subprocess.run([*words, str(tmp_path / name), *more], stderr=stream, check=False)
            assert done.returncode == 0
    done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *words, str(tmp_path / "closed"), *more], check=False)
    assert done.returncode == 0
    assert (tmp_path / "gone").read_bytes() == (tmp_path / "full").read_bytes() == (tmp_path / "closed").read_bytes()


def test_a_run_that_fails_says_so_in_its_status_when_nobody_reads_its_message(tmp_path: Path) -> None:
    words = [sys.executable, "-c", TALKATIVE, "embed", str(tmp_path / "no.txt"), str(tmp_path / "out.hdf5")]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as gone:  # noqa: PTH123
        assert subprocess.run(words, stderr=gone, stdout=gone, check=False).returncode == 2


def test_a_printing_command_ends_quietly_when_nobody_reads_it_and_names_a_full_disk(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "numpy_elmo", "info", BASE]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as gone, Path("/dev/full").open("wb") as full:  # noqa: PTH123
        done = subprocess.run(words, stdout=gone, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        b"numpy-elmo: error: standard output cannot be written: No space left on device\n",
    )


# -- the environment ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EROFS", "ESTALE", "EIO"])
@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_disk_that_fails_during_a_run_is_one_error_and_the_run_can_be_resumed(
    tmp_path: Path, base: Elmo, whole: bytes, monkeypatch: pytest.MonkeyPatch, code: str, call: str
) -> None:
    number = getattr(errno, code)
    out = leave_unfinished(tmp_path, base)

    class Broken(io.FileIO):
        def write(self, data: Any) -> int:
            raise OSError(number, os.strerror(number))

    def enter(part: PartFile) -> PartFile:
        part._file = broken
        return part

    def fails(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    broken = Broken(f"{out}.part", "r+")
    run = job(tmp_path / "in.txt", out, base)
    with broken, monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(PartFile, "__enter__", enter)
        else:
            patch.setattr(resume, "sync", fails)
        with pytest.raises(OutputError, match="cannot be written: "):
            run.run(resume=True)
    assert run.n_kept == 8
    job(tmp_path / "in.txt", out, base).run(resume=True)
    assert out.read_bytes() == whole


def test_a_disk_that_is_full_of_text_is_blamed_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> Any:
        return io.TextIOWrapper(io.BufferedRandom(io.FileIO("/dev/full", "r+")))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    for n in (3, 3_000):  # the copy of the text is written at its end, or on the way
        assert (
            main(["embed", str(write_text(tmp_path / "in.txt", n)), str(tmp_path / "out.hdf5"), "--model", BASE]) == 2
        )
        message = capsys.readouterr().err
        assert f"{tmp_path / 'out.hdf5'} cannot be written: [Errno 28]" in message
        assert message.count("\n") == 1
    assert names(tmp_path) == {"in.txt"}


# -- other platforms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["no fcntl", "ENOTSUP", "ENOLCK"])
def test_without_file_locks_a_run_goes_on_with_a_warning(
    tmp_path: Path, base: Elmo, whole: bytes, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(getattr(errno, why), "no locks")

    fake = None if why == "no fcntl" else SimpleNamespace(flock=no_locks, LOCK_EX=2, LOCK_NB=4)
    monkeypatch.setattr(writing, "fcntl", fake)
    with pytest.warns(UserWarning, match="has no file locks; let only one run write"):
        job(tmp_path / "in.txt", tmp_path / "out.hdf5", base).run()
    assert (tmp_path / "out.hdf5").read_bytes() == whole


def test_on_windows_two_runs_are_told_apart_by_a_locked_byte(
    tmp_path: Path, base: Elmo, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: set[int] = set()

    def locking(descriptor: int, mode: int, n_bytes: int) -> None:
        assert os.lseek(descriptor, 0, os.SEEK_CUR) >= 1 << 43  # not a byte that others read
        inode = os.fstat(descriptor).st_ino
        if inode in locked:
            raise PermissionError(errno.EACCES, "locked")
        locked.add(inode)

    out = leave_unfinished(tmp_path, base)
    monkeypatch.setattr(writing, "fcntl", None)
    monkeypatch.setattr(writing, "_LOCKED_BYTE", 1 << 43)  # Linux has no places beyond its largest file
    monkeypatch.setattr(writing, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    with Path(f"{out}.part").open("r+b") as other:
        assert writing.lock(other.fileno())
        with pytest.raises(OutputError, match="is being written by another process"):
            job(tmp_path / "in.txt", out, base).run(resume=True)
    locked.clear()
    job(tmp_path / "in.txt", out, base).run(resume=True)
    assert out.read_bytes() == whole


def test_on_windows_a_file_is_closed_before_it_is_renamed_and_waited_for(
    tmp_path: Path, base: Elmo, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = 0

    def rename(path: Path, target: Path) -> None:
        nonlocal refused
        open_now = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}  # noqa: PTH208
        assert os.fspath(path) not in open_now
        if target.exists():
            raise FileExistsError(target)
        refused += 1
        if refused % 2:
            raise PermissionError(errno.EACCES, "open in a virus scanner")
        os.rename(path, target)  # noqa: PTH104

    monkeypatch.setattr(writing, "WINDOWS", True)
    monkeypatch.setattr(Path, "rename", rename)
    out = tmp_path / "out.hdf5"
    job(tmp_path / "in.txt", out, base).run(checkpoint_seconds=0)
    assert out.read_bytes() == whole
    assert refused
    monkeypatch.setattr(writing, "_PATIENCE", 0.0)
    monkeypatch.setattr(Path, "rename", lambda path, target: os.rename(path, target))  # noqa: PLW0108, PTH104
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "in use")))
    with pytest.raises(OutputError, match=r"cannot be written: .*in use"):
        job(tmp_path / "in.txt", out, base).run(overwrite=True)
    assert out.read_bytes() == whole


def test_folders_that_cannot_be_synced_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def no_folders(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(errno.EINVAL, "not here")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", no_folders)
    with new_file(tmp_path / "out") as partial:
        partial.write_text("whole")
    assert (tmp_path / "out").read_text() == "whole"


def test_on_macos_the_drive_itself_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda _, what: asked.append(what))
    with new_file(tmp_path / "out") as partial:
        partial.write_text("whole")
    assert asked == [51]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_that_is_not_utf8_shows_what_it_can(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "in.txt").write_text("日本 bank\nbank 日本\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "numpy_elmo", "neighbors", "bank", str(tmp_path / "in.txt"), "--model", BASE],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=True,
    )
    assert rb"\u65e5\u672c [bank]" in done.stdout


def test_what_a_killed_writer_left_is_deleted_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    dead = tmp_path / ".out.0123abcd.part"
    others = [tmp_path / name for name in (".out2.0123abcd.part", ".out.part", "out.0123abcd.part", ".out.xyz.part")]
    for path in (dead, *others):
        path.write_text("left")
    with new_file(tmp_path / "out", overwrite=True) as living:
        assert not dead.exists()
        with new_file(tmp_path / "out") as partial:
            assert living.exists()
            partial.write_text("second")
    assert names(tmp_path) == {path.name for path in others} | {"out"}
