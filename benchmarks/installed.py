"""Sizes of installed packages: ``PYTHON -m benchmarks.installed NAME ...`` for the interpreter that has them."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.client import ROOT, EngineSpec

DISTRIBUTIONS = {
    "numpy_elmo": ("numpy_elmo",),
    "tensorflow": ("simple-elmo", "tensorflow", "tf_keras"),
    "torch": ("simple-elmo-pytorch", "torch"),
}
# The files of a wheel, for interpreters that run numpy_elmo from the source tree.
SOURCES = ("numpy_elmo/**/*", "weights/tiny/*", "weights/models.json")


def measure(engine: EngineSpec) -> dict[str, int]:
    """Return the bytes of an engine's distributions and all their requirements, by name."""
    command = [engine.python, "-m", "benchmarks.installed", *DISTRIBUTIONS[engine.engine]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    sizes: dict[str, int] = json.loads(done.stdout)
    return sizes


def sizes(names: list[str]) -> dict[str, int]:
    """Return the bytes of distributions and of their installed requirements, by name."""
    found: dict[str, int] = {}
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name not in names:
                continue  # a requirement for other systems
            raise
        found[name] = _size(distribution)
        for requirement in distribution.requires or ():
            wanted, _, marker = requirement.partition(";")
            if "extra" not in marker:
                todo.append(re.split(r"[^\w.-]", wanted.strip())[0])
    return found


def _size(distribution: importlib.metadata.Distribution) -> int:
    """Return the bytes of the files of a distribution, without compiled Python."""
    origin: Any = distribution.read_text("direct_url.json")
    if origin and json.loads(origin).get("dir_info", {}).get("editable"):
        paths = [path for pattern in SOURCES for path in ROOT.glob(pattern)]
    else:
        paths = [Path(str(file.locate())) for file in distribution.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc")


if __name__ == "__main__":
    print(json.dumps(sizes(sys.argv[1:])))
