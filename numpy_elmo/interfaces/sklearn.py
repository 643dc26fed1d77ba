"""ELMo vectors of texts as a scikit-learn transformer.

In a pipeline, in place of a bag of words::

    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from numpy_elmo.interfaces.sklearn import ElmoVectorizer

    classifier = make_pipeline(ElmoVectorizer("tiny"), LogisticRegression())
    classifier.fit(texts, labels)

Install the extra ``sklearn``.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from numpy_elmo.elmo import Elmo, Layers, load
from numpy_elmo.errors import MissingExtraError
from numpy_elmo.files.places import exists, to_path
from numpy_elmo.interfaces.texts import check_column, check_texts
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
    """One vector per text.

    A text is one sentence; its vector depends on nothing else, and `fit` learns nothing.  The models were trained on
    cased text with punctuation split off, so a `tokenizer` that does this gives better vectors than the default.

    Given a name or path, a vectorizer stores only that: pickles are small, and the model is loaded at first use.  The
    two models used last stay in memory, for all vectorizers of the process.  Given a loaded model, clones share it, and
    pickles contain its weights.

    Parameters
    ----------
    model : str, path or Elmo
        A folder, a zip or a model's name, as for `numpy_elmo.load`; or a loaded model.
    layers : {"average", "top", "all"}, int or ScalarMix
        As for `Elmo.embed`; "all" concatenates the L + 1 layers.
    pooling : {"mean", "max", "sum", "first", "last"}
        How the vectors of a text's tokens are combined; as for `numpy_elmo.layers.pooling.pool`.
    tokenizer : callable, optional
        Takes a text and returns its tokens.  By default texts are split at white space.  For texts that are lists of
        tokens already, give ``tokenizer=list``.
    batch_size : int
        Texts that run together.

    Examples
    --------
    >>> from numpy_elmo.interfaces.sklearn import ElmoVectorizer
    >>> texts = ["They sat on the river bank .", "The bank lent money ."]
    >>> ElmoVectorizer(pooling="max").transform(texts).shape
    (2, 256)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Elmo = "tiny",
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
            Itself.

        Raises
        ------
        ModelNotFoundError, OptionsError, WeightsError
            As for `numpy_elmo.load`.
        InputTypeError
            If `X` is one string.
        InputError
            If a parameter has a value that is not listed above.
        """
        check_column(X, "X")
        self._embed([])
        return self

    def transform(self, X: Iterable[Any]) -> Array:
        """Return the vectors of texts.

        Parameters
        ----------
        X : iterable of str
            Texts: a list, a generator, an array, a column of a table, or a table with one column.  A text without
            tokens has zeros.

        Returns
        -------
        ndarray of float32, shape (n_texts, n_features)
            2 P features, or (L + 1) 2 P with ``layers="all"``.

        Raises
        ------
        ModelNotFoundError, OptionsError, WeightsError
            As for `numpy_elmo.load`.
        InputTypeError
            If a text is not a string (such as a missing value), or the tokenizer does not return a list of tokens.
        InputError
            If `X` has several columns, or a parameter has a value that is not listed above.
        """
        if self.tokenizer is not None:
            return self._embed([self.tokenizer(text) for text in check_column(X, "X")])
        texts = check_texts(
            X,
            "X",
            "give tokenizer=list for lists of tokens",
            tokenize="give tokenizer=numpy_elmo.corpus.tokenize",
        )
        return self._embed([text.split() for text in texts])

    def __sklearn_clone__(self) -> ElmoVectorizer:
        return copy.copy(self)  # fit learns nothing, and scikit-learn would copy the weights of a loaded model

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # always float32
        tags.requires_fit = False
        return tags

    @property
    def _n_features_out(self) -> int:
        n_features: int = self._embed([]).shape[1]
        return n_features

    def _embed(self, sentences: list[Sequence[str]]) -> Array:
        elmo = self.model if isinstance(self.model, Elmo) else _load_shared(_absolute(self.model))
        # The added empty sentence gives the number of features even without texts.
        vectors = elmo.embed([*sentences, []], layers=self.layers, batch_size=self.batch_size)
        return np.stack([pool(array, self.pooling).reshape(-1) for array in vectors])[:-1]


@lru_cache(maxsize=2)
def _load_shared(model: str) -> Elmo:
    return load(model)


def _absolute(model: str | os.PathLike[str]) -> str:
    """Return a model's name, or its path made absolute, because processes may change their folder."""
    path = to_path(model, "model must be a path, a model's name or a loaded Elmo")
    return str(path.resolve()) if exists(path) else os.fspath(model)
