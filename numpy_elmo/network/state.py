"""The state of a biLM between two tokens, and the state that is carried from batch to batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.threads import lock


class BilmState(NamedTuple):
    """The state of a biLM for B texts.  Axes: direction, layer, text, feature.

    Attributes
    ----------
    h : ndarray, shape (2, L, B, P)
        Last outputs, clipped.
    c : ndarray, shape (2, L, B, D)
        Cells, clipped.
    """

    h: Array
    c: Array

    def __repr__(self) -> str:
        return f"<BilmState of {self.n_texts} texts>"

    @property
    def n_texts(self) -> int:
        """The number of texts, B."""
        return int(self.h.shape[2])

    def texts(self, which: slice) -> BilmState:
        """Return the states of some texts, as views."""
        return BilmState(self.h[:, :, which], self.c[:, :, which])

    def repeat(self, n: int) -> BilmState:
        """Return the state of one text as that of n texts."""
        return BilmState(self.h.repeat(n, axis=2), self.c.repeat(n, axis=2))

    def at_least(self, n: int) -> BilmState:
        """Return a state of at least n texts; added ones are zeros."""
        missing = [(0, 0), (0, 0), (0, max(0, n - self.n_texts)), (0, 0)]
        return BilmState(np.pad(self.h, missing), np.pad(self.c, missing))


def join(states: Sequence[BilmState]) -> BilmState:
    """Return the states of all texts of several states."""
    return BilmState(np.concatenate([s.h for s in states], axis=2), np.concatenate([s.c for s in states], axis=2))


class CarriedState:
    """What the LSTMs remember between the batches of one reader, for ``state="carry"`` with a state of one's own.

    A new one starts from zeros.  Row k continues sentence k of the batch before.  It can't be shared: starting a batch
    while another uses this state raises `InputError`.

    Attributes
    ----------
    rows : BilmState or None
        The states of all rows; None before the first batch.

    Examples
    --------
    >>> import numpy_elmo
    >>> elmo, state = numpy_elmo.load("tiny"), numpy_elmo.CarriedState()
    >>> [first] = elmo.embed_corpus([["Hello", "."]], state=state)
    >>> [second] = elmo.embed_corpus([["Hello", "."]], state=state)
    >>> bool((first[1:] == second[1:]).all())
    False
    """

    def __init__(self) -> None:
        self.rows: BilmState | None = None
        self._user: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<CarriedState of {0 if self.rows is None else self.rows.n_texts} sentences>"

    def __getstate__(self) -> dict[str, object]:
        return {"rows": self.rows, "_user": None}  # a copy, or the state in another process, runs nothing

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the state while a batch runs; `InputError` if another batch is running from it."""
        with lock:
            # In a forked child the other threads are gone, and a batch that they ran never changed the state.
            if self._user is not None and self._user.is_alive():
                raise InputError(
                    "this state is in use by another call; give each reader a state of its own (state=CarriedState())"
                )
            self._user = threading.current_thread()
        try:
            yield
        finally:
            self._user = None

    def to_arrays(self) -> list[Array]:
        """Return copies of the state's arrays, to be saved: h and c, as in `BilmState`; none for zeros."""
        return [] if self.rows is None else [array.copy() for array in self.rows]

    @classmethod
    def from_arrays(cls, arrays: Sequence[Array]) -> CarriedState:
        """Make a state again from what `to_arrays` returned.

        Raises
        ------
        InputError
            If the arrays are not those of a state, or hold a value that is not finite.
        """
        state = cls()
        if not arrays:
            return state
        shapes = [array.shape for array in arrays]
        if len(shapes) != 2 or {len(shape) for shape in shapes} != {4} or shapes[0][:3] != shapes[1][:3]:
            raise InputError("these arrays are no LSTM state; give all that CarriedState.to_arrays returned, in order")
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError("an LSTM state with values that are not finite (NaN or infinite) continues no text")
        h, c = (np.array(array) for array in arrays)
        state.rows = BilmState(h, c)
        return state


class ModelState:
    """The state that a model keeps from call to call, for callers who bring none; one thread at a time may use it."""

    def __init__(self) -> None:
        self._state = CarriedState()
        self._owner: threading.Thread | None = None

    def __getstate__(self) -> dict[str, object]:
        return {"_state": self._state, "_owner": None}

    def claim(self, *, from_zeros: bool = False) -> CarriedState:
        """Return the state, which belongs to this thread from now on; `InputError` if it belongs to another.

        With `from_zeros`, start a new one, whoever had the old one.
        """
        with lock:
            thread = threading.current_thread()
            if from_zeros:
                self._state, self._owner = CarriedState(), thread
            if self._owner not in (None, thread):
                raise InputError(
                    "the model's own carried state is in use by another thread, and sharing it would mix their texts; "
                    "give each thread a state of its own, a CarriedState or an input, or reset the model's first"
                )
            self._owner = thread
            return self._state

    def reset(self) -> None:
        """Start from zeros again, for the thread that comes next."""
        with lock:
            self._state, self._owner = CarriedState(), None
