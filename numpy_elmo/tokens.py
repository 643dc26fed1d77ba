"""Token encoder: the part of ELMo below the LSTMs, which sees one token at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numpy_elmo.characters import character_ids, token_bytes
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.char_cnn import CharCNN
from numpy_elmo.layers.highway import Highway

# Tokens encoded at a time.  It bounds memory: at the published size the widest bank gives up to 200 kB a token.
CHUNK_TOKENS = 128


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

    def __call__(self, tokens: Sequence[str]) -> Array:
        """Return the vectors of some tokens.

        Parameters
        ----------
        tokens : sequence of str
            The tokens, N of them, at least one; ``<S>`` and ``</S>`` are the sentence boundaries.

        Returns
        -------
        ndarray, shape (N, P)
        """
        types = list(dict.fromkeys(tokens))
        # Neighbours of similar length share a chunk, so that a chunk is as narrow as its tokens allow.
        types.sort(key=lambda token: len(token_bytes(token, self.max_characters)))
        chunks = [types[i : i + CHUNK_TOKENS] for i in range(0, len(types), CHUNK_TOKENS)]
        vectors = np.concatenate([self._encode(chunk) for chunk in chunks])  # [n_types, P]
        row = {token: i for i, token in enumerate(types)}
        return vectors[[row[token] for token in tokens]]  # [N, P]

    def _encode(self, types: list[str]) -> Array:
        # All windows that hold nothing but padding give the same value, so the maximum over a token's positions needs
        # one of them: characters beyond the longest token plus one window change nothing.
        widest = max(bank.W.shape[0] for bank in self.char_cnn.convolutions)
        longest = max(len(token_bytes(token, self.max_characters)) for token in types)
        x = self.char_cnn(character_ids(types, self.max_characters, min(longest + widest, self.max_characters)))
        for highway in self.highways:
            x = highway(x)  # [n, F]
        if self.W_proj is not None and self.b_proj is not None:
            x = x @ self.W_proj + self.b_proj  # [n, P]
        return x
