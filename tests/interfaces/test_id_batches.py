"""Batches of ids: which tokens are there, and what cannot be meant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.interfaces.allennlp import Elmo, batch_to_ids
from tests.interfaces.test_allennlp import BATCH, VOCABULARY, files

IDS = batch_to_ids(BATCH)


@pytest.mark.parametrize(
    ("inputs", "words", "kind", "message"),
    [
        (IDS.astype(float), None, InputTypeError, "must be integers"),
        (IDS[0], None, InputError, r"shape \(\.\.\., T, 50\), not \(5, 50\)"),
        (IDS[:, :, :20], None, InputError, r"max_characters=50"),
        (IDS[:0], None, InputError, "no sentence"),
        (IDS + 1, None, InputError, r"0\.\.261"),
        (IDS[:, ::-1], None, InputError, "before or between its tokens"),
        (IDS, [[1, 0, 2], [1, 2, 3]], InputError, "before or between its tokens"),
        (IDS, [1, 2], InputError, "at least two axes"),
        (IDS, [[0.5]], InputTypeError, "vocab_to_cache"),
    ],
)
def test_unusable_ids_are_named_and_leave_the_states(
    inputs: Any, words: Any, kind: type[Exception], message: str
) -> None:
    elmo = Elmo(*files(), 1, vocab_to_cache=VOCABULARY)
    [expected] = elmo(IDS)["elmo_representations"]
    elmo.reset_states()
    with pytest.raises(kind, match=message):
        elmo(inputs, words)
    np.testing.assert_array_equal(elmo(IDS)["elmo_representations"][0], expected)


def test_a_batch_of_empty_sentences_runs_its_boundaries() -> None:
    elmo = Elmo(*files(), 1, keep_sentence_boundaries=True)
    output = elmo(batch_to_ids([[], []]))
    assert output["mask"].tolist() == [[True, True], [True, True]]
    [vectors] = output["elmo_representations"]
    assert vectors.shape == (2, 2, 16)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert Elmo(*files(), 1)(batch_to_ids([[], []]))["elmo_representations"][0].shape == (2, 0, 16)
