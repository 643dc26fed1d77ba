"""What may hold texts, the same for every interface that takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from numpy_elmo.corpus import tokenize
from numpy_elmo.errors import InputError, InputTypeError, InputWarning
from numpy_elmo.interfaces import hub
from numpy_elmo.interfaces.simple_elmo import ElmoModel
from numpy_elmo.interfaces.sklearn import ElmoVectorizer
from numpy_elmo.interfaces.texts import check_texts
from tests.agreement.tensorflow_outputs import FIXTURES

TEXTS = ["rain fell", "", "the sun shone on the bank"]
TABLE = pd.DataFrame({"text": TEXTS, "label": [0, 1, 0]})


def substitutes(texts: Any) -> Any:
    model = ElmoModel()
    model.load(FIXTURES / "language_model", full=True)
    return model.get_elmo_substitutes(texts)


TAKERS: dict[str, Callable[[Any], Any]] = {
    "hub.Module": hub.Module("tiny"),
    "hub.load": lambda texts: hub.load("tiny").signatures["default"](texts)["default"],
    "ElmoVectorizer": lambda texts: ElmoVectorizer().fit_transform(texts),
    "get_elmo_substitutes": substitutes,
}
HOLDERS: dict[str, Callable[[], Any]] = {
    "tuple": lambda: tuple(TEXTS),
    "generator": lambda: iter(TEXTS),
    "array": lambda: np.array(TEXTS),
    "array of objects": lambda: np.array(TEXTS, dtype=object),
    "array with one column": lambda: np.array(TEXTS)[:, np.newaxis],
    "series": lambda: TABLE["text"],
    "series of strings": lambda: TABLE["text"].astype("string"),
    "table with one column": lambda: TABLE[["text"]],
    "values of a dict": lambda: dict(enumerate(TEXTS)).values(),
}


def equal(found: Any, expected: Any) -> bool:
    return np.array_equal(found, expected) if isinstance(expected, np.ndarray) else bool(found == expected)


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("taker", TAKERS)
def test_every_holder_gives_the_same(taker: str, holder: str) -> None:
    assert equal(TAKERS[taker](HOLDERS[holder]()), TAKERS[taker](TEXTS))


@pytest.mark.parametrize(
    ("texts", "kind", "message"),
    [
        ("rain fell", InputTypeError, r"must be a list of texts, not one string: give \[text\]"),
        (b"rain fell", InputTypeError, "not one string"),
        ({"rain fell", "sun shone"}, InputTypeError, "not set, which has no order"),
        (frozenset(TEXTS), InputTypeError, "not frozenset, which has no order"),
        (None, InputTypeError, "must be a list of texts, not NoneType"),
        (3, InputTypeError, "must be a list of texts, not int"),
        (np.array("rain fell"), InputTypeError, "must be a list of texts, not ndarray"),
        (TABLE, InputError, r"has 2 columns; give one, such as \w+\['text'\]"),
        (["rain", None], InputTypeError, r"text 1 of \w+ must be a string, not NoneType \(None\); fill missing texts"),
        (["rain", float("nan")], InputTypeError, r"text 1 of \w+ must be a string, not float \(nan\); fill missing"),
        (pd.Series(["rain", pd.NA], dtype=object), InputTypeError, "text 1 .* not NAType .*fill missing"),
        (pd.DataFrame({"text": ["rain", np.nan]}), InputTypeError, "text 1 .* not float"),
        ([["rain", "fell"]], InputTypeError, "text 0 .* not list .* for lists of tokens"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, type) else "",
)
@pytest.mark.parametrize("taker", TAKERS)
def test_what_is_no_column_of_texts_is_refused(taker: str, texts: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        TAKERS[taker](texts)


@pytest.mark.parametrize("taker", TAKERS)
def test_text_that_is_not_tokenised_is_warned_of_with_a_remedy(taker: str) -> None:
    with pytest.warns(InputWarning, match=r"does not look tokenised.*numpy_elmo\.corpus\.tokenize") as found:
        TAKERS[taker](["He sat on the bank.", "It didn't rain, she said."] * 80)
    assert len(found) == 1
    TAKERS[taker]([" ".join(tokenize("It didn't rain, she said."))])  # warnings are errors here


@pytest.mark.parametrize("taker", ["ElmoVectorizer", "get_elmo_substitutes"])
def test_dicts_are_refused(taker: str) -> None:
    with pytest.raises(InputTypeError, match="not dict, which has no order"):
        TAKERS[taker]({"rain fell": 1})


@pytest.mark.parametrize("X", ["rain", {"rain", "sun"}, {"rain": 1}, TABLE, None])
def test_fit_refuses_what_transform_refuses(X: Any) -> None:
    with pytest.raises((InputError, InputTypeError), match="X "):
        ElmoVectorizer().fit(X)


def test_fit_reads_no_generator() -> None:
    def unread() -> Iterator[str]:
        raise AssertionError("read")
        yield ""

    ElmoVectorizer().fit(unread())


def test_a_tokenizer_takes_any_entries_of_a_column_only() -> None:
    vectorizer = ElmoVectorizer(tokenizer=list)
    with pytest.raises(InputTypeError, match="not set, which has no order"):
        vectorizer.transform({("rain", "fell")})
    with pytest.raises(InputTypeError, match="sentence 0 is a string"):
        ElmoVectorizer(tokenizer=str).transform(["rain"])


def test_long_texts_are_shortened_in_messages() -> None:
    with pytest.raises(InputTypeError) as error:
        check_texts([b"rain" * 1000], "X", "", tokenize="")
    assert len(str(error.value)) < 150
    assert "decode it" in str(error.value)
