"""Scalar mix: one vector per token from the vectors of all layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array, read_only

# The value of AllenNLP and bilm-tf.
EPSILON = 1e-12


class MixGradient(NamedTuple):
    """How a task's loss changes with the scalars of a `ScalarMix`.

    Attributes
    ----------
    weights : ndarray of float64, shape (L + 1,)
        Derivatives by the weights before the softmax.
    gamma : float
        Derivative by the scale.
    """

    weights: Array
    gamma: float


class ScalarMix:
    r"""Weighted sum of a model's layers, the way a task learns to use ELMo.

    .. math:: \mathrm{ELMo} = \gamma \sum_{k=0}^{L} s_k \, h_k, \qquad s = \mathrm{softmax}(w)

    With `layer_norm`, every layer :math:`h_k` is first scaled to mean 0 and variance 1.  Both are single numbers per
    layer, over all features of all tokens that are mixed together.

    Parameters
    ----------
    weights : sequence of float
        The L + 1 scalars :math:`w` *before* the softmax, token layer first, as AllenNLP's ``scalar_mix_parameters``.
        Zeros give the plain average.
    gamma : float
        Scale of the whole vector.
    layer_norm : bool
        Whether to normalise the layers before they are mixed.

    Attributes
    ----------
    weights : ndarray of float64, shape (L + 1,)
        As given.
    gamma : float
        As given.
    layer_norm : bool
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

    def __init__(self, weights: Sequence[float] | Array, gamma: float = 1.0, *, layer_norm: bool = False) -> None:
        array = np.array(weights, dtype=np.float64)
        if array.ndim != 1 or not array.size or not np.isfinite(array).all() or not np.isfinite(gamma):
            raise InputError(
                f"ScalarMix needs one finite number per layer and a finite gamma, got {weights!r}, {gamma!r}"
            )
        self.weights: Array = read_only(array)
        self.gamma = float(gamma)
        self.layer_norm = layer_norm

    def __call__(self, layers: Array, mask: npt.NDArray[np.bool_] | None = None) -> Array:
        """Return the mix.

        Parameters
        ----------
        layers : ndarray, shape (L + 1, ..., 2 P)
            Vectors of every layer, token layer first.
        mask : ndarray of bool, shape (...), optional
            True where there is a token, False at padding; the layer norm counts tokens only.  Default: all are tokens.

        Returns
        -------
        ndarray, shape (..., 2 P)
            In the precision of `layers`.

        Raises
        ------
        InputError
            If the number of layers differs from the number of weights.
        """
        mixed = self._prepare(layers, mask)
        return np.tensordot((self.gamma * self._shares()).astype(layers.dtype), mixed, axes=1)  # [..., 2 P]

    def gradient(self, layers: Array, upstream: Array, mask: npt.NDArray[np.bool_] | None = None) -> MixGradient:
        r"""Return what a task needs to train the scalars.

        With :math:`u` the derivative of the loss by the mix, and :math:`\langle\cdot,\cdot\rangle` the sum of products
        over all tokens and features,

        .. math::

            \frac{\partial\,\mathrm{loss}}{\partial \gamma} = \sum_k s_k \langle u, h_k \rangle, \qquad
            \frac{\partial\,\mathrm{loss}}{\partial w_k}
                = \gamma \, s_k \Bigl(\langle u, h_k \rangle - \sum_m s_m \langle u, h_m \rangle\Bigr)

        Parameters
        ----------
        layers : ndarray, shape (L + 1, ..., 2 P)
            As for the mix.
        upstream : ndarray, shape (..., 2 P)
            The derivative of the loss by the mix; zero at padding.
        mask : ndarray of bool, shape (...), optional
            As for the mix.

        Returns
        -------
        MixGradient
            In double precision.

        Raises
        ------
        InputError
            If the number of layers differs from the number of weights, or `upstream` has another shape than the mix.

        Examples
        --------
        >>> import numpy as np
        >>> from numpy_elmo import ScalarMix
        >>> layers = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])  # 2 layers, 1 token, 2 features
        >>> weights, gamma = ScalarMix([0.0, 0.0]).gradient(layers, upstream=np.ones((1, 2)))
        >>> weights, gamma
        (array([-1.,  1.]), 5.0)
        """
        if upstream.shape != layers.shape[1:]:
            raise InputError(f"upstream must have the shape of the mix, {layers.shape[1:]}, not {upstream.shape}")
        mixed = self._prepare(layers, mask).astype(np.float64)
        products = np.tensordot(mixed, upstream, axes=upstream.ndim)  # [L + 1]
        shares = self._shares()
        gamma = shares @ products
        return MixGradient(self.gamma * shares * (products - gamma), float(gamma))

    def _shares(self) -> Array:
        exponentials = np.exp(self.weights - self.weights.max())
        shares: Array = exponentials / exponentials.sum()  # [L + 1]
        return shares

    def _prepare(self, layers: Array, mask: npt.NDArray[np.bool_] | None) -> Array:
        if len(layers) != len(self.weights):
            raise InputError(f"this ScalarMix has {len(self.weights)} weights, and the model has {len(layers)} layers")
        counted = layers if mask is None else layers[:, mask]  # [L + 1, ..., 2 P]
        if not self.layer_norm or not counted.size:
            return layers
        axes = tuple(range(1, counted.ndim))
        mean, variance = (  # [L + 1, 1, ..., 1]
            statistic(counted, axis=axes, dtype=np.float64).astype(layers.dtype).reshape(-1, *[1] * (layers.ndim - 1))
            for statistic in (np.mean, np.var)
        )
        normalised: Array = (layers - mean) / np.sqrt(variance + layers.dtype.type(EPSILON))
        return normalised

    def __repr__(self) -> str:
        layer_norm = ", layer_norm=True" if self.layer_norm else ""
        return f"ScalarMix({self.weights.tolist()}, gamma={self.gamma}{layer_norm})"
