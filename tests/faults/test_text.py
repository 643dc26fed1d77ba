"""Text and Python objects that are damaged, odd or wrong end in vectors or in one clear error."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo import Elmo, LanguageModel
from numpy_elmo.cli import main
from numpy_elmo.corpus import read_sentences
from numpy_elmo.errors import ElmoError, InputError, InputTypeError
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.faults.limits import ROOT, needs_limits, outcome, outcome_with_memory

LANGUAGE_MODEL = FIXTURES / "language_model"


def read(path: Path) -> list[list[str]]:
    return list(read_sentences(str(path)))


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    return path


# -- text files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentences"),
    [
        (b"", []),
        (b"\n", [[]]),
        (b"a", [["a"]]),
        (b"a\nb", [["a"], ["b"]]),
        (b"\xef\xbb\xbfa b\n", [["a", "b"]]),
        (b"a b\r\nc\r\n", [["a", "b"], ["c"]]),
        (b"a\rb\n", [["a", "b"]]),
        (b"a\0b c\n", [["a\0b", "c"]]),
        ("a\u2028b\u2029c\u0085d\n".encode(), [["a", "b", "c", "d"]]),
        ("مرحبا بالعالم\n".encode(), [["مرحبا", "بالعالم"]]),
        ("\u202eabc\u202c e\u0301te\u0301\n".encode(), [["\u202eabc\u202c", "e\u0301te\u0301"]]),
        (b"\v\f\x1c \t\n", [[]]),
    ],
)
def test_odd_text_is_read_as_it_is_and_embedded(
    base: Elmo, tmp_path: Path, data: bytes, sentences: list[list[str]]
) -> None:
    found = read(written(tmp_path, data))
    assert found == sentences
    for tokens, vectors in zip(found, base.embed(found), strict=True):
        assert vectors.shape[1] == len(tokens)
        assert np.isfinite(vectors).all()


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"\xff", "line 1, byte 1"),
        (b"good\nb\xe4d\n", "line 2, byte 2"),
        ("good \ud800\n".encode("utf-8", "surrogatepass"), "line 1, byte 6"),
        (b"a\nb\n\xc3", "line 3, byte 1"),
        (b"\xff\xfea\0", "line 1, byte 1"),
        (b"\xc0\x80", "line 1, byte 1"),
    ],
)
def test_what_is_not_utf8_is_named_with_line_and_byte(tmp_path: Path, data: bytes, place: str) -> None:
    path = written(tmp_path, data)
    with pytest.raises(InputError, match=rf"text\.txt, {place}: not UTF-8 .*convert the file"):
        read(path)
    out = tmp_path / "out.hdf5"
    assert main(["embed", str(path), str(out), "--model", str(LANGUAGE_MODEL)]) != 0
    assert not out.exists()


@pytest.mark.filterwarnings("ignore::numpy_elmo.errors.InputWarning")
@settings(deadline=None, max_examples=80)
@given(data=st.binary(max_size=200))
def test_any_bytes_end_in_vectors_or_an_error(
    base: Elmo, tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    found = outcome(lambda: read(written(tmp_path_factory.mktemp("bytes"), data)))
    if isinstance(found, ElmoError):
        assert isinstance(found, InputError)
    else:
        assert all(np.isfinite(vectors).all() for vectors in base.embed(found))


@pytest.mark.filterwarnings("ignore::numpy_elmo.errors.InputWarning")
@settings(deadline=None, max_examples=80)
@given(
    text=st.text(
        st.characters(
            exclude_categories=("Cs", "Cc"),
            exclude_characters="\ufffd",
            include_characters="\t\n\v\f\r\x1b\x1c\x1f\x85",
        ),
        max_size=100,
    )
)
def test_any_text_is_split_as_python_splits_it(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    # The first bytes of a file, or many control characters, may say that it is something else.
    data = b"Some text\n" + text.encode("utf-8", "ignore")
    lines = data.decode().split("\n")
    found = list(read_sentences(written(tmp_path_factory.mktemp("text"), data), format="text"))
    assert found == [line.split() for line in (lines if lines[-1] else lines[:-1])]


@pytest.mark.parametrize("name", ["folder", "a\0b", "x" * 5000, "missing.txt"])
def test_what_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot be read: .*; give a text file"):
        read(tmp_path / name)


def test_the_null_device_has_no_sentences() -> None:
    assert read(Path(os.devnull)) == []


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"a b\nc",))
    writer.start()
    assert read(path) == [["a", "b"], ["c"]]
    writer.join()


@pytest.mark.slow
@needs_limits
def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    endless = tmp_path / "endless.gz"  # 200 KB that make 200 MB
    endless.write_bytes(gzip.compress(b"a" * 200_000_000, 1, mtime=0))
    found = outcome_with_memory(f'list(read_sentences("{endless}"))', 256 << 20)
    assert found.startswith(f"InputError {endless}, line 1 has more than 64 MiB")
    assert outcome_with_memory('list(read_sentences("/dev/zero"))', 256 << 20).startswith("InputError /dev/zero")


def test_a_command_that_fails_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(b"a\n\xff\n")
    command = [sys.executable, "-m", "numpy_elmo", "embed", "text.txt", "out.hdf5", "--model", str(LANGUAGE_MODEL)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode != 0
    [line] = done.stderr.splitlines()
    assert "line 2, byte 1" in line


# -- Python objects --------------------------------------------------------------------------------------------------


def generate() -> Any:
    yield (token for token in ("a", "b"))


EQUAL_TO_A_B: dict[str, Callable[[], Any]] = {
    "tuples": lambda: (("a", "b"),),
    "generators": generate,
    "an array of strings": lambda: np.array([["a", "b"]]),
    "an array of objects": lambda: np.array([["a", "b"]], object),
    "NumPy strings": lambda: [[np.str_("a"), np.str_("b")]],
    "an array of lists": lambda: np.array([["a", "b"], None], object)[:1],
    "keys": lambda: [{"a": 1, "b": 2}.keys()],
}


@pytest.mark.parametrize("kind", EQUAL_TO_A_B)
def test_whatever_holds_strings_in_order_is_a_sentence(base: Elmo, kind: str) -> None:
    np.testing.assert_array_equal(base.embed(EQUAL_TO_A_B[kind]())[0], base.embed([["a", "b"]])[0])


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (np.array("a b"), "not ndarray"),
        ([np.array("a b")], "sentence 0 must be a list of tokens, not ndarray"),
        (np.array(["a", "b"]), "sentence 0 is a string"),
        (np.array([["a", "b"]], "S1"), "sentence 0, token 0 must be a string, not bytes_"),
        ([["a", np.nan]], "token 1 must be a string, not float"),
        ([["a", None]], "token 1 must be a string, not NoneType"),
        ([[("a",)]], "token 0 must be a string, not tuple"),
        ([{"a", "b"}], "sentence 0 must be a list of tokens, not set, which has no order"),
        ([{"a": 1}], "not dict, which has no order"),
        ({("a", "b")}, "not set, which has no order"),
        ([3], "sentence 0 must be a list of tokens, not int"),
        (object(), "not object"),
    ],
)
def test_objects_of_the_wrong_type_are_named(base: Elmo, sentences: Any, message: str) -> None:
    for call in (base.embed, base.embed_padded, base.warm_up, lambda some: list(base.embed_corpus(some))):
        with pytest.raises(InputTypeError, match=message):
            call(sentences)


def test_an_error_of_the_callers_generator_is_the_callers(base: Elmo) -> None:
    def failing() -> Any:
        yield "a"
        raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        base.embed([failing()])


python_objects = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=3)
    | st.text(st.characters(), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner)
    | st.lists(inner, max_size=3).map(iter) | st.lists(st.text(max_size=3), max_size=3).map(np.array),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(sentences=python_objects)
def test_any_object_ends_in_vectors_or_an_error(base: Elmo, sentences: Any) -> None:
    found = outcome(lambda: base.embed(sentences))
    if not isinstance(found, ElmoError):
        assert all(np.isfinite(vectors).all() for vectors in found)


@pytest.fixture(scope="module")
def language_model() -> LanguageModel:
    return LanguageModel.load(LANGUAGE_MODEL)


@settings(deadline=None, max_examples=100)
@given(tokens=st.lists(st.text(max_size=8) | st.sampled_from(["\ud800", "a\udfffb", "", "\0", "<S>"]), max_size=4))
def test_any_tokens_have_probabilities(language_model: LanguageModel, tokens: list[str]) -> None:
    [scores] = language_model.log_probs([tokens])
    assert len(scores.forward) == len(tokens)
    assert (scores.forward < 0).all()
    assert (scores.backward < 0).all()


def test_what_utf8_cannot_encode_is_left_out_of_a_token(base: Elmo) -> None:
    odd, plain = base.embed([["a\ud800b", "\udfff"]]), base.embed([["ab", ""]])
    np.testing.assert_allclose(odd[0], plain[0], rtol=0, atol=2e-6)


def test_a_token_of_ten_megabytes_is_its_first_48_bytes(base: Elmo) -> None:
    long, short = base.embed([["x" * 10_000_000]])[0], base.embed([["x" * 48]])[0]
    np.testing.assert_allclose(long, short, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (["['rain', 'fell']"], r"a printed list.*ast\.literal_eval"),
        (['["rain"]'], "a printed list"),
        ([["rain"], np.nan], "sentence 1 must be a list of tokens, not float, a missing value: nan"),
        ([["rain"], None], "sentence 1 .* a missing value: None"),
        ([["rain"], pd.NA], "sentence 1 .* a missing value: <NA>"),
        ([["rain"], pd.NaT], "sentence 1 .* a missing value"),
        (pd.DataFrame({"text": [["rain"]]}), "not DataFrame; give one of its columns"),
    ],
)
def test_what_comes_out_of_tables_has_a_remedy(base: Elmo, sentences: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        base.embed(sentences)


@pytest.mark.parametrize("line", ["house\t604", "house 604", "604 house", "New York"])
def test_a_vocabulary_with_more_than_a_word_in_a_line_is_refused(tmp_path: Path, line: str) -> None:
    words = (LANGUAGE_MODEL / "vocab.txt").read_text(encoding="utf-8").split("\n")
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*words[:5], line, *words[6:]]), encoding="utf-8")
    with pytest.raises(InputError, match="line 6 holds more than a word"):
        LanguageModel.load(LANGUAGE_MODEL, vocabulary=path)
    path.write_text("\n".join([*words[:3], *(f"{word},3" for word in words[3:] if word)]), encoding="utf-8")
    with pytest.raises(InputError, match="counts beside the words"):
        LanguageModel.load(LANGUAGE_MODEL, vocabulary=path)
