"""``numpy-elmo download``: download a published model."""

from __future__ import annotations

import argparse
import sys

from numpy_elmo.cli.common import SubParsers
from numpy_elmo.errors import ModelNotFoundError
from numpy_elmo.files import published
from numpy_elmo.files.download import download
from numpy_elmo.files.published import PublishedModel


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "download",
        help="download a published model",
        description="Download a published model, which can then be loaded by its name. Known sizes and checksums "
        "are checked before a file gets its name. Needs an extra: pip install 'numpy_elmo[download]'.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("name", metavar="NAME", nargs="?", help="a name from --list, or nlpl-<id>")
    what.add_argument("--list", action="store_true", help="list the published models, and which are downloaded")
    parser.add_argument("--dest", metavar="DIR", help="folder for the files (the model's folder in the user's cache)")
    parser.add_argument(
        "--mirror",
        metavar="URL",
        help="address to try first, in front of NAME/FILE (environment variable NUMPY_ELMO_MIRROR)",
    )
    parser.add_argument("--softmax", action="store_true", help="download the softmax and its vocabulary too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Download the model, or list all models."""
    if arguments.list:
        for model in published.table().values():
            print(_row(model))
        return 0
    path = download(
        arguments.name,
        arguments.dest,
        mirror=arguments.mirror,
        softmax=arguments.softmax,
        progress=sys.stderr.isatty(),
    )
    print(path)
    return 0


def _row(model: PublishedModel) -> str:
    try:
        published.find(model.name)
    except ModelNotFoundError:
        here = "-"
    else:
        here = "here"
    size = f"{model.dim}/{model.projection}" if model.dim is not None else ""
    return f"{model.name:<13} {here:<4}  {size:<9} {model.language or '':<10} {model.description}"
