"""The arithmetic behind the figures of ``weights/tiny/README.md``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL
from weights import measure_tiny as measure

START, END = 0, 1
N_WORDS = 60
REVERSED = pytest.mark.parametrize("step", [1, -1], ids=["forward", "backward"])


def toy_sentences(n_sentences: int) -> list[list[int]]:
    """Sentences with boundaries, of words with very different frequencies; the last word never occurs."""
    rng = np.random.default_rng(5)
    frequencies = 1 / np.arange(1, N_WORDS - 3) ** 1.2
    lengths = rng.integers(1, 9, n_sentences)
    return [[START, *rng.choice(N_WORDS - 4, n, p=frequencies / frequencies.sum()) + 3, END] for n in lengths]


# -- baselines -------------------------------------------------------------------------------------------------------


def test_every_token_and_the_closing_boundary_are_predicted() -> None:
    positions = measure.trigrams([[0, 5, 6, 1], [0, 7, 1]])
    assert positions.tolist() == [[0, 0, 5], [0, 5, 6], [5, 6, 1], [0, 0, 7], [0, 7, 1]]


def test_a_unigram_model_is_a_distribution_of_relative_frequencies() -> None:
    positions = measure.trigrams(toy_sentences(50))
    frequencies = measure.unigram_probabilities(positions[:, 2], N_WORDS)
    assert frequencies.sum() == pytest.approx(1, abs=1e-12)
    assert frequencies[END] == 50 / len(positions)
    assert frequencies[START] == 0


@REVERSED
@pytest.mark.parametrize("n_sentences", [3, 800], ids=["fixed discounts", "estimated discounts"])
def test_trigram_probabilities_sum_to_one(n_sentences: int, step: int) -> None:
    sentences = [sentence[::step] for sentence in toy_sentences(n_sentences)]
    positions = measure.trigrams(sentences)
    model = measure.TrigramModel(positions, N_WORDS, start=sentences[0][0])
    before, last, word = np.indices((N_WORDS, N_WORDS, N_WORDS)).reshape(3, -1)
    seen = {(u, v) for u, v, _ in positions.tolist()}
    assert 0 < len(seen) < N_WORDS**2, "there are seen and unseen contexts"
    probabilities = model.probabilities(np.stack([before, last, word], axis=1)).reshape(N_WORDS, N_WORDS, N_WORDS)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1, rtol=0, atol=1e-12)
    # A boundary that is never predicted and a word that never occurs get their part too, from the lowest order.
    assert probabilities.min() > 0


def test_trigram_probabilities_are_those_of_the_equations() -> None:
    """The same model with dictionaries, straight from Chen and Goodman 1999, section 3."""
    sentences = toy_sentences(800)
    orders: list[Counter[tuple[int, ...]]] = [Counter(), Counter(), Counter()]
    orders[2].update(tuple(position) for position in measure.trigrams(sentences).tolist())
    for (_, last, word), count in orders[2].items():
        orders[1][last, word] += count if last == START else 1
    orders[0].update((word,) for _, word in orders[1])

    discounts = []
    for counts in orders:
        n = Counter(counts.values())
        y = n[1] / (n[1] + 2 * n[2])
        estimates = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else np.nan for k in (1, 2, 3)]
        discounts.append([0.0, *(estimates if n[1] and n[2] and n[3] and n[4] else [0.5, 0.5, 0.5])])
    assert discounts[2] != [0.0, 0.5, 0.5, 0.5]

    def probability(context: tuple[int, ...], word: int) -> float:
        lower = probability(context[1:], word) if context else 1 / N_WORDS
        counts, discount = orders[len(context)], discounts[len(context)]
        after = [count for ngram, count in counts.items() if ngram[:-1] == context]
        if not after:
            return lower
        count = counts[(*context, word)]
        left_over = sum(discount[min(c, 3)] for c in after)
        return (count - discount[min(count, 3)] + left_over * lower) / sum(after)

    model = measure.TrigramModel(measure.trigrams(sentences), N_WORDS, START)
    asked = np.random.default_rng(6).integers(0, N_WORDS, (60, 3))
    asked[:30] = measure.trigrams(sentences)[:30]
    expected = [probability((u, v), w) for u, v, w in asked.tolist()]
    np.testing.assert_allclose(model.probabilities(asked), expected, rtol=1e-12)


def test_baselines_predict_the_same_events_in_both_directions() -> None:
    sentences = toy_sentences(800)
    models = measure.fit_trigrams(sentences, N_WORDS)
    found = measure.baselines(sentences, sentences[:50], N_WORDS, models)
    assert found["unigram"]["forward"] == pytest.approx(found["unigram"]["backward"])
    for direction in ("forward", "backward"):
        assert 1 < found["trigram"][direction] < found["unigram"][direction] < N_WORDS


# -- senses -----------------------------------------------------------------------------------------------------------


def test_equal_vectors_score_chance() -> None:
    vectors = np.repeat(np.random.default_rng(9).standard_normal((1, 5)), 10, axis=0)
    vectors *= np.linspace(0.1, 3, 10)[:, np.newaxis]  # the cosine does not see it
    senses = np.array([0] * 5 + [1] * 5)
    assert measure.accuracy(measure.nearest_neighbours(vectors), senses) == pytest.approx(4 / 9)


def test_the_nearest_other_vector_decides() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0.05]])
    neighbours = measure.nearest_neighbours(vectors)
    assert neighbours.diagonal().tolist() == [0] * 5
    assert measure.accuracy(neighbours, np.array([0, 0, 1, 1, 0])) == 1
    assert measure.accuracy(neighbours, np.array([0, 0, 0, 1, 1])) == 0


# -- pairs ------------------------------------------------------------------------------------------------------------


def test_pairs_are_counted_by_paradigm() -> None:
    scores = np.array([[[-1.0, -9.0], [-2.0, -3.0]], [[-1.0, -1.0], [-2.0, -3.0]], [[-2.0, -2.0], [-2.0, -2.0]]])
    found = measure.pairs_right(scores, [{"UID": "a"}, {"UID": "b"}, {"UID": "b"}])
    assert found == {
        "a": {"pairs": 1, "forward": 1, "both": 0},
        "b": {"pairs": 2, "forward": 1, "both": 1},
        "all": {"pairs": 3, "forward": 2, "both": 1},
    }


def test_a_trigram_model_scores_whole_sentences() -> None:
    sentences = toy_sentences(800)
    models = measure.fit_trigrams(sentences, N_WORDS)
    found = measure.trigram_scores(models, sentences[:3])
    expected = [np.log(models[1].probabilities(measure.trigrams([s[::-1]]))).sum() for s in sentences[:3]]
    np.testing.assert_allclose(found[:, 1], expected)
    assert found.shape == (3, 2)


def test_sentences_are_split_as_the_training_text() -> None:
    assert measure.sentence_tokens("He was not here.") == ["He", "was", "not", "here", "."]


# -- command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(base: Elmo, tmp_path: Path) -> Path:
    """A made model with a softmax, beside a corpus."""
    model = write_model(tmp_path / "model", SMALL["base"])
    files = [json.loads((measure.HERE / f"{name}.json").read_text(encoding="utf-8")) for name in measure.NEXT_WORDS]
    words = sorted({pair[which] for pairs in files for pair in pairs for which in ("likely", "unlikely")})
    vocabulary = ["<S>", "</S>", "<UNK>", *words]
    (model / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    with h5py.File(model / "softmax_weights.hdf5", "w") as file:
        file["softmax/W"] = np.zeros((len(vocabulary), base.vector_size // 2), np.float32)
        file["softmax/b"] = np.zeros(len(vocabulary), np.float32)
    (tmp_path / "train.txt").write_text("the time of the world\n\nthe end .\n" * 3, encoding="utf-8")
    for name in measure.HELD_OUT:
        (tmp_path / name).write_text("the end of the world\n", encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_the_command_prints_every_figure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure, "N_SHUFFLES", 2)
    model = str(folder / "model")
    arguments = ["measure_tiny.py", "--model", model, "--corpus", str(folder), "--other", model]
    monkeypatch.setattr(sys, "argv", [*arguments, "--json"])
    assert measure.main() == 0
    figures = json.loads(capsys.readouterr().out)
    text = figures["held-out"]["heldout.txt"]
    assert (text["sentences"], text["tokens"], text["unknown"]) == (1, 5, 0)
    n_words = len((folder / "model" / "vocab.txt").read_text(encoding="utf-8").split())
    for which in ("model", "model, words both know", "other model, words both know"):
        assert text["perplexity"][which]["forward"] == pytest.approx(n_words), "the softmax is zero everywhere"
    ratio = text["perplexity"]["model / trigram"]["forward"]
    assert ratio == pytest.approx(n_words / text["perplexity"]["trigram"]["forward"])
    assert figures["senses"]["all"][0] == pytest.approx(7 / 15), "chance, for eight sentences a sense"
    assert [figures[name]["right"] for name in measure.NEXT_WORDS] == [0, 0, 0]
    assert figures["minimal pairs"]["trigram"]["all"]["pairs"] == 120

    monkeypatch.setattr(sys, "argv", arguments)
    assert measure.main() == 0
    shown = capsys.readouterr().out
    assert f"| model | {n_words:.1f} | {n_words:.1f} |" in shown
    assert "| **all** | 46.7% |" in shown
    assert "by frequency alone" in shown


def test_without_a_corpus_the_command_says_so_and_measures_the_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure, "N_SHUFFLES", 2)
    monkeypatch.setattr(sys, "argv", ["measure_tiny.py", "--model", str(folder / "model")])
    assert measure.main() == 0
    said = capsys.readouterr()
    assert "perplexities are not measured" in said.err
    assert "perplexity" not in said.out
    assert "| bank |" in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corpus", "nowhere"], "nowhere has no train.txt, heldout-modern.txt, heldout.txt"),
        (["--other", "model"], "--other needs --corpus"),
    ],
)
def test_figures_that_were_asked_for_are_not_left_out(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["measure_tiny.py", *arguments])
    with pytest.raises(SystemExit):
        measure.main()
    assert message in capsys.readouterr().err
