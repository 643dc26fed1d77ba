"""The pictures of the gallery, and of senses; `make_pictures.py` writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from numpy_elmo import Elmo, LanguageModel
from numpy_elmo.analysis import plots
from numpy_elmo.analysis.plots import COLOURS, THEMES, Theme
from numpy_elmo.analysis.spans import target_vectors
from numpy_elmo.corpus import read_sentences
from numpy_elmo.layers.arrays import Array

SENSES = Path(__file__).parent.parent / "weights" / "senses.json"
CHANGE = Path(__file__).parent / "examples" / "change"
GARDEN_PATH = ["While", "the", "man", "hunted", "the", "deer", "ran", "into", "the", "woods", "."]
COMMA = 4  # where the control has one
CHANGED, SAME = ("mouse", "cloud", "stream"), ("bread", "horse", "winter")
N_SHUFFLES = 1000


def pictures(model: LanguageModel, theme: Theme) -> dict[str, Figure]:
    """Return the pictures by name."""
    return {
        "senses": senses(model.elmo, "bank", theme),
        "gallery-senses": senses(model.elmo, "ring", theme),
        "gallery-change": change(model.elmo, theme),
        "gallery-surprisal": surprisal(model, theme),
    }


def senses(elmo: Elmo, word: str, theme: Theme) -> Figure:
    """Draw a word of ``senses.json``."""
    by_sense = json.loads(SENSES.read_text(encoding="utf-8"))[word]
    labelled = [(sense, text.split()) for sense, texts in by_sense.items() for text in texts]
    return plots.senses(
        elmo, word, [tokens for _, tokens in labelled], groups=[sense for sense, _ in labelled], theme=theme
    )


def change(elmo: Elmo, theme: Theme) -> Figure:
    """Draw how far the mean vector of each word moves from one corpus to the other, and where chance would end."""
    rng = np.random.default_rng(0)
    corpora = [list(read_sentences(CHANGE / name)) for name in ("old.txt", "new.txt")]
    vectors = [elmo.embed(corpus, layers="top") for corpus in corpora]
    words = (*CHANGED, *SAME)
    distances, by_chance = [], []
    for word in words:
        old, new = (target_vectors(*pair, word) for pair in zip(corpora, vectors, strict=True))  # [n, features] each
        distances.append(distance(old, new))
        both = np.concatenate([old, new])
        shuffled = [rng.permutation(both) for _ in range(N_SHUFFLES)]
        by_chance.append(np.quantile([distance(rows[: len(old)], rows[len(old) :]) for rows in shuffled], 0.95))
    figure = plots._figure(7.0, 3.2, theme)
    axes = figure.subplots()
    first, second = COLOURS[theme][:2]
    y = np.arange(len(words))
    n = len(CHANGED)
    axes.barh(y[:n], distances[:n], color=first, label="new meaning")
    axes.barh(y[n:], distances[n:], color=second, label="same meaning")
    marks = {"markersize": 22, "markeredgewidth": 2, "color": THEMES[theme][1]}
    axes.plot(by_chance, y, "|", **marks, label="95 of 100 shuffles\nstay below")
    axes.set_yticks(y, words)
    axes.invert_yaxis()
    axes.set_xlabel("1 − cosine of the mean vectors in both corpora")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), labelspacing=1)
    return plots._painted(figure, theme)


def distance(old: Array, new: Array) -> float:
    """Return 1 less the cosine of the means of two sets of vectors."""
    x, y = old.mean(axis=0), new.mean(axis=0)
    return float(1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def surprisal(model: LanguageModel, theme: Theme) -> Figure:
    """Draw the surprisal of each word of a garden path with and without its comma."""
    control = [*GARDEN_PATH[:COMMA], ",", *GARDEN_PATH[COMMA:]]
    without, with_comma = model.surprisal([GARDEN_PATH, control])
    n = len(GARDEN_PATH)
    figure = plots._figure(7.0, 3.2, theme)
    axes = figure.subplots()
    axes.plot(without.surprisal[:n], "o-", color=COLOURS[theme][0], label="without a comma")
    axes.plot(np.delete(with_comma.surprisal, COMMA)[:n], "s--", color=COLOURS[theme][1], label="with “hunted ,”")
    axes.set_xticks(range(n), GARDEN_PATH)
    axes.set_ylabel("surprisal in bits")
    axes.legend(frameon=False, loc="lower left")
    return plots._painted(figure, theme)
