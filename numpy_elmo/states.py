"""States of the LSTMs of several sentences: arithmetic on their rows, and the state that one reader carries on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from numpy_elmo.bilm import BilmState
from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.lstm import LstmState


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

    A new one stands for zeros.  Row k continues sentence k of the batch before.

    Attributes
    ----------
    rows : BilmState or None
        The states of all rows; None before the first batch.
    lock : lock
        Held while a batch runs: batches that share a state follow one another.

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
        self.lock = threading.Lock()

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
