"""The forward pass over lists of sentences: which of them run together, and from which state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.batching import bounded_batches, pack
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START
from numpy_elmo.network.encoder import Encoder
from numpy_elmo.network.state import BilmState, CarriedState, join
from numpy_elmo.network.threads import Workers

# Largest number of tokens that run together, including boundaries.  It bounds memory: at the published size their
# layers take 200 MB.  A longer sentence is a document, and runs in time chunks.
BATCH_TOKENS = 1 << 14

# Tokens per chunk of a document.  At the published size the layers of a chunk take 24 MB.
CHUNK_TOKENS = 2048


@dataclass(frozen=True)
class Selector:
    """What to return of the layers of a sentence."""

    select: Callable[[Array], Array]  # (L + 1, n, any) -> (..., n, any)
    per_feature: bool = True  # each feature of each token is independent, so a sentence may be given in parts

    def __call__(self, layers: Array) -> Array:
        """Return the selection."""
        return self.select(layers)


class Start(NamedTuple):
    """Initial state shared by all sentences, one row: before and after the boundary that each direction reads first.

    Starting from `inside` saves computing the boundaries for each sentence: the one read last changes no vector.
    """

    before: BilmState
    inside: BilmState


class ForwardPass:
    """A model's two parts, and the threads that run batches of sentences."""

    def __init__(self, encoder: Encoder, bilm: Bilm, workers: Workers) -> None:
        self._encode = encoder
        self._bilm = bilm
        self._workers = workers

    def start_from(self, before: BilmState) -> Start:
        """Return the start for sentences that all begin from `before`, the state of one text."""
        ends = self._run([SENTENCE_START], [1], before)[1], self._run([SENTENCE_END], [1], before)[1]
        return Start(before, BilmState(*(np.stack([a[0], b[1]]) for a, b in zip(*ends, strict=True))))

    def independent(
        self, sentences: list[list[str]], start: Start, select: Selector, *, boundaries: bool, batch_size: int
    ) -> list[Array]:
        """Embed sentences that all begin from one state; equal sentences run once.

        They are sorted, so that batches depend on the sentences and not on their order.  Neighbours have about the same
        length, so that few sentences of a batch end early.
        """
        different = sorted(set(map(tuple, sentences)), key=lambda sentence: (len(sentence), sentence))
        groups = list(bounded_batches(map(list, different), batch_size, _bounded_length, BATCH_TOKENS))

        def embed(group: list[list[str]]) -> list[Array]:
            if boundaries or _is_document(group):
                return self._bounded(group, start.before.repeat(len(group)), select, boundaries=boundaries)[0]
            lengths = list(map(len, group))
            layers, _ = self._run(list(chain(*group)), lengths, start.inside.repeat(len(group)))
            return [np.array(select(array)) for array in _split(layers, lengths)]

        arrays = dict(zip(different, chain(*self._workers.map(embed, groups)), strict=True))
        # The last of equal sentences gets the array itself, the others get copies.
        last = {tuple(sentence): k for k, sentence in enumerate(sentences)}
        keys = map(tuple, sentences)
        return [arrays[key] if last[key] == k else arrays[key].copy() for k, key in enumerate(keys)]

    def carried(
        self, batches: Iterable[list[list[str]]], carried: CarriedState, select: Selector, *, boundaries: bool
    ) -> list[Array]:
        """Embed batches one after the other: row k of each continues from row k of the one before."""
        results: list[Array] = []
        with carried.running():
            for batch in batches:
                rows = self.rows(carried).at_least(len(batch))
                after: list[BilmState] = []
                done = 0
                for group in bounded_batches(batch, len(batch), _bounded_length, BATCH_TOKENS):
                    before = rows.texts(slice(done, done + len(group)))
                    arrays, state = self._bounded(group, before, select, boundaries=boundaries)
                    results += arrays
                    after.append(state)
                    done += len(group)
                carried.rows = join([*after, rows.texts(slice(done, None))])
        return results

    def rows(self, carried: CarriedState) -> BilmState:
        """Return the rows of a carried state; raises `InputError` if they belong to a model of another size."""
        zeros = self._bilm.zero_state(0)
        rows = zeros if carried.rows is None else carried.rows
        sizes = [[(*array.shape[:2], array.shape[3]) for array in state] for state in (rows, zeros)]
        if sizes[0] != sizes[1]:
            raise InputError("this CarriedState belongs to another model; give each model a state of its own")
        return rows

    def _bounded(
        self, group: list[list[str]], start: BilmState, select: Selector, *, boundaries: bool
    ) -> tuple[list[Array], BilmState]:
        """Run sentences with their boundaries, each from its own row; return their layers and the state after each."""
        if _is_document(group):
            vectors, after = self._document(group[0], start, select, boundaries=boundaries)
            return [vectors], after
        lengths = list(map(_bounded_length, group))
        tokens = chain(*([SENTENCE_START, *sentence, SENTENCE_END] for sentence in group))
        layers, after = self._run(list(tokens), lengths, start)
        wanted = slice(None) if boundaries else slice(1, -1)
        # Copies, so that the array of the whole batch can be freed.
        return [np.array(select(array[:, wanted])) for array in _split(layers, lengths)], after

    def _document(
        self, sentence: list[str], start: BilmState, select: Selector, *, boundaries: bool
    ) -> tuple[Array, BilmState]:
        """Run one very long sentence in time chunks; return its layers, (..., n, 2 P), and the state after it.

        The LSTMs of one direction need nothing from the other, and a chunk needs only the state of the chunk before it.
        So each direction reads the sentence chunk by chunk, and little more than the result is in memory.
        """
        tokens = [SENTENCE_START, *sentence, SENTENCE_END]
        choose = select if select.per_feature else Selector(lambda layers: layers)
        h, c = start.h.copy(), start.c.copy()
        P = h.shape[3]
        kept = choose(np.empty((len(self._bilm.forward.layers) + 1, 0, 2 * P), h.dtype)).shape[:-2]
        first, n = (0, len(tokens)) if boundaries else (1, len(sentence))  # of the tokens that are wanted
        out = np.empty((*kept, n, 2 * P), h.dtype)
        chunks = [slice(k, min(k + CHUNK_TOKENS, len(tokens))) for k in range(0, len(tokens), CHUNK_TOKENS)]

        def read(direction: int) -> None:
            stack, way = ((self._bilm.forward, 1), (self._bilm.backward, -1))[direction]
            features = slice(direction * P, (direction + 1) * P)
            for chunk in chunks[::way]:
                # [n, P], in reading order; NumPy 1.26 multiplies a reversed view without the BLAS
                x = np.ascontiguousarray(self._encode(tokens[chunk])[::way])
                layers = np.concatenate([x[np.newaxis], stack(x, np.ones(len(x), np.intp), h[direction], c[direction])])
                wanted = slice(max(chunk.start, first), min(chunk.stop, first + n))
                here = slice(wanted.start - chunk.start, wanted.stop - chunk.start)
                found = choose(layers)[..., ::way, :]
                out[..., wanted.start - first : wanted.stop - first, features] = found[..., here, :]

        with self._bilm.workers.sharing_the_blas():
            self._bilm.workers.map(read, (0, 1))
        return out if select.per_feature else np.array(select(out)), BilmState(h, c)

    def _run(self, tokens: list[str], lengths: list[int], start: BilmState) -> tuple[Array, BilmState]:
        """Return the layers, (L + 1, N, 2 P), of texts given one after the other, and the state after each."""
        if not tokens:
            return np.empty((len(self._bilm.forward.layers) + 1, 0, 2 * start.h.shape[3]), start.h.dtype), start
        packing = pack(lengths)
        return self._bilm(self._encode(tokens), packing, start)


def _split(layers: Array, lengths: list[int]) -> list[Array]:
    return np.split(layers, np.cumsum(lengths)[:-1], axis=1)


def _bounded_length(sentence: list[str]) -> int:
    return len(sentence) + 2


def _is_document(group: list[list[str]]) -> bool:
    return len(group) == 1 and _bounded_length(group[0]) > BATCH_TOKENS
