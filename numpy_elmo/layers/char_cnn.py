"""Character CNN: from the characters of a token to one vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.tracing import note, part


@dataclass(frozen=True, repr=False)
class Convolution:
    """Filters of one width.

    Attributes
    ----------
    W : ndarray, shape (width, E, n)
        Filter weights.
    b : ndarray, shape (n,)
        Bias.
    """

    W: Array
    b: Array


@dataclass(frozen=True, repr=False)
class CharCNN:
    r"""Convolutions over a token's characters, each pooled to its maximum over the token.

    With :math:`e_1, \dots, e_C` the vectors of the token's characters, a filter gives

    .. math:: y = \phi\Bigl(b + \max_q \, (W_1 \cdot e_q + W_2 \cdot e_{q+1} + \dots)\Bigr)

    where :math:`W_1, W_2, \dots` are its weights, one row per character of its width, :math:`b` is its bias, and
    :math:`q` is every place where it fits.

    The outputs of all widths are concatenated in the order of the options.

    Attributes
    ----------
    char_embed : ndarray, shape (261, E)
        One row per character, see `numpy_elmo.network.characters`.
    convolutions : tuple of Convolution
        The filters, width by width.
    activation : callable
        The nonlinearity :math:`\phi`: relu in all published models, or tanh.

    References
    ----------
    Peters et al. 2018, arXiv:1802.05365, section 3.4; Kim et al. 2016, arXiv:1508.06615, section 2.2.
    """

    char_embed: Array
    convolutions: tuple[Convolution, ...]
    activation: Callable[[Array], Array]

    def __call__(self, character_ids: npt.NDArray[np.intp]) -> Array:
        """Return the vectors of some tokens.

        Parameters
        ----------
        character_ids : ndarray of int, shape (N, C)
            Rows of `char_embed`; C is at least the widest filter.

        Returns
        -------
        ndarray, shape (N, F)
            F is the number of filters of all widths.
        """
        characters = self.char_embed[character_ids]  # [N, C, E]
        note(characters=characters)
        pooled = []
        for k, filters in enumerate(self.convolutions):
            with part(f"conv_{k}"):
                pooled.append(self._pool(characters, filters))  # [N, n]
        return np.concatenate(pooled, axis=1)  # [N, F]

    def _pool(self, characters: Array, filters: Convolution) -> Array:
        width, E, n = filters.W.shape
        windows = np.lib.stride_tricks.sliding_window_view(characters, width, axis=1)
        windows = windows.swapaxes(2, 3)  # [N, C - width + 1, width, E]
        flat = windows.reshape(*windows.shape[:2], width * E)
        convolved = flat @ filters.W.reshape(width * E, n)  # [N, C - width + 1, n]
        pooled = self.activation(convolved.max(axis=1) + filters.b)  # [N, n]
        note(convolved=convolved, pooled=pooled)
        return pooled
