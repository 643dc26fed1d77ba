"""The commands next and previous."""

from __future__ import annotations

import json
import math

import pytest

from numpy_elmo.language_model import LanguageModel, WordScore
from tests.cli.conftest import MADE, Run


def known(words: list[WordScore], k: int) -> list[WordScore]:
    """Return the first words that are not ``<UNK>``."""
    return [pair for pair in words if pair[0] != "<UNK>"][:k]


def test_next(run: Run, made: LanguageModel) -> None:
    expected = known(made.next_words(["let", "'s", "stick", "to"], 4), 3)
    lines = run("next", "let 's stick to", "-k", "3", "--model", MADE).splitlines()
    assert lines[0].split() == ["word", "log", "p", "probability"]
    assert [line.split() for line in lines[1:]] == [[w, f"{v:.4f}", f"{math.exp(v):.6f}"] for w, v in expected]


def test_next_as_json(run: Run, made: LanguageModel) -> None:
    found = json.loads(run("next", "in 東京", "--model", MADE, "--json"))
    assert found["tokens"] == ["in", "東京"]
    assert (found["direction"], found["restricted"]) == ("forward", False)
    assert found["normalised_over"] == len(made.vocabulary)
    assert [(row["word"], row["log_prob"]) for row in found["words"]] == known(made.next_words(["in", "東京"], 11), 10)
    assert all(row["probability"] == pytest.approx(math.exp(row["log_prob"])) for row in found["words"])


def test_previous_restricted_and_on_disk(run: Run, made: LanguageModel) -> None:
    words = ["the", "bank", "river"]
    found = json.loads(
        run("next", "", "--previous", "--among", " ".join(words), "--on-disk", "--model", MADE, "--json")
    )
    assert (found["direction"], found["restricted"], found["normalised_over"]) == ("backward", True, 3)
    assert [row["word"] for row in found["words"]] == [w for w, _ in made.previous_words([], vocabulary=words)]
    assert sum(row["probability"] for row in found["words"]) == pytest.approx(1)


def test_unknown_words_are_listed_when_asked_for(run: Run, made: LanguageModel) -> None:
    text, n_words = ["the"], len(made.vocabulary)
    for flags, has_unknown in ((), False), (("--unknown",), True), (("--among", "the <UNK>"), True):
        found = json.loads(run("next", "the", "-k", str(n_words), "--model", MADE, "--json", *flags))
        words = [row["word"] for row in found["words"]]
        assert ("<UNK>" in words) == has_unknown
        if not flags:
            assert words == [word for word, _ in known(made.next_words(text, n_words), n_words)]
