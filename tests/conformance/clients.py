"""Programs for proteins, written for AllenNLP and run unchanged: SeqVec's own and bio_embeddings, as released.

Their requirements are older than this package's, so they are installed without them, and no test run collects this
file::

    pip install "numpy_elmo[torch,test]" biopython appdirs "ruamel.yaml<0.18"
    pip install --no-deps seqvec==0.4.1 bio_embeddings==0.1.6
    python -m pytest -m slow tests/conformance/clients.py
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

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
    assert embedder.reduce_per_protein(found).shape == (192,)
    assert [len(vectors[0]) for vectors in embedder.embed_many(PROTEINS.values(), 10)] == [15, 4]
