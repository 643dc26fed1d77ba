"""Highway layer: a gate decides, feature by feature, how much of the input passes unchanged."""

from __future__ import annotations

from dataclasses import dataclass

from numpy_elmo.layers.activations import relu, sigmoid
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.matmul import Matrix
from numpy_elmo.layers.tracing import note


@dataclass(frozen=True, repr=False)
class Highway:
    r"""One highway layer.

    .. math:: g = \sigma(x W_g + b_g), \qquad y = g \odot \mathrm{relu}(x W_h + b_h) + (1 - g) \odot x

    The nonlinearity is relu in every model, also where the character CNN has tanh.  The file calls :math:`W_g`
    "W_carry", although the gate multiplies the transformed part; see `numpy_elmo.files.weights`.

    Attributes
    ----------
    W_gate : ndarray or Matrix, shape (F, F)
        Weights of the transform gate, :math:`W_g`.
    b_gate : ndarray, shape (F,)
        Bias of the transform gate, :math:`b_g`.
    W_hidden : ndarray or Matrix, shape (F, F)
        Weights of the transformed part, :math:`W_h`.
    b_hidden : ndarray, shape (F,)
        Bias of the transformed part, :math:`b_h`.

    References
    ----------
    Srivastava et al. 2015, arXiv:1505.00387, section 2; Peters et al. 2018, arXiv:1802.05365, section 3.4.
    """

    W_gate: Array | Matrix
    b_gate: Array
    W_hidden: Array | Matrix
    b_hidden: Array

    def __call__(self, x: Array) -> Array:
        """Return the layer's output.

        Parameters
        ----------
        x : ndarray, shape (N, F)
            Token features.

        Returns
        -------
        ndarray, shape (N, F)
        """
        gate = sigmoid(x @ self.W_gate + self.b_gate)  # [N, F]
        hidden = relu(x @ self.W_hidden + self.b_hidden)  # [N, F]
        output: Array = gate * hidden + (1 - gate) * x
        note(gate=gate, hidden=hidden, output=output)
        return output
