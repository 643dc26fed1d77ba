"""Packing: where each token of a batch of sentences goes when the batch is processed step by step.

Only index arithmetic; vectors are not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]
T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class Packing:
    """The step-by-step order of the tokens of some sentences, for both reading directions.

    The tokens of all sentences form one flat sequence, sentence after sentence, N tokens in all.

    Attributes
    ----------
    order : ndarray of int, shape (B,)
        Sentences from long to short; equal lengths keep their order.
    batch_sizes : ndarray of int, shape (T,)
        Number of sentences that have a token at each step.  An empty sentence has none.
    forward : ndarray of int, shape (N,)
        Flat position of each packed token, reading left to right.
    backward : ndarray of int, shape (N,)
        Flat position of each packed token, reading every sentence from its own last token to its first.
    """

    order: Indices
    batch_sizes: Indices
    forward: Indices
    backward: Indices


def pack(lengths: Sequence[int]) -> Packing:
    """Lay out sentences of the given lengths step by step; at least one of the lengths is not 0.

    Sentence 0 has the tokens 0 and 1, sentence 1 the tokens 2, 3 and 4:

    >>> packing = pack([2, 3])
    >>> packing.batch_sizes.tolist()
    [2, 2, 1]
    >>> packing.forward.tolist()
    [2, 0, 3, 1, 4]
    >>> packing.backward.tolist()
    [4, 1, 3, 0, 2]
    """
    length = np.asarray(lengths, dtype=np.intp)
    order = np.argsort(-length, kind="stable")
    sorted_length = length[order]
    n_steps = int(sorted_length[0])
    # Sentences longer than t have a token at step t.
    batch_sizes = len(length) - np.searchsorted(sorted_length[::-1], np.arange(n_steps), side="right")
    step = np.repeat(np.arange(n_steps), batch_sizes)  # [N]
    row = np.arange(len(step)) - np.repeat(np.cumsum(batch_sizes) - batch_sizes, batch_sizes)  # [N], into `order`
    first = (np.cumsum(length) - length)[order]  # [B]
    return Packing(
        order=order,
        batch_sizes=batch_sizes,
        forward=first[row] + step,
        backward=first[row] + sorted_length[row] - 1 - step,
    )


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut an iterable into lists of `size` items; the last one may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def bounded_batches(items: Iterable[T], size: int, length: Callable[[T], int], max_length: int) -> Iterator[list[T]]:
    """Cut an iterable into lists of at most `size` items, whose lengths add up to at most `max_length`.

    A longer item gets a list of its own.  A list of `size` items is yielded before the next item is read.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        n = length(item)
        if batch and total + n > max_length:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += n
        if len(batch) == size or total >= max_length:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
