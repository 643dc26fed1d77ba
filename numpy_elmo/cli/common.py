"""What the commands share."""

from __future__ import annotations

import argparse
import math
import re
import sys
from contextlib import suppress
from typing import TypeAlias

from numpy_elmo.language_model import LanguageModel, WordScore

SubParsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def say(text: str) -> None:
    """Print a line on standard error, if anybody can read it: what is done does not depend on it."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # no reader, a full disk, a closed file
            print(text, file=sys.stderr, flush=True)


def with_flags(error: object) -> str:
    """Return a message of the library with its parameters as flags."""
    text = re.sub(r"\b(overwrite|resume)=True", r"--\1", str(error))
    text = re.sub(r"\bsentence_keys=True", "--use-sentence-keys", text)
    return re.sub(
        r"\b(blank_lines|encoding_errors|dtype)=['\"](\w+)['\"]",
        lambda found: f"--{found[1].replace('_', '-')} {found[2]}",
        text,
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a model."""
    parser.add_argument(
        "--model", default="tiny", metavar="NAME|DIR|ZIP", help="model, by name, folder, zip or weight file (tiny)"
    )
    parser.add_argument("--options-file", metavar="FILE", help="options of a model given as a weight file")


def add_language_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all commands of the language model take."""
    add_model_arguments(parser)
    parser.add_argument("--softmax", metavar="FILE", help="softmax weights (found beside the model's)")
    parser.add_argument("--vocab", metavar="FILE", help="the softmax's words, one a line (found beside it)")
    parser.add_argument(
        "--on-disk", action="store_true", help="read the softmax in blocks instead of keeping it in memory"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_word_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the commands that list words take."""
    parser.add_argument("-k", type=int, default=10, metavar="N", help="words to print (10)")
    parser.add_argument(
        "--vocabulary",
        metavar="WORDS",
        type=str.split,
        help="choose among these words only (separated by spaces); probabilities are normalised over them",
    )


def load_language_model(arguments: argparse.Namespace) -> LanguageModel:
    """Load the model that the arguments name."""
    return LanguageModel.load(
        arguments.model,
        softmax=arguments.softmax,
        vocab=arguments.vocab,
        options=arguments.options_file,
        in_memory=not arguments.on_disk,
    )


def normalisation(model: LanguageModel, vocabulary: list[str] | None) -> dict[str, object]:
    """Say over how many words probabilities are normalised, and whether these are all."""
    n_words = len(model.vocabulary if vocabulary is None else set(vocabulary))
    return {"normalised_over": n_words, "restricted": vocabulary is not None}


def table(words: list[WordScore], heading: str, *, probabilities: bool) -> list[str]:
    """Return the lines of a table of words."""
    width = max([len(word) for word, _ in words] + [len("word")])
    rows = [f"{'word':<{width}}  {heading:>9}" + ("  probability" if probabilities else "")]
    for word, value in words:
        rows.append(f"{word:<{width}}  {value:9.4f}" + (f"  {math.exp(value):11.6f}" if probabilities else ""))
    return rows
