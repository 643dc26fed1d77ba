"""FASTA files: their records, and the identifiers of their proteins."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from numpy_elmo.corpus.text import read_lines
from numpy_elmo.errors import InputError
from numpy_elmo.files.places import to_path
from numpy_elmo.network.checks import first

# Residues, and what may be between them: white space, gaps of an alignment, and *, which marks the end.
_RESIDUES = re.compile(r"[A-Za-z\s.*-]*")
_BETWEEN = re.compile(r"[\s.*-]")

_NAME = re.compile(r".*(\.fa|\.faa|\.fas|fasta.*)(\.(gz|bz2|xz))?", re.IGNORECASE)


class FastaRecord(NamedTuple):
    """One record of a FASTA file.

    Attributes
    ----------
    line : int
        Number of its header line, from 1.
    header : str
        The header without ``>``.
    sequence : str
        Its residues in capitals, without white space, gaps (``-`` and ``.``) and ``*``.
    """

    line: int
    header: str
    sequence: str


class Protein(NamedTuple):
    """A sequence and the identifier that it is stored under."""

    identifier: str
    sequence: str


def fasta_records(lines: Iterable[tuple[int, str]], name: str) -> Iterator[FastaRecord]:
    """Yield the records of numbered lines; raise InputError for a line that is neither header nor residues."""
    header: tuple[int, str] | None = None
    parts: list[str] = []
    for number, line in lines:
        row = line.strip()
        if row.startswith(">"):
            if header is not None:
                yield FastaRecord(*header, "".join(parts))
            header, parts = (number, row[1:].strip()), []
        elif row and not row.startswith(";"):
            if header is None:
                raise InputError(f"{name}, line {number} is not FASTA: a header, which begins with >, comes first")
            if not _RESIDUES.fullmatch(row):
                raise InputError(
                    f"{name}, line {number} is not a FASTA sequence: residues are letters, with - or . for gaps and * "
                    f"for the end, not {row[:40]!r}"
                )
            parts.append(_BETWEEN.sub("", row).upper())
    if header is not None:
        yield FastaRecord(*header, "".join(parts))


class Proteins:
    """The sequences of a FASTA file, or of all FASTA files in a folder and the folders in it.

    Iterating reads them one by one.

    Parameters
    ----------
    path : str or path
        A file, compressed or not, or a folder.  In a folder, files are read whose names end in ``.fa``, ``.faa`` or
        ``.fas`` or contain ``fasta``.
    split_char : str
        What separates the fields of a header.
    id_field : int, optional
        The field that is the identifier, from 0; -1 for the whole header.  By default field 1 if the header has one
        (the accession in ``sp|P12345|NAME``), else the first word.

    Attributes
    ----------
    files : tuple of str
        The files.
    n_sequences, n_residues : int
        Their numbers, after `check` has read them.

    Raises
    ------
    InputError
        If there is no such file, or no FASTA file in the folder.
    """

    def __init__(self, path: str | os.PathLike[str], *, split_char: str = "|", id_field: int | None = None) -> None:
        if not split_char:
            raise InputError("split_char must be at least one character; give id_field=-1 for the whole header")
        source = to_path(path, "the sequences must be given by a path")
        files = [source]
        if source.is_dir():
            files = sorted(p for p in source.rglob("*") if _NAME.fullmatch(p.name) and p.is_file())
        self.files = tuple(map(str, files))
        if not files:
            raise InputError(f"{source} holds no FASTA file (*.fa, *.faa, *.fas, *fasta*); give a file")
        self._split_char, self._id_field = split_char, id_field
        self.n_sequences = self.n_residues = 0

    def __iter__(self) -> Iterator[Protein]:
        for _, protein in self._located():
            yield protein

    def check(self) -> None:
        """Read all sequences; raise InputError if one has no residues, two share an identifier, or there are none."""
        places: dict[str, str] = {}
        repeated: defaultdict[str, list[str]] = defaultdict(list)
        empty: list[str] = []
        self.n_sequences = self.n_residues = 0
        for place, (identifier, sequence) in self._located():
            if identifier in places:
                repeated[identifier].append(place)
            places.setdefault(identifier, place)
            if not sequence:
                empty.append(f"{identifier!r} ({place})")
            self.n_sequences += 1
            self.n_residues += len(sequence)
        if repeated:
            shown = [f"{name!r} ({', '.join([places[name], *more])})" for name, more in repeated.items()]
            raise InputError(
                f"{len(repeated)} identifier(s) occur more than once: {first(shown)}; give each sequence its "
                "own, or choose another field of the headers (id_field=N, or -1 for the whole header)"
            )
        if empty:
            raise InputError(f"{len(empty)} sequence(s) have no residues: {first(empty)}; remove them")
        if not self.n_sequences:
            raise InputError(f"{self.files[0]} holds no sequence; give FASTA records, which begin with >")

    def _located(self) -> Iterator[tuple[str, Protein]]:
        for file in self.files:
            for record in fasta_records(read_lines(file), file):
                place = f"{file}, line {record.line}"
                yield place, Protein(self._identifier(record.header, place), record.sequence)

    def _identifier(self, header: str, place: str) -> str:
        fields = header.split(self._split_char)
        if self._id_field is None:
            words = (fields[1] if len(fields) > 1 else header).split()
            found = words[0] if words else ""
        elif self._id_field == -1:
            found = header
        elif 0 <= self._id_field < len(fields):
            found = fields[self._id_field].strip()
        else:
            raise InputError(
                f"{place}: the header {header!r:.60} has no field {self._id_field} between {self._split_char!r}; give "
                f"another field (id_field=0 to {len(fields) - 1}, or -1 for the whole header)"
            )
        if not found:
            raise InputError(f"{place}: the header {header!r:.60} gives no identifier; name the sequence in it")
        return found
