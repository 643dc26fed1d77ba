"""AllenNLP's ELMo as PyTorch modules: tensors as inputs and outputs, NumPy for the biLM.

Change the import::

    from allennlp.modules.elmo import Elmo, batch_to_ids  # before
    from numpy_elmo.interfaces.torch import Elmo, batch_to_ids  # after

    class Tagger(torch.nn.Module):
        def __init__(self, n_tags):
            super().__init__()
            self.elmo = Elmo(options_file, weight_file, 1, dropout=0.5)
            self.tag = torch.nn.Linear(self.elmo.get_output_dim(), n_tags)

        def forward(self, character_ids):
            output = self.elmo(character_ids)
            return self.tag(output["elmo_representations"][0]), output["mask"]

The biLM runs on the CPU without gradients, so ``requires_grad=True`` raises an error.  The scalar mixes are parameters:
they train, ``.to()`` moves them, and `state_dict` holds them under AllenNLP's names, ``scalar_mix_0.gamma`` and
``scalar_mix_0.scalar_parameters.0``.  Outputs are on the device of the mixes.  Dropout is applied in training only.

`Elmo` loads checkpoints of AllenNLP models.  Those also hold the biLM's weights, which must be the same as in the
weight file.

As in AllenNLP, the LSTM state is carried from call to call; ``elmo._elmo_lstm._elmo_lstm.stateful = False`` starts
every call from zeros.  Masks are boolean, as in AllenNLP 1 and 2.

Install the extra ``torch``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from numpy_elmo.errors import InputError, MissingExtraError, WeightsError
from numpy_elmo.interfaces import allennlp, elmo_bilm
from numpy_elmo.interfaces.elmo_bilm import PathLike, leading_axes
from numpy_elmo.layers.scalar_mix import EPSILON
from numpy_elmo.network.checks import check_count, check_sentences

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise MissingExtraError("these modules need PyTorch: pip install 'numpy_elmo[torch]'") from error

__all__ = ["Elmo", "ElmoBiLm", "ElmoCharacterEncoder", "ElmoEmbedder", "ScalarMix", "batch_to_ids"]

# Name of the character vectors in AllenNLP's checkpoints; comparing them tells one biLM from another.
_CHARACTERS = "_token_embedder._char_embedding_weights"


def batch_to_ids(batch: Iterable[Iterable[str]], max_characters: int = 50) -> Tensor:
    """Return the character ids of sentences, a LongTensor of shape (B, longest, max_characters).

    See `numpy_elmo.interfaces.allennlp.batch_to_ids`.
    """
    return torch.from_numpy(allennlp.batch_to_ids(batch, max_characters))


class ScalarMix(nn.Module):  # type: ignore[misc]
    r"""Weighted sum of layers, with trainable weights.

    .. math:: \mathrm{ELMo} = \gamma \sum_{k=0}^{L} s_k \, h_k, \qquad s = \mathrm{softmax}(w)

    Other parameters and errors are those of `numpy_elmo.interfaces.allennlp.ScalarMix`.

    Parameters
    ----------
    trainable : bool
        Whether gradients are computed for :math:`w` and :math:`\gamma`.

    Attributes
    ----------
    scalar_parameters : torch.nn.ParameterList
        :math:`w`, one parameter of shape (1,) per layer.
    gamma : torch.nn.Parameter, shape (1,)
        :math:`\gamma`, 1 at first.

    References
    ----------
    Peters et al. 2018, arXiv:1802.05365, section 3.2, equation 1.
    """

    def __init__(
        self,
        mixture_size: int,
        do_layer_norm: bool = False,
        initial_scalar_parameters: Sequence[float] | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__()
        scalars = allennlp.checked_scalars(mixture_size, initial_scalar_parameters).tolist()
        self.mixture_size = len(scalars)
        self.do_layer_norm = do_layer_norm
        self.scalar_parameters = nn.ParameterList(
            nn.Parameter(torch.tensor([scalar], dtype=torch.float32), requires_grad=trainable) for scalar in scalars
        )
        self.gamma = nn.Parameter(torch.ones(1), requires_grad=trainable)

    def forward(self, tensors: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """Return the weighted sum of the layers, (..., 2 P); parameters and errors are those of the NumPy mix."""
        if len(tensors) != self.mixture_size:
            raise InputError(f"this ScalarMix has {self.mixture_size} weights, and the model has {len(tensors)} layers")
        if mask is not None and mask.shape != tensors[0].shape[:-1]:
            raise InputError(f"the mask must have the shape {tuple(tensors[0].shape[:-1])}, not {tuple(mask.shape)}")
        weights = torch.softmax(torch.cat(list(self.scalar_parameters)), dim=0)
        layers = [_normalize(layer, mask) for layer in tensors] if self.do_layer_norm else tensors
        return self.gamma * sum(weight * layer for weight, layer in zip(weights, layers, strict=True))


def _normalize(layer: Tensor, mask: Tensor | None) -> Tensor:
    counted = layer if mask is None else layer[mask.bool()]
    return (layer - counted.mean()) / torch.sqrt(counted.var(correction=0) + EPSILON) if counted.numel() else layer


class ElmoBiLm(nn.Module):  # type: ignore[misc]
    """The vectors of all layers, boundaries included, from character ids; AllenNLP calls it ``_ElmoBiLm``.

    Parameters, attributes and errors are those of `numpy_elmo.interfaces.allennlp.ElmoBiLm`.
    """

    def __init__(
        self,
        options_file: PathLike | None,
        weight_file: PathLike | None,
        requires_grad: bool = False,
        vocab_to_cache: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self._bilm = elmo_bilm.ElmoBiLm(options_file, weight_file, requires_grad, vocab_to_cache)
        self.num_layers = self._bilm.num_layers
        self._elmo_lstm = self._bilm._elmo_lstm
        self._token_embedder = self._bilm._token_embedder

    @property
    def elmo(self) -> Any:
        """The `numpy_elmo.Elmo`."""
        return self._bilm.elmo

    def get_output_dim(self) -> int:
        """Return the length of a token's vector."""
        return self._bilm.get_output_dim()

    def reset_states(self) -> None:
        """Start from zeros again."""
        self._bilm.reset_states()

    def forward(self, inputs: Tensor, word_inputs: Tensor | None = None) -> dict[str, Any]:
        """Return the vectors of sentences, on the device of their ids, and carry the state.

        Parameters
        ----------
        inputs, word_inputs : Tensor of int
            As for `numpy_elmo.interfaces.allennlp.ElmoBiLm`, which also lists the errors.

        Returns
        -------
        dict
            ``activations``, a list of L + 1 tensors (B, T + 2, 2 P), and ``mask``, a bool tensor (B, T + 2).
        """
        output = self._bilm(_array(inputs), None if word_inputs is None else _array(word_inputs))
        return {
            "activations": [torch.from_numpy(layer).to(inputs.device) for layer in output["activations"]],
            "mask": torch.from_numpy(output["mask"]).to(inputs.device),
        }

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Drop the biLM of an AllenNLP checkpoint; raise WeightsError if it is not this one."""
        table = state_dict.get(f"{prefix}{_CHARACTERS}")
        if table is not None:  # [262, E]; its first row is padding
            ours = self._token_embedder._encoder.layers.char_cnn.char_embed
            if table.shape[1:] != ours.shape[1:] or not np.allclose(_array(table)[1:], ours, rtol=0, atol=1e-6):
                raise WeightsError(
                    f"{prefix}* in this checkpoint is not the biLM of the weight file, perhaps a fine-tuned one; "
                    "load the weight file that the checkpoint was trained with"
                )
        for name in [name for name in state_dict if name.startswith(prefix)]:
            del state_dict[name]


class ElmoCharacterEncoder(nn.Module):  # type: ignore[misc]
    """Token vectors with boundaries, from character ids; AllenNLP calls it ``_ElmoCharacterEncoder``."""

    def __init__(self, options_file: PathLike, weight_file: PathLike, requires_grad: bool = False) -> None:
        super().__init__()
        self._encoder = elmo_bilm.ElmoCharacterEncoder(options_file, weight_file, requires_grad)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return ``token_embedding`` (B, T + 2, P) and ``mask`` (B, T + 2)."""
        return {
            name: torch.from_numpy(array).to(inputs.device) for name, array in self._encoder(_array(inputs)).items()
        }


class Elmo(nn.Module):  # type: ignore[misc]
    """The model with trainable mixes of its layers and dropout.

    Other parameters and errors are those of `numpy_elmo.interfaces.allennlp.Elmo`.

    Parameters
    ----------
    dropout : float
        Probability of zeroing an output number in training.
    scalar_mix_parameters : sequence of float, optional
        The L + 1 scalars of every mix, before the softmax; then the mixes are not trained.  By default they start from
        zeros and are trained.

    Attributes
    ----------
    scalar_mix_0, scalar_mix_1, ... : ScalarMix
        The `num_output_representations` mixes.
    """

    def __init__(  # noqa: PLR0917 -- AllenNLP's order
        self,
        options_file: PathLike | None,
        weight_file: PathLike | None,
        num_output_representations: int,
        requires_grad: bool = False,
        do_layer_norm: bool = False,
        dropout: float = 0.5,
        vocab_to_cache: Sequence[str] | None = None,
        keep_sentence_boundaries: bool = False,
        scalar_mix_parameters: Sequence[float] | None = None,
        module: ElmoBiLm | None = None,
    ) -> None:
        super().__init__()
        n_mixes = check_count("num_output_representations", num_output_representations)
        allennlp.check_dropout(dropout)
        self._elmo_lstm = module or ElmoBiLm(options_file, weight_file, requires_grad, vocab_to_cache)
        self._keep_sentence_boundaries = keep_sentence_boundaries
        self._dropout = nn.Dropout(dropout)
        self._scalar_mixes: list[ScalarMix] = []
        for k in range(n_mixes):
            mix = ScalarMix(
                self._elmo_lstm.num_layers,
                do_layer_norm,
                scalar_mix_parameters,
                trainable=scalar_mix_parameters is None,
            )
            self.add_module(f"scalar_mix_{k}", mix)
            self._scalar_mixes.append(mix)

    def get_output_dim(self) -> int:
        """Return the length of a token's vector."""
        return self._elmo_lstm.get_output_dim()

    def reset_states(self) -> None:
        """Start from zeros again."""
        self._elmo_lstm.reset_states()

    def forward(self, inputs: Tensor, word_inputs: Tensor | None = None) -> dict[str, Any]:
        """Return the vectors of sentences, and carry the state.

        Parameters
        ----------
        inputs, word_inputs : Tensor of int
            As for `numpy_elmo.interfaces.allennlp.Elmo`, which also lists the errors.

        Returns
        -------
        dict
            ``elmo_representations``, a list of tensors (..., T, 2 P), one per mix, and ``mask``, a bool tensor
            (..., T).  With boundaries, T + 2 in place of T.
        """
        output = self._elmo_lstm(inputs, word_inputs)
        parameter = self._scalar_mixes[0].gamma
        mask = output["mask"].to(parameter.device)
        layers = [layer.to(parameter) for layer in output["activations"]]  # its device and precision
        mixes = [self._dropout(mix(layers, mask)) for mix in self._scalar_mixes]  # [B, T + 2, 2 P]
        if not self._keep_sentence_boundaries:
            mask = mask[:, 2:]
            mixes = [mix[:, 1:-1] * mask.unsqueeze(-1) for mix in mixes]
        shape = (*leading_axes(inputs, word_inputs), mask.shape[1])
        return {
            "elmo_representations": [mix.reshape(*shape, mix.shape[-1]) for mix in mixes],
            "mask": mask.reshape(shape),
        }


class ElmoEmbedder(allennlp.ElmoEmbedder):
    """`numpy_elmo.interfaces.allennlp.ElmoEmbedder` with tensors from `batch_to_embeddings`, as in AllenNLP.

    Its ``elmo_bilm`` is a PyTorch module; sentences still become NumPy arrays.
    """

    _make_bilm = ElmoBiLm

    def batch_to_embeddings(self, batch: Iterable[Iterable[str]]) -> tuple[Tensor, Tensor]:
        """Return the vectors of a batch, (B, L + 1, T, 2 P), and the mask, (B, T), and carry the state."""
        vectors, mask = super().batch_to_embeddings(check_sentences(batch))
        return torch.from_numpy(vectors), torch.from_numpy(mask)


def _array(tensor: Any) -> Any:
    return tensor.detach().cpu().numpy() if isinstance(tensor, Tensor) else tensor
