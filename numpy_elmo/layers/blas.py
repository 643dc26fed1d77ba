"""The BLAS that NumPy multiplies with: its name, its kernels, and its number of threads.

The package runs threads of its own.  If the BLAS starts a thread per core for each of them, they wait for each other.
So the BLAS gets one thread while a forward pass runs (`one_thread`).  The setting belongs to the process: other threads
that multiply at the same time see it too.

OpenBLAS, which NumPy's wheels bring, is asked through its C functions.  Any other BLAS is left as it is.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

# OpenBLAS kernels for small matrices, which read them in place instead of copying ("packing") them first.
SMALL_MATRIX_KERNELS = {"SkylakeX", "Cooperlake", "SapphireRapids"}

_lock = threading.Lock()
_users = 0  # callers inside `one_thread`
_before = 0  # the number of threads that they found


class OpenBlas:
    """The functions of a loaded OpenBLAS, whose names depend on how it was built."""

    def __init__(self, library: ctypes.CDLL, prefix: str, suffix: str) -> None:
        self.get_num_threads = library[f"{prefix}openblas_get_num_threads{suffix}"]
        self.set_num_threads = library[f"{prefix}openblas_set_num_threads{suffix}"]
        self._core_name = library[f"{prefix}openblas_get_corename{suffix}"]
        self._core_name.restype = ctypes.c_char_p

    @property
    def kernel(self) -> str:
        """The processor family whose kernels it runs, such as ``"SkylakeX"`` or ``"Haswell"``."""
        return str(self._core_name().decode())


@cache
def openblas() -> OpenBlas | None:
    """Return the OpenBLAS that NumPy uses, or None if it uses another BLAS."""
    folder = Path(np.__file__).parent
    modules = [path for core in ("_core", "core") for path in sorted(folder.glob(f"{core}/_multiarray_umath.*"))]
    bundled = [*sorted(folder.parent.glob("numpy.libs/*openblas*")), *sorted(folder.glob(".dylibs/*openblas*"))]
    for path in [*(path for path in modules if path.suffix != ".py"), *bundled]:
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("scipy_", ""), ("", "")):
            try:
                return OpenBlas(library, prefix, suffix)
            except AttributeError:
                continue
    return None


def kernel() -> str:
    """Return the name of OpenBLAS's kernels, or ``"unknown"`` for another BLAS."""
    found = openblas()
    return "unknown" if found is None else found.kernel


@contextmanager
def one_thread() -> Iterator[None]:
    """Give the BLAS one thread inside; the last caller to leave restores the number that the first one found.

    Must not be held across a ``yield`` to a caller, who may never come back.
    """
    global _users, _before  # noqa: PLW0603 -- the number of threads is global too
    found = openblas()
    if found is None:
        yield
        return
    with _lock:
        if not _users:
            _before = found.get_num_threads()
            found.set_num_threads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                found.set_num_threads(_before)


def _restore_in_child() -> None:
    # The threads that were inside do not exist in a forked child.
    global _users  # noqa: PLW0603
    found = openblas()
    if _users and found is not None:
        found.set_num_threads(_before)
    _users = 0
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_restore_in_child)
