"""The interface of AllenNLP's ELMo, with NumPy arrays as inputs and outputs.

AllenNLP::

    from allennlp.commands.elmo import ElmoEmbedder
    from allennlp.modules.elmo import Elmo, batch_to_ids

    embedder = ElmoEmbedder(options_file, weight_file)
    vectors = embedder.embed_sentence(["I", "ate", "an", "apple", "for", "breakfast"])

    elmo = Elmo(options_file, weight_file, 2, dropout=0)
    embeddings = elmo(batch_to_ids([["First", "sentence", "."], ["Another", "."]]))

Change the import::

    from numpy_elmo.interfaces.allennlp import Elmo, ElmoEmbedder, batch_to_ids

`numpy_elmo.interfaces.torch` has the same classes with PyTorch tensors and trainable mixes.

For programs that cannot be changed, such as Flair's ``ELMoEmbeddings``, `install` provides AllenNLP's names::

    from numpy_elmo.interfaces import allennlp

    allennlp.install()

As in AllenNLP, the LSTM state is carried from call to call: sentence k of a call starts from the state that sentence k
of the last call left, and rows missing from a call keep their state.  ``reset_states`` starts from zeros again.

What differs:

* Nothing is downloaded.  The address of a published model's file refers to its local copy, which
  ``numpy_elmo.download("original")`` makes.
* Arrays are NumPy arrays.  Masks are boolean, as in AllenNLP 1 and 2; in 0.9 they were integers.
* `Elmo` applies no dropout, which AllenNLP does until ``eval()`` is called.  The weights do not change, so
  ``requires_grad=True`` raises an error.
* A string in place of a list of tokens raises an error.  In AllenNLP every character becomes a token.
* A sentence without tokens has vectors of shape ``(L + 1, 0, 2 P)`` in float32.  AllenNLP returns ``(3, 0, 1024)`` in
  float64 for every model.
* `ElmoEmbedder.embed_file` leaves no file behind when it fails.
* Models without skip connections work too.
* Models with more or fewer than 50 characters per token work, with ``batch_to_ids(batch, max_characters=...)``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import IO, Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt

from numpy_elmo.corpus.write import Datasets, stored, write_dataset, write_sentence_map
from numpy_elmo.errors import ElmoError, InputError, InputTypeError
from numpy_elmo.files.writing import new_hdf5
from numpy_elmo.interfaces.elmo_bilm import Activations, ElmoBiLm, ElmoCharacterEncoder, PathLike, leading_axes
from numpy_elmo.interfaces.id_batches import Int64s, Mask, pad_ids, without_boundaries
from numpy_elmo.layers import scalar_mix
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.batching import batches
from numpy_elmo.network.characters import character_ids
from numpy_elmo.network.checks import check_count, check_sentences, each_sentence
from numpy_elmo.network.state import CarriedState

__all__ = [
    "DEFAULT_OPTIONS_FILE",
    "DEFAULT_WEIGHT_FILE",
    "Activations",
    "Elmo",
    "ElmoBiLm",
    "ElmoCharacterEncoder",
    "ElmoEmbedder",
    "ElmoOutput",
    "ScalarMix",
    "batch_to_ids",
    "install",
    "uninstall",
]

_ORIGINAL = (
    "https://allennlp.s3.amazonaws.com/models/elmo/2x4096_512_2048cnn_2xhighway/elmo_2x4096_512_2048cnn_2xhighway_"
)
DEFAULT_OPTIONS_FILE = f"{_ORIGINAL}options.json"
DEFAULT_WEIGHT_FILE = f"{_ORIGINAL}weights.hdf5"


_ALIAS = "AllenNLP's names for numpy_elmo.interfaces"


class ElmoOutput(TypedDict):
    """What `Elmo` returns; T is the width of the ids, plus 2 with boundaries.

    Attributes
    ----------
    elmo_representations : list of ndarray of float32, shape (B, T, 2 P)
        The mixes of the layers.
    mask : ndarray of bool, shape (B, T)
        True at tokens, False at padding.
    """

    elmo_representations: list[Array]
    mask: Mask


def batch_to_ids(batch: Iterable[Iterable[str]], max_characters: int = 50) -> Int64s:
    """Return the character ids of sentences.

    Parameters
    ----------
    batch : iterable of token lists
        At least one sentence.
    max_characters : int
        ``max_characters_per_token`` of the model's options: 50 in the published models.

    Returns
    -------
    ndarray of int64, shape (B, longest, max_characters)
        Ids in 1..261, without the boundaries, and 0 beyond a sentence's end.

    Raises
    ------
    InputTypeError
        If a sentence is a string instead of a list of tokens, or a token is not a string.
    InputError
        If there is no sentence, or `max_characters` leaves no room for a token's two marks.
    """
    max_characters = check_count("max_characters", max_characters, minimum=3)
    return pad_ids([character_ids(tokens, max_characters) for tokens in check_sentences(batch)])


class ScalarMix:
    """Weighted sum of layers; the weights are the softmax of scalars.

    To use a trained mix, set its two attributes.

    Parameters
    ----------
    mixture_size : int
        Number of layers.
    do_layer_norm : bool
        Whether to normalise every layer to mean 0 and variance 1 over all tokens of the batch.  Then a sentence's
        vectors depend on the rest of the batch.
    initial_scalar_parameters : sequence of float, optional
        The scalars before the softmax; zeros by default.
    trainable : bool
        Accepted for AllenNLP compatibility; no effect.

    Attributes
    ----------
    scalar_parameters : ndarray of float64, shape (mixture_size,)
        The scalars before the softmax; ``scalar_parameters.0`` and so on of a checkpoint.
    gamma : float
        Scale of the sum, 1 at first; ``gamma`` of a checkpoint.

    Raises
    ------
    InputError
        If `mixture_size` is not positive, the number of scalars differs from it, or a scalar is not finite.
    """

    def __init__(
        self,
        mixture_size: int,
        do_layer_norm: bool = False,
        initial_scalar_parameters: Sequence[float] | None = None,
        trainable: bool = True,
    ) -> None:
        self.scalar_parameters = checked_scalars(mixture_size, initial_scalar_parameters)
        self.gamma = 1.0
        self._layer_norm = do_layer_norm

    def __call__(self, tensors: Sequence[Array] | Array, mask: npt.ArrayLike | None = None) -> Array:
        """Return the weighted sum of the layers.

        Parameters
        ----------
        tensors : sequence of ndarray, shape (..., 2 P) each
            The layers.
        mask : array of bool or int, shape (...), optional
            True at tokens: the layer norm uses only these.  By default it uses all; AllenNLP requires a mask.

        Returns
        -------
        ndarray, shape (..., 2 P)

        Raises
        ------
        InputError
            If the number of layers differs from the number of scalars, or the mask has another shape.
        """
        layers = np.stack(list(tensors))
        where = None if mask is None else np.asarray(mask).astype(bool)
        if where is not None and where.shape != layers.shape[1:-1]:
            raise InputError(f"the mask must have the shape {layers.shape[1:-1]}, not {where.shape}")
        return scalar_mix.ScalarMix(self.scalar_parameters, self.gamma, layer_norm=self._layer_norm)(layers, where)


def checked_scalars(mixture_size: int, scalars: Sequence[float] | None) -> Array:
    """Return the scalars of a mix, zeros by default; raise InputError for a wrong number or one not finite."""
    mixture_size = check_count("mixture_size", mixture_size)
    weights = scalar_mix.ScalarMix([0.0] * mixture_size if scalars is None else list(scalars)).weights
    if len(weights) != mixture_size:
        raise InputError(f"a mix of {mixture_size} layers needs {mixture_size} scalars, not {len(weights)}")
    return weights.copy()


def check_dropout(dropout: float) -> None:
    """Raise InputError if it is not in 0..1."""
    if not 0 <= dropout <= 1:
        raise InputError(f"dropout must be in 0..1, not {dropout!r}; give 0, because inference has no dropout")


class Elmo:
    """The model with mixes of its layers.  A call takes character ids and returns vectors.

    Parameters
    ----------
    options_file, weight_file : str or path
        The model's files, or their addresses if the model was downloaded before.
    num_output_representations : int
        Number of mixes.
    requires_grad : bool
        Must be False: the weights do not change.
    do_layer_norm : bool
        As for `ScalarMix`.  Mean and variance include the boundaries.
    dropout : float
        In 0..1.  Accepted for AllenNLP compatibility; no effect.
    vocab_to_cache : list of str, optional
        Words whose token vectors are computed once, for calls with `word_inputs`.  The first is padding.
    keep_sentence_boundaries : bool
        Whether to return the vectors of ``<S>`` and ``</S>`` too.
    scalar_mix_parameters : sequence of float, optional
        The L + 1 scalars of every mix, before the softmax; zeros by default.
    module : ElmoBiLm, optional
        A biLM to use instead of the two files and the cache.

    Attributes
    ----------
    scalar_mix_0, scalar_mix_1, ... : ScalarMix
        The `num_output_representations` mixes.

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError
        As for `numpy_elmo.load`; ModelNotFoundError also if an address belongs to no downloaded model.
    InputTypeError
        If `vocab_to_cache` is a string instead of a list of words.
    InputError
        If `num_output_representations` is not positive, `requires_grad` is True, `dropout` is not in 0..1, or the
        number of scalars differs from the number of layers.
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
        n_mixes = check_count("num_output_representations", num_output_representations)
        if requires_grad:
            raise InputError("the model's weights do not change here; give requires_grad=False")
        check_dropout(dropout)
        self._elmo_lstm = module or ElmoBiLm(options_file, weight_file, requires_grad, vocab_to_cache)
        self._keep_sentence_boundaries = keep_sentence_boundaries
        self._scalar_mixes = [
            ScalarMix(self._elmo_lstm.num_layers, do_layer_norm, scalar_mix_parameters) for _ in range(n_mixes)
        ]
        for k, mix in enumerate(self._scalar_mixes):
            setattr(self, f"scalar_mix_{k}", mix)

    def get_output_dim(self) -> int:
        """Return the length of a token's vector."""
        return self._elmo_lstm.get_output_dim()

    def eval(self) -> Elmo:
        """Return the model, which never applies dropout."""
        return self

    def reset_states(self) -> None:
        """Start from zeros again."""
        self._elmo_lstm.reset_states()

    def __call__(self, inputs: npt.ArrayLike, word_inputs: npt.ArrayLike | None = None) -> ElmoOutput:
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
        ElmoOutput
            A dict with ``elmo_representations`` and ``mask``.  Vectors are zero at padding, except with both layer norm
            and boundaries, as in AllenNLP.

        Raises
        ------
        InputTypeError
            If the ids are not integers.
        InputError
            If the ids have another shape, one is out of range, there is no sentence, or there is padding between
            tokens.
        """
        output = self._elmo_lstm(inputs, word_inputs)
        mask = output["mask"]
        mixes = [mix(output["activations"], mask) for mix in self._scalar_mixes]  # [B, T + 2, 2 P]
        if not self._keep_sentence_boundaries:
            mask = mask[:, 2:]
            mixes = [without_boundaries(mix, mask) for mix in mixes]
        shape = (*leading_axes(inputs, word_inputs), mask.shape[1])
        return {
            "elmo_representations": [mix.reshape(*shape, mix.shape[-1]) for mix in mixes],
            "mask": mask.reshape(shape),
        }


class ElmoEmbedder:
    """The model without a mix: the vectors of all layers.

    Parameters
    ----------
    options_file, weight_file : str or path
        The model's files, or their addresses if the model was downloaded before; by default the original model's.
    cuda_device : int
        Accepted for AllenNLP compatibility; no effect.

    Attributes
    ----------
    elmo_bilm : ElmoBiLm
        The model; ``elmo_bilm._elmo_lstm.stateful = False`` starts every call from zeros.
    cuda_device : int
        As given.

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError
        As for `Elmo`.
    """

    _make_bilm: Callable[..., Any] = ElmoBiLm  # the class of PyTorch's embedder

    def __init__(
        self,
        options_file: PathLike = DEFAULT_OPTIONS_FILE,
        weight_file: PathLike = DEFAULT_WEIGHT_FILE,
        cuda_device: int = -1,
    ) -> None:
        self.elmo_bilm: ElmoBiLm = self._make_bilm(options_file, weight_file)
        self.cuda_device = cuda_device

    def reset_states(self) -> None:
        """Start from zeros again."""
        self.elmo_bilm.reset_states()

    def batch_to_embeddings(self, batch: Iterable[Iterable[str]]) -> tuple[Array, Mask]:
        """Return the vectors of a batch as one array, and carry the state.

        Parameters
        ----------
        batch : iterable of token lists
            B sentences, at least one; they run as one batch.

        Returns
        -------
        activations : ndarray of float32, shape (B, L + 1, T, 2 P)
            Vectors of all layers, zero beyond a sentence's end.
        mask : ndarray of bool, shape (B, T)
            True at tokens, False at padding.

        Raises
        ------
        InputTypeError
            If a sentence is a string instead of a list of tokens, or a token is not a string.
        InputError
            If there is no sentence.
        """
        checked = check_sentences(batch)
        if not checked:
            raise InputError("there is no sentence in this batch; give at least one")
        return self.elmo_bilm.elmo.embed_padded(checked, state=self._state())

    def embed_sentence(self, sentence: Iterable[str]) -> Array:
        """Return the vectors of a sentence, and carry the state of row 0.

        Parameters
        ----------
        sentence : iterable of str
            Its tokens.

        Returns
        -------
        ndarray of float32, shape (L + 1, n_tokens, 2 P)

        Raises
        ------
        InputTypeError
            As for `embed_batch`.
        """
        return self.embed_batch([sentence])[0]

    def embed_batch(self, batch: Iterable[Iterable[str]]) -> list[Array]:
        """Return the vectors of a batch, and carry the state.

        Parameters
        ----------
        batch : iterable of token lists
            The sentences; they run as one batch.  As in AllenNLP, a batch of one empty sentence does not run and keeps
            the state.

        Returns
        -------
        list of ndarray of float32, shape (L + 1, n_tokens, 2 P)
            One array per sentence.

        Raises
        ------
        InputTypeError
            If a sentence is a string instead of a list of tokens, or a token is not a string.
        """
        return self._embed_batch(check_sentences(batch))

    def embed_sentences(self, sentences: Iterable[Iterable[str]], batch_size: int = 64) -> Iterator[Array]:
        """Yield the vectors of sentences, in order.

        Parameters
        ----------
        sentences : iterable of token lists
            Read one batch at a time, when needed.
        batch_size : int
            Sentences that run together.

        Yields
        ------
        ndarray of float32, shape (L + 1, n_tokens, 2 P)

        Raises
        ------
        InputTypeError
            As for `embed_batch`, when the sentence is read.
        InputError
            If `batch_size` is not positive.
        """
        batch_size = check_count("batch_size", batch_size)
        checked = each_sentence(sentences)
        return (vectors for batch in batches(checked, batch_size) for vectors in self._embed_batch(batch))

    def _embed_batch(self, batch: list[list[str]]) -> list[Array]:
        state: Literal["reset"] | CarriedState = "reset" if batch == [[]] else self._state()
        return self.elmo_bilm.elmo.embed(batch, state=state, batch_size=max(1, len(batch)))

    def _state(self) -> CarriedState:
        return self.elmo_bilm._elmo_lstm.carried().claim()

    def embed_file(  # noqa: PLR0917 -- AllenNLP's order
        self,
        input_file: IO[str],
        output_file_path: PathLike,
        output_format: Literal["all", "top", "average"] = "all",
        batch_size: int = 64,
        forget_sentences: bool = False,
        use_sentence_keys: bool = False,
    ) -> None:
        """Write the vectors of a text to an HDF5 file.

        Parameters
        ----------
        input_file : text file
            An open file with one sentence per line and tokens separated by white space.  It is read into memory,
            and closed at the end.
        output_file_path : str or path
            File to write or replace: line k, from 0, becomes the dataset ``"k"``, float32.
        output_format : {"all", "top", "average"}
            All layers, (L + 1, n_tokens, 2 P), the last one or their mean, (n_tokens, 2 P).
        batch_size : int
            Sentences that run together; the state is carried from batch to batch.
        forget_sentences : bool
            Whether to omit the dataset ``sentence_to_index``: one string, a JSON object that maps each sentence to the
            name of its (last) dataset.
        use_sentence_keys : bool
            Whether to name the datasets by their sentences, without the map.  In HDF5 a ``/`` in a name makes a group.

        Raises
        ------
        InputTypeError
            If the file is not text.
        InputError
            If a line is blank, an argument is invalid, or a sentence that names a dataset is repeated or cannot do so.
        OutputError
            If the file cannot be written.
        """
        if output_format not in ("all", "top", "average"):
            raise InputError(f'output_format must be "all", "top" or "average", not {output_format!r}')
        sentences = _read_lines(input_file)
        vectors = self.embed_sentences([sentence.split() for sentence in sentences], batch_size)
        inputs = [input_file.name] if isinstance(getattr(input_file, "name", None), str) else []
        with new_hdf5(output_file_path, inputs=inputs) as file:
            datasets = Datasets(file)
            for k, (sentence, layers) in enumerate(zip(sentences, vectors, strict=True)):
                choices = {"all": layers, "top": layers[-1], "average": layers.mean(axis=0)}
                data = stored(choices[output_format], "float32", k)
                named = datasets.create_for(k, sentence, data.shape) if use_sentence_keys else None
                write_dataset(named or datasets.create(str(k), data.shape), data)
            if not (forget_sentences or use_sentence_keys):
                write_sentence_map(file, {sentence: str(k) for k, sentence in enumerate(sentences)})
        input_file.close()


def install() -> None:
    """Let programs import this interface under AllenNLP's names.

    ``allennlp.commands.elmo``, ``allennlp.modules.elmo``, ``allennlp.modules.scalar_mix`` and
    ``allennlp.common.checks`` become modules.  Their classes are those of `numpy_elmo.interfaces.torch` if PyTorch is
    installed, otherwise those of this module.  Calling it again changes nothing.

    Raises
    ------
    InputError
        If another ``allennlp`` is installed or imported.

    Examples
    --------
    >>> from numpy_elmo.interfaces import allennlp
    >>> allennlp.install()
    >>> from allennlp.commands.elmo import ElmoEmbedder
    >>> allennlp.uninstall()
    """
    if getattr(sys.modules.get("allennlp"), "__doc__", None) == _ALIAS:
        return
    if "allennlp" in sys.modules or importlib.util.find_spec("allennlp"):
        raise InputError("another allennlp is installed or imported; use it, or uninstall it and start Python again")
    module = "torch" if importlib.util.find_spec("torch") else "allennlp"
    classes = importlib.import_module(f"numpy_elmo.interfaces.{module}")
    modules = {
        "Elmo": classes.Elmo,
        "ScalarMix": classes.ScalarMix,
        "batch_to_ids": classes.batch_to_ids,
        "_ElmoBiLm": classes.ElmoBiLm,
        "_ElmoCharacterEncoder": classes.ElmoCharacterEncoder,
    }
    defaults = {"DEFAULT_OPTIONS_FILE": DEFAULT_OPTIONS_FILE, "DEFAULT_WEIGHT_FILE": DEFAULT_WEIGHT_FILE}
    contents: dict[str, dict[str, object]] = {
        "allennlp": {"__version__": "0.9.0"},
        "allennlp.commands": {},
        "allennlp.commands.elmo": {**defaults, **modules, "ElmoEmbedder": classes.ElmoEmbedder},
        "allennlp.common": {},
        "allennlp.common.checks": {"ConfigurationError": ElmoError},
        "allennlp.modules": {"Elmo": classes.Elmo, "ScalarMix": classes.ScalarMix},
        "allennlp.modules.elmo": modules,
        "allennlp.modules.scalar_mix": {"ScalarMix": classes.ScalarMix},
    }
    for name, attributes in contents.items():  # a package before its modules
        alias = ModuleType(name, _ALIAS)
        alias.__spec__ = ModuleSpec(name, None, is_package=True)
        alias.__path__ = []
        vars(alias).update(attributes)
        sys.modules[name] = alias
        package, _, last = name.rpartition(".")
        if package:
            setattr(sys.modules[package], last, alias)


def uninstall() -> None:
    """Remove what `install` registered; without it, nothing changes."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "allennlp" and module.__doc__ == _ALIAS:
            del sys.modules[name]


def _read_lines(file: IO[str]) -> list[str]:
    """Return the stripped lines of a text; none may be blank."""
    name = str(getattr(file, "name", "the text"))
    try:
        lines = [line.strip() for line in file]
    except UnicodeDecodeError as error:
        raise InputError(f"{name} cannot be decoded ({error.reason}); open it with its encoding") from error
    if lines and not isinstance(lines[0], str):
        raise InputTypeError(f"{name} gives {type(lines[0]).__name__} instead of text; open it with encoding='utf-8'")
    if blank := [str(number) for number, line in enumerate(lines, 1) if not line]:
        raise InputError(f"{name} has {len(blank)} blank line(s): {', '.join(blank[:10])}; remove them")
    return lines
