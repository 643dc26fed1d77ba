"""``numpy-elmo pairs``: accuracy on minimal pairs, by paradigm, phenomenon and field."""

from __future__ import annotations

import argparse
import json
import math

from numpy_elmo.analysis.pairs import Accuracy, read_pairs, score_pairs
from numpy_elmo.cli.common import SubParsers, add_language_model_arguments, load_language_model


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "pairs",
        help="print the accuracy on minimal pairs",
        description="Read minimal pairs in BLiMP's format (JSON lines with sentence_good and sentence_bad) and print "
        "a tab-separated table of how often the model finds the good sentence likelier: one row per paradigm (UID), "
        "phenomenon (linguistics_term) and field, and one for all; by the forward log-probability of the sentence, "
        "the backward one, and their sum. Sentences are split into tokens as the training text was, and boundaries "
        "count. A pair whose critical word is not in the vocabulary is counted as unknown, not in the accuracies; a "
        "tie counts as wrong.",
    )
    parser.add_argument("file", metavar="FILE", help="file of pairs, or - for standard input")
    add_language_model_arguments(parser)
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="sentences that run together (64)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    pairs = read_pairs(arguments.file)
    rows = score_pairs(load_language_model(arguments), pairs, batch_size=arguments.batch_size).accuracies()
    if arguments.json:
        print(json.dumps([{k: _number(v, None) for k, v in row._asdict().items()} for row in rows], indent=2))
        return 0
    print("\t".join(Accuracy._fields))
    for level, name, *numbers in rows:
        print("\t".join([level, " ".join(name.split()), *(str(_number(number, "NA")) for number in numbers)]))
    return 0


def _number(value: object, missing: object) -> object:
    if isinstance(value, float):
        return missing if math.isnan(value) else round(value, 4)
    return value
