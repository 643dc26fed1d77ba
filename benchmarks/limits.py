"""The speed of the LSTM layers, compared with the limits of the machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.client import EngineSpec, Worker, summary, take_turns
from benchmarks.lstm import lstm_work

STEPS = 20


def measure(ours: EngineSpec, folder: Path, rows: Sequence[int], rounds: int) -> dict[str, Any]:
    """Time the LSTM layers and, in turn, a large matrix product and reading memory.

    Ratios are taken within a round: GFLOP/s to those of ``sgemm``, and bytes per second to the bandwidth.
    """
    options = json.loads((folder / "options.json").read_text(encoding="utf-8"))
    machine = EngineSpec("machine", "machine", ours.python, ours.environment)
    with Worker(ours) as engine, Worker(machine) as reference:
        engine.start(folder, max(rows))
        versions = reference.ask("start")["versions"]

        def seconds(n: int) -> float:
            return float(engine.ask("lstm", n_rows=n, n_steps=STEPS)["seconds"])

        for n in rows:
            seconds(n)
        figures = take_turns(
            {
                "sgemm": lambda: float(reference.ask("sgemm")["gflops"]),
                "bandwidth": lambda: float(reference.ask("bandwidth")["gigabytes"]),
                **{str(n): partial(seconds, n) for n in rows},
            },
            rounds,
        )
    lines = []
    for n in rows:
        flops, weight_bytes = lstm_work(options, n, STEPS)
        gflops = [flops / s / 1e9 for s in figures[str(n)]]
        gigabytes = [weight_bytes / s / 1e9 for s in figures[str(n)]]
        lines.append(
            {
                "rows": n,
                "gflops": summary(gflops),
                "of_sgemm": summary(a / b for a, b in zip(gflops, figures["sgemm"], strict=True)),
                "gigabytes_per_second": summary(gigabytes),
                "of_bandwidth": summary(a / b for a, b in zip(gigabytes, figures["bandwidth"], strict=True)),
            }
        )
    return {
        "blas": versions["blas"],
        "steps": STEPS,
        "sgemm_gflops": summary(figures["sgemm"]),
        "bandwidth_gigabytes": summary(figures["bandwidth"]),
        "rows": lines,
    }
