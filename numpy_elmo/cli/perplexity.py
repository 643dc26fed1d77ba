"""``numpy-elmo perplexity``: how well a model predicts a text."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from numpy_elmo.cli.common import (
    SubParsers,
    add_text_arguments,
    load_language_model,
    text_inputs,
)


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "perplexity",
        help="print the perplexity of a text file",
        description="Read tokenised sentences and print the model's perplexity, forward, backward "
        "and on average. Boundaries are predicted too; words that the vocabulary lacks count as <UNK>; blank lines "
        "are skipped.",
    )
    add_text_arguments(parser, carry="continue from the batch before, as the published perplexities were measured")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the perplexity."""
    model = load_language_model(arguments)
    result = model.perplexity(
        (sentence.tokens for sentence in text_inputs(arguments, [arguments.file])),
        state=arguments.state,
        batch_size=arguments.batch_size,
    )
    if arguments.json:
        print(json.dumps(asdict(result), indent=2))
        return 0
    share = result.n_unknown / max(1, result.n_tokens)
    rows = [
        ("forward", f"{result.forward:.2f}"),
        ("backward", f"{result.backward:.2f}"),
        ("average", f"{result.average:.2f}"),
        ("sentences", f"{result.n_sentences:,}"),
        ("tokens", f"{result.n_tokens:,}, {result.n_unknown:,} of them ({share:.1%}) unknown"),
        ("predictions", f"{result.n_predictions:,} in each direction, boundaries included"),
    ]
    for name, value in rows:
        print(f"{name:<11} {value}")
    return 0
