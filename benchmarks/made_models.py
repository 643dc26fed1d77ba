"""Models of the published sizes with random weights: speed does not depend on their values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.fixtures.recipes import PUBLISHED, SMALL, write_weights

RECIPES = {
    "original": PUBLISHED["original_size"],  # 4096/512, 374 MB
    "small": PUBLISHED["small_size"],  # 1024/128, 54 MB
    "minute": SMALL["base"],  # 24/8, for trying the benchmarks themselves
}


def write_model(folder: Path, size: str, seed: int | None = None) -> Path:
    """Write a model folder in the published layout, which every engine can load."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = RECIPES[size] if seed is None else replace(RECIPES[size], seed=seed)
    (folder / "options.json").write_text(json.dumps(recipe.options), encoding="utf-8")
    write_weights(folder / "weights.hdf5", recipe)
    return folder
