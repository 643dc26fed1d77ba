"""Inputs in common containers: texts in lists, arrays, Series or one-column tables, and eager tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from numpy_elmo.corpus.inputs import warn_if_untokenized
from numpy_elmo.corpus.tokenize import looks_untokenized
from numpy_elmo.errors import InputError, InputTypeError

# Texts that are checked for missing tokenisation.
_SAMPLE = 100


def check_column(texts: Any, name: str) -> Iterator[Any]:
    """Return the entries of a column, of any type; a generator is not read."""
    if isinstance(texts, (str, bytes)):
        raise InputTypeError(f"{name} must be a list of texts, not one string: give [text]")
    if isinstance(texts, (set, frozenset, Mapping)):  # rows could not be matched to labels
        raise InputTypeError(f"{name} must be a list of texts, not {type(texts).__name__}, which has no order")
    shape: tuple[int, ...] = getattr(texts, "shape", ())
    if len(shape) == 2:  # a table iterates over the names of its columns
        if shape[1] != 1:
            raise InputError(
                f"{name} has {shape[1]} columns; give one, such as {name}['text'], or name the column in a "
                "ColumnTransformer"
            )
        texts = np.asarray(texts)[:, 0]
    try:
        return iter(texts)
    except TypeError as error:  # a number, None, or an array without dimensions
        raise InputTypeError(f"{name} must be a list of texts, not {type(texts).__name__}") from error


def check_texts(
    texts: Any,
    name: str,
    lists: str,
    *,
    tokenize: str = "give ' '.join(numpy_elmo.corpus.tokenize(text)) for each text",
) -> list[str]:
    """Return a column of strings that will be split at white space.

    `lists` is the remedy for lists of tokens in the error, `tokenize` the remedy for untokenised text in the warning.
    """
    column = list(check_column(texts, name))
    for row, text in enumerate(column):
        if not isinstance(text, str):
            remedy = "decode it" if isinstance(text, bytes) else f"fill missing texts with '', and {lists}"
            raise InputTypeError(
                f"text {row} of {name} must be a string, not {type(text).__name__} ({text!r:.60}); {remedy}"
            )
    sample = [text.split() for text in column[:_SAMPLE]]
    warn_if_untokenized(sum(map(looks_untokenized, sample)), sum(map(len, sample)), name, tokenize)
    return column


def from_tensorflow(value: Any) -> Any:
    """Return the array of an eager tensor, and other values as they are; a symbolic tensor raises InputTypeError."""
    if type(value).__module__.partition(".")[0] not in ("tensorflow", "keras", "tf_keras"):
        return value
    try:
        return value.numpy()
    except (AttributeError, NotImplementedError) as error:
        raise InputTypeError(
            "a placeholder or symbolic tensor has no values yet, and no session runs here; give the texts or ids "
            "themselves, and pass the vectors to fit or to your session"
        ) from error
