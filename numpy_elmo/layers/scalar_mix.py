"""Scalar mix: one vector a token from the vectors of all layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array, read_only


class ScalarMix:
    r"""Weighted sum of a model's layers, the way a task learns to use ELMo.

    .. math:: \mathrm{ELMo} = \gamma \sum_{k=0}^{L} s_k \, h_k, \qquad s = \mathrm{softmax}(w)

    Parameters
    ----------
    weights : sequence of float
        The L + 1 scalars :math:`w` *before* the softmax, token layer first, as AllenNLP's ``scalar_mix_parameters``.
        Zeros give the plain average.
    gamma : float
        Scale of the whole vector.

    Attributes
    ----------
    weights : ndarray of float64, shape (L + 1,)
        As given.
    gamma : float
        As given.

    Raises
    ------
    InputError
        If a value is not finite or there is none.

    References
    ----------
    Peters et al. 2018, arXiv:1802.05365, section 3.2, equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy_elmo import ScalarMix
    >>> layers = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])  # 2 layers, 1 token, 2 features
    >>> ScalarMix([0.0, 0.0], gamma=10.0)(layers)
    array([[20., 30.]])
    """

    def __init__(self, weights: Sequence[float], gamma: float = 1.0) -> None:
        array = np.array(weights, dtype=np.float64)
        if array.ndim != 1 or not array.size or not np.isfinite(array).all() or not np.isfinite(gamma):
            raise InputError(
                f"ScalarMix needs one finite number a layer and a finite gamma, got {weights!r}, {gamma!r}"
            )
        self.weights: Array = read_only(array)
        self.gamma = float(gamma)

    def __call__(self, layers: Array) -> Array:
        """Return the mix.

        Parameters
        ----------
        layers : ndarray, shape (L + 1, ..., 2 P)
            Vectors of every layer, token layer first.

        Returns
        -------
        ndarray, shape (..., 2 P)
            Of the precision of `layers`.

        Raises
        ------
        InputError
            If the number of layers differs from the number of weights.
        """
        if len(layers) != len(self.weights):
            raise InputError(f"this ScalarMix has {len(self.weights)} weights, and the model has {len(layers)} layers")
        exponentials = np.exp(self.weights - self.weights.max())
        shares = self.gamma * exponentials / exponentials.sum()  # [L + 1]
        return np.tensordot(shares.astype(layers.dtype), layers, axes=1)  # [..., 2 P]

    def __repr__(self) -> str:
        return f"ScalarMix({self.weights.tolist()}, gamma={self.gamma})"
