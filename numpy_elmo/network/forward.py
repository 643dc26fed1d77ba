"""The forward pass over lists of sentences: which of them run together, from which state, on which thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np

from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.batching import bounded_batches, pack
from numpy_elmo.network.bilm import Bilm, BilmState
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START
from numpy_elmo.network.documents import embed_document
from numpy_elmo.network.encoder import TokenEncoder
from numpy_elmo.network.state import CarriedState, join_states, n_rows, repeat_row, shapes, take_rows
from numpy_elmo.network.threads import Workers
from numpy_elmo.network.token_cache import TokenCache

Selector: TypeAlias = Callable[[Array], Array]
"""From all layers of some tokens, shape (L + 1, n, any), to those that were asked for, feature by feature."""

# Tokens that run together at most, boundaries included, so that long sentences do not fill the memory: at the published
# size the layers of so many are 200 MB.  A sentence that is longer runs in time chunks.
BATCH_TOKENS = 1 << 14


class Start(NamedTuple):
    """Where sentences begin that all begin alike, one row each.

    Attributes
    ----------
    before : BilmState
        State before ``<S>`` forward and before ``</S>`` backward.
    inside : BilmState
        State after them, in which each direction comes to the first true token.  It is the same for all of the
        sentences, so their boundaries need not be computed again and again.
        Nor does a token's vector depend on the boundary that its direction comes to last.
    """

    before: BilmState
    inside: BilmState


class ForwardPass:
    """A model's two parts, the token cache between them, and the threads that run them.

    Parameters
    ----------
    encoder : TokenEncoder
        Tokens to vectors.
    bilm : Bilm
        The LSTM layers.
    threads : int
        Threads to share the work.
    """

    def __init__(self, encoder: TokenEncoder, bilm: Bilm, threads: int) -> None:
        self._encoder = TokenCache(encoder)
        self._bilm = bilm
        self._directions = Workers(threads)
        self._batches = Workers(max(1, threads // 2))  # each of them keeps two threads busy

    def encode(self, tokens: Sequence[str]) -> Array:
        """Return the token vectors of at least one token, shape (N, P)."""
        return self._encoder(tokens, self._directions)

    def keep(self, vocabulary: Iterable[str]) -> None:
        """Encode some types once and for all."""
        self._encoder.keep(vocabulary, self._directions)

    def forget(self) -> None:
        """Forget all types but those that are kept."""
        self._encoder.forget()

    def start_from(self, before: BilmState) -> Start:
        """Return the start of sentences that all begin from `before`, one row."""
        _, (forward, _) = self._run([SENTENCE_START], [1], before)
        _, (_, backward) = self._run([SENTENCE_END], [1], before)
        return Start(before, (forward, backward))

    def alike(
        self, sentences: list[list[str]], start: Start, select: Selector, *, boundaries: bool, batch_size: int
    ) -> list[Array]:
        """Embed sentences that all begin alike: they may run in any order and company.

        Parameters
        ----------
        sentences : list of token lists
            The sentences, boundaries not included.
        start : Start
            Where they begin.
        select : callable
            What to return of the layers.
        boundaries : bool
            Whether to return the vectors of the boundaries too.
        batch_size : int
            Sentences that run together.

        Returns
        -------
        list of ndarray
            One array of shape (..., n_tokens, 2 P) a sentence, in order.
        """

        def embed(chosen: list[int]) -> list[Array]:
            group = [sentences[k] for k in chosen]
            if boundaries or _is_document(group):
                return self._group(group, repeat_row(start.before, len(group)), select, boundaries)[0]
            lengths = list(map(len, group))
            layers, _ = self._run(list(chain(*group)), lengths, repeat_row(start.inside, len(group)))
            return [np.array(select(array)) for array in _split(layers, lengths)]

        # Sentences of similar length share a batch, so that it does not thin out towards its end.
        by_length = sorted(range(len(sentences)), key=lambda k: len(sentences[k]))
        chosen = list(bounded_batches(by_length, batch_size, lambda k: _bounded_length(sentences[k]), BATCH_TOKENS))
        found = dict(zip(chain(*chosen), chain(*self._batches.map(embed, chosen)), strict=True))
        return [found[k] for k in range(len(sentences))]

    def carried(
        self, batches: Iterable[list[list[str]]], carried: CarriedState, select: Selector, *, boundaries: bool
    ) -> list[Array]:
        """Embed batches one after the other: row k of each goes on from row k of the one before.

        Parameters
        ----------
        batches : iterable of lists of token lists
            The batches.
        carried : CarriedState
            The state to go on from, and to leave behind.
        select, boundaries
            As for `alike`.

        Returns
        -------
        list of ndarray
            As for `alike`.
        """
        results: list[Array] = []
        with carried.running():
            for batch in batches:
                rows = self.rows(carried)
                if (missing := len(batch) - n_rows(rows)) > 0:
                    rows = join_states(rows, self._bilm.zero_state(missing))
                after: list[BilmState] = []
                done = 0
                for group in bounded_batches(batch, len(batch), _bounded_length, BATCH_TOKENS):
                    start = take_rows(rows, slice(done, done + len(group)))
                    arrays, state = self._group(group, start, select, boundaries)
                    results += arrays
                    after.append(state)
                    done += len(group)
                carried.rows = reduce(join_states, [*after, take_rows(rows, slice(done, None))])
        return results

    def rows(self, carried: CarriedState) -> BilmState:
        """Return the rows of a carried state.

        Raises
        ------
        InputError
            If they are of a model of another shape.
        """
        zeros = self._bilm.zero_state(0)
        rows = zeros if carried.rows is None else carried.rows
        if shapes(rows) != shapes(zeros):
            raise InputError("this CarriedState is of another model; give each model a state of its own")
        return rows

    def _group(
        self, group: list[list[str]], start: BilmState, select: Selector, boundaries: bool
    ) -> tuple[list[Array], BilmState]:
        """Run sentences with their boundaries, each from its own row; return their layers and the state after each."""
        if _is_document(group):
            vectors, after = embed_document(group[0], self.encode, self._bilm, start, select, boundaries=boundaries)
            return [vectors], after
        lengths = list(map(_bounded_length, group))
        tokens = chain(*([SENTENCE_START, *sentence, SENTENCE_END] for sentence in group))
        layers, after = self._run(list(tokens), lengths, start)
        wanted = slice(None) if boundaries else slice(1, -1)
        # Copies, so that the array of the whole batch can be freed.
        return [np.array(select(array)[..., wanted, :]) for array in _split(layers, lengths)], after

    def _run(self, tokens: list[str], lengths: list[int], start: BilmState) -> tuple[Array, BilmState]:
        """Return the layers, (L + 1, N, 2 P), of sentences that lie one after the other, and the state after each."""
        if not tokens:
            h = start[0][0].h
            return np.empty((len(self._bilm.forward) + 1, 0, 2 * h.shape[1]), h.dtype), start
        return self._bilm(self.encode(tokens), pack(lengths), start, self._directions)


def _split(layers: Array, lengths: list[int]) -> list[Array]:
    return np.split(layers, np.cumsum(lengths)[:-1], axis=1)


def _bounded_length(sentence: list[str]) -> int:
    return len(sentence) + 2


def _is_document(group: list[list[str]]) -> bool:
    return len(group) == 1 and _bounded_length(group[0]) > BATCH_TOKENS
