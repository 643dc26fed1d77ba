"""The results of the language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class WordScore(NamedTuple):
    """A word and its log-probability, or its score where the method says so.

    Attributes
    ----------
    word : str
        The word.
    log_prob : float
        Natural logarithm.
    """

    word: str
    log_prob: float


@dataclass(frozen=True)
class SentenceLogProbs:
    """How likely a sentence is, token by token, read from the left and from the right.

    Attributes
    ----------
    tokens : tuple of str
        The sentence's tokens, n of them.
    forward : ndarray of float64, shape (n,)
        Log-probability of each token after all tokens before it.
    backward : ndarray of float64, shape (n,)
        Log-probability of each token before all tokens after it.
    end : float
        Log-probability of ``</S>`` after the last token: that the sentence ends there.
    start : float
        Log-probability of ``<S>`` before the first token: that the sentence begins there.
    unknown : tuple of int
        Positions of tokens that the vocabulary lacks; their log-probabilities are those of ``<UNK>``.
    restricted : bool
        Whether probabilities are normalised over a part of the vocabulary, not over all of it.
    """

    tokens: tuple[str, ...]
    forward: npt.NDArray[np.float64]
    backward: npt.NDArray[np.float64]
    end: float
    start: float
    unknown: tuple[int, ...]
    restricted: bool

    def __repr__(self) -> str:
        forward, backward = self.forward.sum() + self.end, self.backward.sum() + self.start
        return f"<SentenceLogProbs: {len(self.tokens)} tokens, log p {forward:.2f} forward, {backward:.2f} backward>"

    @property
    def both(self) -> npt.NDArray[np.float64]:
        """Forward and backward log-probabilities as one array, shape (2, n)."""
        return np.stack([self.forward, self.backward])


@dataclass(frozen=True)
class Perplexity:
    """Perplexity of a text.

    Attributes
    ----------
    forward, backward : float
        ``exp(-mean log p)`` over all predictions of the direction.
    average : float
        ``exp(-mean log p)`` over the predictions of both directions, the number that bilm-tf prints.  It is the
        geometric mean of the two.
    n_sentences, n_tokens : int
        What was read.
    n_predictions : int
        Predictions of each direction: every token, and one boundary a sentence (``</S>`` forward, ``<S>`` backward).
    n_unknown : int
        Tokens that the vocabulary lacks, scored as ``<UNK>``.  A text with many of them has a perplexity that says
        little, since ``<UNK>`` is easy to predict.
    restricted : bool
        Whether probabilities are normalised over a part of the vocabulary, not over all of it.  Such a perplexity
        compares with none of the full vocabulary.
    """

    forward: float
    backward: float
    average: float
    n_sentences: int
    n_tokens: int
    n_predictions: int
    n_unknown: int
    restricted: bool

    def __repr__(self) -> str:
        directions = f"forward {self.forward:.2f}, backward {self.backward:.2f}"
        return f"<Perplexity: {self.average:.2f} ({directions}), {self.n_tokens} tokens, {self.n_unknown} unknown>"
