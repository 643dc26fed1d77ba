"""Our vectors are TensorFlow's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from numpy_elmo import Elmo, load
from numpy_elmo.files.published import data_folder
from numpy_elmo.layers.arrays import Array
from tests.agreement.tensorflow_outputs import FIXTURES, Case, differences, read_case, run_sequence
from tests.conftest import write_model
from tests.fixtures.recipes import PUBLISHED, SMALL

TOLERANCE_SMALL = 2.5e-6
TOLERANCE_PUBLISHED = 1e-5


def test_every_recipe_has_its_fixture() -> None:
    stored = {path.parent.name for path in FIXTURES.glob("*/expected.npz")}
    assert stored - {"allennlp_files"} == set(SMALL) | set(PUBLISHED) | {"tiny"}  # those are AllenNLP's


@pytest.mark.parametrize("name", SMALL)
def test_small_models_equal_tensorflow(name: str) -> None:
    case = read_case(name)
    found = dict(differences(load(case.folder), case))
    assert found
    assert {sequence: np.abs(values).max() for sequence, values in found.items()} == {
        sequence: pytest.approx(0, abs=TOLERANCE_SMALL) for sequence in found
    }


@pytest.mark.parametrize("name", SMALL)
def test_reset_equals_the_first_batch_of_tensorflow(name: str) -> None:
    case = read_case(name)
    elmo = load(case.folder)
    for sequence, batches in case.sequences.items():
        for r, vectors in enumerate(elmo.embed(batches[0])):
            np.testing.assert_allclose(vectors, case.expected[f"{sequence}/0/{r}"], rtol=0, atol=TOLERANCE_SMALL)


def test_boundaries_equal_tensorflow() -> None:
    case = read_case("base")
    elmo = load(case.folder)
    for sequence, batches in case.sequences.items():
        elmo.reset_state()
        for b, batch in enumerate(batches):
            for r, vectors in enumerate(elmo.embed(batch, state="carry", boundaries=True)):
                expected = case.expected[f"boundaries/{sequence}/{b}/{r}"]
                np.testing.assert_allclose(vectors, expected, rtol=0, atol=TOLERANCE_SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_the_stored_weights_are_what_the_recipe_gives(name: str, tmp_path: Path) -> None:
    stored = load(FIXTURES / name)
    made = load(write_model(tmp_path, SMALL[name]))
    assert stored.options == made.options
    sentence = [["Where", "have", "you", "placed", "the", "point"]]
    np.testing.assert_array_equal(stored.embed(sentence)[0], made.embed(sentence)[0])


def test_the_embedded_model_equals_tensorflow() -> None:
    case = read_case("tiny")
    record = json.loads((case.folder / "sentences.json").read_text(encoding="utf-8"))
    stored = hashlib.sha256((data_folder() / "tiny" / "weights.hdf5").read_bytes()).hexdigest()
    assert record["weights"]["sha256"] == stored, "the fixture is of other weights; run make_fixtures.py tiny"
    # Some of its token vectors are large, up to 8 in a component: TensorFlow itself is 4e-6 from float64 there.
    for sequence, values in differences(load("tiny"), case):
        assert np.abs(values).max() <= 2 * TOLERANCE_PUBLISHED, sequence


def errors_against_float64(elmo: Elmo, reference: Elmo, case: Case) -> tuple[Array, Array]:
    ours, theirs = [], []
    for sequence, batches in case.sequences.items():
        exact = run_sequence(reference, batches)
        ours += [(a - b).ravel() for a, b in zip(run_sequence(elmo, batches), exact, strict=True)]
        theirs += [(a - b).ravel() for a, b in zip(case.rows(sequence), exact, strict=True)]
    return np.concatenate(ours), np.concatenate(theirs)


def rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.slow
def test_float32_is_no_worse_than_tensorflow_over_all_small_models() -> None:
    # One model's error is a draw of rounding noise; over all of them the mean square tells who rounds worse.
    pairs = []
    for name in SMALL:
        case = read_case(name)
        pairs.append(errors_against_float64(load(case.folder), load(case.folder, dtype="float64"), case))
    ours, theirs = (np.concatenate(errors) for errors in zip(*pairs, strict=True))
    assert rms(ours) <= rms(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_equal_tensorflow(name: str, tmp_path: Path) -> None:
    case = read_case(name)
    folder = write_model(tmp_path, PUBLISHED[name])
    elmo = load(folder)
    for sequence, values in differences(elmo, case):
        assert np.abs(values).max() <= TOLERANCE_PUBLISHED, sequence
    ours, theirs = errors_against_float64(elmo, load(folder, dtype="float64"), case)
    assert rms(ours) <= rms(theirs)
    assert np.abs(ours).max() <= TOLERANCE_PUBLISHED
