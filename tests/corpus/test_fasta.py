"""FASTA files as they occur are read right, and what cannot be used is named."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from numpy_elmo.corpus.fasta import Proteins
from numpy_elmo.errors import InputError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path, **options: Any) -> list[tuple[str, str]]:
    proteins = Proteins(path, **options)
    proteins.check()
    return [(protein.identifier, protein.sequence) for protein in proteins]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">A\nMKV\n", [("A", "MKV")]),
        (">A\nMKV\nLLA\n>B\nSEQ", [("A", "MKVLLA"), ("B", "SEQ")]),  # wrapped; no line end
        (">A first protein\r\nmkv\r\nlla\r\n", [("A", "MKVLLA")]),  # CRLF, lower case, a description
        ("\ufeff>A\nMKV*\n", [("A", "MKV")]),  # a byte order mark, a stop
        (">A\n--MK.V-\n", [("A", "MKV")]),  # gaps of an alignment
        (">A\n MK V \n\n  LLA\n\n", [("A", "MKVLLA")]),  # blocks of ten, blank lines
        ("; a comment\n>A\n;another\nMKV\n", [("A", "MKV")]),
        ("\n\n>A\nXBZUOJ\n", [("A", "XBZUOJ")]),  # unknown and rare residues are tokens like others
        (">sp|P12345|NAME_HUMAN Some name OS=Homo sapiens\nMKV\n", [("P12345", "MKV")]),
        (">NP_000001.1 protein [Homo sapiens]\nMKV\n", [("NP_000001.1", "MKV")]),
        (">A/1-3\nMKV\n", [("A/1-3", "MKV")]),
    ],
)
@pytest.mark.parametrize("name", ["in.fasta", "in.fa.gz"])
def test_sequences_and_identifiers(tmp_path: Path, name: str, text: str, expected: list[tuple[str, str]]) -> None:
    assert read(write(tmp_path / name, text)) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"id_field": 0}, "sp"),
        ({"id_field": 2}, "N_HUMAN Some"),
        ({"id_field": -1}, "sp|P1|N_HUMAN Some"),
        ({"split_char": " ", "id_field": 0}, "sp|P1|N_HUMAN"),
        ({"split_char": " "}, "Some"),
    ],
)
def test_the_field_of_the_header_can_be_chosen(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    assert read(write(tmp_path / "in.fasta", ">sp|P1|N_HUMAN Some\nMKV\n"), **options) == [(expected, "MKV")]


def test_a_folder_is_read_with_the_folders_in_it(tmp_path: Path) -> None:
    write(tmp_path / "b.fasta", ">B\nMK\n")
    write(tmp_path / "a" / "x.faa.gz", ">A\nMKV\n")
    write(tmp_path / "c" / "proteins.fasta.txt", ">C\nM\n")
    write(tmp_path / "notes.txt", "nothing")
    proteins = Proteins(tmp_path)
    proteins.check()
    assert dict(proteins) == {"A": "MKV", "B": "MK", "C": "M"}
    assert (proteins.n_sequences, proteins.n_residues) == (3, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">A\nMKV\n>B\nM\n>A\nMKV\n", r"1 identifier\(s\) occur more than once: 'A' \(.*line 1, .*line 5\).*id_field"),
        (">A\n>B\nMKV\n>C\n*\n", r"2 sequence\(s\) have no residues: 'A' \(.*line 1\), 'C' \(.*line 4\); remove"),
        ("MKV\n", "line 1 is not FASTA: a header"),
        (">A\n1 MKV\n", "line 2 is not a FASTA sequence"),
        (">\nMKV\n", "line 1: the header '' gives no identifier"),
        ("", "holds no sequence"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path / "in.fasta", text))


def test_options_that_cannot_be_used(tmp_path: Path) -> None:
    path = write(tmp_path / "in.fasta", ">sp|P1|NAME\nMKV\n")
    with pytest.raises(InputError, match=r"has no field 3 between '\|'.*id_field=0 to 2, or -1"):
        read(path, id_field=3)
    with pytest.raises(InputError, match="split_char"):
        Proteins(path, split_char="")
    with pytest.raises(InputError, match="absent"):
        read(tmp_path / "absent.fasta")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no FASTA file"):
        Proteins(tmp_path / "empty")


def test_many_duplicates_are_counted_and_the_first_named(tmp_path: Path) -> None:
    path = write(tmp_path / "in.fasta", "".join(f">P{k % 50}\nMKV\n" for k in range(100)))
    with pytest.raises(InputError, match=r"50 identifier\(s\).*'P0'.*, \.\.\.; give each"):
        read(path)
