"""``numpy-elmo convert``: a model of any readable format in the published layout."""

from __future__ import annotations

import argparse

from numpy_elmo.analysis.convert import convert
from numpy_elmo.cli.common import SubParsers, add_softmax_files


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "convert",
        help="write a model in the published layout",
        description="Write any readable model (a TensorFlow checkpoint, a model of AllenNLP, ...) as options.json and "
        "weights.hdf5, with its softmax and vocabulary if it has them, and compare the vectors of both.",
    )
    parser.add_argument("model", metavar="SOURCE", help="name, folder, archive, checkpoint prefix or weight file")
    parser.add_argument("dest", metavar="DEST", help="folder to create")
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32", help="stored values (float32)")
    parser.add_argument("--options-file", metavar="FILE", help="options of a model without an options file")
    add_softmax_files(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert, and print what was written."""
    done = convert(
        arguments.model,
        arguments.dest,
        dtype=arguments.dtype,
        options=arguments.options_file,
        softmax=arguments.softmax,
        vocabulary=arguments.vocabulary,
    )
    print(f"{done.folder}: {', '.join(done.files)}")
    same = "equal" if done.difference == 0 else f"differ by at most {done.difference:.2g} from"
    print(f"the vectors {same} those of {arguments.model}")
    return 0
