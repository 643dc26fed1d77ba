"""``numpy-elmo neighbors``: the tokens of a text that are used as a word is."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from numpy_elmo.analysis.neighbors import Neighbor, NeighborIndex, build_index
from numpy_elmo.analysis.spans import occurrences
from numpy_elmo.cli.common import add_model_arguments
from numpy_elmo.corpus.resume import model_digest
from numpy_elmo.corpus.text import read_sentences
from numpy_elmo.elmo import Elmo, load
from numpy_elmo.errors import InputError

if TYPE_CHECKING:
    from numpy_elmo.cli.common import SubParsers


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "neighbors",
        help="find the tokens of a text that are used as a word is",
        description="For every occurrence of WORD in FILE, or in --query, print the nearest occurrences of any token "
        "in FILE by the cosine of their contextual vectors.",
    )
    parser.add_argument("word", metavar="WORD", help="one token")
    parser.add_argument("file", metavar="FILE", help="one tokenised sentence a line")
    parser.add_argument("--query", metavar="SENTENCE", help="look at WORD in this sentence instead of in FILE")
    parser.add_argument("-k", type=int, default=5, metavar="N", help="neighbors to print (5)")
    parser.add_argument("--layer", type=int, default=-1, metavar="N", help="layer to compare (-1, the last one)")
    parser.add_argument("--index", metavar="HDF5", help="keep the vectors of FILE here, and use them if they are there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the neighbors."""
    elmo = load(arguments.model, options=arguments.options_file)
    digest = model_digest(elmo)
    sentences = list(read_sentences(arguments.file))
    asked = sentences if arguments.query is None else [arguments.query.split()]
    places = list(occurrences(asked, arguments.word))
    if not places:
        where = arguments.file if arguments.query is None else "the query"
        raise InputError(f"{arguments.word!r} does not occur in {where}; words are compared exactly, case included")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(arguments.index or Path(scratch) / "index.hdf5")
        if not path.exists():
            build_index(path, elmo, sentences, layer=arguments.layer, model_digest=digest)
        with NeighborIndex(path) as index:
            index.check(elmo, sentences, layer=arguments.layer, model_digest=digest)
            answers = [
                (asked[number], position, _nearest(index, elmo, asked, (number, position), arguments))
                for number, position in places
            ]
    _print(answers, as_json=arguments.json)
    return 0


def _nearest(
    index: NeighborIndex, elmo: Elmo, asked: list[list[str]], place: tuple[int, int], arguments: argparse.Namespace
) -> list[Neighbor]:
    [vectors] = elmo.embed([asked[place[0]]], layers=arguments.layer)
    return index.search(vectors[place[1]], arguments.k, leave_out=place if arguments.query is None else None)


def _print(answers: list[tuple[list[str], int, list[Neighbor]]], *, as_json: bool) -> None:
    if as_json:
        found = [
            {"tokens": tokens, "position": position, "neighbors": [neighbor._asdict() for neighbor in neighbors]}
            for tokens, position, neighbors in answers
        ]
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for tokens, position, neighbors in answers:
        print(_marked(tokens, position))
        for neighbor in neighbors:
            print(f"  {neighbor.similarity:.2f}  {_marked(neighbor.tokens, neighbor.position)}")


def _marked(tokens: list[str], position: int) -> str:
    return " ".join(f"[{token}]" if place == position else token for place, token in enumerate(tokens))
