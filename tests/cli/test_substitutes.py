"""The command substitutes."""

from __future__ import annotations

import json

import pytest

from numpy_elmo.language_model import LanguageModel, WordScore
from tests.cli.conftest import MADE, Run


def known(words: list[WordScore], k: int) -> list[WordScore]:
    """Return the first words that are not ``<UNK>``."""
    return [pair for pair in words if pair[0] != "<UNK>"][:k]


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("She said it was in the bank .", ["--position", "6"]),
        ("She said it was in the bank .", ["--position", "-2"]),
        ("She said it was in the bank .", ["--word", "bank"]),
        ("She said it was in the [bank] .", []),
        ("She said it was in the [bank].", ["--tokenize"]),
        ("She said it was in the bank.", ["--tokenize", "--word", "bank"]),
    ],
)
def test_substitutes(run: Run, made: LanguageModel, text: str, flags: list[str]) -> None:
    tokens = ["She", "said", "it", "was", "in", "the", "bank", "."]
    expected = known(made.substitutes(tokens, 6, 5), 4)
    lines = run("substitutes", text, *flags, "-k", "4", "--model", MADE).splitlines()
    assert lines[0].split() == ["word", "score"]
    assert [line.split() for line in lines[1:]] == [[w, f"{v:.4f}"] for w, v in expected]
    found = json.loads(run("substitutes", text, *flags, "--model", MADE, "--json"))
    assert (found["tokens"], found["position"]) == (tokens, 6)


def test_substitutes_by_their_product(run: Run, made: LanguageModel) -> None:
    text = "She said it was in the bank ."
    options = ("--combine", "product", "--temperature", "2", "--json")
    found = json.loads(run("substitutes", text, "--position", "0", "--model", MADE, *options))
    assert (found["position"], found["combine"], found["temperature"]) == (0, "product", 2.0)
    expected = made.substitutes(text.split(), 0, 11, combine="product", temperature=2.0)
    assert [(row["word"], row["score"]) for row in found["words"]] == known(expected, 10)
