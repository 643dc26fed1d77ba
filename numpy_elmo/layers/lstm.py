"""LSTM with projection: one layer, one direction, over a batch of sentences of different lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from numpy_elmo.layers.activations import sigmoid
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.matmul import Matrix
from numpy_elmo.layers.tracing import note

# Rows of input gates that are held at a time: at the published size, 4 x 4096 floats a row, this is 32 MB.
CHUNK_ROWS = 512


class LstmState(NamedTuple):
    """What a layer remembers of B sentences between two tokens.

    Attributes
    ----------
    h : ndarray, shape (B, P)
        The last output.
    c : ndarray, shape (B, D)
        The cell.
    """

    h: Array
    c: Array


@dataclass(frozen=True)
class LstmLayer:
    r"""LSTM with a projection of its output, both clipped.

    .. math::

        (i, j, f, o) &= x_t W_x + h_{t-1} W_h + b \\
        c_t &= \mathrm{clip}\bigl(\sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(j), \; \pm\text{cell\_clip}\bigr) \\
        h_t &= \mathrm{clip}\bigl((\sigma(o) \odot \tanh(c_t)) \, W_p, \; \pm\text{proj\_clip}\bigr)

    The clipped :math:`h_t` is the output and what the next step sees.  There are no peepholes.

    Attributes
    ----------
    W_x : ndarray, shape (P, 4 D)
        Input weights; columns are input gate, candidate, forget gate, output gate, TensorFlow's order.
    W_h : ndarray or Matrix, shape (P, 4 D)
        Recurrent weights, same columns.
    b : ndarray, shape (4 D,)
        Bias, the constant 1 of the forget gate included.
    W_p : ndarray or Matrix of shape (D, P), or None
        Projection; None where P equals D and the output is not projected (and then not clipped either).
    cell_clip, proj_clip : float or None
        Bounds on the absolute values; None for no bound.

    References
    ----------
    Sak et al. 2014, arXiv:1402.1128, section 2 (projection); Peters et al. 2018, arXiv:1802.05365, section 3.4.
    """

    W_x: Array
    W_h: Array | Matrix
    b: Array
    W_p: Array | Matrix | None
    cell_clip: float | None
    proj_clip: float | None

    def __call__(self, x: Array, batch_sizes: npt.NDArray[np.intp], state: LstmState) -> tuple[Array, LstmState]:
        """Run the layer over a packed batch.

        Sentences are sorted by falling length and laid out step by step: first token of every sentence, second token
        of every sentence that has one, and so on.  So step t works on the first ``batch_sizes[t]`` sentences, and
        nothing is computed for padding.

        Parameters
        ----------
        x : ndarray, shape (N, P)
            Inputs of all tokens, packed; ``N = batch_sizes.sum()``.
        batch_sizes : ndarray of int, shape (T,)
            Sentences that have a token at each step; never rising.
        state : LstmState
            State before the first step, of B sentences, ``B >= batch_sizes[0]``.

        Returns
        -------
        outputs : ndarray, shape (N, P)
            Output of every token, packed like `x`.
        state : LstmState
            State of every sentence after its own last token.
        """
        h, c = state.h.copy(), state.c.copy()  # [B, P], [B, D]
        outputs = np.empty((len(x), h.shape[1]), dtype=x.dtype)  # [N, P]
        ends = np.cumsum(batch_sizes)
        chunk_start = chunk_end = 0
        for n, end in zip(batch_sizes, ends, strict=True):
            start = end - n
            if end > chunk_end:  # the input's part of the gates needs no recurrence: one product for many steps
                chunk_start = start
                chunk_end = ends[np.searchsorted(ends, max(start + CHUNK_ROWS, end), side="right") - 1]
                input_gates = x[chunk_start:chunk_end] @ self.W_x + self.b  # [chunk, 4 D]

            gates = h[:n] @ self.W_h  # [n, 4 D]
            gates += input_gates[start - chunk_start : end - chunk_start]
            m = _update_cell(gates, c[:n], self.cell_clip)  # [n, D]
            h[:n] = m if self.W_p is None else _clip(m @ self.W_p, self.proj_clip)
            outputs[start:end] = h[:n]
            note(output=h[:n])
        return outputs, LstmState(h, c)


def _update_cell(gates: Array, c: Array, cell_clip: float | None) -> Array:
    """Put the new cell into `c`, shape (n, D), and return its gated output ``sigmoid(o) * tanh(c)``, shape (n, D).

    `gates`, shape (n, 4 D), are used up.  At D = 4096 each is larger than the processor's cache, and writing to fresh
    memory would cost more than the arithmetic, so every result goes where an operand was.
    """
    i, j, f, o = np.split(gates, 4, axis=1)  # [n, D] each
    for gate in (i, f, o):
        sigmoid(gate, out=gate)
    np.tanh(j, out=j)
    note(input_gate=i, candidate=j, forget_gate=f, output_gate=o)
    c *= f
    i *= j
    c += i  # c = f * c + i * j
    if cell_clip is not None:
        np.clip(c, -cell_clip, cell_clip, out=c)
    note(cell=c)
    np.tanh(c, out=j)
    o *= j  # o * tanh(c)
    return o


def _clip(x: Array, bound: float | None) -> Array:
    return x if bound is None else np.clip(x, -bound, bound)
