"""``python -m benchmarks run``: measure, and write the results as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import costs, growth, installed, limits, startup, throughput
from benchmarks.client import EngineSpec, busy_core, say
from benchmarks.machine import available_cpus
from benchmarks.made_models import RECIPES, write_model
from benchmarks.record import Record
from benchmarks.text import SAMPLE, describe, read_sentences
from numpy_elmo.layers.blas import SMALL_MATRIX_KERNELS, kernel

PARTS = ("throughput", "avx2", "busy", "reproducible", "growth", "limits", "costs", "startup", "install")
PEERS = ("tensorflow", "torch")
OURS = EngineSpec("numpy_elmo", "numpy_elmo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("json", type=Path, metavar="FILE", help="results; an interrupted run continues")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure (all)")
    parser.add_argument("--size", choices=sorted(RECIPES), default="original", help="made model to run (original)")
    parser.add_argument("--model", type=Path, metavar="DIR", help="a folder with options.json and weights.hdf5 instead")
    parser.add_argument("--text", type=Path, metavar="FILE", default=SAMPLE, help="one tokenised sentence per line")
    parser.add_argument("--few", type=int, metavar="N", default=64, help="sentences at the smaller batch sizes (64)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", metavar="B", default=[1, 8, 32, 64])
    parser.add_argument("--rows", type=int, nargs="+", metavar="N", default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--growth", type=int, nargs="+", metavar="N", default=growth.SIZES, help="sizes of the corpora")
    parser.add_argument("--rounds", type=int, metavar="R", default=5, help="timings of each kind (5)")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS, help="libraries to compare with (both)")
    parser.add_argument("--tensorflow-python", metavar="PATH", default=sys.executable, help="has simple-elmo")
    parser.add_argument("--torch-python", metavar="PATH", default=sys.executable, help="has simple-elmo-pytorch")
    parser.add_argument("--quick", action="store_true", help="only try all parts: a minute model, two rounds, no peers")


def main(arguments: argparse.Namespace) -> None:
    """Measure."""
    if arguments.quick:
        arguments.size, arguments.rounds, arguments.peers = "minute", 2, []
        arguments.few, arguments.batch_sizes, arguments.rows, arguments.growth = 4, [1, 8], [1, 4], [10, 100]
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, arguments.model or write_model(Path(folder), arguments.size))


def measure(arguments: argparse.Namespace, model: Path) -> None:
    """Measure the parts in `arguments.only`."""
    sentences = read_sentences(arguments.text)
    if arguments.quick:
        sentences = sentences[:24]
    options = json.loads((model / "options.json").read_text(encoding="utf-8"))
    circumstances = {
        **describe_machine(),
        "dim": options["lstm"]["dim"],
        "projection_dim": options["lstm"]["projection_dim"],
        "text": {"name": arguments.text.name, **describe(sentences)},
    }
    record = Record(arguments.json, circumstances)
    record.once(lambda: datetime.now(UTC).date().isoformat(), "date")
    pythons = {"tensorflow": arguments.tensorflow_python, "torch": arguments.torch_python}
    peers = [EngineSpec(name, name, pythons[name]) for name in arguments.peers]
    rounds = arguments.rounds
    compared = throughput.cases(sentences, arguments.batch_sizes, arguments.few)
    beside = [case for case in compared if case.name in ("batch 32", throughput.CORPUS)]
    batched = [case for case in compared if case.batch_size > 1]

    def run(part: str, engines: list[EngineSpec], cases: list[throughput.Case]) -> None:
        throughput.measure(part, engines, model, cases, rounds=rounds, record=record)

    def avx2() -> None:
        if kernel() in SMALL_MATRIX_KERNELS:
            run("avx2", [replace(OURS, environment={"OPENBLAS_CORETYPE": "Haswell"}), *peers], compared)

    def busy() -> None:
        serial = replace(OURS, name="OPENBLAS_NUM_THREADS=1", environment={"OPENBLAS_NUM_THREADS": "1"})
        with busy_core():
            run("busy", [OURS, serial, *peers], beside)

    def reproducible() -> None:
        pair = [replace(OURS, name=f"reproducible={value}", options={"reproducible": value}) for value in (False, True)]
        run("reproducible", pair, batched)

    once = record.once
    measures: dict[str, Callable[[], None]] = {
        "throughput": lambda: run("throughput", [OURS, *peers], compared),
        "avx2": avx2,
        "busy": busy,
        "reproducible": reproducible,
        "growth": lambda: growth.measure(OURS, arguments.growth, record),
        "limits": lambda: once(lambda: limits.measure(OURS, model, arguments.rows, rounds), "limits"),
        "costs": lambda: once(lambda: costs.measure(OURS, model, sentences, rounds), "costs"),
        "startup": lambda: once(lambda: startup.measure([OURS, *peers], model, sentences, rounds), "startup"),
        "install": lambda: once(lambda: {e.name: installed.measure(e) for e in [OURS, *peers]}, "install"),
    }
    for part in arguments.only:
        say(part)
        measures[part]()


def describe_machine() -> dict[str, Any]:
    """Return the processor, system and settings that results depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cpus": available_cpus(),
        "kernels": kernel(),
        "variables": {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")},
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
