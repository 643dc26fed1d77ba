"""ELMo vectors of texts as a transformer of scikit-learn.

In a pipeline, in place of a bag of words::

    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from numpy_elmo.interfaces.sklearn import ElmoVectorizer

    classifier = make_pipeline(ElmoVectorizer("tiny"), LogisticRegression())
    classifier.fit(texts, labels)

It needs scikit-learn, the extra ``sklearn``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from numpy_elmo.elmo import Elmo, Layers, load
from numpy_elmo.errors import InputError, InputTypeError, MissingExtraError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import Pooling, pool

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
except ImportError as error:
    raise MissingExtraError(
        "ElmoVectorizer needs scikit-learn 1.6 or newer: pip install 'numpy_elmo[sklearn]'"
    ) from error

__all__ = ["ElmoVectorizer"]


class ElmoVectorizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Texts in, one vector a text out.

    A text is one sentence: its vector depends on nothing else, and there is nothing to learn in `fit`.  The models were
    trained on cased text with punctuation split off, so a `tokenizer` that does this gives better vectors than the
    default.

    A vectorizer holds the name of its model, not the weights: clones and pickles are small, and the model is loaded
    where one is used first.  The two models used last stay in memory, for all vectorizers of the process.

    Parameters
    ----------
    model : str or path
        A folder, a zip or a model's name, as for `numpy_elmo.load`.
    layers : {"average", "top", "all"}, int or ScalarMix
        As for `Elmo.embed`; "all" puts the L + 1 layers one after the other.
    pooling : {"mean", "max", "sum", "first", "last"}
        How the vectors of a text's tokens become one; as for `numpy_elmo.layers.pooling.pool`.
    tokenizer : callable, optional
        Takes a text and returns its tokens.  By default texts are split at white space.  Texts that are lists of
        tokens already need ``tokenizer=list``.
    batch_size : int
        Texts that run together.

    Examples
    --------
    >>> from numpy_elmo.interfaces.sklearn import ElmoVectorizer
    >>> ElmoVectorizer(pooling="max").transform(["They sat on the river bank .", "The bank lent money ."]).shape
    (2, 192)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "tiny",
        *,
        layers: Layers = "average",
        pooling: Pooling = "mean",
        tokenizer: Callable[[Any], Sequence[str]] | None = None,
        batch_size: int = 64,
    ) -> None:
        self.model = model
        self.layers = layers
        self.pooling = pooling
        self.tokenizer = tokenizer
        self.batch_size = batch_size

    def fit(self, X: Iterable[Any], y: object = None) -> ElmoVectorizer:
        """Check the parameters and load the model; the texts are not read.

        Parameters
        ----------
        X : iterable of str
            Texts.
        y : object
            Not used.

        Returns
        -------
        ElmoVectorizer
            This one.

        Raises
        ------
        ModelNotFoundError, OptionsError, WeightsError
            As for `numpy_elmo.load`.
        InputTypeError
            If `X` is one string.
        InputError
            If a parameter has a value that is not listed above.
        """
        _check_not_one_text(X)
        self._embed([])
        return self

    def transform(self, X: Iterable[Any]) -> Array:
        """Return the vectors of some texts.

        Parameters
        ----------
        X : iterable of str
            Texts: a list, a generator, an array, a column of a table.  A table of one column will do too.  A text
            without tokens has zeros.

        Returns
        -------
        ndarray of float32, shape (n_texts, n_features)
            2 P features, or (L + 1) 2 P with ``layers="all"``.

        Raises
        ------
        ModelNotFoundError, OptionsError, WeightsError
            As for `numpy_elmo.load`.
        InputTypeError
            If a text is no string (a missing value, for instance), or the tokenizer returns something else than tokens.
        InputError
            If `X` has several columns, or a parameter has a value that is not listed above.
        """
        _check_not_one_text(X)
        if self.tokenizer is None:
            return self._embed([_split(text, row) for row, text in enumerate(_one_column(X))])
        return self._embed([self.tokenizer(text) for text in _one_column(X)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # float32, whatever the texts are held in
        tags.requires_fit = False
        return tags

    @property
    def _n_features_out(self) -> int:
        n_features: int = self._embed([]).shape[1]
        return n_features

    def _embed(self, sentences: list[Sequence[str]]) -> Array:
        elmo = _load_shared(_absolute(self.model))
        # A sentence without tokens goes along, so that the number of features is known where there are no texts.
        vectors = elmo.embed([*sentences, []], layers=self.layers, batch_size=self.batch_size)
        return np.stack([pool(array, self.pooling).reshape(-1) for array in vectors])[:-1]


@lru_cache(maxsize=2)
def _load_shared(model: str) -> Elmo:
    return load(model)


def _absolute(model: str | os.PathLike[str]) -> str:
    """Return what names the model wherever the process goes: names stay, paths become absolute."""
    if not isinstance(model, (str, os.PathLike)):
        raise InputTypeError(f"model must be a path or a model's name, not {type(model).__name__}")
    path = Path(model)
    return str(path.resolve()) if path.exists() else os.fspath(model)


def _split(text: Any, row: int) -> list[str]:
    if not isinstance(text, str):
        raise InputTypeError(
            f"text {row} must be a string, not {type(text).__name__} ({text!r:.60}); fill missing texts with '', and "
            "give tokenizer=list where texts are lists of tokens"
        )
    return text.split()


def _check_not_one_text(X: object) -> None:
    if isinstance(X, (str, bytes)):
        raise InputTypeError("X must be several texts, not one string: give [text]")


def _one_column(X: Any) -> Iterable[Any]:
    """Return the texts of a table with one column, which would give the column's name otherwise."""
    shape: tuple[int, ...] = getattr(X, "shape", ())
    if len(shape) != 2:
        texts: Iterable[Any] = X
    elif shape[1] == 1:
        texts = np.asarray(X)[:, 0]
    else:
        raise InputError(
            f"X has {shape[1]} columns; give one, such as X['text'], or put the vectorizer into a ColumnTransformer "
            "with the name of the column"
        )
    return texts
