"""Long short-term memory with projection: one layer, one direction, over a batch of sentences of different lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from numpy_elmo.layers.activations import sigmoid
from numpy_elmo.layers.arrays import Array, read_only
from numpy_elmo.layers.matmul import Form, Matrix, as_matrix, reshaped
from numpy_elmo.layers.tracing import note

# Rows of input gates computed at a time: 16 MB at the published size, with 4 x 4096 floats per row.
CHUNK_ROWS = 256


@dataclass(frozen=True, repr=False)
class LstmLayer:
    r"""LSTM with a projection of its output, both clipped.

    .. math::

        (i, j, f, o) &= x_t W_x + h_{t-1} W_h + b \\
        c_t &= \mathrm{clip}\bigl(\sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(j), \; \pm\mathrm{cell\_clip}\bigr) \\
        h_t &= \mathrm{clip}\bigl((\sigma(o) \odot \tanh(c_t)) \, W_p, \; \pm\mathrm{proj\_clip}\bigr)

    The clipped :math:`h_t` is the output and what the next step sees.  There are no peepholes.

    Attributes
    ----------
    W_x : ndarray or Matrix, shape (P, 4 D)
        Input weights; columns are input gate, candidate, forget gate, output gate, TensorFlow's order.
    W_h : ndarray or Matrix, shape (P, 4 D)
        Recurrent weights, same columns.
    b : ndarray, shape (4 D,)
        Bias, including the constant 1 of the forget gate.
    W_p : ndarray or Matrix of shape (D, P), or None
        Projection; None where P equals D and the output is not projected (and then not clipped either).
    cell_clip, proj_clip : float or None
        Bounds on the absolute values; None for no bound.

    References
    ----------
    Sak et al. 2014, arXiv:1402.1128, section 2 (projection); Peters et al. 2018, arXiv:1802.05365, section 3.4.
    """

    W_x: Array | Matrix
    W_h: Array | Matrix
    b: Array
    W_p: Array | Matrix | None
    cell_clip: float | None
    proj_clip: float | None

    def __call__(
        self,
        x: Array,
        batch_sizes: npt.NDArray[np.intp],
        h: Array,
        c: Array,
    ) -> Array:
        """Run the layer over a packed batch.

        Sentences are sorted from long to short and laid out step by step: the first token of every sentence, then the
        second token of every sentence that has one, and so on.  Step t works on the first ``batch_sizes[t]``
        sentences, and nothing is computed for padding.

        Parameters
        ----------
        x : ndarray, shape (N, P)
            Inputs of all tokens, packed; ``N = batch_sizes.sum()``.
        batch_sizes : ndarray of int, shape (T,)
            Number of sentences that have a token at each step; it never rises.
        h, c : ndarray, shapes (B, P) and (B, D)
            Last output and cell of each sentence before the first step, ``B >= batch_sizes[0]``.  Overwritten with
            those after the sentence's own last token.

        Returns
        -------
        ndarray, shape (N, P)
            Output of every token, packed like `x`.
        """
        W_h = as_matrix(self.W_h)
        scratch = W_h.scratch(len(h))
        cell = W_h.tile(c)  # [B, ..., D in all], stored as the gates are
        outputs = np.empty((len(x), h.shape[1]), x.dtype)  # [N, P]
        for step, input_gates in self._input_gates(x, batch_sizes):
            active = len(input_gates)  # sentences that have a token at this step
            gates = W_h.multiply(h[:active], scratch)  # [active, ..., 4 D in all]
            gates += input_gates
            m = _update_cell(gates, cell[:active], self.cell_clip)  # [active, D]
            h[:active] = m if self.W_p is None else _clip(m @ self.W_p, self.proj_clip)
            outputs[step] = h[:active]
            note(output=h[:active])
        c[:] = cell.reshape(c.shape)
        return outputs

    def _input_gates(self, x: Array, batch_sizes: npt.NDArray[np.intp]) -> Iterator[tuple[slice, Array]]:
        """Yield each step's rows and the input's part of their gates, ``x W_x + b``, (active, ..., 4 D in all).

        It needs no recurrence, so one product serves the steps of up to `CHUNK_ROWS` rows.  The next one overwrites it.
        """
        W_x = as_matrix(self.W_x)
        b = W_x.tile(self.b[np.newaxis])  # [1, ..., 4 D in all]
        ends = np.cumsum(batch_sizes)
        scratch = W_x.scratch(min(len(x), max(CHUNK_ROWS, *batch_sizes[:1])))
        start = first = 0
        while first < len(ends):
            last = max(first + 1, int(np.searchsorted(ends, start + CHUNK_ROWS, side="right")))
            gates = W_x.multiply(x[start : ends[last - 1]], scratch)  # [rows, ..., 4 D in all]
            gates += b
            for end, active in zip(ends[first:last], batch_sizes[first:last], strict=True):
                yield slice(end - active, end), gates[end - active - start : end - start]
            start, first = int(ends[last - 1]), last

    @property
    def weights(self) -> list[Array]:
        """All matrices, plain."""
        return [as_matrix(W).W for W in (self.W_x, self.W_h, self.W_p) if W is not None]

    def in_form(self, form: Form) -> LstmLayer:
        """Return the same layer with its weights stored in a form of `numpy_elmo.layers.matmul`."""
        W_x, W_h = reshaped(self.W_x, form), reshaped(self.W_h, form)
        if W_h.is_cut and W_x.W.base is not None:  # let go of the array that held both
            W_x = Matrix(read_only(W_x.W.copy()), form)
        return replace(self, W_x=W_x, W_h=W_h, W_p=None if self.W_p is None else reshaped(self.W_p, form))


def _update_cell(gates: Array, c: Array, cell_clip: float | None) -> Array:
    """Put the new cell into `c` and return its gated output ``sigmoid(o) * tanh(c)``, shape (active, D).

    `gates` are overwritten.  At D = 4096 they are larger than the processor's cache, and writing to new memory would
    cost more than the arithmetic, so every result replaces an operand.
    """
    i, j, f, o = np.split(gates, 4, axis=1)  # D values per row in each
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
    return o.reshape(len(o), -1)


def _clip(x: Array, bound: float | None) -> Array:
    return x if bound is None else np.clip(x, -bound, bound, out=x)
