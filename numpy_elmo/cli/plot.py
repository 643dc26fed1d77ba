"""``numpy-elmo plot``: pictures of a model at work."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from numpy_elmo.cli.common import (
    SubParsers,
    add_model_arguments,
    add_reading_arguments,
    add_softmax_arguments,
    add_tokenize_argument,
    load_language_model,
    model_files,
    text_inputs,
    words_of,
)
from numpy_elmo.elmo import Elmo, load
from numpy_elmo.files.writing import check_target

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "plot",
        help="draw senses, similarities, gates or next words",
        description="Write a picture as PNG or SVG.  Needs matplotlib: pip install 'numpy_elmo[plot]'.",
    )
    kinds = parser.add_subparsers(title="pictures", metavar="PICTURE", required=True)

    senses = kinds.add_parser(
        "senses",
        help="one word's vectors over its sentences",
        description="Draw the vectors of one word in many sentences, by their first two principal components.",
    )
    senses.add_argument("word", metavar="WORD", help="the token, spelled as in the text, case included")
    senses.add_argument("file", metavar="FILE", help="tokenised sentences, or - for standard input")
    senses.add_argument("--layer", type=int, default=-1, metavar="N", help="layer to take the vectors from (the last)")
    add_reading_arguments(senses)
    senses.set_defaults(draw=_senses)

    similarity = kinds.add_parser(
        "similarity",
        help="how similar the tokens of a sentence are, layer by layer",
        description="Draw the cosine of every two tokens of a sentence, for every layer.",
    )
    similarity.add_argument("text", metavar="TEXT", help="tokens separated by spaces")
    add_tokenize_argument(similarity)
    similarity.set_defaults(draw=_similarity)

    gates = kinds.add_parser(
        "gates",
        help="an LSTM's gates and cell over a sentence",
        description="Draw the gates and the cell of one LSTM layer, token by token.",
    )
    gates.add_argument("text", metavar="TEXT", help="tokens separated by spaces")
    gates.add_argument("--layer", type=int, default=1, metavar="N", help="layer; 1 is the first LSTM layer (1)")
    gates.add_argument("--direction", choices=("forward", "backward"), default="forward", help="stack (forward)")
    gates.add_argument("--units", type=int, default=24, metavar="N", help="most active units to show (24)")
    add_tokenize_argument(gates)
    gates.set_defaults(draw=_gates)

    next_words = kinds.add_parser(
        "next",
        help="the likeliest next words",
        description="Draw the likeliest words after the beginning of a sentence.",
    )
    next_words.add_argument("text", metavar="TEXT", help='tokens separated by spaces; "" for the first word')
    next_words.add_argument("-k", type=int, default=10, metavar="N", help="words to show (10)")
    next_words.add_argument("--unknown", action="store_true", help="show <UNK> too, all words outside the vocabulary")
    add_tokenize_argument(next_words)
    next_words.set_defaults(draw=_next_words)

    for name, kind, add_arguments in (
        ("WORD", senses, add_model_arguments),
        ("similarity", similarity, add_model_arguments),
        ("gates", gates, add_model_arguments),
        ("next", next_words, add_softmax_arguments),
    ):
        add_arguments(kind)
        kind.add_argument("--output", metavar="FILE", help=f"picture, .png or .svg ({name}.png)")
        kind.add_argument("--overwrite", action="store_true", help="replace an existing picture")
        kind.add_argument("--theme", choices=("light", "dark"), default="light", help="background (light)")
        kind.set_defaults(run=run, name=name)


def run(arguments: argparse.Namespace) -> int:
    """Draw the picture."""
    from numpy_elmo.analysis.plots import save  # noqa: PLC0415  # the other commands do without matplotlib

    name = re.sub(r"[^\w.-]", "_", arguments.word) if arguments.name == "WORD" else arguments.name
    output = arguments.output or f"{name}.png"
    text = (arguments.file,) if arguments.name == "WORD" else ()
    check_target(output, overwrite=arguments.overwrite, inputs=(*text, *model_files(arguments)))
    save(arguments.draw(arguments), output, overwrite=arguments.overwrite)
    print(output)
    return 0


def _senses(arguments: argparse.Namespace) -> Figure:
    from numpy_elmo.analysis.plots import senses  # noqa: PLC0415

    sentences = (sentence.tokens for sentence in text_inputs(arguments, [arguments.file]))
    return senses(_elmo(arguments), arguments.word, sentences, layer=arguments.layer, theme=arguments.theme)


def _similarity(arguments: argparse.Namespace) -> Figure:
    from numpy_elmo.analysis.plots import similarity  # noqa: PLC0415

    return similarity(_elmo(arguments), words_of(arguments.text, arguments), theme=arguments.theme)


def _gates(arguments: argparse.Namespace) -> Figure:
    from numpy_elmo.analysis.plots import gates  # noqa: PLC0415

    return gates(
        _elmo(arguments),
        words_of(arguments.text, arguments),
        direction=arguments.direction,
        layer=arguments.layer,
        n_units=arguments.units,
        theme=arguments.theme,
    )


def _next_words(arguments: argparse.Namespace) -> Figure:
    from numpy_elmo.analysis.plots import next_words  # noqa: PLC0415

    model, tokens = load_language_model(arguments), words_of(arguments.text, arguments)
    return next_words(model, tokens, arguments.k, unknown=arguments.unknown, theme=arguments.theme)


def _elmo(arguments: argparse.Namespace) -> Elmo:
    return load(arguments.model, options=arguments.options_file)
