"""The interface of AllenNLP against what its own module gave, its how-to, and what is an error here and not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_elmo.interfaces.allennlp import Elmo, ElmoEmbedder, ElmoOutput, ScalarMix, batch_to_ids
from tests.tensorflow_outputs import FIXTURES

TOLERANCE = 2e-6

FOLDER = FIXTURES / "interfaces_allennlp"
RECORD = json.loads((FOLDER / "record.json").read_text(encoding="utf-8"))
BATCHES = [[sentence.split() for sentence in batch] for batch in RECORD["batches"]]
VOCABULARY = RECORD["vocabulary"]
RUNS = [(name, model) for name, run in RECORD["runs"].items() for model in run["models"]]
BATCH = [["two", "rows"], ["He", "sat", "on", "the", "bank"]]


def files(model: str = "base") -> tuple[Path, Path]:
    return FIXTURES / model / "options.json", FIXTURES / model / "weights.hdf5"


@pytest.fixture(scope="module")
def peer() -> dict[str, Any]:
    with np.load(FOLDER / "allennlp.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def embedder() -> ElmoEmbedder:
    return ElmoEmbedder(*files())


def assert_close(found: Any, expected: Any) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def assert_is_the_peers(output: ElmoOutput, peer: dict[str, Any], name: str) -> None:
    np.testing.assert_array_equal(output["mask"], peer[f"{name}/mask"])
    assert output["mask"].dtype == peer[f"{name}/mask"].dtype
    representations = output["elmo_representations"]
    assert len(representations) == sum(key.startswith(f"{name}/") for key in peer) - 1
    for k, found in enumerate(representations):
        assert_close(found, peer[f"{name}/{k}"])  # at padding too


def places(batch: list[list[str]]) -> Any:
    ids = np.zeros((len(batch), max(map(len, batch))), dtype=np.int64)
    for row, sentence in zip(ids, batch, strict=True):
        row[: len(sentence)] = [VOCABULARY.index(word) for word in sentence]
    return ids


# -- the peer's numbers ----------------------------------------------------------------------------------------------


def test_ids_are_the_peers(peer: dict[str, Any]) -> None:
    for k, batch in enumerate(BATCHES):
        found = batch_to_ids(batch)
        np.testing.assert_array_equal(found, peer[f"ids/{k}"])
        assert found.dtype == peer[f"ids/{k}"].dtype


@pytest.mark.parametrize(("run", "model"), RUNS)
def test_elmo_gives_the_peers_vectors_batch_after_batch(run: str, model: str, peer: dict[str, Any]) -> None:
    settings = RECORD["runs"][run]["settings"]
    scalars = RECORD["scalars"][model] if run == "scalars" or settings.get("do_layer_norm") else None
    elmo = Elmo(*files(model), scalar_mix_parameters=scalars, **settings)
    for k, batch in enumerate(BATCHES):
        words = places(batch) if "vocab_to_cache" in settings else None
        assert_is_the_peers(elmo(batch_to_ids(batch), words), peer, f"{run}/{model}/{k}")


@pytest.mark.parametrize("model", ["base", "three_layers"])
def test_elmo_embedder_gives_the_peers_vectors_batch_after_batch(model: str, peer: dict[str, Any]) -> None:
    as_arrays, as_lists = ElmoEmbedder(*files(model)), ElmoEmbedder(*files(model))
    for k, batch in enumerate(BATCHES):
        expected, mask = peer[f"embedder/{model}/{k}/activations"], peer[f"embedder/{model}/{k}/mask"]
        activations, found_mask = as_arrays.batch_to_embeddings(batch)
        assert_close(activations, expected)
        np.testing.assert_array_equal(found_mask, mask)
        for vectors, row, sentence in zip(as_lists.embed_batch(batch), expected, batch, strict=True):
            assert_close(vectors, row[:, : len(sentence)])


def test_trained_mixes_are_set_by_their_attributes(peer: dict[str, Any]) -> None:
    elmo = Elmo(*files(), num_output_representations=2)
    for name, (scalars, gamma) in RECORD["trained"].items():
        mix = getattr(elmo, name)
        mix.scalar_parameters[:] = scalars
        mix.gamma = gamma
    assert_is_the_peers(elmo(batch_to_ids(BATCHES[0])), peer, "trained/base/0")


def test_ids_may_have_more_axes_in_front(peer: dict[str, Any]) -> None:
    ids = batch_to_ids([sentence.split() for group in RECORD["nested"] for sentence in group])
    elmo = Elmo(*files(), num_output_representations=1)
    assert_is_the_peers(elmo(ids.reshape(2, 2, *ids.shape[1:])), peer, "nested/base/0")


@pytest.mark.parametrize(("name", "layer_norm"), [("plain", False), ("layer_norm", True)])
def test_a_scalar_mix_alone_is_the_peers(name: str, layer_norm: bool, peer: dict[str, Any]) -> None:
    mix = ScalarMix(3, do_layer_norm=layer_norm, initial_scalar_parameters=RECORD["scalars"]["base"])
    for mask in (peer["mix/mask"], peer["mix/mask"].astype(int)):
        assert_close(mix(list(peer["mix/layers"]), mask), peer[f"mix/{name}"])


# -- states ----------------------------------------------------------------------------------------------------------


def test_states_go_on_until_they_are_reset(embedder: ElmoEmbedder) -> None:
    first, second = embedder.embed_batch(BATCH), embedder.embed_batch(BATCH)
    assert not np.array_equal(first[0], second[0])
    embedder.reset_states()
    np.testing.assert_array_equal(embedder.embed_batch(BATCH)[0], first[0])
    elmo, ids = Elmo(*files(), num_output_representations=1), batch_to_ids(BATCH)
    [before], [after] = elmo(ids)["elmo_representations"], elmo(ids)["elmo_representations"]
    assert not np.array_equal(before, after)
    elmo.reset_states()
    np.testing.assert_array_equal(elmo(ids)["elmo_representations"][0], before)


def test_an_empty_sentence_moves_a_state_on_only_beside_others(embedder: ElmoEmbedder) -> None:
    first = embedder.embed_sentence(["two", "rows"])
    embedder.reset_states()
    assert embedder.embed_batch([[]])[0].shape == embedder.embed_sentence([]).shape == (3, 0, 16)
    np.testing.assert_array_equal(embedder.embed_sentence(["two", "rows"]), first)
    embedder.reset_states()
    empty, _ = embedder.embed_batch([[], ["Yes"]])
    assert empty.shape == (3, 0, 16)
    assert empty.dtype == np.float32
    assert not np.array_equal(embedder.embed_sentence(["two", "rows"]), first)
    assert embedder.embed_batch([]) == []


def test_embed_sentences_reads_a_batch_at_a_time_and_keeps_the_order(embedder: ElmoEmbedder) -> None:
    sentences = [sentence for batch in BATCHES for sentence in batch]
    expected = [vectors for k in range(0, len(sentences), 3) for vectors in embedder.embed_batch(sentences[k : k + 3])]
    embedder.reset_states()
    read: list[int] = []

    def reading() -> Iterator[list[str]]:
        for k, sentence in enumerate(sentences):
            read.append(k)
            yield sentence

    lazy = embedder.embed_sentences(reading(), batch_size=3)
    assert read == []
    found = [next(lazy)]
    assert read == [0, 1, 2]
    found += lazy
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs)


# -- the cache of words ----------------------------------------------------------------------------------------------


def test_cached_words_need_no_characters_and_words_outside_fall_back_to_them() -> None:
    batch = [["the", "point"], ["Yes"]]
    elmo = Elmo(*files(), num_output_representations=1, vocab_to_cache=VOCABULARY)
    [expected] = elmo(batch_to_ids(batch))["elmo_representations"]
    for inputs, words in (
        (places(batch), places(batch)),
        (batch_to_ids(batch), [[len(VOCABULARY), 1], [2, 0]]),
        (batch_to_ids(batch), [[-1, 1], [2, 0]]),
    ):
        elmo.reset_states()
        assert_close(elmo(inputs, words)["elmo_representations"][0], expected)
    without_cache = Elmo(*files(), num_output_representations=1)
    assert_close(without_cache(batch_to_ids(batch), places(batch))["elmo_representations"][0], expected)
