"""Vectors of spans and of target words, taken from the vectors of sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import index

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.layers.arrays import Array, check_vectors
from numpy_elmo.layers.pooling import Pooling, pool
from numpy_elmo.network.checks import check_sentences, check_tokens, each_sentence


def span_vectors(vectors: npt.ArrayLike, spans: Iterable[tuple[int, int]], pooling: Pooling = "mean") -> Array:
    """Return one vector for each of some spans of a sentence, such as phrases or mentions.

    Parameters
    ----------
    vectors : ndarray, shape (..., n_tokens, n_features)
        Vectors of one sentence, without boundaries; of one layer or of all.
    spans : iterable of (int, int)
        First token and the token after the last, as in a Python slice: ``(1, 3)`` has the tokens 1 and 2.  Formats
        that name the last token itself, as AllenNLP's spans do, need 1 added to it.
    pooling : {"mean", "max", "sum", "first", "last"}
        As for `numpy_elmo.layers.pooling.pool`.

    Returns
    -------
    ndarray, shape (..., n_spans, n_features)
        In the order of the spans, which may overlap.

    Raises
    ------
    InputTypeError
        If a span is not a pair of integers, or the vectors are not an array of numbers.
    InputError
        If a span is empty, or not inside the sentence; or there is no such pooling.

    Examples
    --------
    >>> import numpy as np
    >>> span_vectors(np.array([[1.0], [2.0], [6.0]]), [(0, 1), (1, 3)])
    array([[1.],
           [4.]])
    """
    vectors = check_vectors(vectors, "vectors")
    n_tokens = vectors.shape[-2]
    if not isinstance(spans, Iterable):
        raise InputTypeError(f"spans must be a list of pairs of integers, not {type(spans).__name__}")
    pooled = [
        pool(vectors[..., start:end, :], pooling)
        for start, end in (_check_span(span, number, n_tokens) for number, span in enumerate(spans))
    ]
    if not pooled:
        return np.zeros((*vectors.shape[:-2], 0, vectors.shape[-1]), vectors.dtype)
    return np.stack(pooled, axis=-2)  # [..., n_spans, n_features]


def occurrences(sentences: Iterable[Iterable[str]], word: str) -> Iterator[tuple[int, int]]:
    """Find a word in some sentences.

    Parameters
    ----------
    sentences : iterable of token lists
        Tokenised sentences.
    word : str
        One token, compared exactly: ``"Bank"`` is not ``"bank"``.

    Yields
    ------
    int, int
        Number of the sentence and position of the token, both from 0.

    Raises
    ------
    InputTypeError
        If a sentence is a string instead of a list of tokens, or the word is not a string.
    """
    [word] = check_tokens([word], "word")
    return (
        (number, position)
        for number, sentence in enumerate(each_sentence(sentences))
        for position, token in enumerate(sentence)
        if token == word
    )


def target_vectors(sentences: Iterable[Iterable[str]], vectors: Sequence[npt.ArrayLike], word: str) -> Array:
    """Return the vectors of a word wherever it occurs, in the order of `occurrences`.

    Parameters
    ----------
    sentences : iterable of token lists
        Tokenised sentences.
    vectors : sequence of ndarray, each of shape (..., n_tokens, n_features)
        Their vectors, without boundaries: what `Elmo.embed` gave, or a file of them from
        `numpy_elmo.corpus.load_embeddings`, of which only the sentences with the word are read.
    word : str
        One token, compared exactly.

    Returns
    -------
    ndarray, shape (..., n_occurrences, n_features)

    Raises
    ------
    InputTypeError
        If a sentence is a string instead of a list of tokens.
    InputError
        If the word does not occur, or the sentences and the vectors differ in number or in length.

    Examples
    --------
    >>> import numpy_elmo
    >>> elmo = numpy_elmo.load("tiny")
    >>> sentences = [["the", "river", "bank"], ["my", "bank", "is", "a", "bank"]]
    >>> target_vectors(sentences, elmo.embed(sentences, layers="top"), "bank").shape
    (3, 256)
    """
    texts = check_sentences(sentences)
    if not hasattr(vectors, "__len__") or not hasattr(vectors, "__getitem__"):
        raise InputTypeError(f"vectors must be a list of arrays or a file of them, not {type(vectors).__name__}")
    if len(texts) != len(vectors):
        raise InputError(f"there are {len(texts)} sentences and vectors of {len(vectors)}; give both of the same text")
    found = [_token(vectors[k], texts[k], k, position) for k, position in occurrences(texts, word)]
    if not found:
        raise InputError(f"{word!r} does not occur in the sentences; words are compared exactly, case included")
    return np.stack(found, axis=-2)  # [..., n_occurrences, n_features]


def _token(given: npt.ArrayLike, sentence: Sequence[str], number: int, position: int) -> Array:
    vectors = check_vectors(given, f"the vectors of sentence {number}")
    if vectors.shape[-2] != len(sentence):
        raise InputError(
            f"sentence {number} has {len(sentence)} tokens and {vectors.shape[-2]} vectors; were it and its vectors "
            "tokenised alike, and are the boundaries left out?"
        )
    return vectors[..., position, :]


def _check_span(span: tuple[int, int], number: int, n_tokens: int) -> tuple[int, int]:
    try:
        start, end = map(index, span)
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"span {number} must be a pair of integers, the first token and the one after the last, not {span!r}"
        ) from error
    if start == end:
        raise InputError(f"span {number}, ({start}, {end}), is empty; the second number is that after the last token")
    if not 0 <= start < end <= n_tokens:
        raise InputError(
            f"span {number}, ({start}, {end}), is not inside a sentence of {n_tokens} tokens; "
            f"give 0 <= first < end <= {n_tokens}"
        )
    return start, end
