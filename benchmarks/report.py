"""``python -m benchmarks report RESULTS``: the results as Markdown, alone or inserted into a page between two marks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
LABELS = {
    "numpy_elmo": "numpy_elmo",
    "tensorflow": "simple_elmo on TensorFlow",
    "torch": "AllenNLP's module on torch",
}
Figures = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("results", type=Path, metavar="RESULTS", help="output of 'run'")
    parser.add_argument("--into", type=Path, metavar="PAGE", help=f"insert the tables there between {BEGIN} and {END}")


def main(arguments: argparse.Namespace) -> None:
    """Print the tables, or insert them into a page."""
    text = render(json.loads(arguments.results.read_text(encoding="utf-8")))
    if arguments.into:
        page = arguments.into.read_text(encoding="utf-8")
        arguments.into.write_text(insert(page, text), encoding="utf-8")
    else:
        sys.stdout.write(text)


def insert(page: str, text: str) -> str:
    """Return the page with the text between its marks replaced."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"the page needs the two lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def render(results: Figures) -> str:
    """Return all tables of the results."""
    sections: dict[str, Callable[[Figures], list[str]]] = {
        "throughput": partial(_throughput, "Throughput"),
        "avx2": partial(_throughput, "Throughput with OpenBLAS's AVX2 kernels"),
        "busy": partial(_throughput, "Beside a program that keeps one core busy"),
        "reproducible": _reproducible,
        "growth": _growth,
        "limits": _limits,
        "costs": _costs,
        "startup": _startup,
        "install": _install,
    }
    blocks = _circumstances(results)
    for name, section in sections.items():
        if name in results:
            blocks += section(results[name])
    return "\n\n".join(blocks) + "\n"


def _circumstances(results: Figures) -> list[str]:
    found, text = results["circumstances"], results["circumstances"]["text"]
    variables = "".join(f", {name}={value}" for name, value in found["variables"].items())
    return [
        f"Model {found['dim']}/{found['projection_dim']} on {found['processor']} ({found['cpus']} CPUs), "
        f"{found['system']}, Python {found['python']}, OpenBLAS with its {found['kernels']} kernels{variables}; "
        f"{text['sentences']} sentences of `{text['name']}`, {text['tokens']:,} tokens, {text['mean_tokens']:.1f} per "
        f"sentence, {text['distinct_tokens']:.0%} of them distinct; {results['date']}."
    ]


def _throughput(heading: str, figures: Figures) -> list[str]:
    versions = (
        f"{label(name)} ({', '.join(f'{package} {number}' for package, number in packages.items())})"
        for name, packages in figures["engines"].items()
    )
    ours, *others = figures["engines"]
    speed = [
        [name, f"{case['sentences']}", *(f"{case['tokens_per_second'][e]:,.0f}" for e in (ours, *others))]
        for name, case in figures["cases"].items()
    ]
    blocks = [
        f"### {heading}",
        f"{'; '.join(versions)}.  Tokens per second, medians of {figures['rounds']} rounds.",
        table(["", "sentences", *map(label, (ours, *others))], speed),
    ]
    if not others:
        return blocks
    ratios = [[name, *(spread(case["times_faster"][e]) for e in others)] for name, case in figures["cases"].items()]
    differences = [
        [name, *(f"{max(case['max_abs_difference'][e].values()):.1e}" for e in others)]
        for name, case in figures["cases"].items()
    ]
    return [
        *blocks,
        "How many times faster numpy_elmo is, round by round: median (smallest to largest).",
        table(["", *map(label, others)], ratios),
        "Largest difference of any number of the vectors in the same run.",
        table(["", *map(label, others)], differences),
    ]


def _reproducible(figures: Figures) -> list[str]:
    _, other = figures["engines"]
    rows = [[name, spread(case["times_faster"][other])] for name, case in figures["cases"].items()]
    return [
        "### The same bits in any batch",
        f"Time of `reproducible=True` relative to `False`, medians of {figures['rounds']} rounds.",
        table(["", "relative time"], rows),
    ]


def _growth(figures: Figures) -> list[str]:
    rows = [
        [
            f"{int(size):,}",
            f"{run['tokens']:,}",
            f"{run['types']:,}",
            f"{run['tokens'] / run['seconds']:,.0f}",
            "unknown" if run["peak_bytes"] is None else f"{run['peak_bytes'] / 1e6:,.0f}",
        ]
        for size, run in figures.items()
    ]
    return [
        "### Growth",
        "The embedded model, `tiny`, over made sentences, in a fresh process per line.",
        table(["sentences", "tokens", "types", "tokens per second", "peak memory, MB"], rows),
    ]


def _limits(figures: Figures) -> list[str]:
    rows = [
        [
            str(row["rows"]),
            f"{row['gflops']['median']:.0f}",
            share(row["of_sgemm"]),
            f"{row['gigabytes_per_second']['median']:.1f}",
            share(row["of_bandwidth"]),
        ]
        for row in figures["rows"]
    ]
    return [
        "### LSTM layers and the machine's limits",
        f"`sgemm` of 2048 x 2048: {figures['sgemm_gflops']['median']:.0f} GFLOP/s ({figures['blas']}); reading memory: "
        f"{figures['bandwidth_gigabytes']['median']:.1f} GB/s.  Sentences of {figures['steps']} positions.",
        table(["sentences at once", "GFLOP/s", "of `sgemm`", "GB/s of weights", "of reading"], rows),
    ]


def _costs(figures: Figures) -> list[str]:
    names = {
        "sentence_length": "tokens per sentence, 32 sentences at once",
        "batch_size": "sentences at once, sorted by length",
        "corpus_size": "sentences in the corpus",
        "threads": "threads",
    }
    blocks = ["### Cost of a token"]
    for key, name in names.items():
        points = figures[key]
        blocks.append(
            table(
                [name, *(str(point["n"]) for point in points)],
                [["ms per token", *(f"{point['milliseconds_per_token']:.2f}" for point in points)]],
            )
        )
    return blocks


def _startup(figures: Figures) -> list[str]:
    engines = figures["engines"]
    weights = figures["weights_bytes"]
    seconds = {
        "import, beyond NumPy": "import_seconds",
        "load": "load_seconds",
        "first sentence": "first_sentence_seconds",
        "new process to first vector": "process_to_first_vector_seconds",
    }
    memory = {
        "imported": "peak_bytes_imported",
        "loaded": "peak_bytes_loaded",
        "after a corpus": "peak_bytes_embedded",
    }
    return [
        "### Start",
        f"Seconds.  Plain reading of the file ({weights / 1e6:,.0f} MB) takes {figures['read_seconds']:.2f}.",
        table(
            ["", *map(label, engines)], [[n, *(f"{engines[e][k]:.2f}" for e in engines)] for n, k in seconds.items()]
        ),
        "### Peak memory",
        "MB of the whole process, and how many times the weights that is.",
        table(
            ["", *map(label, engines)],
            [[name, *(_memory(engines[e][key], weights) for e in engines)] for name, key in memory.items()],
        ),
    ]


def _install(figures: Figures) -> list[str]:
    rows = [
        [label(name), f"{sum(packages.values()) / 1e6:,.0f}", str(len(packages)), f"{_largest(packages)}"]
        for name, packages in figures.items()
    ]
    return ["### Installed size", table(["", "MB", "packages", "largest"], rows)]


def _largest(packages: dict[str, int]) -> str:
    first = sorted(packages, key=lambda name: -packages[name])[:2]
    return ", ".join(f"{name} {packages[name] / 1e6:,.0f}" for name in first)


def _memory(peak: int | None, weights: int) -> str:
    return "unknown" if peak is None else f"{peak / 1e6:,.0f} ({peak / weights:.2f})"


def label(name: str) -> str:
    """Return the name of an engine in tables and plots."""
    return LABELS.get(name, f"numpy_elmo, {name}")


def spread(values: dict[str, float]) -> str:
    """Write a median with its range."""
    return f"{values['median']:.2f} ({values['min']:.2f} to {values['max']:.2f})"


def share(values: dict[str, float]) -> str:
    """Write a share with its range."""
    return f"{values['median']:.0%} ({values['min']:.0%} to {values['max']:.0%})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
