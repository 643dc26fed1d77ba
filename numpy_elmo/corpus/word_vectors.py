"""One vector per word, as in static embeddings, and the text format of word2vec."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from numpy_elmo.corpus.text import file_name, read_lines
from numpy_elmo.elmo import Elmo, Layers
from numpy_elmo.errors import InputError, VectorsNotFoundError
from numpy_elmo.files.writing import new_file, output_errors
from numpy_elmo.layers.arrays import Array, check_vectors
from numpy_elmo.network.batching import batches
from numpy_elmo.network.checks import check_tokens, each_sentence

# Sentences of a corpus in memory at a time.
_WINDOW = 1024

# More digits than any number of words or features has.
_DIGITS = 19


@dataclass(frozen=True)
class WordVectors:
    """Words and a vector for each.

    Attributes
    ----------
    words : sequence of str
        Distinct words.
    vectors : ndarray, shape (n_words, n_features)
        One row per word.
    counts : ndarray of int, shape (n_words,), or None
        Number of occurrences that a row averages; None if rows are not means.

    Raises
    ------
    InputError
        If a word occurs twice, or words and rows differ in number.

    Examples
    --------
    >>> import numpy as np
    >>> WordVectors(["bank", "river"], np.eye(2))["river"]
    array([0., 1.])
    """

    words: Sequence[str]
    vectors: Array
    counts: npt.NDArray[np.int64] | None = None
    _rows: dict[str, int] = field(init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"<WordVectors: {len(self.words):,} words, {self.vectors.shape[-1]} features>"

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", _check_words(self.words))
        object.__setattr__(self, "_rows", {word: row for row, word in enumerate(self.words)})
        object.__setattr__(self, "vectors", check_vectors(self.vectors))
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise InputError(
                f"{len(self.words)} words need as many rows of vectors, not an array of shape {self.vectors.shape}"
            )

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._rows

    def __getitem__(self, word: str) -> Array:
        if word not in self._rows:
            raise VectorsNotFoundError(f"there is no vector of {word!r} among {len(self)} words")
        vector: Array = self.vectors[self._rows[word]]
        return vector


def token_vectors(elmo: Elmo, vocabulary: Iterable[str]) -> WordVectors:
    """Return the context-independent vectors of words, from their spelling alone.

    These are the vectors of the token layer; layer 0 of `Elmo.embed` holds them twice, side by side.

    Parameters
    ----------
    elmo : Elmo
        The model.
    vocabulary : iterable of str
        Distinct words, such as ``numpy_elmo.files.vocabulary.read_vocabulary(path).words``.  ``<S>`` and ``</S>``
        stand for the sentence boundaries.

    Returns
    -------
    WordVectors
        P features each.

    Raises
    ------
    InputTypeError
        If the vocabulary is one string, or a word is not a string.
    InputError
        If a word occurs twice, or there is none.

    Examples
    --------
    >>> import numpy_elmo
    >>> token_vectors(numpy_elmo.load("tiny"), ["bank", "river"]).vectors.shape
    (2, 128)
    """
    words = _check_words(vocabulary)
    if not words:
        raise InputError("there is no word to make a vector of; give at least one")
    return WordVectors(words, elmo.encoder(words))


def type_vectors(
    elmo: Elmo,
    corpus: Iterable[Iterable[str]],
    words: Iterable[str],
    *,
    layers: Layers = "average",
    batch_size: int = 64,
) -> WordVectors:
    r"""Return the mean of the vectors that words have in the sentences of a corpus.

    .. math:: v_w = \frac{1}{n_w} \sum_{(k, t) : w_{k,t} = w} h_{k,t}

    for a word w that occurs :math:`n_w` times, where :math:`h_{k,t}` is the vector of token t of sentence k.

    Parameters
    ----------
    elmo : Elmo
        The model.
    corpus : iterable of token lists
        Tokenised sentences, as from `numpy_elmo.corpus.read_sentences`.  They are read once; those with none of the
        words are not embedded, because a sentence's vectors do not depend on its neighbours.
    words : iterable of str
        Distinct words, compared exactly.
    layers : {"average", "top"}, int or ScalarMix
        As for `Elmo.embed`, except "all".
    batch_size : int
        Sentences that run together.

    Returns
    -------
    WordVectors
        2 P features each, with `counts`, of the words that occur, in the order given.  Words that do not occur are
        left out: they have no vector in context.

    Raises
    ------
    InputTypeError
        If a sentence or the words are one string, or a token is not a string.
    InputError
        If no word occurs, a word is given twice, or an argument is invalid.
    """
    targets = _check_words(words)
    if isinstance(layers, str) and layers == "all":
        raise InputError('layers="all" gives several vectors per token; choose "average", "top", an int or a ScalarMix')
    rows = {word: row for row, word in enumerate(targets)}
    sums = np.zeros((len(targets), elmo.vector_size), np.float64)
    counts = np.zeros(len(targets), np.int64)
    for window in batches(each_sentence(corpus), _WINDOW):
        chosen = [sentence for sentence in window if not rows.keys().isdisjoint(sentence)]
        for sentence, vectors in zip(chosen, elmo.embed(chosen, layers=layers, batch_size=batch_size), strict=True):
            positions = [position for position, token in enumerate(sentence) if token in rows]
            found = [rows[sentence[position]] for position in positions]
            np.add.at(sums, found, vectors[positions])  # np.add.at: a word may occur twice in a sentence
            np.add.at(counts, found, 1)
    present = counts > 0
    if not present.any():
        raise InputError("none of the words occurs in the corpus; words are compared exactly, case included")
    means = (sums[present] / counts[present, np.newaxis]).astype(elmo.encoder.dtype)
    return WordVectors(
        [word for word, is_there in zip(targets, present, strict=True) if is_there], means, counts[present]
    )


def write_word2vec(path: str | os.PathLike[str], vectors: WordVectors, *, overwrite: bool = False) -> None:
    """Write vectors in the text format of word2vec, which gensim and many other programs read.

    The first line has the number of words and of features; then each line has a word and its numbers, with nine
    digits, enough to read the same float32 back.

    Parameters
    ----------
    path : str or path
        The file to write, in UTF-8.
    vectors : WordVectors
        From `token_vectors` or `type_vectors`, or your own.
    overwrite : bool
        Whether it may replace a file.

    Raises
    ------
    InputError
        If a word is empty or has white space in it, which the format cannot hold.
    OutputError
        If the file exists, or cannot be written.
    """
    for word in vectors.words:
        if word.encode("utf-8", "replace").decode() != word:
            raise InputError(f"{word!r} has a lone surrogate, which UTF-8 cannot hold; replace it")
        if word.split() != [word]:
            raise InputError(
                f"{word!r} is empty or has white space in it, which separates words and numbers in this format; "
                "replace it, for instance by _"
            )
    n_words, n_features = vectors.vectors.shape
    numbers = " ".join(["%.9g"] * n_features)
    with (
        new_file(path, overwrite=overwrite) as partial,
        output_errors(path),
        partial.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(f"{n_words} {n_features}\n")
        for word, row in zip(vectors.words, vectors.vectors, strict=True):
            file.write(f"{word} {numbers % tuple(row)}\n")


def read_word2vec(path: str | os.PathLike[str]) -> WordVectors:
    """Read vectors in the text format of word2vec.

    Parameters
    ----------
    path : str or path
        The file, in UTF-8.

    Returns
    -------
    WordVectors
        In float32.

    Raises
    ------
    InputError
        If the file cannot be read, or is not in this format; the message names the line.
    """
    name = file_name(path)
    lines = read_lines(path)
    _, header = next(lines, (1, ""))
    sizes = header.split()
    if len(sizes) != 2 or not all(size.isdecimal() and len(size) < _DIGITS for size in sizes):
        raise InputError(f"{name}, line 1: expected the number of words and of features, not {header[:40]!r}")
    n_words, n_features = map(int, sizes)
    words: list[str] = []
    rows: list[Array] = []
    for number, line in lines:
        word, *values = line.rstrip().split(" ")
        try:
            row = np.array(values, dtype=np.float32)
        except ValueError as error:
            raise InputError(f"{name}, line {number}: {error}; expected a word and numbers") from error
        if len(row) != n_features:
            raise InputError(f"{name}, line {number}: {len(row)} numbers, where the first line says {n_features}")
        if not np.isfinite(row).all():
            raise InputError(f"{name}, line {number}: a number that is not finite; remove the word, or repair the file")
        words.append(word)
        rows.append(row)
    if len(words) != n_words:
        raise InputError(f"{name} has {len(words)} words, where its first line says {n_words}; is it cut off?")
    return WordVectors(words, np.array(rows, np.float32).reshape(n_words, n_features))


def _check_words(words: Iterable[str]) -> tuple[str, ...]:
    checked = tuple(check_tokens(words, "words"))
    if len(set(checked)) < len(checked):
        [(twice, _)] = Counter(checked).most_common(1)
        raise InputError(f"{twice!r} occurs more than once; give every word once")
    return checked
