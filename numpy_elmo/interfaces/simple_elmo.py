"""The interface of simple_elmo, without TensorFlow.

simple_elmo::

    from simple_elmo import ElmoModel

    model = ElmoModel()
    model.load(PATH_TO_ELMO)
    vectors = model.get_elmo_vectors(SENTENCES)
    averages = model.get_elmo_vector_average(SENTENCES)

Here the import is another and the rest is the same::

    from numpy_elmo.interfaces.simple_elmo import ElmoModel

What is different:

* Vectors are float32, not float64, and zero beyond a sentence's end.  There, the token layer and the average are not
  zero at the padding of shorter sentences.
* `ElmoModel.get_elmo_vector_average` divides by a sentence's own length.  There, the mean is over the length of the
  longest sentence of the chunk, with what stands at the padding, and with ``layers="all"`` a reshape mixes the layers,
  tokens and features up.
* `ElmoModel.get_elmo_substitutes` gives log-probabilities, sorted.  There, ``logp`` are logits in no order, ``<S>`` and
  ``</S>`` have the logit 0 and can still win, the last incomplete batch has no answer, and the model comes from a
  TensorFlow checkpoint instead of HDF5 files.
* Errors are those of `numpy_elmo.errors`, not SystemExit; nothing is logged.
* A model with ``n_characters`` 261 in its options loads as one with 262 does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias, TypedDict

import numpy as np

from numpy_elmo.elmo import Elmo, load
from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.language_model import LanguageModel
from numpy_elmo.language_model.results import Candidates
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import pool
from numpy_elmo.network.checks import check_sentences
from numpy_elmo.network.state import ModelState

LayerWords: TypeAlias = Literal["average", "top", "all"]

__all__ = ["DirectionSubstitutes", "ElmoModel", "WordSubstitutes"]


class DirectionSubstitutes(TypedDict):
    """The likeliest words of one direction in the place of a token.

    Attributes
    ----------
    candidates : list of int
        Their lines in the vocabulary, from 0.
    candidate_words : list of str
        The words.
    logp : list of float
        Their log-probabilities, falling.
    """

    candidates: list[int]
    candidate_words: list[str]
    logp: list[float]


class WordSubstitutes(TypedDict):
    """What either direction expects in the place of a token.

    Attributes
    ----------
    word : str
        The token that stands there.
    forward, backward : DirectionSubstitutes
        The likeliest words, seen from the left and from the right.
    """

    word: str
    forward: DirectionSubstitutes
    backward: DirectionSubstitutes


class ElmoModel:
    """A model, empty until `load`.

    Attributes
    ----------
    batch_size : int
        Sentences that run together.
    max_chars : int
        Characters of a token, its two marks included.
    vector_size : int
        Length of a token's vector.
    n_layers : int
        Layers of vectors, the token layer included.
    """

    def __init__(self) -> None:
        self.batch_size: int | None = None
        self.max_chars: int | None = None
        self.vector_size: int | None = None
        self.n_layers: int | None = None
        self._elmo: Elmo | None = None
        self._state = ModelState()
        self._language_model: LanguageModel | None = None

    def load(
        self, directory: str | os.PathLike[str], max_batch_size: int = 32, limit: int = 100, full: bool = False
    ) -> str:
        """Load a model.

        simple_elmo::

            model.load(PATH_TO_ELMO, max_batch_size=64)

        Here: the same.

        Parameters
        ----------
        directory : str or path
            A folder or a zip, as for `numpy_elmo.load`; a model's name too.
        max_batch_size : int
            Sentences that run together.
        limit : int
            There, words of the vocabulary to keep as character ids; not used here.
        full : bool
            Whether to load the softmax and its vocabulary too, which `get_elmo_substitutes` needs.

        Returns
        -------
        str
            A sentence that says so.

        Raises
        ------
        ModelNotFoundError, OptionsError, WeightsError, InputError
            As for `numpy_elmo.load` and, with `full`, `numpy_elmo.LanguageModel.load`; InputError also if
            `max_batch_size` is not positive.
        """
        if isinstance(max_batch_size, bool) or not isinstance(max_batch_size, int) or max_batch_size < 1:
            raise InputError(f"max_batch_size must be a positive integer, not {max_batch_size!r}")
        self._language_model = LanguageModel.load(directory) if full else None
        elmo = load(directory) if self._language_model is None else self._language_model.elmo
        self._elmo = elmo
        self.batch_size = max_batch_size
        self.max_chars = elmo.options.char_cnn.max_characters_per_token
        self.vector_size = elmo.vector_size
        self.n_layers = elmo.n_layers + 1
        return "The model is now loaded."

    def get_elmo_vectors(
        self,
        texts: Iterable[Sequence[str]],
        warmup: bool = True,
        layers: LayerWords = "average",
        session: object = None,
    ) -> Array:
        """Return the vectors of every token.

        simple_elmo::

            vectors = model.get_elmo_vectors(SENTENCES, layers="top")

        Here: the same.

        Sentence k of a batch of `batch_size` goes on from the state that sentence k of the batch before left, as there.

        Parameters
        ----------
        texts : iterable of token lists
            Tokenised sentences.
        warmup : bool
            Whether to run the first batch once before, so that it does not start from zeros.
        layers : {"average", "top", "all"}
            The mean of all layers, the last one, or all.
        session : object, optional
            None starts from zeros.  Anything else goes on from where the call before ended, as a session of TensorFlow
            that is used again does, and has to come from the same thread.

        Returns
        -------
        ndarray of float32
            Shape (n_texts, longest, vector_size) or, for "all", (n_texts, n_layers, longest, vector_size).  Zero beyond
            a sentence's end.

        Raises
        ------
        InputTypeError
            If a sentence is a string instead of a list of tokens, or a token is not a string.
        InputError
            If no model is loaded, or `layers` is something else.
        """
        vectors = self._embed(texts, warmup, layers, session)
        n_tokens = max((sentence.shape[-2] for sentence in vectors), default=0)
        padded = np.zeros((len(vectors), *self._shape(layers, n_tokens)), np.float32)
        for row, sentence in zip(padded, vectors, strict=True):
            row[..., : sentence.shape[-2], :] = sentence
        return padded

    def get_elmo_vector_average(
        self,
        texts: Iterable[Sequence[str]],
        warmup: bool = True,
        layers: LayerWords = "average",
        session: object = None,
    ) -> Array:
        """Return one vector a sentence: the mean over its tokens, scaled to length 1.

        simple_elmo::

            averages = model.get_elmo_vector_average(SENTENCES)

        Here: the same, but the mean is over the sentence's own tokens.  With ``layers="top"`` the two agree; else they
        do for the longest sentence of each batch.

        Parameters
        ----------
        texts, warmup, layers, session
            As for `get_elmo_vectors`.

        Returns
        -------
        ndarray of float32
            Shape (n_texts, vector_size) or, for "all", (n_texts, n_layers, vector_size); with "all", the layers of a
            sentence have length 1 together.  A sentence without tokens has zeros.

        Raises
        ------
        InputTypeError, InputError
            As for `get_elmo_vectors`.
        """
        vectors = self._embed(texts, warmup, layers, session)
        averages = np.zeros((len(vectors), *self._shape(layers)), np.float32)
        for row, sentence in zip(averages, vectors, strict=True):
            mean = pool(sentence, "mean")
            row[...] = mean / (np.linalg.norm(mean) or 1.0)
        return averages

    def get_elmo_substitutes(
        self, raw_sentences: Iterable[str], topn: int = 3, nodelimiters: bool = True
    ) -> list[list[WordSubstitutes]]:
        """Return what the language model expects in the place of every token.

        simple_elmo::

            model.load(PATH_TO_ELMO, full=True)
            substitutes = model.get_elmo_substitutes(RAW_SENTENCES)

        Here: the same, where the softmax is an HDF5 file in the folder or the zip, see `numpy_elmo.LanguageModel`,
        whose `candidates` these are.

        Parameters
        ----------
        raw_sentences : iterable of str
            Sentences, whose tokens are separated by white space.
        topn : int
            Candidates of each direction.
        nodelimiters : bool
            Whether ``<S>`` and ``</S>`` may not be candidates.

        Returns
        -------
        list of list of WordSubstitutes
            One list a sentence, one dict a token.

        Raises
        ------
        InputTypeError
            If a sentence is not a string.
        InputError
            If the model was not loaded with ``full=True``, or `topn` is not positive.
        """
        self._loaded()
        if self._language_model is None:
            raise InputError("substitutes need the softmax; load the model with full=True")
        if isinstance(raw_sentences, (str, bytes)):
            raise InputTypeError("raw_sentences must be a list of strings, not one string: give [sentence]")
        sentences = list(raw_sentences)
        for index, sentence in enumerate(sentences):
            if not isinstance(sentence, str):
                raise InputTypeError(
                    f"raw sentence {index} must be a string, not {type(sentence).__name__}: give ' '.join(tokens)"
                )
        found = self._language_model.candidates(
            [sentence.split() for sentence in sentences],
            topn,
            boundaries=not nodelimiters,
            batch_size=self.batch_size or len(sentences),
        )
        return [
            [
                {"word": token.word, "forward": _as_dict(token.forward), "backward": _as_dict(token.backward)}
                for token in sentence
            ]
            for sentence in found
        ]

    def warmup(self, sess: object, texts: Iterable[Sequence[str]]) -> None:
        """Run some sentences and forget their vectors, not the state that they leave.

        simple_elmo::

            model.warmup(sess, SENTENCES)
            vectors = model.get_elmo_vectors(SENTENCES, warmup=False, session=sess)

        Here: the same, with anything but None for the session.

        Parameters
        ----------
        sess : object
            Not used.
        texts : iterable of token lists
            Tokenised sentences.

        Raises
        ------
        InputTypeError, InputError
            As for `get_elmo_vectors`.
        """
        elmo, batch_size = self._loaded()
        elmo.embed(texts, layers=0, state=self._state.claim(), batch_size=batch_size)

    def _loaded(self) -> tuple[Elmo, int]:
        if self._elmo is None or self.batch_size is None:
            raise InputError("no model is loaded yet; call load(directory) first")
        return self._elmo, self.batch_size

    def _embed(self, texts: Iterable[Sequence[str]], warmup: bool, layers: LayerWords, session: object) -> list[Array]:
        elmo, batch_size = self._loaded()
        if layers not in ("average", "top", "all"):
            raise InputError(f'layers must be "average", "top" or "all", not {layers!r}')
        checked = check_sentences(texts)
        state = self._state.claim(from_zeros=session is None)
        if warmup:
            elmo.embed(checked[:batch_size], layers=0, state=state, batch_size=batch_size)
        return elmo.embed(checked, layers=layers, state=state, batch_size=batch_size)

    def _shape(self, layers: LayerWords, *n_tokens: int) -> tuple[int, ...]:
        elmo, _ = self._loaded()
        all_layers = (elmo.n_layers + 1,) if layers == "all" else ()
        return (*all_layers, *n_tokens, elmo.vector_size)


def _as_dict(found: Candidates) -> DirectionSubstitutes:
    return {
        "candidates": list(found.candidates),
        "candidate_words": list(found.candidate_words),
        "logp": list(found.logp),
    }
