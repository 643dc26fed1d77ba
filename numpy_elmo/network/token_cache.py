"""A bounded memory for token vectors: a corpus uses few types over and over."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np

from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.encoder import TokenEncoder
from numpy_elmo.network.locks import BRIEFLY
from numpy_elmo.network.threads import IN_TURN, Workers

# At the published size, 512 floats a vector, this is 16,384 types.
CAPACITY_BYTES = 32 << 20


class TokenCache:
    """A token encoder that remembers the types used last.

    A token's vector depends on its spelling alone, and encoding it costs a third of the whole forward pass.  Several
    threads may call it at once; a type that two of them miss together is encoded twice, to the same vector.

    Parameters
    ----------
    encoder : TokenEncoder
        What makes the vectors.
    capacity_bytes : int
        Bound on the vectors that are remembered; the type that was used longest ago is forgotten first.
    """

    def __init__(self, encoder: TokenEncoder, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._encoder = encoder
        self._capacity_bytes = capacity_bytes
        self._recent: OrderedDict[str, Array] = OrderedDict()
        self._kept: dict[str, Array] = {}

    def __call__(self, tokens: Sequence[str], workers: Workers = IN_TURN) -> Array:
        """Return the vectors of some tokens.

        Parameters
        ----------
        tokens : sequence of str
            N tokens, at least one.
        workers : Workers
            The threads that encode types not met before.

        Returns
        -------
        ndarray, shape (N, P)
        """
        types = list(dict.fromkeys(tokens))
        found = self._look_up(types)
        if missing := [token for token in types if token not in found]:
            vectors = dict(zip(missing, self._encoder(missing, workers), strict=True))
            self._remember(vectors)
            found |= vectors
        return np.stack([found[token] for token in tokens])  # [N, P]

    def keep(self, tokens: Iterable[str], workers: Workers = IN_TURN) -> None:
        """Encode some types now and never forget them, beyond the bound.

        Parameters
        ----------
        tokens : iterable of str
            The vocabulary.
        workers : Workers
            The threads that encode it.
        """
        new = [token for token in dict.fromkeys(tokens) if token not in self._kept]
        if new:
            vectors = self._encoder(new, workers)
            with BRIEFLY:
                self._kept |= zip(new, vectors, strict=True)

    def forget(self) -> None:
        """Forget all types but those that are kept."""
        with BRIEFLY:
            self._recent.clear()

    def __len__(self) -> int:
        """Return the number of types whose vectors are there."""
        with BRIEFLY:
            return len(self._recent.keys() | self._kept.keys())

    def _look_up(self, types: list[str]) -> dict[str, Array]:
        found = {}
        with BRIEFLY:
            for token in types:
                if token in self._kept:
                    found[token] = self._kept[token]
                elif token in self._recent:
                    self._recent.move_to_end(token)
                    found[token] = self._recent[token]
        return found

    def _remember(self, vectors: dict[str, Array]) -> None:
        with BRIEFLY:
            for token, vector in vectors.items():
                # A token that is cut is too rare, and may be too long, to be worth its place.
                if len(token) < self._encoder.max_characters:
                    self._recent[token] = vector.copy()  # not a view, which would hold the vectors of the whole batch
            capacity = self._capacity_bytes // next(iter(vectors.values())).nbytes
            while len(self._recent) > capacity:
                self._recent.popitem(last=False)
