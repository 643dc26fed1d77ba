"""Measure the small model of ``weights/tiny``: the tables of its README come from here.

    python weights/measure_tiny.py --corpus CORPUS_DIR

``CORPUS_DIR`` holds ``train.txt``, ``heldout.txt`` and ``heldout-modern.txt``, one tokenised sentence a line.

* **Perplexity** of both held-out texts, forward and backward, over the model's whole vocabulary.  Words outside it
  are ``<UNK>``.  The forward direction predicts every token and ``</S>``, the backward one every token and ``<S>``.
  The baselines are trained on ``train.txt`` and predict the same positions over the same vocabulary: a unigram model
  (relative frequencies), and a trigram model with interpolated modified Kneser-Ney smoothing.
* **Restricted perplexity**, with ``--other FOLDER``: this model and another one over the words that both know and
  ``<UNK>``, at the positions of these words only.
* **Senses**: the sentences of ``senses.json`` use every word in two senses.  A sentence is right if the nearest other
  sentence of its word, by the cosine of the word's vectors, has the same sense.
* **Cloze pairs**: ``cloze.json`` holds beginnings of sentences with a likely and an unlikely next word.  A pair is
  right if the likely word has the larger forward probability.  ``everyday.json`` (everyday knowledge) and
  ``agreement.json`` (a verb after a distractor) have the same form.
* **Minimal pairs**: ``minimal_pairs.jsonl`` holds pairs of sentences in the format of BLiMP (arXiv:1912.00582).  A
  pair is right if the good sentence has the larger log-probability, ``</S>`` included; forward, and both directions
  added up.

Without ``--corpus``, only what needs no corpus is measured.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo import Elmo, LanguageModel
from numpy_elmo.files.vocabulary import UNKNOWN
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START

HERE = Path(__file__).parent
NEXT_WORDS = {"cloze": "Cloze pairs", "everyday": "Pairs of everyday knowledge", "agreement": "Agreement pairs"}
HELD_OUT = ("heldout-modern.txt", "heldout.txt")
N_SHUFFLES = 1000
Trigrams: TypeAlias = "tuple[TrigramModel, TrigramModel]"  # forward and backward

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.floating]


# -- text ------------------------------------------------------------------------------------------------------------


def read_sentences(path: Path) -> list[list[str]]:
    """Return the tokenised sentences of a file, without the empty ones."""
    with path.open(encoding="utf-8") as file:
        return [tokens for line in file if (tokens := line.split())]


def rows_of(tokens: Sequence[str], row: dict[str, int]) -> list[int]:
    """Return the rows of a sentence with its boundaries; `row` has the row of every word."""
    return [row[SENTENCE_START], *(row.get(token, row[UNKNOWN]) for token in tokens), row[SENTENCE_END]]


# -- n-gram baselines ------------------------------------------------------------------------------------------------


def trigrams(sentences: list[list[int]]) -> Ints:
    """Return every predicted position as ``(word before the last, last word, predicted word)``, shape ``(N, 3)``.

    The sentences have their boundaries.  The first one is never predicted; the one word in front of the first
    predicted word counts as two.
    """
    words = np.array([word for sentence in sentences for word in [sentence[0], *sentence]], dtype=np.int64)
    lengths = np.array([len(sentence) + 1 for sentence in sentences])
    predicted = np.ones(len(words), dtype=bool)
    starts = np.cumsum(lengths) - lengths
    predicted[starts] = predicted[starts + 1] = False
    i = np.flatnonzero(predicted)
    return np.stack([words[i - 2], words[i - 1], words[i]], axis=1)


def unigram_probabilities(predicted: Ints, n_words: int) -> Floats:
    """Return the relative frequency of every word among the predicted ones."""
    return np.bincount(predicted, minlength=n_words) / len(predicted)


def discounts(counts: Ints) -> Floats:
    """Return what modified Kneser-Ney takes off a count of 0, 1, 2, and 3 or more (Chen and Goodman 1999, eq. 26)."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == k)) for k in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return np.array([0.0, 0.5, 0.5, 0.5])  # too little text to estimate anything from
    y = n1 / (n1 + 2 * n2)
    estimates = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    return np.clip(estimates, 0.0, [0.0, 1.0, 2.0, 3.0])


class NgramOrder:
    """One order of the n-gram model: the discounted counts of the words after each context.

    An n-gram is the integer ``context * n_words + word``, its context being an (n-1)-gram of the same kind.
    """

    def __init__(self, ngrams: Ints, counts: Ints, n_words: int) -> None:
        # ngrams is sorted and has no duplicates, so the n-grams of one context are next to each other.
        taken = discounts(counts)[np.minimum(counts, 3)]
        self.n_words = n_words
        self.ngrams = ngrams
        self.contexts, first = np.unique(ngrams // n_words, return_index=True)
        totals = np.add.reduceat(counts, first)
        self.left_over = np.add.reduceat(taken, first) / totals
        self.probabilities = (counts - taken) / np.repeat(totals, np.diff(first, append=len(ngrams)))

    def __call__(self, context: Ints, word: Ints, lower: Floats) -> Floats:
        """Return the probability of words after contexts, given the one of the order below."""
        known, at = _find(self.contexts, context)
        left_over = np.where(known, self.left_over[at], 1.0)
        seen, at = _find(self.ngrams, context * self.n_words + word)
        result: Floats = np.where(seen, self.probabilities[at], 0.0) + left_over * lower
        return result


class TrigramModel:
    """Interpolated modified Kneser-Ney of order three.

    The highest order counts trigrams.  The ones below count the different words that an n-gram follows, except that
    an n-gram at the beginning of a sentence, which follows nothing, keeps the number of its occurrences.  Below the
    unigrams all words are equally likely.

    Parameters
    ----------
    positions : ndarray of int, shape (N, 3)
        What `trigrams` returns.
    n_words : int
        Size of the vocabulary.
    start : int
        The boundary that sentences begin with.
    """

    def __init__(self, positions: Ints, n_words: int, start: int) -> None:
        self.n_words = n_words
        before, last, word = positions.T
        ngrams, counts = np.unique((before * n_words + last) * n_words + word, return_counts=True)
        self.trigram = NgramOrder(ngrams, counts, n_words)
        pairs, which = np.unique(ngrams % n_words**2, return_inverse=True)
        at_start = ngrams // n_words % n_words == start
        followed = np.bincount(which, weights=np.where(at_start, counts, 1)).astype(np.int64)
        self.bigram = NgramOrder(pairs, followed, n_words)
        words, followed = np.unique(pairs % n_words, return_counts=True)
        self.unigram = NgramOrder(words, followed, n_words)

    def probabilities(self, positions: Ints) -> Floats:
        """Return the probability of the last word of every ``(before, last, word)``."""
        before, last, word = positions.T
        uniform = np.full(len(positions), 1 / self.n_words)
        one = self.unigram(np.zeros_like(word), word, uniform)
        two = self.bigram(last, word, one)
        return self.trigram(before * self.n_words + last, word, two)


def _find(ordered: Ints, values: Ints) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Return whether each value is in a sorted array, and its place there (some place, where it is not)."""
    at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[at] == values, at


def perplexity(log_probabilities: Floats) -> float:
    """Return the perplexity of events that were given these log-probabilities."""
    return float(np.exp(-np.mean(log_probabilities, dtype=np.float64)))


def fit_trigrams(train: list[list[int]], n_words: int) -> Trigrams:
    """Return the trigram models of both directions."""
    forward, backward = (
        TrigramModel(trigrams([sentence[::step] for sentence in train]), n_words, start=train[0][::step][0])
        for step in (1, -1)
    )
    return forward, backward


def baselines(
    train: list[list[int]], heldout: list[list[int]], n_words: int, models: Trigrams
) -> dict[str, dict[str, float]]:
    """Return the held-out perplexities of the unigram and trigram models, forward and backward."""
    figures: dict[str, dict[str, float]] = {"unigram": {}, "trigram": {}}
    for direction, step, model in zip(("forward", "backward"), (1, -1), models, strict=True):
        asked = trigrams([sentence[::step] for sentence in heldout])
        predicted = np.concatenate([sentence[::step][1:] for sentence in train])
        frequencies = unigram_probabilities(predicted, n_words)
        figures["unigram"][direction] = perplexity(np.log(frequencies[asked[:, 2]]))
        figures["trigram"][direction] = perplexity(np.log(model.probabilities(asked)))
    return figures


def restricted_perplexity(model: LanguageModel, sentences: list[list[str]], words: list[str]) -> dict[str, float]:
    """Return the perplexities over some words and ``<UNK>``, at the positions of these words."""
    total, n = np.zeros(2), 0
    for scores in model.log_probs(sentences, vocabulary=words):
        known = np.delete(np.arange(len(scores.tokens)), scores.unknown)
        total += scores.forward[known].sum() + scores.end, scores.backward[known].sum() + scores.start
        n += len(known) + 1
    forward, backward = np.exp(-total / n).tolist()
    return {"forward": forward, "backward": backward}


# -- senses and next words ---------------------------------------------------------------------------------------------


def nearest_neighbours(vectors: Floats) -> Floats:
    """Return, for each vector, the probability of each other one to be taken as the nearest by cosine.

    Where several are equally near, one of them counts as drawn at random.  Layer 0 has the same vector for a word
    everywhere: there all others are equally near, and the accuracy is chance.
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = cosines >= cosines.max(axis=1, keepdims=True) - 1e-6  # equal but for rounding
    probabilities: Floats = nearest / nearest.sum(axis=1, keepdims=True)
    return probabilities


def chances(neighbours: Floats, senses: Ints) -> Floats:
    """Return, for each vector, the probability that its nearest neighbour has the same sense: 0 or 1 without ties."""
    same: Floats = (neighbours * (senses[:, np.newaxis] == senses)).sum(axis=1)
    return same


def accuracy(neighbours: Floats, senses: Ints) -> float:
    """Return the expected share of vectors whose nearest neighbour has the same sense."""
    return float(chances(neighbours, senses).mean())


def sense_accuracies(elmo: Elmo, words: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """Return the accuracy at every layer, for every word and over all sentences.

    Returns
    -------
    dict
        ``"words"`` has the accuracies at layers 0 to L of every word, ``"all"`` those over all sentences,
        ``"shuffled"`` the standard deviation and the largest of the latter when the sentences of every word are given
        their senses at random, `N_SHUFFLES` times, and ``"only"`` the numbers of sentences that are right at layer
        L - 1 and not at L, and the other way round.
    """
    rng = np.random.default_rng(0)
    by_word: dict[str, Floats] = {}
    shuffled, n_sentences = [], []
    only = np.zeros(2, dtype=np.int64)
    for word, by_sense in words.items():
        labelled = [(sense, line.split()) for sense, lines in enumerate(by_sense.values()) for line in lines]
        arrays = elmo.embed([tokens for _, tokens in labelled])
        found = np.stack([array[:, tokens.index(word)] for array, (_, tokens) in zip(arrays, labelled, strict=True)])
        neighbours = [nearest_neighbours(found[:, layer]) for layer in range(elmo.n_layers + 1)]
        senses = np.array([sense for sense, _ in labelled])
        right = np.stack([chances(n, senses) for n in neighbours])  # [L + 1, n_sentences]
        by_word[word] = right.mean(axis=1)
        below, top = right[-2:] > 0.5
        only += (below & ~top).sum(), (top & ~below).sum()
        orders = [rng.permutation(senses) for _ in range(N_SHUFFLES)]
        shuffled.append([[accuracy(n, order) for n in neighbours] for order in orders])
        n_sentences.append(len(labelled))
    at_random = np.average(shuffled, axis=0, weights=n_sentences)  # [N_SHUFFLES, L + 1]
    return {
        "all": np.average(list(by_word.values()), axis=0, weights=n_sentences).tolist(),
        "words": {word: accuracies.tolist() for word, accuracies in by_word.items()},
        "shuffled": {"deviation": at_random.std(axis=0).tolist(), "largest": at_random.max(axis=0).tolist()},
        "only": only.tolist(),
    }


def ranks_right(model: LanguageModel, pair: dict[str, str]) -> bool:
    """Say whether the likely word of a cloze pair has the larger probability."""
    likely, unlikely = pair["likely"], pair["unlikely"]
    scores = dict(model.next_words(pair["context"].split(), vocabulary=[likely, unlikely]))
    return scores[likely] > scores[unlikely]


# -- minimal pairs -----------------------------------------------------------------------------------------------------


def sentence_tokens(text: str) -> list[str]:
    """Split a sentence of ``minimal_pairs.jsonl`` as the training text is split; they hold no contractions."""
    return re.findall(r"\w+|[^\w\s]", text)


def trigram_scores(models: Trigrams, sentences: list[list[int]]) -> Floats:
    """Return the log-probabilities of sentences, forward and backward, shape ``(N, 2)``."""
    return np.array(
        [
            [
                np.log(model.probabilities(trigrams([sentence[::step]]))).sum()
                for model, step in zip(models, (1, -1), strict=True)
            ]
            for sentence in sentences
        ]
    )


def pairs_right(scores: Floats, pairs: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return the numbers of pairs, of those right forward and of those right in both directions together, by paradigm.

    `scores` has the log-probabilities of the good and the bad sentence of every pair, shape ``(N, 2, 2)``.
    """
    forward = scores[:, 0, 0] > scores[:, 1, 0]
    both = scores[:, 0].sum(axis=1) > scores[:, 1].sum(axis=1)
    found: dict[str, dict[str, int]] = {}
    for pair, right, right_both in zip(pairs, forward, both, strict=True):
        for name in (pair["UID"], "all"):
            counts = found.setdefault(name, {"pairs": 0, "forward": 0, "both": 0})
            counts["pairs"] += 1
            counts["forward"] += int(right)
            counts["both"] += int(right_both)
    return {name: found[name] for name in [*(name for name in found if name != "all"), "all"]}


# -- command ---------------------------------------------------------------------------------------------------------


def measure(model: Path, corpus: Path | None, other: Path | None = None) -> dict[str, Any]:
    """Return all figures."""
    language_model = LanguageModel.load(model)
    words = json.loads((HERE / "senses.json").read_text(encoding="utf-8"))
    figures: dict[str, Any] = {"senses": sense_accuracies(language_model.elmo, words)}
    next_words = {name: json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")) for name in NEXT_WORDS}
    for name, pairs in next_words.items():
        wrong = [pair for pair in pairs if not ranks_right(language_model, pair)]
        figures[name] = {"pairs": len(pairs), "right": len(pairs) - len(wrong), "wrong": wrong}
    lines = (HERE / "minimal_pairs.jsonl").read_text(encoding="utf-8").splitlines()
    minimal = [json.loads(line) for line in lines]
    sentences = [sentence_tokens(pair[which]) for pair in minimal for which in ("sentence_good", "sentence_bad")]
    scores = [
        (found.forward.sum() + found.end, found.backward.sum() + found.start)
        for found in language_model.log_probs(sentences)
    ]
    figures["minimal pairs"] = {"model": pairs_right(np.reshape(scores, (-1, 2, 2)), minimal)}
    if corpus is None:
        return figures

    train = read_sentences(corpus / "train.txt")
    frequency = Counter(token for sentence in train for token in sentence)
    for name, pairs in next_words.items():
        figures[name]["right by frequency"] = sum(frequency[p["likely"]] > frequency[p["unlikely"]] for p in pairs)
    row = {word: i for i, word in enumerate(language_model.vocabulary)}
    train_rows = [rows_of(tokens, row) for tokens in train]
    del train
    models = fit_trigrams(train_rows, len(row))
    asked = trigram_scores(models, [rows_of(tokens, row) for tokens in sentences])
    figures["minimal pairs"]["trigram"] = pairs_right(asked.reshape(-1, 2, 2), minimal)
    other_model = LanguageModel.load(other) if other else None
    figures["held-out"] = {}
    for name in HELD_OUT:
        heldout = read_sentences(corpus / name)
        found = language_model.perplexity(heldout)
        text = {"sentences": found.n_sentences, "tokens": found.n_tokens, "unknown": found.n_unknown}
        perplexities = baselines(train_rows, [rows_of(tokens, row) for tokens in heldout], len(row), models)
        perplexities["model"] = {"forward": found.forward, "backward": found.backward}
        perplexities["model / trigram"] = {
            direction: perplexities["model"][direction] / perplexities["trigram"][direction]
            for direction in ("forward", "backward")
        }
        if other_model:
            shared = [word for word in other_model.vocabulary if word in row]
            perplexities["model, words both know"] = restricted_perplexity(language_model, heldout, shared)
            perplexities["other model, words both know"] = restricted_perplexity(other_model, heldout, shared)
        figures["held-out"][name] = text | {"perplexity": perplexities}
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print the figures as the tables of the README."""
    for file, text in figures.get("held-out", {}).items():
        share = text["unknown"] / text["tokens"]
        print(f"{file}: {text['sentences']:,} sentences, {text['tokens']:,} tokens, {share:.1%} of them <UNK>.\n")
        print("| perplexity | forward | backward |\n|---|---:|---:|")
        for name, row in text["perplexity"].items():
            digits = 2 if name == "model / trigram" else 1
            print(f"| {name} | {row['forward']:.{digits}f} | {row['backward']:.{digits}f} |")
        print()
    senses = figures["senses"]
    rows = {
        "**all**": senses["all"],
        "all, senses shuffled: standard deviation": senses["shuffled"]["deviation"],
        "all, senses shuffled: largest": senses["shuffled"]["largest"],
        **senses["words"],
    }
    print("| word | " + " | ".join(f"layer {layer}" for layer in range(len(senses["all"]))) + " |")
    print("|---|" + "---:|" * len(senses["all"]))
    for name, accuracies in rows.items():
        print(f"| {name} | " + " | ".join(f"{share:.1%}" for share in accuracies) + " |")
    for name, title in NEXT_WORDS.items():
        pairs = figures[name]
        print(f"\n{title} ranked right: {pairs['right']} of {pairs['pairs']}", end="")
        print(f"; by frequency alone: {pairs['right by frequency']}" if "right by frequency" in pairs else "")
        for pair in pairs["wrong"]:
            print(f"  wrong: {pair['context']} ... {pair['unlikely']} before {pair['likely']}")
    minimal = figures["minimal pairs"]
    columns = [(who, which) for who in minimal for which in ("forward", "both")]
    print("\n| minimal pairs right | pairs | " + " | ".join(f"{who}, {which}" for who, which in columns) + " |")
    print("|---|---:|" + "---:|" * len(columns))
    for name, counts in minimal["model"].items():
        cells = " | ".join(str(minimal[who][name][which]) for who, which in columns)
        print(f"| {name} | {counts['pairs']} | {cells} |")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the small embedded model.")
    parser.add_argument("--model", type=Path, default=HERE / "tiny", help="folder of the model's four files")
    parser.add_argument("--corpus", type=Path, help="folder with train.txt and the two held-out files")
    parser.add_argument("--other", type=Path, help="folder of a model to compare with over the words both know")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    corpus = arguments.corpus
    if corpus is None:
        if arguments.other:
            parser.error("--other needs --corpus")
        print("measure_tiny.py: no --corpus was given: perplexities are not measured", file=sys.stderr)
    elif missing := [name for name in ("train.txt", *HELD_OUT) if not (corpus / name).exists()]:
        parser.error(f"{corpus} has no {', '.join(missing)}; see weights/tiny/README.md")
    figures = measure(arguments.model, corpus, arguments.other)
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
