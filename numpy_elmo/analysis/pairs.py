r"""Minimal pairs: how often a language model prefers the grammatical of two sentences.

A pair is two sentences that differ in one point of grammar.  The model is right if the grammatical one is likelier:

.. math:: \log p(w_1 \ldots w_{n+1}) = \sum_t \log p(w_t \mid w_0 \ldots w_{t-1})

forward, with ``</S>`` as the last word, and the same backward, with ``<S>``.  The files are those of BLiMP.

References
----------
Warstadt et al. 2020, "BLiMP: The Benchmark of Linguistic Minimal Pairs for English", arXiv:1912.00582.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from numpy_elmo.corpus.text import file_name, read_lines
from numpy_elmo.corpus.tokenize import tokenize
from numpy_elmo.errors import InputError
from numpy_elmo.language_model import LanguageModel

__all__ = ["Accuracy", "MinimalPair", "PairScores", "critical_words", "read_pairs", "score_pairs"]


class MinimalPair(NamedTuple):
    """A grammatical and an ungrammatical sentence.

    Attributes
    ----------
    good, bad : tuple of str
        Their tokens.
    paradigm, phenomenon, field : str
        What the pair tests, from narrow to wide; BLiMP's ``UID``, ``linguistics_term`` and ``field``.
    """

    good: tuple[str, ...]
    bad: tuple[str, ...]
    paradigm: str = ""
    phenomenon: str = ""
    field: str = ""


class Accuracy(NamedTuple):
    """How often a model prefers the grammatical sentence.

    Attributes
    ----------
    level : {"paradigm", "phenomenon", "field", "all"}
        The level at which pairs are grouped.
    name : str
        Name of the paradigm, phenomenon or field.
    pairs : int
        Number of pairs.
    unknown : int
        Pairs with a critical word that the vocabulary lacks; they do not count in any accuracy.
    ties : int
        Other pairs of which both sentences are equally likely, in one direction at least.  A tie is not right.
    forward, backward, both : float
        Share of the known pairs that are right by the forward log-probability, the backward one, or their sum; NaN if
        there is none.
    """

    level: str
    name: str
    pairs: int
    unknown: int
    ties: int
    forward: float
    backward: float
    both: float


@dataclass(frozen=True)
class PairScores:
    """The scores of a model for minimal pairs.

    Attributes
    ----------
    pairs : tuple of MinimalPair
        The N pairs.
    margins : ndarray of float64, shape (N, 3)
        Log-probability of the good sentence less that of the bad one, in nats: forward, backward, and both together.
    unknown : ndarray of bool, shape (N,)
        Whether the vocabulary lacks a critical word of the pair.
    """

    pairs: tuple[MinimalPair, ...]
    margins: npt.NDArray[np.float64]
    unknown: npt.NDArray[np.bool_]

    def __repr__(self) -> str:
        return f"<PairScores: {len(self.pairs)} pairs, {self.unknown.sum()} with unknown critical words>"

    def accuracies(self) -> list[Accuracy]:
        """Return the accuracies of each paradigm, phenomenon and field, in the order of the pairs, and of all pairs."""
        rows = []
        for level in ("paradigm", "phenomenon", "field"):
            names = [getattr(pair, level) for pair in self.pairs]
            rows += [
                self._accuracy(level, name, np.array([other == name for other in names]))
                for name in dict.fromkeys(names)
                if name
            ]
        return [*rows, self._accuracy("all", "all", np.ones(len(self.pairs), np.bool_))]

    def _accuracy(self, level: str, name: str, chosen: npt.NDArray[np.bool_]) -> Accuracy:
        margins = self.margins[chosen & ~self.unknown]  # [n, 3]
        n_unknown = int((chosen & self.unknown).sum())
        ties = int((margins == 0).any(axis=1).sum())
        shares = (margins > 0).mean(axis=0).tolist() if len(margins) else [float("nan")] * 3
        return Accuracy(level, name, int(chosen.sum()), n_unknown, ties, *shares)


def read_pairs(path: str | os.PathLike[str]) -> list[MinimalPair]:
    """Read minimal pairs in BLiMP's format: JSON lines with ``sentence_good`` and ``sentence_bad``.

    Parameters
    ----------
    path : str or path
        The file, packed or not, or ``-`` for standard input.  Sentences are strings, which are split as the training
        text was (`numpy_elmo.corpus.tokenize`), or lists of tokens.  ``UID``, ``linguistics_term`` and ``field`` may
        be missing; other fields are not read.

    Returns
    -------
    list of MinimalPair

    Raises
    ------
    InputError
        If the file cannot be read or a line is no such pair; the message names the line.
    """
    name = file_name(path)
    pairs = [_pair(line, f"{name}, line {number}") for number, line in read_lines(path) if line.strip()]
    if not pairs:
        raise InputError(f"{name} holds no pair; give JSON lines with sentence_good and sentence_bad")
    return pairs


def _pair(line: str, where: str) -> MinimalPair:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON ({error}); give one object per line") from error
    if not isinstance(values, dict):
        raise InputError(f"{where} is not a JSON object; give one with sentence_good and sentence_bad")
    good, bad = (_tokens(values.get(key), f"{where}: {key}") for key in ("sentence_good", "sentence_bad"))
    names = [values.get(key, "") for key in ("UID", "linguistics_term", "field")]
    return MinimalPair(good, bad, *map(str, names))


def _tokens(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = tokenize(value)
    if not isinstance(value, list) or not value or not all(isinstance(token, str) for token in value):
        raise InputError(f"{where} must be a sentence, as a string or a list of tokens")
    return tuple(value)


def critical_words(good: Sequence[str], bad: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words in which two sentences differ: what is left without their common beginning and end.

    Examples
    --------
    >>> critical_words("The keys are here .".split(), "The keys is here .".split())
    (['are'], ['is'])
    """
    shortest = min(len(good), len(bad))
    start = next((k for k in range(shortest) if good[k] != bad[k]), shortest)
    end = next((k for k in range(shortest - start) if good[-1 - k] != bad[-1 - k]), shortest - start)
    return good[start : len(good) - end], bad[start : len(bad) - end]


def score_pairs(model: LanguageModel, pairs: Iterable[MinimalPair], *, batch_size: int = 64) -> PairScores:
    """Compare the log-probabilities of the sentences of minimal pairs.

    Each sentence starts from zeros, and its boundary counts: ``</S>`` forward, ``<S>`` backward.

    Parameters
    ----------
    model : LanguageModel
        The model.
    pairs : iterable of MinimalPair
        The pairs.
    batch_size : int
        Sentences that run together.

    Returns
    -------
    PairScores

    Raises
    ------
    InputError
        If there is no pair.

    Examples
    --------
    >>> from numpy_elmo import LanguageModel
    >>> good, bad = tuple("She likes dogs .".split()), tuple("She like dogs .".split())
    >>> pair = MinimalPair(good, bad)
    >>> scores = score_pairs(LanguageModel.load("tiny"), [pair])
    >>> scores.margins.shape
    (1, 3)
    >>> [everything] = scores.accuracies()
    >>> everything.pairs, everything.unknown, everything.ties
    (1, 0, 0)
    """
    known = frozenset(model.vocabulary)

    def log_probs(sentences: list[tuple[str, ...]]) -> npt.NDArray[np.float64]:
        found = model.log_probs(sentences, batch_size=batch_size)
        return np.array([[s.forward.sum() + s.end, s.backward.sum() + s.start] for s in found])  # [N, 2]

    return compare(pairs, log_probs, known)


def compare(
    pairs: Iterable[MinimalPair],
    log_probs: Callable[[list[tuple[str, ...]]], npt.NDArray[np.float64]],
    known: frozenset[str],
) -> PairScores:
    """Compare pairs by the forward and backward log-probabilities (N, 2) that any model gives to N sentences."""
    checked = tuple(pairs)
    if not checked:
        raise InputError("there is no pair to compare; give at least one")
    good, bad = np.split(log_probs([pair.good for pair in checked] + [pair.bad for pair in checked]), 2)  # [N, 2]
    both = good.sum(axis=1) - bad.sum(axis=1)
    unknown = [any(w not in known for part in critical_words(p.good, p.bad) for w in part) for p in checked]
    return PairScores(checked, np.column_stack([good - bad, both]), np.array(unknown, np.bool_))
