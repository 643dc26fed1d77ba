"""What is printed of a public object fits into a line or two, whatever it holds."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from numpy_elmo import CarriedState, CorpusReport, LanguageModel, ScalarMix, corpus
from numpy_elmo.analysis.convert import Conversion
from numpy_elmo.analysis.neighbors import Neighbor
from numpy_elmo.analysis.pairs import Accuracy, MinimalPair, score_pairs
from numpy_elmo.analysis.verify import Check, FoundFile, VerifyReport
from numpy_elmo.interfaces import hub
from numpy_elmo.interfaces.sklearn import ElmoVectorizer
from numpy_elmo.language_model import SurprisalRow, WordScore
from tests.agreement.tensorflow_outputs import FIXTURES

MODULES = [
    "numpy_elmo",
    "numpy_elmo.corpus",
    "numpy_elmo.language_model",
    *(f"numpy_elmo.analysis.{name}" for name in ("convert", "neighbors", "pairs", "plots", "spans", "verify")),
    *(
        f"numpy_elmo.interfaces.{name}"
        for name in ("allennlp", "bilm", "elmo_bilm", "hub", "seqvec", "simple_elmo", "sklearn")
    ),
]


def classes_with_a_repr() -> set[type]:
    """The public classes that print more than their name; not dicts of other packages, arrays and errors."""
    found = set()
    for module_name in MODULES:
        module = import_module(module_name)
        listed = getattr(module, "__all__", None)
        for name in listed or [name for name in vars(module) if not name.startswith("_")]:
            item = getattr(module, name)
            if inspect.isclass(item) and (listed or item.__module__ == module_name):
                found.add(item)
    return {item for item in found if not issubclass(item, (BaseException, dict, np.ndarray))} - {
        item for item in found if item.__repr__ is object.__repr__
    }


def test_no_public_object_prints_its_arrays(tmp_path: Path) -> None:
    model = LanguageModel.load(FIXTURES / "language_model")
    elmo, state, report = model.elmo, CarriedState(), CorpusReport()
    words = [f"word{k}" for k in range(500)]
    sentences = [words, ["the", "bank"], *([word] for word in words)]
    with corpus.VectorFile(tmp_path / "vectors.hdf5") as file:
        for tokens, vectors in zip(sentences, elmo.embed_corpus(sentences, state=state, report=report), strict=True):
            file.write(tokens, vectors)
    module = hub.load(FIXTURES / "base")
    check = Check("a layer", 1.0, 2.0, 1.0, 0.1, ok=False)
    with corpus.load_embeddings(tmp_path / "vectors.hdf5") as stored:
        objects: list[Any] = [
            *(elmo, model, state, report, ScalarMix(np.zeros(3)), stored),
            corpus.WordVectors(words, np.zeros((500, 8))),
            *(*model.log_probs([words]), *model.surprisal([words]), model.perplexity(sentences)),
            score_pairs(model, [MinimalPair(("the",), ("bank",))] * 500),
            VerifyReport("a folder", None, (check,) * 500, ("a note",) * 500, ()),
            *(module, module.signatures["default"](["a"] * 500)),
            # Records of a few words and numbers each.
            *(
                check,
                FoundFile("weights.hdf5", 1, "0"),
                Conversion(tmp_path, ("weights.hdf5",), 0.0),
                WordScore("word", -1.0),
            ),
            *(MinimalPair(("the",), ("bank",)), Accuracy("all", "all", 1, 0, 0, 1.0, 1.0, 1.0)),
            *(Neighbor(1.0, 1, 0, ["the"]), SurprisalRow(0, 0, "word", 1.0, 1.0, 1.0, 1, unknown=False)),
            *(hub.TensorInfo(np.dtype("float32"), (None, 3)), ElmoVectorizer("tiny")),
        ]
        assert classes_with_a_repr() <= set(map(type, objects))
        # What public objects are made of.
        objects += [elmo.trace(words), state.rows, elmo.bilm, elmo.bilm.forward, *elmo.bilm.forward.layers]
        objects += [elmo.encoder, elmo.encoder.layers, elmo.encoder.layers.char_cnn, *elmo.encoder.layers.highways]
        for item in objects:
            assert len(repr(item).replace(str(tmp_path), "")) <= 200, repr(item)
            assert "array(" not in repr(item), repr(item)
            assert "\n" not in repr(item), repr(item)
