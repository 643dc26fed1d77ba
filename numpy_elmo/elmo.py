"""The model as users see it: sentences in, vectors out."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError
from numpy_elmo.files.find import ModelFiles, find_model
from numpy_elmo.files.options import ModelOptions
from numpy_elmo.files.weights import read_mixes, read_model
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.matmul import Form, independent_form
from numpy_elmo.layers.pooling import Pooling, pool
from numpy_elmo.layers.scalar_mix import ScalarMix
from numpy_elmo.layers.tracing import Trace, recording
from numpy_elmo.network.batching import batches, bounded_batches, pack
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START, character_ids, is_cut
from numpy_elmo.network.checks import as_int, check_count, check_sentences, check_tokens, each_sentence
from numpy_elmo.network.encoder import Encoder, TokenLayers
from numpy_elmo.network.forward import ForwardPass, Selector, Start
from numpy_elmo.network.state import CarriedState, ModelState
from numpy_elmo.network.threads import Workers, chosen_threads

Layers: TypeAlias = Literal["all", "top", "average", "sum"] | int | ScalarMix
StatePolicy: TypeAlias = Literal["reset", "carry", "frozen"]

# Largest number of tokens in a window of `Elmo.embed_corpus`, whose vectors are in memory together.
WINDOW_TOKENS = 1 << 15

_CHOICES = {
    "all": Selector(lambda a: a),
    "top": Selector(lambda a: a[-1]),
    "average": Selector(lambda a: a.mean(axis=0)),
    "sum": Selector(lambda a: a.sum(axis=0)),
}


@dataclass
class CorpusReport:
    """Counts of a run over a corpus, updated during the run.

    Attributes
    ----------
    n_sentences : int
        Sentences whose vectors were made.
    n_tokens : int
        Their tokens.
    n_cut_tokens : int
        Tokens with more bytes than the model reads (48 and two marks in all published models).  Only their beginning
        is read, as in the published code.
    first_cut : tuple of (int, int) or None
        Sentence of the first such token and its place in the sentence, both from 0.
    """

    n_sentences: int = 0
    n_tokens: int = 0
    n_cut_tokens: int = 0
    first_cut: tuple[int, int] | None = None

    def add(self, sentence: Sequence[str], max_characters: int) -> None:
        """Count a sentence for a model that reads `max_characters` per token."""
        for place, token in enumerate(sentence):
            if is_cut(token, max_characters):
                self.first_cut = self.first_cut or (self.n_sentences, place)
                self.n_cut_tokens += 1
        self.n_sentences += 1
        self.n_tokens += len(sentence)


def load(
    source: str | os.PathLike[str] | ModelFiles,
    *,
    options: str | os.PathLike[str] | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int | None = None,
    reproducible: bool | None = None,
) -> Elmo:
    """Load a model in the published ELMo format.

    Parameters
    ----------
    source : str or path
        One of

        * a folder with ``options.json`` (or ``*options*.json``) and ``model.hdf5`` (or one other ``*.hdf5``),
        * a weight file, with `options`,
        * a zip as published by NLPL, with ``model.hdf5`` and ``options.json``,
        * a TensorFlow checkpoint of bilm-tf or simple_elmo_training, by its folder or prefix,
        * the module google/elmo of TF-Hub, by its folder or its ``.tar.gz``,
        * an AllenNLP model that contains ELMo: its ``weights.th``, the folder that holds it, or its ``model.tar.gz``,
        * a ``.safetensors`` file with the names of the published layout, with `options`, or the folder of both,
        * the name of a model: ``"tiny"``, which comes with the package, or one that was downloaded before.

        `load` never downloads anything.
    options : str or path, optional
        The options file.
    dtype : {"float32", "float64"}
        Precision of the computation.  ``"float64"`` uses the same weights in double precision: slower, a reference
        for float32.
    threads : int, optional
        Python threads that share the work.  Default: the environment variable ``NUMPY_ELMO_THREADS``, else 2, one per
        reading direction.  With more, several batches run at once.  While they compute, OpenBLAS uses one thread in
        the whole process; with ``threads=1`` and without ``reproducible=True`` it keeps its own threads.
    reproducible : bool, optional
        Whether a sentence has the same bits in any batch, order, number of threads and process on one machine.  The
        default is True where that costs next to nothing, as on processors with AVX-512; loading tests a few products.
        ``True`` uses slower products on other processors, ``False`` always the fastest.

    Returns
    -------
    Elmo

    Raises
    ------
    ModelNotFoundError
        If there is no such model, or one of its files is missing.
    OptionsError
        If the options file does not describe a model that reads characters.
    WeightsError
        If the weight file is damaged, is something else, or does not fit the options.
    InputError
        If `dtype`, `threads` or `reproducible` has another value, or ``reproducible=True`` is not possible with the
        BLAS of this machine.

    Examples
    --------
    >>> import numpy_elmo
    >>> elmo = numpy_elmo.load("tiny")
    >>> [vectors] = elmo.embed([["Where", "have", "you", "placed", "the", "point"]])
    >>> vectors.shape  # layers, tokens, features
    (3, 6, 256)
    """
    if dtype not in ("float32", "float64"):
        raise InputError(f'dtype must be "float32" or "float64", not {dtype!r}')
    if reproducible not in (None, True, False):
        raise InputError(f"reproducible must be True, False or None, not {reproducible!r}")
    n_threads = chosen_threads(threads)
    files = find_model(source, options)
    with files.open_weights() as file:
        layers, bilm = read_model(file, files.options, dtype)
        mixes = read_mixes(file, files.options.lstm.n_layers, layer_norm=files.layer_norm)
    return Elmo(files.options, layers, bilm, mixes=mixes, threads=n_threads, reproducible=reproducible)


class Elmo:
    """A loaded model.  Made by `load`.

    The weights never change.  Calls with ``state="reset"`` or ``"frozen"`` may run in several threads at once, and so
    may calls with a `CarriedState` each.  The model's own state, for ``state="carry"``, belongs to one thread: calls
    from another one raise an error until `reset_state` is called.

    Attributes
    ----------
    options : ModelOptions
        The contents of the options file.
    n_layers : int
        LSTM layers, L; there are L + 1 layers of vectors.
    vector_size : int
        Length of a token's vector in one layer, 2 P.
    reproducible : bool
        Whether a sentence has the same bits in any batch on this machine.
    asked_reproducible : bool or None
        The argument `reproducible` of `load`.
    encoder : Encoder
        The part that sees one token at a time.
    bilm : Bilm
        The LSTM layers of both directions.
    mixes : dict of str to ScalarMix
        The mixes that a task has learned and that are stored with the model, by name; empty for most models.
        ``embed(sentences, layers=elmo.mixes["scalar_mix_0"])`` uses one.

    References
    ----------
    Peters et al. 2018, "Deep contextualized word representations", arXiv:1802.05365.
    """

    def __init__(
        self,
        options: ModelOptions,
        layers: TokenLayers,
        bilm: Bilm,
        *,
        mixes: Mapping[str, ScalarMix] | None = None,
        threads: int = 1,
        reproducible: bool | None = None,
    ) -> None:
        self.options = options
        self.mixes = dict(mixes or {})
        self.n_layers = options.lstm.n_layers
        self.vector_size = 2 * options.lstm.projection_dim
        self.bilm = bilm.prepared(threads, reproducible)
        workers = Workers(1 if self.bilm.is_small else threads, leave_blas=threads == 1 and not reproducible)
        with workers.sharing_the_blas():
            layers = layers.in_form(independent_form(layers.weights))
        self.encoder = Encoder(layers, options.char_cnn.max_characters_per_token, workers)
        self.reproducible, self.asked_reproducible = self.bilm.reproducible, reproducible
        self._forward = ForwardPass(self.encoder, self.bilm, Workers(max(1, threads // 2)))
        self._carried = ModelState()
        self._reset: Start | None = None
        self._frozen: Start | None = None

    def __repr__(self) -> str:
        lstm = self.options.lstm
        return f"<Elmo: {self.n_layers} LSTM layers {lstm.dim}/{lstm.projection_dim}, vectors of {self.vector_size}>"

    def embed(
        self,
        sentences: Iterable[Iterable[str]],
        *,
        layers: Layers = "all",
        state: StatePolicy | CarriedState = "reset",
        boundaries: bool = False,
        batch_size: int = 64,
        pooling: Pooling | None = None,
    ) -> list[Array]:
        """Return the vectors of every token of every sentence, or one vector per sentence.

        Parameters
        ----------
        sentences : iterable of token lists
            Tokenised sentences.  The models expect cased text with punctuation split off, as in their training data.
        layers : {"all", "top", "average", "sum"}, int or ScalarMix
            All layers, the last one, their mean or sum, the one of this number (0 is the token layer), or a weighted
            mix.
        state : {"reset", "carry", "frozen"} or CarriedState
            What the LSTMs remember at the start of a sentence.

            ``"reset"``
                Nothing.  A sentence has the same vectors whatever comes before it or runs beside it.
            ``"carry"``
                What AllenNLP and bilm-tf do: sentence k of a batch continues from sentence k of the batch before, in
                this call or the last.  The first `batch_size` sentences are the first batch, and so on.  A larger
                batch starts its additional sentences from zeros; a smaller one leaves the other states as they were.
            ``"frozen"``
                Every sentence starts from the state that `warm_up` made.
            a `CarriedState`
                As ``"carry"``, but calls continue from this state and update it; the model's own state stays as it is.
        boundaries : bool
            Whether to return the vectors of ``<S>`` and ``</S>`` too, first and last.
        batch_size : int
            Number of sentences that run together; fewer if they are very long.
        pooling : {"mean", "max", "sum", "first", "last"}, optional
            Combine the vectors of a sentence into one, as `numpy_elmo.layers.pooling.pool` does.  Boundaries count if
            they are returned.

        Returns
        -------
        list of ndarray
            One array per sentence, in order; float32, or float64 if the model was loaded in that precision.  Shape
            ``(L + 1, n_tokens, 2 P)`` for ``layers="all"``, else ``(n_tokens, 2 P)``.  An empty sentence has no
            tokens: ``(L + 1, 0, 2 P)`` or ``(0, 2 P)``.  With `pooling` the axis of the tokens is gone.

        Raises
        ------
        InputTypeError
            If a sentence is a string instead of a list of tokens, or a token is not a string.
        InputError
            If an argument has a value that is not listed here, if the state is ``"frozen"`` before `warm_up`, or if
            another thread is using the carried state.
        """
        checked = check_sentences(sentences)
        select, finish = self._selector(layers), _pooler(pooling)
        batch_size = check_count("batch_size", batch_size)
        self._check_state(state)
        if state == "carry" or isinstance(state, CarriedState):
            carried = state if isinstance(state, CarriedState) else self._carried.claim()
            vectors = self._forward.carried(batches(checked, batch_size), carried, select, boundaries=boundaries)
        else:
            start = self._start(state)
            vectors = self._forward.independent(checked, start, select, boundaries=boundaries, batch_size=batch_size)
        return list(map(finish, vectors))

    def embed_corpus(
        self,
        sentences: Iterable[Iterable[str]],
        *,
        layers: Layers = "all",
        state: StatePolicy | CarriedState = "reset",
        boundaries: bool = False,
        batch_size: int = 128,
        window: int = 1024,
        pooling: Pooling | None = None,
        report: CorpusReport | None = None,
    ) -> Iterator[Array]:
        """Yield the vectors of every sentence of a corpus of any size.

        Memory does not grow with the number of sentences, and the iterable may be endless.  A sentence may be a whole
        document: if it is too long for a batch, it runs in time chunks, which gives the same vectors in little
        memory.

        Parameters
        ----------
        sentences : iterable of token lists
            Tokenised sentences, read as they are needed.
        layers, boundaries, pooling
            As for `embed`.
        batch_size : int
            Number of sentences that run together.  The default is larger than that of `embed`, since a corpus fills
            larger batches, and these are faster.
        state : {"reset", "carry", "frozen"} or CarriedState
            As for `embed`, but ``"carry"`` starts from zeros and does not touch the state of `embed`.
        window : int
            Number of sentences that are read ahead and sorted by length; fewer if they are long.  With a carried state
            nothing is sorted, and `batch_size` sentences are read ahead.
        report : CorpusReport, optional
            Counts the sentences as they are yielded, and the tokens that were too long to be read whole.

        Yields
        ------
        ndarray
            One array per sentence, in order, as from `embed`.

        Raises
        ------
        InputTypeError, InputError
            As for `embed`.  A sentence that cannot be used raises after all sentences of earlier windows were yielded.

        Examples
        --------
        >>> import numpy_elmo
        >>> from itertools import cycle, islice
        >>> elmo, report = numpy_elmo.load("tiny"), numpy_elmo.CorpusReport()
        >>> endless = cycle([["Hello", "."], ["a" * 1000]])
        >>> for vectors in islice(elmo.embed_corpus(endless, layers="top", report=report), 3):
        ...     print(vectors.shape)
        (2, 256)
        (1, 256)
        (2, 256)
        >>> report
        CorpusReport(n_sentences=3, n_tokens=5, n_cut_tokens=1, first_cut=(1, 0))
        """
        select, finish = self._selector(layers), _pooler(pooling)
        batch_size = check_count("batch_size", batch_size)
        window = check_count("window", window)
        self._check_state(state)
        checked = each_sentence(sentences)
        counts = CorpusReport() if report is None else report
        windows: Iterable[list[list[str]]]
        if state == "carry" or isinstance(state, CarriedState):
            carried = state if isinstance(state, CarriedState) else CarriedState()
            windows = batches(checked, batch_size)

            def embed(read: list[list[str]]) -> list[Array]:
                return self._forward.carried([read], carried, select, boundaries=boundaries)
        else:
            start = self._start(state)
            windows = bounded_batches(checked, window, len, WINDOW_TOKENS)

            def embed(read: list[list[str]]) -> list[Array]:
                return self._forward.independent(read, start, select, boundaries=boundaries, batch_size=batch_size)

        def one_by_one() -> Iterator[Array]:
            for read in windows:
                vectors = deque(embed(read))
                for sentence in read:
                    counts.add(sentence, self.encoder.max_characters)
                    yield finish(vectors.popleft())  # so that the array can be freed

        return one_by_one()

    def embed_padded(
        self, batch: Iterable[Iterable[str]], *, state: StatePolicy | CarriedState = "reset"
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Return the vectors of a batch as one array.

        Parameters
        ----------
        batch : iterable of token lists
            B tokenised sentences; they run as one batch.
        state : {"reset", "carry", "frozen"} or CarriedState
            As for `embed`.

        Returns
        -------
        vectors : ndarray, shape (B, L + 1, T, 2 P)
            T is the length of the longest sentence.  Zeros after the end of a sentence.
        mask : ndarray of bool, shape (B, T)
            True at tokens, False after the end of a sentence.

        Raises
        ------
        InputTypeError, InputError
            As for `embed`.
        """
        arrays = self.embed(checked := check_sentences(batch), state=state, batch_size=max(1, len(checked)))
        lengths = np.array([len(sentence) for sentence in checked], dtype=np.intp)
        n_tokens = int(lengths.max(initial=0))
        vectors = np.zeros((len(arrays), self.n_layers + 1, n_tokens, self.vector_size), self.encoder.dtype)
        for row, array in zip(vectors, arrays, strict=True):
            row[:, : array.shape[1]] = array
        return vectors, np.arange(n_tokens) < lengths[:, np.newaxis]

    def reset_state(self) -> None:
        """Forget the state of earlier calls with ``state="carry"``, and the thread they came from."""
        self._carried.reset()

    def warm_up(self, sentences: Iterable[Iterable[str]]) -> None:
        """Make the state that ``state="frozen"`` starts every sentence from.

        The sentences run one after the other.  The first starts from zeros, each other one from the state that the
        sentence before it left.  The published models were trained with state carried over, so such a state is closer
        to what they know than zeros are.

        Parameters
        ----------
        sentences : iterable of token lists
            A few sentences like those that will be embedded.

        Raises
        ------
        InputTypeError
            If a sentence is a string instead of a list of tokens, or a token is not a string.
        InputError
            If there is no sentence.
        """
        checked = check_sentences(sentences)
        if not checked:
            raise InputError("warm_up needs at least one sentence; to start from zeros, embed with state='reset'")
        carried = CarriedState()
        self._forward.carried(([sentence] for sentence in checked), carried, self._selector("top"), boundaries=False)
        self._frozen = self._forward.start_from(self._forward.rows(carried))

    def trace(self, tokens: Iterable[str]) -> Trace:
        """Return every intermediate array of the forward pass of one sentence.

        The same layers run as in `embed`, from zeros and with the boundaries of the sentence, and every intermediate
        array is copied.  The shortcuts of `embed` are left out: every token is encoded with all its padding.

        Parameters
        ----------
        tokens : iterable of str
            One tokenised sentence.

        Returns
        -------
        Trace
            A dict of str to ndarray, in order of computation.  N is the number of tokens and the two boundaries; rows
            are in the order of the sentence, also for the backward direction, which reads from the end.

            ==============================  ======================  ====================================================
            Name                            Shape                   What it is
            ==============================  ======================  ====================================================
            ``character_ids``               (N, 50)                 Rows of ``char_embed``, one per character.
            ``char_cnn.characters``         (N, 50, E)              Vectors of the characters.
            ``char_cnn.conv_k.convolved``   (N, 50 - width + 1, n)  Filters of one width at every position.
            ``char_cnn.conv_k.pooled``      (N, n)                  Activation of their maximum and bias.
            ``highway.k.gate``              (N, F)                  Transform gate of highway k.
            ``highway.k.hidden``            (N, F)                  What it lets through.
            ``highway.k.output``            (N, F)                  Its output.
            ``token_vectors``               (N, P)                  The projection: the token layer.
            ``forward.l.input_gate``        (N, D)                  Gates of LSTM layer l, after the sigmoid; also
                                                                    ``forget_gate`` and ``output_gate``.
            ``forward.l.candidate``         (N, D)                  Candidate of the cell, after tanh.
            ``forward.l.cell``              (N, D)                  Cell, clipped.
            ``forward.l.output``            (N, P)                  Projected and clipped output, without the residual.
            ``backward.l...``                                       The same for the backward direction.
            ``layers``                      (L + 1, N, 2 P)         What `embed` returns, boundaries included.
            ==============================  ======================  ====================================================

        Raises
        ------
        InputTypeError
            If the sentence is a string instead of a list of tokens, or a token is not a string.

        Examples
        --------
        >>> import numpy_elmo
        >>> trace = numpy_elmo.load("tiny").trace(["They", "sat", "down", "."])
        >>> trace["forward.0.forget_gate"].shape
        (6, 512)
        """
        sentence = check_tokens(tokens)
        bounded = [SENTENCE_START, *sentence, SENTENCE_END]
        ids = character_ids(bounded, self.encoder.max_characters)
        # In the plain form, in which rows are contiguous.
        with recording() as record:
            vectors = self.encoder.layers.in_form(Form())(ids)
            layers, _ = self.bilm.in_form(Form())(vectors, pack([len(bounded)]), self.bilm.zero_state(1))
        found = {name: np.concatenate(arrays) for name, arrays in record.arrays.items()}
        for name in found:
            if name.startswith("backward."):
                found[name] = found[name][::-1]
        before = [name for name in found if name.startswith(("char_cnn.", "highway."))]
        encoded = {name: found.pop(name) for name in before}
        return Trace({"character_ids": ids, **encoded, "token_vectors": vectors, **found, "layers": layers})

    def _check_state(self, state: StatePolicy | CarriedState) -> None:
        if isinstance(state, CarriedState):
            self._forward.rows(state)
        elif state not in ("reset", "carry", "frozen"):
            raise InputError(f'state must be "reset", "carry", "frozen" or a CarriedState, not {state!r}')
        elif state == "frozen" and self._frozen is None:
            raise InputError("state='frozen' needs a state to start from; call warm_up(sentences) first")

    def _start(self, state: StatePolicy) -> Start:
        if state == "frozen" and self._frozen is not None:
            return self._frozen
        if self._reset is None:
            self._reset = self._forward.start_from(self.bilm.zero_state(1))
        return self._reset

    def _selector(self, layers: Layers) -> Selector:
        n = self.n_layers + 1
        layers = as_int(layers)
        if isinstance(layers, ScalarMix):
            if len(layers.weights) != n:
                raise InputError(f"the model has {n} layers, and this ScalarMix has {len(layers.weights)} weights")
            return Selector(layers, per_feature=not layers.layer_norm)
        if isinstance(layers, str) and layers in _CHOICES:
            return _CHOICES[layers]
        if isinstance(layers, int) and not isinstance(layers, bool):
            if not -n <= layers < n:
                raise InputError(f"the model has layers 0 to {n - 1}; there is no layer {layers}")
            return Selector(lambda array: array[layers])
        raise InputError(f'layers must be "all", "top", "average", "sum", an int or a ScalarMix, not {layers!r}')


def _pooler(pooling: Pooling | None) -> Callable[[Array], Array]:
    """Return the function that pools the vectors of a sentence; without a pooling, it returns them as they are."""
    if pooling is None:
        return lambda vectors: vectors
    pool(np.zeros((1, 1)), pooling)  # raises if there is no such pooling
    return lambda vectors: pool(vectors, pooling)
