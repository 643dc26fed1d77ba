"""The sentences that are embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Sentences = list[list[str]]

SAMPLE = Path(__file__).with_name("sample.txt")


def read_sentences(path: Path) -> Sentences:
    """Read one tokenised sentence a line; lines without tokens are left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [tokens for line in lines if (tokens := line.split())]


def describe(sentences: Sentences) -> dict[str, Any]:
    """Return what speed depends on: how long sentences are, and how many of their tokens are new."""
    tokens = [token for sentence in sentences for token in sentence]
    return {
        "sentences": len(sentences),
        "tokens": len(tokens),
        "mean_tokens": len(tokens) / len(sentences),
        "longest": max(map(len, sentences)),
        "distinct_tokens": len(set(tokens)) / len(tokens),
    }
