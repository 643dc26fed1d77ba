"""Starting workers, sending them requests, and timing them in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class EngineSpec:
    """How to start the worker of an engine.

    Attributes
    ----------
    name : str
        Name in the tables.
    engine : str
        A key of `benchmarks.engines.ENGINES`, or ``"machine"``.
    python : str
        The interpreter that has the library.
    environment : mapping
        Variables to set for this engine; by default none, as for its users.
    options : mapping
        Further arguments of `Engine.load`.
    """

    name: str
    engine: str
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


class Worker:
    """A running worker process.

    Attributes
    ----------
    spawned : float
        Start time by ``time.perf_counter``.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self.name = spec.name
        self._options = dict(spec.options)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **spec.environment}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self.spawned = time.perf_counter()
        self._process = subprocess.Popen(
            [spec.python, "-m", "benchmarks.worker", spec.engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            cwd=ROOT,
            text=True,
            encoding="utf-8",
        )

    def start(self, folder: Path, max_batch_size: int) -> dict[str, Any]:
        """Let the engine import its library and load a model."""
        return self.ask("start", folder=str(folder), max_batch_size=max_batch_size, options=self._options)

    def ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"call": call, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            said = self._log.read().decode(errors="replace")[-4000:]
            raise RuntimeError(f"the worker of {self.name} ended at {call!r}; its last output:\n{said}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._log.close()


@contextmanager
def busy_core() -> Iterator[subprocess.Popen[bytes]]:
    """Keep one core busy with another program during the ``with`` statement."""
    load = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield load
    finally:
        load.kill()
        load.wait()


def take_turns(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call all functions once per round, in turn, so that other load on the machine affects all of them."""
    figures: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            figures[name].append(work())
    return figures


def summary(values: Iterable[float]) -> dict[str, float]:
    """Return median, smallest and largest."""
    listed = list(values)
    return {"median": statistics.median(listed), "min": min(listed), "max": max(listed)}


def say(what: str) -> None:
    """Print what is being measured."""
    print(what, file=sys.stderr, flush=True)
