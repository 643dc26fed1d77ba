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

from measure_tiny import Floats, fit_trigrams, read_sentences, rows_of, trigram_scores

from numpy_elmo import LanguageModel
from numpy_elmo.analysis.pairs import Accuracy, compare, read_pairs, score_pairs

HERE = Path(__file__).parent


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
        row = {word: k for k, word in enumerate(model.vocabulary)}
        train = read_sentences(arguments.corpus / "train.txt")
        models = fit_trigrams([rows_of(tokens, row) for tokens in train], len(row))

        def log_probs(sentences: list[tuple[str, ...]]) -> Floats:
            return trigram_scores(models, [rows_of(tokens, row) for tokens in sentences])

        print("\n" + "\n".join(table("trigram", compare(pairs, log_probs, frozenset(row)).accuracies())))


if __name__ == "__main__":
    main()
