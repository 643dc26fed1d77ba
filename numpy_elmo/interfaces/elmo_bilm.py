"""AllenNLP's ``_ElmoBiLm`` and its two parts, shared by the NumPy and the PyTorch interface."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from numpy_elmo.elmo import load as load_model
from numpy_elmo.errors import InputError, InputTypeError, ModelNotFoundError
from numpy_elmo.files import published
from numpy_elmo.files.places import to_path
from numpy_elmo.interfaces.id_batches import (
    CarriedBilm,
    Mask,
    as_integers,
    check_range,
    present_tokens,
)
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.characters import N_CHARACTERS, SENTENCE_END, SENTENCE_START
from numpy_elmo.network.checks import check_tokens
from numpy_elmo.network.encoder import Encoder

PathLike: TypeAlias = "str | os.PathLike[str]"


class TokenEmbedding(TypedDict):
    """What `ElmoCharacterEncoder` returns."""

    token_embedding: Array
    mask: Mask


class Activations(TypedDict):
    """What `ElmoBiLm` returns.

    Attributes
    ----------
    activations : list of ndarray of float32, shape (B, T + 2, 2 P)
        The L + 1 layers, boundaries included, zero at padding.
    mask : ndarray of bool, shape (B, T + 2)
        True at tokens and boundaries, False at padding.
    """

    activations: list[Array]
    mask: Mask


def check_no_grad(requires_grad: bool) -> None:
    """Raise InputError if the biLM is to be trained."""
    if requires_grad:
        raise InputError(
            "the biLM runs in NumPy, without gradients, so its weights cannot be trained; give requires_grad=False, "
            "and train the scalar mixes and what follows them"
        )


class ElmoCharacterEncoder:
    """Token vectors with boundaries, from character ids; AllenNLP calls it ``_ElmoCharacterEncoder``.

    Parameters and errors are those of `ElmoBiLm`.
    """

    def __init__(
        self,
        options_file: PathLike,
        weight_file: PathLike,
        requires_grad: bool = False,
        *,
        encoder: Encoder | None = None,
    ) -> None:
        check_no_grad(requires_grad)
        self._options_file, self._weight_file = options_file, weight_file  # programs read these names of AllenNLP
        self._encoder = encoder or load_model(local_file(weight_file), options=local_file(options_file)).encoder
        self._begin, self._end = self._encoder([SENTENCE_START, SENTENCE_END])

    @property
    def _options(self) -> Any:
        return json.loads(local_file(self._options_file).read_text(encoding="utf-8-sig"))

    def __call__(self, inputs: npt.ArrayLike) -> TokenEmbedding:
        """Return a dict with ``token_embedding`` (B, T + 2, P) and ``mask`` (B, T + 2)."""
        ids = as_integers(inputs, "batch_to_ids")
        width = self._encoder.max_characters
        if ids.ndim < 3 or ids.shape[-1] != width:
            raise InputError(
                f"ids must have the shape (..., T, {width}), not {ids.shape}; make them with "
                f"batch_to_ids(batch, max_characters={width})"
            )
        check_range(ids, N_CHARACTERS)
        flat = ids.reshape(int(np.prod(ids.shape[:-2])), *ids.shape[-2:])
        present = present_tokens(flat, of_characters=True)
        characters = flat[present] - 1
        empty = np.empty((0, len(self._begin)), np.float32)
        return self.with_boundaries(self._encoder.encode_ids(characters) if len(characters) else empty, present)

    def with_boundaries(self, tokens: Array, present: Mask) -> TokenEmbedding:
        """Put ``<S>`` before and ``</S>`` after the token vectors (N, P) of each row."""
        mask = np.pad(present, ((0, 0), (2, 0)), constant_values=True)
        bounded = np.zeros((*mask.shape, len(self._begin)), tokens.dtype)
        bounded[:, 0] = self._begin
        bounded[:, 1:-1][present] = tokens
        bounded[np.arange(len(mask)), mask.sum(axis=1) - 1] = self._end
        return {"token_embedding": bounded, "mask": mask}


class ElmoLstm:
    """What programs use of AllenNLP's ``ElmoLstm``: ``stateful``, ``reset_states`` and ``_states``."""

    def __init__(self, bilm: Bilm) -> None:
        self.stateful = True
        self._carried = CarriedBilm(bilm)

    def __call__(self, tokens: Array, present: Mask) -> Array:
        """Return all layers, (L + 1, B, T, 2 P)."""
        return self.carried()(tokens, present)

    def carried(self) -> CarriedBilm:
        """Return the layers with the state to start from, zeros unless ``stateful``."""
        return self._carried if self.stateful else self._carried.fresh()

    def reset_states(self) -> None:
        """Start from zeros again."""
        self._carried.reset()

    @property
    def _states(self) -> tuple[()]:
        return ()  # there are no tensors to move to another device

    @_states.setter
    def _states(self, states: Any) -> None:
        if states is None:
            self.reset_states()
        elif len(states):
            raise InputError("the LSTM state cannot be set to tensors; reset_states() starts from zeros")


class ElmoBiLm:
    """The vectors of all layers, boundaries included, from character ids; AllenNLP calls it ``_ElmoBiLm``.

    The LSTM state is carried from call to call, until ``reset_states()``.

    Parameters
    ----------
    options_file, weight_file : str or path
        The model's files, or their addresses if the model was downloaded before.
    requires_grad : bool
        Must be False: the weights do not change.
    vocab_to_cache : list of str, optional
        Words whose token vectors are computed once, for calls with `word_inputs`.  The first is padding.

    Attributes
    ----------
    num_layers : int
        L + 1, the token layer included.

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError
        As for `numpy_elmo.load`; ModelNotFoundError also if an address belongs to no downloaded model.
    InputTypeError
        If `vocab_to_cache` is a string instead of a list of words, or a file is None.
    InputError
        If `requires_grad` is True.
    """

    def __init__(
        self,
        options_file: PathLike | None,
        weight_file: PathLike | None,
        requires_grad: bool = False,
        vocab_to_cache: Sequence[str] | None = None,
    ) -> None:
        check_no_grad(requires_grad)
        if options_file is None or weight_file is None:
            raise InputTypeError("options_file and weight_file must be paths, not None; only Elmo(module=...) has none")
        elmo = load_model(local_file(weight_file), options=local_file(options_file))
        self.elmo = elmo
        self.num_layers = elmo.n_layers + 1
        self._token_embedder = ElmoCharacterEncoder(options_file, weight_file, encoder=elmo.encoder)
        self._elmo_lstm = ElmoLstm(elmo.bilm)
        self._words: Array | None = None
        if vocab_to_cache is not None:
            words = check_tokens(vocab_to_cache, "vocab_to_cache")
            self._words = elmo.encoder(words) if words else None

    def get_output_dim(self) -> int:
        """Return the length of a token's vector."""
        return self.elmo.vector_size

    def reset_states(self) -> None:
        """Start from zeros again."""
        self._elmo_lstm.reset_states()

    def eval(self) -> ElmoBiLm:
        """Return itself; accepted for AllenNLP compatibility."""
        return self

    def to(self, *args: object, **kwargs: object) -> ElmoBiLm:
        """Return itself, whatever the device; accepted for AllenNLP compatibility."""
        return self

    def __call__(self, inputs: npt.ArrayLike, word_inputs: npt.ArrayLike | None = None) -> Activations:
        """Return the vectors of sentences, and carry the state.

        Parameters
        ----------
        inputs : array of int, shape (..., T, max_characters)
            The ids from `batch_to_ids`: no boundaries, 0 at padding.  All leading axes are the batch, B.
        word_inputs : array of int, shape (..., T), optional
            The same sentences as positions in `vocab_to_cache`; 0 is padding.  Then `inputs` is read only if a position
            is out of range, or nothing was cached.

        Returns
        -------
        Activations
            A dict with ``activations`` and ``mask``.

        Raises
        ------
        InputTypeError
            If the ids are not integers.
        InputError
            If the ids have another shape, one is out of range, there is no sentence, or there is padding between
            tokens.
        """
        tokens = self._cached(word_inputs) or self._token_embedder(inputs)
        mask = tokens["mask"]
        if not len(mask):
            raise InputError("there is no sentence in these ids; give at least one")
        return {"activations": list(self._elmo_lstm(tokens["token_embedding"][mask], mask)), "mask": mask}

    def _cached(self, word_inputs: npt.ArrayLike | None) -> TokenEmbedding | None:
        """Return the cached token vectors; None if characters are needed."""
        if self._words is None or word_inputs is None:
            return None
        places = as_integers(word_inputs, "the order of vocab_to_cache")
        if places.ndim < 2:
            raise InputError(f"word_inputs must have the shape (..., T), at least two axes, not {places.shape}")
        if places.size and (places.min() < 0 or places.max() >= len(self._words)):
            return None
        flat = places.reshape(-1, places.shape[-1])
        present = present_tokens(flat, of_characters=False)
        return self._token_embedder.with_boundaries(self._words[flat[present]], present)


def leading_axes(inputs: npt.ArrayLike, word_inputs: npt.ArrayLike | None) -> tuple[int, ...]:
    """Return the sizes of the axes that count as the batch."""
    shape = np.shape(inputs)
    return shape[:-2] if len(shape) > 2 or word_inputs is None else np.shape(word_inputs)[:-1]


def local_file(file: PathLike) -> Path:
    """Return the path of a file; the address of a published model's file gives the downloaded copy."""
    address = str(file)
    if not isinstance(file, str) or "://" not in address:
        return to_path(file, "options_file and weight_file must be paths or addresses")
    for model in published.table().values():
        for file_ in model.files:
            if address in file_.addresses:
                published.find(model.name)  # raises an error that says how to download it
                return published.cache_folder() / model.name / file_.file_name
    raise ModelNotFoundError(
        f"{address} is not the address of a published model's file, and nothing is downloaded here; download it and "
        "give its path"
    )
