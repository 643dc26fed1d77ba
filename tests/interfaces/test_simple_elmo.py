"""The interface of simple_elmo against what simple_elmo gave."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from numpy_elmo.errors import InputError, InputTypeError, ModelNotFoundError
from numpy_elmo.interfaces.simple_elmo import ElmoModel, LayerWords
from numpy_elmo.layers.arrays import Array
from tests.agreement.tensorflow_outputs import FIXTURES

TOLERANCE = 2e-6

FOLDER = FIXTURES / "interfaces_bilm"
RECORD = json.loads((FOLDER / "record.json").read_text(encoding="utf-8"))
TEXTS = [sentence.split() for sentence in RECORD["texts"]]
EQUAL = [sentence.split() for sentence in RECORD["equal"]]
BATCH_SIZE = RECORD["simple_elmo"]["batch_size"]
LAYERS = get_args(LayerWords)


@pytest.fixture(scope="module")
def peer() -> dict[str, Array]:
    with np.load(FOLDER / "simple_elmo.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def model() -> ElmoModel:
    model = ElmoModel()
    model.load(FIXTURES / "base", max_batch_size=BATCH_SIZE)
    return model


def assert_equal_at_tokens(found: Array, expected: Array, texts: list[list[str]]) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    for ours, theirs, tokens in zip(found, expected, texts, strict=True):
        n = len(tokens)
        np.testing.assert_allclose(ours[..., :n, :], theirs[..., :n, :], rtol=0, atol=TOLERANCE)
        assert not ours[..., n:, :].any()


def test_loading_says_and_sets_what_the_peer_does() -> None:
    model = ElmoModel()
    found = {"load": model.load(str(FIXTURES / "base"), BATCH_SIZE)}
    found |= {name: getattr(model, name) for name in ("batch_size", "max_chars", "vector_size", "n_layers")}
    assert found == RECORD["simple_elmo"]


def test_a_zip_loads(tmp_path: Path, model: ElmoModel) -> None:
    archive = shutil.make_archive(str(tmp_path / "225"), "zip", FIXTURES / "base")
    zipped = ElmoModel()
    zipped.load(archive, max_batch_size=BATCH_SIZE, limit=10)
    np.testing.assert_array_equal(zipped.get_elmo_vectors(TEXTS), model.get_elmo_vectors(TEXTS))


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("warmup", [True, False])
def test_vectors_are_the_peers(model: ElmoModel, peer: dict[str, Array], layers: LayerWords, warmup: bool) -> None:
    for _ in range(2):  # every call starts afresh
        found = model.get_elmo_vectors(TEXTS, warmup=warmup, layers=layers)
        assert_equal_at_tokens(found, peer[f"vectors/{layers}/{warmup}"], TEXTS)


def test_a_session_goes_on_where_it_was(model: ElmoModel, peer: dict[str, Array]) -> None:
    session = object()
    first = model.get_elmo_vectors(TEXTS)
    assert_equal_at_tokens(first, peer["session/0"], TEXTS)
    assert_equal_at_tokens(model.get_elmo_vectors(EQUAL, warmup=False, session=session), peer["session/1"], EQUAL)


def test_warmup_by_hand_is_the_warmup_of_a_call(model: ElmoModel) -> None:
    expected = model.get_elmo_vectors(EQUAL)
    model.get_elmo_vectors([], warmup=False)  # no session: from zeros
    model.warmup("session", EQUAL)
    np.testing.assert_array_equal(model.get_elmo_vectors(EQUAL, warmup=False, session="session"), expected)


@pytest.mark.parametrize("layers", ["average", "top"])
@pytest.mark.parametrize("warmup", [True, False])
def test_averages_of_equal_lengths_are_the_peers(
    model: ElmoModel, peer: dict[str, Array], layers: LayerWords, warmup: bool
) -> None:
    found = model.get_elmo_vector_average(EQUAL, warmup=warmup, layers=layers)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, peer[f"vector_average/{layers}/{warmup}"], rtol=0, atol=TOLERANCE)


def test_averages_of_other_lengths_are_the_peers_without_its_padding(model: ElmoModel, peer: dict[str, Array]) -> None:
    # At padding the LSTM layers are zero there, and the length cancels out; the token layer is not.
    top = model.get_elmo_vector_average(TEXTS, layers="top")
    np.testing.assert_allclose(top, peer["vector_average/padded/top"], rtol=0, atol=TOLERANCE)
    difference = np.abs(model.get_elmo_vector_average(TEXTS) - peer["vector_average/padded/average"]).max(axis=1)
    longest = [max(map(len, TEXTS[k - k % BATCH_SIZE :][:BATCH_SIZE])) for k in range(len(TEXTS))]
    for found, tokens, n in zip(difference, TEXTS, longest, strict=True):
        assert (found < TOLERANCE) == (len(tokens) == n)


def test_all_layers_are_averaged_without_the_peers_reshape(model: ElmoModel, peer: dict[str, Array]) -> None:
    one_token = model.get_elmo_vector_average([["Yes"]], layers="all")  # nothing to mix up there
    np.testing.assert_allclose(one_token, peer["vector_average/one_token"], rtol=0, atol=TOLERANCE)
    found = model.get_elmo_vector_average(EQUAL, layers="all")
    assert found.shape == peer["vector_average/all/True"].shape
    assert np.abs(found - peer["vector_average/all/True"]).max() > 0.1
    means = model.get_elmo_vectors(EQUAL, layers="all").mean(axis=2)
    np.testing.assert_allclose(found, means / np.linalg.norm(means, axis=(1, 2), keepdims=True), rtol=0, atol=1e-6)


def test_averages_have_length_one_and_empty_sentences_zeros(model: ElmoModel) -> None:
    found = model.get_elmo_vector_average([["a", "b"], []])
    assert np.linalg.norm(found[0]) == pytest.approx(1, abs=1e-6)
    assert not found[1].any()
    assert model.get_elmo_vectors([]).shape == (0, 0, 16)
    assert model.get_elmo_vectors([[]], layers="all").shape == (1, 3, 0, 16)
    assert model.get_elmo_vector_average([], layers="all").shape == (0, 3, 16)


def test_substitutes_are_the_likeliest_words_of_tensorflow() -> None:
    folder = FIXTURES / "language_model"
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    sentences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))["sentences"]
    with np.load(folder / "tensorflow.npz") as arrays:
        expected = dict(arrays)
    model = ElmoModel()
    model.load(folder, full=True)
    for nodelimiters in (True, False):
        answer: list[Any] = model.get_elmo_substitutes([" ".join(tokens) for tokens in sentences], 4, nodelimiters)
        for k, (tokens, found) in enumerate(zip(sentences, answer, strict=True)):
            assert [item["word"] for item in found] == tokens
            for direction, shift in (("forward", 0), ("backward", 2)):
                for t, item in enumerate(found):
                    log_probs = expected[f"{k}/{direction}/log_probs"][t + shift].copy()
                    if nodelimiters:
                        log_probs[:2] = -np.inf
                    best = np.argsort(-log_probs)[:4]
                    assert item[direction]["candidates"] == best.tolist()
                    assert item[direction]["candidate_words"] == [words[line] for line in best]
                    np.testing.assert_allclose(item[direction]["logp"], log_probs[best], rtol=0, atol=1e-5)
                    json.dumps(item)


def test_the_vectors_of_a_full_model_are_the_same() -> None:
    full, plain = ElmoModel(), ElmoModel()
    full.load(FIXTURES / "language_model", full=True)
    plain.load(FIXTURES / "language_model")
    np.testing.assert_array_equal(full.get_elmo_vectors(TEXTS), plain.get_elmo_vectors(TEXTS))


def test_wrong_use_is_an_error_with_a_remedy(model: ElmoModel, tmp_path: Path) -> None:
    empty = ElmoModel()
    for call in (empty.get_elmo_vectors, empty.get_elmo_vector_average):
        with pytest.raises(InputError, match=r"call load\(directory\) first"):
            call([["a"]])
    with pytest.raises(InputError, match=r"call load\(directory\) first"):
        empty.get_elmo_substitutes(["a"])
    with pytest.raises(InputError, match="full=True"):
        model.get_elmo_substitutes(["a"])
    with pytest.raises(InputError, match='"average", "top" or "all"'):
        model.get_elmo_vectors([["a"]], layers=0)  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match=r"split\(\)"):
        model.get_elmo_vectors("a sentence")
    with pytest.raises(InputError, match="max_batch_size"):
        empty.load(FIXTURES / "base", max_batch_size=0)
    with pytest.raises(ModelNotFoundError):
        empty.load(tmp_path / "nowhere")
    full = ElmoModel()
    full.load(FIXTURES / "language_model", full=True)
    assert full.get_elmo_substitutes([]) == []
    with pytest.raises(InputTypeError, match=r"give \[text\]"):
        full.get_elmo_substitutes("a sentence")
    with pytest.raises(InputTypeError, match="text 0 of raw_sentences must be a string, not list"):
        full.get_elmo_substitutes([["a"]])  # type: ignore[list-item]
