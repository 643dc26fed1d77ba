"""Neither the order of the sentences nor earlier calls change a bit, where no state is carried.

Interfaces that carry a state run the rows of a batch in the order given.  There, order changes no bit if the model
is reproducible on this machine, and else the last bits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numpy_elmo import load
from numpy_elmo.files.published import find
from numpy_elmo.interfaces import hub
from numpy_elmo.interfaces.allennlp import Elmo, ElmoEmbedder, batch_to_ids
from numpy_elmo.interfaces.bilm import BidirectionalLanguageModel
from numpy_elmo.interfaces.simple_elmo import ElmoModel
from numpy_elmo.interfaces.sklearn import ElmoVectorizer

WORDS = [
    "the",
    "a",
    "river",
    "bank",
    "money",
    "ship",
    "sails",
    "lent",
    "sat",
    "on",
    "by",
    "under",
    "old",
    "storm",
    "soup",
]
RNG = np.random.default_rng(0)
SENTENCES = [[*map(str, RNG.choice(WORDS, n))] for n in RNG.integers(1, 25, 90)]
OTHER = [[*map(str, RNG.choice(WORDS, n)), f"unseen{n}"] for n in RNG.integers(1, 25, 40)]
FILES = find("tiny") / "options.json", find("tiny") / "weights.hdf5"


def _texts(sentences: list[list[str]]) -> list[str]:
    return [" ".join(tokens) for tokens in sentences]


def _hub() -> Callable[[list[list[str]]], list[Any]]:
    module = hub.Module("tiny")
    return lambda sentences: list(module(_texts(sentences)))


def _hub_tokens() -> Callable[[list[list[str]]], list[Any]]:
    signature = hub.load("tiny").signatures["default"]

    def call(sentences: list[list[str]]) -> list[Any]:
        padded = signature(_texts(sentences))["elmo"]
        return [row[: len(tokens)] for row, tokens in zip(padded, sentences, strict=True)]

    return call


def _vectorizer() -> Callable[[list[list[str]]], list[Any]]:
    vectorizer = ElmoVectorizer("tiny", layers="all", pooling="mean", batch_size=16)
    return lambda sentences: list(vectorizer.transform(_texts(sentences)))


def _spacy() -> Callable[[list[list[str]]], list[Any]]:
    import spacy  # noqa: PLC0415 -- a library of [dev]

    nlp = spacy.blank("en")
    nlp.add_pipe("elmo")
    return lambda sentences: [doc.tensor for doc in nlp.pipe(_texts(sentences), batch_size=len(SENTENCES))]


def _embedder() -> Callable[[list[list[str]]], list[Any]]:
    embedder = ElmoEmbedder(*FILES)

    def call(sentences: list[list[str]]) -> list[Any]:
        embedder.reset_states()
        return embedder.embed_batch(sentences)

    return call


def _elmo() -> Callable[[list[list[str]]], list[Any]]:
    elmo = Elmo(*FILES, 1)
    elmo._elmo_lstm._elmo_lstm.stateful = False

    def call(sentences: list[list[str]]) -> list[Any]:
        padded = elmo(batch_to_ids(sentences))["elmo_representations"][0]
        return [row[: len(tokens)] for row, tokens in zip(padded, sentences, strict=True)]

    return call


def _simple_elmo() -> Callable[[list[list[str]]], list[Any]]:
    model = ElmoModel()
    model.load("tiny", max_batch_size=len(SENTENCES))

    def call(sentences: list[list[str]]) -> list[Any]:
        padded = model.get_elmo_vectors(sentences, warmup=False, layers="all")
        return [row[:, : len(tokens)] for row, tokens in zip(padded, sentences, strict=True)]

    return call


def _bilm() -> Callable[[list[list[str]]], list[Any]]:
    bilm = BidirectionalLanguageModel(*FILES)

    def call(sentences: list[list[str]]) -> list[Any]:
        bilm.reset_states()
        ids = batch_to_ids([["<S>", *tokens, "</S>"] for tokens in sentences])
        padded = bilm(ids)["lm_embeddings"]
        return [row[:, : len(tokens)] for row, tokens in zip(padded, sentences, strict=True)]

    return call


MAKERS = {
    "hub.Module": _hub,
    "hub.load": _hub_tokens,
    "ElmoVectorizer": _vectorizer,
    "spaCy": _spacy,
    "allennlp.ElmoEmbedder": _embedder,
    "allennlp.Elmo": _elmo,
    "simple_elmo": _simple_elmo,
    "bilm": _bilm,
}
NAMES = [pytest.param(name, marks=pytest.mark.slow if name == "spaCy" else ()) for name in MAKERS]
IN_THE_ORDER_GIVEN = {"allennlp.ElmoEmbedder", "allennlp.Elmo", "simple_elmo", "bilm"}


@pytest.mark.parametrize("name", NAMES)
def test_shuffled_input_gives_the_same_bytes(name: str) -> None:
    order = np.random.default_rng(1).permutation(len(SENTENCES))
    expected = MAKERS[name]()(copy.deepcopy(SENTENCES))
    found = MAKERS[name]()([SENTENCES[k] for k in order])
    exact = name not in IN_THE_ORDER_GIVEN or load("tiny").reproducible
    for place, k in enumerate(order):
        if exact:
            assert found[place].tobytes() == expected[k].tobytes(), k
        else:
            np.testing.assert_allclose(found[place], expected[k], rtol=0, atol=5e-6)


@pytest.mark.parametrize("name", NAMES)
def test_earlier_calls_change_no_byte(name: str) -> None:
    expected = MAKERS[name]()(SENTENCES)
    call = MAKERS[name]()
    call(SENTENCES[7:40])
    call(OTHER)
    for one, other in zip(call(SENTENCES), expected, strict=True):
        assert one.tobytes() == other.tobytes()
