"""Time to the first vector, and peak memory, in fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.client import ROOT, EngineSpec, Worker
from benchmarks.engines import CORPUS_BATCH
from benchmarks.text import Sentences

IMPORTS = {
    "numpy_elmo": "import numpy_elmo",
    "tensorflow": "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'; import simple_elmo",
    "torch": "import simple_elmo_pytorch",
}


def measure(engines: Sequence[EngineSpec], folder: Path, corpus: Sentences, rounds: int) -> dict[str, Any]:
    """Start every engine in each round, in turn, and time plain reading of the weight file for comparison."""
    weights = folder / "weights.hdf5"
    read_seconds(weights)
    reading: list[float] = []
    answers: dict[str, list[dict[str, Any]]] = {engine.name: [] for engine in engines}
    for _ in range(rounds):
        reading.append(read_seconds(weights))
        for engine in engines:
            answers[engine.name].append(_start(engine, folder, corpus))
    return {
        "weights_bytes": weights.stat().st_size,
        "read_seconds": statistics.median(reading),
        "engines": {name: _medians(listed) for name, listed in answers.items()},
    }


def read_seconds(path: Path) -> float:
    """Time reading a file into memory that is new to the process, as loading does."""
    start = time.perf_counter()
    buffer = bytearray(path.stat().st_size)
    with path.open("rb", buffering=0) as file:
        view = memoryview(buffer)
        while view:
            view = view[file.readinto(view) or len(view) :]
    return time.perf_counter() - start


def import_seconds(engine: EngineSpec) -> float:
    """Time an import in a fresh interpreter that has imported NumPy."""
    statement = IMPORTS[engine.engine]
    code = f"import time, numpy; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    done = subprocess.run([engine.python, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _start(engine: EngineSpec, folder: Path, corpus: Sentences) -> dict[str, Any]:
    importing = import_seconds(engine)
    with Worker(engine) as worker:
        started = worker.start(folder, CORPUS_BATCH)
        first = worker.ask("first", sentence=corpus[0])["seconds"]
        from_nothing = time.perf_counter() - worker.spawned
        ran = worker.ask("run_corpus", sentences=corpus)
    return {
        "import_seconds": importing,
        "load_seconds": started["load_seconds"],
        "first_sentence_seconds": first,
        "process_to_first_vector_seconds": from_nothing,
        "peak_bytes_imported": started["imported_peak_bytes"],
        "peak_bytes_loaded": started["peak_bytes"],
        "peak_bytes_embedded": ran["peak_bytes"],
    }


def _medians(answers: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    return {
        name: None if answers[0][name] is None else statistics.median(answer[name] for answer in answers)
        for name in answers[0]
    }
