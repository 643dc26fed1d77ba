"""``numpy-elmo neighbors``: tokens that are used like a given word."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from numpy_elmo.analysis.neighbors import NeighborIndex, build_index
from numpy_elmo.analysis.spans import occurrences
from numpy_elmo.cli.common import SubParsers, add_model_arguments, add_reading_arguments, text_inputs, words_of
from numpy_elmo.cli.progress import progress
from numpy_elmo.corpus.resume import model_digest
from numpy_elmo.elmo import CorpusReport, load
from numpy_elmo.errors import InputError


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "neighbors",
        help="find tokens of a text that are used like a word",
        description="For every occurrence of WORD in FILE, or in --query, print the nearest occurrences of any token "
        "in FILE by the cosine of their contextual vectors, with the numbers of their sentences from 0.",
    )
    parser.add_argument("word", metavar="WORD", help="one token")
    parser.add_argument("file", metavar="FILE", help="tokenised sentences, or - for standard input")
    parser.add_argument("--query", metavar="SENTENCE", help="look at WORD in this sentence instead of in FILE")
    parser.add_argument("-k", type=int, default=5, metavar="N", help="neighbors to print (5)")
    parser.add_argument("--layer", type=int, default=-1, metavar="N", help="layer to compare (-1, the last one)")
    parser.add_argument("--index", metavar="HDF5", help="keep the vectors of FILE here, and use them if they exist")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model_arguments(parser)
    add_reading_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the neighbors."""
    elmo = load(arguments.model, options=arguments.options_file)
    sentences = [sentence.tokens for sentence in text_inputs(arguments, [arguments.file])]
    asked = sentences if arguments.query is None else [words_of(arguments.query, arguments)]
    places = list(occurrences(asked, arguments.word))
    if not places:
        where = arguments.file if arguments.query is None else "the query"
        raise InputError(f"{arguments.word!r} does not occur in {where}; words are compared exactly, case included")
    digest = model_digest(elmo)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(arguments.index or Path(scratch) / "index.hdf5").expanduser()
        if not path.exists():
            total = CorpusReport(len(sentences), sum(map(len, sentences)))
            with progress() as show:
                build_index(
                    path,
                    elmo,
                    sentences,
                    layer=arguments.layer,
                    model_digest=digest,
                    progress=lambda done: show(done, total),
                )
        with NeighborIndex(path) as index:
            index.check(elmo, sentences, layer=arguments.layer, model_digest=digest)
            used = sorted({number for number, _ in places})
            vectors = dict(
                zip(used, elmo.embed([asked[number] for number in used], layers=arguments.layer), strict=True)
            )
            answers = [
                (
                    number,
                    position,
                    index.search(
                        vectors[number][position],
                        arguments.k,
                        leave_out=None if arguments.query else (number, position),
                    ),
                )
                for number, position in places
            ]
    if arguments.json:
        rows = [
            {
                "sentence": None if arguments.query else number,
                "tokens": asked[number],
                "position": position,
                "neighbors": [neighbor._asdict() for neighbor in found],
            }
            for number, position, found in answers
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    for number, position, found in answers:
        print(("" if arguments.query else f"{number}: ") + _marked(asked[number], position))
        for neighbor in found:
            print(f"  {neighbor.similarity:.2f}  {neighbor.sentence}: {_marked(neighbor.tokens, neighbor.position)}")
    return 0


def _marked(tokens: list[str], position: int) -> str:
    return " ".join(f"[{token}]" if place == position else token for place, token in enumerate(tokens))
