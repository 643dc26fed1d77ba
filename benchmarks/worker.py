"""A process that holds one engine and answers requests: ``PYTHON -m benchmarks.worker NAME``.

Requests are JSON objects ``{"call": NAME, "arguments": {...}}``, one per line of standard input; results are JSON
objects on standard output.  What a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines import ENGINES, Batch, Engine, NumpyElmo
from benchmarks.machine import Machine
from benchmarks.text import MadeCorpus


class Host:
    """The requests that a worker answers about an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def start(self, folder: str, max_batch_size: int, options: dict[str, Any]) -> dict[str, Any]:
        """Import the library and load a model."""
        versions = self.engine.import_library()
        imported = peak_bytes()
        seconds = timed(lambda: self.engine.load(folder, max_batch_size, **options))
        return {
            "versions": versions,
            "load_seconds": seconds,
            "imported_peak_bytes": imported,
            "peak_bytes": peak_bytes(),
        }

    def first(self, sentence: list[str]) -> dict[str, Any]:
        """Time a sentence, without clearing caches."""
        seconds = timed(lambda: self.engine.embed([sentence]))
        return {"seconds": seconds}

    def run(self, batches: Sequence[Batch]) -> dict[str, Any]:
        """Time the batches, one at a time."""
        self.engine.forget()
        seconds = timed(lambda: exhaust(map(self.engine.embed, batches)))
        return {"seconds": seconds, "peak_bytes": peak_bytes()}

    def run_corpus(self, sentences: Batch) -> dict[str, Any]:
        """Time the sentences, batched as by the library's users."""
        self.engine.forget()
        seconds = timed(lambda: exhaust(self.engine.embed_corpus(sentences)))
        return {"seconds": seconds, "peak_bytes": peak_bytes()}

    def save(self, batches: Sequence[Batch], path: str, carry: bool) -> dict[str, Any]:
        """Write the vectors of the batches, starting from zero states, as one array of all tokens."""
        self.engine.reset()
        embed = self.engine.embed_carried if carry else self.engine.embed
        arrays = []
        for batch in batches:
            arrays += self.engine.vectors(embed(batch), [len(sentence) for sentence in batch])
        np.save(path, np.concatenate(arrays, axis=1, dtype=np.float32))
        return {}


class NumpyHost(Host):
    """The requests that only our own worker answers."""

    engine: NumpyElmo

    def lstm(self, n_rows: int, n_steps: int) -> dict[str, Any]:
        """Time the LSTM layers alone."""
        from benchmarks.lstm import lstm_seconds  # noqa: PLC0415 - the peers' interpreters have no numpy_elmo

        return {"seconds": lstm_seconds(self.engine.elmo, n_rows, n_steps)}

    def grow(self, n_sentences: int) -> dict[str, Any]:
        """Time a made corpus of `n_sentences` sentences."""
        corpus = MadeCorpus(n_sentences)
        seconds = timed(lambda: exhaust(self.engine.elmo.embed_corpus(corpus)))
        return {
            "seconds": seconds,
            "tokens": corpus.n_tokens,
            "types": int(corpus.seen.sum()),
            "peak_bytes": peak_bytes(),
        }

    def save_corpus(self, sentences: Batch, path: str) -> dict[str, Any]:
        """Write the vectors of the streamed corpus as one array of all tokens."""
        np.save(path, np.concatenate(list(self.engine.embed_corpus(sentences)), axis=1))
        return {}


def exhaust(outputs: Iterable[object]) -> None:
    """Consume an iterable without keeping its items."""
    for _ in outputs:
        pass


def timed(function: Callable[[], object]) -> float:
    """Call a function; return its time in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak_bytes() -> int | None:
    """Return the peak memory of this process, or None if the system does not report it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    [line] = [line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def make_host(name: str) -> Host | Machine:
    """Return the object that answers requests in a worker of this name."""
    if name == "machine":
        return Machine()
    engine = ENGINES[name]()
    return NumpyHost(engine) if isinstance(engine, NumpyElmo) else Host(engine)


def main(name: str) -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    host = make_host(name)
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(getattr(host, request["call"])(**request["arguments"])) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
