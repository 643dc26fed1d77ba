"""Token encoder: the part of ELMo below the LSTMs, which sees one token at a time.

The vector of a token depends on its spelling alone, so each type is encoded once, and recent ones are cached.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.char_cnn import CharCNN
from numpy_elmo.layers.highway import Highway
from numpy_elmo.layers.matmul import Form, Matrix, as_matrix, reshaped
from numpy_elmo.layers.tracing import part
from numpy_elmo.network.characters import PADDING, character_ids
from numpy_elmo.network.threads import SERIAL, Workers, lock

Ids: TypeAlias = npt.NDArray[np.intp]

# Types encoded at a time.  It bounds memory: at the published size the filters of one width give up to 200 kB per type.
# And it is enough to keep a processor busy, so that several chunks can be shared by threads.
CHUNK_TYPES = 64

# Characters are padded to a multiple of this, so that types of similar length share a convolution.
WIDTH_STEP = 8

# Memory for the cached vectors: at the published size, 512 floats per vector, about 14,000 types.
CACHE_BYTES = 32 << 20
ENTRY_BYTES = 256  # of a type's string and its entry in the dictionary


@dataclass(frozen=True, repr=False)
class TokenLayers:
    """Character CNN, highway layers and a linear projection, in that order.

    Attributes
    ----------
    char_cnn : CharCNN
        Characters to F features.
    highways : tuple of Highway
        Any number of layers, possibly none.
    W_proj : ndarray or Matrix of shape (F, P), or None
        Projection; None where F equals P and there is none.
    b_proj : ndarray of shape (P,), or None
        Its bias.

    References
    ----------
    Peters et al. 2018, arXiv:1802.05365, section 3.4.
    """

    char_cnn: CharCNN
    highways: tuple[Highway, ...]
    W_proj: Array | Matrix | None
    b_proj: Array | None

    def __call__(self, ids: Ids) -> Array:
        """Return the vectors of some tokens, without any shortcut.

        Parameters
        ----------
        ids : ndarray of int, shape (N, C)
            Character ids, each row with padding for at least one window of the widest filter.

        Returns
        -------
        ndarray, shape (N, P)
        """
        with part("char_cnn"):
            x = self.char_cnn(ids)  # [N, F]
        return self.above(x)

    def above(self, x: Array) -> Array:
        """Return the vectors, (N, P), of tokens whose characters gave the features x, (N, F)."""
        for k, highway in enumerate(self.highways):
            with part(f"highway.{k}"):
                x = highway(x)  # [N, F]
        if self.W_proj is not None and self.b_proj is not None:
            x = x @ self.W_proj + self.b_proj  # [N, P]
        return x

    @property
    def weights(self) -> list[Array]:
        """The matrices above the character CNN, plain."""
        matrices = [W for layer in self.highways for W in (layer.W_gate, layer.W_hidden)]
        return [as_matrix(W).W for W in (*matrices, self.W_proj) if W is not None]

    def in_form(self, form: Form) -> TokenLayers:
        """Return the same layers with their weights stored in a form."""
        highways = tuple(
            replace(layer, W_gate=reshaped(layer.W_gate, form), W_hidden=reshaped(layer.W_hidden, form))
            for layer in self.highways
        )
        return replace(self, highways=highways, W_proj=None if self.W_proj is None else reshaped(self.W_proj, form))


class Encoder:
    """Tokens to vectors: each type is encoded once, and recent ones are cached.

    A vector depends neither on the types encoded with it nor on the cache.  Several threads may call at once; a type
    that two of them miss at the same time is encoded twice, to the same vector.

    Parameters
    ----------
    layers : TokenLayers
        The layers.
    max_characters : int
        Largest number of character ids per token, including the boundary marks.
    workers : Workers
        The threads that encode.
    cache_bytes : int
        Size of the cache; the type that was used longest ago is dropped first.
    """

    def __init__(
        self, layers: TokenLayers, max_characters: int, workers: Workers = SERIAL, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.layers = layers
        self.max_characters = max_characters
        self.dtype = layers.char_cnn.char_embed.dtype
        self._workers = workers
        self._cache_bytes = cache_bytes
        self._row: OrderedDict[str, int] = OrderedDict()  # of a type in the table; used longest ago first
        self._table: Array | None = None  # [capacity, P]

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_row": OrderedDict(), "_table": None}

    def __call__(self, tokens: Sequence[str]) -> Array:
        """Return the vectors of N tokens, at least one, shape (N, P); ``<S>`` and ``</S>`` are the boundaries."""
        types = list(dict.fromkeys(tokens))
        vectors = self._remembered(types)
        if missing := [token for token in types if token not in vectors]:
            encoded = self.encode(character_ids(missing, self.max_characters))
            vectors |= zip(missing, encoded, strict=True)
            self._remember(missing, encoded)
        table = np.stack([vectors[token] for token in types])  # [n_types, P]
        row = {token: i for i, token in enumerate(types)}
        return table[[row[token] for token in tokens]]  # [N, P]

    def encode_ids(self, ids: Ids) -> Array:
        """Return the vectors, (N, P), of N tokens given by their characters, (N, max_characters), at least one.

        The ids have the layout of `character_ids` and are not changed: marks and boundaries are up to the caller.
        """
        types, inverse = np.unique(ids, axis=0, return_inverse=True)
        return self.encode(types)[inverse.reshape(-1)]

    def encode(self, ids: Ids) -> Array:
        """Return the vectors, (n, P), of n types given by their characters, (n, max_characters)."""
        n_characters = ids.shape[1] - np.argmax(ids[:, ::-1] != PADDING, axis=1)  # [n], padding cut off
        # All windows that hold nothing but padding give the same value, so the maximum over a token's positions needs
        # one of them: characters beyond the token and one window change nothing.  The width depends on the type alone,
        # so that the products of its windows do, too.
        widest = max(filters.W.shape[0] for filters in self.layers.char_cnn.convolutions)
        widths = np.minimum(-(-(n_characters + widest) // WIDTH_STEP) * WIDTH_STEP, ids.shape[1])  # [n]
        order = np.argsort(widths, kind="stable")

        def encode_chunk(chunk: Ids) -> Array:
            x = np.concatenate(
                [self.layers.char_cnn(ids[chunk[widths[chunk] == width], :width]) for width in np.unique(widths[chunk])]
            )  # [n, F], still in order
            return self.layers.above(x)

        with self._workers.sharing_the_blas():
            chunks = [order[i : i + CHUNK_TYPES] for i in range(0, len(order), CHUNK_TYPES)]
            return np.concatenate(self._workers.map(encode_chunk, chunks))[np.argsort(order)]

    def _remembered(self, types: list[str]) -> dict[str, Array]:
        with lock:
            known = [token for token in types if token in self._row]
            if self._table is None or not known:
                return {}
            for token in known:
                self._row.move_to_end(token)
            vectors = self._table[[self._row[token] for token in known]]  # a copy: rows are used again
        return dict(zip(known, vectors, strict=True))

    def _remember(self, types: list[str], vectors: Array) -> None:
        with lock:
            if self._table is None:
                capacity = max(1, self._cache_bytes // (vectors[0].nbytes + ENTRY_BYTES))
                self._table = np.empty((capacity, vectors.shape[1]), vectors.dtype)
            for token, vector in zip(types, vectors, strict=True):
                # A token that is cut is rare, and its string may be very long.
                if token in self._row or len(token) >= self.max_characters:
                    continue
                row = len(self._row) if len(self._row) < len(self._table) else self._row.popitem(last=False)[1]
                self._row[token] = row
                self._table[row] = vector
