"""Surprisal per token, as a table: what reading-time studies join to their data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError, MissingExtraError

Unit: TypeAlias = Literal["bits", "nats"]
MISSING = "NA"


class SurprisalRow(NamedTuple):
    """One token of a surprisal table.

    Attributes
    ----------
    sentence_id, token_id : int
        Number of the sentence and of the token in it, from 1.  ``</S>`` has the number after the last token.
    token : str
        The token.
    surprisal, surprisal_backward, entropy, rank, unknown
        As in `SentenceSurprisal`.
    """

    sentence_id: int
    token_id: int
    token: str
    surprisal: float
    surprisal_backward: float
    entropy: float
    rank: int
    unknown: bool


@dataclass(frozen=True)
class SentenceSurprisal:
    r"""How surprising each token of a sentence is.

    .. math::

        s_t &= -\log p(w_t \mid w_0 \ldots w_{t-1}) \\
        H_t &= -\sum_v p(v \mid w_0 \ldots w_{t-1}) \log p(v \mid w_0 \ldots w_{t-1})

    Attributes
    ----------
    tokens : tuple of str
        The n tokens of the sentence and ``</S>``.
    surprisal : ndarray of float64, shape (n + 1,)
        Of each token after all tokens before it, and of ``</S>``: that the sentence ends there.
    surprisal_backward : ndarray of float64, shape (n + 1,)
        Of each token before all tokens after it; NaN at ``</S>``, where the backward direction begins.
    entropy : ndarray of float64, shape (n + 1,)
        Of the forward distribution over the word at this place, before it is read.
    rank : ndarray of int, shape (n + 1,)
        Place of the token in that distribution: 1 for the likeliest word, or 1 more than the words that are likelier.
    unknown : ndarray of bool, shape (n + 1,)
        Whether the vocabulary lacks the token.  Its surprisal and rank are then those of ``<UNK>``, one word for all
        unknown ones and therefore easy to predict: leave these tokens out of an analysis.
    unit : {"bits", "nats"}
        Unit of surprisal and entropy.
    restricted : bool
        Whether probabilities are normalised over a part of the vocabulary.

    References
    ----------
    Hale 2001, "A probabilistic Earley parser as a psycholinguistic model"; Levy 2008, "Expectation-based syntactic
    comprehension".
    """

    tokens: tuple[str, ...]
    surprisal: npt.NDArray[np.float64]
    surprisal_backward: npt.NDArray[np.float64]
    entropy: npt.NDArray[np.float64]
    rank: npt.NDArray[np.intp]
    unknown: npt.NDArray[np.bool_]
    unit: Unit
    restricted: bool

    def __repr__(self) -> str:
        return f"<SentenceSurprisal: {len(self.tokens) - 1} tokens and </S>, {self.surprisal.sum():.2f} {self.unit}>"

    def rows(self, sentence_id: int = 1) -> Iterator[SurprisalRow]:
        """Yield one row per token, ``</S>`` last."""
        columns = (self.surprisal, self.surprisal_backward, self.entropy, self.rank, self.unknown)
        values = zip(self.tokens, *(column.tolist() for column in columns), strict=True)
        for token_id, row in enumerate(values, 1):
            yield SurprisalRow(sentence_id, token_id, *row)


def surprisal_frame(sentences: Iterable[SentenceSurprisal]) -> Any:
    """Return a pandas frame with one row per token, the columns those of `SurprisalRow`."""
    try:
        import pandas as pd  # noqa: PLC0415 -- an optional dependency
    except ImportError as error:
        raise MissingExtraError("a frame needs pandas: pip install pandas, or leave as_frame out") from error
    rows = [row for sentence_id, found in enumerate(sentences, 1) for row in found.rows(sentence_id)]
    return pd.DataFrame(rows, columns=list(SurprisalRow._fields))


def tsv_line(row: SurprisalRow) -> str:
    """Return a row as a line of a tab-separated table, or say that its token cannot be in one (`InputError`)."""
    if any(mark in row.token for mark in "\t\n\r"):
        raise InputError(
            f"sentence {row.sentence_id}, token {row.token_id} holds a tab or a line break, {row.token!r:.60}, which a "
            "tab-separated table cannot hold; remove it from the token"
        )
    backward = MISSING if np.isnan(row.surprisal_backward) else f"{row.surprisal_backward:.6f}"
    numbers = f"{row.surprisal:.6f}\t{backward}\t{row.entropy:.6f}\t{row.rank}\t{int(row.unknown)}"
    return f"{row.sentence_id}\t{row.token_id}\t{row.token}\t{numbers}"
