"""Python threads for the parts of a forward pass that do not wait for each other, and the lock they share.

NumPy releases the interpreter's lock inside a product or an elementwise function, so threads of one process run on
several cores and share one copy of the weights.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from numpy_elmo.errors import InputError
from numpy_elmo.layers import blas
from numpy_elmo.network.checks import check_count

VARIABLE = "NUMPY_ELMO_THREADS"

T = TypeVar("T")
R = TypeVar("R")

lock = threading.Lock()
"""Guards what is shared for an instant: who has a state, which types are remembered.  Never held while computing.

A fork waits for it, so that a child process never inherits it held by a thread that the child does not have.
"""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


class Workers:
    """n threads, started when they are first needed; with one, the calling thread does the work.

    With `leave_blas`, the BLAS keeps its own threads while these work.
    """

    def __init__(self, n: int, *, leave_blas: bool = False) -> None:
        self.n = n
        self._leave_blas = leave_blas
        self._executor: ThreadPoolExecutor | None = None
        self._process = 0

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_executor": None}  # another process starts threads of its own

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return ``[function(item) for item in items]``; the calls may run at the same time.

        The function must not itself use these workers: it would wait for the thread that it runs in.
        """
        todo = list(items)
        if self.n > 1 and len(todo) > 1:
            try:
                results = self._started().map(function, todo)
            except RuntimeError:
                pass  # no thread can be started: the interpreter is shutting down, or the platform has none
            else:
                return list(results)
        return [function(item) for item in todo]

    def sharing_the_blas(self) -> AbstractContextManager[None]:
        """Give the BLAS one thread inside, unless it was to be left alone."""
        return nullcontext() if self._leave_blas else blas.one_thread()

    def _started(self) -> ThreadPoolExecutor:
        with lock:
            # Threads do not survive a fork, so a child process starts its own.
            if self._executor is None or self._process != os.getpid():
                self._executor = ThreadPoolExecutor(self.n, thread_name_prefix="numpy_elmo")
                self._process = os.getpid()
            return self._executor


SERIAL = Workers(1, leave_blas=True)
"""No threads: one thing after the other."""


def chosen_threads(threads: int | None) -> int:
    """Return the number of threads that an option asks for, or else the environment, or else two.

    Two is one for each reading direction.  `InputError` if it is not a positive integer.
    """
    if threads is not None:
        return check_count("threads", threads)
    value = os.environ.get(VARIABLE) or str(min(2, os.cpu_count() or 1))
    if not value.isdecimal():
        raise InputError(f"{VARIABLE} must be a positive integer, not {value!r}")
    return check_count(VARIABLE, int(value))
