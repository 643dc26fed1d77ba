"""One direction of the biLM: LSTM layers on top of each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.lstm import LstmLayer
from numpy_elmo.layers.matmul import Form
from numpy_elmo.layers.tracing import part


@dataclass(frozen=True, repr=False)
class Stack:
    """LSTM layers that read in one direction.

    Attributes
    ----------
    layers : tuple of LstmLayer
        Lowest first.
    use_skip_connections : bool
        Whether every layer except the lowest adds its input to its output.  The sum goes to the next layer and to the
        caller; the recurrence of the layer itself does not see it.
    """

    layers: tuple[LstmLayer, ...]
    use_skip_connections: bool

    def __call__(self, x: Array, batch_sizes: npt.NDArray[np.intp], h: Array, c: Array) -> Array:
        """Run the layers over a packed batch.

        Parameters
        ----------
        x : ndarray, shape (N, P)
            Token vectors, packed step by step, see `numpy_elmo.network.batching`.
        batch_sizes : ndarray of int, shape (T,)
            Texts that have a token at each step.
        h, c : ndarray, shapes (L, B, P) and (L, B, D)
            States of the layers before the first step; overwritten with those after the last.

        Returns
        -------
        ndarray, shape (L, N, P)
            Outputs of all layers, packed like `x`.
        """
        outputs = np.empty((len(self.layers), *x.shape), x.dtype)
        for depth, layer in enumerate(self.layers):
            with part(str(depth)):
                y = layer(x, batch_sizes, h[depth], c[depth])  # [N, P]
            x = outputs[depth] = x + y if self.use_skip_connections and depth > 0 else y
        return outputs

    def in_form(self, form: Form) -> Stack:
        """Return the same layers with their weights stored in a form."""
        return replace(self, layers=tuple(layer.in_form(form) for layer in self.layers))
