"""Train a part-of-speech tagger on ELMo vectors, with PyTorch: ``python conllu_tagger.py train.conllu dev.conllu``.

It prints the accuracy on the second file.  It needs ``pip install "numpy_elmo[torch]" conllu``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import conllu
import torch

from numpy_elmo.files.published import find
from numpy_elmo.interfaces.torch import Elmo, batch_to_ids

MODEL = find("tiny")
BATCH_SIZE = 32


class Tagger(torch.nn.Module):
    """Scores of all tags from a mix of ELMo's layers."""

    def __init__(self, n_tags: int) -> None:
        super().__init__()
        self.elmo = Elmo(MODEL / "options.json", MODEL / "weights.hdf5", 1, dropout=0.2)
        self.tag = torch.nn.Linear(self.elmo.get_output_dim(), n_tags)

    def forward(self, sentences: list[list[str]]) -> tuple[Any, Any]:
        """Return the scores, (B, T, n_tags), and the mask, (B, T)."""
        self.elmo.reset_states()  # a sentence's tags do not depend on the batch before
        output = self.elmo(batch_to_ids(sentences))
        return self.tag(output["elmo_representations"][0]), output["mask"]


def read(path: str) -> tuple[list[list[str]], list[list[str]]]:
    """Return the words and the tags of every sentence."""
    sentences = conllu.parse(Path(path).read_text(encoding="utf-8"))
    rows = [[token for token in sentence if isinstance(token["id"], int)] for sentence in sentences]
    return [[row["form"] for row in words] for words in rows], [[row["upos"] for row in words] for words in rows]


def train(words: list[list[str]], tags: list[list[str]], epochs: int = 8) -> tuple[Tagger, list[str]]:
    """Return a trained tagger and its tags."""
    torch.manual_seed(0)
    names = sorted({tag for sentence in tags for tag in sentence})
    tagger = Tagger(len(names))
    optimizer = torch.optim.Adam(tagger.parameters(), lr=0.03)
    tagger.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(words)).split(BATCH_SIZE):
            scores, mask = tagger([words[k] for k in batch])
            target = torch.tensor([names.index(tag) for k in batch for tag in tags[k]])
            loss = torch.nn.functional.cross_entropy(scores[mask], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return tagger.eval(), names


def accuracy(tagger: Tagger, names: list[str], words: list[list[str]], tags: list[list[str]]) -> float:
    """Return the share of words with the right tag."""
    with torch.no_grad():
        scores, mask = tagger(words)
    found = [names[k] for k in scores.argmax(dim=-1)[mask]]
    expected = [tag for sentence in tags for tag in sentence]
    return sum(a == b for a, b in zip(found, expected, strict=True)) / len(expected)


if __name__ == "__main__":
    trained, tag_names = train(*read(sys.argv[1]))
    print(f"{accuracy(trained, tag_names, *read(sys.argv[2])):.1%} of the tags are right")
