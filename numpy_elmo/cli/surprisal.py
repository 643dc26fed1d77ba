"""``numpy-elmo surprisal``: a table of surprisal, entropy and rank, one row per token."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator
from itertools import groupby

from numpy_elmo.cli.common import (
    SubParsers,
    add_text_arguments,
    load_language_model,
    text_inputs,
)
from numpy_elmo.language_model import LanguageModel, SurprisalRow
from numpy_elmo.language_model.model import BATCHES_OF_WINDOW, State
from numpy_elmo.language_model.surprisal import Unit, tsv_line
from numpy_elmo.network.batching import batches
from numpy_elmo.network.checks import check_count
from numpy_elmo.network.state import CarriedState


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "surprisal",
        help="print the surprisal of every token of a text file",
        description="Read tokenised sentences and print a tab-separated table with a header and "
        "one row per token: sentence_id, token_id (both from 1), token, surprisal (forward), surprisal_backward, "
        "entropy (of the forward distribution before the token is read), rank (1: the likeliest word), unknown (1: "
        "the token is not in the vocabulary, so the numbers are those of <UNK>). The last row of a sentence is </S>, "
        "its end, which has no surprisal_backward (NA). Blank lines separate documents and have no sentence_id.",
    )
    add_text_arguments(parser, carry="from the sentence before it in the same document")
    parser.add_argument("--unit", choices=("bits", "nats"), default="bits", help="unit of surprisal and entropy (bits)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    check_count("batch_size", arguments.batch_size)
    model = load_language_model(arguments)
    if not arguments.json:
        print("\t".join(SurprisalRow._fields))
    sentences = (sentence.tokens for sentence in text_inputs(arguments, [arguments.file], blank_lines="empty"))
    for row in _rows(model, sentences, arguments.unit, arguments.batch_size, carry=arguments.state == "carry"):
        print(_json(row) if arguments.json else tsv_line(row))
    return 0


def _rows(
    model: LanguageModel, sentences: Iterable[list[str]], unit: Unit, batch_size: int, *, carry: bool
) -> Iterator[SurprisalRow]:
    window, sentence_id = BATCHES_OF_WINDOW * batch_size, 0
    documents = (
        (group for is_text, group in groupby(sentences, bool) if is_text) if carry else [filter(None, sentences)]
    )
    for document in documents:
        state: State = CarriedState() if carry else "reset"
        for some in batches(document, window):
            for found in model.surprisal(some, unit=unit, state=state, batch_size=batch_size):
                sentence_id += 1
                yield from found.rows(sentence_id)


def _json(row: SurprisalRow) -> str:
    values = {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row._asdict().items()
    }
    return json.dumps(values, ensure_ascii=False)
