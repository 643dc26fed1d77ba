"""CoNLL-U: the words are those that another reader finds."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import conllu
import pytest

from numpy_elmo.corpus import (
    read_conllu,
)
from numpy_elmo.errors import InputError


def row(identifier: str, form: str) -> str:
    return "\t".join([identifier, form, *"_" * 8])


TREEBANK = "\n".join(
    [
        "# newdoc",
        "# sent_id = 1",
        "# text = Vámonos al mar , 10 000 veces",
        row("1-2", "Vámonos"),
        row("1", "Vamos"),
        row("2", "nos"),
        row("3-4", "al"),
        row("3", "a"),
        row("4", "el"),
        row("5", "mar"),
        row("5.1", "elided"),
        row("6", ","),
        row("7", "10 000"),
        row("8", "#"),
        row("9", "_"),
        row("10", "a\u2028b"),
        "",
        "",
        "# a comment in front",
        row("0.1", "empty"),
        row("1", "日本"),
        row("2", '"'),
        "",
        row("1", "Last"),
    ]
)
EXPECTED = [
    ["Vamos", "nos", "a", "el", "mar", ",", "10 000", "#", "_", "a\u2028b"],
    ["日本", '"'],
    ["Last"],
]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n\n\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_words_are_those_that_the_package_conllu_finds(tmp_path: Path, end: str, newline: str, mark: bytes) -> None:
    path = tmp_path / "treebank.conllu"
    path.write_bytes(mark + (TREEBANK + end).replace("\n", newline).encode())
    theirs = conllu.parse_incr(io.StringIO(TREEBANK + end))
    words = [[token["form"] for token in sentence if isinstance(token["id"], int)] for sentence in theirs]
    assert list(read_conllu(path)) == words == EXPECTED


def test_sentences_are_read_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "treebank.conllu").write_text(TREEBANK + "\n\n1 broken", encoding="utf-8")
    sentences = read_conllu(tmp_path / "treebank.conllu")
    assert list(itertools.islice(sentences, 3)) == EXPECTED
    with pytest.raises(InputError, match="line 26"):
        next(sentences)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 The _ _\n", "line 1: one column.*separated by tabs"),
        (f"{row('1', 'a')}\n{row('3', 'b')}\n", "line 2: found word 3 instead of word 2"),
        (f"{row('1', 'a')}\n{row('1', 'b')}\n", "line 2: found word 1 .*a blank line ends a sentence"),
        (f"{row('x', 'a')}\n", "line 1: 'x' is not an ID"),
        (f"{row('9' * 5000, 'a')}\n", "line 1: found word 9{20} instead of word 1"),  # Python reads 4,300 digits
        (f"{row('1', '')}\n", "line 1: word 1 has an empty FORM"),
    ],
)
def test_a_row_that_is_none_is_an_error_that_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "treebank.conllu").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        list(read_conllu(tmp_path / "treebank.conllu"))
