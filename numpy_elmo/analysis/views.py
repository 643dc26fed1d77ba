"""The numbers that the pictures and the explorer show: similarities, gates, planes, clusters, contexts.

`numpy_elmo.analysis.plots` draws them with matplotlib, `numpy_elmo.analysis.explore` sends them to its page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.analysis.words import without_unknown
from numpy_elmo.errors import InputError
from numpy_elmo.language_model import LanguageModel, WordScore
from numpy_elmo.layers.arrays import Array, check_vectors
from numpy_elmo.network.checks import as_int, check_count, check_tokens

__all__ = [
    "Expected",
    "Gates",
    "Plane",
    "clusters",
    "context",
    "even_places",
    "expected",
    "gate_values",
    "principal_plane",
    "similarities",
]

Direction: TypeAlias = Literal["forward", "backward"]
Points: TypeAlias = npt.NDArray[np.float64]

DIRECTIONS: tuple[Direction, Direction] = ("forward", "backward")
GATES = ("input_gate", "forget_gate", "output_gate", "cell")

_TINY = float(np.finfo(np.float32).tiny)
_RESTARTS = 8
_ROUNDS = 100
_SAMPLE = 2000


def similarities(vectors: npt.ArrayLike, others: npt.ArrayLike | None = None) -> Array:
    r"""Return the cosine of every two tokens in every layer, :math:`u \cdot v / (\|u\| \, \|v\|)`.

    Parameters
    ----------
    vectors : ndarray, shape (..., n_tokens, n_features)
        The vectors of a sentence, of one layer or of all.
    others : ndarray, shape (..., n_others, n_features), optional
        Those of a second sentence, to compare the tokens of the first one with; itself by default.

    Returns
    -------
    ndarray, shape (..., n_tokens, n_others)

    Raises
    ------
    InputTypeError
        If the vectors are not arrays of numbers.
    InputError
        If they have less than two axes.

    Examples
    --------
    >>> import numpy_elmo
    >>> [vectors] = numpy_elmo.load("tiny").embed([["They", "sat", "down", "."]])
    >>> similarities(vectors).shape
    (3, 4, 4)
    """
    u, v = (check_vectors(given) for given in (vectors, vectors if others is None else others))
    u, v = (array / np.maximum(np.linalg.norm(array, axis=-1, keepdims=True), _TINY) for array in (u, v))
    cosines: Array = u @ v.swapaxes(-1, -2)
    return cosines


class Gates(NamedTuple):
    """What some units of an LSTM layer do over a sentence.

    Attributes
    ----------
    units : ndarray of int, shape (n_units,)
        Their numbers, in order.
    values : dict of str to ndarray, each of shape (n_tokens + 2, n_units)
        ``"input_gate"``, ``"forget_gate"``, ``"output_gate"`` and ``"cell"``; a row per token, boundaries included.
    """

    units: npt.NDArray[np.intp]
    values: dict[str, Array]


def gate_values(
    trace: dict[str, npt.NDArray[Any]], *, direction: Direction = "forward", layer: int = 1, n_units: int = 24
) -> Gates:
    """Return the gates and the cell of those units whose cell varies most over the sentence.

    Parameters
    ----------
    trace : dict of str to ndarray
        What `Elmo.trace` returned.
    direction : {"forward", "backward"}
        The stack.
    layer : int
        The layer, counted as in `Elmo.embed`: 1 is the first LSTM layer.  Layer 0, the tokens, has no gates.
    n_units : int
        How many units; all, if the layer has fewer.

    Returns
    -------
    Gates

    Raises
    ------
    InputError
        If there is no such direction or layer, or `n_units` is not positive.
    """
    if direction not in DIRECTIONS:
        raise InputError(f'direction must be "forward" or "backward", not {direction!r}')
    n_layers = sum(f"forward.{number}.cell" in trace for number in range(len(trace)))
    number = as_int(layer)
    if isinstance(number, int) and number < 0:
        number += n_layers + 1
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= n_layers:
        raise InputError(f"the model has gates in the layers 1 to {n_layers}, not in layer {layer}")
    n_units = check_count("n_units", n_units)
    arrays = {name: trace[f"{direction}.{number - 1}.{name}"] for name in GATES}  # [N, D] each
    units = np.sort(np.argsort(-arrays["cell"].var(axis=0), kind="stable")[:n_units])
    return Gates(units, {name: array[:, units] for name, array in arrays.items()})


class Expected(NamedTuple):
    """The words that a language model expects around a token, the likeliest first.

    Attributes
    ----------
    before, in_place, after : list of WordScore
        Words with their log-probabilities: before the token, seen from it and what follows it; in its place, seen from
        both sides of it; after it, seen from it and what precedes it.
    """

    before: list[WordScore]
    in_place: list[WordScore]
    after: list[WordScore]


def expected(
    model: LanguageModel, tokens: Iterable[str], position: int, k: int = 10, *, unknown: bool = False
) -> Expected:
    """Return the words that the model expects before a token, in its place and after it.

    Parameters
    ----------
    model : LanguageModel
        The model with its softmax.
    tokens : iterable of str
        The sentence.
    position : int
        The token's place, from 0.
    k : int
        Words wanted at each of the three places.
    unknown : bool
        Whether ``<UNK>``, all words outside the vocabulary, may be among them.

    Returns
    -------
    Expected

    Raises
    ------
    InputError
        If there is no such position, or k is not positive.
    InputTypeError
        If `tokens` is a string, or a token is not one.
    """
    sentence = check_tokens(tokens)
    k = check_count("k", k)
    in_place = model.substitutes(sentence, position, k, combine="product")  # checks the position
    return Expected(
        without_unknown(lambda n: model.previous_words(sentence[position:], n), k, show=unknown),
        in_place,
        without_unknown(lambda n: model.next_words(sentence[: position + 1], n), k, show=unknown),
    )


class Plane(NamedTuple):
    """The first principal components of some vectors.

    Attributes
    ----------
    mean : ndarray, shape (n_features,)
        The mean of the vectors.
    axes : ndarray, shape (n_axes, n_features)
        Orthogonal unit vectors: the directions in which the vectors differ most, the first one first.
    shares : ndarray, shape (n_axes,)
        The share of the variance along each.
    """

    mean: Points
    axes: Points
    shares: Points

    def project(self, vectors: npt.ArrayLike) -> Points:
        """Return the coordinates of vectors along the axes, shape (..., n_axes)."""
        points: Points = (np.asarray(vectors, np.float64) - self.mean) @ self.axes.T
        return points


def principal_plane(vectors: npt.ArrayLike, n_axes: int = 2) -> Plane:
    """Return the directions in which vectors differ most: of the centred vectors X = U S V^T, the first rows of V^T.

    Parameters
    ----------
    vectors : ndarray, shape (n, n_features)
        The vectors.
    n_axes : int
        How many directions; fewer where there are fewer vectors or features.

    Returns
    -------
    Plane

    Raises
    ------
    InputTypeError
        If the vectors are not an array of numbers.
    InputError
        If the vectors are all the same.
    """
    given = check_vectors(vectors).astype(np.float64)
    n_axes = check_count("n_axes", n_axes)
    mean = given.mean(axis=0)
    X = given - mean
    if np.abs(X).max() <= 1e-6 * np.abs(given).max():
        raise InputError("the vectors are the same everywhere, as in layer 0, which knows no context; choose another")
    # Of many vectors, X^T X has the same V and is much smaller.
    tall = len(X) > X.shape[1]
    _, S, V = np.linalg.svd(X.T @ X if tall else X, full_matrices=False)
    variances, axes = (S if tall else S**2), V[:n_axes]
    # The sign of a component is free; with its largest weight positive, the picture is the same on every machine.
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return Plane(mean, axes * signs[:, np.newaxis], variances[: len(axes)] / variances.sum())


def clusters(points: npt.ArrayLike, k: int = 2) -> npt.NDArray[np.intp]:
    """Divide points into clusters by k-means: every point belongs to the cluster whose mean is nearest.

    The best of eight starts is taken, each from points drawn far from each other (k-means++).  The means are those of
    at most 2,000 points, evenly taken from all.  The same points give the same clusters every time.

    Parameters
    ----------
    points : ndarray, shape (n, n_features)
        The points; at least k.
    k : int
        The number of clusters.

    Returns
    -------
    ndarray of int, shape (n,)
        The cluster of each point, from 0, the largest first.

    Raises
    ------
    InputTypeError
        If the points are not an array of numbers.
    InputError
        If there are fewer points than clusters, or k is not positive.

    References
    ----------
    Arthur and Vassilvitskii 2007, "k-means++: The Advantages of Careful Seeding".
    """
    X = check_vectors(points, "points").astype(np.float64)
    k = check_count("k", k)
    if len(X) < k:
        raise InputError(f"{len(X)} points cannot be divided into {k} clusters; choose fewer")
    rng = np.random.default_rng(0)
    sample = X[even_places(len(X), _SAMPLE)]
    _, means = min((_lloyd(sample, _seeds(sample, k, rng)) for _ in range(_RESTARTS)), key=lambda found: found[0])
    labels = _squared_distances(X, means).argmin(axis=1)
    order = np.argsort(-np.bincount(labels, minlength=k), kind="stable")
    by_size: npt.NDArray[np.intp] = np.argsort(order)[labels]
    return by_size


def even_places(n: int, most: int) -> npt.NDArray[np.intp]:
    """Return the places from 0 to n - 1, or so many of them at even distances, the first and the last among them.

    Parameters
    ----------
    n : int
        How many there are.
    most : int
        How many are wanted at most; at least 2.

    Returns
    -------
    ndarray of int, shape (min(n, most),)

    Examples
    --------
    >>> even_places(7, 3)
    array([0, 3, 6])
    """
    places: npt.NDArray[np.intp] = np.linspace(0, n - 1, min(n, most)).round().astype(np.intp)
    return places


def _seeds(X: Points, k: int, rng: np.random.Generator) -> Points:
    """Return k of the points, each drawn with a chance in proportion to its squared distance from those before it."""
    chosen = [int(rng.integers(len(X)))]
    distances = np.full(len(X), np.inf)
    for _ in range(k - 1):
        distances = np.minimum(distances, ((X - X[chosen[-1]]) ** 2).sum(axis=1))
        total = distances.sum()
        chosen.append(int(rng.choice(len(X), p=distances / total)) if total > 0 else chosen[-1])
    return X[chosen]


def _lloyd(X: Points, means: Points) -> tuple[float, Points]:
    """Move means, (k, d), to the middle of the points nearest to them until they stay; return the squares' sum too."""
    labels = np.full(len(X), -1)
    for _ in range(_ROUNDS):
        distances = _squared_distances(X, means)  # [n, k]
        before, labels = labels, distances.argmin(axis=1)
        if np.array_equal(before, labels):
            break
        means = np.stack([X[labels == c].mean(axis=0) if (labels == c).any() else means[c] for c in range(len(means))])
    return float(distances.min(axis=1).sum()), means


def _squared_distances(X: Points, means: Points) -> Points:
    """Return the squared distance of each point from each mean, (n, k)."""
    distances: Points = (X**2).sum(axis=1, keepdims=True) - 2 * X @ means.T + (means**2).sum(axis=1)
    return distances


def context(tokens: Sequence[str], position: int, width: int = 58) -> tuple[str, str]:
    """Return the text before and after a token, as many tokens on both sides as there is room for.

    Parameters
    ----------
    tokens : sequence of str
        A sentence.
    position : int
        The token's place, from 0.
    width : int
        Characters that both sides and the token may have together.

    Returns
    -------
    str, str
        Tokens with spaces between them; an ellipsis where tokens are left out.

    Examples
    --------
    >>> context("He sat down on the bank of the river .".split(), 5, width=20)
    ('… on the', 'of the …')
    """
    tokens = check_tokens(tokens)
    start, end = position, position + 1
    while True:
        wider = [(max(start - 1, 0), end), (start, min(end + 1, len(tokens)))]
        if position - start > end - position - 1:
            wider.reverse()  # the shorter side grows first
        fitting = [(a, b) for a, b in wider if (a, b) != (start, end) and len(" ".join(tokens[a:b])) <= width]
        if not fitting:
            break
        start, end = fitting[0]
    before, after = ["…"] * (start > 0), ["…"] * (end < len(tokens))
    return " ".join([*before, *tokens[start:position]]), " ".join([*tokens[position + 1 : end], *after])
