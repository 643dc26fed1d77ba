"""The cost of full normalisation over the published vocabulary, relative to the bare matrix product.

    python -m benchmarks language-model [--json FILE] [--words N] [--width P] [--repeats R]

A random softmax of 793,471 x 512 is written to a temporary folder (1.6 GB).  Measured, in units of the product
``h @ W.T`` at the same positions: the top 10 next words at the last position of a 20-token sentence, the top 10 at all
21 positions in one pass, and the log-probabilities of given words at all positions of both directions.  Timings of unit
and work alternate, so that other load on the machine affects both; medians are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from numpy_elmo.files.hdf5 import open_arrays
from numpy_elmo.language_model.softmax import Softmax, in_memory, on_disk
from numpy_elmo.layers.arrays import Array

WORDS, WIDTH, TOKENS, TOP = 793_471, 512, 20, 10
BLOCK = 16_384


def write_softmax(path: Path, n_words: int, width: int) -> None:
    """Write a random softmax, block by block."""
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        W = file.create_dataset("softmax/W", (n_words, width), np.float32)
        for start in range(0, n_words, BLOCK):
            n = min(BLOCK, n_words - start)
            W[start : start + n] = generator.standard_normal((n, width), np.float32) / np.float32(width**0.5)
        file["softmax/b"] = generator.standard_normal(n_words, np.float32)


def compare(work: Callable[[], object], unit: Callable[[], object], repeats: int) -> dict[str, float]:
    """Time two functions in turn; return the medians in seconds, and their ratio."""
    seconds: tuple[list[float], list[float]] = ([], [])
    work(), unit()  # the first calls also fill caches
    for _ in range(repeats):
        for times, function in zip(seconds, (work, unit), strict=True):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    ours, product = map(statistics.median, seconds)
    return {"seconds": ours, "matrix_product_seconds": product, "ratio": ours / product}


def measure(n_words: int, width: int, repeats: int) -> dict[str, Any]:
    """Run all measurements."""
    generator = np.random.default_rng(1)
    positions = generator.standard_normal((2 * (TOKENS + 1), width), np.float32) * np.float32(4)
    targets = generator.integers(n_words, size=len(positions))
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "softmax_weights.hdf5"
        write_softmax(path, n_words, width)
        with h5py.File(path) as file:
            W: Array = file["softmax/W"][()]
            b: Array = file["softmax/b"][()]
        softmax = Softmax(in_memory(W), b)
        from_disk = Softmax(on_disk(lambda: open_arrays(path, str(path)), W.shape[1], W.dtype), b)
        cases: list[tuple[str, int, Callable[[Array], object]]] = [
            ("top 10 after the last token", 1, lambda h: softmax.top(h, TOP)),
            ("top 10 at every position, forward", TOKENS + 1, lambda h: softmax.top(h, TOP)),
            ("log-probabilities, both directions", len(positions), lambda h: softmax.target_log_probs(h, targets)),
            ("top 10 at every position, W on disk", TOKENS + 1, lambda h: from_disk.top(h, TOP)),
        ]
        for name, n, work in cases:
            h = positions[:n]
            results[name] = {"positions": n, **compare(partial(work, h), partial(np.matmul, h, W.T), repeats)}
    return {
        "words": n_words,
        "width": width,
        "repeats": repeats,
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "results": results,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--words", type=int, default=WORDS, metavar="N", help=f"size of the vocabulary ({WORDS:,})")
    parser.add_argument("--width", type=int, default=WIDTH, metavar="P", help=f"length of a vector ({WIDTH})")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="timings of each kind (5)")


def main(arguments: argparse.Namespace) -> None:
    """Measure, and print a table."""
    report = measure(arguments.words, arguments.width, arguments.repeats)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    lines = [
        f"softmax {report['words']:,} x {report['width']}, NumPy {report['numpy']}, {report['cpus']} CPUs",
        "",
        f"{'':<38} {'positions':>9} {'seconds':>8} {'product':>8} {'ratio':>6}",
    ]
    for name, row in report["results"].items():
        lines.append(
            f"{name:<38} {row['positions']:>9} {row['seconds']:>8.3f} {row['matrix_product_seconds']:>8.3f} "
            f"{row['ratio']:>6.2f}"
        )
    sys.stdout.write("\n".join(lines) + "\n")
