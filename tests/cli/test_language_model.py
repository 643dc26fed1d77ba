"""The commands of the language model print what the library finds."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from numpy_elmo.cli import main
from numpy_elmo.language_model import LanguageModel, WordScore
from tests.agreement.tensorflow_outputs import FIXTURES

MADE = str(FIXTURES / "language_model")

Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command and return what it prints."""

    def run_command(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    return run_command


@pytest.fixture(scope="module")
def made() -> LanguageModel:
    return LanguageModel.load(MADE)


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


def test_perplexity(run: Run, made: LanguageModel, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffthe bank of the river\r\n\r\nxyzzy Yes\n".encode())
    expected = made.perplexity([["the", "bank", "of", "the", "river"], ["xyzzy", "Yes"]])
    found = json.loads(run("perplexity", str(path), "--model", MADE, "--json"))
    assert found["average"] == pytest.approx(expected.average, rel=1e-6)
    assert (found["n_sentences"], found["n_tokens"], found["n_predictions"], found["n_unknown"]) == (2, 7, 9, 1)
    shown = run("perplexity", str(path), "--model", MADE)
    assert f"average     {expected.average:.2f}\n" in shown
    assert "7, 1 of them (14.3%) unknown" in shown


def test_perplexity_of_standard_input(run: Run, made: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"the bank\n")))
    found = json.loads(run("perplexity", "-", "--model", MADE, "--json", "--state", "carry", "--batch-size", "1"))
    assert found["forward"] == pytest.approx(made.perplexity([["the", "bank"]]).forward, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("next", "a", "-k", "0"), "k must be a positive integer"),
        (("next", "a", "--among", "zebra"), "'zebra'"),
        (("substitutes", "a b", "--position", "2"), "no token 2"),
        (("substitutes", "a b", "--position", "-3"), "no token -3"),
        (("substitutes", "a b"), "0 tokens are marked; mark one"),
        (("substitutes", "[a] [b]"), "2 tokens are marked"),
        (("substitutes", "a b", "--word", "c"), "'c' does not occur"),
        (("substitutes", "a b a", "--word", "a"), "'a' occurs at the positions 0, 2 in the text; mark the token"),
        (("substitutes", "[do n't] go", "--tokenize"), "holds 2 tokens; mark one"),
        (("substitutes", "a b", "--position", "0", "--temperature", "0"), "temperature"),
        (("perplexity", "absent.txt"), "absent.txt cannot be read"),
    ],
)
def test_errors(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    assert main([*arguments, "--model", MADE]) == 2
    assert re.fullmatch(f"numpy-elmo: error: .*{message}.*\\n", capsys.readouterr().err)


@pytest.mark.parametrize(("content", "message"), [(b"", "no sentence"), (b"the\n\xff\n", "line 2, byte 1: not UTF-8")])
def test_text_that_has_no_perplexity(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    assert main(["perplexity", str(tmp_path / "text.txt"), "--model", MADE]) == 2
    assert re.fullmatch(f"numpy-elmo: error: .*{message}.*\\n", capsys.readouterr().err)


def test_the_commands_work_on_tiny(run: Run, tmp_path: Path) -> None:
    def words(*arguments: str) -> list[str]:
        found: dict[str, Any] = json.loads(run(*arguments, "--json"))
        return [row["word"] for row in found["words"]]

    assert words("next", "On Saturdays the older boys like to hang", "--among", "camera out") == ["out", "camera"]
    assert len(words("next", "let 's stick to")) == 10
    assert len(words("substitutes", "He took the money to the bank .", "--position", "6")) == 10
    (tmp_path / "text.txt").write_text("He took the money to the bank .\n", encoding="utf-8")
    assert json.loads(run("perplexity", str(tmp_path / "text.txt"), "--json"))["average"] > 1
