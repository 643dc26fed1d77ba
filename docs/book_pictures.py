"""The pictures of "ELMo, line by line"; `make_pictures.py` writes them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from numpy_elmo import Elmo
from numpy_elmo.analysis import plots
from numpy_elmo.analysis.plots import SIGNED, THEMES, Theme
from numpy_elmo.network.batching import pack

SENTENCE = ["They", "sat", "on", "the", "bank", "of", "the", "river", "."]
CHANGED = ["They", "sat", "on", "the", "edge", "of", "the", "river", "."]
BOTH_BANKS = ["The", "bank", "near", "the", "river", "bank", "lent", "money"]
BATCH = [["They", "sat", "."], ["The", "bank", "lent", "them", "money", "."], ["He", "rowed", "home", "."]]


def pictures(elmo: Elmo, theme: Theme) -> dict[str, Figure]:
    """Return the page's pictures by name."""
    gate = {"highway.0.gate": elmo.trace(SENTENCE)["highway.0.gate"][:, :64]}
    return {
        "spelling": spelling(elmo, theme),
        "windows": windows(elmo, theme),
        "highway-gate": plots.trace_array(gate, SENTENCE, "highway.0.gate", theme=theme),
        "gates": plots.gates(elmo, SENTENCE, n_units=12, theme=theme),
        "packed": packed(theme),
        "reach": reach(elmo, theme),
        "similarity": plots.similarity(elmo, BOTH_BANKS, theme=theme),
    }


def spelling(elmo: Elmo, theme: Theme, places: int = 8) -> Figure:
    """Draw the first ids of three tokens, with what they mean; letters, marks and padding in three colours."""
    tokens = ["<S>", "They", "bank"]
    ids = elmo.trace(SENTENCE)["character_ids"][[0, 1, 5], :places]
    marks = {256: "begin\nsentence", 258: "begin", 259: "end", 260: "pad"}
    figure = plots._figure(6.6, 2.7, theme)
    axes = figure.subplots()
    kinds = np.where(ids < 256, 0, np.where(ids < 260, 1, 2))
    _grid(axes, kinds, theme)
    for (row, column), number in np.ndenumerate(ids):
        axes.text(column, row - 0.12, marks.get(number, chr(number)), ha="center", va="center", fontsize=10)
        axes.text(column, row + 0.33, str(number), ha="center", va="center", fontsize=9)
    axes.set_xticks(range(places), [str(k) for k in range(places)])
    axes.set_yticks(range(len(tokens)), tokens)
    axes.set_xlabel("position in the token: the first 8 of 50")
    return plots._painted(figure, theme)


def windows(elmo: Elmo, theme: Theme, places: int = 10) -> Figure:
    """Draw what the filters of width 3 find at each place of "bank"."""
    trace = elmo.trace(SENTENCE)
    convolved = trace["char_cnn.conv_2.convolved"][5, :places]  # [places, n]
    spelled = ["⟨", *"bank", "⟩", *"·" * places]
    figure = plots._figure(6.6, 3.6, theme)
    axes = figure.subplots()
    bound = float(np.abs(convolved).max())
    image = axes.imshow(convolved, aspect="auto", interpolation="nearest", cmap=SIGNED, vmin=-bound, vmax=bound)
    best = convolved.argmax(axis=0)
    axes.plot(range(len(best)), best, "o", color="#1c2128", markersize=3)
    axes.set_yticks(range(places), [" ".join(spelled[k : k + 3]) for k in range(places)])
    axes.set_ylabel("window of 3 characters")
    axes.set_xlabel("filter; a dot is its largest value")
    figure.colorbar(image, ax=axes)
    return plots._painted(figure, theme)


def packed(theme: Theme) -> Figure:
    """Draw three sentences in the order in which the LSTM reads them together."""
    packing = pack([len(sentence) for sentence in BATCH])
    figure = plots._figure(6.6, 2.7, theme)
    axes = figure.subplots()
    steps = len(packing.batch_sizes)
    _grid(axes, np.array([[0 if row < n else 2 for n in packing.batch_sizes] for row in range(len(BATCH))]), theme)
    number = 0
    for step, n in enumerate(packing.batch_sizes):
        for row in range(n):
            axes.text(step, row - 0.12, BATCH[packing.order[row]][step], ha="center", va="center", fontsize=11)
            axes.text(step, row + 0.3, f"row {number}", ha="center", va="center", fontsize=9)
            number += 1
    axes.set_xticks(range(steps), [f"step {k}\n{n} at a time" for k, n in enumerate(packing.batch_sizes)])
    axes.set_yticks(range(len(BATCH)), [f"sentence {k}" for k in packing.order])
    return plots._painted(figure, theme)


def reach(elmo: Elmo, theme: Theme) -> Figure:
    """Draw how far each token's vector moves when the word in the middle changes, by layer and direction."""
    before, after = elmo.embed([SENTENCE, CHANGED])  # [L + 1, N, 2 P]
    halves = [np.stack(np.split(layers, 2, axis=-1), axis=1) for layers in (before, after)]  # [L + 1, 2, N, P]
    moved = np.linalg.norm(halves[0] - halves[1], axis=-1) / np.linalg.norm(halves[0], axis=-1)  # [L + 1, 2, N]
    rows = moved[1:].swapaxes(0, 1).reshape(-1, len(SENTENCE))  # forward 1, forward 2, backward 1, backward 2
    figure = plots._figure(6.6, 2.6, theme)
    axes = figure.subplots()
    image = axes.imshow(rows, aspect="auto", cmap=plots.UNSIGNED, vmin=0)
    for (row, column), value in np.ndenumerate(rows):
        text = axes.text(column, row, f"{value:.2f}" if value > 1e-5 else "0", ha="center", va="center", fontsize=10)
        text.set_gid("light" if value < 0.6 * rows.max() else "dark")
    axes.set_yticks(range(4), ["forward 1", "forward 2", "backward 1", "backward 2"])
    axes.set_xticks(
        range(len(SENTENCE)), [f"{a} →\n{b}" if a != b else a for a, b in zip(SENTENCE, CHANGED, strict=True)]
    )
    figure.colorbar(image, ax=axes, label="moved by")
    plots._painted(figure, theme)
    for text in axes.texts:
        text.set_color({"light": "#ffffff", "dark": "#1c2128"}[text.get_gid()])
    return figure


def _grid(axes: Axes, kinds: np.ndarray, theme: Theme) -> None:
    """Draw boxes of three kinds: shown, marked and empty."""
    shades = ["#bfe6da", "#c2e0f2", "#f3f5f8"] if theme == "light" else ["#12473a", "#123f5c", "#26292f"]
    rows, columns = kinds.shape
    axes.imshow(kinds, aspect="auto", cmap=ListedColormap(shades), vmin=0, vmax=2)
    axes.hlines(np.arange(rows + 1) - 0.5, -0.5, columns - 0.5, color=THEMES[theme][0], linewidth=3)
    axes.vlines(np.arange(columns + 1) - 0.5, -0.5, rows - 0.5, color=THEMES[theme][0], linewidth=3)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
