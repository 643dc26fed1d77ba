"""An unfinished run is resumed by the same run alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest

from numpy_elmo import CorpusReport, load
from numpy_elmo.cli import main
from numpy_elmo.corpus import embed
from numpy_elmo.corpus.resume import model_digest
from numpy_elmo.errors import OutputError
from tests.corpus.test_embed import BASE, Stopped, job, kept, names, write_text


@pytest.fixture
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output of base that stopped after 5 of 12 sentences, beside its text."""
    monkeypatch.setattr(embed, "WINDOW", 5)
    out = tmp_path / "out.hdf5"
    run = job(write_text(tmp_path / "in.txt", 12), out, load(BASE))

    def stop(report: CorpusReport) -> None:
        if report.n_sentences:
            raise Stopped

    with pytest.raises(Stopped):
        run.run(progress=stop)
    assert kept(out) == 5
    return out


def test_an_unfinished_run_is_neither_lost_nor_mixed_up(
    unfinished: Path, smallest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = unfinished.parent
    words = ["embed", str(folder / "in.txt"), str(unfinished), "--model", BASE]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for more, message in (
        ([], "out.hdf5.part is an unfinished run; continue it with --resume, or start again with --overwrite"),
        (["--resume", "--model", smallest], "out.hdf5.part was made with another model; give the same"),
        (["--resume", "--top"], "was made with --layers all"),
        (["--resume", "--state", "carry", "--batch-size", "8"], "was made with --state reset, --batch-size 64"),
        (["--resume", "--dtype", "float16"], "--dtype float32"),
        (["--resume", "--pooling", "max"], "--pooling none"),
        (["--resume", "--forget-sentences"], "sentence_map=True"),
        (["--resume", "--use-sentence-keys"], "sentence_keys=False"),
    ):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert main([*words, "--resume"]) == 0
    assert names(folder) == {"in.txt", "out.hdf5"}


def test_a_run_that_was_asked_for_other_bits_is_refused(unfinished: Path) -> None:
    elmo = load(BASE, reproducible=False)
    with pytest.raises(OutputError, match=r"made with reproducible=None; give the same text, model and options"):
        job(unfinished.parent / "in.txt", unfinished, elmo).run(resume=True)
    assert kept(unfinished) == 5


def test_another_text_is_refused(unfinished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = unfinished.parent / "in.txt"
    lines = text.read_text().splitlines()
    words = ["embed", str(text), str(unfinished), "--model", BASE, "--resume"]
    before = Path(f"{unfinished}.part").read_bytes()
    for other in ([*lines[:4], "other", *lines[5:]], lines[:3], lines[1:], [*lines, "more"], [*lines[:11], "mended"]):
        text.write_text("\n".join(other))
        assert main(words) == 2
        assert "was made with another text; give the same text" in capsys.readouterr().err
        assert kept(unfinished) == 5
        assert Path(f"{unfinished}.part").read_bytes() == before
    text.write_text("\r\n".join(lines))  # the same sentences
    assert main(words) == 0


def test_overwrite_begins_anew(unfinished: Path) -> None:
    words = ["embed", str(unfinished.parent / "in.txt"), str(unfinished), "--model", BASE, "--overwrite"]
    assert main([*words, "--top"]) == 0
    with h5py.File(unfinished) as file:
        assert len(file) == 13
        assert file["0"].ndim == 2
    assert names(unfinished.parent) == {"in.txt", "out.hdf5"}


def test_a_finished_run_is_not_repeated_and_not_taken_for_another(
    unfinished: Path, smallest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["embed", str(unfinished.parent / "in.txt"), str(unfinished), "--model", BASE]
    assert main([*words, "--resume"]) == 0
    printed = capsys.readouterr().out
    before = unfinished.stat().st_mtime_ns, unfinished.read_bytes()
    assert main([*words, "--resume"]) == 0
    assert capsys.readouterr().out == printed
    for more, message in (
        ([], "exists already; remove it, or give --overwrite"),
        (["--resume", "--top"], "was made with --layers all"),
        (["--resume", "--model", smallest], "was made with another model"),
    ):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err
    assert (unfinished.stat().st_mtime_ns, unfinished.read_bytes()) == before


def test_the_same_model_under_another_name_may_resume(unfinished: Path, tmp_path: Path) -> None:
    zipped = shutil.make_archive(str(tmp_path / "model"), "zip", BASE)
    shutil.copytree(BASE, tmp_path / "copy")
    digests = {model_digest(load(place)) for place in (BASE, zipped, tmp_path / "copy")}
    assert len(digests) == 1
    words = ["embed", str(unfinished.parent / "in.txt"), str(unfinished), "--resume"]
    assert main([*words, "--model", str(tmp_path / "copy")]) == 0


def test_one_weight_makes_another_model(model_folder: Path) -> None:
    digests = {model_digest(load(model_folder))}
    datasets: list[str] = []
    with h5py.File(model_folder / "weights.hdf5", "r+") as file:
        file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
    for name in datasets:
        with h5py.File(model_folder / "weights.hdf5", "r+") as file:
            file[name][(-1,) * file[name].ndim] += 1e-3
        digests.add(model_digest(load(model_folder)))
    changed = json.loads((model_folder / "options.json").read_text())
    changed["lstm"]["cell_clip"] = 2.5
    (model_folder / "options.json").write_text(json.dumps(changed))
    digests.add(model_digest(load(model_folder)))
    assert len(digests) == len(datasets) + 2
