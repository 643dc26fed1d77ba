"""``numpy-elmo next``: the likeliest words after the beginning of a sentence, or before its end."""

from __future__ import annotations

import argparse
import json
import math

from numpy_elmo.cli.common import (
    SubParsers,
    add_language_model_arguments,
    add_tokenize_argument,
    add_word_arguments,
    listed,
    load_language_model,
    normalisation,
    table,
    words_of,
)


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "next",
        help="print the likeliest next words",
        description="Print the likeliest words after the beginning of a sentence, with their probabilities.",
    )
    parser.add_argument("text", metavar="TEXT", help='tokens separated by spaces; "" for the first word of a sentence')
    parser.add_argument(
        "--previous", action="store_true", help="print words before TEXT, the end of a sentence, instead"
    )
    add_tokenize_argument(parser)
    add_language_model_arguments(parser)
    add_word_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the words."""
    model, tokens = load_language_model(arguments), words_of(arguments.text, arguments)
    predict = model.previous_words if arguments.previous else model.next_words
    words = listed(lambda k: predict(tokens, k, vocabulary=arguments.among), arguments)
    if arguments.json:
        answer = {
            "tokens": tokens,
            "direction": "backward" if arguments.previous else "forward",
            **normalisation(model, arguments.among),
            "words": [{"word": word, "log_prob": value, "probability": math.exp(value)} for word, value in words],
        }
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return 0
    for row in table(words, "log p", probabilities=True):
        print(row)
    return 0
