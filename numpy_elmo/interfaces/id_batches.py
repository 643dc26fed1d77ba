"""Batches of ids as bilm-tf and AllenNLP pad them, and a biLM that goes on from call to call.

An id is one more than here: 0 is kept for what is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.batching import pack
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.state import ModelState, join

Int64s: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]


def check_at_least(least: int, name: str, value: object) -> None:
    """Refuse an argument that is not an integer of at least this (`InputError`)."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}, not {value!r}")


def pad_ids(sentences: Sequence[npt.NDArray[np.integer]]) -> Int64s:
    """Stack the ids of sentences, 1 added and 0 beyond their ends.

    Raises
    ------
    InputError
        If there is no sentence.
    """
    if not sentences:
        raise InputError("there is no sentence to make a batch of; give at least one")
    ids = np.zeros((len(sentences), max(map(len, sentences)), *sentences[0].shape[1:]), dtype=np.int64)
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = sentence + 1
    return ids


def as_integers(ids: npt.ArrayLike, maker: str) -> npt.NDArray[np.intp]:
    """Return ids as an array, or say which function makes them (`InputTypeError`)."""
    array = np.asarray(ids)
    if array.dtype.kind not in "iu":
        raise InputTypeError(f"ids must be integers, not {array.dtype}; make them with {maker}")
    return array.astype(np.intp)


def check_range(ids: npt.NDArray[np.intp], n_ids: int) -> None:
    """Refuse ids that are not in 0..n_ids (`InputError`)."""
    if ids.size and (ids.min() < 0 or ids.max() > n_ids):
        raise InputError(
            f"ids must lie in 0..{n_ids}, these are in {ids.min()}..{ids.max()}; were they made with another "
            "vocabulary?"
        )


def present_tokens(ids: npt.NDArray[np.intp], *, of_characters: bool) -> Mask:
    """Return which tokens are there.

    Parameters
    ----------
    ids : ndarray of int, shape (n, T, C) with characters, else (n, T)
        0 at padding.
    of_characters : bool
        Whether a token is a row of characters.

    Returns
    -------
    ndarray of bool, shape (n, T)

    Raises
    ------
    InputError
        If there is padding inside a token, or before or between a sentence's tokens.
    """
    present: Mask = np.any(ids, axis=2) if of_characters else ids > 0
    if of_characters and not ids[present].all():
        raise InputError("0 stands for a token that is not there; inside a token, pad with 261 as Batcher does")
    if (present[:, 1:] > present[:, :-1]).any():
        raise InputError("a sentence has padding (0) before or between its tokens; padding goes to its end")
    return present


def without_boundaries(layers: Array, mask: Mask) -> Array:
    """Return vectors without those of ``<S>`` and ``</S>``, zero at padding.

    Parameters
    ----------
    layers : ndarray, shape (..., n, T + 2, 2 P)
        Vectors with boundaries.
    mask : ndarray of bool, shape (n, T)
        Where true tokens stand.

    Returns
    -------
    ndarray, shape (..., n, T, 2 P)
    """
    return np.where(mask[..., np.newaxis], layers[..., 1:-1, :], layers.dtype.type(0))


class CarriedBilm:
    """A biLM that remembers the states of its rows, as the stateful encoders of bilm-tf and AllenNLP do.

    Row k of a call goes on from row k of the call before.  A larger call starts its further rows from zeros, a smaller
    one leaves the other rows as they were.

    Parameters
    ----------
    bilm : Bilm
        The LSTM layers.
    """

    def __init__(self, bilm: Bilm) -> None:
        self._bilm = bilm
        self._state = ModelState()

    def reset(self) -> None:
        """Start from zeros again."""
        self._state.reset()

    def fresh(self) -> CarriedBilm:
        """Return the same layers with states of their own, beginning with zeros."""
        return CarriedBilm(self._bilm)

    def __call__(self, tokens: Array, present: Mask) -> Array:
        """Return the vectors of all layers, and move the states on.

        Parameters
        ----------
        tokens : ndarray, shape (N, P)
            Vectors of the tokens that are there, sentence after sentence, boundaries included.
        present : ndarray of bool, shape (n, T)
            Where they stand.

        Returns
        -------
        ndarray, shape (L + 1, n, T, 2 P)
            Zero at padding.

        Raises
        ------
        InputError
            If another thread has used the states.
        """
        n = len(present)
        state = self._state.claim()
        with state.running():
            rows = (self._bilm.zero_state(0) if state.rows is None else state.rows).at_least(n)
            before = rows.texts(slice(n))
            found, after = self._bilm(tokens, pack(present.sum(axis=1).tolist()), before)  # [L + 1, N, 2 P]
            state.rows = join([after, rows.texts(slice(n, None))])
        layers = np.zeros((len(found), *present.shape, found.shape[2]), found.dtype)
        layers[:, present] = found
        return layers
