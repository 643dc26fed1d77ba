"""``numpy-elmo info``: the sizes and options of a model."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from math import prod

from numpy_elmo.cli.common import SubParsers
from numpy_elmo.elmo import load
from numpy_elmo.files.find import find_model
from numpy_elmo.files.weights import expected_shapes
from numpy_elmo.layers.scalar_mix import ScalarMix


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "info",
        help="print the sizes and options of a model",
        description="Print a model's sizes and options, after checking that its weights fit them and are finite.",
    )
    parser.add_argument("model", metavar="MODEL", help="name, folder, archive or weight file")
    parser.add_argument("--options-file", metavar="FILE", help="options of a model given as a weight file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the model's description."""
    files = find_model(arguments.model, arguments.options_file)
    mixes = load(files).mixes
    cnn, lstm = files.options.char_cnn, files.options.lstm
    n_parameters = sum(map(prod, expected_shapes(files.options).values()))
    if arguments.json:
        learned = {
            name: {"weights": mix.weights.tolist(), "gamma": mix.gamma, "layer_norm": mix.layer_norm}
            for name, mix in mixes.items()
        }
        facts = {"weights": files.name, "parameters": n_parameters, **asdict(files.options), "mixes": learned}
        print(json.dumps(facts, indent=2))
        return 0
    filters = ", ".join(f"{count} of width {width}" for width, count in cnn.filters)
    clips = f"cells {_clip(lstm.cell_clip)}, outputs {_clip(lstm.proj_clip)}"
    rows = [
        ("weights", files.name),
        ("parameters", f"{n_parameters:,}"),
        ("layers", f"{lstm.n_layers + 1}: tokens and {lstm.n_layers} LSTM layers in each direction"),
        (
            "features",
            f"{2 * lstm.projection_dim} per layer: {lstm.projection_dim} forward, {lstm.projection_dim} backward",
        ),
        ("LSTM", f"{lstm.dim} cells, skip connections {'on' if lstm.use_skip_connections else 'off'}"),
        ("clips", clips),
        ("characters", f"{cnn.max_characters_per_token} per token, vectors of {cnn.embedding_dim}"),
        ("filters", f"{cnn.n_filters}: {filters}; {cnn.activation}"),
        ("highways", str(cnn.n_highway)),
        *(("mix", _mix(name, mix)) for name, mix in mixes.items()),
        *([("assumed", files.assumed)] if files.assumed else []),
        ("checks", "the weights fit the options, and all values are finite"),
    ]
    for name, value in rows:
        print(f"{name:<11} {value}")
    return 0


def _mix(name: str, mix: ScalarMix) -> str:
    layer_norm = ", with layer norm" if mix.layer_norm else ""
    return f"{name}, stored with the model: weights {mix.weights.tolist()}, scale {mix.gamma:g}{layer_norm}"


def _clip(bound: float | None) -> str:
    return "not clipped" if bound is None else f"to ±{bound:g}"
