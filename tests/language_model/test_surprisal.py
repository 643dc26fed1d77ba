"""Surprisal, entropy and rank are those of the distributions, aligned to the tokens, in the unit asked for."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from numpy_elmo.cli import main
from numpy_elmo.errors import InputError, InputTypeError, MissingExtraError
from numpy_elmo.language_model import LanguageModel, SentenceSurprisal, SurprisalRow
from numpy_elmo.language_model.softmax import Softmax, in_memory
from numpy_elmo.language_model.surprisal import tsv_line
from numpy_elmo.network.state import CarriedState
from tests.agreement.tensorflow_outputs import FIXTURES

FOLDER = FIXTURES / "language_model"
SENTENCES: list[list[str]] = json.loads((FOLDER / "sentences.json").read_text(encoding="utf-8"))["sentences"]
COLUMNS = ["sentence_id", "token_id", "token", "surprisal", "surprisal_backward", "entropy", "rank", "unknown"]


@pytest.fixture(scope="module")
def made() -> LanguageModel:
    return LanguageModel.load(FOLDER)


@pytest.fixture(scope="module")
def made64() -> LanguageModel:
    return LanguageModel.load(FOLDER, dtype="float64")


def test_it_is_computed_from_tensorflows_logits(made: LanguageModel) -> None:
    with np.load(FOLDER / "tensorflow.npz") as arrays:
        expected = dict(arrays)
    for k, (sentence, found) in enumerate(zip(SENTENCES, made.surprisal(SENTENCES, unit="nats"), strict=True)):
        log_probs = expected[f"{k}/forward/log_probs"].astype(np.float64)  # [n + 2, V]: after <S>, w_1, .. w_n, </S>
        entropy = -(np.exp(log_probs) * log_probs).sum(axis=1)[:-1]
        np.testing.assert_allclose(found.entropy, entropy, rtol=0, atol=2e-5)
        np.testing.assert_allclose(found.surprisal, -expected[f"{k}/forward/targets"], rtol=0, atol=2e-5)
        np.testing.assert_allclose(
            found.surprisal_backward[:-1], -expected[f"{k}/backward/targets"][1:], rtol=0, atol=2e-5
        )
        assert np.isnan(found.surprisal_backward[-1])
        rows = [made.vocabulary.index(word if word in made.vocabulary else "<UNK>") for word in (*sentence, "</S>")]
        ranks = [1 + (log_probs[t] > log_probs[t, row]).sum() for t, row in enumerate(rows)]
        assert found.rank.tolist() == ranks
        assert found.tokens == (*sentence, "</S>")
        assert found.unknown.tolist() == [word not in made.vocabulary for word in sentence] + [False]
        assert not found.restricted


def test_bits_are_nats_divided_by_the_logarithm_of_two(made: LanguageModel) -> None:
    for bits, nats in zip(made.surprisal(SENTENCES), made.surprisal(SENTENCES, unit="nats"), strict=True):
        for name in ("surprisal", "surprisal_backward", "entropy"):
            np.testing.assert_allclose(getattr(bits, name) * np.log(2), getattr(nats, name), rtol=1e-12)
        assert (bits.unit, nats.unit) == ("bits", "nats")


def test_it_is_the_negative_of_the_log_probs_bit_for_bit(made: LanguageModel) -> None:
    for found, scores in zip(made.surprisal(SENTENCES, unit="nats"), made.log_probs(SENTENCES), strict=True):
        assert (-found.surprisal).tolist() == [*scores.forward, scores.end]
        assert (-found.surprisal_backward[:-1]).tolist() == scores.backward.tolist()


def test_the_likeliest_word_has_rank_one_and_the_last_the_size_of_the_vocabulary(made: LanguageModel) -> None:
    whole = made.next_words(["the"], len(made.vocabulary))
    for rank, (word, value) in enumerate(whole, 1):
        if word not in ("<S>", "</S>"):
            [found] = made.surprisal([["the", word]], unit="nats")
            assert found.rank[1] == rank
            assert found.surprisal[1] == pytest.approx(-value, abs=1e-5)


@pytest.mark.parametrize("block_values", [1, 7, 50, 1 << 20])
def test_blocks_of_any_size_give_the_same_statistics(block_values: int) -> None:
    generator = np.random.default_rng(4)
    W, b, h = generator.standard_normal((23, 4)), generator.standard_normal(23), generator.standard_normal((9, 4))
    W[11], b[11] = W[3], b[3]  # a tie: both have the rank of the first
    targets = np.array([0, 3, 11, 22, 5, 6, 7, 8, 9])
    logits = h @ W.T + b
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    log_probs, entropies, ranks = Softmax(in_memory(W), b, block_values=block_values).target_statistics(h, targets)
    np.testing.assert_allclose(log_probs, np.log(p[np.arange(9), targets]), atol=1e-12)
    np.testing.assert_allclose(entropies, -(p * np.log(p)).sum(axis=1), atol=1e-12)
    higher = logits > logits[np.arange(9), targets][:, np.newaxis] + 1e-12
    assert ranks.tolist() == (1 + higher.sum(axis=1)).tolist()


def test_certain_and_uniform_distributions() -> None:
    h, targets = np.ones((1, 2)), np.array([2])
    _, entropies, ranks = Softmax(in_memory(np.zeros((8, 2))), np.zeros(8)).target_statistics(h, targets)
    assert (entropies[0], ranks[0]) == (pytest.approx(np.log(8)), 1)
    b = np.where(np.arange(8) == 5, 800.0, 0.0)
    log_probs, entropies, ranks = Softmax(in_memory(np.zeros((8, 2))), b).target_statistics(h, targets)
    assert (log_probs[0], entropies[0], ranks[0]) == (pytest.approx(-800), pytest.approx(0, abs=1e-12), 2)


def same(one: SentenceSurprisal, other: SentenceSurprisal) -> bool:
    arrays = ("surprisal", "surprisal_backward", "entropy", "rank", "unknown")
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in arrays)


def test_a_document_is_carried_sentence_by_sentence(made: LanguageModel) -> None:
    carried = made.surprisal(SENTENCES, state="carry")
    assert all(same(*pair) for pair in zip(carried, made.surprisal(SENTENCES, state="carry"), strict=True))
    state = CarriedState()
    halves = made.surprisal(SENTENCES[:3], state=state) + made.surprisal(SENTENCES[3:], state=state)
    for one, other in zip(carried, halves, strict=True):
        np.testing.assert_allclose(one.surprisal, other.surprisal, rtol=0, atol=8e-7)
        np.testing.assert_allclose(one.entropy, other.entropy, rtol=0, atol=8e-7)
    made.elmo.reset_state()
    scores = made.log_probs(SENTENCES, state="carry", batch_size=1)
    made.elmo.reset_state()
    for found, expected in zip(carried, scores, strict=True):
        np.testing.assert_allclose(found.surprisal * -np.log(2), [*expected.forward, expected.end], atol=1e-6)
    fresh = made.surprisal(SENTENCES)
    np.testing.assert_allclose(carried[0].surprisal, fresh[0].surprisal, atol=1e-5)
    assert np.abs(carried[1].surprisal - fresh[1].surprisal).max() > 1e-3


def test_neither_order_nor_repetition_changes_a_bit(made: LanguageModel) -> None:
    expected = dict(zip(map(tuple, SENTENCES), made.surprisal(SENTENCES), strict=True))
    shuffled = [SENTENCES[k] for k in np.random.default_rng(1).permutation(len(SENTENCES))] + SENTENCES[:2]
    for sentence, found in zip(shuffled, made.surprisal(shuffled), strict=True):
        assert same(found, expected[tuple(sentence)])


def test_a_frame_has_a_row_per_token(made: LanguageModel) -> None:
    frame = made.surprisal(SENTENCES, as_frame=True)
    assert list(frame.columns) == COLUMNS == list(SurprisalRow._fields)
    assert len(frame) == sum(len(sentence) + 1 for sentence in SENTENCES)
    assert frame["rank"].dtype.kind == "i"
    assert frame["unknown"].dtype == bool
    results = made.surprisal(SENTENCES)
    np.testing.assert_array_equal(frame["entropy"], np.concatenate([found.entropy for found in results]))
    second = frame[frame.sentence_id == 2]
    assert second.token.tolist() == [*SENTENCES[1], "</S>"]
    assert second.token_id.tolist() == list(range(1, len(SENTENCES[1]) + 2))


def test_without_pandas_the_error_says_what_to_install(made: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        made.surprisal([["the"]], as_frame=True)


def test_restricted_and_empty(made: LanguageModel) -> None:
    [found] = made.surprisal([["the", "bank"]], vocabulary=10)
    assert found.restricted
    assert found.unknown.tolist() == [False, True, False]
    [empty] = made.surprisal([[]])
    assert empty.tokens == ("</S>",)
    assert made.surprisal([]) == []
    assert repr(found) == f"<SentenceSurprisal: 2 tokens and </S>, {found.surprisal.sum():.2f} bits>"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.surprisal([["a"]], unit="bans"), InputError, 'unit must be "bits" or "nats"'),
        (lambda m: m.surprisal([["a"]], state="other"), InputError, "state must be"),
        (lambda m: m.surprisal([], state="other"), InputError, "state must be"),
        (lambda m: m.surprisal([["a"]], batch_size=0), InputError, "batch_size"),
        (lambda m: m.surprisal(["the bank"]), InputTypeError, "sentence 0 is a string"),
        (lambda m: m.surprisal("the bank"), InputTypeError, "not one string"),
        (lambda m: m.surprisal([["a"]], vocabulary=["the"]), InputError, "no probability"),
    ],
)
def test_bad_arguments(made: LanguageModel, call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(made)


# The command


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["surprisal", *arguments, "--model", str(FOLDER)]) == 0
    return capsys.readouterr().out


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def write(path: Path, sentences: list[list[str]]) -> str:
    path.write_text("".join(" ".join(tokens) + "\n" for tokens in sentences), encoding="utf-8")
    return str(path)


def test_the_table(made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sentences = [["the", "bank", "xyzzy"], ["Yes", '"', "."]]
    printed = run(capsys, write(tmp_path / "text.txt", sentences))
    assert printed.splitlines()[0].split("\t") == COLUMNS
    expected = [row for k, found in enumerate(made.surprisal(sentences), 1) for row in found.rows(k)]
    assert len(expected) == 8
    for line, row in zip(table(printed), expected, strict=True):
        assert (int(line["sentence_id"]), int(line["token_id"]), line["token"]) == row[:3]
        assert float(line["surprisal"]) == pytest.approx(row.surprisal, abs=1e-5)
        assert float(line["entropy"]) == pytest.approx(row.entropy, abs=1e-5)
        assert (int(line["rank"]), line["unknown"]) == (row.rank, str(int(row.unknown)))
        if row.token == "</S>":
            assert line["surprisal_backward"] == "NA"
        else:
            assert float(line["surprisal_backward"]) == pytest.approx(row.surprisal_backward, abs=1e-5)
    frame = pd.read_csv(io.StringIO(printed), sep="\t", quoting=csv.QUOTE_NONE)
    assert frame.surprisal_backward.isna().sum() == 2


def test_the_table_in_nats_and_as_json(made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write(tmp_path / "text.txt", SENTENCES[:2])
    lines = [json.loads(line) for line in run(capsys, path, "--unit", "nats", "--json").splitlines()]
    expected = [row for k, found in enumerate(made.surprisal(SENTENCES[:2], unit="nats"), 1) for row in found.rows(k)]
    for line, row in zip(lines, expected, strict=True):
        assert list(line) == COLUMNS
        assert line["surprisal"] == pytest.approx(row.surprisal, abs=1e-5)
        assert (line["surprisal_backward"] is None) == (row.token == "</S>")


def test_blank_lines_separate_documents(
    made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second = SENTENCES[:2], SENTENCES[1:4]
    assert all(map(len, first + second))
    path = write(tmp_path / "text.txt", [*first, [], [], *second])
    carried = table(run(capsys, path, "--state", "carry"))
    expected = [
        row
        for k, found in enumerate(made.surprisal(first, state="carry") + made.surprisal(second, state="carry"), 1)
        for row in found.rows(k)
    ]
    for line, row in zip(carried, expected, strict=True):
        assert (int(line["sentence_id"]), line["token"]) == (row.sentence_id, row.token)
        assert float(line["surprisal"]) == pytest.approx(row.surprisal, abs=1e-5)
    reset = table(run(capsys, path, "--batch-size", "1"))
    assert [line["sentence_id"] for line in reset] == [line["sentence_id"] for line in carried]
    assert reset != carried


def test_a_long_text_is_read_window_by_window(
    made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "text.txt", [["the", "bank"]] * 20)
    lines = table(run(capsys, path, "--batch-size", "1"))  # windows of 8
    assert [line["sentence_id"] for line in lines[::3]] == [str(k) for k in range(1, 21)]
    assert len({line["surprisal"] for line in lines[::3]}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("absent.txt",), "absent.txt"), (("absent.txt", "--batch-size", "0"), "batch_size must be a positive integer")],
)
def test_errors(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    assert main(["surprisal", *arguments, "--model", str(FOLDER)]) == 2
    assert re.fullmatch(f"numpy-elmo: error: .*{message}.*\\n", capsys.readouterr().err)


def test_a_token_that_a_table_cannot_hold() -> None:
    with pytest.raises(InputError, match="sentence 3, token 2 holds a tab"):
        tsv_line(SurprisalRow(3, 2, "a\tb", 1.0, 1.0, 1.0, 1, False))


def test_all_formats_of_text_are_read(made: LanguageModel, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    [expected] = made.surprisal([["He", "does", "n't", "like", "it", "."]])
    path = tmp_path / "text.jsonl"
    path.write_text(json.dumps({"item": 1, "text": "He doesn't like it."}) + "\n", encoding="utf-8")
    lines = table(run(capsys, str(path), "--json-field", "text", "--tokenize"))
    assert tuple(line["token"] for line in lines) == expected.tokens
    np.testing.assert_allclose([float(line["surprisal"]) for line in lines], expected.surprisal, rtol=0, atol=1e-5)
