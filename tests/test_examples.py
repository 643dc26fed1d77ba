"""The scripts in docs/examples run and print what they should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
TEXT = ROOT / "docs" / "example.txt"


def run(name: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_every_example_is_run_here() -> None:
    # The tagger needs torch, and is run beside the torch modules.
    tests = (Path(__file__), Path(__file__).parent / "interfaces" / "test_torch.py")
    source = "".join(path.read_text(encoding="utf-8") for path in tests)
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in source] == []


def test_sentences_are_embedded_and_the_two_banks_differ() -> None:
    *shapes, lender, river = run("embed_sentences.py")
    assert shapes[0] == "(3, 7, 256) They sat on the river bank ."
    assert float(lender.split()[-1]) < float(river.split()[-1]) - 0.1


def test_a_corpus_is_written_and_read_back(tmp_path: Path) -> None:
    lines = TEXT.read_text(encoding="utf-8").splitlines()
    n_tokens = sum(len(line.split()) for line in lines)
    counts, first = run("embed_corpus.py", str(TEXT), str(tmp_path / "vectors.hdf5"))
    assert counts == f"{len(lines)} sentences, {n_tokens} tokens"
    assert first == f"the first sentence: ({len(lines[0].split())}, 256)"


def test_the_language_model_says_what_comes_next() -> None:
    guesses = [line.split() for line in run("next_words.py", "They like to hang")]
    assert len(guesses) == 5
    assert [float(score) for score, _ in guesses] == sorted((float(score) for score, _ in guesses), reverse=True)
    assert "out" in [word for _, word in guesses]
