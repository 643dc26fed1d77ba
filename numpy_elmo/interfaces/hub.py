"""The interface of the TF-Hub module google/elmo, with NumPy arrays as inputs and outputs.

TensorFlow 1, with tensorflow_hub::

    import tensorflow as tf
    import tensorflow_hub as hub

    elmo = hub.Module("https://tfhub.dev/google/elmo/3", trainable=True)
    texts = ["the cat is on the mat", "dogs are in the fog"]
    embeddings = elmo(texts, signature="default", as_dict=True)["elmo"]
    with tf.Session() as sess:
        sess.run([tf.global_variables_initializer(), tf.tables_initializer()])
        vectors = sess.run(embeddings)

With numpy_elmo, a call returns the arrays, without a session::

    from numpy_elmo.interfaces import hub

    elmo = hub.Module("tiny", trainable=True)
    texts = ["the cat is on the mat", "dogs are in the fog"]
    vectors = elmo(texts, signature="default", as_dict=True)["elmo"]

TensorFlow 2 uses `load` and `KerasLayer`.  What differs:

* The model is a folder, an archive or a model's name, as for `numpy_elmo.load`; nothing is downloaded.  google/elmo
  itself is read from its folder or its ``.tar.gz``, including its weights of the layers.  ``"original"`` has the same
  sizes and training text.  Whether it has the same weights is not known.
* A sentence's vectors do not depend on earlier calls or on the other sentences of the call.
* Outputs are zero beyond a sentence's end.  In google/elmo they are a nonzero constant.  In both, ``default`` is the
  mean over the true tokens; a mean over the padded axis of an output gives a warning.
* The vectors are computed when the call is made, so a symbolic tensor raises an error: embed texts before
  ``model.fit``.
* A sentence without tokens has a ``default`` of zeros.
* ``<S>`` and ``</S>`` surround every sentence, as in training.  Whether google/elmo adds them is not documented.
* A model with n LSTM layers has n ``lstm_outputs``, not always two.
* With ``trainable=True``, the four numbers of the aggregation can be set, and `Module.gradient` returns their
  gradient.  The LSTMs do not change; google/elmo/1 trained them too.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from numpy_elmo.elmo import load as load_model
from numpy_elmo.errors import InputError, InputTypeError, ModelNotFoundError
from numpy_elmo.interfaces.id_batches import pad_vectors
from numpy_elmo.interfaces.texts import check_column, check_texts, from_tensorflow
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import pool
from numpy_elmo.layers.scalar_mix import MixGradient, ScalarMix
from numpy_elmo.network.checks import check_sentences

__all__ = ["KerasLayer", "LoadedModule", "Module", "Outputs", "Tensor", "TensorInfo", "load"]

_SIGNATURES = ("default", "tokens")


class _Dimension(int):
    @property
    def value(self) -> int:
        return int(self)


class Tensor(np.ndarray[Any, Any]):
    """An array that can also be used like an eager tensor, and warns when padding is averaged."""

    _padded = False

    def numpy(self) -> npt.NDArray[Any]:
        """Return a plain array of the same numbers."""
        return self.view(np.ndarray)

    def get_shape(self) -> tuple[_Dimension, ...]:
        """Return the shape."""
        return tuple(map(_Dimension, self.shape))

    def mean(self, axis: Any = None, *args: Any, **options: Any) -> Any:  # noqa: D102 -- NumPy's
        if self._padded and (axis is None or 1 in np.atleast_1d(axis) % self.ndim):
            warnings.warn(
                "this mean includes the padding of shorter sentences; the output 'default' is the mean over the true "
                "tokens",
                stacklevel=2,
            )
        return self.numpy().mean(axis, *args, **options)


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

    def get_shape(self) -> tuple[_Dimension | None, ...]:
        """Return the shape; ``get_shape()[-1]`` and ``get_shape()[-1].value`` are the same number."""
        return tuple(None if size is None else _Dimension(size) for size in self.shape)


class Outputs(Mapping[str, Tensor]):
    """The outputs of a call by name.  Each is computed when it is read, so only outputs that are read take memory.

    They are arrays that also have the methods ``numpy()`` and ``get_shape()`` of tensors.

    ``word_emb``
        Input of the LSTM layers, (B, T, P).  T is the length of the longest sentence, or of the padded lists.
    ``lstm_outputs1``, ``lstm_outputs2``
        The LSTM layers, (B, T, 2 P).
    ``elmo``
        The mix of these, (B, T, 2 P); see `Module.aggregation_weights`.
    ``default``
        Mean of ``elmo`` over each sentence's tokens, (B, 2 P).
    ``sequence_len``
        Number of tokens, (B,), int32.
    """

    def __init__(self, sentences: list[Array], width: int, vector_size: int, mix: ScalarMix) -> None:
        self._sentences = sentences  # [L + 1, n_tokens, 2 P] each
        self._width, self._vector_size, self._mix = width, vector_size, mix
        lstm_outputs = [f"lstm_outputs{k}" for k in range(1, len(mix.weights))]
        self._names = ["word_emb", *lstm_outputs, "elmo", "default", "sequence_len"]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        output = self._compute(name).view(Tensor)
        output._padded = output.ndim == 3 and any(layers.shape[1] < self._width for layers in self._sentences)
        return output

    def _compute(self, name: str) -> npt.NDArray[Any]:
        if name == "sequence_len":
            return np.array([layers.shape[1] for layers in self._sentences], np.int32)
        if name == "default":
            return _stack_means(map(self._mix, self._sentences), self._vector_size)
        if name == "word_emb":
            size = self._vector_size // 2
            return self._pad([layers[0, :, :size] for layers in self._sentences], size)
        if name == "elmo":
            return self._pad(list(map(self._mix, self._sentences)), self._vector_size)
        return self._pad([layers[self._names.index(name)] for layers in self._sentences], self._vector_size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Outputs: {', '.join(self)} of {len(self._sentences)} sentences>"

    def _pad(self, vectors: list[Array], size: int) -> Array:
        return pad_vectors(vectors, (self._width, size))


class Module:
    """The module.  A call takes sentences and returns vectors.

    Parameters
    ----------
    source : str or path
        A folder, an archive or a model's name, as for `numpy_elmo.load`.
    trainable : bool
        Whether the aggregation's numbers may be set.
    name : str
        Accepted for tensorflow_hub compatibility; no effect.

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
    {'word_emb': (2, 6, 128), 'lstm_outputs1': (2, 6, 256), 'lstm_outputs2': (2, 6, 256),
     'elmo': (2, 6, 256), 'default': (2, 256), 'sequence_len': (2,)}
    """

    def __init__(self, source: str | os.PathLike[str], trainable: bool = False, name: str = "module") -> None:
        if isinstance(source, str) and "://" in source:
            raise ModelNotFoundError(
                f"{source} is an address, and nothing is downloaded here; download the module (.tar.gz) and give "
                "its path, or give a model's name: 'original' has the sizes and training text of google/elmo; get "
                "it with numpy_elmo.download('original')"
            )
        self._elmo = load_model(source)
        self._trainable = trainable
        self._mix = self._elmo.mixes.get("aggregation") or ScalarMix([0.0] * (self._elmo.n_layers + 1))

    @property
    def aggregation_weights(self) -> Array:
        """The weights of the layers before the softmax, ``aggregation/weights``, (L + 1,).

        Initially those stored with the model, or zeros.  They can be set with ``trainable=True``.
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
        """The scale of the mix, ``aggregation/scaling``; initially as stored, or 1.

        It can be set with ``trainable=True``.
        """
        return self._mix.gamma

    @aggregation_scaling.setter
    def aggregation_scaling(self, scaling: float) -> None:
        self._check_trainable()
        self._mix = ScalarMix(self._mix.weights, scaling)

    def get_signature_names(self) -> list[str]:
        """Return the signatures' names."""
        return list(_SIGNATURES)

    def get_input_info_dict(self, signature: str | None = None) -> dict[str, TensorInfo]:
        """Return type and shape of every input of a signature."""
        text, number = np.dtype(np.str_), np.dtype(np.int32)
        if _check_signature(signature) == "default":
            return {"default": TensorInfo(text, (None,))}
        return {"tokens": TensorInfo(text, (None, None)), "sequence_len": TensorInfo(number, (None,))}

    def get_output_info_dict(self, signature: str | None = None) -> dict[str, TensorInfo]:
        """Return type and shape of every output, which are the same for both signatures."""
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
    ) -> Tensor: ...

    def __call__(
        self,
        inputs: Iterable[str] | Mapping[str, Any],
        signature: str | None = None,
        as_dict: bool | None = None,
    ) -> Tensor | Outputs:
        """Return the vectors of sentences.

        Parameters
        ----------
        inputs : iterable of str, or dict
            For the signature "default", sentences, which are split at spaces and nothing else.  For "tokens", a dict
            with ``tokens``, lists padded to one length, and ``sequence_len``, the number of tokens in each; the
            padding is not read.  Strings may be UTF-8 bytes; lists may be arrays, table columns or eager tensors.
        signature : {"default", "tokens"}, optional
            What `inputs` are.
        as_dict : bool, optional
            Whether to return all outputs; by default, ``default`` alone.

        Returns
        -------
        ndarray of float32, shape (B, 2 P), or Outputs
            The mean over each sentence's tokens, or all outputs by name.

        Raises
        ------
        InputTypeError
            If the inputs have the wrong type.
        InputError
            If the signature does not exist, or tokens and lengths do not match.
        """
        sentences, width = _read_strings(inputs) if _check_signature(signature) == "default" else _read_tokens(inputs)
        if as_dict:
            return self._outputs(sentences, width)
        return _stack_means(map(self._mix, self._elmo.embed_corpus(sentences)), self._elmo.vector_size).view(Tensor)

    def gradient(
        self, outputs: Mapping[str, Array], upstream: Array, output: Literal["elmo", "default"] = "elmo"
    ) -> MixGradient:
        """Return the gradient of a loss with respect to the aggregation's numbers.

        In place of an optimizer of TensorFlow, write the step::

            outputs = elmo(sentences, as_dict=True)
            # upstream: the gradient of the task's loss with respect to outputs["elmo"]
            by = elmo.gradient(outputs, upstream)
            elmo.aggregation_weights = elmo.aggregation_weights - learning_rate * by.weights
            elmo.aggregation_scaling = elmo.aggregation_scaling - learning_rate * by.gamma

        Parameters
        ----------
        outputs : Outputs
            What a call with ``as_dict=True`` returned.
        upstream : ndarray
            Gradient of the loss with respect to one of the outputs, in its shape.
        output : {"elmo", "default"}
            Which one.

        Returns
        -------
        MixGradient
            The gradients ``weights`` and ``gamma`` (of the scaling).

        Raises
        ------
        InputError
            If the module is not trainable, the shapes do not match, or `output` has another value.
        """
        self._check_trainable()
        if output not in ("elmo", "default"):
            raise InputError(f'output must be "elmo" or "default", not {output!r}: nothing else depends on the mix')
        lstm = [outputs[f"lstm_outputs{layer}"] for layer in range(1, self._elmo.n_layers + 1)]
        layers = np.stack([np.concatenate([outputs["word_emb"]] * 2, axis=-1), *lstm])  # [L + 1, B, T, 2 P]
        if output == "default":
            lengths = outputs["sequence_len"]
            means = [pool(layers[:, k, :length], "mean") for k, length in enumerate(lengths)]
            layers = np.stack(means, axis=1)  # [L + 1, B, 2 P]
        return self._mix.gradient(layers, upstream)

    def _outputs(self, sentences: list[list[str]], width: int) -> Outputs:
        return Outputs(list(self._elmo.embed_corpus(sentences)), width, self._elmo.vector_size, self._mix)

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

    With tensorflow_hub, then with numpy_elmo::

        elmo = hub.load("https://tfhub.dev/google/elmo/3")
        texts = tf.constant(["the cat is on the mat"])
        vectors = elmo.signatures["default"](texts)["elmo"].numpy()

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
    (2, 2, 256)
    """
    module = Module(source)

    def default(strings: Iterable[str]) -> Outputs:
        return module._outputs(*_read_strings(strings))

    def tokens(*, tokens: Iterable[Iterable[str]], sequence_len: Iterable[int]) -> Outputs:
        return module._outputs(*_read_tokens({"tokens": tokens, "sequence_len": sequence_len}))

    return LoadedModule({"default": default, "tokens": tokens})


class KerasLayer:
    """The module as TensorFlow 2 programs call it on texts, outside of a model.

    With tensorflow_hub, then with numpy_elmo::

        url = "https://tfhub.dev/google/elmo/3"
        layer = hub.KerasLayer(url, signature="default", output_key="elmo")

        layer = hub.KerasLayer("tiny", signature="default", output_key="elmo")
        vectors = layer(["the cat is on the mat"])

    It is not a Keras layer: embed texts once, before ``model.fit``, and give the model their vectors.

    Parameters
    ----------
    handle : str or path
        As for `Module`.
    trainable : bool
        Accepted for tensorflow_hub compatibility; no effect.
    signature : {"default", "tokens"}, optional
        As for `Module`.
    output_key : str, optional
        The output to return; "default" by default.
    **options
        ``input_shape``, ``dtype``, ``name`` and so on: accepted for tensorflow_hub compatibility; no effect.

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError
        As for `Module`.
    InputError
        If there is no such signature or output.

    Examples
    --------
    >>> from numpy_elmo.interfaces import hub
    >>> hub.KerasLayer("tiny", output_key="elmo")(["the cat is on the mat"]).shape
    (1, 6, 256)
    """

    def __init__(
        self,
        handle: str | os.PathLike[str],
        trainable: bool = False,
        signature: str | None = None,
        *,
        output_key: str | None = None,
        **options: object,
    ) -> None:
        self._module = Module(handle)
        self._signature, self._output = _check_signature(signature), output_key or "default"
        if self._output not in (names := list(self._module.get_output_info_dict())):
            raise InputError(f"output_key must be one of {', '.join(names)}, not {output_key!r}")

    def __call__(self, inputs: Any) -> Tensor:
        """Return one output; `inputs` are those of `Module`."""
        if self._output == "default":
            return self._module(inputs, self._signature)
        return self._module(inputs, self._signature, as_dict=True)[self._output]


def _check_signature(signature: str | None) -> str:
    if signature is None:
        return "default"
    if signature not in _SIGNATURES:
        raise InputError(f'signature must be "default" or "tokens", not {signature!r}')
    return signature


def _read_strings(inputs: object) -> tuple[list[list[str]], int]:
    """Return the tokens of sentences, and the length of the longest."""
    if isinstance(inputs, Mapping):
        if set(inputs) != {"default"}:  # the name of the input in get_input_info_dict
            raise InputTypeError('the signature "default" takes strings; give signature="tokens" with a dict of tokens')
        inputs = inputs["default"]
    inputs = map(_text, check_column(from_tensorflow(inputs), "inputs"))
    strings = check_texts(inputs, "inputs", "give ' '.join(tokens), or signature=\"tokens\", for lists of tokens")
    sentences = [[token for token in string.split(" ") if token] for string in strings]
    return sentences, max(map(len, sentences), default=0)


def _read_tokens(inputs: object) -> tuple[list[list[str]], int]:
    """Return the tokens of padded sentences, and their length with padding."""
    if not isinstance(inputs, Mapping) or set(inputs) != {"tokens", "sequence_len"}:
        raise InputTypeError('the signature "tokens" takes a dict with "tokens" and "sequence_len"')
    tokens = from_tensorflow(inputs["tokens"])
    table = list(np.asarray(tokens)) if len(getattr(tokens, "shape", ())) == 2 else check_column(tokens, '"tokens"')
    rows = [list(check_column(row, f'row {k} of "tokens"')) for k, row in enumerate(table)]
    lengths = np.asarray(from_tensorflow(inputs["sequence_len"]))
    width = len(rows[0]) if rows else 0
    if any(len(row) != width for row in rows):
        raise InputError('the lists of "tokens" have different lengths; pad the shorter ones with ""')
    if lengths.shape != (len(rows),):
        raise InputError(f'"sequence_len" must have {len(rows)} numbers, one per sentence, not {lengths.shape}')
    if rows and (lengths.dtype.kind not in "iu" or lengths.min() < 0 or lengths.max() > width):
        raise InputError(f'"sequence_len" must be integers in 0..{width}, the length of the lists of "tokens"')
    sentences = (list(map(_text, row[:length])) for row, length in zip(rows, lengths, strict=True))
    return check_sentences(sentences), width


def _text(value: Any) -> Any:
    """Decode bytes, which are TensorFlow's strings."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{value!r:.60} is not UTF-8 ({error.reason}); decode the texts first") from error


def _stack_means(sentences: Iterable[Array], vector_size: int) -> Array:
    """Return the mean of each sentence's tokens, (B, 2 P)."""
    means = [pool(vectors, "mean") for vectors in sentences]
    return np.stack(means) if means else np.zeros((0, vector_size), np.float32)
