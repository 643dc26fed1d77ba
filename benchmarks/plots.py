"""``python -m benchmarks plot RESULTS FOLDER``: the figures as SVG and PNG, for light and for dark pages."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Figures, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, distinct for every kind of colour vision; vermilion, blue and orange contrast with both white
# and black.
COLOURS = ("#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7")
HATCHES = ("", "//", "..", "\\\\", "xx")
THEMES = {"light": ("#ffffff", "#222222", "#dddddd"), "dark": ("#0d1117", "#e6edf3", "#333b45")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("results", type=Path, metavar="RESULTS", help="output of 'run'")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder for the plots")


def main(arguments: argparse.Namespace) -> None:
    """Draw all plots of the results."""
    results = json.loads(arguments.results.read_text(encoding="utf-8"))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for path in draw(results, arguments.folder):
        print(path)


def draw(results: Figures, folder: Path) -> list[Path]:
    """Write every plot in both themes and formats; return the files."""
    plots: dict[str, tuple[str, Callable[[Axes, Any], None]]] = {
        "throughput": ("throughput", _throughput),
        "lstm": ("limits", _limits),
        "growth": ("growth", _growth),
        "sentence_length": ("costs", _sentence_length),
        "batch_size": ("costs", _batch_size),
    }
    return [
        path
        for name, (part, plot) in plots.items()
        if part in results
        for theme in THEMES
        for path in _draw(plot, results[part], folder / f"{name}-{theme}", theme)
    ]


def _draw(plot: Callable[[Axes, Any], None], figures: Any, path: Path, theme: str) -> list[Path]:
    import matplotlib.pyplot as plt  # noqa: PLC0415 - an optional dependency

    with _style(theme):
        figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
        plot(axes, figures)
        files = [path.with_suffix(suffix) for suffix in (".svg", ".png")]
        for file in files:
            figure.savefig(file, dpi=150)
        plt.close(figure)
    return files


@contextmanager
def _style(theme: str) -> Iterator[None]:
    import matplotlib as mpl  # noqa: PLC0415 - an optional dependency

    ground, ink, grid = THEMES[theme]
    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "hatch.color")
    settings: dict[str, Any] = dict.fromkeys(inks, ink) | {
        "backend": "agg",
        "figure.facecolor": ground,
        "axes.facecolor": ground,
        "savefig.facecolor": ground,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.ymargin": 0.1,  # the highest point is drawn whole
        "grid.color": grid,
        "legend.frameon": False,
        "font.size": 11,
        "svg.hashsalt": "numpy_elmo",
    }
    with mpl.rc_context(settings):
        yield


def _throughput(axes: Axes, figures: Any) -> None:
    names, cases = list(figures["engines"]), list(figures["cases"].values())
    width = 0.8 / len(names)
    for k, name in enumerate(names):
        axes.bar(
            [i + (k - (len(names) - 1) / 2) * width for i in range(len(cases))],
            [case["tokens_per_second"][name] for case in cases],
            width,
            label=label(name),
            color=COLOURS[k % len(COLOURS)],
            hatch=HATCHES[k % len(HATCHES)],
        )
    shown = [textwrap.fill(name, 12) for name in figures["cases"]]
    axes.set_xticks(range(len(cases)), shown)
    axes.set_ylabel("tokens per second")
    axes.set_title("Throughput: more is better")
    axes.legend()


def _limits(axes: Axes, figures: Any) -> None:
    rows = [row["rows"] for row in figures["rows"]]
    limit = figures["sgemm_gflops"]["median"]
    axes.axhline(limit, color=COLOURS[1], linestyle="--")
    axes.annotate("sgemm of 2048 x 2048", (rows[0], limit), (0, 5), textcoords="offset points")
    _lines(axes, rows, {"LSTM layers": [row["gflops"]["median"] for row in figures["rows"]]})
    axes.set_ylim(bottom=0, top=1.12 * max(limit, *(row["gflops"]["median"] for row in figures["rows"])))
    axes.set_xlabel("sentences at once")
    axes.set_ylabel("GFLOP/s")
    axes.set_title("LSTM layers beside the machine's large matrix product")


def _growth(axes: Axes, figures: Any) -> None:
    sizes = [int(size) for size in figures]
    axes.plot(sizes, [run["peak_bytes"] / 1e6 for run in figures.values()], marker="o", color=COLOURS[0])
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("sentences in the corpus")
    axes.set_ylabel("peak memory of the process, MB")
    axes.set_title("Memory against the size of the corpus, with the embedded model")


def _sentence_length(axes: Axes, figures: Any) -> None:
    _cost(axes, figures["sentence_length"], "tokens per sentence", "Cost against the length of sentences, 32 at once")


def _batch_size(axes: Axes, figures: Any) -> None:
    _cost(axes, figures["batch_size"], "sentences at once", "Cost against the size of batches, sorted by length")


def _cost(axes: Axes, points: Any, horizontal: str, title: str) -> None:
    _lines(axes, [p["n"] for p in points], {"numpy_elmo": [p["milliseconds_per_token"] for p in points]})
    axes.set_ylim(bottom=0)
    axes.set_xlabel(horizontal)
    axes.set_ylabel("milliseconds per token")
    axes.set_title(title)


def _lines(axes: Axes, xs: list[int], series: dict[str, list[float]]) -> None:
    for (name, ys), colour in zip(series.items(), COLOURS, strict=False):
        axes.plot(xs, ys, marker="o", color=colour, label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(xs, [str(x) for x in xs])
    axes.minorticks_off()
