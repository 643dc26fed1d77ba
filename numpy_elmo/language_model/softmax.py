r"""The softmax over the vocabulary, normalised in full and computed block by block.

.. math:: \log p(w \mid h) = h \cdot W_w + b_w - \log \sum_v \exp(h \cdot W_v + b_v)

The published vocabulary has 793,471 words and its W takes 1.6 GB, so nothing here holds a second copy of W or, but
for `Softmax.log_probs`, a row of all logits for many positions.  The vocabulary is cut into blocks, the sum runs over
them with a running maximum, and whatever is asked for (a target's logit, the best k) is picked from each block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import WeightsError
from numpy_elmo.files.arrays import Arrays
from numpy_elmo.layers.arrays import Array, read_only

Float64s = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

BLOCK_VALUES = 1 << 20
"""Values of the largest block of logits, 4 MiB of float32: small enough to stay in the cache between two passes."""

DISK_VALUES = 1 << 22
"""Values of the largest block of W that is read from the disk at a time, 16 MiB of float32."""

POSITIONS = 2048
"""Positions that share a pass over W."""


class Matrix(Protocol):
    """The weights W of a softmax, wherever they are."""

    @property
    def shape(self) -> tuple[int, int]:
        """Words and width, (V, P)."""

    def blocks(self, n_rows: int) -> Iterator[Array]:
        """Yield all rows in order, at most `n_rows` at a time."""


@dataclass(frozen=True)
class InMemory:
    """W as an array.

    Attributes
    ----------
    values : ndarray, shape (V, P)
        The weights.
    """

    values: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Words and width, (V, P)."""
        V, P = self.values.shape
        return V, P

    def blocks(self, n_rows: int) -> Iterator[Array]:
        """Yield all rows in order, at most `n_rows` at a time, as views."""
        for start in range(0, len(self.values), n_rows):
            yield self.values[start : start + n_rows]


@dataclass(frozen=True)
class OnDisk:
    """W in its HDF5 file, which is open only while blocks are read.

    Attributes
    ----------
    open_file : callable
        Returns a context manager around the open file.
    shape : (int, int)
        Words and width, (V, P).
    dtype : numpy.dtype
        Precision to compute in.
    """

    open_file: Callable[[], AbstractContextManager[Arrays]]
    shape: tuple[int, int]
    dtype: np.dtype[np.floating]

    def blocks(self, n_rows: int) -> Iterator[Array]:
        """Yield all rows in order, at most `n_rows` at a time, read when they are asked for."""
        n_rows = max(1, min(n_rows, DISK_VALUES // self.shape[1]))
        with self.open_file() as file:
            yield from file.rows("softmax/W", n_rows, self.dtype)


class Softmax:
    """The output layer of the language model; both directions share it.

    Results are float64: sums over blocks are kept in it, which costs nothing and adds no rounding to the logits' own.

    Parameters
    ----------
    W : InMemory or OnDisk
        Weights, shape (V, P).
    b : ndarray, shape (V,)
        Biases.
    block_values : int
        Values of the largest block of logits (`BLOCK_VALUES`).

    References
    ----------
    Peters et al. 2018, arXiv:1802.05365, section 3.1.
    """

    def __init__(self, W: Matrix, b: Array, *, block_values: int = BLOCK_VALUES) -> None:
        self._W = W
        self._b = b
        self._block_values = block_values

    @property
    def shape(self) -> tuple[int, int]:
        """Words and width, (V, P)."""
        return self._W.shape

    def target_log_probs(self, h: Array, targets: Rows) -> Float64s:
        """Return the log-probability of one word at every position.

        Parameters
        ----------
        h : ndarray, shape (N, P)
            Top-layer vectors of one direction each.
        targets : ndarray of int, shape (N,)
            Rows of the words.

        Returns
        -------
        ndarray of float64, shape (N,)

        Raises
        ------
        WeightsError
            If the weights or the vectors are not finite.
        """
        results = [np.empty(0)]
        for first in range(0, len(h), POSITIONS):
            here, wanted = h[first : first + POSITIONS], targets[first : first + POSITIONS]
            total = _RunningLogSumExp(len(here))
            found = np.empty(len(here))
            for start, logits in self._logits(here):
                inside = np.flatnonzero((wanted >= start) & (wanted < start + logits.shape[1]))
                found[inside] = logits[inside, wanted[inside] - start]
                total.add(logits)
            results.append(found - total.value())
        return np.concatenate(results)

    def top(self, h: Array, k: int) -> tuple[Rows, Float64s]:
        """Return the k likeliest words at every position.

        Parameters
        ----------
        h : ndarray, shape (N, P)
            Top-layer vectors of one direction each, at least one.
        k : int
            Words wanted; fewer come back where the vocabulary has fewer.

        Returns
        -------
        rows : ndarray of int, shape (N, k)
            The words by falling probability; equal ones in the vocabulary's order.
        log_probs : ndarray of float64, shape (N, k)
            Their log-probabilities.

        Raises
        ------
        WeightsError
            If the weights or the vectors are not finite.
        """
        results = []
        for first in range(0, len(h), POSITIONS):
            here = h[first : first + POSITIONS]
            total = _RunningLogSumExp(len(here))
            best = _RunningTop(len(here), k)
            for start, logits in self._logits(here):
                best.add(start, logits)
                total.add(logits)
            rows, values = best.sorted()
            results.append((rows, values - total.value()[:, np.newaxis]))
        all_rows, all_log_probs = zip(*results, strict=True)
        return np.concatenate(all_rows), np.concatenate(all_log_probs)

    def log_probs(self, h: Array) -> Float64s:
        """Return the log-probability of every word at every position: 8 N V bytes.

        Parameters
        ----------
        h : ndarray, shape (N, P)
            Top-layer vectors of one direction each; few of them.

        Returns
        -------
        ndarray of float64, shape (N, V)

        Raises
        ------
        WeightsError
            If the weights or the vectors are not finite.
        """
        result = np.empty((len(h), self.shape[0]))
        total = _RunningLogSumExp(len(h))
        for start, logits in self._logits(h):
            result[:, start : start + logits.shape[1]] = logits
            total.add(logits)
        result -= total.value()[:, np.newaxis]
        return result

    def logits(self, h: Array) -> Array:
        """Return ``h @ W.T + b``, shape (N, V), in the precision of the weights."""
        return np.concatenate([logits for _, logits in self._logits(h)], axis=1)

    def take(self, rows: Rows) -> Softmax:
        """Return the softmax over some words only, in memory.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            The rows to keep, rising.

        Returns
        -------
        Softmax
            Its row i is row ``rows[i]`` of this one.
        """
        parts, start = [], 0
        for block in self._W.blocks(self.shape[0]):
            low, high = np.searchsorted(rows, [start, start + len(block)])
            parts.append(block[rows[low:high] - start])
            start += len(block)
        W = read_only(np.concatenate(parts))
        return Softmax(InMemory(W), read_only(self._b[rows]), block_values=self._block_values)

    def _logits(self, h: Array) -> Iterator[tuple[int, Array]]:
        """Yield the first row and the logits, shape (N, n_rows), of every block; the caller may overwrite them."""
        start = 0
        for W in self._W.blocks(max(1, self._block_values // max(1, len(h)))):
            # An overflow shows in the sum over all words, with a clearer message than NumPy's warning.
            with np.errstate(over="ignore", invalid="ignore"):
                logits = h @ W.T  # [N, n_rows]
                logits += self._b[start : start + len(W)]
            yield start, logits
            start += len(W)


class _RunningLogSumExp:
    """``log(sum(exp(x)))`` of numbers that come in blocks, with the running maximum taken out against overflow."""

    def __init__(self, n: int) -> None:
        self._peak = np.full(n, -np.inf)
        self._sum = np.zeros(n)

    def add(self, block: Array) -> None:
        """Take in a block, shape (N, any), and overwrite it."""
        with np.errstate(invalid="ignore", over="ignore"):
            peak = np.maximum(self._peak, block.max(axis=1))
            block -= peak.astype(block.dtype)[:, np.newaxis]
            np.exp(block, out=block)
            self._sum = self._sum * np.exp(self._peak - peak) + block.sum(axis=1)
        self._peak = peak

    def value(self) -> Float64s:
        """Return the result, shape (N,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            result: Float64s = self._peak + np.log(self._sum)
        if not np.isfinite(result).all():
            raise WeightsError(
                "the softmax gives probabilities that are not finite: its weights are damaged or its training "
                "diverged; fetch the file again"
            )
        return result


class _RunningTop:
    """The k largest of numbers that come in blocks, and where they were."""

    def __init__(self, n: int, k: int) -> None:
        self._k = k
        self._rows = [np.empty(0, np.intp)] * n
        self._values = [np.empty(0)] * n
        # What a number must exceed to be among the k largest.  Most blocks hold no such number, and are only compared.
        self._bar = np.full(n, -np.inf)

    def add(self, start: int, block: Array) -> None:
        """Take in a block, shape (N, any), whose first column is number `start`."""
        for position in np.flatnonzero(block.max(axis=1) > self._bar):
            line = block[position]
            columns = np.flatnonzero(line > self._bar[position])
            if len(columns) > self._k:
                # The k-th largest and all its equals, of which the order below keeps the first.
                columns = columns[line[columns] >= np.partition(line[columns], -self._k)[-self._k]]
            rows = np.concatenate([self._rows[position], columns + start])
            values = np.concatenate([self._values[position], line[columns]])
            best = np.lexsort((rows, -values))[: self._k]
            self._rows[position], self._values[position] = rows[best], values[best]
            if len(best) == self._k:
                self._bar[position] = values[best[-1]]

    def sorted(self) -> tuple[Rows, Float64s]:
        """Return columns and numbers, each of shape (N, k), largest first."""
        lengths = {len(rows) for rows in self._rows}
        if len(lengths) > 1 or 0 in lengths:
            raise WeightsError("the softmax gives values that are not finite: its weights are damaged")
        return np.stack(self._rows), np.stack(self._values)
