"""Verification: made models pass against numbers recorded from them, and fail once they are not the same any more."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo, load
from numpy_elmo.analysis.verify import Check, check_runs, check_seqvec, measured, verify
from numpy_elmo.cli import main
from numpy_elmo.errors import ModelNotFoundError
from numpy_elmo.files import published
from numpy_elmo.files.published import ArchiveMember, Measure, PublishedFile, PublishedModel, RecordedRun
from numpy_elmo.network.state import CarriedState
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL
from weights import record_tiny

SEQVEC_SHA256 = "208baae831e6efb9cb71df13f57aa403f68fee6b598cabed299142b01c167e0d"

CALLS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("The", "bank", "is", "closed"), ("A", "river", "bank")),
    (("The", "bank", "is", "closed"), ("A", "river", "bank")),
    (("The", "bank", "is", "closed"), ("A", "river", "bank")),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def record(elmo: Elmo) -> RecordedRun:
    """Write down what a model computes, without the code that is tested."""
    elmo.reset_state()
    calls = [[v.astype(np.float64) for v in elmo.embed(call, layers="all", state="carry")] for call in CALLS]
    elmo.reset_state()
    top = calls[0][0][-1]
    a, b = calls[0][1][1, 2], calls[2][0][1, 1]
    tokens = np.concatenate([sentence[2] for sentence in calls[0] + calls[1]])
    variances = np.sort(np.linalg.eigvalsh(np.cov(tokens.T)))[::-1]
    means = [[sentence[-1].mean(axis=0) for sentence in call] for call in calls]
    drift = [np.mean([np.mean(np.abs(x - y)) for x, y in zip(means[t], means[t + 1], strict=True)]) for t in (0, 1)]
    return RecordedRun(
        "made",
        CALLS,
        (
            Measure(
                *("top-layer vector", "components", -1, (float(top[3][0]), float(top[3][-1])), 1e-5),
                tokens=((0, 0, 3),),
                components=(0, -1),
            ),
            Measure(
                *("banks", "cosine distances", 1, (float(1 - a @ b / math.sqrt(a @ a * (b @ b))),), 1e-5),
                tokens=((0, 1, 2), (2, 0, 1)),
            ),
            Measure("sums", "sums", "mean", tuple(float(sum(s.sum() / 3 for s in call)) for call in calls), 1e-4),
            Measure("drift", "drift", 2, tuple(map(float, drift)), 1e-6),
            Measure("pca", "pca ratios", 2, tuple(map(float, variances[:2] / variances.sum())), 1e-5, calls=(0, 1)),
        ),
    )


def row_of(folder: Path, runs: tuple[RecordedRun, ...] = ()) -> PublishedModel:
    options, weights = (folder / name for name in ("options.json", "weights.hdf5"))
    return PublishedModel(
        name="made",
        description="made up",
        language=None,
        dim=None,
        projection=None,
        files=(
            PublishedFile("options", options.name, ("https://example.org/o",), size=options.stat().st_size),
            PublishedFile(
                *("weights", weights.name, ("https://example.org/w",)),
                size=weights.stat().st_size,
                sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
            ),
        ),
        runs=runs,
    )


def publishing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[PublishedModel], None]:
    """Publish a folder's model as "made", and return what publishes another row in its place."""

    def make(row: PublishedModel) -> None:
        monkeypatch.setattr(published, "table", lambda: {"made": row})

    make(row_of(folder, (record(load(folder)),)))
    return make


@pytest.fixture
def folder(cache: Path) -> Path:
    return write_model(cache / "made", SMALL["base"])


@pytest.fixture
def publish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[PublishedModel], None]:
    return publishing(folder, monkeypatch)


def perturb(folder: Path, dataset: str = "CNN_proj/b_proj", by: float = 0.01) -> None:
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        values = file[dataset][()]
        values.flat[0] += by
        file[dataset][...] = values


def failed(checks: tuple[Check, ...]) -> list[str]:
    return [check.name for check in checks if not check.ok]


# -- whole models ----------------------------------------------------------------------------------------------------


def test_a_model_that_is_what_it_should_be_passes(folder: Path, publish: object) -> None:
    for report in (verify("made"), verify(folder), verify(folder, name="made")):
        assert report.ok
        assert failed(report.checks) == []
        assert report.published_as == "made"
        assert len(report.checks) == 4 + 2 + 1 + 3 + 2 + 2
        assert report.notes == ()
        numbers = [check for check in report.checks if check.name.startswith("made: ")]
        for check in numbers:
            assert check.difference is not None
            assert check.tolerance is not None
            assert check.difference == abs(float(check.expected) - float(check.found)) <= check.tolerance


def test_perturbed_weights_fail_with_the_difference(folder: Path, publish: object) -> None:
    perturb(folder)
    report = verify("made")
    assert not report.ok
    # The components, the first sum and so on: every measure sees it, and so does the checksum; the size is the same.
    names = failed(report.checks)
    assert "weights.hdf5: sha256" in names
    assert "weights.hdf5: size" not in names
    for measure in ("top-layer vector", "sums"):
        assert any(measure in name for name in names)
    for check in report.checks:
        if check.name in names and check.name.startswith("made: "):
            assert check.difference is not None
            assert check.tolerance is not None
            assert check.difference > check.tolerance
            assert check.difference == abs(float(check.expected) - float(check.found))


@pytest.mark.parametrize("dataset", ["char_embed", "CNN_high_0/b_carry", "RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell/B"])
def test_numbers_alone_tell_perturbed_weights(
    dataset: str, folder: Path, publish: Callable[[PublishedModel], None]
) -> None:
    runs = (record(load(folder)),)
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        file[dataset][...] = file[dataset][()] * 1.5 + 0.1
    publish(row_of(folder, runs))  # with the checksum of the perturbed file
    names = failed(verify("made").checks)
    assert names
    assert all(name.startswith("made: ") for name in names)


def test_a_shape_that_does_not_fit_fails_and_no_number_is_claimed(folder: Path, publish: object) -> None:
    options = json.loads((folder / "options.json").read_text())
    options["lstm"]["dim"] += 1
    (folder / "options.json").write_text(json.dumps(options))
    report = verify("made")
    [check] = [check for check in report.checks if "layout" in check.name]
    assert not check.ok
    assert "RNN_0" in str(check.found)
    assert not any(check.name.startswith("made: ") for check in report.checks)
    assert "no vectors were computed" in report.notes[-1]


def test_values_that_are_not_finite_fail(folder: Path, publish: object) -> None:
    perturb(folder, by=math.nan)
    report = verify("made")
    [check] = [check for check in report.checks if "finite" in check.name]
    assert not check.ok
    assert "CNN_proj/b_proj" in str(check.found)


def test_a_truncated_file_fails_with_its_size(folder: Path, publish: object) -> None:
    weights = folder / "weights.hdf5"
    size = weights.stat().st_size
    weights.write_bytes(weights.read_bytes()[:-100])
    report = verify("made")
    [check] = [check for check in report.checks if check.name == "weights.hdf5: size"]
    assert (check.expected, check.found, check.difference, check.ok) == (size, size - 100, 100, False)
    assert any("layout" in name for name in failed(report.checks))


def test_a_model_without_numbers_is_said_to_have_none(folder: Path, publish: Callable[[PublishedModel], None]) -> None:
    row = row_of(folder)
    publish(replace(row, files=(replace(row.files[0], size=None), row.files[1])))
    report = verify("made")
    assert report.ok
    assert "options.json: neither size nor checksum is on record" in report.notes
    assert any("no numbers computed with made are on record" in note for note in report.notes)


def test_a_folder_that_is_no_published_model_is_said_to_be_none(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", SMALL["base"])
    report = verify(folder)
    assert report.ok
    assert report.published_as is None
    assert len(report.checks) == 1
    assert "none of the published models" in report.notes[0]


def test_a_folder_is_recognised_by_the_checksum_of_its_weights(folder: Path, publish: object) -> None:
    (folder / "weights.hdf5").rename(folder / "model.hdf5")
    (folder / "options.json").rename(folder / "my_options.json")
    report = verify(folder)
    assert report.published_as == "made"
    assert report.ok


def test_a_damaged_folder_is_recognised_by_its_file_name(folder: Path, publish: object) -> None:
    perturb(folder)
    assert verify(folder).published_as == "made"


def test_a_name_that_two_models_use_for_their_files_tells_neither(
    folder: Path, publish: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = published.lookup("made")
    monkeypatch.setattr(published, "table", lambda: {"made": row, "other": replace(row, name="other")})
    perturb(folder)
    assert verify(folder).published_as is None
    assert verify(folder, name="other").published_as == "other"
    assert verify("made", name="other").published_as == "other"


@pytest.mark.parametrize("damaged", [False, True])
def test_the_weights_in_an_archive_are_checked(damaged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "model", SMALL["base"])
    weights = (folder / "weights.hdf5").read_bytes()
    member = ArchiveMember("model.hdf5", len(weights), hashlib.sha256(weights).hexdigest())
    model = published.lookup("nlpl-77")
    model = replace(model, files=(replace(model.files[0], members=(member,)),))
    monkeypatch.setattr(published, "table", lambda: {"nlpl-77": model})
    if damaged:
        perturb(folder)
    with zipfile.ZipFile(tmp_path / "77.zip", "w") as archive:
        archive.write(folder / "weights.hdf5", "inside/model.hdf5")
        archive.write(folder / "options.json", "inside/options.json")
    report = verify(tmp_path / "77.zip")
    assert report.published_as == "nlpl-77"
    assert [check.name for check in report.checks][:2] == ["model.hdf5: size", "model.hdf5: sha256"]
    assert failed(report.checks) == (["model.hdf5: sha256"] if damaged else [])


def test_what_is_found_in_damaged_files_names_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "model", SMALL["base"])
    model = published.lookup("nlpl-77")
    model = replace(model, files=(replace(model.files[0], members=(ArchiveMember("model.hdf5", 1000, None),)),))
    monkeypatch.setattr(published, "table", lambda: {"nlpl-77": model})
    with zipfile.ZipFile(tmp_path / "77.zip", "w") as archive:
        archive.writestr("model.hdf5", bytes(1000))
        archive.write(folder / "options.json", "options.json")
    whole = (tmp_path / "77.zip").read_bytes()
    (tmp_path / "77.zip").write_bytes(whole.replace(bytes(1000), bytes(999) + b"x"))
    perturb(folder, by=math.nan)
    for path, expected in ((tmp_path / "77.zip", "77.zip is a damaged zip"), (folder, "model/weights.hdf5")):
        found = [str(check.found) for check in verify(path).checks]
        assert any(expected in text for text in found), found
        assert not any(str(tmp_path) in text for text in found), found


def test_the_embedded_model_verifies(tmp_path: Path) -> None:
    report = verify("tiny")
    assert report.ok
    assert report.published_as == "tiny"
    assert len(report.checks) == 2 * 4 + 1 + 3 * (8 + 5)
    assert report.notes == ()
    changed = Path(shutil.copytree(published.data_folder() / "tiny", tmp_path / "model"))
    assert verify(changed).published_as == "tiny"
    perturb(changed)
    names = failed(verify(changed, name="tiny").checks)
    assert "weights.hdf5: sha256" in names
    assert any(name.startswith("TensorFlow") for name in names)


def test_what_is_on_record_of_the_embedded_model_is_what_tensorflow_gave() -> None:
    """If it was trained anew: run tests/fixtures/make_fixtures.py, then weights/record_tiny.py."""
    path = published.data_folder() / "tiny" / "record.json"
    before = path.read_bytes()
    text = record_tiny.record()
    assert json.loads(before) == json.loads(text)


def test_what_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="numpy-elmo download small"):
        verify("small")
    with pytest.raises(ModelNotFoundError, match="did you mean original"):
        verify("orignal")
    with pytest.raises(ModelNotFoundError, match="no such file or folder"):
        verify(tmp_path / "nothing")


# -- runs ------------------------------------------------------------------------------------------------------------


def test_runs_start_fresh_and_carry_their_state(folder: Path) -> None:
    elmo = load(folder)
    run = record(elmo)
    elmo.embed([["something", "else"]] * 3, state="carry")
    assert failed(tuple(check_runs(elmo, [run, run]))) == []

    # Where the state is not carried, no call differs from the one before.
    class Forgetful:
        def embed(self, sentences: object, *, layers: object, state: object) -> object:
            return elmo.embed(sentences, layers="all", state="reset")  # type: ignore[arg-type]

        def reset_state(self) -> None:
            pass

    names = failed(tuple(check_runs(Forgetful(), [run])))  # type: ignore[arg-type]
    assert "made: drift, call 1 to 2" in names
    assert "made: sums, call 2" in names
    assert "made: sums, call 1" not in names


def test_a_run_leaves_no_state_behind(folder: Path) -> None:
    elmo = load(folder)
    fresh = elmo.embed([["a", "b"]], state="carry")[0]
    check_runs(elmo, [record(elmo)])
    np.testing.assert_array_equal(elmo.embed([["a", "b"]], state="carry")[0], fresh)


def test_a_number_outside_its_tolerance_fails_and_one_inside_passes(folder: Path) -> None:
    elmo = load(folder)
    run = record(elmo)
    [component, *_] = run.measures
    for shift, ok in ((0.9e-3, True), (1.1e-3, False), (-1.1e-3, False), (math.nan, False)):
        expected = tuple(value + shift for value in component.expected)
        measure = replace(component, expected=expected, tolerance=1e-3)
        checks = check_runs(elmo, [replace(run, measures=(measure,))])
        assert [check.ok for check in checks] == [ok, ok]
    relative = replace(component, expected=tuple(1.005 * value for value in component.expected), tolerance=0.0)
    for part, ok in ((0.01, True), (0.001, False)):
        checks = check_runs(elmo, [replace(run, measures=(replace(relative, relative_tolerance=part),))])
        assert [check.ok for check in checks] == [ok, ok]


def test_measures_are_what_their_names_say() -> None:
    # Layer 0 of two calls, sentences of 2 and 1 tokens; layer 1 is twice as large.
    first = np.array([[1.0, 0.0], [0.0, 2.0]])
    second = np.array([[3.0, 3.0]])
    later = [first + 1.0, second - 3.0 * np.array([[1.0, 0.0]])]
    calls = [[np.stack([x, 2 * x]).astype(np.float32) for x in call] for call in ([first, second], later)]
    tokens = ((0, 0, 0), (0, 0, 1), (0, 1, 0))

    def value(kind: str, layer: object, n: int, **more: object) -> list[float]:
        return measured(calls, Measure("", kind, layer, (0.0,) * n, 0.0, **more))  # type: ignore[arg-type]

    assert value("components", 1, 2, tokens=((0, 0, 1),), components=(0, -1)) == [0.0, 4.0]
    half = 1 - math.sqrt(0.5)
    assert value("cosine distances", 0, 3, tokens=tokens) == pytest.approx([1.0, half, half])
    assert value("sums", 0, 2) == [9.0, 10.0]
    assert value("sums", "mean", 2) == [13.5, 15.0]
    # The mean vectors move by (1, 1) and by (-3, 0).
    assert value("drift", 0, 1) == [pytest.approx((1 + 1 + 3 + 0) / 4)]
    # The three tokens of the first call, by the eigenvalues of their covariance.
    x = np.concatenate([first, second])
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T))[::-1]
    assert value("pca ratios", 0, 2, calls=(0,)) == pytest.approx(list(eigenvalues / eigenvalues.sum()))


# -- the command -----------------------------------------------------------------------------------------------------


# SeqVec's published vectors


def reference_of(elmo: Elmo, path: Path) -> dict[str, np.ndarray]:
    """Write what a made model gives for the proteins on record, embedded as one batch from zeros."""
    vectors = elmo.embed(
        [list(s) for s in ("PROTEIN", "SEQWENCE", "VLSXXXIEP", "")], state=CarriedState(), batch_size=4
    )
    arrays = {"test_case 1": vectors[0], "test_case 2": vectors[1]}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return arrays


def test_the_stored_vectors_of_seqvec_are_those_that_were_published() -> None:
    path = published.data_folder() / "seqvec-reference.npz"
    assert path.stat().st_size <= 200_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SEQVEC_SHA256
    with np.load(path) as arrays:
        assert {name: (a.shape, a.dtype.name) for name, a in arrays.items()} == {
            "test_case 1": ((3, 7, 1024), "float32"),
            "test_case 2": ((3, 8, 1024), "float32"),
        }
        # The token layer knows no context: E and N have one vector each, wherever they are.
        protein, seqwence = arrays["test_case 1"][0], arrays["test_case 2"][0]
        for place, other in ((4, 1), (4, 4), (4, 7), (6, 5)):
            np.testing.assert_allclose(protein[place], seqwence[other], rtol=0, atol=1e-6)


def test_all_numbers_of_both_proteins_are_compared(model_folder: Path, tmp_path: Path) -> None:
    elmo, path = load(model_folder), tmp_path / "reference.npz"
    arrays = reference_of(elmo, path)
    checks = check_seqvec(elmo, path)
    assert [check.name.split(":")[0] for check in checks] == [
        f"{protein}, layer {layer}" for protein in ("PROTEIN", "SEQWENCE") for layer in range(3)
    ]
    assert all(check.ok for check in checks)
    for name in arrays:
        for place in [(0, 0, 0), (1, 3, 7), (2, 6, 15)]:  # any one number that differs fails its layer alone
            for factor, ok in ((0.5, True), (2.0, False)):
                changed = {key: array.copy() for key, array in arrays.items()}
                changed[name][place] += np.float32(factor * (1e-5 + 1e-3 * abs(changed[name][place])))
                np.savez(path, **changed)  # type: ignore[arg-type]
                failed = [k for k, check in enumerate(check_seqvec(elmo, path)) if not check.ok]
                assert failed == ([] if ok else [3 * list(arrays).index(name) + place[0]])


def test_vectors_that_are_not_finite_or_of_another_shape_fail(model_folder: Path, tmp_path: Path) -> None:
    elmo, path = load(model_folder), tmp_path / "reference.npz"
    arrays = reference_of(elmo, path)

    class Broken:
        def embed(self, *_: object, **__: object) -> list[np.ndarray]:
            found = [arrays["test_case 1"].copy(), arrays["test_case 2"]]
            found[0][1, 2, 3] = np.nan
            return found

        def reset_state(self) -> None: ...

    assert [check.ok for check in check_seqvec(cast("Elmo", Broken()), path)] == [True, False, True, True, True, True]
    checks = check_seqvec(elmo, published.data_folder() / "seqvec-reference.npz")
    assert [(check.ok, check.found) for check in checks] == [(False, "(3, 7, 16)"), (False, "(3, 8, 16)")]


def test_a_folder_that_should_be_seqvec_is_compared(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "models.json").write_bytes((published.data_folder() / "models.json").read_bytes())
    reference_of(load(model_folder), data / "seqvec-reference.npz")
    monkeypatch.setattr(published, "data_folder", lambda: data)
    report = verify(model_folder, name="seqvec")
    vectors = [check for check in report.checks if "layer" in check.name and "numbers" in check.name]
    assert len(vectors) == 6
    assert all(check.ok for check in vectors)
    assert not report.ok  # the files are not the published ones
    assert main(["verify", str(model_folder), "--as", "seqvec"]) == 1
    assert "SEQWENCE, layer 2: the worst of 128 numbers" in capsys.readouterr().out
