"""``python -m benchmarks run``: measure, and write the figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import costs, installed, limits, startup, throughput
from benchmarks.client import EngineSpec, say
from benchmarks.made_models import RECIPES, write_model
from benchmarks.text import SAMPLE, describe, read_sentences

PARTS = ("throughput", "limits", "costs", "startup", "install")
PEERS = ("tensorflow", "torch")
OURS = "numpy_elmo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there instead of printing them")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure (all)")
    parser.add_argument("--size", choices=sorted(RECIPES), default="original", help="made model to run (original)")
    parser.add_argument("--model", type=Path, metavar="DIR", help="a folder with options.json and weights.hdf5 instead")
    parser.add_argument("--text", type=Path, metavar="FILE", default=SAMPLE, help="one tokenised sentence a line")
    parser.add_argument("--few", type=int, metavar="N", default=64, help="sentences at the smaller batch sizes (64)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", metavar="B", default=[1, 8, 32, 64, 256])
    parser.add_argument("--rows", type=int, nargs="+", metavar="N", default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--rounds", type=int, metavar="R", default=5, help="timings of each kind (5)")
    parser.add_argument("--threads", type=int, metavar="N", default=available_cpus(), help="for everybody (all CPUs)")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS, help="libraries to compare with (both)")
    parser.add_argument("--tensorflow-python", metavar="PATH", default=sys.executable, help="has simple-elmo")
    parser.add_argument("--torch-python", metavar="PATH", default=sys.executable, help="has simple-elmo-pytorch")
    parser.add_argument("--blas-kernel", metavar="NAME", help="OPENBLAS_CORETYPE for our side, as Haswell")
    parser.add_argument("--env", nargs="+", metavar="NAME=VALUE", default=[], help="further variables for our side")
    parser.add_argument(
        "--variant",
        action="append",
        nargs="+",
        metavar=("NAME", "VARIABLE=VALUE"),
        default=[],
        help="run our side once more with these variables, compared like a peer",
    )
    parser.add_argument("--quick", action="store_true", help="a minute model, two rounds, no peers: does it all run?")


def main(arguments: argparse.Namespace) -> None:
    """Measure."""
    if arguments.quick:
        arguments.size, arguments.rounds, arguments.peers = "minute", 2, []
        arguments.few, arguments.batch_sizes, arguments.rows = 4, [1, 8], [1, 4]
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or write_model(Path(folder), arguments.size)
        results = measure(arguments, model)
    text = json.dumps(results, indent=2) + "\n"
    if arguments.json:
        arguments.json.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def measure(arguments: argparse.Namespace, model: Path) -> dict[str, Any]:
    """Measure all parts that are asked for."""
    sentences = read_sentences(arguments.text)
    if arguments.quick:
        sentences = sentences[:24]
    engines = list_engines(arguments)
    ours, threads, rounds = engines[0], arguments.threads, arguments.rounds
    compared = throughput.cases(sentences, arguments.batch_sizes, arguments.few)
    batch = throughput.Case("", sentences[:64], 64)
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "throughput": lambda: throughput.measure(engines, model, compared, threads, rounds),
        "limits": lambda: limits.measure(ours, model, arguments.rows, threads, rounds),
        "costs": lambda: costs.measure(ours, model, sentences, threads, rounds),
        "startup": lambda: startup.measure(engines, model, batch, threads, rounds),
        "install": lambda: {
            engine.name: installed.measure(engine) for engine in engines if engine.name == engine.engine
        },
    }
    options = json.loads((model / "options.json").read_text(encoding="utf-8"))
    results = {
        "machine": describe_machine(),
        "settings": {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv[1:],
            "dim": options["lstm"]["dim"],
            "projection_dim": options["lstm"]["projection_dim"],
            "threads": threads,
            "environment": dict(ours.environment),
            "text": {"name": arguments.text.name, **describe(sentences)},
        },
    }
    for part in PARTS:
        if part in arguments.only:
            say(part)
            results[part] = measures[part]()
    return results


def list_engines(arguments: argparse.Namespace) -> list[EngineSpec]:
    """Return our engine, its variants and the peers."""
    environment = dict(pair.split("=", 1) for pair in arguments.env)
    if arguments.blas_kernel:
        environment["OPENBLAS_CORETYPE"] = arguments.blas_kernel
    pythons = {"tensorflow": arguments.tensorflow_python, "torch": arguments.torch_python}
    return [
        EngineSpec(OURS, OURS, environment=environment),
        *(
            EngineSpec(name, OURS, environment={**environment, **dict(pair.split("=", 1) for pair in pairs)})
            for name, *pairs in arguments.variant
        ),
        *(EngineSpec(name, name, pythons[name]) for name in arguments.peers),
    ]


def describe_machine() -> dict[str, Any]:
    """Return what is known of the machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cpus": available_cpus(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def available_cpus() -> int:
    """Return the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
