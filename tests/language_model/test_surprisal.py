"""Surprisal, entropy and rank are those of the distributions, aligned to the tokens, in the unit asked for."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from numpy_elmo.errors import InputError, InputTypeError, MissingExtraError
from numpy_elmo.language_model import LanguageModel, SentenceSurprisal, SurprisalRow
from numpy_elmo.language_model.softmax import Softmax, in_memory
from numpy_elmo.language_model.surprisal import tsv_line
from numpy_elmo.network.state import CarriedState
from tests.language_model.conftest import FOLDER, SENTENCES

COLUMNS = ["sentence_id", "token_id", "token", "surprisal", "surprisal_backward", "entropy", "rank", "unknown"]


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


def test_a_token_that_a_table_cannot_hold() -> None:
    with pytest.raises(InputError, match="sentence 3, token 2 holds a tab"):
        tsv_line(SurprisalRow(3, 2, "a\tb", 1.0, 1.0, 1.0, 1, False))
