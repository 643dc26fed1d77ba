"""The interface of the TF-Hub module google/elmo, NumPy in and NumPy out.

TensorFlow 1, with tensorflow_hub::

    import tensorflow as tf
    import tensorflow_hub as hub

    elmo = hub.Module("https://tfhub.dev/google/elmo/3", trainable=True)
    embeddings = elmo(["the cat is on the mat", "dogs are in the fog"], signature="default", as_dict=True)["elmo"]
    with tf.Session() as sess:
        sess.run([tf.global_variables_initializer(), tf.tables_initializer()])
        vectors = sess.run(embeddings)

Here a call returns the arrays, and the session goes away::

    from numpy_elmo.interfaces import hub

    elmo = hub.Module("tiny", trainable=True)
    vectors = elmo(["the cat is on the mat", "dogs are in the fog"], signature="default", as_dict=True)["elmo"]

What is different:

* The model is a folder, a zip or a model's name, as for `numpy_elmo.load`; nothing is fetched.  ``"original"`` has the
  sizes and the training text of google/elmo.  Nobody has said whether it has the same weights.
* A call gives the same vectors whatever was called before, and whatever stands beside a sentence.
* Outputs are zero beyond a sentence's end.  There, a constant that is not zero stands there, and a mean over the width
  is wrong; ``default`` is the mean over the true tokens, as there.
* A sentence without tokens has a ``default`` of zeros.
* ``<S>`` and ``</S>`` are set around every sentence, as the models were trained.  Whether they are there is not
  documented.
* With another number of LSTM layers than two, there are as many ``lstm_outputs``.
* With ``trainable=True``, the four numbers of the aggregation can be set, and `Module.gradient` says how a loss changes
  with them.  The LSTMs, which google/elmo/1 trained too, stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from numpy_elmo.elmo import load as load_model
from numpy_elmo.errors import InputError, InputTypeError, ModelNotFoundError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import pool
from numpy_elmo.layers.scalar_mix import MixGradient, ScalarMix
from numpy_elmo.network.checks import check_sentences

__all__ = ["LoadedModule", "Module", "Outputs", "TensorInfo", "load"]

Outputs: TypeAlias = dict[str, npt.NDArray[Any]]
"""``word_emb`` (B, T, P), ``lstm_outputs1`` and so on (B, T, 2 P), ``elmo`` (B, T, 2 P), ``default`` (B, 2 P),
``sequence_len`` (B,)."""

_SIGNATURES = ("default", "tokens")


@dataclass(frozen=True)
class TensorInfo:
    """Type and shape of an input or an output; None is a size that depends on the input.

    Attributes
    ----------
    dtype : numpy.dtype
        Type of the numbers.
    shape : tuple of int or None
        The sizes.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    def get_shape(self) -> tuple[int | None, ...]:
        """Return the shape; ``get_shape()[-1]`` is a number itself, without ``.value``."""
        return self.shape


class Module:
    """The module.  A call takes sentences and returns vectors.

    tensorflow_hub::

        elmo = hub.Module("https://tfhub.dev/google/elmo/3", trainable=True)

    Here::

        elmo = hub.Module("tiny", trainable=True)

    Parameters
    ----------
    source : str or path
        A folder, a zip or a model's name, as for `numpy_elmo.load`.
    trainable : bool
        Whether the aggregation's numbers may be set.
    name : str
        There, a prefix of variables' names; not used here.

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError
        As for `numpy_elmo.load`; ModelNotFoundError also if the source is an address.

    Examples
    --------
    >>> from numpy_elmo.interfaces import hub
    >>> elmo = hub.Module("tiny")
    >>> outputs = elmo(["the cat is on the mat", "dogs are in the fog"], as_dict=True)
    >>> {name: array.shape for name, array in outputs.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'word_emb': (2, 6, 96), 'lstm_outputs1': (2, 6, 192), 'lstm_outputs2': (2, 6, 192), 'elmo': (2, 6, 192),
     'default': (2, 192), 'sequence_len': (2,)}
    """

    def __init__(self, source: str | os.PathLike[str], trainable: bool = False, name: str = "module") -> None:
        if isinstance(source, str) and "://" in source:
            raise ModelNotFoundError(
                f"{source} is an address, and nothing is fetched from here; give a folder, a zip or a model's name: "
                "'original' has the sizes and the training text of google/elmo, get it with "
                "'numpy-elmo download original'"
            )
        self._elmo = load_model(source)
        self._trainable = trainable
        self._mix = ScalarMix([0.0] * (self._elmo.n_layers + 1))

    @property
    def aggregation_weights(self) -> Array:
        """The weights of the layers before the softmax, ``aggregation/weights`` there, (L + 1,); at first zeros.

        With ``trainable=True`` they can be set.
        """
        return self._mix.weights

    @aggregation_weights.setter
    def aggregation_weights(self, weights: Sequence[float] | Array) -> None:
        self._check_trainable()
        mix = ScalarMix(weights, self._mix.gamma)
        if mix.weights.shape != self._mix.weights.shape:
            raise InputError(f"this model has {len(self._mix.weights)} weights, not {len(mix.weights)}")
        self._mix = mix

    @property
    def aggregation_scaling(self) -> float:
        """The scale of the mix, ``aggregation/scaling`` there; at first 1.  With ``trainable=True`` it can be set."""
        return self._mix.gamma

    @aggregation_scaling.setter
    def aggregation_scaling(self, scaling: float) -> None:
        self._check_trainable()
        self._mix = ScalarMix(self._mix.weights, scaling)

    def get_signature_names(self) -> list[str]:
        """Return the names that a call may give for its signature."""
        return list(_SIGNATURES)

    def get_input_info_dict(self, signature: str | None = None) -> dict[str, TensorInfo]:
        """Return type and shape of every input of a signature.

        Raises
        ------
        InputError
            If there is no such signature.
        """
        text, number = np.dtype(np.str_), np.dtype(np.int32)
        if _check_signature(signature) == "default":
            return {"default": TensorInfo(text, (None,))}
        return {"tokens": TensorInfo(text, (None, None)), "sequence_len": TensorInfo(number, (None,))}

    def get_output_info_dict(self, signature: str | None = None) -> dict[str, TensorInfo]:
        """Return type and shape of every output; they are the same for both signatures.

        tensorflow_hub::

            elmo.get_output_info_dict()["default"].get_shape()[-1].value

        Here, without ``.value``::

            elmo.get_output_info_dict()["default"].get_shape()[-1]

        Raises
        ------
        InputError
            If there is no such signature.
        """
        _check_signature(signature)
        size, number = self._elmo.vector_size, np.dtype(np.float32)
        layer = TensorInfo(number, (None, None, size))
        return {
            "word_emb": TensorInfo(number, (None, None, size // 2)),
            **{f"lstm_outputs{k}": layer for k in range(1, self._elmo.n_layers + 1)},
            "elmo": layer,
            "default": TensorInfo(number, (None, size)),
            "sequence_len": TensorInfo(np.dtype(np.int32), (None,)),
        }

    @overload
    def __call__(
        self, inputs: Iterable[str] | Mapping[str, Any], signature: str | None = None, *, as_dict: Literal[True]
    ) -> Outputs: ...

    @overload
    def __call__(
        self, inputs: Iterable[str] | Mapping[str, Any], signature: str | None, as_dict: Literal[True]
    ) -> Outputs: ...

    @overload
    def __call__(
        self,
        inputs: Iterable[str] | Mapping[str, Any],
        signature: str | None = None,
        as_dict: Literal[False] | None = None,
    ) -> Array: ...

    def __call__(
        self,
        inputs: Iterable[str] | Mapping[str, Any],
        signature: str | None = None,
        as_dict: bool | None = None,
    ) -> Array | Outputs:
        """Return the vectors of some sentences.

        tensorflow_hub::

            elmo(["the cat is on the mat"], signature="default", as_dict=True)["elmo"]
            elmo(inputs={"tokens": [["the", "cat"], ["dogs", ""]], "sequence_len": [2, 1]}, signature="tokens",
                 as_dict=True)["elmo"]

        Here: the same, and no session to run.

        Parameters
        ----------
        inputs : iterable of str, or dict
            For the signature "default", sentences, which are split at spaces, and at nothing else.  For "tokens", a
            dict with ``tokens``, lists of one length padded with ``""``, and ``sequence_len``, the number of tokens of
            each; what stands beyond it is not looked at.
        signature : {"default", "tokens"}, optional
            What `inputs` are.
        as_dict : bool, optional
            Whether to return all outputs; by default, ``default`` alone.

        Returns
        -------
        ndarray or dict of ndarray
            The mean over each sentence's tokens, (B, 2 P), or the outputs by name, float32:

            ``word_emb``
                What the LSTM layers read, (B, T, P).  T is the length of the longest sentence, or of the padded lists.
            ``lstm_outputs1``, ``lstm_outputs2``
                The LSTM layers, (B, T, 2 P).
            ``elmo``
                The mix of the three, (B, T, 2 P); see `aggregation_weights`.
            ``default``
                Mean of ``elmo`` over each sentence's tokens, (B, 2 P).
            ``sequence_len``
                Number of tokens, (B,), int32.

        Raises
        ------
        InputTypeError
            If the inputs are not of the type that they should be.
        InputError
            If there is no such signature, or tokens and lengths do not fit each other.
        """
        sentences, width = _read_strings(inputs) if _check_signature(signature) == "default" else _read_tokens(inputs)
        outputs = self._outputs(sentences, width)
        return outputs if as_dict else outputs["default"]

    def gradient(self, outputs: Outputs, upstream: Array, output: Literal["elmo", "default"] = "elmo") -> MixGradient:
        """Return how a loss changes with the aggregation's numbers.

        tensorflow_hub, where an optimizer does it::

            tf.gradients(loss, elmo.variables)

        Here, step by step::

            outputs = elmo(sentences, as_dict=True)
            by = elmo.gradient(outputs, upstream)  # upstream: gradient of the task's loss by outputs["elmo"]
            elmo.aggregation_weights = elmo.aggregation_weights - learning_rate * by.weights
            elmo.aggregation_scaling = elmo.aggregation_scaling - learning_rate * by.gamma

        Parameters
        ----------
        outputs : dict
            What a call with ``as_dict=True`` returned.
        upstream : ndarray
            Gradient of the loss by one of the outputs, of that output's shape.
        output : {"elmo", "default"}
            Which one.

        Returns
        -------
        MixGradient
            By the weights and by the scaling, which it calls gamma.

        Raises
        ------
        InputError
            If the module is not trainable, the shapes do not fit, or there is no such output.
        """
        self._check_trainable()
        if output not in ("elmo", "default"):
            raise InputError(f'output must be "elmo" or "default", not {output!r}: nothing else depends on the mix')
        lstm = [outputs[f"lstm_outputs{layer}"] for layer in range(1, self._elmo.n_layers + 1)]
        layers = np.stack([np.concatenate([outputs["word_emb"]] * 2, axis=-1), *lstm])  # [L + 1, B, T, 2 P]
        if output == "default":
            layers = _means(layers, outputs["sequence_len"])  # [L + 1, B, 2 P]
        return self._mix.gradient(layers, upstream)

    def _outputs(self, sentences: list[list[str]], width: int) -> Outputs:
        vectors, mask = self._elmo.embed_padded(sentences)
        layers = np.moveaxis(vectors, 1, 0)  # [L + 1, B, T, 2 P]
        layers = np.pad(layers, ((0, 0), (0, 0), (0, width - layers.shape[2]), (0, 0)))
        lengths = mask.sum(axis=1, dtype=np.int32)
        elmo = self._mix(layers)
        return {
            "word_emb": layers[0, :, :, : self._elmo.vector_size // 2],
            **{f"lstm_outputs{k}": layer for k, layer in enumerate(layers[1:], 1)},
            "elmo": elmo,
            "default": _means(elmo, lengths),
            "sequence_len": lengths,
        }

    def _check_trainable(self) -> None:
        if not self._trainable:
            raise InputError("this module is not trainable; make it with hub.Module(source, trainable=True)")


@dataclass(frozen=True)
class LoadedModule:
    """What `load` returns.

    Attributes
    ----------
    signatures : mapping
        A function for each signature, "default" and "tokens", that returns all outputs by name.
    """

    signatures: Mapping[str, Callable[..., Outputs]]


def load(source: str | os.PathLike[str]) -> LoadedModule:
    """Load the module as TensorFlow 2 does.

    tensorflow_hub::

        elmo = hub.load("https://tfhub.dev/google/elmo/3")
        vectors = elmo.signatures["default"](tf.constant(["the cat is on the mat"]))["elmo"].numpy()

    Here::

        elmo = hub.load("tiny")
        vectors = elmo.signatures["default"](["the cat is on the mat"])["elmo"]

    Parameters
    ----------
    source : str or path
        As for `Module`.

    Returns
    -------
    LoadedModule

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError
        As for `Module`.

    Examples
    --------
    >>> from numpy_elmo.interfaces import hub
    >>> tokens = hub.load("tiny").signatures["tokens"]
    >>> tokens(tokens=[["the", "cat"], ["dogs", ""]], sequence_len=[2, 1])["elmo"].shape
    (2, 2, 192)
    """
    module = Module(source)

    def default(strings: Iterable[str]) -> Outputs:
        return module._outputs(*_read_strings(strings))

    def tokens(*, tokens: Iterable[Iterable[str]], sequence_len: Iterable[int]) -> Outputs:
        return module._outputs(*_read_tokens({"tokens": tokens, "sequence_len": sequence_len}))

    return LoadedModule({"default": default, "tokens": tokens})


def _check_signature(signature: str | None) -> str:
    if signature is None:
        return "default"
    if signature not in _SIGNATURES:
        raise InputError(f'signature must be "default" or "tokens", not {signature!r}')
    return signature


def _read_strings(inputs: Iterable[str] | Mapping[str, Any]) -> tuple[list[list[str]], int]:
    """Return the tokens of sentences, and the length of the longest."""
    if isinstance(inputs, Mapping):
        raise InputTypeError('the signature "default" takes strings; give signature="tokens" with a dict of tokens')
    if isinstance(inputs, (str, bytes)) or not isinstance(inputs, Iterable):
        raise InputTypeError(f"sentences must be a list of strings, not {type(inputs).__name__}: give [sentence]")
    strings = list(inputs)
    for index, string in enumerate(strings):
        if not isinstance(string, str):
            raise InputTypeError(
                f"sentence {index} must be a string, not {type(string).__name__}: give ' '.join(tokens), or "
                'signature="tokens"'
            )
    sentences = [[token for token in string.split(" ") if token] for string in strings]
    return sentences, max(map(len, sentences), default=0)


def _read_tokens(inputs: object) -> tuple[list[list[str]], int]:
    """Return the tokens of padded sentences, and their length with padding."""
    if not isinstance(inputs, Mapping) or set(inputs) != {"tokens", "sequence_len"}:
        raise InputTypeError('the signature "tokens" takes a dict with "tokens" and "sequence_len"')
    rows = check_sentences(inputs["tokens"])
    lengths = np.asarray(inputs["sequence_len"])
    width = len(rows[0]) if rows else 0
    if any(len(row) != width for row in rows):
        raise InputError('the lists of "tokens" have different lengths; pad the shorter ones with ""')
    if lengths.shape != (len(rows),):
        raise InputError(f'"sequence_len" must be one number a sentence, {len(rows)} of them, not {lengths.shape}')
    if rows and (lengths.dtype.kind not in "iu" or lengths.min() < 0 or lengths.max() > width):
        raise InputError(f'"sequence_len" must be integers in 0..{width}, the length of the lists of "tokens"')
    return [row[:length] for row, length in zip(rows, lengths, strict=True)], width


def _means(vectors: Array, lengths: npt.NDArray[np.int32]) -> Array:
    """Return the mean of each sentence's tokens, (..., B, 2 P), of vectors (..., B, T, 2 P)."""
    means = np.zeros((*vectors.shape[:-2], vectors.shape[-1]), vectors.dtype)
    for row, length in enumerate(lengths):
        means[..., row, :] = pool(vectors[..., row, :length, :], "mean")
    return means
