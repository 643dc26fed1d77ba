"""The biLM that AllenNLP's names share."""

from __future__ import annotations

import numpy as np
import pytest

from numpy_elmo import Elmo as NumpyElmo
from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.interfaces.allennlp import Elmo, ElmoBiLm, ElmoEmbedder, batch_to_ids
from tests.interfaces.test_allennlp import BATCH, TOLERANCE, VOCABULARY, assert_close, files, places


@pytest.fixture
def embedder() -> ElmoEmbedder:
    return ElmoEmbedder(*files())


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


def test_the_states_of_the_lstms_cannot_be_set_but_to_nothing(embedder: ElmoEmbedder) -> None:
    first, second = embedder.embed_batch(BATCH), embedder.embed_batch(BATCH)
    lstm = embedder.elmo_bilm.to(device="cpu")._elmo_lstm
    lstm._states = None
    np.testing.assert_array_equal(embedder.embed_batch(BATCH)[0], first[0])
    lstm._states = tuple(state for state in lstm._states)  # as Flair does after unpickling
    np.testing.assert_array_equal(embedder.embed_batch(BATCH)[0], second[0])
    with pytest.raises(InputError, match="cannot be set to tensors"):
        lstm._states = (np.zeros(3),)


def test_the_embedder_and_its_bilm_share_a_state(embedder: ElmoEmbedder) -> None:
    expected = [embedder.embed_sentence(["two", "rows"]) for _ in range(2)][1]
    embedder.reset_states()
    output = embedder.elmo_bilm(batch_to_ids([["two", "rows"]]))
    assert output["mask"].tolist() == [[True] * 4]
    assert [layer.shape for layer in output["activations"]] == [(1, 4, 16)] * 3
    np.testing.assert_allclose(embedder.embed_sentence(["two", "rows"]), expected, rtol=0, atol=TOLERANCE)
    assert ElmoEmbedder(*files(), cuda_device=2).cuda_device == 2
    assert embedder.elmo_bilm._token_embedder._weight_file == files()[1]
    assert embedder.elmo_bilm._token_embedder._options["lstm"]["n_layers"] == 2


def test_all_layers_with_boundaries_come_from_ids(base: NumpyElmo) -> None:
    bilm = ElmoBiLm(*files())
    output = bilm.eval()(batch_to_ids(BATCH))
    assert (bilm.num_layers, bilm.get_output_dim()) == (3, 16)
    assert output["mask"].sum(axis=1).tolist() == [4, 7]
    for k, expected in enumerate(base.embed(BATCH, boundaries=True)):
        for layer, found in zip(expected, output["activations"], strict=True):
            np.testing.assert_allclose(found[k, : len(layer)], layer, rtol=0, atol=TOLERANCE)
            assert not found[k, len(layer) :].any()
    mixed = Elmo(None, None, 1, module=ElmoBiLm(*files()))(batch_to_ids(BATCH))
    np.testing.assert_array_equal(
        mixed["elmo_representations"][0], Elmo(*files(), 1)(batch_to_ids(BATCH))["elmo_representations"][0]
    )
    with pytest.raises(InputTypeError, match="must be paths, not None"):
        Elmo(None, None, 1)
