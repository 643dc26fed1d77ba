"""Named arrays in a file of any format, under the names of the published HDF5 layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import WeightsError
from numpy_elmo.layers.arrays import Array, read_only

# Weights hardly compress: a file's arrays are about as large as the file.
MAX_EXPANSION = 16
FREE_BYTES = 64 << 20

Stored = np.ndarray[Any, np.dtype[Any]]


def max_unpacked(n_bytes: int) -> int:
    """Return how many bytes a file of `n_bytes` may unpack to."""
    return max(FREE_BYTES, MAX_EXPANSION * n_bytes)


class DamagedError(Exception):
    """A file is damaged or not readable here.  Callers turn it into a `WeightsError` with the file's name."""


class Arrays(ABC):
    """The arrays of an open file; `name` is its name in messages, `n_bytes` its size."""

    def __init__(self, name: str, n_bytes: int) -> None:
        self.name = name
        self.n_bytes = n_bytes

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all readable arrays of numbers, sorted by path."""

    @abstractmethod
    def __contains__(self, path: str) -> bool:
        """Say whether there is such an array or group."""

    @abstractmethod
    def problem(self, path: str) -> str | None:
        """Say what was found instead of a readable array; None if it is one."""

    @abstractmethod
    def shape(self, path: str) -> tuple[int, ...]:
        """Return the shape of an array."""

    @abstractmethod
    def dtype(self, path: str) -> np.dtype[Any]:
        """Return the type of an array's values as stored."""

    @abstractmethod
    def fill(self, path: str, values: Stored, start: int | None) -> None:
        """Read an array into `values`, or as many rows as fit, from `start` on."""

    def read(self, path: str, dtype: npt.DTypeLike) -> Array:
        """Return an array, read-only, or raise `WeightsError` if it is damaged or not finite."""
        values = np.empty(self.shape(path), dtype)
        self._fill_finite(path, values, None)
        return read_only(values)

    def rows(self, path: str, n_rows: int, dtype: npt.DTypeLike) -> Iterator[Array]:
        """Yield an array in order, at most `n_rows` rows at a time; raises as `read` does."""
        shape = self.shape(path)
        for start in range(0, shape[0], n_rows):
            values = np.empty((min(n_rows, shape[0] - start), *shape[1:]), dtype)
            self._fill_finite(path, values, start)
            yield values

    def _fill_finite(self, path: str, values: Array, start: int | None) -> None:
        with np.errstate(over="ignore"):  # an overflow gives infinity, which is found below
            self.fill(path, values, start)
        # One product is faster than checking each value; if it overflows, each is checked.
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.vdot(values, values)
        if not np.isfinite(squares) and not np.isfinite(values).all():
            n_bad = values.size - np.count_nonzero(np.isfinite(values))
            raise WeightsError(
                f"{self.name}: {path} holds {n_bad} values that are not finite (NaN or infinite); "
                "the file is damaged or its training diverged: fetch it again"
            )

    def size_problem(self, shapes: Iterable[tuple[int, ...]]) -> str | None:
        """Say that arrays of float32 are too large for the file; None if they are not."""
        n_bytes = 4 * sum(map(prod, shapes))
        if n_bytes <= max_unpacked(self.n_bytes):
            return None
        return f"arrays of {n_bytes:,} bytes cannot be in a file of {self.n_bytes:,}"


class Tensor(NamedTuple):
    """An array in a file: its shape and stored type, and a function that returns the rows from start to stop."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: Callable[[int, int], Stored]


class TensorFile(Arrays):
    """An open file in a format other than HDF5."""

    def __init__(self, name: str, n_bytes: int, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(name, n_bytes)
        self._tensors = tensors

    def names(self) -> list[str]:
        """Return the names of all arrays, in the order of HDF5."""
        return sorted(self._tensors, key=lambda path: path.split("/"))

    def __contains__(self, path: str) -> bool:
        """Say whether there is such an array or group."""
        return path in self._tensors or any(name.startswith(f"{path}/") for name in self._tensors)

    def problem(self, path: str) -> str | None:
        """Say that there is no such array; None if there is."""
        return None if path in self._tensors else "no such dataset"

    def shape(self, path: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        return self._tensors[path].shape

    def dtype(self, path: str) -> np.dtype[Any]:
        """Return the type of an array's values as stored."""
        return self._tensors[path].dtype

    def fill(self, path: str, values: Stored, start: int | None) -> None:
        """Read an array, or its rows from `start` on, piece by piece."""
        tensor = self._tensors[path]
        if not tensor.shape:
            values[...] = tensor.rows(0, 1).reshape(())
            return
        first = start or 0
        n_rows = max(1, (1 << 24) // max(1, tensor.dtype.itemsize * prod(tensor.shape[1:])))
        for begin in range(0, len(values), n_rows):
            end = min(begin + n_rows, len(values))
            values[begin:end] = tensor.rows(first + begin, first + end)
