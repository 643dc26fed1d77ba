"""The body of the bidirectional language model: two stacks of LSTM layers that read in opposite directions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.matmul import Form, chosen_form
from numpy_elmo.layers.tracing import part
from numpy_elmo.network.batching import Packing
from numpy_elmo.network.stack import Stack
from numpy_elmo.network.state import BilmState
from numpy_elmo.network.threads import SERIAL, Workers

# Number of recurrent weights per layer below which a second thread costs more than it saves.
SMALLEST_SHARED = 1 << 19


@dataclass(frozen=True, repr=False)
class Bilm:
    """Forward and backward stacks; they share their input and nothing else.

    Attributes
    ----------
    forward, backward : Stack
        The layers of each direction.
    workers : Workers
        The threads that run the two directions.
    reproducible : bool
        Whether the bits of a sentence's vectors depend on that sentence alone.

    References
    ----------
    Peters et al. 2018, arXiv:1802.05365, sections 3.1 and 3.4.
    """

    forward: Stack
    backward: Stack
    workers: Workers = SERIAL
    reproducible: bool = False

    def __call__(self, tokens: Array, packing: Packing, state: BilmState) -> tuple[Array, BilmState]:
        """Run both stacks over a batch of sentences.

        Parameters
        ----------
        tokens : ndarray, shape (N, P)
            Token vectors, sentence after sentence, each sentence with its boundaries.
        packing : Packing
            The batch's step-by-step order.
        state : BilmState
            State before each sentence.

        Returns
        -------
        layers : ndarray, shape (L + 1, N, 2 P)
            Layer 0 is the token vector twice; layer l is ``[forward; backward]`` of LSTM layer l.
        state : BilmState
            State after each sentence: after ``</S>`` forward, after ``<S>`` backward.
        """
        N, P = tokens.shape
        layers = np.empty((len(self.forward.layers) + 1, N, 2, P), tokens.dtype)
        layers[0] = tokens[:, np.newaxis]
        h, c = state.h[:, :, packing.order], state.c[:, :, packing.order]  # copies, sorted by length

        def run(direction: int) -> None:
            stack, positions = ((self.forward, packing.forward), (self.backward, packing.backward))[direction]
            with part(("forward", "backward")[direction]):
                outputs = stack(tokens[positions], packing.batch_sizes, h[direction], c[direction])  # [L, N, P]
            layers[1:, positions, direction] = outputs

        with self.workers.sharing_the_blas():
            self.workers.map(run, (0, 1))
        back = np.argsort(packing.order)
        return layers.reshape(-1, N, 2 * P), BilmState(h[:, :, back], c[:, :, back])

    def zero_state(self, n_sentences: int) -> BilmState:
        """Return the state before any text, for `n_sentences` sentences."""
        layer = self.forward.layers[0]
        P, D = layer.W_h.shape[0], layer.W_h.shape[1] // 4
        shape = 2, len(self.forward.layers), n_sentences
        return BilmState(np.zeros((*shape, P), layer.b.dtype), np.zeros((*shape, D), layer.b.dtype))

    @property
    def weights(self) -> list[Array]:
        """All matrices of both directions, plain."""
        return [W for stack in (self.forward, self.backward) for layer in stack.layers for W in layer.weights]

    @property
    def is_small(self) -> bool:
        """Whether a second thread costs more than it saves."""
        return math.prod(self.forward.layers[0].W_h.shape) < SMALLEST_SHARED

    def prepared(self, threads: int, reproducible: bool | None) -> Bilm:
        """Return the same layers, stored in the best form for this machine, and run by threads.

        Raises `InputError` if `reproducible` is True and no form keeps the bits.
        """
        workers = Workers(1 if self.is_small else min(2, threads), leave_blas=threads == 1 and not reproducible)
        with workers.sharing_the_blas():
            form, is_reproducible = chosen_form(self.weights, reproducible)
        return replace(self.in_form(form), workers=workers, reproducible=is_reproducible)

    def in_form(self, form: Form) -> Bilm:
        """Return the same layers with their weights stored in a form, without threads."""
        return Bilm(self.forward.in_form(form), self.backward.in_form(form))
