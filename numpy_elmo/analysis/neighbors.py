"""Nearest occurrences by context: which tokens of a corpus are used as this one is here.

The paper shows it for "play" (Peters et al. 2018, arXiv:1802.05365, table 4): the nearest words of its GloVe vector are
spread over the senses, and the nearest occurrences of its biLM vector in a sentence share the sense, and the part of
speech, that it has there.

An index holds the vector of every token of a corpus, at one layer, in an HDF5 file.  A search compares the query with
all of them, exactly, some thousand at a time.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from numpy_elmo.corpus.resume import TextDigest, differences
from numpy_elmo.elmo import CorpusReport, Elmo
from numpy_elmo.errors import InputError
from numpy_elmo.files.hdf5 import dataset_problem, open_checked
from numpy_elmo.files.places import to_path
from numpy_elmo.files.writing import new_hdf5
from numpy_elmo.layers.arrays import Array, check_vectors
from numpy_elmo.network.batching import bounded_batches
from numpy_elmo.network.checks import check_count, each_sentence

# Vectors that are compared at a time: at the published size, 1,024 features, 32 MB.
CHUNK_ROWS = 8192

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
    layer: int = -1,
    model_digest: str = "",
    progress: Callable[[CorpusReport], object] = lambda _: None,
) -> None:
    """Write the index of a corpus, in place of what was there.

    Parameters
    ----------
    path : str or path
        The HDF5 file to make; it appears when it is complete.
    elmo : Elmo
        The model.
    sentences : iterable of token lists
        The corpus, of any size.
    layer : int
        The layer whose vectors are compared: the last one, -1, is best at senses in the paper; 0 knows spelling alone.
    model_digest : str
        What tells the model from others, see `numpy_elmo.corpus.resume.model_digest`.
    progress : callable, optional
        Called now and then with the counts of what is done.

    Raises
    ------
    InputTypeError, InputError
        As for `Elmo.embed_corpus`; also if there is no token.
    OutputError
        If the file cannot be written.
    """
    text, report = TextDigest(), CorpusReport()
    pending: deque[list[str]] = deque()  # read ahead, and not embedded yet

    def remembered() -> Iterator[list[str]]:
        for tokens in each_sentence(sentences):
            text.add(tokens)
            pending.append(tokens)
            yield tokens

    with new_hdf5(path) as file:
        size = elmo.vector_size
        stored = (
            file.create_dataset("vectors", (0, size), np.float32, maxshape=(None, size), chunks=(256, size)),
            file.create_dataset("lengths", (0,), np.int64, maxshape=(None,), chunks=(1024,)),
            file.create_dataset("sentences", (0,), h5py.string_dtype(), maxshape=(None,), chunks=(1024,)),
        )
        vectors = ((pending.popleft(), array) for array in elmo.embed_corpus(remembered(), layers=layer, report=report))
        for some in bounded_batches(vectors, CHUNK_ROWS, lambda pair: len(pair[0]), CHUNK_ROWS):
            rows = np.concatenate([array for _, array in some])  # [tokens, size]
            units = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
            parts = (units, [len(tokens) for tokens, _ in some], [json.dumps(tokens) for tokens, _ in some])
            for dataset, part in zip(stored, parts, strict=True):
                if len(part):
                    dataset.resize(len(dataset) + len(part), axis=0)
                    dataset[-len(part) :] = part
            progress(report)
        if not len(stored[0]):
            raise InputError("there is no token to index; give text")
        file.attrs[_ATTRIBUTE] = json.dumps(_fingerprint(elmo, layer, model_digest, str(text)))


def _fingerprint(elmo: Elmo, layer: int, model_digest: str, text: str) -> dict[str, object]:
    return {"model": model_digest, "layer": layer % (elmo.n_layers + 1), "text": text}


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
            self._fingerprint: dict[str, object] = json.loads(self._file.attrs[_ATTRIBUTE])
            self._vectors: h5py.Dataset = self._file["vectors"]
            self._sentences: h5py.Dataset = self._file["sentences"]
            for name in ("vectors", "lengths"):
                if problem := dataset_problem(self._file, name):
                    raise ValueError(f"{name}: found {problem}")  # noqa: TRY301 -- one message for all of them
            lengths = self._file["lengths"][()]
            self._starts = np.concatenate([[0], np.cumsum(lengths)])
            if (
                self._vectors.ndim != 2
                or self._starts[-1] != len(self._vectors)
                or lengths.min() < 0
                or len(self._sentences) != len(lengths)
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

    def check(self, elmo: Elmo, sentences: Iterable[Iterable[str]], *, layer: int = -1, model_digest: str = "") -> None:
        """Raise if the index is not of this model, layer and corpus.

        Parameters
        ----------
        elmo, sentences, layer, model_digest
            As for `build_index`.

        Raises
        ------
        InputError
            Naming what is different.
        """
        text = TextDigest()
        for tokens in each_sentence(sentences):
            text.add(tokens)
        if other := differences(self._fingerprint, _fingerprint(elmo, layer, model_digest, str(text))):
            raise InputError(
                f"{self._name} was built with {', '.join(other)}; build it again, under another name or in its place"
            )

    def search(self, query: Array, k: int = 10, *, leave_out: tuple[int, int] | None = None) -> list[Neighbor]:
        """Return the nearest occurrences by cosine.

        Parameters
        ----------
        query : ndarray, shape (n_features,)
            The vector of a token, of the layer that the index was built with.
        k : int
            How many.
        leave_out : tuple of (int, int), optional
            Sentence and position of an occurrence that does not count: the query itself.

        Returns
        -------
        list of Neighbor
            The nearest first; equally near ones in the order of the corpus.

        Raises
        ------
        InputError
            If `k` is not positive, the query has another length or is not finite, there is no such occurrence to leave
            out, or the file is damaged.
        """
        k = check_count("k", k)
        query = check_vectors(query, "query", n_axes=1)
        if query.shape != self._vectors.shape[1:]:
            raise InputError(f"the query must have the shape {self._vectors.shape[1:]}, not {query.shape}")
        if not np.isfinite(query).all():
            raise InputError("the query holds NaN or infinity; was it the mean of nothing?")
        if leave_out is not None and not self._has(*leave_out):
            raise InputError(f"there is no token {leave_out[1]} in a sentence {leave_out[0]} to leave out")
        unit = query / max(float(np.linalg.norm(query)), _TINY)
        skip = None if leave_out is None else self._starts[leave_out[0]] + leave_out[1]
        best = np.empty((0, 2))  # similarity and row
        for start in range(0, len(self), CHUNK_ROWS):
            similarity = self._read(self._vectors, slice(start, start + CHUNK_ROWS)) @ unit.astype(
                np.float32
            )  # [chunk]
            rows = np.arange(start, start + len(similarity))
            kept = rows != skip
            best = np.concatenate([best, np.stack([similarity[kept], rows[kept]], axis=1)])
            best = best[np.lexsort((best[:, 1], -best[:, 0]))[:k]]
        return [self._neighbor(float(similarity), int(row)) for similarity, row in best]

    def _has(self, sentence: int, position: int) -> bool:
        return (
            0 <= sentence < len(self._starts) - 1
            and 0 <= position < self._starts[sentence + 1] - self._starts[sentence]
        )

    def _read(self, dataset: h5py.Dataset, rows: slice | int) -> Any:
        try:
            return dataset[rows]
        except (OSError, RuntimeError) as error:
            raise InputError(f"{self._name} is damaged ({error}); build it again") from error

    def _neighbor(self, similarity: float, row: int) -> Neighbor:
        sentence = int(np.searchsorted(self._starts, row, side="right")) - 1
        tokens = json.loads(self._read(self._sentences, sentence))
        return Neighbor(similarity, sentence, row - int(self._starts[sentence]), tokens)
