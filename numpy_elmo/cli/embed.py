"""``numpy-elmo embed``: a text file in, an HDF5 file of vectors out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from numpy_elmo.batching import batches
from numpy_elmo.cli.common import add_model_arguments
from numpy_elmo.corpus.hdf5 import VectorFile
from numpy_elmo.corpus.text import check_no_blank_lines, read_sentences
from numpy_elmo.elmo import load

if TYPE_CHECKING:
    from numpy_elmo.cli.common import SubParsers

# Sentences that are held with their vectors between reading and writing; longer runs sort better by length.
WINDOW = 1024


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "embed",
        help="write the vectors of a text file",
        description="Read one tokenised sentence a line (UTF-8) and write its ELMo vectors in the HDF5 layout of "
        '"allennlp elmo": datasets "0", "1", ... and "sentence_to_index".',
    )
    parser.add_argument("input", metavar="INPUT", help="text file, or - for standard input")
    parser.add_argument("output", metavar="OUTPUT", help="HDF5 file to write")
    add_model_arguments(parser)
    layers = parser.add_mutually_exclusive_group()
    for name, meaning in (
        ("all", "all layers, (layers, tokens, features); the default"),
        ("top", "the last layer, (tokens, features)"),
        ("average", "the mean of all layers, (tokens, features)"),
    ):
        layers.add_argument(f"--{name}", dest="layers", action="store_const", const=name, help=meaning)
    parser.add_argument(
        "--state",
        choices=("reset", "carry"),
        default="reset",
        help="start every sentence from zeros (reset, the default), or go on from the batch before, "
        "as AllenNLP and bilm-tf do (carry)",
    )
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="sentences that run together (64)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it is there")
    parser.set_defaults(run=run, layers="all")


def run(arguments: argparse.Namespace) -> int:
    """Embed the file."""
    sentences = list(read_sentences(arguments.input))
    check_no_blank_lines(sentences, "standard input" if arguments.input == "-" else arguments.input)
    elmo = load(arguments.model, options=arguments.options_file)
    # With carried state the cut into batches is part of the result, so a window must hold whole batches.
    window = max(1, WINDOW // max(1, arguments.batch_size)) * max(1, arguments.batch_size)
    with VectorFile(arguments.output, overwrite=arguments.overwrite) as output:
        for some in batches(sentences, window):
            vectors = elmo.embed(some, layers=arguments.layers, state=arguments.state, batch_size=arguments.batch_size)
            for tokens, array in zip(some, vectors, strict=True):
                output.write(tokens, array)
    n_tokens = sum(map(len, sentences))
    print(f"{arguments.output}: {len(sentences)} sentences, {n_tokens} tokens, {elmo.vector_size} features a layer")
    return 0
