"""The checks of arguments that every public function shares."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from numpy_elmo.errors import InputError, InputTypeError

Item = TypeVar("Item")

# No count makes sense beyond this, and C's integers end soon after it.
_TOO_MANY = 1 << 48


def check_sentences(sentences: Iterable[Iterable[str]]) -> list[list[str]]:
    """Return sentences as lists of tokens, or raise `InputTypeError`."""
    return list(each_sentence(sentences))


def each_sentence(sentences: Iterable[Iterable[str]]) -> Iterator[list[str]]:
    """Yield sentences as lists of tokens; each is checked when it is read, and may raise `InputTypeError`."""
    if isinstance(sentences, (str, bytes)):
        raise InputTypeError(
            "sentences must be a list of token lists, not one string: "
            r"give [text.split()] for one sentence, [line.split() for line in text.split('\n')] for one per line"
        )
    items = _iterate(sentences, "sentences must be a list of token lists")
    return (_check_sentence(sentence, index) for index, sentence in enumerate(items))


def check_tokens(tokens: Iterable[str], name: str = "tokens") -> list[str]:
    """Return tokens or words as a list, or raise `InputTypeError`."""
    if isinstance(tokens, (str, bytes)):
        raise InputTypeError(f"{name} must be a list of strings, not one string: give text.split(), or [word] for one")
    return [
        _check_string(token, f"{name}, item {position}")
        for position, token in enumerate(_iterate(tokens, f"{name} must be a list of strings"))
    ]


def check_count(name: str, value: Any, minimum: int = 1) -> int:
    """Return a count, any kind of integer, as an int, or raise `InputError`."""
    expected = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
    count = as_int(value)
    if not isinstance(count, int) or isinstance(count, bool) or not minimum <= count < _TOO_MANY:
        raise InputError(f"{name} must be {expected}, not {_short(value)}")
    return count


def first(items: Sequence[object], n: int = 10) -> str:
    """Return the first n items for a message, and dots if there are more."""
    return ", ".join(map(str, items[:n])) + (", ..." if len(items) > n else "")


def as_int(value: Any) -> Any:
    """Return an integer of any kind as an int, and everything else, including bools, unchanged."""
    try:
        return value if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        return value


def _check_sentence(sentence: Iterable[str], index: int) -> list[str]:
    if isinstance(sentence, (str, bytes)):
        remedy = "give sentence.split(), or [tokens] if the list that you gave is itself one sentence"
        if sentence[:1] in ("[", b"[") and sentence[-1:] in ("]", b"]"):
            remedy = "it is a printed list, as from a CSV file; give ast.literal_eval(sentence)"
        raise InputTypeError(
            f"sentence {index} is a string, {_short(sentence)}, where a list of tokens belongs: {remedy}"
        )
    tokens = _iterate(sentence, f"sentence {index} must be a list of tokens")
    return [_check_string(token, f"sentence {index}, token {position}") for position, token in enumerate(tokens)]


def _check_string(value: object, where: str) -> str:
    if not isinstance(value, str):
        remedy = "; give its text" if isinstance(getattr(value, "text", None), str) else ""  # a token of spaCy
        raise InputTypeError(f"{where} must be a string, not {type(value).__name__}: {_short(value)}{remedy}")
    return value


def _iterate(values: Iterable[Item], expected: str) -> Iterator[Item]:
    if isinstance(values, (set, frozenset, dict)):  # they have no order, and vectors depend on it
        raise InputTypeError(f"{expected}, not {type(values).__name__}, which has no order")
    if hasattr(values, "columns"):  # iterating over a data frame gives the names of its columns
        raise InputTypeError(f"{expected}, not {type(values).__name__}; give one of its columns")
    try:
        return iter(values)
    except TypeError as error:  # a NumPy array without dimensions is Iterable by its type
        is_missing = str(values) in ("None", "nan", "<NA>", "NaT")  # pandas' own cannot be compared
        what = f", a missing value: {values}" if is_missing else ""
        raise InputTypeError(f"{expected}, not {type(values).__name__}{what}") from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
