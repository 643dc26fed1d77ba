"""Lists of words that a language model predicts."""

from __future__ import annotations

from collections.abc import Callable

from numpy_elmo.files.vocabulary import UNKNOWN
from numpy_elmo.language_model import WordScore
from numpy_elmo.network.checks import check_count


def without_unknown(predict: Callable[[int], list[WordScore]], k: int, *, show: bool = False) -> list[WordScore]:
    """Return the first k words that `predict` finds, with ``<UNK>`` among them only if it is to be shown."""
    n = check_count("k", k)
    return predict(n) if show else [pair for pair in predict(n + 1) if pair[0] != UNKNOWN][:n]
