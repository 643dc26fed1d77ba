"""Recording the intermediate arrays of the layers, for those who want to look at them.

Layers `note` these arrays by name.  Outside a `recording` that costs one look-up and does nothing; a recording keeps
copies.  A recording sees the calls of its own thread only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import numpy.typing as npt

from numpy_elmo.layers.arrays import Array


class Trace(dict[str, npt.NDArray[Any]]):
    """Arrays by name, in the order in which they were computed."""

    def __repr__(self) -> str:
        last = f", the last is {name} {self[name].shape}" if (name := next(reversed(self), "")) else ""
        return f"<Trace: {len(self)} arrays{last}>"


class Recording:
    """The arrays noted since the recording began, by name, such as ``"forward.0.cell"``; an LSTM notes one per step."""

    def __init__(self) -> None:
        self.arrays: dict[str, list[Array]] = {}
        self.parts: list[str] = []  # of the model, in front of the names that are noted


_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)


@contextmanager
def recording() -> Iterator[Recording]:
    """Record what is noted inside."""
    token = _recording.set(found := Recording())
    try:
        yield found
    finally:
        _recording.reset(token)


@contextmanager
def part(name: str) -> Iterator[None]:
    """Put the name of a part of the model in front of what is noted inside."""
    parts = [] if (active := _recording.get()) is None else active.parts
    parts.append(name)
    try:
        yield
    finally:
        parts.pop()


def note(**arrays: Array) -> None:
    """Give some arrays by name to the recording, if there is one, which keeps copies."""
    if (active := _recording.get()) is not None:
        for name, array in arrays.items():
            active.arrays.setdefault(".".join([*active.parts, name]), []).append(np.array(array))
