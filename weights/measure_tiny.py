"""Measure the small model of ``weights/tiny``: every figure in its README comes from here.

    python weights/measure_tiny.py --corpus CORPUS_DIR

``CORPUS_DIR`` holds ``train.txt`` and ``heldout.txt``, one tokenised sentence a line, as for ``train_tiny.py``.

* **Perplexity** of the held-out sentences, forward and backward, over the model's whole vocabulary.  Words outside it
  are ``<UNK>``.  The forward direction predicts every token and ``</S>``, the backward one every token and ``<S>``.
  The baselines are trained on ``train.txt`` and predict the same positions over the same vocabulary: a unigram model
  (relative frequencies), and a trigram model with interpolated modified Kneser-Ney smoothing.
* **Senses**: the sentences of ``senses.json`` use every word in two senses.  A sentence is right if the nearest other
  sentence of its word, by the cosine of the word's vectors, has the same sense.
* **Cloze pairs**: ``cloze.json`` holds beginnings of sentences with a likely and an unlikely next word.  A pair is
  right if the likely word has the larger forward probability.

Without ``--corpus``, only what needs no corpus is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo import Elmo, LanguageModel
from numpy_elmo.files.vocabulary import UNKNOWN
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START

HERE = Path(__file__).parent
N_SHUFFLES = 1000

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.floating]


# -- text ------------------------------------------------------------------------------------------------------------


def read_sentences(path: Path) -> list[list[str]]:
    """Return the tokenised sentences of a file, without the empty ones."""
    with path.open(encoding="utf-8") as file:
        return [tokens for line in file if (tokens := line.split())]


def rows_of(tokens: list[str], row: dict[str, int]) -> list[int]:
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
        # ngrams is sorted and has no duplicates, so the n-grams of one context stand together.
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
    unigrams all words are alike.

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


def baselines(train: list[list[int]], heldout: list[list[int]], n_words: int) -> dict[str, dict[str, float]]:
    """Return the held-out perplexities of the unigram and trigram models, forward and backward."""
    figures: dict[str, dict[str, float]] = {"unigram": {}, "trigram": {}}
    for direction, step in (("forward", 1), ("backward", -1)):
        seen = trigrams([sentence[::step] for sentence in train])
        asked = trigrams([sentence[::step] for sentence in heldout])
        frequencies = unigram_probabilities(seen[:, 2], n_words)
        figures["unigram"][direction] = perplexity(np.log(frequencies[asked[:, 2]]))
        model = TrigramModel(seen, n_words, start=train[0][::step][0])
        figures["trigram"][direction] = perplexity(np.log(model.probabilities(asked)))
    return figures


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


def accuracy(neighbours: Floats, senses: Ints) -> float:
    """Return the expected share of vectors whose nearest neighbour has the same sense."""
    same = senses[:, np.newaxis] == senses
    return float((neighbours * same).sum(axis=1).mean())


def sense_accuracies(elmo: Elmo, words: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """Return the accuracy at every layer, for every word and over all sentences.

    Returns
    -------
    dict
        ``"words"`` has the accuracies at layers 0 to L of every word, ``"all"`` those over all sentences, and
        ``"shuffled"`` the standard deviation and the largest of the latter when the sentences of every word are given
        their senses at random, `N_SHUFFLES` times.
    """
    rng = np.random.default_rng(0)
    by_word: dict[str, Floats] = {}
    shuffled, n_sentences = [], []
    for word, by_sense in words.items():
        labelled = [(sense, line.split()) for sense, lines in enumerate(by_sense.values()) for line in lines]
        arrays = elmo.embed([tokens for _, tokens in labelled])
        found = np.stack([array[:, tokens.index(word)] for array, (_, tokens) in zip(arrays, labelled, strict=True)])
        neighbours = [nearest_neighbours(found[:, layer]) for layer in range(elmo.n_layers + 1)]
        senses = np.array([sense for sense, _ in labelled])
        by_word[word] = np.array([accuracy(n, senses) for n in neighbours])
        orders = [rng.permutation(senses) for _ in range(N_SHUFFLES)]
        shuffled.append([[accuracy(n, order) for n in neighbours] for order in orders])
        n_sentences.append(len(labelled))
    at_random = np.average(shuffled, axis=0, weights=n_sentences)  # [N_SHUFFLES, L + 1]
    return {
        "all": np.average(list(by_word.values()), axis=0, weights=n_sentences).tolist(),
        "words": {word: accuracies.tolist() for word, accuracies in by_word.items()},
        "shuffled": {"deviation": at_random.std(axis=0).tolist(), "largest": at_random.max(axis=0).tolist()},
    }


def ranks_right(model: LanguageModel, pair: dict[str, str]) -> bool:
    """Say whether the likely word of a cloze pair has the larger probability."""
    likely, unlikely = pair["likely"], pair["unlikely"]
    scores = dict(model.next_words(pair["context"].split(), vocabulary=[likely, unlikely]))
    return scores[likely] > scores[unlikely]


# -- command ---------------------------------------------------------------------------------------------------------


def measure(model: Path, corpus: Path | None) -> dict[str, Any]:
    """Return all figures."""
    language_model = LanguageModel.load(model)
    words = json.loads((HERE / "senses.json").read_text(encoding="utf-8"))
    pairs = json.loads((HERE / "cloze.json").read_text(encoding="utf-8"))

    wrong = [pair for pair in pairs if not ranks_right(language_model, pair)]
    figures: dict[str, Any] = {
        "senses": sense_accuracies(language_model.elmo, words),
        "cloze": {"pairs": len(pairs), "right": len(pairs) - len(wrong), "wrong": wrong},
    }
    if corpus is not None:
        train, heldout = read_sentences(corpus / "train.txt"), read_sentences(corpus / "heldout.txt")
        frequency = Counter(token for sentence in train for token in sentence)
        figures["cloze"]["right by frequency"] = sum(frequency[p["likely"]] > frequency[p["unlikely"]] for p in pairs)
        row = {word: i for i, word in enumerate(language_model.vocabulary)}
        train_rows, heldout_rows = ([rows_of(tokens, row) for tokens in text] for text in (train, heldout))
        found = language_model.perplexity(heldout)
        figures["held-out"] = {
            "sentences": found.n_sentences,
            "tokens": found.n_tokens,
            "unknown": found.n_unknown,
        }
        figures["perplexity"] = baselines(train_rows, heldout_rows, len(row))
        figures["perplexity"]["model"] = {"forward": found.forward, "backward": found.backward}
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print the figures as the tables of the README."""
    if "perplexity" in figures:
        text = figures["held-out"]
        share = text["unknown"] / text["tokens"]
        print(f"Held out: {text['sentences']:,} sentences, {text['tokens']:,} tokens, {share:.1%} of them <UNK>.\n")
        print("| perplexity | forward | backward |\n|---|---:|---:|")
        for name in ("unigram", "trigram", "model"):
            row = figures["perplexity"][name]
            print(f"| {name} | {row['forward']:.1f} | {row['backward']:.1f} |")
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
    cloze = figures["cloze"]
    print(f"\nCloze pairs ranked right: {cloze['right']} of {cloze['pairs']}", end="")
    print(f"; by frequency alone: {cloze['right by frequency']}" if "right by frequency" in cloze else "")
    for pair in cloze["wrong"]:
        print(f"  wrong: {pair['context']} ... {pair['unlikely']} before {pair['likely']}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the small embedded model.")
    parser.add_argument("--model", type=Path, default=HERE / "tiny", help="folder of the model's four files")
    parser.add_argument("--corpus", type=Path, help="folder with train.txt and heldout.txt")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    corpus = arguments.corpus
    if corpus is None or not (corpus / "train.txt").exists() or not (corpus / "heldout.txt").exists():
        place = "no --corpus was given" if corpus is None else f"{corpus} has no train.txt and heldout.txt"
        print(f"measure_tiny.py: {place}: perplexities are not measured", file=sys.stderr)
        corpus = None
    figures = measure(arguments.model, corpus)
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
