"""Very long sentences: a biLM run in time chunks.

The LSTMs of one direction need nothing of the other, and a chunk needs of its past only the state that the past left.
So each direction goes through the sentence chunk by chunk, forward from the beginning and backward from the end, with
all its layers: the vectors are those of one run over the whole, and beside the result no more than a chunk of
intermediate values is held.  `numpy_elmo.layers.scalar_mix` and the other choices of layers work on each feature by
itself, so they may be applied to one direction's half of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.lstm import LstmState
from numpy_elmo.network.batching import pack
from numpy_elmo.network.bilm import Bilm, BilmState
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START

# Tokens of a chunk.  At the published size the layers of a chunk are 24 MB.
CHUNK = 2048


def embed_document(
    tokens: Sequence[str],
    encode: Callable[[Sequence[str]], Array],
    bilm: Bilm,
    start: BilmState,
    select: Callable[[Array], Array],
    *,
    boundaries: bool,
) -> tuple[Array, BilmState]:
    """Embed one sentence of any length.

    Parameters
    ----------
    tokens : sequence of str
        The sentence without its boundaries, n tokens, at least one.
    encode : callable
        From tokens to their vectors, shape (n, P).
    bilm : Bilm
        The LSTM layers.
    start : BilmState
        State before the sentence, one row.
    select : callable
        From all layers, shape (L + 1, n, any), to the result, shape (..., n, any), feature by feature.
    boundaries : bool
        Whether the result has the vectors of ``<S>`` and ``</S>`` too.

    Returns
    -------
    vectors : ndarray, shape (..., n, 2 P)
    state : BilmState
        State after the sentence.
    """
    begin, end = encode([SENTENCE_START]), encode([SENTENCE_END])  # [1, P]
    inside = [SENTENCE_START, *tokens, SENTENCE_END] if boundaries else tokens
    n, P = len(inside), begin.shape[1]
    chunks = [slice(k, min(k + CHUNK, n)) for k in range(0, n, CHUNK)]

    shape = select(np.empty((len(bilm.forward) + 1, 0, 2 * P), begin.dtype)).shape[:-2]
    out = np.empty((*shape, n, 2 * P), begin.dtype)
    # Until the backward direction comes for them, the token vectors wait where its own results will be.
    waiting = out.reshape(-1, n, 2 * P)[-1, :, P:]  # [n, P]
    for chunk in chunks:
        waiting[chunk] = encode(inside[chunk])

    forward = _Direction(replace(bilm, backward=()), start[0])
    if not boundaries:
        forward(begin)
    for chunk in chunks:
        out[..., chunk, :P] = select(forward(waiting[chunk]))
    if not boundaries:
        forward(end)

    # Reading backward is reading forward what is written the other way round.
    backward = _Direction(replace(bilm, forward=bilm.backward, backward=()), start[1])
    if not boundaries:
        backward(end)
    for chunk in reversed(chunks):
        out[..., chunk, P:] = select(backward(waiting[chunk][::-1]))[..., ::-1, :]
    if not boundaries:
        backward(begin)
    return out, (forward.state, backward.state)


class _Direction:
    """One stack of layers that reads on from where it stopped."""

    def __init__(self, bilm: Bilm, state: tuple[LstmState, ...]) -> None:
        self._bilm = bilm
        self.state = state

    def __call__(self, x: Array) -> Array:
        """Return the layers of the next n tokens, shape (L + 1, n, P)."""
        layers, (self.state, _) = self._bilm(x, pack([len(x)]), (self.state, ()))
        return layers[..., : x.shape[1]]
