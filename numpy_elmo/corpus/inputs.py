"""The text of a corpus: one file or several, in one format or another, as one stream of sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias

from numpy_elmo.corpus.conllu import read_conllu
from numpy_elmo.corpus.text import EncodingErrors, read_lines
from numpy_elmo.errors import InputError

Format: TypeAlias = Literal["auto", "text", "conllu"]
BlankLines: TypeAlias = Literal["error", "empty", "skip"]

STDIN = "-"

# Line numbers that a message names.
_NAMED_LINES = 10


class Sentence(NamedTuple):
    """A sentence as it stands in its file.

    Attributes
    ----------
    text : str
        The line without white space around it; in CoNLL-U, the words with spaces between them.
    tokens : list of str
        Its tokens.
    """

    text: str
    tokens: list[str]


@dataclass(frozen=True)
class CorpusInputs:
    """Files that make up one corpus, in this order.

    Attributes
    ----------
    paths : tuple of str
        The files, gzipped or not; ``-`` for standard input.
    format : {"auto", "text", "conllu"}
        One sentence a line, or CoNLL-U; ``"auto"`` goes by the name, ``.conllu`` or ``.conllu.gz``.
    blank_lines : {"error", "empty", "skip"}
        What a blank line of text is: an error, an empty sentence, or nothing.  CoNLL-U has none in this sense.
    encoding_errors : {"strict", "replace"}
        What to do with bytes that are not UTF-8: refuse the file, or read U+FFFD in their place.
    """

    paths: tuple[str, ...]
    format: Format = "auto"
    blank_lines: BlankLines = "error"
    encoding_errors: EncodingErrors = "strict"

    def __iter__(self) -> Iterator[Sentence]:
        """Read the sentences, each when it is asked for.

        Raises
        ------
        InputError
            If a file cannot be read, or a line cannot be used; the message names it.  Blank lines are named together,
            at the end of their file.
        """
        for path in self.paths:
            if self._is_conllu(path):
                for words in read_conllu(path, encoding_errors=self.encoding_errors):
                    yield Sentence(" ".join(words), words)
                continue
            n_blank, named = 0, []
            for number, sentence in self._lines(path):
                if sentence.tokens or self.blank_lines == "empty":
                    yield sentence
                elif self.blank_lines == "error":
                    n_blank += 1
                    named += [number] if n_blank <= _NAMED_LINES else []
            if n_blank:
                numbers = ", ".join(map(str, named)) + (", ..." if n_blank > len(named) else "")
                raise InputError(f"{_name(path)} has {n_blank} blank line(s): {numbers}; {_BLANK_REMEDY}")

    def _lines(self, path: str) -> Iterator[tuple[int, Sentence]]:
        for number, line in read_lines(path, encoding_errors=self.encoding_errors):
            yield number, Sentence(line.strip(), line.split())

    def _is_conllu(self, path: str) -> bool:
        if self.format == "auto":
            return os.fspath(path).removesuffix(".gz").endswith(".conllu")
        return self.format == "conllu"


@dataclass(frozen=True)
class CorpusPart(CorpusInputs):
    """Some of the sentences of a corpus.

    Attributes
    ----------
    start, stop : int
        The first sentence, from 0, and the one after the last.
    """

    start: int = 0
    stop: int = 0

    def __iter__(self) -> Iterator[Sentence]:
        """Read the sentences; those before them are passed over."""
        return islice(super().__iter__(), self.start, self.stop)


_BLANK_REMEDY = "remove them, one sentence a line is expected, or give blank_lines='empty' or 'skip'"


def _name(path: str) -> str:
    return "standard input" if path == STDIN else path
