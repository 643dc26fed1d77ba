"""The language model as users see it: which words come next, and how likely a text is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

from numpy_elmo.elmo import Elmo, StatePolicy, load
from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.files.find import find_model
from numpy_elmo.files.vocabulary import UNKNOWN, Vocabulary
from numpy_elmo.language_model.files import PathLike, find_softmax, find_vocabulary, read_softmax
from numpy_elmo.language_model.results import Perplexity, SentenceLogProbs, WordScore
from numpy_elmo.language_model.softmax import Float64s, Rows, Softmax
from numpy_elmo.language_model.surprisal import SentenceSurprisal, Unit, surprisal_frame
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.batching import batches, bounded_batches
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START
from numpy_elmo.network.checks import as_int, check_count, check_sentences, check_tokens, each_sentence, first
from numpy_elmo.network.state import BilmState, CarriedState

Combine: TypeAlias = Literal["average", "product", "forward", "backward"]
SubVocabulary: TypeAlias = Iterable[str] | int
State: TypeAlias = StatePolicy | CarriedState
Tokens = TypeVar("Tokens", bound=Sequence[str])
Score: TypeAlias = Callable[[Array, Rows], tuple[npt.NDArray[Any], ...]]

# Batches in a window, whose vectors are in memory together.  A larger window gives batches of more equal lengths.
BATCHES_OF_WINDOW = 8

# The most tokens of a window: at the published size, their outputs of the last layer are 67 MB.
WINDOW_TOKENS = 1 << 14


class LanguageModel:
    r"""ELMo with its softmax: predicts each token from those before it, and from those after it.  Made by `load`.

    With the boundaries as tokens 0 and n + 1 of a sentence of n tokens, and h the top layer's vectors:

    .. math::

        \log p(w_t \mid w_0 \ldots w_{t-1}) &= \log \mathrm{softmax}(W h^\text{forward}_{t-1} + b)_{w_t},
            \quad t = 1 \ldots n + 1 \\
        \log p(w_t \mid w_{t+1} \ldots w_{n+1}) &= \log \mathrm{softmax}(W h^\text{backward}_{t+1} + b)_{w_t},
            \quad t = 0 \ldots n

    So forward predicts every token and ``</S>``, backward every token and ``<S>``.  Tokens that are not in the
    vocabulary are read by their spelling, and predicted as ``<UNK>``.  Every sentence starts from zeros by default.

    Probabilities are normalised over the whole vocabulary.  With ``vocabulary=``, or after `restrict`, they are
    normalised over the given words only, and cannot be compared with those of the full vocabulary.  Results with an
    attribute ``restricted`` say so.

    Besides the weights, a call needs memory for a block of logits (4 MiB in float32) and, if the softmax stays on disk,
    for a block of weights (16 MiB), for any size of vocabulary.  `substitutes` and `sample` also hold a few numbers per
    word.

    Attributes
    ----------
    elmo : Elmo
        The model below the softmax.
    vocabulary : tuple of str
        The words that probabilities are normalised over.
    restricted : bool
        Whether these are only a part of the softmax's words.

    References
    ----------
    Peters et al. 2018, "Deep contextualized word representations", arXiv:1802.05365, section 3.1.

    Examples
    --------
    >>> from numpy_elmo import LanguageModel
    >>> model = LanguageModel.load("tiny")
    >>> [best] = model.next_words("let 's stick".split(), k=1, vocabulary=["to", "camera"])
    >>> best.word
    'to'
    """

    def __init__(self, elmo: Elmo, softmax: Softmax, vocabulary: Vocabulary, *, restricted: bool = False) -> None:
        self.elmo = elmo
        self._softmax = softmax
        self._words = vocabulary
        self.restricted = restricted

    def __repr__(self) -> str:
        part = "a part of the vocabulary, " if self.restricted else ""
        return f"<LanguageModel: {self.elmo!r}, normalised over {part}{len(self._words):,} words>"

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The words that probabilities are normalised over."""
        return self._words.words

    @classmethod
    def load(
        cls,
        model: PathLike,
        *,
        softmax: PathLike | None = None,
        vocabulary: PathLike | None = None,
        options: PathLike | None = None,
        dtype: Literal["float32", "float64"] = "float32",
        in_memory: bool = True,
    ) -> LanguageModel:
        """Load a model with its softmax.

        Parameters
        ----------
        model : str or path
            The model, as `numpy_elmo.load` takes it: a folder, a weight file (with `options`), a zip, or a name.
        softmax : str or path, optional
            HDF5 file with ``softmax/W`` (V, P) and ``softmax/b`` (V,).  Default: the model's weight file, if it holds
            them, or else ``*softmax*.hdf5`` next to it.
        vocabulary : str or path, optional
            Text file with the V words, one per line.  Default: ``vocab*.txt`` next to the softmax.
        options : str or path, optional
            The model's options file.
        dtype : {"float32", "float64"}
            Precision of the computation.
        in_memory : bool
            Whether to read the softmax weights now.  If False, every call reads them from disk, in blocks of at most
            16 MiB: for machines with less memory than the 1.6 GB of the published softmax, or to keep only a part of
            it with `restrict`.

        Returns
        -------
        LanguageModel

        Raises
        ------
        ModelNotFoundError
            If the model, its softmax or its vocabulary is not found.
        OptionsError
            If the options file does not describe a model that reads characters.
        WeightsError
            If a weight file is damaged or something else, or model, softmax and vocabulary do not fit each other.
        InputError
            If several files fit, or the vocabulary lacks ``<S>``, ``</S>`` or ``<UNK>``, or holds a word twice.
        """
        files = find_model(model, options)
        found = find_softmax(files, softmax)
        words, words_name = find_vocabulary(files, vocabulary, softmax)
        elmo = load(files, dtype=dtype)
        weights = read_softmax(
            found,
            width=elmo.vector_size // 2,
            vocabulary=words,
            vocabulary_name=words_name,
            dtype=dtype,
            keep=in_memory,
        )
        return cls(elmo, weights, words)

    def restrict(self, vocabulary: SubVocabulary) -> LanguageModel:
        """Return the same model over a part of its vocabulary.

        The kept rows of the softmax are copied, so make a restriction once if it is used often.

        Parameters
        ----------
        vocabulary : iterable of str, or int
            The words to keep; or a number n, for the first n of the vocabulary, which are the most frequent in
            published vocabularies.  To score text, keep ``<S>``, ``</S>`` and, for all other words, ``<UNK>``.

        Returns
        -------
        LanguageModel
            It shares everything except the softmax with this one.

        Raises
        ------
        InputTypeError
            If it is a string.
        InputError
            If words are not in the vocabulary, or there is none.
        """
        vocabulary = as_int(vocabulary)
        if isinstance(vocabulary, int):
            wanted = list(self.vocabulary[: check_count("vocabulary", vocabulary)])
        else:  # of the words to keep, unlike those of a sentence, the order does not matter
            words = list(vocabulary) if isinstance(vocabulary, (set, frozenset)) else vocabulary
            wanted = check_tokens(words, "vocabulary")
        found = {word: self._words.row(word) for word in wanted}
        missing = [repr(word) for word, row in found.items() if row is None]
        if missing:
            raise InputError(
                f"{len(missing)} word(s) are not in the softmax's vocabulary: {first(missing)}; leave them out"
            )
        if not wanted:
            raise InputError("the vocabulary to restrict to is empty; give at least one word")
        rows = np.array(sorted(row for row in found.values() if row is not None), dtype=np.intp)
        kept = Vocabulary(self.vocabulary[row] for row in rows)
        return LanguageModel(self.elmo, self._softmax.take(rows), kept, restricted=True)

    def next_words(
        self, tokens: Iterable[str], k: int = 10, *, vocabulary: SubVocabulary | None = None
    ) -> list[WordScore]:
        """Return the likeliest words after the beginning of a sentence.

        Parameters
        ----------
        tokens : iterable of str
            The tokens so far; empty for the first word of a sentence.
        k : int
            Number of words to return.
        vocabulary : iterable of str, or int, optional
            Normalise only over these words; see `restrict`.

        Returns
        -------
        list of WordScore
            Words with their log-probabilities, the likeliest first; ``</S>`` means that the sentence ends.  Fewer
            than k if the vocabulary has fewer.

        Raises
        ------
        InputTypeError
            If `tokens` is a string, or a token is not one.
        InputError
            If k is not positive, or words of `vocabulary` are unknown.
        """
        return self._following("forward", check_tokens(tokens), k, vocabulary)

    def previous_words(
        self, tokens: Iterable[str], k: int = 10, *, vocabulary: SubVocabulary | None = None
    ) -> list[WordScore]:
        """Return the likeliest words before the end of a sentence.

        Parameters
        ----------
        tokens : iterable of str
            The tokens that follow; empty for the last word of a sentence.
        k, vocabulary
            As for `next_words`.

        Returns
        -------
        list of WordScore
            As for `next_words`; ``<S>`` means that the sentence begins here.

        Raises
        ------
        InputTypeError, InputError
            As for `next_words`.
        """
        return self._following("backward", check_tokens(tokens)[::-1], k, vocabulary)

    def _following(
        self, direction: Literal["forward", "backward"], tokens: list[str], k: int, vocabulary: SubVocabulary | None
    ) -> list[WordScore]:
        k = check_count("k", k)
        model = self if vocabulary is None else self.restrict(vocabulary)
        mark = SENTENCE_START if direction == "forward" else SENTENCE_END
        h, _ = model._read(direction, [mark, *tokens], None)
        rows, log_probs = model._softmax.top(h, k)
        return [
            WordScore(model.vocabulary[row], float(value)) for row, value in zip(rows[0], log_probs[0], strict=True)
        ]

    def _read(
        self, direction: Literal["forward", "backward"], tokens: Sequence[str], state: BilmState | None
    ) -> tuple[Array, BilmState]:
        """Read tokens in the order given with one direction; return the last top vector, (1, P), and the state."""
        bilm = self.elmo.bilm
        way = ("forward", "backward").index(direction)
        vectors = self.elmo.encoder(tokens)  # [n, P]
        state = bilm.zero_state(1) if state is None else BilmState(state.h.copy(), state.c.copy())
        with bilm.workers.sharing_the_blas():
            stack = (bilm.forward, bilm.backward)[way]
            layers = stack(vectors, np.ones(len(tokens), np.intp), state.h[way], state.c[way])  # [L, n, P]
        return layers[-1, -1:], state

    def log_probs(
        self,
        sentences: Iterable[Iterable[str]],
        *,
        vocabulary: SubVocabulary | None = None,
        state: State = "reset",
        batch_size: int = 64,
    ) -> list[SentenceLogProbs]:
        """Return the log-probability of every token in both directions.

        Parameters
        ----------
        sentences : iterable of token lists
            Tokenised sentences; an empty one has only its boundaries.
        vocabulary : iterable of str, or int, optional
            Normalise only over these words; see `restrict`.
        state : {"reset", "carry", "frozen"} or CarriedState
            As for `Elmo.embed`.
        batch_size : int
            Number of sentences that run together.

        Returns
        -------
        list of SentenceLogProbs
            One per sentence, aligned to its tokens.

        Raises
        ------
        InputTypeError
            If a sentence is a string instead of a list of tokens, or a token is not a string.
        InputError
            If an argument has a value that is not listed here, or a word has no probability because the restricted
            vocabulary has neither it nor ``<UNK>``.
        """
        model = self if vocabulary is None else self.restrict(vocabulary)
        return model._log_probs(check_sentences(sentences), state, batch_size)

    @overload
    def surprisal(
        self,
        sentences: Iterable[Iterable[str]],
        *,
        unit: Unit = ...,
        vocabulary: SubVocabulary | None = ...,
        state: State = ...,
        batch_size: int = ...,
        as_frame: Literal[False] = ...,
    ) -> list[SentenceSurprisal]: ...
    @overload
    def surprisal(
        self,
        sentences: Iterable[Iterable[str]],
        *,
        unit: Unit = ...,
        vocabulary: SubVocabulary | None = ...,
        state: State = ...,
        batch_size: int = ...,
        as_frame: Literal[True],
    ) -> Any: ...
    def surprisal(
        self,
        sentences: Iterable[Iterable[str]],
        *,
        unit: Unit = "bits",
        vocabulary: SubVocabulary | None = None,
        state: State = "reset",
        batch_size: int = 64,
        as_frame: bool = False,
    ) -> list[SentenceSurprisal] | Any:
        """Return the surprisal and rank of each token, and the entropy of the distribution that predicted it.

        Parameters
        ----------
        sentences : iterable of token lists
            Tokenised sentences; an empty one has only its end.
        unit : {"bits", "nats"}
            Unit of surprisal and entropy: logarithms to base 2 or natural ones.
        vocabulary : iterable of str, or int, optional
            Normalise only over these words; see `restrict`.
        state : {"reset", "carry", "frozen"} or CarriedState
            What the LSTMs remember at the start of a sentence: nothing, what the previous sentence left, or the state
            that `Elmo.warm_up` made.  With ``"carry"`` the sentences are one document: they run one after the other,
            the first from zeros.  A `CarriedState` does the same, starting from that state and updating it.
        batch_size : int
            Number of sentences that run together; no effect if the state is carried.
        as_frame : bool
            Whether to return one pandas frame with one row per token, columns as in `SurprisalRow`.

        Returns
        -------
        list of SentenceSurprisal, or pandas.DataFrame

        Raises
        ------
        InputTypeError
            If a sentence is a string instead of a list of tokens, or a token is not a string.
        InputError
            If an argument has a value that is not listed here, or a word has no probability because the restricted
            vocabulary has neither it nor ``<UNK>``.
        MissingExtraError
            If a frame is asked for and pandas is not installed.

        Examples
        --------
        >>> from numpy_elmo import LanguageModel
        >>> model = LanguageModel.load("tiny")
        >>> [result] = model.surprisal([["They", "like", "to", "hang", "out", "."]])
        >>> result.tokens
        ('They', 'like', 'to', 'hang', 'out', '.', '</S>')
        >>> bool(result.surprisal[4] < result.surprisal[3])  # "out" after "hang"
        True
        """
        if unit not in ("bits", "nats"):
            raise InputError(f'unit must be "bits" or "nats", not {unit!r}')
        model = self if vocabulary is None else self.restrict(vocabulary)
        checked = check_sentences(sentences)
        batch_size = check_count("batch_size", batch_size)
        if state == "carry":
            state = CarriedState()
        if isinstance(state, CarriedState):
            batch_size = 1
        nats = math.log(2) if unit == "bits" else 1.0
        found = [
            SentenceSurprisal(
                tokens=(*tokens, SENTENCE_END),
                surprisal=-log_probs[0] / nats,
                surprisal_backward=np.append(-log_probs[1, 1:] / nats, np.nan),
                entropy=entropy[0] / nats,
                rank=rank[0],
                unknown=np.array([token not in model._words for token in tokens] + [False]),
                unit=unit,
                restricted=model.restricted,
            )
            for tokens, (log_probs, entropy, rank) in zip(
                checked, model._score(checked, state, batch_size, model._softmax.target_statistics), strict=True
            )
        ]
        return surprisal_frame(found) if as_frame else found

    def perplexity(
        self,
        sentences: Iterable[Iterable[str]],
        *,
        vocabulary: SubVocabulary | None = None,
        state: State = "reset",
        batch_size: int = 64,
    ) -> Perplexity:
        """Return the perplexity of a text.

        Sentences are read as they are needed, so the iterable may be a generator over a large file.

        Parameters
        ----------
        sentences : iterable of token lists
            Tokenised sentences, at least one.
        vocabulary, state, batch_size
            As for `log_probs`.  The published models were trained, and their perplexities measured, with
            ``state="carry"``.

        Returns
        -------
        Perplexity

        Raises
        ------
        InputTypeError, InputError
            As for `log_probs`; InputError also if there is no sentence.
        """
        model = self if vocabulary is None else self.restrict(vocabulary)
        totals = np.zeros(2)  # forward, backward
        n_sentences = n_tokens = n_unknown = 0
        for window in _windows(each_sentence(sentences), state, batch_size):
            scores = model._log_probs(window, state, batch_size)
            # Exact sums do not depend on the order of the sentences.
            totals[0] += math.fsum(value for s in scores for value in (*s.forward, s.end))
            totals[1] += math.fsum(value for s in scores for value in (*s.backward, s.start))
            n_sentences += len(scores)
            n_tokens += sum(len(s.tokens) for s in scores)
            n_unknown += sum(len(s.unknown) for s in scores)
        if not n_sentences:
            raise InputError("the perplexity of no sentences is undefined; give at least one")
        n = n_tokens + n_sentences
        with np.errstate(over="ignore"):  # the perplexity of a text that the model does not expect can overflow
            forward, backward, average = np.exp(-np.array([*totals, totals.mean()]) / n).tolist()
        return Perplexity(forward, backward, average, n_sentences, n_tokens, n, n_unknown, model.restricted)

    def _log_probs(self, sentences: list[list[str]], state: State, batch_size: int) -> list[SentenceLogProbs]:
        def score(h: Array, targets: Rows) -> tuple[Float64s]:
            return (self._softmax.target_log_probs(h, targets),)

        return [
            SentenceLogProbs(
                tokens=tuple(tokens),
                forward=log_probs[0, :-1],
                backward=log_probs[1, 1:],
                end=float(log_probs[0, -1]),
                start=float(log_probs[1, 0]),
                unknown=tuple(t for t, token in enumerate(tokens) if token not in self._words),
                restricted=self.restricted,
            )
            for tokens, (log_probs,) in zip(sentences, self._score(sentences, state, batch_size, score), strict=True)
        ]

    def _score(
        self, sentences: list[list[str]], state: State, batch_size: int, score: Score
    ) -> Iterator[list[npt.NDArray[Any]]]:
        """Yield for each sentence of n tokens what `score` gives for its predictions, arrays of shape (2, n + 1).

        Forward predicts w_1 .. w_n, </S>, backward <S>, w_1 .. w_n.
        """
        texts: Sequence[Sequence[str]] = sentences
        places: Sequence[int] = range(len(sentences))
        if state in ("reset", "frozen"):
            texts, places = _distinct(sentences)
        found: list[list[npt.NDArray[Any]]] = []
        windows: Iterable[Sequence[Sequence[str]]] = _windows(texts, state, batch_size)
        for some in list(windows) or [[]]:  # the state is checked even if there is no sentence
            h, ends = self._positions(some, slice(None, -1), slice(1, None), state, batch_size)
            targets = []
            for tokens in some:
                rows = [self._target(token) for token in tokens]
                targets += [*rows, self._target(SENTENCE_END), self._target(SENTENCE_START), *rows]
            values = score(h, np.array(targets, dtype=np.intp))
            found += map(list, zip(*(np.split(value, ends) for value in values), strict=True))
        for place in places:
            yield [value.reshape(2, -1).copy() for value in found[place]]

    def _positions(
        self, texts: Sequence[Sequence[str]], forward: slice, backward: slice, state: State, batch_size: int
    ) -> tuple[Array, Rows]:
        """Return top vectors of both directions (N, P), those of each text together, and where the next text begins.

        The slices choose positions of a text with its boundaries.
        """
        vectors = self.elmo.embed(texts, layers="top", state=state, boundaries=True, batch_size=batch_size)
        P = self.elmo.vector_size // 2
        halves = [half for v in vectors for half in (v[forward, :P], v[backward, P:])]
        lengths = [len(half) for half in halves]
        return np.concatenate(halves or [np.empty((0, P))]), np.cumsum(lengths, dtype=np.intp)[1:-1:2]

    def _target(self, word: str) -> int:
        row = self._words.row(word)
        if row is None:
            row = self._words.row(UNKNOWN)
        if row is None or (word in (SENTENCE_START, SENTENCE_END) and word not in self._words):
            raise InputError(
                f"the restricted vocabulary gives {word!r} no probability: it holds neither this word nor {UNKNOWN}, "
                f"or it lacks a boundary; keep {SENTENCE_START}, {SENTENCE_END} and {UNKNOWN} to score text"
            )
        return row

    def substitutes(
        self,
        tokens: Iterable[str],
        position: int,
        k: int = 10,
        *,
        combine: Combine = "average",
        temperature: float = 1.0,
        vocabulary: SubVocabulary | None = None,
    ) -> list[WordScore]:
        r"""Return the words that fit best in the place of a token.

        Neither direction sees the token itself: forward reads the tokens before it, backward those after it.

        Parameters
        ----------
        tokens : iterable of str
            The sentence.
        position : int
            Position of the token, from 0.
        k : int
            Number of words to return.
        combine : {"average", "product", "forward", "backward"}
            The score of a word, from its log-probabilities f and b in the two directions.

            ``"average"``
                (f + b) / 2, as in LAMA: a score to rank by.  Its exponentials do not sum to one.
            ``"product"``
                f + b, normalised: the log-probability if the two sides were independent and all words equally
                frequent.  It gives the same order as ``"average"``.
            ``"forward"``, ``"backward"``
                f or b alone.

            For both directions side by side, see `candidates`.
        temperature : float
            The logits of both directions are divided by it, and each direction is normalised again.  Above 1 the
            distributions are flatter, below 1 sharper.
        vocabulary : iterable of str, or int, optional
            Normalise only over these words; see `restrict`.

        Returns
        -------
        list of WordScore
            Words and scores, the best first.  ``<S>``, ``</S>`` and ``<UNK>`` keep their share of the probability but
            are not returned; the token itself may be.

        Raises
        ------
        InputTypeError
            If `tokens` is a string, or a token is not one.
        InputError
            If there is no such position, k or the temperature is not positive, or `combine` has another value.
        """
        checked = check_tokens(tokens)
        position = as_int(position)
        if isinstance(position, bool) or not isinstance(position, int):
            raise InputTypeError(f"position must be an int, not {type(position).__name__}")
        if not 0 <= position < len(checked):
            places = f"0 to {len(checked) - 1}" if checked else "none"
            raise InputError(
                f"there is no token {position}: the sentence has {len(checked)} tokens, positions {places}"
            )
        k = check_count("k", k)
        _check_temperature(temperature)
        if combine not in ("average", "product", "forward", "backward"):
            raise InputError(f'combine must be "average", "product", "forward" or "backward", not {combine!r}')
        model = self if vocabulary is None else self.restrict(vocabulary)
        before, _ = model._read("forward", [SENTENCE_START, *checked[:position]], None)
        after, _ = model._read("backward", [SENTENCE_END, *checked[:position:-1]], None)
        forward, backward = _tempered(model._softmax.log_probs(np.concatenate([before, after])), temperature)
        scores = {"forward": forward, "backward": backward}.get(combine)
        if scores is None:
            scores = (forward + backward) / 2 if combine == "average" else _normalised(forward + backward)
        scores[model._marks(SENTENCE_START, SENTENCE_END, UNKNOWN)] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        return [WordScore(model.vocabulary[row], float(scores[row])) for row in best if np.isfinite(scores[row])]

    def candidates(
        self, sentences: Iterable[Iterable[str]], k: int = 3, *, boundaries: bool = False, batch_size: int = 64
    ) -> list[tuple[Rows, Float64s]]:
        """Return what each direction expects in the place of each token.

        Parameters
        ----------
        sentences : iterable of token lists
            Tokenised sentences.
        k : int
            Number of words per direction.
        boundaries : bool
            Whether ``<S>`` and ``</S>`` may be among them.
        batch_size : int
            Number of sentences that run together.

        Returns
        -------
        list of (ndarray of int, ndarray of float64), each of shape (2, n, k)
            Per sentence of n tokens, forward first: rows of `vocabulary`, the likeliest first, and their
            log-probabilities.  Fewer than k where the vocabulary has fewer.

        Raises
        ------
        InputTypeError, InputError
            As for `log_probs`; InputError also if k is not positive.
        """
        checked = check_sentences(sentences)
        k = check_count("k", k)
        texts, places = _distinct(checked)
        h, ends = self._positions(texts, slice(None, -2), slice(2, None), "reset", batch_size)
        left_out = [] if boundaries else self._marks(SENTENCE_START, SENTENCE_END)
        rows, log_probs = self._softmax.top(h, k + len(left_out))  # [N, k + 2]
        kept = np.argsort(np.isin(rows, left_out), axis=1, kind="stable")[:, : min(k, len(self._words) - len(left_out))]
        each_rows = np.split(np.take_along_axis(rows, kept, axis=1), ends)
        each_log_probs = np.split(np.take_along_axis(log_probs, kept, axis=1), ends)
        shapes = [(2, len(tokens), kept.shape[1]) for tokens in texts]
        return [(each_rows[p].reshape(shapes[p]).copy(), each_log_probs[p].reshape(shapes[p]).copy()) for p in places]

    def sample(
        self,
        prefix: Iterable[str] = (),
        *,
        max_tokens: int = 50,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | np.random.Generator | None = None,
        vocabulary: SubVocabulary | None = None,
    ) -> list[str]:
        """Draw a continuation of a sentence, word by word.

        ``<S>`` and ``<UNK>`` are never drawn; the probabilities of the other words are normalised without them.

        Parameters
        ----------
        prefix : iterable of str
            The tokens so far; empty to begin a sentence.
        max_tokens : int
            Largest number of tokens to draw.
        temperature : float
            The logits are divided by it: below 1 likely words become likelier.
        top_k : int, optional
            Draw only among the `top_k` likeliest words.
        seed : int or numpy.random.Generator, optional
            Source of randomness; the same seed gives the same words.
        vocabulary : iterable of str, or int, optional
            Draw only among these words; see `restrict`.  Without ``</S>``, always draws `max_tokens`.

        Returns
        -------
        list of str
            The tokens drawn, without the prefix and without the ``</S>`` that may have ended it.

        Raises
        ------
        InputTypeError
            If `prefix` is a string, or a token is not one.
        InputError
            If a number is not positive, or no word can be drawn.
        """
        unread = [SENTENCE_START, *check_tokens(prefix)]
        max_tokens = check_count("max_tokens", max_tokens)
        if top_k is not None:
            top_k = check_count("top_k", top_k)
        _check_temperature(temperature)
        model = self if vocabulary is None else self.restrict(vocabulary)
        generator = np.random.default_rng(seed)
        never = model._marks(SENTENCE_START, UNKNOWN)
        if len(never) == len(model._words):
            raise InputError(f"the vocabulary has no word to draw: {SENTENCE_START} and {UNKNOWN} are never drawn")
        state: BilmState | None = None
        drawn: list[str] = []
        while len(drawn) < max_tokens:
            h, state = model._read("forward", unread, state)
            scores = model._softmax.log_probs(h)[0]  # [V]
            scores[never] = -np.inf
            word = model.vocabulary[_draw(scores / temperature, top_k, generator)]
            if word == SENTENCE_END:
                break
            drawn.append(word)
            unread = [word]
        return drawn

    def _marks(self, *marks: str) -> list[int]:
        """Rows of those of these words that are in the vocabulary."""
        return [row for mark in marks if (row := self._words.row(mark)) is not None]


def _windows(sentences: Iterable[Tokens], state: State, batch_size: int) -> Iterator[list[Tokens]]:
    """Cut a text into what is held at a time; where a state is carried, its batches are part of the result."""
    check_count("batch_size", batch_size)
    if isinstance(state, str) and state in ("reset", "frozen"):
        return bounded_batches(sentences, BATCHES_OF_WINDOW * batch_size, len, WINDOW_TOKENS)
    return batches(sentences, batch_size)


def _distinct(sentences: list[list[str]]) -> tuple[list[tuple[str, ...]], list[int]]:
    """Return the distinct sentences, sorted, and the index of each sentence among them.

    Sorting them makes the last bits of a score independent of the order of the sentences, and of repeated ones.
    """
    texts = [tuple(tokens) for tokens in sentences]
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    places = {text: place for place, text in enumerate(distinct)}
    return distinct, [places[text] for text in texts]


def _draw(scores: Float64s, top_k: int | None, generator: np.random.Generator) -> int:
    order = np.argsort(-scores, kind="stable")[:top_k] if top_k is not None else np.arange(len(scores))
    cumulative = np.cumsum(np.exp(scores[order] - scores.max()))
    # Words of probability zero are never hit: the draw is below the sum, and "right" passes over steps of no height.
    drawn = np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right")
    return int(order[drawn])


def _tempered(log_probs: Float64s, temperature: float) -> Float64s:
    return log_probs if temperature == 1 else _normalised(log_probs / temperature)


def _normalised(scores: Float64s) -> Float64s:
    peak = scores.max(axis=-1, keepdims=True)
    result: Float64s = scores - peak - np.log(np.exp(scores - peak).sum(axis=-1, keepdims=True))
    return result


def _check_temperature(temperature: float) -> None:
    if not (isinstance(temperature, (int, float, np.floating)) and 0 < temperature < math.inf):
        raise InputError(f"temperature must be a positive number, not {temperature!r}")
