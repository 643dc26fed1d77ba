"""A few rows times the recurrent weights of the published size: plain products and products by blocks.

    python -m benchmarks products [--rows N ...] [--repeats R]

Both ways run from two threads at once, on weights of their own, as the two directions of a model do; the best of the
repeats counts.  Set OPENBLAS_NUM_THREADS or OPENBLAS_CORETYPE before the command to see what they change.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.matmul import cut, multiply, multiply_blocks

K, N = 512, 16_384


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16, 24, 48, 96, 192], metavar="N")
    parser.add_argument("--repeats", type=int, default=7, metavar="R")


def main(arguments: argparse.Namespace) -> None:
    """Print a table."""
    generator = np.random.default_rng(0)
    weights = [generator.standard_normal((K, N), np.float32) for _ in range(2)]
    blocks = [cut(W) for W in weights]
    sys.stdout.write("| rows | plain, GFLOP/s | by blocks, GFLOP/s |\n|---|---|---|\n")
    with ThreadPoolExecutor(2) as threads:
        for rows in arguments.rows:
            x = generator.standard_normal((rows, K), np.float32)

            def best(product: Callable[[Array, Array], Array], matrices: list[Array], x: Array = x) -> float:
                return min(_seconds(threads, product, x, matrices) for _ in range(arguments.repeats))

            work = 2 * 2 * rows * K * N / 1e9
            plain, blocked = work / best(multiply, weights), work / best(multiply_blocks, blocks)
            sys.stdout.write(f"| {rows} | {plain:.0f} | {blocked:.0f} |\n")


def _seconds(
    threads: ThreadPoolExecutor, product: Callable[[Array, Array], Array], x: Array, matrices: list[Array]
) -> float:
    start = time.perf_counter()
    list(threads.map(lambda matrix: product(x, matrix), matrices))
    return time.perf_counter() - start
