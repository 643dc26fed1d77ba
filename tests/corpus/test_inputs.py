"""Every kind of text is read as what it is, or named; the same by every command."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from numpy_elmo.cli import main
from numpy_elmo.corpus import read_sentences
from numpy_elmo.corpus.inputs import CorpusInputs
from numpy_elmo.errors import InputError, InputWarning
from tests.agreement.tensorflow_outputs import FIXTURES

BASE = str(FIXTURES / "base")
SENTENCES = [["Birds", "fly", "."], ["They", "sat", "on", "the", "bank", "."]]


def row(*cells: str) -> str:
    return "\t".join(cells)


def conllu(sentences: list[list[str]]) -> str:
    blocks = ([row(str(k), word, *"_" * 8) for k, word in enumerate(words, 1)] for words in sentences)
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def columns(sentences: list[list[str]], *tags: str) -> str:
    return "\n\n".join("\n".join(" ".join([word, *tags]) for word in words) for words in sentences) + "\n"


def numbered(sentences: list[list[str]], *tags: str) -> str:
    return "\n\n".join("\n".join(row(str(k), w, *tags) for k, w in enumerate(s, 1)) for s in sentences) + "\n"


TEXT = "".join(" ".join(tokens) + "\n" for tokens in SENTENCES)
CONLL2012 = "".join(
    ["#begin document (bc/x); part 000\n"]
    + ["\n".join(f"bc/x   0  {k}  {w}  NN  (TOP*  -  -  *  -" for k, w in enumerate(s)) + "\n\n" for s in SENTENCES]
    + ["#end document\n"]
)


def read(tmp_path: Path, content: str | bytes, name: str = "in.txt", **options: Any) -> list[list[str]]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_sentences(path, **options))


# -- formats -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a.conllu", "a.CONLLU", "a.ConllU.gz", "a.CoNLLu.GZ", "a.conll", "a.tsv", "a.txt", "a"]
)
def test_conllu_is_recognised_by_name_or_content(tmp_path: Path, name: str) -> None:
    for head in ("# text = Birds fly .\n", "\ufeff", "# licence\n" * 300, "0.1\tx" + "\t_" * 8 + "\n"):
        for end in ("\n", "\r\n"):
            content = (head + conllu(SENTENCES)).replace("\n", end).encode()
            content = gzip.compress(content, mtime=0) if name.lower().endswith("gz") else content
            assert read(tmp_path, content, name) == SENTENCES


@pytest.mark.parametrize(
    "content",
    [
        columns(SENTENCES, "NN", "B-NP", "O"),
        "-DOCSTART- -X- O\n\n" + columns(SENTENCES, "NN", "O"),
        columns(SENTENCES, "O"),
        columns(SENTENCES, "I-PER"),
        columns(SENTENCES, "NOUN"),
        columns(SENTENCES, "O").replace(" ", "\t"),
        columns([["Rain", "fell", "in", "May"]], "VBD"),
        CONLL2012,
        "\n\n".join("\n".join(row(str(k), w, "x", "NN") for k, w in enumerate(s, 1)) for s in SENTENCES),
        conllu(SENTENCES).replace("\t", "   "),  # CoNLL-U whose tabs became spaces
        "# global.columns = ID FORM UPOS\n" + numbered(SENTENCES, "NOUN"),
        numbered(SENTENCES, "NOUN"),
        "\n\n".join("\n".join(f"B-X {w}" for w in s) for s in SENTENCES),  # tags first
        columns(SENTENCES, "noun").replace(" ", "\t"),  # tags in small letters
        "\ufeff" + columns(SENTENCES, "O").replace("\n", "\r\n"),
        "# newdoc\n" * 200 + columns(SENTENCES, "NN"),
    ],
)
def test_columns_are_refused_with_a_remedy_that_works(tmp_path: Path, content: str) -> None:
    for blank_lines in ("error", "skip", "empty"):
        with pytest.raises(InputError, match=r"CoNLL columns, one token per row; .*format='conll'") as error:
            read(tmp_path, content, blank_lines=blank_lines)
    column = int(str(error.value).partition("column=")[2][0])
    expected = [["Rain", "fell", "in", "May"]] if content.startswith("Rain") else SENTENCES
    assert read(tmp_path, content, format="conll", column=column) == expected
    assert len(read(tmp_path, content, format="text")) == len(content.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "# one\n" * 60 + "a\nb\n",
        "I am\nI was\n",
        "x\ty\nz\tw\n",
        "and/or\n",
        "( a ) b\n",
        "> a quote\nof it .\n",
        "a b\nc d\n",
        "A B\nC D\nE F\nG H\n",
        "1 2\n3 4\n",
        "the O\n",
        "x\ty\n",
        "# one\n# two\n",
        "a\nb\n\nc\n",
    ],
)
def test_prose_of_equal_lines_is_no_table(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == [line.split() for line in text.splitlines()]


def test_a_row_without_the_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2 has no token in column 1"):
        read(tmp_path, "a b\nc\n", format="conll", column=1)
    with pytest.raises(InputError, match="column must be an integer of at least 0"):
        read(tmp_path, "a b\n", format="conll", column=-1)


@pytest.mark.parametrize(
    ("sentences", "line"),
    [([["_", "_", "_"]], 3), ([["a"], ["_", "_"]], 4), ([["_"], ["_"]], 3), ([["Good", "_"], ["_"] * 5], 8)],
)
def test_withheld_words_are_refused(tmp_path: Path, sentences: list[list[str]], line: int) -> None:
    for name in ("a.conllu", "a.txt"):
        with pytest.raises(InputError, match=f"line {line}: the words of this sentence are withheld"):
            read(tmp_path, conllu(sentences), name)
    assert read(tmp_path, conllu([["a", "_"], ["_"], ["b"]]), "a.conllu") == [["a", "_"], ["_"], ["b"]]


FASTA = ">sp|P1|A a protein\nMKTAY\nIAKq\n\n>two\nmk-ta*\n; a comment\n>three\n"


@pytest.mark.parametrize("name", ["a.fasta", "a.FAA", "a.fa", "a.txt"])
def test_fasta_has_one_residue_a_token(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, FASTA.replace("; a comment\n", ""), name) == [list("MKTAYIAKQ"), list("MKTA"), []]
    path = tmp_path / name
    assert [sentence.text for sentence in CorpusInputs((path,), blank_lines="skip")] == ["sp|P1|A", "two"]
    with pytest.raises(InputError, match="1 blank line"):
        list(CorpusInputs((path,)))


def test_fasta_that_is_none_is_named(tmp_path: Path) -> None:
    for content, message in (
        ("MKT\n>a\nMK\n", "line 1 is not FASTA: a header"),
        (">a\nMK7\n", "line 2 is not a FASTA seq"),
    ):
        with pytest.raises(InputError, match=message):
            read(tmp_path, content, format="fasta")
    assert read(tmp_path, ">quoted words\nof a letter\n") == [[">quoted", "words"], ["of", "a", "letter"]]


def json_lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_json_lines_hold_strings_or_tokens(tmp_path: Path) -> None:
    objects = json_lines(*({"id": k, "text": " ".join(tokens), "words": tokens} for k, tokens in enumerate(SENTENCES)))
    for name in ("a.jsonl", "a.txt"):
        assert read(tmp_path, objects, name, json_field="text") == SENTENCES
        assert read(tmp_path, objects, name, json_field="words") == SENTENCES
        assert read(tmp_path, json_lines(*SENTENCES), name) == SENTENCES
        with pytest.raises(InputError, match=r"line 1 is an object; give json_field, one of 'id', 'text', 'words'"):
            read(tmp_path, objects, name)
    with pytest.raises(InputError, match=r"line 2 has no field 'text'; give json_field, one of 'other'"):
        read(tmp_path, json_lines({"text": "a"}, {"other": "b"}), json_field="text")
    for wrong in (3, None, ["a", 1], {"a": "b"}):
        with pytest.raises(InputError, match=r"line 1 holds .* instead of a string or a list of strings"):
            read(tmp_path, json_lines({"text": wrong}), json_field="text")
    with pytest.raises(InputError, match="line 1 is not JSON"):
        read(tmp_path, "Rain fell .\n", json_field="text")
    with pytest.raises(InputError, match="JSON, but not JSON lines"):
        read(tmp_path, '[\n{"text": "a"},\n{"text": "b"}\n]\n')


@pytest.mark.parametrize(
    "line",
    [
        "['rain', 'fell']",
        "[ \"it's\", 'a' ]",
        "['rain' 'fell']",
        "('rain', 'fell')",
        "('rain',)",
        "[['rain', 'fell'], ['sun']]",
        "[4, 17, 23]",
        "1,\"['rain', 'fell']\"",
    ],
)
def test_printed_lists_are_refused(tmp_path: Path, line: str) -> None:
    for content in (f"{line}\n{line}\n", f"tokens\n{line}\n{line}\n", f"{line}\n\n[]\n{line}\n", line):
        with pytest.raises(InputError, match=r"printed lists of tokens; write ' '\.join"):
            read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("Rain/NN fell/VBD ./.\n", "a.txt", "trees or tags beside the words"),
        ("The_DT rain_NN fell_VBD ._.\n", "a.txt", "trees or tags beside the words"),
        ("(S (NP (NN Rain))\n   (VP (VBD fell)))\n", "a.txt", "trees or tags beside the words"),
        ("( (S (NP (NN Rain))))\n", "a.mrg", "trees or tags beside the words"),
        ("id,text\n1,Rain fell .\n", "a.csv", "a table; write the column"),
        ("id\ttext\n1\tRain fell .\n", "a.TSV", "a table; write the column"),
        ("id,text\n1,Rain fell .\n", "a.csv.gz", "a table; write the column"),
        ('[["Rain", "fell"], ["Sun"]]\n', "a.json", "not JSON lines"),
    ],
)
def test_other_layouts_are_named_and_can_be_read_as_text(tmp_path: Path, content: str, name: str, message: str) -> None:
    data = gzip.compress(content.encode(), mtime=0) if name.endswith("gz") else content.encode()
    with pytest.raises(InputError, match=message):
        read(tmp_path, data, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        assert read(tmp_path, data, name, format="text") == [line.split() for line in content.splitlines()]


def test_formats_and_policies_that_there_are_not(tmp_path: Path) -> None:
    for options in ({"format": "csv"}, {"blank_lines": "drop"}, {"encoding_errors": "ignore"}):
        with pytest.raises(InputError, match="must be"):
            read(tmp_path, TEXT, **options)


# -- text that is not tokenised ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "He sat on the bank.\n",
        "Who should Derek hug after shocking Richard?\n" * 200,
        'She said: "I don\'t know."\nThen, quietly, she left.\n',
    ],
)
def test_text_that_is_not_tokenised_is_warned_of_once(tmp_path: Path, text: str) -> None:
    with pytest.warns(InputWarning, match=r"does not look tokenised.*tokenize=True") as found:
        read(tmp_path, text)
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokens = read(tmp_path, text, tokenize=True)
        read(tmp_path, "".join(" ".join(sentence) + "\n" for sentence in tokens))
    assert all(sentence[-1] in '.?"' for sentence in tokens)


def test_a_tokenised_sentence_is_known_by_its_tokens_and_their_places(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("  He can't swim.\nOK\n")
    first, second = CorpusInputs((path,), tokenize=True)
    assert first == (
        "He ca n't swim .",
        ["He", "ca", "n't", "swim", "."],
        [(2, 4), (5, 7), (7, 10), (11, 15), (15, 16)],
    )
    assert second.offsets == [(0, 2)]
    path.write_text(json_lines({"text": "It's."}))
    [sentence] = CorpusInputs((path,), json_field="text", tokenize=True)
    assert sentence.offsets == [(0, 2), (2, 4), (4, 5)]


# -- the commands ------------------------------------------------------------------------------------------------------

CASES: dict[str, tuple[bytes, list[str]]] = {
    "plain.txt": (TEXT.encode(), []),
    "treebank.txt": (conllu(SENTENCES).encode(), []),
    "columns.conll": (columns(SENTENCES, "O").encode(), ["--format", "conll", "--column", "0"]),
    "packed.xz": (lzma.compress(TEXT.encode()), []),
    "lines.jsonl": (json_lines(*({"s": " ".join(tokens)} for tokens in SENTENCES)).encode(), ["--json-field", "s"]),
    "raw.txt": (b"Birds fly.\nThey sat on the bank.\n", ["--tokenize"]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_command_reads_every_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    content, flags = CASES[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert main(["perplexity", str(path), "--json", "--model", str(FIXTURES / "language_model"), *flags]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["n_sentences"], counts["n_tokens"]) == (2, 9)
    assert main(["neighbors", "bank", str(path), "-k", "1", "--json", "--model", BASE, *flags]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert (found["sentence"], found["tokens"], found["position"]) == (1, SENTENCES[1], 4)
    assert found["neighbors"][0]["tokens"] in SENTENCES


def test_the_commands_name_their_own_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.txt").write_text(columns(SENTENCES, "O"))
    assert main(["perplexity", str(tmp_path / "in.txt")]) == 2
    assert "read it with --format conll and" in (error := capsys.readouterr().err)
    assert "(--column 0)" in error
    (tmp_path / "in.txt").write_text("He sat on the bank.\n")
    assert main(["perplexity", str(tmp_path / "in.txt")]) == 0
    assert "numpy-elmo: warning: " in (error := capsys.readouterr().err)
    assert "give --tokenize" in error


def test_standard_input_is_recognised_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(bz2.compress(conllu(SENTENCES).encode()))))
    assert main(["neighbors", "bank", "-", "-k", "1", "--model", BASE]) == 0
    assert "1: They sat on the [bank] ." in capsys.readouterr().out
