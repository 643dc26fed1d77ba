"""The sentences to embed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Sentences = list[list[str]]

SAMPLE = Path(__file__).with_name("sample.txt")


class MadeCorpus:
    """Random sentences of 1 to 25 words from Zipf's law with exponent 1.3: as in text, new words keep coming.

    Attributes
    ----------
    n_tokens : int
        Tokens yielded so far.
    seen : ndarray of bool
        Whether each word has been yielded.
    """

    N_WORDS = 400_000
    AT_ONCE = 1000  # sentences drawn at once

    def __init__(self, n_sentences: int) -> None:
        self.n_sentences = n_sentences
        self.n_tokens = 0
        self.seen = np.zeros(self.N_WORDS, bool)
        self._cumulative = np.cumsum((np.arange(self.N_WORDS) + 2.7) ** -1.3)
        self._cumulative /= self._cumulative[-1]

    def __iter__(self) -> Iterator[list[str]]:
        generator = np.random.default_rng(0)
        for start in range(0, self.n_sentences, self.AT_ONCE):
            lengths = generator.integers(1, 26, min(self.AT_ONCE, self.n_sentences - start))
            words = np.searchsorted(self._cumulative, generator.random(lengths.sum()))
            self.seen[words] = True
            self.n_tokens += len(words)
            for sentence in np.split(words, np.cumsum(lengths)[:-1]):
                yield [f"{word:x}" for word in sentence.tolist()]


def read_sentences(path: Path) -> Sentences:
    """Read one tokenised sentence per line, without blank lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [tokens for line in lines if (tokens := line.split())]


def describe(sentences: Sentences) -> dict[str, Any]:
    """Return what speed depends on: the lengths of sentences, and the share of distinct tokens."""
    tokens = [token for sentence in sentences for token in sentence]
    return {
        "sentences": len(sentences),
        "tokens": len(tokens),
        "mean_tokens": len(tokens) / len(sentences),
        "longest": max(map(len, sentences)),
        "distinct_tokens": len(set(tokens)) / len(tokens),
    }
