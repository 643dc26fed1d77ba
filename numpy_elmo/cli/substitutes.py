"""``numpy-elmo substitutes``: the words that fit in place of a token."""

from __future__ import annotations

import argparse
import json
import re

from numpy_elmo.analysis.spans import occurrences
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
from numpy_elmo.errors import InputError

_MARKED = re.compile(r"(?<!\S)\[(?=\S)([^\[\]]*\S)\](?!\w)")


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "substitutes",
        help="print the words that fit in place of a token",
        description="Print the words that fit best in place of a token, given both contexts. The token is marked "
        'in the text, as in "He sat on the river [bank] .", or given by --word or --position.',
    )
    parser.add_argument("text", metavar="TEXT", help="tokens of a sentence, separated by spaces")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--word", metavar="WORD", help="the token, which must occur once")
    place.add_argument("--position", type=int, metavar="N", help="position of the token, from 0, or from the end (-1)")
    parser.add_argument(
        "--combine",
        choices=("average", "product", "forward", "backward"),
        default="average",
        help="score by the mean of both directions' log-probabilities (average, the default, which is no probability), "
        "by their normalised product, or by one direction",
    )
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T", help="divisor of the logits (1)")
    add_tokenize_argument(parser)
    add_language_model_arguments(parser)
    add_word_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the words."""
    tokens, position = _place(arguments)
    model = load_language_model(arguments)
    how = {"combine": arguments.combine, "temperature": arguments.temperature}
    words = listed(lambda k: model.substitutes(tokens, position, k, vocabulary=arguments.among, **how), arguments)
    if arguments.json:
        answer = {
            "tokens": tokens,
            "position": position,
            **how,
            **normalisation(model, arguments.among),
            "words": [{"word": word, "score": value} for word, value in words],
        }
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return 0
    is_probability = arguments.combine != "average"
    for row in table(words, "log p" if is_probability else "score", probabilities=is_probability):
        print(row)
    return 0


def _place(arguments: argparse.Namespace) -> tuple[list[str], int]:
    """Return the tokens, and the position of the one to replace."""
    if arguments.position is not None:
        tokens = words_of(arguments.text, arguments)
        if not -len(tokens) <= arguments.position < len(tokens):
            raise InputError(f"the text has {len(tokens)} tokens, there is no token {arguments.position}")
        return tokens, arguments.position % len(tokens)
    if arguments.word is not None:
        tokens = words_of(arguments.text, arguments)
        places = [position for _, position in occurrences([tokens], arguments.word)]
        if len(places) != 1:
            found = f"occurs at the positions {', '.join(map(str, places))}" if places else "does not occur"
            raise InputError(f"{arguments.word!r} {found} in the text; mark the token as [{arguments.word}]")
        return tokens, places[0]
    marked = list(_MARKED.finditer(arguments.text))
    if len(marked) != 1:
        raise InputError(
            f'{len(marked)} tokens are marked; mark one, as in "the river [bank] .", or give --word or --position'
        )
    before, word, after = arguments.text[: marked[0].start()], marked[0][1], arguments.text[marked[0].end() :]
    parts = [words_of(part, arguments) for part in (before, word, after)]
    if len(parts[1]) != 1:
        raise InputError(f"[{word}] holds {len(parts[1])} tokens; mark one")
    return [*parts[0], *parts[1], *parts[2]], len(parts[0])
