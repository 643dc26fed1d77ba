"""Text files of all accepted formats as one stream of tokenised sentences."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import PurePath
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from numpy_elmo.corpus.conllu import column_sentences, conllu_sentences, is_no_token
from numpy_elmo.corpus.fasta import fasta_records
from numpy_elmo.corpus.text import STDIN as STDIN  # noqa: PLC0414 -- exported here too
from numpy_elmo.corpus.text import EncodingErrors, file_name, read_lines
from numpy_elmo.corpus.tokenize import looks_untokenized, tokenize_with_offsets
from numpy_elmo.errors import InputError, InputWarning
from numpy_elmo.network.checks import check_count, first

Format: TypeAlias = Literal["auto", "text", "conllu", "conll", "json", "fasta"]
BlankLines: TypeAlias = Literal["error", "empty", "skip"]
Offsets: TypeAlias = list[tuple[int, int]]

# Most fields that a message names.
_NAMED_LINES = 10

# Lines read to recognise a format, not counting comments; most lines read, comments included; and sentences checked for
# missing tokenisation.
_HEAD = 50
_COMMENTS = 2000
_SAMPLE = 100

_SUFFIXES: dict[str, Format] = {
    ".conllu": "conllu",
    ".jsonl": "json",
    ".ndjson": "json",
    ".fasta": "fasta",
    ".faa": "fasta",
    ".fas": "fasta",
}
_TABLES = {".csv", ".tsv"}
_CONLLU_ROW = re.compile(r"[0-9]+([-.][0-9]+)?(\t[^\t]*){9}")
_BIO = re.compile(r"[BIESLUO]|[BIESLU]-\S+")
_TAG = re.compile(r"[A-Z][A-Z0-9$|_.-]*|[^\w\s]+")
_PRINTED_LIST = re.compile(
    r"\[+\s*['\"].*['\"]\s*,?\s*\]+ | \[\]  # ['a', 'b'], also nested or from NumPy"
    "\n"
    r"| \((['\"]).*\1(,\ ?(['\"]).*\3|,)\) | \[\[?[0-9]+(,\ ?[0-9]+)+\].*  # ('a', 'b') and [1, 2]"
    "\n"
    r"| .*\['[^']*'(,?\ '.*|\]).*  # somewhere in a line of CSV",
    re.VERBOSE,
)
_RESIDUES = re.compile(r"[A-Za-z*.-]+|[A-Z*. -]+")
_BRACKETED = re.compile(r"\(\s*(\(|[A-Z][A-Z0-9|=-]*\s*\().*")  # (S (NP
_TAGGED = re.compile(r"\S+[/_]([A-Z][A-Z$|-]*|[^\w\s]{1,2})")  # bank/NN


class Sentence(NamedTuple):
    """A sentence of a file.

    Attributes
    ----------
    text : str
        The name to look it up by: the stripped line; the tokens joined by spaces, for CoNLL and `tokenize`; the
        identifier of a FASTA record.
    tokens : list of str
        Its tokens.
    offsets : list of (int, int), optional
        The place of each token in its line (or JSON string), [first, end), if `tokenize` split it.
    """

    text: str
    tokens: list[str]
    offsets: Offsets | None = None


@dataclass(frozen=True)
class CorpusInputs:
    r"""The files of a corpus, in order; iterating yields their sentences.

    Attributes
    ----------
    paths : tuple of str or path
        The files in UTF-8, plain or compressed with gzip, bzip2 or xz; ``-`` for standard input.
    format : {"auto", "text", "conllu", "conll", "json", "fasta"}
        One sentence per line, tokens separated by white space; CoNLL-U; other columns with one token per row and a
        blank line after each sentence; JSON lines; or FASTA: one residue per token, in capitals, no gaps, no ``*``.
        ``"auto"`` recognises the format by the name or the first lines, and refuses what looks like other columns.
    blank_lines : {"error", "empty", "skip"}
        How to treat a sentence without tokens: as an error, as an empty sentence, or not at all.  In CoNLL files
        blank lines separate sentences.
    encoding_errors : {"strict", "replace"}
        What to do with bytes that are not UTF-8: refuse the file, or replace them by U+FFFD.
    column : int
        The column of the tokens in ``format="conll"``, from 0.
    json_field : str, optional
        The field of a JSON line that holds its sentence, a string or a list of tokens.  A line that is a list of tokens
        needs none.
    tokenize : bool
        Split text and strings in JSON as `numpy_elmo.corpus.tokenize` does, instead of at white space.
    """

    paths: tuple[str | os.PathLike[str], ...]
    format: Format = "auto"
    blank_lines: BlankLines = "error"
    encoding_errors: EncodingErrors = "strict"
    column: int = 0
    json_field: str | None = None
    tokenize: bool = False

    def __post_init__(self) -> None:
        for name, values in (("format", get_args(Format)), ("blank_lines", get_args(BlankLines))):
            if getattr(self, name) not in values:
                raise InputError(f"{name} must be one of {', '.join(values)}, not {getattr(self, name)!r}")
        check_count("column", self.column, minimum=0)
        for path in self.paths:
            file_name(path)

    @property
    def reading(self) -> dict[str, Any]:
        """The arguments that say how the files are read: all but `paths`."""
        return {name: value for name, value in asdict(self).items() if name not in ("paths", "start", "stop")}

    def __iter__(self) -> Iterator[Sentence]:
        """Read the sentences lazily.

        Raises
        ------
        InputError
            If a file cannot be read, or a line cannot be used; the message names it.  Blank lines are reported together
            at the end of their file.
        """
        for path in self.paths:
            blank = []
            for number, sentence in self._read(path):
                if sentence.tokens or self.blank_lines == "empty":
                    yield sentence
                elif self.blank_lines == "error":
                    blank.append(number)
            if blank:
                raise InputError(f"{file_name(path)} has {len(blank)} blank line(s): {first(blank)}; {_BLANK_REMEDY}")

    def _read(self, path: str | os.PathLike[str]) -> Iterator[tuple[int, Sentence]]:
        """Yield line number and sentence for all sentences of a file, including those without tokens."""
        name = file_name(path)
        lines = read_lines(path, encoding_errors=self.encoding_errors)
        head = _head(lines)
        kind = self._format(name, [line for _, line in head])
        lines = chain(head, lines)
        if kind == "conllu":
            return _joined(conllu_sentences(lines, name))
        if kind == "conll":
            return _joined(column_sentences(lines, name, self.column))
        if kind == "fasta":
            records = fasta_records(lines, name)
            return ((line, Sentence(header.split()[0] if header else "", list(seq))) for line, header, seq in records)
        if kind == "json":
            sentences = (
                (number, self._from_json(line, f"{name}, line {number}")) for number, line in lines if line.strip()
            )
        else:
            sentences = ((number, self._from_text(line)) for number, line in lines)
        return sentences if self.tokenize else _watched(sentences, name)

    def _format(self, name: str, head: list[str]) -> Format:
        """Return the format of a file by its name and first lines; raise InputError if it is not a readable one."""
        if self.format != "auto":
            return self.format
        if self.json_field is not None:
            return "json"
        stem = re.sub(r"\.(gz|bz2|xz|lzma)$", "", name, flags=re.IGNORECASE)
        suffix = PurePath(stem).suffix.lower()
        kind = _SUFFIXES.get(suffix) or _recognised(name, head)
        if kind == "text" and suffix in _TABLES:
            raise InputError(
                f"{name} is a table; write the column of its sentences to a text file, or give format='text' if every "
                "line is a sentence"
            )
        return kind

    def _from_text(self, line: str) -> Sentence:
        if not self.tokenize:
            return Sentence(line.strip(), line.split())
        tokens, offsets = tokenize_with_offsets(line)
        return Sentence(" ".join(tokens), tokens, offsets)

    def _from_json(self, line: str, where: str) -> Sentence:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where} is not JSON ({error}); JSON lines have one object or list per line") from error
        if isinstance(value, dict):
            if self.json_field not in value:
                fields = ", ".join(map(repr, islice(value, _NAMED_LINES)))
                problem = "is an object" if self.json_field is None else f"has no field {self.json_field!r}"
                raise InputError(f"{where} {problem}; give json_field, one of {fields}")
            value = value[self.json_field]
        if isinstance(value, str):
            return self._from_text(value)
        if isinstance(value, list) and all(isinstance(token, str) for token in value):
            return Sentence(" ".join(value), value)
        raise InputError(f"{where} holds {type(value).__name__} instead of a string or a list of strings")


@dataclass(frozen=True)
class CorpusPart(CorpusInputs):
    """A range of the sentences of a corpus.

    Attributes
    ----------
    start, stop : int
        The first sentence, from 0, and the one after the last.
    """

    start: int = 0
    stop: int = 0

    def __iter__(self) -> Iterator[Sentence]:
        """Read the sentences from `start` to `stop`."""
        return islice(super().__iter__(), self.start, self.stop)


def read_sentences(
    path: str | os.PathLike[str],
    *,
    format: Format = "auto",
    blank_lines: BlankLines = "empty",
    encoding_errors: EncodingErrors = "strict",
    column: int = 0,
    json_field: str | None = None,
    tokenize: bool = False,
) -> Iterator[list[str]]:
    """Read the tokenised sentences of a file.

    Lines of text end at a line feed, and a carriage return before it counts as white space.  Any Unicode white space
    separates tokens, as in ``allennlp elmo``.  The encoding is UTF-8 on every platform; a byte order mark is skipped.

    Parameters
    ----------
    path : str or path
        The file, or ``-`` for standard input.  Files compressed with gzip, bzip2 or xz are unpacked.
    format, blank_lines, encoding_errors, column, json_field, tokenize
        As for `CorpusInputs`; a blank line of text is an empty sentence.

    Yields
    ------
    list of str
        The tokens of a sentence.  Lines are read lazily.

    Raises
    ------
    InputTypeError
        If `path` is not a path.
    InputError
        If the file cannot be read, is not UTF-8, or a line cannot be used; the message names the line.

    Warns
    -----
    InputWarning
        If the text does not look tokenised.
    """
    inputs = CorpusInputs((path,), format, blank_lines, encoding_errors, column, json_field, tokenize)
    return (sentence.tokens for sentence in inputs)


def warn_if_untokenized(n_glued: int, n_tokens: int, name: str, remedy: str = "give tokenize=True") -> None:
    """Warn if at least one token in thirty should have been split."""
    if n_tokens < 3 or 30 * n_glued < n_tokens:
        return
    warnings.warn(
        f"{name} does not look tokenised: punctuation or contractions are not split off, which the models expect; "
        f"{remedy}, or split the text first",
        InputWarning,
        stacklevel=2,
    )


def _joined(sentences: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, Sentence]]:
    return ((number, Sentence(" ".join(tokens), tokens)) for number, tokens in sentences)


def _watched(sentences: Iterable[tuple[int, Sentence]], name: str) -> Iterator[tuple[int, Sentence]]:
    """Yield the sentences, and warn if the first ones do not look tokenised."""
    n_glued = n_tokens = n_sentences = 0
    for n_sentences, (number, sentence) in enumerate(sentences, 1):
        if n_sentences <= _SAMPLE:
            n_glued += looks_untokenized(sentence.tokens)
            n_tokens += len(sentence.tokens)
        if n_sentences == _SAMPLE:
            warn_if_untokenized(n_glued, n_tokens, name)
        yield number, sentence
    if n_sentences < _SAMPLE:
        warn_if_untokenized(n_glued, n_tokens, name)


def _head(lines: Iterator[tuple[int, str]]) -> list[tuple[int, str]]:
    """Read as many lines as it takes to recognise a format."""
    head: list[tuple[int, str]] = []
    n_others = 0
    for number, line in islice(lines, _COMMENTS):
        head.append((number, line))
        n_others += not line.startswith("#")
        if n_others == _HEAD:
            break
    return head


def _recognised(name: str, lines: list[str]) -> Format:
    """Return the format of a file by its first lines."""
    head = [line for line in lines if line.strip()]
    if not head:
        return "text"
    rows = [line for line in head if not line.startswith("#")]
    if rows and all(_CONLLU_ROW.fullmatch(row.rstrip("\r")) for row in rows):
        return "conllu"
    records = [line.strip() for line in head if not line.startswith(";")]
    if records and records[0].startswith(">"):
        sequences = [line for line in records if not line.startswith(">")]
        if sequences and all(map(_RESIDUES.fullmatch, sequences)):
            return "fasta"
    if all(map(_is_json, head)):
        return "json"
    if head[0].strip() in ("{", "[") or head[0].startswith(("[{", '{"', '[["')):
        raise InputError(f"{name} is JSON, but not JSON lines; write one object per line, and give json_field")
    if 2 * sum(_PRINTED_LIST.fullmatch(line.strip()) is not None for line in head) > len(head):
        raise InputError(
            f"{name} holds printed lists of tokens; write ' '.join(tokens) or json.dumps(tokens) on each line instead"
        )
    if _BRACKETED.match(head[0].strip()) or _are_tagged(" ".join(head).split()):
        raise InputError(
            f"{name} holds trees or tags beside the words; write the words alone, or give format='text' if these are "
            "the tokens"
        )
    if (column := _words_column(lines)) is not None:
        raise InputError(
            f"{name} looks like CoNLL columns, one token per row; read it with format='conll' and the number of the "
            f"words' column, from 0 (column={column}), or with format='text' if every line is a sentence"
        )
    return "text"


def _are_tagged(tokens: list[str]) -> bool:
    return len(tokens) > 2 and all(map(_TAGGED.fullmatch, tokens))


def _is_json(line: str) -> bool:
    """Say whether a line is a JSON object or a list of strings."""
    if line.lstrip()[:1] not in ("{", "["):
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or (bool(value) and all(isinstance(item, str) for item in value))


def _words_column(lines: list[str]) -> int | None:
    """Return the likely column of the words if lines are a table with one token per row, else None.

    Such a table has tags in a column, numbers in the first, tabs and blank lines, or a typical header.
    """
    if any(line.startswith("#begin document") for line in lines):
        return 3
    rows = [line.rstrip() for line in lines if line.strip() and not is_no_token(line)]
    cells = [row.split("\t") if "\t" in row else row.split() for row in rows]
    is_table = len({len(row) for row in cells}) == 1 and len(cells[0]) > 1 and len(cells) > 1
    first, *others = zip(*cells, strict=True) if is_table else [()]
    has_numbers = is_table and all(number.isdecimal() for number in first)
    if any(line.startswith(("-DOCSTART-", "# global.columns", "#global.columns")) for line in lines):
        return int(has_numbers)
    if not is_table:
        return None
    if has_numbers:
        return 1 if "1" in first and (len(others) > 2 or _are_tags(others[-1])) else None
    if all(map(_BIO.fullmatch, first)) and any("-" in tag for tag in first):
        return 1
    has_words = any(any(letter.islower() for letter in word) for word in first)
    is_tagged = any(
        all(map(_BIO.fullmatch, column)) or (has_words and len(column) > 3 and _are_tags(column)) for column in others
    )
    is_separated = all("\t" in row and " " not in row for row in rows) and any(not line.strip() for line in lines)
    return 0 if is_tagged or is_separated else None


def _are_tags(column: tuple[str, ...]) -> bool:
    return all(map(_TAG.fullmatch, column)) and any(value[0].isalpha() for value in column)


_BLANK_REMEDY = "remove them (one sentence per line is expected), or give blank_lines='empty' or 'skip'"
