"""The bidirectional language model's body: two stacks of LSTM layers that read in opposite directions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.lstm import LstmLayer, LstmState
from numpy_elmo.layers.matmul import Products, fast, plain, rows_for_blocks
from numpy_elmo.layers.tracing import part
from numpy_elmo.network.batching import Indices, Packing
from numpy_elmo.network.threads import IN_TURN, Workers

BilmState: TypeAlias = tuple[tuple[LstmState, ...], tuple[LstmState, ...]]
"""States of all layers, forward stack first; row k of every array belongs to sentence k of the batch."""


@dataclass(frozen=True)
class Bilm:
    """Forward and backward LSTM stacks; they share their input and nothing else.

    Attributes
    ----------
    forward, backward : tuple of LstmLayer
        The layers of each direction, lowest first.
    use_skip_connections : bool
        Whether each layer but the lowest adds its input to its output.  The sum goes to the next layer and to the
        caller; the layer's own recurrence does not see it.

    References
    ----------
    Peters et al. 2018, arXiv:1802.05365, sections 3.1 and 3.4.
    """

    forward: tuple[LstmLayer, ...]
    backward: tuple[LstmLayer, ...]
    use_skip_connections: bool

    def __call__(
        self, tokens: Array, packing: Packing, state: BilmState, workers: Workers = IN_TURN
    ) -> tuple[Array, BilmState]:
        """Run both stacks over a batch of sentences.

        Parameters
        ----------
        tokens : ndarray, shape (N, P)
            Token vectors, sentence after sentence, each sentence with its boundaries.
        packing : Packing
            The batch's step-by-step order.
        state : BilmState
            State before each sentence.
        workers : Workers
            The threads that run the two directions.

        Returns
        -------
        layers : ndarray, shape (L + 1, N, 2 P)
            Layer 0 is the token vector twice; layer l is ``[forward; backward]`` of LSTM layer l.
        state : BilmState
            State after each sentence: after ``</S>`` forward, after ``<S>`` backward.
        """
        P = tokens.shape[1]
        layers = np.empty((len(self.forward) + 1, len(tokens), 2 * P), dtype=tokens.dtype)
        layers[0, :, :P] = layers[0, :, P:] = tokens

        def run_forward() -> tuple[LstmState, ...]:
            with part("forward"):
                return self._run(self.forward, packing.forward, packing, state[0], layers[:, :, :P])

        def run_backward() -> tuple[LstmState, ...]:
            with part("backward"):
                return self._run(self.backward, packing.backward, packing, state[1], layers[:, :, P:])

        forward, backward = workers.map(lambda run: run(), [run_forward, run_backward])
        return layers, (forward, backward)

    def _run(
        self,
        stack: tuple[LstmLayer, ...],
        positions: Indices,
        packing: Packing,
        states: tuple[LstmState, ...],
        out: Array,
    ) -> tuple[LstmState, ...]:
        """Run one stack over ``out[0]`` and put layer l into ``out[l]``, shape (L + 1, N, P)."""
        x = out[0, positions]  # [N, P], packed
        finals = []
        for depth, (layer, state) in enumerate(zip(stack, states, strict=True)):
            sorted_state = LstmState(state.h[packing.order], state.c[packing.order])
            with part(str(depth)):
                y, final = layer(x, packing.batch_sizes, sorted_state)  # [N, P]
            x = x + y if self.use_skip_connections and depth > 0 else y
            out[depth + 1, positions] = x
            back = np.argsort(packing.order)
            finals.append(LstmState(final.h[back], final.c[back]))
        return tuple(finals)

    def zero_state(self, n_sentences: int) -> BilmState:
        """Return the state before any text, for `n_sentences` sentences."""

        def zeros(layer: LstmLayer) -> LstmState:
            P, D = layer.W_h.shape[0], layer.W_h.shape[1] // 4
            dtype = layer.W_h.dtype
            return LstmState(np.zeros((n_sentences, P), dtype), np.zeros((n_sentences, D), dtype))

        return tuple(zeros(layer) for layer in self.forward), tuple(zeros(layer) for layer in self.backward)

    def with_fast_products(self, products: Products) -> Bilm:
        """Return the same model with its recurrent weights stored for fast products, see `numpy_elmo.layers.matmul`.

        Parameters
        ----------
        products : {"auto", "plain", "blocked"}
            How to multiply a few rows by large weights; ``"auto"`` measures what is faster here.

        Returns
        -------
        Bilm
        """
        block_rows = rows_for_blocks(plain(self.forward[0].W_h), plain(self.backward[0].W_h), products)

        def store(layer: LstmLayer) -> LstmLayer:
            W_p = None if layer.W_p is None else fast(plain(layer.W_p), block_rows)
            return replace(layer, W_h=fast(plain(layer.W_h), block_rows), W_p=W_p)

        return replace(self, forward=tuple(map(store, self.forward)), backward=tuple(map(store, self.backward)))
