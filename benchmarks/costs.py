"""The cost of numpy_elmo by sentence length, batch size, corpus size and number of threads."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.client import EngineSpec, Worker, take_turns
from benchmarks.machine import available_cpus
from benchmarks.text import Sentences
from benchmarks.throughput import Case

LENGTHS = (1, 2, 5, 10, 20, 40, 80)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOKENS_A_LENGTH = 2560  # the same text at each length, in batches of 32


def measure(ours: EngineSpec, folder: Path, sentences: Sentences, rounds: int) -> dict[str, Any]:
    """Return milliseconds per token for each of these."""
    by_length = sorted(sentences, key=len)
    with Worker(ours) as worker:
        worker.start(folder, max(BATCH_SIZES))
        sizes = [4**k for k in range(2, 12) if 4**k < len(sentences)] + [len(sentences)]
        return {
            "sentence_length": _series({n: of_length(sentences, n) for n in LENGTHS}, worker, rounds),
            "batch_size": _series({n: Case("", by_length, n) for n in BATCH_SIZES}, worker, rounds),
            "corpus_size": _series({n: Case("", sentences[:n], 64, as_corpus=True) for n in sizes}, worker, rounds),
            "threads": _threads(ours, folder, Case("", sentences, 64, as_corpus=True), rounds),
        }


def of_length(sentences: Sentences, length: int) -> Case:
    """Cut the running text into sentences of one length."""
    tokens = list(islice(cycle(chain.from_iterable(sentences)), TOKENS_A_LENGTH))
    return Case("", [tokens[k : k + length] for k in range(0, len(tokens), length)], 32)


def _series(cases: Mapping[int, Case], worker: Worker, rounds: int) -> list[dict[str, float]]:
    worker.ask("run", batches=next(iter(cases.values())).batches[:1])
    seconds = take_turns({str(n): partial(case.seconds, worker) for n, case in cases.items()}, rounds)
    return [_point(n, case, seconds[str(n)]) for n, case in cases.items()]


def _point(n: int, case: Case, seconds: Sequence[float]) -> dict[str, float]:
    n_tokens = sum(map(len, case.sentences))
    return {"n": n, "tokens": n_tokens, "milliseconds_per_token": 1e3 * statistics.median(seconds) / n_tokens}


def _threads(ours: EngineSpec, folder: Path, case: Case, rounds: int) -> list[dict[str, float]]:
    """Run a corpus with 1, 2, 4, ... threads, up to the number of CPUs."""
    most = available_cpus()
    counts = sorted({2**k for k in range(most.bit_length()) if 2**k <= most} | {most})
    with ExitStack() as stack:
        works = {}
        for n in counts:
            worker = stack.enter_context(Worker(replace(ours, environment={"NUMPY_ELMO_THREADS": str(n)})))
            worker.start(folder, 64)
            case.seconds(worker)
            works[str(n)] = partial(case.seconds, worker)
        seconds = take_turns(works, rounds)
    return [_point(n, case, seconds[str(n)]) for n in counts]
