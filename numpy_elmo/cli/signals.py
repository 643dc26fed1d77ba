"""Ending in an orderly way after a signal."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

# A closed terminal sends SIGHUP, which Windows does not have.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = signal.Signals(number)


class Signals:
    """Raises `Interrupted` at the first signal, and ignores later ones until the ``with`` statement ends.

    Signals that the parent process ignores, as with ``nohup``, stay ignored.  Outside the main thread it does nothing.
    With `for_good`, signals stay ignored after the statement too, because the process is about to end.
    """

    def __init__(self, *, for_good: bool = False) -> None:
        self._for_good = for_good
        self._came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._came and self._for_good else handler)

    def ignore(self) -> None:
        """Ignore signals from now on."""
        self._came = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._came:
            self._came = True
            raise Interrupted(number)
