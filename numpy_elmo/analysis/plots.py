"""Pictures of a model at work: senses, similarities, gates and next words.

Every function returns a ``matplotlib.figure.Figure`` of its own and touches none of matplotlib's global state; `save`
writes one.  Colours are told apart by those who see them differently too: the scales are cividis, and purple to orange
where numbers have a sign; groups have the colours of Okabe and Ito, and a mark of their own each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.analysis import views
from numpy_elmo.analysis.spans import occurrences
from numpy_elmo.analysis.views import Direction, context, principal_plane
from numpy_elmo.analysis.words import without_unknown
from numpy_elmo.elmo import Elmo
from numpy_elmo.errors import InputError, MissingExtraError
from numpy_elmo.files.places import to_path
from numpy_elmo.files.writing import new_file, output_errors
from numpy_elmo.language_model import LanguageModel
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.characters import SENTENCE_END, SENTENCE_START
from numpy_elmo.network.checks import check_sentences, check_tokens

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text
except ImportError as error:
    raise MissingExtraError("pictures need matplotlib: pip install 'numpy_elmo[plot]'") from error

__all__ = ["gates", "next_words", "save", "senses", "similarity", "trace_array"]

Theme: TypeAlias = Literal["light", "dark"]

# Behind, text and lines, faint lines.
THEMES = {"light": ("#ffffff", "#1c2128", "#d0d7de"), "dark": ("#1f2129", "#e6e8eb", "#494d57")}
# Okabe and Ito's colours, the blue that stands out from the background first, and marks for those who see none.
COLOURS = {
    "light": ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"],
    "dark": ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2"],
}
MARKS = "os^DvP"
SIGNED, UNSIGNED = "PuOr_r", "cividis"
# More sentences than this cannot be labelled without covering each other; then so many are.
MAX_LABELS = 40
MANY_LABELS = 24


def senses(
    elmo: Elmo,
    word: str,
    sentences: Iterable[Iterable[str]],
    *,
    layer: int = -1,
    groups: Sequence[str] | None = None,
    theme: Theme = "light",
) -> Figure:
    """Draw the vectors of one word in many sentences, in the plane in which they differ most.

    The plane is that of the first two principal components: of the centred vectors :math:`X = U S V^T`, the first two
    columns of :math:`U S`.

    Parameters
    ----------
    elmo : Elmo
        The model.
    word : str
        The token, spelled as in the sentences, case included.
    sentences : iterable of list of str
        Tokenised sentences; those without the word are left out, and every occurrence is a point.
    layer : int
        The layer to take the vectors from; the last one by default.
    groups : sequence of str, optional
        One name a sentence, such as its sense; every group has a colour and a mark.
    theme : {"light", "dark"}
        The background.

    Returns
    -------
    Figure
        With one point per occurrence, numbers beside them, and their sentences.  Of more than 40 occurrences, 24 that
        are far from each other have numbers and sentences, and the others are faint.

    Raises
    ------
    InputError
        If the word occurs less than three times, the layer has the same vector everywhere (as layer 0 has, which knows
        no context), there is no such layer, or the groups are not one a sentence.
    InputTypeError
        If the sentences are not lists of tokens.
    """
    texts = check_sentences(sentences)
    if groups is not None and len(groups) != len(texts):
        raise InputError(f"there are {len(texts)} sentences and {len(groups)} groups; give one group a sentence")
    found = list(occurrences(texts, word))
    if len(found) < 3:
        raise InputError(
            f"a picture needs at least 3 occurrences of {word!r}, and found {len(found)}; words are found as they are "
            "spelled, case included"
        )
    used = sorted({index for index, _ in found})
    vectors = dict(zip(used, elmo.embed([texts[index] for index in used], layers=layer), strict=True))
    rows = np.stack([vectors[index][position] for index, position in found])  # [n, 2 P]
    plane = principal_plane(rows)
    points, shares = plane.project(rows), plane.shares
    labelled = np.arange(len(found)) if len(found) <= MAX_LABELS else _far_apart(points, MANY_LABELS)

    figure = _figure(8.2, max(4.4, 1.2 + 0.22 * len(labelled)), theme)
    axes, key = figure.subplots(1, 2, width_ratios=[5, 6])
    group_of = [groups[index] if groups is not None else "" for index, _ in found]
    colours = dict(zip(dict.fromkeys(group_of), cycle(COLOURS[theme]), strict=False))
    for (group, colour), mark in zip(colours.items(), cycle(MARKS), strict=False):
        is_here = np.array([other == group for other in group_of])
        is_strong = np.isin(np.arange(len(found)), labelled)
        edge = THEMES[theme][0]  # parts marks that cover each other
        faint, strong = points[is_here & ~is_strong], points[is_here & is_strong]
        if len(faint):
            axes.scatter(faint[:, 0], faint[:, 1], s=30, color=colour, marker=mark, alpha=0.3, linewidths=0, zorder=2)
        axes.scatter(
            strong[:, 0], strong[:, 1], s=80, color=colour, marker=mark, edgecolors=edge, label=_plain(group), zorder=3
        )
    if groups is not None:
        axes.legend(loc="best", frameon=False)
    axes.set_title(f"“{_plain(word)}” in {len(found)} places, layer {layer % (elmo.n_layers + 1)}")
    axes.set_xlabel(f"first principal component ({shares[0]:.0%} of the variance)")
    axes.set_ylabel(f"second principal component ({shares[1]:.0%})")
    axes.margins(0.12)
    _number(figure, axes, points[labelled], theme)
    contexts = [_context(texts[found[k][0]], found[k][1]) for k in labelled]
    _list_sentences(key, contexts, [colours[group_of[k]] for k in labelled])
    return _painted(figure, theme)


def similarity(elmo: Elmo, tokens: Iterable[str], *, theme: Theme = "light") -> Figure:
    r"""Draw how alike the tokens of a sentence are, layer by layer.

    A square is the cosine of two tokens' vectors, :math:`u \cdot v / (\|u\| \, \|v\|)`.

    Parameters
    ----------
    elmo : Elmo
        The model.
    tokens : iterable of str
        The sentence; at least one token.
    theme : {"light", "dark"}
        The background.

    Returns
    -------
    Figure
        One heat map a layer, all of one scale.

    Raises
    ------
    InputError
        If there is no token.
    InputTypeError
        If the sentence is a string instead of a list of tokens.
    """
    sentence = check_tokens(tokens)
    if not sentence:
        raise InputError("the sentence has no tokens; give at least one")
    cosines = views.similarities(elmo.embed([sentence])[0])  # [L + 1, N, N]
    size = max(2.6, 0.3 * len(sentence))
    figure = _figure(len(cosines) * size + 2.4, size + 1.6, theme)
    lowest = min(0.0, float(cosines.min()))
    panels = np.atleast_1d(figure.subplots(1, len(cosines), sharey=True))
    for number, (axes, array) in enumerate(zip(panels, cosines, strict=True)):
        image = axes.imshow(array, cmap=UNSIGNED, vmin=lowest, vmax=1)
        axes.set_title(f"layer {number}" + (" (tokens)" if number == 0 else ""))
        _token_ticks(axes, sentence)
        axes.set_xlabel("token")
        axes.set_yticks(range(len(sentence)), [_plain(token) for token in sentence])
    panels[0].set_ylabel("token")
    figure.colorbar(image, ax=panels, label="cosine", shrink=0.8)
    figure.suptitle("How alike the vectors of two tokens are")
    return _painted(figure, theme)


def gates(
    elmo: Elmo,
    tokens: Iterable[str],
    *,
    direction: Direction = "forward",
    layer: int = 1,
    n_units: int = 24,
    theme: Theme = "light",
) -> Figure:
    """Draw what an LSTM's gates and cell do as the sentence goes by.

    Parameters
    ----------
    elmo : Elmo
        The model.
    tokens : iterable of str
        The sentence; its boundaries are added.
    direction : {"forward", "backward"}
        The stack.
    layer : int
        The layer, counted as in `Elmo.embed`: 1 is the first LSTM layer.  Layer 0, the tokens, has no gates.
    n_units : int
        Cells to show: those whose value varies most over the sentence, in their order.
    theme : {"light", "dark"}
        The background.

    Returns
    -------
    Figure
        Heat maps of the input, forget and output gate and of the cell; a column a token, a row a unit.

    Raises
    ------
    InputError
        If there is no such direction or layer, or `n_units` is not positive.
    InputTypeError
        If the sentence is a string instead of a list of tokens.
    """
    sentence = check_tokens(tokens)
    found = views.gate_values(elmo.trace(sentence), direction=direction, layer=layer, n_units=n_units)
    number = layer % (elmo.n_layers + 1)
    bounded = [SENTENCE_START, *sentence, SENTENCE_END]
    height = 0.85 + 0.16 * len(found.units)
    figure = _figure(max(7.5, 1.2 + 0.66 * len(bounded)), 2 * height + 1.6, theme)
    panels = figure.subplots(2, 2, sharex=True, sharey=True).flat
    for axes, (name, array) in zip(panels, found.values.items(), strict=True):
        low, high = _bounds(array) if name == "cell" else (0, 1)
        image = _heat_map(axes, array.T, low, high)
        axes.set_title(name.replace("_", " "))
        _token_ticks(axes, bounded)
        axes.set_yticks(range(len(found.units)), [str(unit) for unit in found.units], fontsize=9)
        axes.label_outer()
        figure.colorbar(image, ax=axes)
    figure.supxlabel(f"token, read {'from left to right' if direction == 'forward' else 'from right to left'}")
    figure.supylabel("unit")
    figure.suptitle(
        f"{direction.capitalize()} LSTM, layer {number}: the {len(found.units)} units whose cell varies most"
    )
    return _painted(figure, theme)


def next_words(
    model: LanguageModel, tokens: Iterable[str], k: int = 10, *, unknown: bool = False, theme: Theme = "light"
) -> Figure:
    """Draw the likeliest words after the beginning of a sentence.

    Parameters
    ----------
    model : LanguageModel
        The model with its softmax.
    tokens : iterable of str
        The tokens so far; none for the first word of a sentence.
    k : int
        Words to show.
    unknown : bool
        Whether to show ``<UNK>``, all words outside the vocabulary, where it is among them.
    theme : {"light", "dark"}
        The background.

    Returns
    -------
    Figure
        A bar a word, the likeliest on top; its length is the probability.

    Raises
    ------
    InputError
        If k is not positive.
    InputTypeError
        If `tokens` is a string, or a token is not one.
    """
    text = check_tokens(tokens)
    words = without_unknown(lambda n: model.next_words(text, n), k, show=unknown)
    probabilities = np.exp([log_prob for _, log_prob in words])
    figure = _figure(7.0, 1.3 + 0.32 * len(words), theme)
    axes = figure.subplots()
    bars = axes.barh(range(len(words)), probabilities, color=COLOURS[theme][0])
    axes.bar_label(bars, [f"{p:.1%}" for p in probabilities], padding=4)
    axes.set_yticks(range(len(words)), [_plain(word) for word, _ in words])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * float(probabilities.max()))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    axes.set_xlabel("probability")
    axes.set_ylabel("next word")
    axes.set_title(f"What comes after “{_plain(_shortened(' '.join(text)))}”" if text else "How sentences begin")
    return _painted(figure, theme)


def trace_array(
    trace: dict[str, npt.NDArray[Any]], tokens: Iterable[str], name: str, *, theme: Theme = "light"
) -> Figure:
    """Draw one array of a trace: a row a token, a column a feature.

    Parameters
    ----------
    trace : dict of str to ndarray
        What `Elmo.trace` returned.
    tokens : iterable of str
        The sentence that it was given.
    name : str
        One of its arrays of two dimensions, such as ``"token_vectors"``.
    theme : {"light", "dark"}
        The background.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If there is no such array, it has more dimensions, or it belongs to another sentence.
    """
    sentence = check_tokens(tokens)
    bounded = [SENTENCE_START, *sentence, SENTENCE_END]
    if name not in trace:
        raise InputError(f"there is no array {name!r} in the trace; it has {', '.join(trace)}")
    array = trace[name]
    if array.ndim != 2 or len(array) != len(bounded):
        raise InputError(
            f"{name} has the shape {array.shape}, where ({len(bounded)}, features) belongs: a row for each of these "
            "tokens and the two boundaries"
        )
    figure = _figure(9.0, 1.5 + 0.27 * len(bounded), theme)
    axes = figure.subplots()
    image = _heat_map(axes, array, *_bounds(array))
    axes.set_yticks(range(len(bounded)), [_plain(token) for token in bounded])
    axes.set_ylabel("token")
    axes.set_xlabel("position in the token" if name == "character_ids" else "feature")
    axes.set_title(f"{name}: {array.shape[0]} × {array.shape[1]}")
    figure.colorbar(image, ax=axes)
    return _painted(figure, theme)


def save(figure: Figure, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a picture.

    Parameters
    ----------
    figure : Figure
        The picture.
    path : str or path
        A name that ends in ``.png`` or ``.svg``.
    overwrite : bool
        Whether a file of this name may be replaced.

    Raises
    ------
    InputError
        If the name ends otherwise.
    OutputError
        If the file is there already or cannot be written; nothing is left half-written.
    """
    kind = to_path(path, "a picture must be given by its path").suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise InputError(
            f"{os.fspath(path)}: pictures are written as PNG or SVG; give a name that ends in .png or .svg"
        )
    # The same picture gives the same bytes: no date, and names inside an SVG that do not change.
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    settings: dict[Any, Any] = {"svg.hashsalt": "numpy_elmo", "svg.fonttype": "path"}
    with new_file(path, overwrite=overwrite) as partial, output_errors(path), rc_context(settings):
        figure.savefig(partial, format=kind, dpi=150, metadata=metadata)


def _far_apart(points: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.intp]:
    """Return n of the points, in order: the one furthest from the middle, then always the furthest from those."""
    distances = np.linalg.norm(points - points.mean(axis=0), axis=1)
    chosen: list[int] = []
    for _ in range(n):
        chosen.append(int(distances.argmax()))
        to_it = np.linalg.norm(points - points[chosen[-1]], axis=1)
        distances = to_it if len(chosen) == 1 else np.minimum(distances, to_it)
    return np.sort(chosen)


def _number(figure: Figure, axes: Axes, points: npt.NDArray[np.float64], theme: Theme) -> None:
    """Write the points' numbers beside them, each where it is furthest from what stands there already."""
    figure.draw_without_rendering()  # lays out the axes, so that distances on the paper are known
    scale = 72 / figure.dpi
    places = axes.transData.transform(points) * scale  # [n, 2], in points of 1/72 inch
    angles = np.deg2rad(np.arange(0, 360, 30))
    offsets = np.concatenate([r * np.stack([np.cos(angles), np.sin(angles)], axis=1) for r in (12, 20, 28)])  # [36, 2]
    taken = places
    for number, (point, place) in enumerate(zip(points, places, strict=True), start=1):
        candidates = place + offsets
        distances = np.linalg.norm(candidates[:, None] - taken, axis=-1).min(axis=1)  # [36]
        # Near is good enough where nothing is closer than the height of the text.
        best = int(np.argmax(np.minimum(distances, 11.0)))
        taken = np.concatenate([taken, candidates[best : best + 1]])
        axes.annotate(
            str(number),
            point,
            xytext=tuple(offsets[best]),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": THEMES[theme][2], "shrinkA": 5, "shrinkB": 3}
            if best >= 12
            else None,
        )


def _list_sentences(axes: Axes, texts: list[str], colours: list[str]) -> None:
    axes.set_axis_off()
    axes.set_ylim(len(texts), -1)
    axes.set_xlim(0, 1)
    for number, (text, colour) in enumerate(zip(texts, colours, strict=True)):
        axes.plot(0.01, number, "s", color=colour, markersize=5, clip_on=False)
        axes.text(0.07, number, str(number + 1), ha="right", va="center", fontsize=9)
        axes.text(0.09, number, _plain(text), ha="left", va="center", fontsize=9)


def _context(tokens: list[str], position: int) -> str:
    """Return a token between its neighbours, in one line of the list."""
    before, after = context(tokens, position)
    return " ".join(part for part in (before, _shortened(tokens[position], 58), after) if part)


def _figure(width: float, height: float, theme: Theme) -> Figure:
    if theme not in THEMES:
        raise InputError(f'theme must be "light" or "dark", not {theme!r}')
    return Figure(figsize=(width, height), layout="constrained", facecolor=THEMES[theme][0])


def _painted(figure: Figure, theme: Theme) -> Figure:
    """Return the finished figure with its text and lines in the colours of the theme."""
    behind, ink, faint = THEMES[theme]
    for axes in figure.axes:
        axes.set_facecolor(behind)
        axes.tick_params(colors=ink)
        for spine in axes.spines.values():
            spine.set_edgecolor(faint)
    for text in figure.findobj(Text):
        text.set_color(ink)
    return figure


def _bounds(array: Array) -> tuple[float, float]:
    """Return the ends of a scale: from zero, or with zero in the middle if there are numbers below it."""
    bound = float(np.abs(array).max()) or 1.0
    return (-bound if (array < 0).any() else 0.0), bound


def _heat_map(axes: Axes, array: Array, low: float, high: float) -> AxesImage:
    return axes.imshow(
        array, aspect="auto", interpolation="nearest", cmap=SIGNED if low < 0 else UNSIGNED, vmin=low, vmax=high
    )


def _token_ticks(axes: Axes, tokens: list[str]) -> None:
    axes.set_xticks(range(len(tokens)), [_plain(token) for token in tokens], rotation=90 if len(tokens) > 4 else 0)


def _plain(text: str) -> str:
    """Return text that matplotlib shows as it is, dollar signs included, which would else begin an equation."""
    return text.replace("$", r"\$")


def _shortened(text: str, width: int = 48) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
