"""Nearest occurrences by context: the tokens of a corpus that are used like a given one.

The paper shows this for "play" (Peters et al. 2018, arXiv:1802.05365, table 4).  The nearest words of its GloVe vector
mix several senses; the nearest occurrences of its biLM vector in a sentence have the same sense and part of speech.

An index holds the vector of every token of a corpus, at one layer or at all, in an HDF5 file.  A search compares the
query with all of them, exactly, a few thousand at a time.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from numpy_elmo.corpus.resume import TextDigest, differences
from numpy_elmo.elmo import CorpusReport, Elmo
from numpy_elmo.errors import InputError
from numpy_elmo.files.hdf5 import attribute, dataset_problem, open_checked, place_problem
from numpy_elmo.files.places import to_path
from numpy_elmo.files.writing import new_hdf5
from numpy_elmo.layers.arrays import Array, check_vectors
from numpy_elmo.network.batching import bounded_batches
from numpy_elmo.network.checks import as_int, check_count, check_tokens, each_sentence

# Vectors that are compared at a time: at the published size, 1,024 features, 32 MB.
CHUNK_ROWS = 8192
# Sentences that lie together in the file, and are read at a time.
SENTENCE_ROWS = 256

Rows: TypeAlias = npt.NDArray[np.intp]

_ATTRIBUTE = "numpy_elmo_index"
_TINY = float(np.finfo(np.float32).tiny)


class Neighbor(NamedTuple):
    """An occurrence that is near a query.

    Attributes
    ----------
    similarity : float
        Cosine of its vector and the query's.
    sentence : int
        Number of its sentence in the corpus, from 0.
    position : int
        Its place in the sentence, from 0.
    tokens : list of str
        The sentence.
    """

    similarity: float
    sentence: int
    position: int
    tokens: list[str]


def build_index(
    path: str | os.PathLike[str],
    elmo: Elmo,
    sentences: Iterable[Iterable[str]],
    *,
    layer: int | Literal["all"] = -1,
    model_digest: str = "",
    overwrite: bool = False,
    progress: Callable[[CorpusReport], object] = lambda _: None,
) -> None:
    """Write the index of a corpus.

    Parameters
    ----------
    path : str or path
        The HDF5 file to make; it appears when it is complete.
    elmo : Elmo
        The model.
    sentences : iterable of token lists
        The corpus, of any size.
    layer : int or "all"
        The layer whose vectors are compared: the last one, -1, is best at senses in the paper; 0 knows spelling alone.
        ``"all"`` keeps every layer, and each search chooses one.
    model_digest : str
        Identifies the model, see `numpy_elmo.corpus.resume.model_digest`.
    overwrite : bool
        Whether it may replace a file.
    progress : callable, optional
        Called from time to time with the counts of what is done.

    Raises
    ------
    InputTypeError, InputError
        As for `Elmo.embed_corpus`; also if there is no token.
    OutputError
        If the file exists, or cannot be written.
    """
    text, report = TextDigest(), CorpusReport()
    pending: deque[list[str]] = deque()  # read ahead, and not embedded yet

    def remembered() -> Iterator[list[str]]:
        for tokens in each_sentence(sentences):
            text.add(tokens)
            pending.append(tokens)
            yield tokens

    with new_hdf5(path, overwrite=overwrite) as file:
        n, size = elmo.n_layers + 1 if layer == "all" else 1, elmo.vector_size
        stored = (
            file.create_dataset("vectors", (n, 0, size), np.float32, maxshape=(n, None, size), chunks=(1, 256, size)),
            file.create_dataset("norms", (n, 0), np.float32, maxshape=(n, None), chunks=(1, 4096)),
            file.create_dataset("lengths", (0,), np.int64, maxshape=(None,), chunks=(1024,)),
            file.create_dataset("sentences", (0,), h5py.string_dtype(), maxshape=(None,), chunks=(SENTENCE_ROWS,)),
        )
        vectors = ((pending.popleft(), array) for array in elmo.embed_corpus(remembered(), layers=layer, report=report))
        for some in bounded_batches(vectors, CHUNK_ROWS, lambda pair: len(pair[0]), CHUNK_ROWS):
            rows = np.concatenate([array.reshape(n, -1, size) for _, array in some], axis=1)  # [n, tokens, size]
            norms = np.maximum(np.linalg.norm(rows, axis=2), _TINY)  # [n, tokens]
            _append(stored[0], rows / norms[:, :, np.newaxis])
            _append(stored[1], norms)
            _append(stored[2], np.array([len(tokens) for tokens, _ in some]))
            _append(stored[3], np.array([json.dumps(tokens) for tokens, _ in some], object))
            progress(report)
        if not stored[0].shape[1]:
            raise InputError("there is no token to index; give text")
        file.attrs[_ATTRIBUTE] = json.dumps(_fingerprint(elmo, layer, model_digest, str(text)))


def _blocks(rows: Rows, size: int) -> Iterator[tuple[slice, Rows]]:
    """Yield the blocks that hold some rows, and the places of these: HDF5 reads blocks much faster than single rows."""
    for block in np.unique(rows // size):
        yield slice(block * size, (block + 1) * size), np.flatnonzero(rows // size == block)


def _append(dataset: h5py.Dataset, rows: npt.NDArray[Any]) -> None:
    """Add values at the end of a dataset: (sentences,), or (layers, tokens) and (layers, tokens, size)."""
    axis = min(rows.ndim - 1, 1)
    start = dataset.shape[axis]
    if rows.shape[axis]:
        dataset.resize(start + rows.shape[axis], axis=axis)
        dataset[(slice(None),) * axis + (slice(start, None),)] = rows


def _fingerprint(elmo: Elmo, layer: int | Literal["all"], model_digest: str, text: str) -> dict[str, object]:
    number = layer if layer == "all" else as_int(layer) % (elmo.n_layers + 1)
    return {"model": model_digest, "layer": number, "text": text}


class NeighborIndex:
    """An index that `build_index` wrote.  Use it in a ``with`` statement.

    Parameters
    ----------
    path : str or path
        The file.

    Raises
    ------
    InputError
        If it is no index, or a damaged one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._name = str(to_path(path, "an index must be given by its path"))
        try:
            self._file = open_checked(Path(self._name))
        except OSError as error:
            raise InputError(f"{self._name} cannot be read as an index: {error}; build it again") from error
        try:
            self._fingerprint: dict[str, object] = json.loads(attribute(self._file, _ATTRIBUTE))
            for name in ("vectors", "norms", "lengths", "sentences"):
                is_text = name == "sentences"
                if problem := place_problem(self._file, name) or dataset_problem(self._file, name, texts=is_text):
                    raise ValueError(f"{name}: found {problem}")  # noqa: TRY301 -- one message for all of them
            self._vectors: h5py.Dataset = self._file["vectors"]
            self._sentences: h5py.Dataset = self._file["sentences"]
            self._norms: h5py.Dataset = self._file["norms"]
            lengths = self._file["lengths"][()]
            self._starts = np.concatenate([[0], np.cumsum(lengths)])
            if (
                self._vectors.ndim != 3
                or [self._vectors.dtype, self._norms.dtype, lengths.dtype] != [np.float32, np.float32, np.int64]
                or self._vectors.shape[:2] != self._norms.shape
                or self._starts[-1] != self._vectors.shape[1]
                or not 0 <= lengths.min() <= lengths.max() <= self._starts[-1]
                or self._sentences.shape != lengths.shape
                or h5py.check_string_dtype(self._sentences.dtype) is None
            ):
                raise ValueError("its parts do not fit together")  # noqa: TRY301 -- one message for all of them
        except (KeyError, ValueError, TypeError, OSError, RuntimeError, AttributeError) as error:
            with suppress(OSError, RuntimeError):
                self._file.close()
            raise InputError(
                f"{self._name} is no index of vectors, or a damaged one ({error}); build it again"
            ) from error

    def __enter__(self) -> NeighborIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Return the number of tokens."""
        return int(self._starts[-1])

    @property
    def n_sentences(self) -> int:
        """The number of sentences."""
        return len(self._sentences)

    def check(
        self,
        elmo: Elmo,
        sentences: Iterable[Iterable[str]],
        *,
        layer: int | Literal["all"] = -1,
        model_digest: str = "",
    ) -> None:
        """Raise if the index is not of this model, layer and corpus.

        Parameters
        ----------
        elmo, sentences, layer, model_digest
            As for `build_index`.

        Raises
        ------
        InputError
            Names what is different.
        """
        text = TextDigest()
        for tokens in each_sentence(sentences):
            text.add(tokens)
        if other := differences(self._fingerprint, _fingerprint(elmo, layer, model_digest, str(text))):
            raise InputError(
                f"{self._name} was built with {', '.join(other)}; build it again, under another name or in its place"
            )

    def search(
        self, query: Array, k: int = 10, *, layer: int = -1, leave_out: tuple[int, int] | None = None
    ) -> list[Neighbor]:
        """Return the nearest occurrences by cosine.

        Parameters
        ----------
        query : ndarray, shape (n_features,)
            The vector of a token, of the layer that the index was built with.
        k : int
            Number of neighbours.
        layer : int
            Which of the layers that the index holds: the last or only one by default.
        leave_out : tuple of (int, int), optional
            Sentence and position of an occurrence that does not count: the query itself.

        Returns
        -------
        list of Neighbor
            The nearest first; equally near ones in the order of the corpus.

        Raises
        ------
        InputError
            If `k` is not positive, the query has another length or is not finite, there is no such layer, or no such
            occurrence to leave out, or the file is damaged.
        """
        k = check_count("k", k)
        query = check_vectors(query, "query", n_axes=1)
        if query.shape != self._vectors.shape[2:]:
            raise InputError(f"the query must have the shape {self._vectors.shape[2:]}, not {query.shape}")
        if not np.isfinite(query).all():
            raise InputError("the query holds NaN or infinity; was it the mean of nothing?")
        if leave_out is not None and not self._has(*leave_out):
            raise InputError(f"there is no token {leave_out[1]} in a sentence {leave_out[0]} to leave out")
        number = self._layer(layer)
        unit = query / max(float(np.linalg.norm(query)), _TINY)
        skip = None if leave_out is None else self._starts[leave_out[0]] + leave_out[1]
        best = np.empty((0, 2))  # similarity and row
        for start in range(0, len(self), CHUNK_ROWS):
            chunk = self._read(self._vectors, (number, slice(start, start + CHUNK_ROWS)))  # [chunk, size]
            similarity = chunk @ unit.astype(np.float32)  # [chunk]
            rows = np.arange(start, start + len(similarity))
            kept = rows != skip
            best = np.concatenate([best, np.stack([similarity[kept], rows[kept]], axis=1)])
            best = best[np.lexsort((best[:, 1], -best[:, 0]))[:k]]
        return [self._neighbor(float(similarity), int(row)) for similarity, row in best]

    def occurrences(self, word: str) -> list[tuple[int, int]]:
        """Return where a word occurs: numbers of sentences and positions, in the order of the corpus.

        Parameters
        ----------
        word : str
            One token, compared exactly.

        Returns
        -------
        list of (int, int)

        Raises
        ------
        InputTypeError
            If the word is not a string.
        InputError
            If the file is damaged.
        """
        [word] = check_tokens([word], "word")
        needle = json.dumps(word).encode()
        found = []
        for start in range(0, self.n_sentences, CHUNK_ROWS):
            rows = self._read(self._sentences, slice(start, start + CHUNK_ROWS))
            for number, row in enumerate(rows, start):
                if needle in row:  # most sentences need not be decoded
                    found += [(number, place) for place, token in enumerate(self._tokens(row)) if token == word]
        return found

    def sentences(self, numbers: Sequence[int]) -> list[list[str]]:
        """Return the tokens of sentences.

        Parameters
        ----------
        numbers : sequence of int
            Their numbers in the corpus, from 0.

        Returns
        -------
        list of list of str

        Raises
        ------
        InputError
            If there is no such sentence, or the file is damaged.
        """
        wanted = np.array(numbers, np.intp)
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < self.n_sentences:
            raise InputError(f"the index has {self.n_sentences:,} sentences, from 0; some of the numbers are of none")
        found: list[list[str]] = [[]] * len(wanted)
        for block, here in _blocks(wanted, SENTENCE_ROWS):
            rows = self._read(self._sentences, block)
            for place in here:
                found[place] = self._tokens(rows[wanted[place] - block.start])
        return found

    def vectors(self, places: Sequence[tuple[int, int]], *, layer: int = -1) -> Array:
        """Return the vectors of some tokens, as `Elmo.embed` gives them up to the rounding of one product.

        Parameters
        ----------
        places : sequence of (int, int)
            Sentences and positions.
        layer : int
            Which of the layers that the index holds: the last or only one by default.

        Returns
        -------
        ndarray of float32, shape (n_places, n_features)

        Raises
        ------
        InputError
            If there is no such token or layer, or the file is damaged.
        """
        number = self._layer(layer)
        for sentence, position in places:
            if not self._has(sentence, position):
                raise InputError(f"there is no token {position} in a sentence {sentence}")
        rows = np.array([self._starts[sentence] + position for sentence, position in places], np.intp)
        found = np.empty((len(rows), self._vectors.shape[2]), np.float32)
        for block, here in _blocks(rows, CHUNK_ROWS):
            units, norms = self._read(self._vectors, (number, block)), self._read(self._norms, (number, block))
            inside = rows[here] - block.start
            found[here] = units[inside] * norms[inside, np.newaxis]
        return found

    def _layer(self, layer: int) -> int:
        n = len(self._vectors)
        number = as_int(layer)
        if not isinstance(number, int) or isinstance(number, bool) or not -n <= number < n:
            raise InputError(f"the index holds {n} layer(s), there is no layer {layer!r} in it")
        return number % n

    def _has(self, sentence: int, position: int) -> bool:
        return (
            0 <= sentence < len(self._starts) - 1
            and 0 <= position < self._starts[sentence + 1] - self._starts[sentence]
        )

    def _read(self, dataset: h5py.Dataset, rows: slice | tuple[int, slice]) -> Any:
        try:
            return dataset[rows]
        except (OSError, RuntimeError) as error:
            raise InputError(f"{self._name} is damaged ({error}); build it again") from error

    def _tokens(self, row: bytes) -> list[str]:
        try:
            return check_tokens(json.loads(row))
        except (ValueError, TypeError) as error:
            raise InputError(f"{self._name} is damaged (a sentence is {row!r:.60}); build it again") from error

    def _neighbor(self, similarity: float, row: int) -> Neighbor:
        sentence = int(np.searchsorted(self._starts, row, side="right")) - 1
        [tokens] = self.sentences([sentence])
        return Neighbor(similarity, sentence, row - int(self._starts[sentence]), tokens)
