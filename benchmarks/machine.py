"""The limits of the machine: the speed of a large matrix product and of reading memory, in NumPy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

SIDE = 2048  # of the square matrices
BYTES = 2**29  # of the array that is read, larger than any cache
ROW = 8192


class Machine:
    """The requests that a worker answers about the machine.

    It runs in a separate process, where the BLAS uses all its threads.
    """

    def start(self) -> dict[str, Any]:
        """Make the arrays, and use them once."""
        generator = np.random.default_rng(0)
        self._a, self._b = (generator.standard_normal((SIDE, SIDE), np.float32) for _ in range(2))
        self._rows = np.ones((BYTES // (4 * ROW), ROW), np.float32)
        self._vector = np.ones(ROW, np.float32)
        self.sgemm(), self.bandwidth()
        return {"versions": {"numpy": np.__version__, "blas": blas()}}

    def sgemm(self) -> dict[str, float]:
        """Return GFLOP/s of a product of two 2048 x 2048 matrices in float32, the best of three."""
        return {"gflops": 2 * SIDE**3 / _best(lambda: self._a @ self._b) / 1e9}

    def bandwidth(self) -> dict[str, float]:
        """Return GB/s of reading 512 MB once, the best of a matrix-vector product and of dot products in threads."""
        threads = available_cpus()
        parts = np.array_split(self._rows.reshape(-1), threads)
        with ThreadPoolExecutor(threads) as pool:
            dots = _best(lambda: list(pool.map(lambda part: np.dot(part, part), parts)))
        return {"gigabytes": BYTES / min(dots, _best(lambda: self._rows @ self._vector)) / 1e9}


def available_cpus() -> int:
    """Return the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def blas() -> str:
    """Return which BLAS NumPy was built with."""
    build: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    found = build["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}"


def _best(work: Callable[[], object], repeats: int = 3) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
