"""Python threads for the parts of a forward pass that do not wait for each other.

NumPy lets go of the interpreter's lock inside a product or an elementwise function, so threads of one process run on
several cores and share one copy of the weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from numpy_elmo.errors import InputError
from numpy_elmo.network.locks import BRIEFLY

VARIABLE = "NUMPY_ELMO_THREADS"

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """A fixed number of threads, started when they are first needed.

    Parameters
    ----------
    n : int
        How many.  With one, the calling thread does the work.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._executor: ThreadPoolExecutor | None = None
        self._process = 0

    def __reduce__(self) -> tuple[type[Workers], tuple[int]]:
        return Workers, (self.n,)  # another process starts threads of its own

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return ``[function(item) for item in items]``; the calls may run at the same time.

        The function must not itself use these workers: it would wait for the thread that it runs in.
        """
        todo = list(items)
        if self.n == 1 or len(todo) == 1:
            return [function(item) for item in todo]
        return list(self._started().map(function, todo))

    def _started(self) -> ThreadPoolExecutor:
        with BRIEFLY:
            # Threads do not survive a fork, so a child process starts its own.
            if self._executor is None or self._process != os.getpid():
                self._executor = ThreadPoolExecutor(self.n, thread_name_prefix="numpy_elmo")
                self._process = os.getpid()
            return self._executor


IN_TURN = Workers(1)
"""No threads: one thing after the other."""


def chosen_threads(threads: int | None) -> int:
    """Return the number of threads that an option asks for, or else the environment, or else two.

    Two is one for each reading direction.  No more are taken unasked: the BLAS has threads of its own.

    Raises
    ------
    InputError
        If it is not a positive integer.
    """
    value: object = threads
    where = "threads"
    if threads is None:
        where, value = VARIABLE, os.environ.get(VARIABLE) or min(2, os.cpu_count() or 1)
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{where} must be a positive integer, not {value!r}")
    return value
