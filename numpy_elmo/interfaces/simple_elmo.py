"""The interface of simple_elmo, without TensorFlow.

::

    from simple_elmo import ElmoModel

    model = ElmoModel()
    model.load(PATH_TO_ELMO)
    vectors = model.get_elmo_vectors(SENTENCES)
    averages = model.get_elmo_vector_average(SENTENCES)

Change the import::

    from numpy_elmo.interfaces.simple_elmo import ElmoModel

What differs:

* Vectors are float32, not float64, and zero beyond a sentence's end.  In simple_elmo, the token layer and the average
  are not zero at the padding of shorter sentences.
* `ElmoModel.get_elmo_vector_average` divides by a sentence's own length.  simple_elmo averages over the longest
  sentence of the batch, padding included, and with ``layers="all"`` its reshape mixes layers, tokens and features.
* `ElmoModel.get_elmo_substitutes` returns log-probabilities, sorted.  simple_elmo returns unsorted logits, gives
  ``<S>`` and ``</S>`` the logit 0, with which they can still win, omits the last incomplete batch, and reads a
  TensorFlow checkpoint instead of HDF5 files.
* Errors are those of `numpy_elmo.errors`, not SystemExit; nothing is logged.
* A model with ``n_characters`` 261 in its options loads like one with 262.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias, TypedDict

import numpy as np

from numpy_elmo.elmo import Elmo, load
from numpy_elmo.errors import InputError
from numpy_elmo.interfaces.id_batches import pad_vectors
from numpy_elmo.interfaces.texts import check_texts
from numpy_elmo.language_model import LanguageModel
from numpy_elmo.language_model.softmax import Float64s, Rows
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import pool
from numpy_elmo.network.checks import check_count, check_sentences
from numpy_elmo.network.state import ModelState

LayerWords: TypeAlias = Literal["average", "top", "all"]

__all__ = ["DirectionSubstitutes", "ElmoModel", "WordSubstitutes"]


class DirectionSubstitutes(TypedDict):
    """The likeliest words in place of a token, in one direction.

    Attributes
    ----------
    candidates : list of int
        Their lines in the vocabulary, from 0.
    candidate_words : list of str
        The words.
    logp : list of float
        Their log-probabilities, in descending order.
    """

    candidates: list[int]
    candidate_words: list[str]
    logp: list[float]


class WordSubstitutes(TypedDict):
    """The words that the language model expects in place of a token.

    Attributes
    ----------
    word : str
        The token itself.
    forward, backward : DirectionSubstitutes
        The likeliest words from the left and from the right context.
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

        Parameters
        ----------
        directory : str or path
            A folder or a zip, as for `numpy_elmo.load`; a model's name too.
        max_batch_size : int
            Sentences that run together.
        limit : int
            Accepted for simple_elmo compatibility; no effect.
        full : bool
            Whether to load the softmax and its vocabulary too, which `get_elmo_substitutes` needs.

        Returns
        -------
        str
            ``"The model is now loaded."``

        Raises
        ------
        ModelNotFoundError, OptionsError, WeightsError, InputError
            As for `numpy_elmo.load` and, with `full`, `numpy_elmo.LanguageModel.load`; InputError also if
            `max_batch_size` is not positive.
        """
        max_batch_size = check_count("max_batch_size", max_batch_size)
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

        Sentence k of a batch starts from the state that sentence k of the last batch left, as in simple_elmo.

        Parameters
        ----------
        texts : iterable of token lists
            Tokenised sentences.
        warmup : bool
            Whether to run the first batch twice, so that its vectors do not start from zeros.
        layers : {"average", "top", "all"}
            The mean of all layers, the last one, or all.
        session : object, optional
            None starts from zeros.  Anything else starts from the state that the last call left, like a TensorFlow
            session that is used again; such calls must come from one thread.

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
            If no model is loaded, or `layers` has another value.
        """
        vectors = self._embed(texts, warmup, layers, session)
        return pad_vectors(vectors, self._shape(layers, max((sentence.shape[-2] for sentence in vectors), default=0)))

    def get_elmo_vector_average(
        self,
        texts: Iterable[Sequence[str]],
        warmup: bool = True,
        layers: LayerWords = "average",
        session: object = None,
    ) -> Array:
        """Return one vector per sentence: the mean over its tokens, scaled to length 1.

        The numbers are simple_elmo's with ``layers="top"`` and, otherwise, for the longest sentence of each batch.

        Parameters
        ----------
        texts, warmup, layers, session
            As for `get_elmo_vectors`.

        Returns
        -------
        ndarray of float32
            Shape (n_texts, vector_size) or, for "all", (n_texts, n_layers, vector_size); with "all", length 1 is that
            of all layers together.  A sentence without tokens has zeros.

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
        """Return the words that the language model expects in place of every token.

        The model must be loaded with ``full=True``; for the softmax file, see `numpy_elmo.LanguageModel.load`.

        Parameters
        ----------
        raw_sentences : iterable of str
            Sentences; tokens are separated by white space.
        topn : int
            Candidates in each direction.
        nodelimiters : bool
            Whether to exclude ``<S>`` and ``</S>`` from the candidates.

        Returns
        -------
        list of list of WordSubstitutes
            One list per sentence, one dict per token.

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
        sentences = check_texts(raw_sentences, "raw_sentences", "give ' '.join(tokens) for lists of tokens")
        texts = [sentence.split() for sentence in sentences]
        found = self._language_model.candidates(
            texts, topn, boundaries=not nodelimiters, batch_size=self.batch_size or len(sentences)
        )
        words = self._language_model.vocabulary
        return [
            [
                {
                    "word": word,
                    "forward": _as_dict(rows[0, t], log_probs[0, t], words),
                    "backward": _as_dict(rows[1, t], log_probs[1, t], words),
                }
                for t, word in enumerate(tokens)
            ]
            for tokens, (rows, log_probs) in zip(texts, found, strict=True)
        ]

    def warmup(self, sess: object, texts: Iterable[Sequence[str]]) -> None:
        """Run sentences only for the state that they leave.

        ::

            model.warmup(sess, SENTENCES)
            vectors = model.get_elmo_vectors(SENTENCES, warmup=False, session=sess)

        Parameters
        ----------
        sess : object
            Not used; give `get_elmo_vectors` anything but None.
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


def _as_dict(rows: Rows, log_probs: Float64s, words: Sequence[str]) -> DirectionSubstitutes:
    return {
        "candidates": rows.tolist(),
        "candidate_words": [words[row] for row in rows],
        "logp": log_probs.tolist(),
    }
