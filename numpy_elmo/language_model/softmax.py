r"""The softmax over the vocabulary, normalised in full and computed block by block.

.. math:: \log p(w \mid h) = h \cdot W_w + b_w - \log \sum_v \exp(h \cdot W_v + b_v)

The published vocabulary has 793,471 words and its W takes 1.6 GB, so nothing here holds a second copy of W or, except
`Softmax.log_probs`, the logits of all words.  The vocabulary is cut into blocks, the sum runs over them with a running
maximum, and whatever is asked for (the logit of a target, the best k) is picked from each block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import WeightsError
from numpy_elmo.files.arrays import Arrays
from numpy_elmo.layers.arrays import Array, read_only

Float64s: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]

Blocks: TypeAlias = Callable[[int], Iterator[Array]]
"""The weights W (V, P), wherever they are: yields all rows in order, at most as many at a time as asked for."""

BLOCK_VALUES = 1 << 20
"""Values of the largest block of logits, 4 MiB of float32: small enough to stay in the cache between two passes."""

DISK_VALUES = 1 << 22
"""Values of the largest block of W that is read from the disk at a time, 16 MiB of float32."""

POSITIONS = 2048
"""Positions that share a pass over W."""


def in_memory(W: Array) -> Blocks:
    """Return the blocks of an array, as views."""
    return lambda n_rows: (W[start : start + n_rows] for start in range(0, len(W), n_rows))


def on_disk(
    open_file: Callable[[], AbstractContextManager[Arrays]], width: int, dtype: np.dtype[np.floating]
) -> Blocks:
    """Return the blocks of ``softmax/W`` in a file, which is open only while they are read."""

    def blocks(n_rows: int) -> Iterator[Array]:
        with open_file() as file:
            yield from file.rows("softmax/W", max(1, min(n_rows, DISK_VALUES // width)), dtype)

    return blocks


class Softmax:
    """The output layer of the language model, shared by both directions: W (V, P) and b (V,).

    All methods take h (N, P), the top layer's vectors of one direction at each position.  Results are float64: sums
    over blocks are kept in it, which costs nothing and adds no rounding to that of the logits.  Values that are not
    finite raise `WeightsError`.

    References
    ----------
    Peters et al. 2018, arXiv:1802.05365, section 3.1.
    """

    def __init__(self, W: Blocks, b: Array, *, block_values: int = BLOCK_VALUES) -> None:
        self._W = W
        self._b = b
        self._block_values = block_values

    def target_log_probs(self, h: Array, targets: Rows) -> Float64s:
        """Return the log-probability of one word at each position, shape (N,)."""
        logits, normaliser = self._targets(h, targets)
        return logits - normaliser

    def target_statistics(self, h: Array, targets: Rows) -> tuple[Float64s, Float64s, Rows]:
        """Return log-probability, entropy of the distribution and rank (from 1) of one word at each position, (N,)."""
        found, normaliser = self._targets(h, targets)
        entropies, ranks = np.zeros(len(h)), np.ones(len(h), np.intp)
        # A second pass, since both need what the first one found.  It makes the same products, so that the target is
        # equal to itself.
        for positions, _, logits in self._logits(h):
            ranks[positions] += (logits > found[positions, np.newaxis]).sum(axis=1)
            log_probs = logits - normaliser[positions, np.newaxis]
            entropies[positions] -= (np.exp(log_probs) * log_probs).sum(axis=1)
        return found - normaliser, _check_finite(entropies), ranks

    def top(self, h: Array, k: int) -> tuple[Rows, Float64s]:
        """Return the k likeliest words at each position, and their log-probabilities, both of shape (N, k).

        The likeliest is first, equal ones are in the vocabulary's order; fewer than k where it has fewer.
        """
        total, best = _LogSumExp(len(h)), _Top(len(h), min(k, len(self._b)))
        for positions, start, logits in self._logits(h):
            best.add(positions, start, logits)
            total.add(positions, logits)
        return best.rows, _check_finite(best.values) - total.value()[:, np.newaxis]

    def log_probs(self, h: Array) -> Float64s:
        """Return the log-probability of every word at each position, shape (N, V); for few positions."""
        total, result = _LogSumExp(len(h)), np.empty((len(h), len(self._b)))
        for positions, start, logits in self._logits(h):
            result[positions, start : start + logits.shape[1]] = logits
            total.add(positions, logits)
        result -= total.value()[:, np.newaxis]
        return result

    def take(self, rows: Rows) -> Softmax:
        """Return the softmax over some words only, in memory: its row i is row ``rows[i]`` of this one (rising)."""
        parts, start = [], 0
        for block in self._W(len(self._b)):
            low, high = np.searchsorted(rows, [start, start + len(block)])
            parts.append(block[rows[low:high] - start])
            start += len(block)
        W = read_only(np.concatenate(parts))
        return Softmax(in_memory(W), read_only(self._b[rows]), block_values=self._block_values)

    def _targets(self, h: Array, targets: Rows) -> tuple[Float64s, Float64s]:
        """Return the logit of one word and ``log(sum(exp(.)))`` of all logits at each position, (N,)."""
        total, found = _LogSumExp(len(h)), np.empty(len(h))
        for positions, start, logits in self._logits(h):
            columns = targets[positions] - start
            inside = np.flatnonzero((columns >= 0) & (columns < logits.shape[1]))
            found[positions][inside] = logits[inside, columns[inside]]
            total.add(positions, logits)
        return found, total.value()

    def _logits(self, h: Array) -> Iterator[tuple[slice, int, Array]]:
        """Yield positions (a slice), the first word and the logits of each block, which the caller may overwrite."""
        for first in range(0, len(h), POSITIONS):
            here = h[first : first + POSITIONS]
            start = 0
            for W in self._W(max(1, self._block_values // len(here))):
                # An overflow shows in the sum over all words, with a clearer message than NumPy's warning.
                with np.errstate(over="ignore", invalid="ignore"):
                    logits = here @ W.T  # [n_positions, n_words]
                    logits += self._b[start : start + len(W)]
                yield slice(first, first + len(here)), start, logits
                start += len(W)


def _check_finite(values: Float64s) -> Float64s:
    if not np.isfinite(values).all():
        raise WeightsError(
            "the softmax gives probabilities that are not finite: its weights are damaged or its training diverged; "
            "fetch the file again"
        )
    return values


class _LogSumExp:
    """``log(sum(exp(x)))`` per position of numbers that come in blocks, less a running maximum against overflow."""

    def __init__(self, n: int) -> None:
        self._peak = np.full(n, -np.inf)
        self._sum = np.zeros(n)

    def add(self, positions: slice, block: Array) -> None:
        """Take in a block, shape (n_positions, any), and overwrite it."""
        before = self._peak[positions]
        with np.errstate(invalid="ignore", over="ignore"):
            peak = np.maximum(before, block.max(axis=1))
            block -= peak.astype(block.dtype)[:, np.newaxis]
            np.exp(block, out=block)
            self._sum[positions] = self._sum[positions] * np.exp(before - peak) + block.sum(axis=1)
        self._peak[positions] = peak

    def value(self) -> Float64s:
        """Return the result, shape (n,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return _check_finite(self._peak + np.log(self._sum))


class _Top:
    """The k largest per position of numbers that come in blocks, largest first, and their columns; (n, k) each."""

    def __init__(self, n: int, k: int) -> None:
        self.rows = np.zeros((n, k), np.intp)
        self.values = np.full((n, k), -np.inf)

    def add(self, positions: slice, start: int, block: Array) -> None:
        """Take in a block, shape (n_positions, any), whose first column is number `start`."""
        # A number must exceed the last of the k.  Most blocks hold no such number, and are only compared.
        bars, k = self.values[positions, -1], self.values.shape[1]
        for i in np.flatnonzero(block.max(axis=1) > bars):
            line, position = block[i], positions.start + i
            columns = np.flatnonzero(line > bars[i])
            if len(columns) > k:
                # The k-th largest and all its equals, of which the order below keeps the first.
                columns = columns[line[columns] >= np.partition(line[columns], -k)[-k]]
            rows = np.concatenate([self.rows[position], columns + start])
            values = np.concatenate([self.values[position], line[columns]])
            best = np.lexsort((rows, -values))[:k]
            self.rows[position], self.values[position] = rows[best], values[best]
