"""Padded batches as bilm-tf and AllenNLP make them, and a biLM that carries its state from call to call.

Their ids are this package's plus 1, because 0 is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.interfaces.texts import from_tensorflow
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.batching import pack
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.state import CarriedState, ModelState, join

Int64s: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]


def pad_ids(sentences: Sequence[npt.NDArray[np.integer]]) -> Int64s:
    """Stack the ids of sentences, at least one, with 1 added and 0 beyond their ends."""
    if not sentences:
        raise InputError("there is no sentence to make a batch of; give at least one")
    ids = np.zeros((len(sentences), max(map(len, sentences)), *sentences[0].shape[1:]), dtype=np.int64)
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = sentence + 1
    return ids


def pad_vectors(sentences: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """Stack the vectors of sentences, (..., n_tokens, F) each, with zeros up to one shape, (..., T, F)."""
    padded = np.zeros((len(sentences), *shape), np.float32)
    for row, vectors in zip(padded, sentences, strict=True):
        row[..., : vectors.shape[-2], :] = vectors
    return padded


def as_integers(ids: npt.ArrayLike, maker: str) -> npt.NDArray[np.intp]:
    """Return ids as an array, or raise InputTypeError with the name of the function that makes them."""
    array = np.asarray(from_tensorflow(ids))
    if array.dtype.kind not in "iu":
        found = type(ids).__name__ if array.dtype == object else array.dtype
        raise InputTypeError(
            f"ids must be integers, not {found}; make them with {maker}, and give them without a session"
        )
    return array.astype(np.intp)


def check_range(ids: npt.NDArray[np.intp], n_ids: int) -> None:
    """Raise InputError for ids that are not in 0..n_ids."""
    if ids.size and (ids.min() < 0 or ids.max() > n_ids):
        raise InputError(
            f"ids must lie in 0..{n_ids}, these are in {ids.min()}..{ids.max()}; were they made with another "
            "vocabulary?"
        )


def present_tokens(ids: npt.NDArray[np.intp], *, of_characters: bool) -> Mask:
    """Return where the tokens are, (n, T), in ids of characters (n, T, C) or tokens (n, T).

    Padding inside a token, or before or between a sentence's tokens, raises InputError.
    """
    present: Mask = np.any(ids, axis=2) if of_characters else ids > 0
    if of_characters and not ids[present].all():
        raise InputError("0 marks a missing token; inside a token, pad with 261 as Batcher does")
    if (present[:, 1:] > present[:, :-1]).any():
        raise InputError("a sentence has padding (0) before or between its tokens; padding belongs at its end")
    return present


def without_boundaries(layers: Array, mask: Mask) -> Array:
    """Return vectors (..., n, T, 2 P), zero at padding, from vectors with boundaries (..., n, T + 2, 2 P)."""
    return np.where(mask[..., np.newaxis], layers[..., 1:-1, :], layers.dtype.type(0))


class CarriedBilm:
    """A biLM that carries the state of each row to the next call, as bilm-tf and AllenNLP do.

    Row k starts from the last state of row k.  New rows start from zeros; rows missing from a call keep their state.
    """

    def __init__(self, bilm: Bilm) -> None:
        self._bilm = bilm
        self._state = ModelState()

    def reset(self) -> None:
        """Start from zeros again."""
        self._state.reset()

    def claim(self) -> CarriedState:
        """Return the state, which belongs to this thread until `reset`."""
        return self._state.claim()

    def fresh(self) -> CarriedBilm:
        """Return the same layers with a state of their own, which starts from zeros."""
        return CarriedBilm(self._bilm)

    def __call__(self, tokens: Array, present: Mask) -> Array:
        """Return the vectors of all layers, (L + 1, n, T, 2 P), zero at padding, and carry the state.

        `tokens` (N, P) are the token vectors, boundaries included, sentence after sentence; `present` (n, T) is where
        they are.
        """
        n = len(present)
        state = self.claim()
        with state.running():
            rows = (self._bilm.zero_state(0) if state.rows is None else state.rows).at_least(n)
            before = rows.texts(slice(n))
            found, after = self._bilm(tokens, pack(present.sum(axis=1).tolist()), before)  # [L + 1, N, 2 P]
            state.rows = join([after, rows.texts(slice(n, None))])
        layers = np.zeros((len(found), *present.shape, found.shape[2]), found.dtype)
        layers[:, present] = found
        return layers
