"""Speed and memory of the embedded model over corpora of growing size, each in a fresh process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.client import EngineSpec, Worker, say
from benchmarks.record import Record

SIZES = (1000, 10_000, 100_000, 1_000_000)


def measure(ours: EngineSpec, sizes: Sequence[int], record: Record) -> None:
    """Embed made sentences; the largest corpus has over 100,000 types, far more than the token cache holds."""
    for size in sizes:
        record.once(partial(_grow, ours, size), "growth", f"{size}")


def _grow(ours: EngineSpec, size: int) -> dict[str, Any]:
    say(f"  {size:,} sentences")
    with Worker(ours) as worker:
        worker.start(Path("tiny"), 1)
        return worker.ask("grow", n_sentences=size)
