"""Programs that were written for AllenNLP, run unchanged: SeqVec's own, bio_embeddings, LAMA and camphr.

Their requirements are older than this package's, so they are installed without them, and no test run collects this
file::

    pip install "numpy_elmo[torch,test]" biopython appdirs "ruamel.yaml<0.18"
    pip install --no-deps seqvec==0.4.1 bio_embeddings==0.1.6 camphr==0.5.23
    pip install --no-deps git+https://github.com/facebookresearch/LAMA
    python -m pytest -m slow tests/conformance/clients.py
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from numpy_elmo import LanguageModel, load
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


PROTEINS = {"P1": "MGSSHHHHSSGLVPR", "P2": "SSGL"}


def test_seqvecs_program_writes_the_vectors_of_proteins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seqvec = importlib.import_module("seqvec.seqvec")
    text = "".join(f">sp|{name}|x\n{sequence}\n" for name, sequence in PROTEINS.items())
    (tmp_path / "in.fasta").write_text(text, encoding="utf-8")
    arguments = ["-i", tmp_path / "in.fasta", "-o", tmp_path / "out.npz", "--model", find("tiny"), "--cpu", "--protein"]
    monkeypatch.setattr(sys, "argv", ["seqvec", *map(str, arguments), "--batchsize", "1"])
    seqvec.main()
    with np.load(tmp_path / "out.npz") as found:
        assert set(found) == set(PROTEINS)
        # Batches of one, the shortest first, carry the state on.
        embedder = allennlp.ElmoEmbedder(OPTIONS, WEIGHTS)
        for name in sorted(PROTEINS, key=lambda name: len(PROTEINS[name])):
            expected = embedder.embed_sentence(list(PROTEINS[name])).sum(axis=0).mean(axis=0)
            np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_bio_embeddings_embeds_proteins() -> None:
    module = importlib.import_module("bio_embeddings.embed.seqvec_embedder")
    embedder = module.SeqVecEmbedder(weights_file=WEIGHTS, options_file=OPTIONS, device="cpu", warmup_rounds=2)
    expected = allennlp.ElmoEmbedder(OPTIONS, WEIGHTS)
    for _ in range(2):
        expected.embed_sentence(list(module._warmup_seq))
    for sequence in PROTEINS.values():
        found = embedder.embed(sequence)
        np.testing.assert_allclose(found, expected.embed_sentence(list(sequence)), rtol=0, atol=TOLERANCE)
    assert embedder.reduce_per_protein(found).shape == found.shape[-1:]
    assert [len(vectors[0]) for vectors in embedder.embed_many(PROTEINS.values(), 10)] == [15, 4]


def alone(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module without its packages' other modules, which import more of AllenNLP or libraries of their own."""
    for package in (name.rpartition(".")[0], name.rpartition(".")[0].partition(".")[0]):
        spec = importlib.util.find_spec(name.partition(".")[0])
        assert spec is not None
        [folder] = spec.submodule_search_locations or []
        module = ModuleType(package)
        module.__path__ = [str(Path(folder, *package.split(".")[1:]))]
        module.__spec__ = spec
        monkeypatch.setitem(sys.modules, package, module)
    return importlib.import_module(name)


def test_lama_asks_for_words_and_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("options.json", "weights.hdf5", "softmax_weights.hdf5", "vocab.txt"):
        shutil.copy(find("tiny") / name, tmp_path / f"tiny_{name}")
    arguments = {"elmo_model_name": "tiny", "elmo_vocab_name": "tiny_vocab.txt", "elmo_warm_up_cycles": 1}
    connector = alone("lama.modules.elmo_connector", monkeypatch)
    model = connector.Elmo(argparse.Namespace(elmo_model_dir=str(tmp_path), **arguments))
    texts = ["They sat on the river bank .", "The bank lent them some money to buy a ship ."]
    [found, ids, masked] = model.get_batch_generation([[text] for text in texts])
    assert masked == [[], []]
    for k, scores in enumerate(LanguageModel.load("tiny").log_probs([text.split() for text in texts])):
        for t, (forward, backward) in enumerate(zip(scores.forward, scores.backward, strict=True)):
            assert float(found[k, t + 1, ids[k][t + 1]]) == pytest.approx((forward + backward) / 2, abs=1e-4)
    assert model.get_batch_generation([["They sat on the [MASK] bank ."]])[2] == [[5]]
    model.elmo_lstm._elmo_lstm.reset_states()
    activations, lengths, tokens = model.get_contextual_embeddings([[text] for text in texts])
    assert tokens == [text.split() for text in texts]
    for k, expected in enumerate(load("tiny").embed(tokens, boundaries=True)):
        assert lengths[k] == expected.shape[1] - 2
        for layer, vectors in zip(activations, expected, strict=True):
            np.testing.assert_allclose(layer[k, : len(vectors)], vectors, rtol=0, atol=1e-5)


def test_camphr_sets_vectors_and_saves_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import spacy.training  # noqa: PLC0415

    # It was written for spaCy 2, which had these two names.
    monkeypatch.setattr(spacy, "component", lambda *_, **__: lambda component: component, raising=False)
    monkeypatch.setitem(sys.modules, "spacy.gold", spacy.training)
    module = alone("camphr.pipelines.elmo", monkeypatch)
    component, restored = module.Elmo(module.Elmo.Model(OPTIONS, WEIGHTS)), module.Elmo()
    component.to_disk(tmp_path / "saved")
    restored.from_disk(tmp_path / "saved")
    sentences = [["They", "sat", "on", "the", "river", "bank", "."], ["Yes", "."]]
    expected = load("tiny").embed(sentences)
    for each in (component, restored):
        docs = [spacy.tokens.Doc(spacy.vocab.Vocab(), words=words) for words in sentences]
        each.set_annotations(docs, each.predict(docs))
        for doc, vectors in zip(docs, expected, strict=True):
            np.testing.assert_allclose(doc.user_data["elmo"], vectors, rtol=0, atol=1e-5)
            np.testing.assert_array_equal(doc[1].vector, doc.tensor[1])
