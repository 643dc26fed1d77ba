"""``numpy-elmo substitutes``: the words that fit in the place of a token."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from numpy_elmo.cli.common import (
    add_language_model_arguments,
    add_word_arguments,
    load_language_model,
    normalisation,
    table,
)

if TYPE_CHECKING:
    from numpy_elmo.cli.common import SubParsers


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "substitutes",
        help="print the words that fit in the place of a token",
        description="Print the words that fit best in the place of a token, seen from both sides.",
    )
    parser.add_argument("text", metavar="TEXT", help="tokens of a sentence, separated by spaces")
    parser.add_argument("--position", type=int, required=True, metavar="N", help="the token's place, from 0")
    parser.add_argument(
        "--combine",
        choices=("average", "product", "forward", "backward"),
        default="average",
        help="score by the mean of both directions' log-probabilities (average, the default, which is no probability), "
        "by their normalised product, or by one direction",
    )
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T", help="what logits are divided by (1)")
    add_language_model_arguments(parser)
    add_word_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the words."""
    model, tokens = load_language_model(arguments), arguments.text.split()
    words = model.substitutes(
        tokens,
        arguments.position,
        arguments.k,
        combine=arguments.combine,
        temperature=arguments.temperature,
        vocabulary=arguments.vocabulary,
    )
    if arguments.json:
        answer = {
            "tokens": tokens,
            "position": arguments.position,
            "combine": arguments.combine,
            "temperature": arguments.temperature,
            **normalisation(model, arguments.vocabulary),
            "words": [{"word": word, "score": value} for word, value in words],
        }
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return 0
    is_probability = arguments.combine != "average"
    for row in table(words, "log p" if is_probability else "score", probabilities=is_probability):
        print(row)
    return 0
