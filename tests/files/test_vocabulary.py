"""Vocabulary files: one word a line, and the marks of a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from numpy_elmo.errors import InputError
from numpy_elmo.files.vocabulary import Vocabulary, decode_vocabulary
from numpy_elmo.language_model import LanguageModel
from tests.agreement.tensorflow_outputs import FIXTURES

FOLDER = FIXTURES / "language_model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the fixture that a test may change."""
    return Path(shutil.copytree(FOLDER, tmp_path / "model"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"<S>\n</S>\n<UNK>\nthe\nof\nthe\n", "1 word.* more than once \\('the'\\)"),
        (b"</S>\n<UNK>\nthe\n", "lacks <S>"),
        (b"the\nof\n", "lacks <S>, </S>, <UNK>"),
        (b"", "no word"),
        (b"<S>\n</S>\n<UNK>\n\xff\n", "line 4: not UTF-8"),
    ],
)
def test_bad_vocabularies(folder: Path, text: bytes, message: str) -> None:
    (folder / "vocab.txt").write_bytes(text)
    with pytest.raises(InputError, match=message):
        LanguageModel.load(folder)


def test_vocabulary_lines() -> None:
    words = decode_vocabulary(
        "\ufeff<S>\r\n</S>\r\n<UNK>\r\na\u0085b\r\n\u00a0\r\n!!!MAXTERMID\r\n".encode(), "v"
    ).words
    assert words == ("<S>", "</S>", "<UNK>", "a\u0085b", "\u00a0")
    assert decode_vocabulary(b"<UNK>\nthe\n</S>\n<S>", "v").row("<S>") == 3
    assert Vocabulary(["a"]).row("b") is None
