"""Products of a few rows and recurrent weights of the published size, in every form.

    python -m benchmarks products [--rows N ...] [--repeats R]

Two threads multiply at once, each by its own weights, like the two directions of a model; the best repeat counts.  Set
OPENBLAS_CORETYPE before the command to use other kernels.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.machine import Machine
from numpy_elmo.layers import blas
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.matmul import PARTIAL_SUM, SMALL_KERNEL_ROWS, Form, Matrix

K, N = 512, 16_384


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64, 128, 256], metavar="N")
    parser.add_argument("--repeats", type=int, default=7, metavar="R")


def main(arguments: argparse.Namespace) -> None:
    """Print a table."""
    generator = np.random.default_rng(0)
    weights = [generator.standard_normal((K, N), np.float32) for _ in range(2)]
    forms = {
        "plain": Form(),
        "in blocks": Form(blocks=SMALL_KERNEL_ROWS),
        "at least 4 rows, in blocks": Form(4, blocks=SMALL_KERNEL_ROWS),
        "exactly 8 rows, in blocks": Form(8, exactly=True, blocks=PARTIAL_SUM),
    }
    matrices = [[Matrix(W, form) for W in weights] for form in forms.values()]
    scratches = [[matrix.scratch(max(arguments.rows)) for matrix in pair] for pair in matrices]
    machine = Machine()
    machine.start()
    sys.stdout.write(
        f"Kernels: {blas.kernel()}.  GFLOP/s of both threads; `sgemm` {machine.sgemm()['gflops']:.0f}.\n\n"
    )
    sys.stdout.write(f"| rows | {' | '.join(forms)} |\n|---{'|---:' * len(forms)}|\n")
    with ThreadPoolExecutor(2) as threads, blas.one_thread():
        for rows in arguments.rows:
            x = generator.standard_normal((rows, K), np.float32)
            work = 2 * 2 * rows * K * N / 1e9
            seconds = [
                min(_seconds(threads, x, pair, scratch) for _ in range(arguments.repeats))
                for pair, scratch in zip(matrices, scratches, strict=True)
            ]
            sys.stdout.write(f"| {rows} | {' | '.join(f'{work / value:.0f}' for value in seconds)} |\n")


def _seconds(threads: ThreadPoolExecutor, x: Array, pair: list[Matrix], scratch: list[Array]) -> float:
    start = time.perf_counter()
    list(threads.map(lambda matrix, memory: matrix.multiply(x, memory), pair, scratch))
    return time.perf_counter() - start
