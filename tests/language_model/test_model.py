"""The language model predicts what TensorFlow predicts, aligned to the right tokens, whatever the blocks."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest

from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.language_model import LanguageModel, SentenceLogProbs, WordScore
from numpy_elmo.layers.arrays import Array
from tests.conftest import write_model
from tests.fixtures.recipes import Recipe, options
from tests.language_model.conftest import FOLDER, SENTENCES

CLOZE: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[2] / "weights" / "cloze.json").read_text(encoding="utf-8")
)

# Of the largest value, as for the vectors.
TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def tiny() -> LanguageModel:
    return LanguageModel.load("tiny")


@pytest.fixture(scope="module")
def tensorflow() -> dict[str, Array]:
    with np.load(FOLDER / "tensorflow.npz") as arrays:
        return dict(arrays)


def halves(model: LanguageModel, sentence: list[str]) -> dict[str, Array]:
    [vectors] = model.elmo.embed([sentence], layers="top", boundaries=True)
    forward, backward = np.split(vectors, 2, axis=1)
    return {"forward": forward, "backward": backward}


def dense(model: LanguageModel, h: Array) -> Array:
    """The whole distribution, written the plain way from the weight file."""
    with h5py.File(FOLDER / "softmax_weights.hdf5") as file:
        logits = h.astype(np.float64) @ file["softmax/W"][()].T.astype(np.float64) + file["softmax/b"][()]
    result: Array = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return result


# Equal to TensorFlow


@pytest.mark.parametrize("k", range(len(SENTENCES)))
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_logits_and_log_probs_equal_tensorflow(
    made: LanguageModel, tensorflow: dict[str, Array], k: int, direction: str
) -> None:
    h = halves(made, SENTENCES[k])[direction]
    [(_, _, logits)] = made._softmax._logits(h)  # the fixture's vocabulary is one block
    for name, ours in (("logits", logits), ("log_probs", made._softmax.log_probs(h))):
        theirs = tensorflow[f"{k}/{direction}/{name}"]
        assert ours.shape == theirs.shape == (len(SENTENCES[k]) + 2, len(made.vocabulary))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max())


def test_scores_of_tokens_and_boundaries_equal_tensorflow(made: LanguageModel, tensorflow: dict[str, Array]) -> None:
    # The fixture has an empty sentence, unknown words, and <S>, </S> and <UNK> spelt out in the text.
    for k, scores in enumerate(made.log_probs(SENTENCES)):
        forward, backward = tensorflow[f"{k}/forward/targets"], tensorflow[f"{k}/backward/targets"]
        scale = max(np.abs(forward).max(), np.abs(backward).max())
        np.testing.assert_allclose([*scores.forward, scores.end], forward, rtol=0, atol=TOLERANCE * scale)
        np.testing.assert_allclose([scores.start, *scores.backward], backward, rtol=0, atol=TOLERANCE * scale)
        assert scores.tokens == tuple(SENTENCES[k])
        assert scores.unknown == tuple(t for t, word in enumerate(SENTENCES[k]) if word not in made.vocabulary)


def test_float32_is_no_worse_than_tensorflow(
    made: LanguageModel, made64: LanguageModel, tensorflow: dict[str, Array]
) -> None:
    ours, theirs = [], []
    for k, sentence in enumerate(SENTENCES):
        exact = halves(made64, sentence)
        for direction, h in halves(made, sentence).items():
            reference = made64._softmax.log_probs(exact[direction])
            ours.append((made._softmax.log_probs(h) - reference).ravel())
            theirs.append((tensorflow[f"{k}/{direction}/log_probs"] - reference).ravel())
    assert np.mean(np.concatenate(ours) ** 2) <= np.mean(np.concatenate(theirs) ** 2)


# Alignment


def test_every_prediction_is_made_without_what_it_predicts(made64: LanguageModel) -> None:
    # The oracle embeds nothing but the tokens on one side, and normalises over a dense matrix.
    for sentence, scores in zip(SENTENCES, made64.log_probs(SENTENCES), strict=True):
        bounded = ["<S>", *sentence, "</S>"]
        expected = np.empty((2, len(bounded)))
        for t, word in enumerate(bounded):
            line = made64.vocabulary.index(word if word in made64.vocabulary else "<UNK>")
            if t > 0:
                expected[0, t] = dense(made64, halves(made64, sentence[: t - 1])["forward"][t - 1])[line]
            if t < len(bounded) - 1:
                expected[1, t] = dense(made64, halves(made64, sentence[t:])["backward"][1])[line]
        np.testing.assert_allclose([*scores.forward, scores.end], expected[0, 1:], rtol=1e-12)
        np.testing.assert_allclose([scores.start, *scores.backward], expected[1, :-1], rtol=1e-12)
        np.testing.assert_array_equal(scores.both, [scores.forward, scores.backward])


def test_next_and_previous_words_are_the_head_of_the_distribution(made64: LanguageModel) -> None:
    for sentence in SENTENCES:
        h = halves(made64, sentence)
        for found, line in (
            (made64.next_words(sentence, 7), dense(made64, h["forward"][-2])),
            (made64.previous_words(sentence, 7), dense(made64, h["backward"][1])),
        ):
            best = np.argsort(-line)[:7]
            assert [word for word, _ in found] == [made64.vocabulary[row] for row in best]
            np.testing.assert_allclose([value for _, value in found], line[best], rtol=1e-12)


def test_probabilities_sum_to_one(made: LanguageModel) -> None:
    for tokens in SENTENCES:
        for found in (made.next_words(tokens, 10**6), made.previous_words(tokens, 10**6)):
            assert len(found) == len(made.vocabulary)
            assert sum(np.exp(value) for _, value in found) == pytest.approx(1, abs=1e-6)
            assert [value for _, value in found] == sorted((value for _, value in found), reverse=True)


def test_next_words_agree_with_log_probs(made: LanguageModel) -> None:
    sentence = SENTENCES[0]
    [scores] = made.log_probs([sentence])
    for t, word in enumerate(sentence):
        assert dict(made.next_words(sentence[:t], 100))[word] == pytest.approx(scores.forward[t], abs=1e-5)
        assert dict(made.previous_words(sentence[t + 1 :], 100))[word] == pytest.approx(scores.backward[t], abs=1e-5)


# Blocks


# Restricted vocabularies


def test_a_restricted_vocabulary_is_normalised_anew(made: LanguageModel) -> None:
    words = ["river", "camera", "out"]
    whole = dict(made.next_words(SENTENCES[0], 1000))
    total = np.log(sum(np.exp(whole[word]) for word in words))
    part = made.next_words(SENTENCES[0], vocabulary=words)
    assert {word for word, _ in part} == set(words)
    for word, value in part:
        assert value == pytest.approx(whole[word] - total, abs=1e-6)
    restricted = made.restrict(words)
    assert restricted.restricted
    assert not made.restricted
    assert "part of the vocabulary, 3 words" in repr(restricted)
    assert restricted.vocabulary == tuple(sorted(words, key=made.vocabulary.index))
    assert restricted.restrict(["out"]).next_words([])[0] == WordScore("out", 0.0)


def test_the_first_words_and_the_reported_restriction(made: LanguageModel) -> None:
    first = made.restrict(10)
    assert first.vocabulary == made.vocabulary[:10]
    [scores] = first.log_probs([["the", "bank", "of"]])
    assert scores.restricted
    assert scores.unknown == (1,)
    assert made.perplexity(SENTENCES, vocabulary=10).restricted
    assert not made.perplexity(SENTENCES).restricted
    for part in (made.restrict(["out", "bank"]), made.restrict(["a", "out", "bank"]).restrict(["bank", "out"])):
        [(rows, log_probs)] = part.candidates([["the"]], k=2)
        assert [part.vocabulary[row] for row in rows[0, 0]] == [word for word, _ in part.next_words([])]
        np.testing.assert_allclose(log_probs[0, 0], [value for _, value in part.next_words([])], atol=1e-6)


def test_text_that_a_restriction_cannot_score_is_refused(made: LanguageModel) -> None:
    with pytest.raises(InputError, match=r"no probability.*keep <S>, </S> and <UNK>"):
        made.log_probs([["the", "bank"]], vocabulary=["<S>", "</S>", "the"])
    with pytest.raises(InputError, match="'</S>' no probability"):
        made.log_probs([["the"]], vocabulary=["<S>", "<UNK>", "the"])
    [scores] = made.log_probs([["the"]], vocabulary=["<S>", "</S>", "the"])
    assert np.isfinite(scores.both).all()


@pytest.mark.parametrize(
    ("vocabulary", "error", "message"),
    [
        ("the", InputTypeError, "vocabulary must be a list of strings, not one string"),
        (1.5, InputTypeError, "not float"),
        ([], InputError, "empty"),
        (0, InputError, "positive integer"),
        (["the", "zebra"], InputError, "1 word.*'zebra'.*leave them out"),
    ],
)
def test_bad_restrictions(made: LanguageModel, vocabulary: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        made.restrict(vocabulary)


# Perplexity


def test_perplexity_is_the_mean_of_the_log_probs(made: LanguageModel) -> None:
    scores = made.log_probs(SENTENCES)
    forward = np.concatenate([[*s.forward, s.end] for s in scores])
    backward = np.concatenate([[s.start, *s.backward] for s in scores])
    found = made.perplexity(iter(SENTENCES), batch_size=2)
    assert found.forward == pytest.approx(np.exp(-forward.mean()), rel=1e-6)
    assert found.backward == pytest.approx(np.exp(-backward.mean()), rel=1e-6)
    assert found.average == pytest.approx(np.exp(-np.concatenate([forward, backward]).mean()), rel=1e-6)
    assert found.average == pytest.approx((found.forward * found.backward) ** 0.5, rel=1e-6)
    n_tokens = sum(map(len, SENTENCES))
    assert (found.n_sentences, found.n_tokens) == (len(SENTENCES), n_tokens)
    assert found.n_predictions == len(forward) == n_tokens + len(SENTENCES)
    assert found.n_unknown == sum(len(s.unknown) for s in scores) > 0


def test_perplexity_streams(made: LanguageModel) -> None:
    taken = 0

    def text() -> Any:
        nonlocal taken
        for _ in range(3):
            taken += 1
            yield ["the", "bank"]
        raise RuntimeError("the end")

    with pytest.raises(RuntimeError, match="the end"):
        made.perplexity(text(), batch_size=1)
    assert taken == 3
    many = made.perplexity((["the", "bank"] for _ in range(1000)), batch_size=16)
    assert many.n_sentences == 1000
    assert many.forward == pytest.approx(made.perplexity([["the", "bank"]]).forward, rel=1e-6)


def test_carried_state_is_that_of_the_vectors(made: LanguageModel) -> None:
    made.elmo.reset_state()
    carried = made.log_probs(SENTENCES, state="carry", batch_size=1)
    made.elmo.reset_state()
    assert made.perplexity(SENTENCES, state="carry", batch_size=1).forward == pytest.approx(
        np.exp(-np.concatenate([[*s.forward, s.end] for s in carried]).mean()), rel=1e-6
    )
    made.elmo.reset_state()
    fresh = made.log_probs(SENTENCES)
    np.testing.assert_allclose(carried[0].both, fresh[0].both, atol=1e-5)
    assert np.abs(carried[1].both - fresh[1].both).max() > 1e-3


def scores_of(scores: SentenceLogProbs) -> tuple[bytes, float, float]:
    return scores.both.tobytes(), scores.end, scores.start


@pytest.mark.parametrize("state", ["reset", "frozen"])
def test_neither_order_nor_repetition_nor_earlier_calls_change_a_bit(
    tiny: LanguageModel, state: Literal["reset", "frozen"]
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "example.txt").read_text(encoding="utf-8")
    sentences = [line.split() for line in text.splitlines()]
    tiny.elmo.warm_up(sentences[:2])
    expected = dict(zip(map(tuple, sentences), tiny.log_probs(sentences, state=state), strict=True))
    perplexity, candidates = tiny.perplexity(sentences, state=state), tiny.candidates(sentences)
    tiny.log_probs([sentence[::-1] for sentence in sentences[:3]], state=state)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(sentences))
        shuffled = [sentences[place] for place in order]
        assert tiny.perplexity(shuffled, state=state) == perplexity
        for place, pair in zip(order, tiny.candidates(shuffled), strict=True):
            for array, same in zip(candidates[place], pair, strict=True):
                assert array.tobytes() == same.tobytes()
        found = tiny.log_probs(shuffled + shuffled[:4], state=state)
        for tokens, scores in zip(shuffled + shuffled[:4], found, strict=True):
            assert scores_of(scores) == scores_of(expected[tuple(tokens)])
        found[0].forward[:] = 1.0  # equal sentences share no memory
        assert scores_of(found[len(sentences)]) == scores_of(expected[tuple(shuffled[0])])


def test_nothing_to_score(made: LanguageModel) -> None:
    assert made.log_probs([]) == []
    with pytest.raises(InputError, match="no sentence"):
        made.perplexity([])
    with pytest.raises(InputTypeError, match="not one string"):
        made.perplexity("the bank")
    with pytest.raises(InputTypeError, match="sentence 0 is a string"):
        made.log_probs(["the bank"])


# Substitutes


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_substitutes_are_combined_as_documented(made64: LanguageModel, temperature: float) -> None:
    sentence, position = SENTENCES[1], 5
    h = halves(made64, sentence)
    with h5py.File(FOLDER / "softmax_weights.hdf5") as file:
        W, b = file["softmax/W"][()].astype(np.float64), file["softmax/b"][()].astype(np.float64)

    def normalised(logits: Array) -> Array:
        result: Array = logits - np.log(np.exp(logits).sum())
        return result

    f = normalised((h["forward"][position] @ W.T + b) / temperature)
    g = normalised((h["backward"][position + 2] @ W.T + b) / temperature)
    expected = {"average": (f + g) / 2, "product": normalised(f + g), "forward": f, "backward": g}
    for combine, scores in expected.items():
        found = made64.substitutes(sentence, position, 5, combine=combine, temperature=temperature)  # type: ignore[arg-type]
        order = [row for row in np.argsort(-scores) if row > 2][:5]  # rows 0 to 2 are <S>, </S>, <UNK>
        assert [word for word, _ in found] == [made64.vocabulary[row] for row in order]
        np.testing.assert_allclose([value for _, value in found], scores[order], rtol=1e-10)


def test_substitutes_do_not_see_the_word(made: LanguageModel) -> None:
    sentence = SENTENCES[0]
    for position in range(len(sentence)):
        other = [*sentence[:position], "xyzzy", *sentence[position + 1 :]]
        assert made.substitutes(sentence, position) == made.substitutes(other, position)


def test_substitutes_leave_out_what_is_no_word(made: LanguageModel) -> None:
    words = [word for word, _ in made.substitutes(["Yes"], 0, 10**6)]
    assert sorted(words) == sorted(set(made.vocabulary) - {"<S>", "</S>", "<UNK>"})
    assert made.substitutes(["Yes"], 0, vocabulary=["<UNK>", "No"])[0].word == "No"
    assert len(made.substitutes(["Yes"], 0, vocabulary=["<UNK>", "No"])) == 1


def test_candidates_are_the_heads_of_both_distributions_at_each_token(made64: LanguageModel) -> None:
    found = made64.candidates(SENTENCES, 3)
    assert len(found) == len(SENTENCES)
    for sentence, (rows, log_probs) in zip(SENTENCES, found, strict=True):
        assert rows.shape == log_probs.shape == (2, len(sentence), 3)
        for t in range(len(sentence)):
            for way, whole in enumerate(
                (made64.next_words(sentence[:t], 1000), made64.previous_words(sentence[t + 1 :], 1000))
            ):
                expected = [pair for pair in whole if pair.word not in ("<S>", "</S>")][:3]
                assert [made64.vocabulary[row] for row in rows[way, t]] == [word for word, _ in expected]
                np.testing.assert_allclose(log_probs[way, t], [value for _, value in expected], rtol=1e-10)
    n_words = len(made64.vocabulary)
    for boundaries, n_left in ((True, n_words), (False, n_words - 2)):
        [(rows, _)] = made64.candidates([["Yes"]], 1000, boundaries=boundaries)
        assert rows.shape == (2, 1, n_left)
        assert sorted(rows[0, 0]) == list(range(n_words - n_left, n_words))  # <S> and </S> come first
    assert made64.candidates([]) == []
    assert [rows.shape for rows, _ in made64.candidates([[], []])] == [(2, 0, 3), (2, 0, 3)]


# Sampling


def test_the_seed_decides_the_sample(made: LanguageModel) -> None:
    first = made.sample(["the"], seed=7, max_tokens=20)
    assert made.sample(["the"], seed=7, max_tokens=20) == first
    assert made.sample(["the"], seed=np.random.default_rng(7), max_tokens=20) == first
    assert len({tuple(made.sample(["the"], seed=seed, max_tokens=20)) for seed in range(5)}) > 1


def test_one_of_one_is_the_likeliest_continuation(made: LanguageModel) -> None:
    prefix = ["Where", "have"]
    drawn = made.sample(prefix, top_k=1, seed=0, max_tokens=8)
    for t in range(8):
        expected = next(word for word, _ in made.next_words(prefix + drawn[:t]) if word not in ("<S>", "<UNK>"))
        if expected == "</S>":
            assert len(drawn) == t
            break
        assert drawn[t] == expected


@pytest.mark.parametrize(
    ("temperature", "top_k"),
    [(2.5, 6), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ((1.0, None), (2.5, None), (1.0, 6)))],
)
def test_samples_are_distributed_as_the_probabilities(
    made: LanguageModel, temperature: float, top_k: int | None
) -> None:
    prefix = ["let", "'s"]
    pairs = [pair for pair in made.next_words(prefix, 1000) if pair.word not in ("<S>", "<UNK>")][:top_k]
    weights = np.exp(np.array([value for _, value in pairs]) / temperature)
    probabilities = dict(zip([word for word, _ in pairs], weights / weights.sum(), strict=True))
    generator = np.random.default_rng(3)
    n = 3000
    counts = dict.fromkeys(probabilities, 0)
    for _ in range(n):
        drawn = made.sample(prefix, seed=generator, max_tokens=1, temperature=temperature, top_k=top_k)
        counts[drawn[0] if drawn else "</S>"] += 1
    # Pearson's statistic; its mean is the number of words less one, its variance twice that.
    statistic = sum((counts[word] - n * p) ** 2 / (n * p) for word, p in probabilities.items())
    freedom = len(probabilities) - 1
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


def test_a_sample_ends(made: LanguageModel) -> None:
    assert len(made.sample(seed=1, max_tokens=9, vocabulary=["the", "bank"])) == 9
    assert made.sample(seed=1, vocabulary=["</S>"]) == []
    words = [word for seed in range(20) for word in made.sample(seed=seed, temperature=5.0)]
    assert not {"<S>", "</S>", "<UNK>"} & set(words)


# Errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.next_words("let 's"), InputTypeError, "not one string: give text.split"),
        (lambda m: m.next_words(None), InputTypeError, "not NoneType"),
        (lambda m: m.previous_words(["a", 3]), InputTypeError, "item 1 must be a string, not int"),
        (lambda m: m.next_words(["a"], 0), InputError, "k must be a positive integer, not 0"),
        (lambda m: m.next_words(["a"], True), InputError, "k must be"),
        (lambda m: m.candidates([["a"]], -1), InputError, "k must be"),
        (lambda m: m.substitutes(["a", "b"], 2), InputError, "no token 2.*2 tokens, positions 0 to 1"),
        (lambda m: m.substitutes(["a", "b"], -1), InputError, "no token -1"),
        (lambda m: m.substitutes([], 0), InputError, "no token 0.*0 tokens"),
        (lambda m: m.substitutes(["a"], 0.0), InputTypeError, "position must be an int"),
        (lambda m: m.substitutes(["a"], 0, combine="sum"), InputError, 'combine must be "average".*sum'),
        (lambda m: m.substitutes(["a"], 0, temperature=0), InputError, "temperature must be a positive number"),
        (lambda m: m.sample(temperature=-1.0), InputError, "temperature"),
        (lambda m: m.sample(temperature=float("nan")), InputError, "temperature"),
        (lambda m: m.sample(top_k=0), InputError, "top_k"),
        (lambda m: m.sample(max_tokens=0), InputError, "max_tokens"),
        (lambda m: m.sample(vocabulary=["<UNK>"]), InputError, "no word to draw"),
        (lambda m: m.sample("the"), InputTypeError, "not one string"),
        (lambda m: m.perplexity([["a"]], batch_size=0), InputError, "batch_size"),
        (lambda m: m.perplexity([["a"]], state="other"), InputError, "state must be"),
    ],
)
def test_bad_arguments(made: LanguageModel, call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(made)


def test_the_empty_prefix_is_the_sentence_start(made: LanguageModel) -> None:
    assert made.next_words([])[0].log_prob == pytest.approx(dense(made, halves(made, [])["forward"][0]).max(), abs=1e-5)
    assert made.previous_words(())[0].log_prob == pytest.approx(
        dense(made, halves(made, [])["backward"][1]).max(), abs=1e-5
    )


# Files


# The model that comes with the package


def test_after_hang_comes_out_and_no_camera(tiny: LanguageModel) -> None:
    sentence = ["On", "Saturdays", "the", "older", "boys", "like", "to", "hang"]
    scores = dict(tiny.next_words(sentence, len(tiny.vocabulary)))
    assert scores["out"] > scores["camera"]
    [best, other] = tiny.next_words(sentence, vocabulary=["camera", "out"])
    assert (best.word, other.word) == ("out", "camera")


def test_cloze_pairs_are_ranked_right(tiny: LanguageModel) -> None:
    assert len(CLOZE) >= 40
    right = 0
    for pair in CLOZE:
        best = tiny.next_words(pair["context"].split(), 1, vocabulary=[pair["likely"], pair["unlikely"]])
        right += best[0].word == pair["likely"]
    # Chance is one half; of 40 pairs, it gets 36 with a probability below one in ten million.
    assert right >= 0.9 * len(CLOZE)


def test_tiny_on_disk_and_its_perplexity(tiny: LanguageModel) -> None:
    text = (Path(__file__).parents[2] / "docs" / "example.txt").read_text(encoding="utf-8")
    sentences = [line.split() for line in text.splitlines()]
    found = tiny.perplexity(sentences)
    assert found.average < 0.05 * len(tiny.vocabulary)  # a model that knows nothing has the vocabulary's size
    disk = LanguageModel.load("tiny", in_memory=False).perplexity(sentences)
    assert disk.average == pytest.approx(found.average, rel=1e-5)
    backwards = tiny.perplexity([sentence[::-1] for sentence in sentences])
    assert backwards.forward > 2 * found.forward


def test_the_memory_of_a_perplexity_does_not_grow_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel.load(FOLDER)
    monkeypatch.setattr("numpy_elmo.language_model.model.WINDOW_TOKENS", 70)
    line = ["the", "bank", "of", "the", "river"] * 6
    peaks = []
    for n in (3, 30):  # fewer lines than a window of 8 batches
        lines = [[f"w{k}", *line] for k in range(n)]
        model.perplexity(lines[:2])
        tracemalloc.start()
        model.perplexity(iter(lines))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0], peaks


# The published size

MEASURE = """
import resource, sys
from numpy_elmo.language_model import LanguageModel
model = LanguageModel.load(sys.argv[1])
tokens = ["word%d" % i for i in range(20)]
assert len(model.next_words(tokens, 10)) == 10
[(rows, log_probs)] = model.candidates([tokens], 10)
assert rows.shape == log_probs.shape == (2, 20, 10)
assert len(model.substitutes(tokens, 3, 10)) == 10
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_the_published_size_stays_within_three_gigabytes(tmp_path: Path) -> None:
    n_words, width, step = 793_471, 512, 16_384
    recipe = Recipe(options({"lstm/projection_dim": width, "lstm/dim": 1024}), seed=9)
    folder = write_model(tmp_path / "model", recipe)
    generator = np.random.default_rng(0)
    with h5py.File(folder / "softmax_weights.hdf5", "w") as file:
        W = file.create_dataset("softmax/W", (n_words, width), np.float32)
        for start in range(0, n_words, step):
            n = min(step, n_words - start)
            W[start : start + n] = generator.standard_normal((n, width), np.float32)
        file["softmax/b"] = np.zeros(n_words, np.float32)
    words = ["<S>", "</S>", "<UNK>", *(f"word{k}" for k in range(n_words - 3))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    try:
        result = subprocess.run([sys.executable, "-c", MEASURE, str(folder)], capture_output=True, check=False)
    finally:
        (folder / "softmax_weights.hdf5").unlink()
    assert result.returncode == 0, result.stderr.decode()
    peak = int(result.stdout) * (1 if sys.platform == "darwin" else 1024)
    assert peak < 3e9
