"""Tokens per second of several engines in turn, on equal weights and sentences, and the difference of vectors."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.client import EngineSpec, Worker, say, summary, take_turns
from benchmarks.record import Record
from benchmarks.text import Sentences

CORPUS = "a corpus as its user runs it"


@dataclass(frozen=True)
class Case:
    """Sentences and how to batch them."""

    name: str
    sentences: Sentences
    batch_size: int
    as_corpus: bool = False

    @property
    def batches(self) -> list[Sentences]:
        """The sentences in batches, in order."""
        return [self.sentences[i : i + self.batch_size] for i in range(0, len(self.sentences), self.batch_size)]

    def seconds(self, worker: Worker) -> float:
        """Run the case and return its time."""
        if self.as_corpus:
            answer = worker.ask("run_corpus", sentences=self.sentences)
        else:
            answer = worker.ask("run", batches=self.batches)
        return float(answer["seconds"])


def cases(sentences: Sentences, batch_sizes: Sequence[int], n_few: int) -> list[Case]:
    """Return a case per batch size, on the first `n_few` sentences or one batch; one sorted by length; and a corpus."""
    in_order = [Case(f"batch {size}", sentences[: max(n_few, size)], size) for size in batch_sizes]
    return [
        *in_order,
        Case("batch 64, sorted by length", sorted(sentences, key=len), 64),
        Case(CORPUS, sentences, 64, as_corpus=True),
    ]


def measure(
    part: str, engines: Sequence[EngineSpec], folder: Path, listed: Sequence[Case], *, rounds: int, record: Record
) -> None:
    """Run all cases on all engines; the first engine is ours, which ratios refer to."""
    missing = [case for case in listed if not record.has(part, "cases", case.name)]
    if not missing:
        return
    with ExitStack() as stack:
        workers = {engine.name: stack.enter_context(Worker(engine)) for engine in engines}
        largest = max(case.batch_size for case in listed)
        started = {name: worker.start(folder, largest) for name, worker in workers.items()}
        record.put({name: answer["versions"] for name, answer in started.items()}, part, "engines")
        record.put(rounds, part, "rounds")
        for case in missing:
            record.put(_measure_case(case, workers, rounds), part, "cases", case.name)


def _measure_case(case: Case, workers: Mapping[str, Worker], rounds: int) -> dict[str, Any]:
    say(f"  {case.name}")
    ours, *others = workers
    agreement = _compare(case, workers)  # also warms up all engines with the same batches
    seconds = take_turns({name: partial(case.seconds, worker) for name, worker in workers.items()}, rounds)
    n_tokens = sum(map(len, case.sentences))
    return {
        "sentences": len(case.sentences),
        "tokens": n_tokens,
        "tokens_per_second": {name: n_tokens / statistics.median(values) for name, values in seconds.items()},
        "seconds": seconds,
        "times_faster": {
            name: summary(theirs / mine for theirs, mine in zip(seconds[name], seconds[ours], strict=True))
            for name in others
        },
        "max_abs_difference": agreement,
    }


def _compare(case: Case, workers: Mapping[str, Worker]) -> dict[str, dict[str, float]]:
    """Return the largest absolute difference between each engine's vectors and ours.

    The peers carry state from batch to batch, and in ``"carried"`` ours do too.  ``"reset"`` compares ours as they are
    timed, on the first batch only, where the peers also start from zeros.
    """
    ours, *others = workers
    if not others:
        return {}
    with tempfile.TemporaryDirectory() as folder:

        def vectors(name: str, batches: list[Sentences], *, carry: bool) -> Any:
            path = Path(folder) / "vectors.npy"
            workers[name].ask("save", batches=batches, path=str(path), carry=carry)
            return np.load(path)

        def as_timed() -> Any:
            if not case.as_corpus:
                return vectors(ours, case.batches[:1], carry=False)
            path = Path(folder) / "vectors.npy"
            workers[ours].ask("save_corpus", sentences=case.sentences, path=str(path))
            return np.load(path)

        carried = vectors(ours, case.batches, carry=True)
        n_first = sum(map(len, case.batches[0]))
        reset = as_timed()[:, :n_first]
        differences = {}
        for name in others:
            theirs = vectors(name, case.batches, carry=True)
            differences[name] = {
                "carried": float(np.abs(theirs - carried).max()),
                "reset": float(np.abs(theirs[:, :n_first] - reset).max()),
            }
    return differences
