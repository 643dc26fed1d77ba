"""The small trained model that comes with the package."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo, load
from numpy_elmo.files.vocabulary import UNKNOWN
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START
from weights import measure_tiny as measure

WEIGHTS = Path(__file__).parents[2] / "weights"
TINY = WEIGHTS / "tiny"
FILES = ["options.json", "softmax_weights.hdf5", "vocab.txt", "weights.hdf5"]
SENSES: dict[str, dict[str, list[str]]] = json.loads((WEIGHTS / "senses.json").read_text(encoding="utf-8"))
CLOZE: list[dict[str, str]] = json.loads((WEIGHTS / "cloze.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tiny() -> Elmo:
    return load("tiny")


def datasets(path: Path) -> dict[str, Any]:
    """The shape and type of every dataset of a file."""
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.update({name: item} if isinstance(item, h5py.Dataset) else {}))
        return {name: (item.shape, item.dtype) for name, item in found.items()}


# -- files -----------------------------------------------------------------------------------------------------------


def test_the_folder_is_small_and_holds_the_published_layout() -> None:
    assert {path.name for path in TINY.iterdir()} == {"README.md", "record.json", *FILES}
    assert sum(path.stat().st_size for path in TINY.iterdir()) <= 12_000_000
    options = json.loads((TINY / "options.json").read_text(encoding="utf-8"))
    lstm, cnn = options["lstm"], options["char_cnn"]
    assert (lstm["n_layers"], lstm["use_skip_connections"]) == (2, True)
    assert (lstm["cell_clip"], lstm["proj_clip"]) == (3, 3)
    assert (cnn["max_characters_per_token"], cnn["n_characters"]) == (50, 262)
    p, d = lstm["projection_dim"], lstm["dim"]
    found = datasets(TINY / "weights.hdf5")
    assert found["char_embed"][0] == (261, cnn["embedding"]["dim"])
    for direction in range(2):
        for layer in range(2):
            cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            shapes = {name: found[f"{cell}/{name}"][0] for name in ("W_0", "B", "W_P_0")}
            assert shapes == {"W_0": (2 * p, 4 * d), "B": (4 * d,), "W_P_0": (d, p)}
    softmax = datasets(TINY / "softmax_weights.hdf5")
    assert {dtype for _, dtype in [*found.values(), *softmax.values()]} == {np.dtype("float16")}


def test_it_has_some_million_parameters(tiny: Elmo) -> None:
    n_parameters = sum(int(np.prod(shape)) for shape, _ in datasets(TINY / "weights.hdf5").values())
    assert 1_000_000 <= n_parameters <= 3_000_000
    assert (tiny.n_layers, tiny.vector_size) == (2, 256)


def test_the_softmax_has_a_row_for_every_word(tiny: Elmo) -> None:
    words = (TINY / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert words.pop() == "", "the last line ends"
    assert words[:3] == [SENTENCE_START, SENTENCE_END, UNKNOWN]
    assert len(set(words)) == len(words)
    shapes = {name: shape for name, (shape, _) in datasets(TINY / "softmax_weights.hdf5").items()}
    assert shapes == {"softmax/W": (len(words), tiny.vector_size // 2), "softmax/b": (len(words),)}


def test_all_weights_are_finite() -> None:
    for name in ("weights.hdf5", "softmax_weights.hdf5"):
        with h5py.File(TINY / name, "r") as file:
            for dataset in datasets(TINY / name):
                assert np.isfinite(file[dataset][()]).all(), dataset


# -- what it is for --------------------------------------------------------------------------------------------------


def test_the_sentences_use_every_word_in_two_senses() -> None:
    assert len(SENSES) >= 12
    for word, by_sense in SENSES.items():
        assert len(by_sense) == 2
        sentences = [line.split() for lines in by_sense.values() for line in lines]
        assert len({len(lines) for lines in by_sense.values()}) == 1, "chance is the same for both senses"
        assert len(sentences) == len(set(map(tuple, sentences))) >= 8
        for tokens in sentences:
            assert tokens.count(word) == 1
            assert 6 <= len(tokens) <= 16
        for lines in by_sense.values():
            places = [(tokens := line.split(), tokens.index(word)) for line in lines]
            for offset in (-1, 1):
                beside = {tokens[at + offset] if at + offset >= 0 else "" for tokens, at in places}
                assert len(beside) > 1, f"{word}: one neighbouring word gives the sense away"


@pytest.fixture(scope="module")
def accuracies(tiny: Elmo) -> dict[str, Any]:
    return measure.sense_accuracies(tiny, SENSES)


def test_vectors_of_a_word_cluster_by_its_sense(accuracies: dict[str, Any]) -> None:
    layer_0, layer_1, layer_2 = accuracies["all"]
    n = np.array([len(lines) for by_sense in SENSES.values() for lines in by_sense.values()])  # per sense
    by_chance = np.average((n - 1) / (2 * n - 1), weights=n)
    assert layer_0 == pytest.approx(by_chance), "layer 0 knows no context"
    assert max(layer_1, layer_2) > by_chance + 0.2
    assert max(layer_1, layer_2) > max(accuracies["shuffled"]["largest"]), "no shuffle of the senses does as well"


@pytest.mark.parametrize("name", ["parts_of_speech", "play"])
def test_the_sentences_of_a_paper_check_use_a_word_once_and_in_many_contexts(name: str) -> None:
    words = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    for word, classes in words.items():
        assert len(classes) == 2
        assert len({len(lines) for lines in classes.values()}) == 1, "chance is the same for both classes"
        sentences = [tuple(line.split()) for lines in classes.values() for line in lines]
        assert len(sentences) == len(set(sentences)) >= 12
        for tokens in sentences:
            assert tokens.count(word) == 1
            assert 6 <= len(tokens) <= 16


def test_the_page_of_paper_checks_states_what_is_measured(
    tiny: Elmo, accuracies: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "N_SHUFFLES", 100)
    page = (WEIGHTS.parent / "docs" / "paper-checks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| layer \d[^|]* \|(.*)\|$", page, flags=re.MULTILINE)
    stated = np.array([[float(cell.strip(" %")) / 100 for cell in row.split("|")] for row in rows]).T
    found = [accuracies]
    for name in ("parts_of_speech", "play"):
        words = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
        found.append(measure.sense_accuracies(tiny, words))
    senses, parts_of_speech, play = found
    numbers = np.array(
        [row.split("|") for row in re.findall(r"^\| (?:sentences|right at [^|]*) \|(.*)\|$", page, re.M)]
    )
    for column, (n, *only), figures in zip(stated, numbers.T.astype(int), (parts_of_speech, senses, play), strict=True):
        np.testing.assert_allclose(column, figures["all"], rtol=0, atol=0.01)
        np.testing.assert_allclose(only, figures["only"], rtol=0, atol=0.01 * n)
        assert figures["only"][0] - figures["only"][1] == round(n * (figures["all"][1] - figures["all"][2]))
    assert min(parts_of_speech["all"][1:]) > max(parts_of_speech["shuffled"]["largest"]) + 0.2


def test_the_readme_states_the_measured_accuracy(accuracies: dict[str, Any]) -> None:
    readme = (TINY / "README.md").read_text(encoding="utf-8")
    [row] = re.findall(r"^\| \*\*all\*\* \|(.*)\|$", readme, flags=re.MULTILINE)
    stated = [float(cell.strip(" %")) / 100 for cell in row.split("|")]
    assert stated == pytest.approx(accuracies["all"], abs=0.01)


@pytest.mark.parametrize(("name", "n_pairs"), [("cloze", 50), ("everyday", 100), ("agreement", 40)])
def test_the_pairs_of_next_words_are_well_formed(name: str, n_pairs: int) -> None:
    pairs = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    vocabulary = set((TINY / "vocab.txt").read_text(encoding="utf-8").split())
    assert len({pair["context"] for pair in pairs}) == len(pairs) == n_pairs
    for pair in pairs:
        assert pair["likely"] != pair["unlikely"]
        assert {pair["likely"], pair["unlikely"]} <= vocabulary


def test_the_minimal_pairs_have_the_format_of_blimp() -> None:
    lines = (WEIGHTS / "minimal_pairs.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line) for line in lines]
    assert len({pair["sentence_good"] for pair in pairs} | {pair["sentence_bad"] for pair in pairs}) > len(pairs)
    assert set(Counter(pair["UID"] for pair in pairs).values()) == {20}
    vocabulary = set((TINY / "vocab.txt").read_text(encoding="utf-8").split())
    for pair in pairs:
        assert pair["sentence_good"] != pair["sentence_bad"]
        assert {"field", "linguistics_term", "UID", "simple_LM_method", "pair_id"} <= pair.keys()
        for which in ("sentence_good", "sentence_bad"):
            assert set(measure.sentence_tokens(pair[which])) <= vocabulary


def test_the_seed_example_is_a_cloze_pair() -> None:
    assert any(p["context"].endswith(" hang") and (p["likely"], p["unlikely"]) == ("out", "camera") for p in CLOZE)
