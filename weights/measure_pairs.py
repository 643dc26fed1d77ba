"""Measure the small embedded model on the minimal pairs of ``minimal_pairs.jsonl``, beside a trigram model.

    python weights/measure_pairs.py
    python weights/measure_pairs.py --corpus CORPUS_DIR

With ``CORPUS_DIR/train.txt``, which is not part of this repository, the trigram baseline of ``measure_tiny.py`` is
trained on the same text and vocabulary, in both directions, and judged on the same pairs.  The pairs were committed
before any model was measured on them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure_tiny import TrigramModel, read_sentences, trigrams

from numpy_elmo import LanguageModel
from numpy_elmo.analysis.pairs import Accuracy, compare, read_pairs, score_pairs
from numpy_elmo.files.vocabulary import UNKNOWN
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START

HERE = Path(__file__).parent


class Trigrams:
    """The log-probabilities (N, 2) that a trigram model of each direction gives to N sentences."""

    def __init__(self, corpus: Path, vocabulary: tuple[str, ...]) -> None:
        self._row = {word: row for row, word in enumerate(vocabulary)}
        train = [self._ids(sentence) for sentence in read_sentences(corpus / "train.txt")]
        self._models = [
            TrigramModel(trigrams([ids[::step] for ids in train]), len(vocabulary), start=train[0][::step][0])
            for step in (1, -1)
        ]

    def _ids(self, sentence: list[str] | tuple[str, ...]) -> list[int]:
        return [self._row.get(word, self._row[UNKNOWN]) for word in (SENTENCE_START, *sentence, SENTENCE_END)]

    def __call__(self, sentences: list[tuple[str, ...]]) -> npt.NDArray[np.float64]:
        scores = [
            [np.log(model.probabilities(trigrams([self._ids(sentence)[::step]]))).sum() for sentence in sentences]
            for model, step in zip(self._models, (1, -1), strict=True)
        ]
        return np.array(scores).T


def table(name: str, rows: list[Accuracy]) -> list[str]:
    lines = [f"| {name} | pairs | unknown | ties | forward | backward | both |", "|---|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        if row.level in ("paradigm", "all"):
            shares = " | ".join(f"{share:.0%}" for share in row[5:])
            label = "**all**" if row.level == "all" else row.name.replace("_", " ")
            lines.append(f"| {label} | {row.pairs} | {row.unknown} | {row.ties} | {shares} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, default=HERE / "minimal_pairs.jsonl", metavar="FILE")
    parser.add_argument("--model", default="tiny", metavar="NAME|DIR")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="folder with train.txt, for the trigram model")
    arguments = parser.parse_args()
    pairs, model = read_pairs(arguments.pairs), LanguageModel.load(arguments.model)
    print("\n".join(table(arguments.model, score_pairs(model, pairs).accuracies())))
    if arguments.corpus:
        rows = compare(pairs, Trigrams(arguments.corpus, model.vocabulary), frozenset(model.vocabulary)).accuracies()
        print("\n" + "\n".join(table("trigram", rows)))


if __name__ == "__main__":
    main()
