"""States of the LSTMs of several sentences: arithmetic on their rows, and the state that one reader carries on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.lstm import LstmState
from numpy_elmo.network.bilm import BilmState
from numpy_elmo.network.locks import BRIEFLY


def map_state(function: Callable[[Array], Array], state: BilmState) -> BilmState:
    """Apply a function to every array of a state."""
    forward, backward = (tuple(LstmState(function(s.h), function(s.c)) for s in stack) for stack in state)
    return forward, backward


def take_rows(state: BilmState, rows: slice) -> BilmState:
    """Return some rows of a state, as views."""
    return map_state(lambda array: array[rows], state)


def repeat_row(state: BilmState, n_sentences: int) -> BilmState:
    """Return a state of one row as that of several sentences."""
    return map_state(lambda array: np.repeat(array, n_sentences, axis=0), state)


def join_states(first: BilmState, second: BilmState) -> BilmState:
    """Return the rows of two states, one below the other."""
    forward, backward = (
        tuple(LstmState(np.concatenate([a.h, b.h]), np.concatenate([a.c, b.c])) for a, b in zip(*stacks, strict=True))
        for stacks in zip(first, second, strict=True)
    )
    return forward, backward


def n_rows(state: BilmState) -> int:
    """Return the number of sentences that a state is of."""
    return len(state[0][0].h)


def shapes(state: BilmState) -> list[list[tuple[int, ...]]]:
    """Return the sizes of h and c of every layer, without the number of rows."""
    return [[array.shape[1:] for layer in stack for array in layer] for stack in state]


class CarriedState:
    """What the LSTMs remember between the batches of one reader, for ``state="carry"`` with a state of one's own.

    A new one stands for zeros.  Row k continues sentence k of the batch before.  It is of one reader: a batch that
    begins while another one runs from the same state is refused, for one of them would be lost.

    Attributes
    ----------
    rows : BilmState or None
        The states of all rows; None before the first batch.

    Examples
    --------
    >>> import numpy_elmo
    >>> elmo, state = numpy_elmo.load("tiny"), numpy_elmo.CarriedState()
    >>> first, second = (list(elmo.embed_corpus([["Hello", "."]], state=state)) for _ in range(2))
    >>> bool((first[0][1:] == second[0][1:]).all())
    False
    """

    def __init__(self) -> None:
        self.rows: BilmState | None = None
        self._user: threading.Thread | None = None

    def __getstate__(self) -> dict[str, object]:
        return {"rows": self.rows, "_user": None}  # a copy, or the state in another process, runs nothing

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the state while a batch runs.

        Raises
        ------
        InputError
            If another batch is running from it.
        """
        with BRIEFLY:
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
        """Return the state as arrays, to be saved: h and c of every layer, forward layers first; none for zeros."""
        if self.rows is None:
            return []
        return [array for stack in self.rows for state in stack for array in state]

    @classmethod
    def from_arrays(cls, arrays: Sequence[Array]) -> CarriedState:
        """Make a state again from what `to_arrays` returned.

        Raises
        ------
        InputError
            If the arrays are not those of a state.
        """
        state = cls()
        if not arrays:
            return state
        if len(arrays) % 4 or {array.ndim for array in arrays} != {2} or len({len(array) for array in arrays}) > 1:
            raise InputError("these arrays are no LSTM state; give all that CarriedState.to_arrays returned, in order")
        layers = [LstmState(h, c) for h, c in zip(arrays[::2], arrays[1::2], strict=True)]
        half = len(layers) // 2
        state.rows = tuple(layers[:half]), tuple(layers[half:])
        return state


class ModelState:
    """The state that a model keeps from call to call, for callers who bring none; it is of one thread at a time."""

    def __init__(self) -> None:
        self._state = CarriedState()
        self._owner: threading.Thread | None = None

    def __getstate__(self) -> dict[str, object]:
        return {"_state": self._state, "_owner": None}

    def claim(self, *, from_zeros: bool = False) -> CarriedState:
        """Return the state, which is this thread's from now on.

        Parameters
        ----------
        from_zeros : bool
            Whether to begin a new one, whoever had the old one.

        Raises
        ------
        InputError
            If another thread has claimed it before.
        """
        with BRIEFLY:
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
        """Begin with zeros, for the thread that comes next."""
        with BRIEFLY:
            self._state, self._owner = CarriedState(), None
