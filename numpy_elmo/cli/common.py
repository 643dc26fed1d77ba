"""Arguments and helpers that several commands share."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, get_args

from numpy_elmo.analysis.words import without_unknown
from numpy_elmo.corpus.inputs import BlankLines, CorpusInputs, Format, warn_if_untokenized
from numpy_elmo.corpus.text import EncodingErrors
from numpy_elmo.corpus.tokenize import looks_untokenized, tokenize
from numpy_elmo.files.vocabulary import UNKNOWN
from numpy_elmo.language_model import LanguageModel, WordScore

SubParsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def say(text: str) -> None:
    """Print a line on standard error; failures are ignored, because the work does not depend on it."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # no reader, a full disk, a closed file
            print(text, file=sys.stderr, flush=True)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a model."""
    parser.add_argument(
        "--model", default="tiny", metavar="NAME|DIR|ZIP", help="model, by name, folder, zip or weight file (tiny)"
    )
    parser.add_argument("--options-file", metavar="FILE", help="options of a model given as a weight file")


def add_reading_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options for reading text files, and return their group."""
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--format",
        choices=get_args(Format),
        default="auto",
        help="format of the text: one sentence per line (text), CoNLL-U, other CoNLL columns, JSON lines or FASTA "
        "(auto: by the name and the first lines)",
    )
    group.add_argument(
        "--column", type=int, default=0, metavar="N", help="column of the words for --format conll, from 0 (0)"
    )
    group.add_argument("--json-field", metavar="NAME", help="field of the JSON lines with the sentence")
    add_tokenize_argument(group)
    group.add_argument(
        "--encoding-errors",
        choices=get_args(EncodingErrors),
        default="strict",
        help="refuse bytes that are not UTF-8 (default), or replace them by U+FFFD",
    )
    return group


def text_inputs(arguments: argparse.Namespace, paths: list[str], blank_lines: BlankLines = "skip") -> CorpusInputs:
    """Return the reader of text files that the arguments describe."""
    return CorpusInputs(
        tuple(paths),
        arguments.format,
        blank_lines,
        arguments.encoding_errors,
        arguments.column,
        arguments.json_field,
        arguments.tokenize,
    )


# The files of a model's folder, which may hold others, such as vectors.
MODEL_FILES = (
    *("*.json", "model.hdf5", "*weights*", "*softmax*", "vocab*", "*.safetensors"),
    *("*.index", "*.data-*", "checkpoint", "variables/*", "model.tar.gz"),
)


def model_files(arguments: argparse.Namespace) -> Iterator[Path]:
    """Yield the files that a command reads its model from: no output may replace them."""
    for name in ("model", "weight_file", "options_file", "softmax", "vocabulary"):
        if (given := getattr(arguments, name, None)) is not None:
            path = Path(given).expanduser()
            yield path
            for pattern in MODEL_FILES:
                yield from path.glob(pattern)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural if needed."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def words_of(text: str, arguments: argparse.Namespace) -> list[str]:
    """Return the tokens of a text on the command line."""
    if arguments.tokenize:
        return tokenize(text)
    tokens = text.split()
    warn_if_untokenized(looks_untokenized(tokens), len(tokens), "the text")
    return tokens


def add_tokenize_argument(parser: argparse._ActionsContainer) -> None:
    """Add the option ``--tokenize``."""
    parser.add_argument("--tokenize", action="store_true", help="split English text into tokens first")


def add_softmax_files(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the files of a softmax."""
    parser.add_argument("--softmax", metavar="FILE", help="softmax weights (default: next to the model's)")
    parser.add_argument("--vocabulary", metavar="FILE", help="words of the softmax, one per line (default: next to it)")


def add_softmax_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a model with its softmax."""
    add_model_arguments(parser)
    add_softmax_files(parser)
    parser.add_argument(
        "--on-disk", action="store_true", help="read the softmax in blocks instead of keeping it in memory"
    )


def add_language_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that print words or scores."""
    add_softmax_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_text_arguments(parser: argparse.ArgumentParser, carry: str) -> None:
    """Add the arguments of commands that score a text file; `carry` describes ``--state carry``."""
    parser.add_argument("file", metavar="FILE", help="text file, or - for standard input")
    add_language_model_arguments(parser)
    add_reading_arguments(parser)
    parser.add_argument(
        "--state",
        choices=("reset", "carry"),
        default="reset",
        help=f"start every sentence from zeros (reset, the default), or {carry} (carry)",
    )
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="sentences that run together (64)")


def add_word_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that list words."""
    parser.add_argument("-k", type=int, default=10, metavar="N", help="words to print (10)")
    parser.add_argument(
        "--among",
        metavar="WORDS",
        type=str.split,
        help="choose among these words only (separated by spaces); probabilities are normalised over them",
    )
    parser.add_argument("--unknown", action="store_true", help=f"list {UNKNOWN} too, all words outside the vocabulary")


def listed(predict: Callable[[int], list[WordScore]], arguments: argparse.Namespace) -> list[WordScore]:
    """Return the words to print; `predict` takes their number."""
    return without_unknown(predict, arguments.k, show=arguments.unknown or arguments.among is not None)


def load_language_model(arguments: argparse.Namespace) -> LanguageModel:
    """Load the model that the arguments name."""
    return LanguageModel.load(
        arguments.model,
        softmax=arguments.softmax,
        vocabulary=arguments.vocabulary,
        options=arguments.options_file,
        in_memory=not arguments.on_disk,
    )


def normalisation(model: LanguageModel, vocabulary: list[str] | None) -> dict[str, object]:
    """Return the number of words over which probabilities are normalised, and whether ``--among`` restricts them."""
    n_words = len(model.vocabulary if vocabulary is None else set(vocabulary))
    return {"normalised_over": n_words, "restricted": vocabulary is not None}


def table(words: list[WordScore], heading: str, *, probabilities: bool) -> list[str]:
    """Return the lines of a table of words."""
    width = max([len(word) for word, _ in words] + [len("word")])
    rows = [f"{'word':<{width}}  {heading:>9}" + ("  probability" if probabilities else "")]
    for word, value in words:
        rows.append(f"{word:<{width}}  {value:9.4f}" + (f"  {math.exp(value):11.6f}" if probabilities else ""))
    return rows


def with_flags(message: object, arguments: argparse.Namespace) -> str:
    """Return a message of the library with the command's flags in place of Python's arguments.

    >>> with_flags("give overwrite=True, or format='conll'", argparse.Namespace(overwrite=False, format="auto"))
    'give --overwrite, or --format conll'
    """

    def flag(match: re.Match[str]) -> str:
        name, _, value, others = match.groups()
        name = "use_sentence_keys" if name == "sentence_keys" else name
        if name not in vars(arguments) or value in ("False", "None"):
            return match[0]
        return f"--{name.replace('_', '-')}" + ("" if value == "True" else f" {value}") + others.replace("'", "")

    return re.sub(r"\b([a-z_]+)=(['\"]?)([\w.-]+)\2((?: or '\w+')*)", flag, str(message))
