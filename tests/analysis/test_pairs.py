"""Minimal pairs are split, compared and counted as the page says; the command prints what the library finds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_elmo.analysis.pairs import (
    MinimalPair,
    PairScores,
    compare,
    critical_words,
    read_pairs,
    score_pairs,
)
from numpy_elmo.errors import InputError
from numpy_elmo.language_model import LanguageModel
from tests.agreement.tensorflow_outputs import FIXTURES

FOLDER = FIXTURES / "language_model"


@pytest.fixture(scope="module")
def made() -> LanguageModel:
    return LanguageModel.load(FOLDER)


def line(good: object, bad: object, **more: object) -> str:
    return json.dumps({"sentence_good": good, "sentence_bad": bad, **more}) + "\n"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_blimps_lines_are_read_and_split_as_the_training_text(tmp_path: Path) -> None:
    path = write(
        tmp_path / "pairs.jsonl",
        line(
            "Many people don't sell it.",
            "Many people doesn't sell it.",
            field="morphology",
            linguistics_term="agreement",
            UID="plural",
            simple_LM_method=True,
            one_prefix_prefix="Many people",
            one_prefix_word_good="don't",
            one_prefix_word_bad="doesn't",
            pair_id="0",
        ),
        "\n",
        line(["Mr. Lee", "left"], ["Mr. Lee", "leave"]),
    )
    first, second = read_pairs(path)
    assert first.good == ("Many", "people", "do", "n't", "sell", "it", ".")
    assert first.bad == ("Many", "people", "does", "n't", "sell", "it", ".")
    assert first[2:] == ("plural", "agreement", "morphology")
    assert second == MinimalPair(("Mr. Lee", "left"), ("Mr. Lee", "leave"))  # tokens stay as they are


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        ("the keys are here", "the keys is here", ("are", "is")),
        ("are", "is", ("are", "is")),
        ("he saw himself", "he saw herself", ("himself", "herself")),
        ("who did he see", "he did who see", ("who did he", "he did who")),  # the words between, where order differs
        ("a b b c", "a b c", ("b", "")),  # a word more
        ("a b", "a b", ("", "")),
        ("x a", "y x a", ("", "y")),
    ],
)
def test_critical_words_are_what_differs(good: str, bad: str, expected: tuple[str, str]) -> None:
    found = critical_words(good.split(), bad.split())
    assert tuple(" ".join(words) for words in found) == expected


def test_a_sentence_is_as_likely_as_its_predictions_together(made: LanguageModel) -> None:
    pairs = [
        MinimalPair(("the", "bank", "of", "the", "river"), ("the", "bank", "of", "river"), "p1", "q1", "f"),
        MinimalPair(("Yes",), ("No",), "p2", "q1", "f"),
    ]
    found = score_pairs(made, pairs)
    for k, pair in enumerate(pairs):
        good, bad = made.log_probs([pair.good, pair.bad])
        forward = [*good.forward, good.end, *-bad.forward, -bad.end]
        backward = [good.start, *good.backward, -bad.start, *-bad.backward]
        expected = [math.fsum(forward), math.fsum(backward), math.fsum(forward + backward)]
        np.testing.assert_allclose(found.margins[k], expected, rtol=0, atol=1e-4)
    assert repr(found) == f"<PairScores: 2 pairs, {found.unknown.sum()} with unknown critical words>"


def test_the_preference_turns_with_the_pair(made: LanguageModel) -> None:
    pair = MinimalPair(("the", "bank"), ("bank", "the"))
    [one], [other] = (score_pairs(made, [p]).accuracies() for p in (pair, pair._replace(good=pair.bad, bad=pair.good)))
    assert {one.forward, other.forward} == {0.0, 1.0}
    assert {one.backward, other.backward} == {0.0, 1.0}


def test_accuracies_by_group_without_unknown_pairs_and_ties() -> None:
    """Margins that are set by hand: each sentence's log-probability is its first token."""

    def log_probs(sentences: list[tuple[str, ...]]) -> Any:
        return np.array([[float(tokens[0]), -float(tokens[0])] for tokens in sentences])

    def pair(good: int, bad: int, paradigm: str, word: str = "a") -> MinimalPair:
        return MinimalPair((str(good), word), (str(bad), word), paradigm, "odd" if paradigm == "p3" else "q", "f")

    pairs = [
        pair(2, 1, "p1"),
        pair(1, 2, "p1"),
        pair(3, 1, "p1"),
        pair(9, 1, "p2"),  # 9 is no word
        pair(1, 1, "p2"),  # a tie
        pair(9, 9, "p3", "9"),  # equal unknown words are not critical, and make a tie
    ]
    rows = {(row.level, row.name): row for row in compare(pairs, log_probs, frozenset("123a")).accuracies()}
    assert list(rows) == [
        ("paradigm", "p1"),
        ("paradigm", "p2"),
        ("paradigm", "p3"),
        ("phenomenon", "q"),
        ("phenomenon", "odd"),
        ("field", "f"),
        ("all", "all"),
    ]
    assert rows["paradigm", "p1"] == ("paradigm", "p1", 3, 0, 3, 2 / 3, 1 / 3, 0.0)  # both together: always a tie
    assert rows["paradigm", "p2"] == ("paradigm", "p2", 2, 1, 1, 0.0, 0.0, 0.0)
    assert rows["phenomenon", "q"][2:6] == (5, 1, 4, 0.5)
    assert rows["all", "all"][2:5] == (6, 1, 5)
    [unknown] = compare([MinimalPair(("9",), ("1",))], log_probs, frozenset("1")).accuracies()
    assert unknown[2:5] == (1, 1, 0)
    assert math.isnan(unknown.forward)


def test_unknown_words_that_both_sentences_share_are_not_critical(made: LanguageModel) -> None:
    pairs = [
        MinimalPair(("xyzzy", "bank"), ("xyzzy", "river")),
        MinimalPair(("the", "xyzzy"), ("the", "bank")),
    ]
    assert score_pairs(made, pairs).unknown.tolist() == [False, True]


def test_order_changes_no_bit(made: LanguageModel) -> None:
    words = made.vocabulary[3:40]
    pairs = [MinimalPair(words[k : k + 4], words[k + 1 : k + 4 + k % 3]) for k in range(30)]
    expected: PairScores = score_pairs(made, pairs)
    order = np.random.default_rng(0).permutation(30)
    found = score_pairs(made, [pairs[k] for k in order])
    assert found.margins.tobytes() == expected.margins[order].tobytes()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["not json\n"], "line 1 is not JSON"),
        (["[1]\n"], "line 1 is not a JSON object"),
        ([line("a", "b"), line("a", None)], "line 2: sentence_bad must be a sentence"),
        ([line(3, "b")], "line 1: sentence_good must be a sentence"),
        ([line("", "b")], "sentence_good must be a sentence"),
        ([line(["a", 1], "b")], "sentence_good must be a sentence"),
        (["\n"], "holds no pair"),
    ],
)
def test_lines_that_are_no_pairs_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_pairs(write(tmp_path / "pairs.jsonl", *lines))


def test_no_pair(made: LanguageModel) -> None:
    with pytest.raises(InputError, match="no pair"):
        score_pairs(made, [])


# The command
