"""A column of texts as scripts hold one: a list, an array, a pandas Series, or a table with one column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from numpy_elmo.errors import InputError, InputTypeError


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


def check_texts(texts: Any, name: str, lists: str) -> list[str]:
    """Return a column of strings; `lists` says what to do with lists of tokens."""
    column = list(check_column(texts, name))
    for row, text in enumerate(column):
        if not isinstance(text, str):
            remedy = "decode it" if isinstance(text, bytes) else f"fill missing texts with '', and {lists}"
            raise InputTypeError(
                f"text {row} of {name} must be a string, not {type(text).__name__} ({text!r:.60}); {remedy}"
            )
    return column
