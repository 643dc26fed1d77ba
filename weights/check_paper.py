"""Repeat findings of the ELMo paper in small: every figure of ``docs/paper-checks.md`` comes from here.

    python weights/check_paper.py

The paper is Peters et al. 2018, arXiv:1802.05365, section 5.3 and tables 4 to 6.  The sentences are in
``parts_of_speech.json`` (20 words as noun and as verb), ``senses.json`` (20 words in two senses) and ``play.json``
("play" as a noun in sports and in the theatre).  They are measured as ``measure_tiny.py`` measures senses.
"""

from __future__ import annotations

import argparse
import json
from math import comb
from typing import Any, NamedTuple

import numpy as np
from measure_tiny import HERE, N_SHUFFLES, Floats, sense_accuracies

from numpy_elmo import Elmo, LanguageModel
from numpy_elmo.corpus import token_vectors


class Check(NamedTuple):
    """One file of sentences, and what the paper measured with layers 1 and 2."""

    title: str
    file: str
    paper: tuple[str, str]


CHECKS = (
    Check("noun or verb", "parts_of_speech", ("97.3 (accuracy, table 6)", "96.8")),
    Check("sense", "senses", ("67.4 (F1, table 5)", "69.0")),
    Check("“play”: sports or theatre", "play", ("", "")),
)
SIGNIFICANT = 0.05
N_NEAREST = 3  # tokens
N_WORDS = 10
N_MARKS = 3  # <S>, </S> and <UNK> begin the vocabulary


def read(name: str) -> dict[str, dict[str, list[str]]]:
    """Return the sentences of a file, by word and class."""
    words: dict[str, dict[str, list[str]]] = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    return words


def sign_test(first: int, second: int) -> float:
    """Return the probability of a split at least as uneven, if both sides are equally likely."""
    n, larger = first + second, max(first, second)
    return min(1.0, 2 * sum(comb(n, k) for k in range(larger, n + 1)) / 2**n)


def layers_table(results: list[tuple[Check, int, dict[str, Any]]]) -> list[str]:
    """Return the table of accuracies: a column for each check, with its number of sentences and its figures."""
    columns = []
    for check, n_sentences, found in results:
        first, second = found["only"]
        p = sign_test(first, second)
        better = "not clear" if p >= SIGNIFICANT else f"layer {1 if first > second else 2}"
        columns.append(
            {
                "sentences": str(n_sentences),
                "layer 0, which is chance": f"{found['all'][0]:.1%}",
                "layer 1": f"{found['all'][1]:.1%}",
                "layer 2": f"{found['all'][2]:.1%}",
                f"best of {N_SHUFFLES:,} shuffles, layer 1": f"{found['shuffled']['largest'][1]:.1%}",
                f"best of {N_SHUFFLES:,} shuffles, layer 2": f"{found['shuffled']['largest'][2]:.1%}",
                "right at layer 1 only": str(first),
                "right at layer 2 only": str(second),
                "p of the difference (sign test)": f"{p:.2f}",
                "**better layer here**": f"**{better}**",
                "the paper, layer 1": check.paper[0],
                "the paper, layer 2": check.paper[1],
            }
        )
    lines = ["| | " + " | ".join(check.title for check, _, _ in results) + " |", "|---|" + "---:|" * len(results)]
    return lines + [f"| {row} | " + " | ".join(column[row] for column in columns) + " |" for row in columns[0]]


def nearest(unit: Floats, query: Floats, n: int) -> list[int]:
    """Return the rows (N, features), all of length 1, with the largest cosine to a query."""
    return [int(row) for row in np.argsort(-(unit @ query), kind="stable")[:n]]


def spelled_like(model: LanguageModel, word: str) -> list[str]:
    """Return the words of the vocabulary that are nearest to a word before any context."""
    words = token_vectors(model.elmo, model.vocabulary[N_MARKS:])
    unit = words.vectors / np.linalg.norm(words.vectors, axis=1, keepdims=True)
    return [words.words[row] for row in nearest(unit, unit[words.words.index(word)], N_WORDS + 1)[1:]]


def used_like(elmo: Elmo, query: list[str], word: str, texts: list[list[str]]) -> list[str]:
    """Return the sentences with the tokens, of any word, that are nearest to a word in a sentence; they are marked."""
    texts = [tokens for tokens in texts if tokens != query]
    [target], rows = elmo.embed([query], layers="top"), np.concatenate(elmo.embed(texts, layers="top"))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    places = [(tokens, i) for tokens in texts for i in range(len(tokens))]
    return [marked(*places[row]) for row in nearest(unit, target[query.index(word)], N_NEAREST)]


def marked(tokens: list[str], i: int) -> str:
    return " ".join([*tokens[:i], f"**{tokens[i]}**", *tokens[i + 1 :]])


def neighbours_table(model: LanguageModel, word: str = "play") -> list[str]:
    """Return the table of what is nearest to a word: before any context, and in the first sentence of each class."""
    texts = [line.split() for check in CHECKS for line in all_lines(read(check.file))]
    lines = [f"| “{word}” in | nearest |", "|---|---|", f"| no sentence | {', '.join(spelled_like(model, word))} |"]
    for query in (classes[0].split() for classes in read(word)[word].values()):
        found = used_like(model.elmo, query, word, texts)
        lines.append(f"| {marked(query, query.index(word))} | {'<br>'.join(found)} |")
    return lines


def all_lines(words: dict[str, dict[str, list[str]]]) -> list[str]:
    return [line for classes in words.values() for lines in classes.values() for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="tiny", metavar="NAME|DIR")
    model = LanguageModel.load(parser.parse_args().model)
    results = []
    for check in CHECKS:
        words = read(check.file)
        results.append((check, len(all_lines(words)), sense_accuracies(model.elmo, words)))
    print("\n".join([*layers_table(results), "", *neighbours_table(model)]))


if __name__ == "__main__":
    main()
