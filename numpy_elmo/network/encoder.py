"""Token encoders: the part of ELMo below the LSTMs, which sees one token at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.char_cnn import CharCNN
from numpy_elmo.layers.highway import Highway
from numpy_elmo.layers.tracing import part
from numpy_elmo.network.characters import PADDING, character_ids
from numpy_elmo.network.threads import IN_TURN, Workers

Ids: TypeAlias = npt.NDArray[np.intp]

# Tokens encoded at a time.  It bounds memory: at the published size the widest bank gives up to 200 kB a token.  And it
# is enough to keep a processor busy, so that several chunks can be shared by threads.
CHUNK_TOKENS = 64


@dataclass(frozen=True)
class TokenEncoder:
    r"""Character CNN, highway layers and a linear projection, in that order.

    The vector of a token depends on its spelling alone: it is the same in every sentence.

    Attributes
    ----------
    char_cnn : CharCNN
        Characters to F features.
    highways : tuple of Highway
        Any number of layers, none included.
    W_proj : ndarray of shape (F, P), or None
        Projection; None where F equals P and there is none.
    b_proj : ndarray of shape (P,), or None
        Its bias.
    max_characters : int
        Character ids of a token, boundary marks included.

    References
    ----------
    Peters et al. 2018, arXiv:1802.05365, section 3.4.
    """

    char_cnn: CharCNN
    highways: tuple[Highway, ...]
    W_proj: Array | None
    b_proj: Array | None
    max_characters: int

    def __call__(self, tokens: Sequence[str], workers: Workers = IN_TURN) -> Array:
        """Return the vectors of some tokens.

        Parameters
        ----------
        tokens : sequence of str
            The tokens, N of them, at least one; ``<S>`` and ``</S>`` are the sentence boundaries.
        workers : Workers
            The threads that encode them.

        Returns
        -------
        ndarray, shape (N, P)
        """
        types = list(dict.fromkeys(tokens))
        vectors = self._encode(character_ids(types, self.max_characters), workers)  # [n_types, P]
        row = {token: i for i, token in enumerate(types)}
        return vectors[[row[token] for token in tokens]]  # [N, P]

    def encode_ids(self, ids: Ids) -> Array:
        """Return the vectors of some tokens that are given by their characters.

        Parameters
        ----------
        ids : ndarray of int, shape (N, max_characters)
            Character ids as `character_ids` makes them, N of at least 1: in 0..260, 260 is padding.  They are taken as
            they are; marks and boundaries are the caller's.

        Returns
        -------
        ndarray, shape (N, P)
        """
        types, inverse = np.unique(ids, axis=0, return_inverse=True)
        return self._encode(types, IN_TURN)[inverse.reshape(-1)]  # [N, P]

    def _encode(self, ids: Ids, workers: Workers) -> Array:
        """Return the vectors of distinct tokens, chunk by chunk."""
        n_characters = ids.shape[1] - np.argmax(ids[:, ::-1] != PADDING, axis=1)  # [n_types], padding cut off
        # Neighbours of similar length share a chunk, so that a chunk is as narrow as its tokens allow.
        order = np.argsort(n_characters, kind="stable")
        # All windows that hold nothing but padding give the same value, so the maximum over a token's positions needs
        # one of them: characters beyond the longest token plus one window change nothing.
        widest = max(bank.W.shape[0] for bank in self.char_cnn.convolutions)
        chunks = [order[i : i + CHUNK_TOKENS] for i in range(0, len(order), CHUNK_TOKENS)]
        encoded = workers.map(lambda chunk: self.apply(ids[chunk, : n_characters[chunk[-1]] + widest]), chunks)
        return np.concatenate(encoded)[np.argsort(order)]  # [n_types, P]

    def apply(self, ids: Ids) -> Array:
        """Return the vectors of some tokens by applying one layer after the other, with no shortcut.

        Parameters
        ----------
        ids : ndarray of int, shape (N, C)
            Character ids, with as much padding as at least one window of the widest filter.

        Returns
        -------
        ndarray, shape (N, P)
        """
        with part("char_cnn"):
            x = self.char_cnn(ids)  # [N, F]
        for k, highway in enumerate(self.highways):
            with part(f"highway.{k}"):
                x = highway(x)  # [N, F]
        if self.W_proj is not None and self.b_proj is not None:
            x = x @ self.W_proj + self.b_proj  # [N, P]
        return x


@dataclass(frozen=True)
class TokenLookup:
    """A table of token vectors, for models that read token ids instead of characters.

    Attributes
    ----------
    table : ndarray, shape (V, P)
        One row a token, in the order of the vocabulary.
    """

    table: Array

    def encode_ids(self, ids: Ids) -> Array:
        """Return the vectors of some tokens.

        Parameters
        ----------
        ids : ndarray of int, shape (N,)
            Lines of the vocabulary, from 0.

        Returns
        -------
        ndarray, shape (N, P)
        """
        return self.table[ids]
