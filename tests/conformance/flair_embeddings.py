"""Run by hand, for Flair wants an older conllu than the tests: see `clients.py`.

Flair's ELMoEmbeddings, as released, on the names that `allennlp.install` registers."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator

import numpy as np
import pytest

from numpy_elmo import load
from numpy_elmo.files.published import find
from numpy_elmo.interfaces import allennlp

pytestmark = pytest.mark.slow
OPTIONS, WEIGHTS = str(find("tiny") / "options.json"), str(find("tiny") / "weights.hdf5")
TOLERANCE = 2e-6


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    allennlp.install()
    yield
    allennlp.uninstall()


@pytest.mark.filterwarnings("ignore")  # of Flair's dependencies
def test_flair_embeds_and_its_embeddings_are_copied_and_saved() -> None:
    pytest.importorskip("flair")
    import torch  # noqa: PLC0415
    from flair.data import Sentence  # noqa: PLC0415
    from flair.embeddings.legacy import ELMoEmbeddings  # noqa: PLC0415

    words = ["They", "sat", "on", "the", "river", "bank"]
    embeddings = ELMoEmbeddings("tiny", OPTIONS, WEIGHTS)
    embeddings.ee.elmo_bilm._elmo_lstm.stateful = False
    file = io.BytesIO()
    torch.save(embeddings, file)
    file.seek(0)
    [expected] = load("tiny").embed([words])
    for each in (embeddings, copy.deepcopy(embeddings), torch.load(file, weights_only=False)):
        sentence = Sentence(words)
        each.embed(sentence)
        for k, token in enumerate(sentence):
            np.testing.assert_allclose(token.embedding.numpy(), expected[:, k].reshape(-1), rtol=0, atol=TOLERANCE)
