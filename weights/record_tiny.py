"""Write down what ``numpy-elmo verify tiny`` compares with: the files' checksums, and numbers that TensorFlow gave.

    python weights/record_tiny.py

It reads the model and its fixture (``tests/fixtures/tiny``), and writes ``weights/tiny/record.json``.  Run it after the
model has been trained anew and its fixture made anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
MODEL, FIXTURE = HERE / "tiny", HERE.parent / "tests" / "fixtures" / "tiny"
FILES = {
    "options": "options.json",
    "weights": "weights.hdf5",
    "softmax": "softmax_weights.hdf5",
    "vocabulary": "vocab.txt",
}
SEQUENCE = "stateful"  # of the fixture
COMPONENTS = (0, 1, 2, 3, -4, -3, -2, -1)


def described(role: str, name: str) -> dict[str, Any]:
    """Return what is known of a file."""
    data = (MODEL / name).read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    return {"role": role, "file_name": name, "addresses": [], "size": len(data), "sha256": sha256}


def record() -> str:
    """Return the record."""
    sentences = json.loads((FIXTURE / "sentences.json").read_text(encoding="utf-8"))
    files = [described(role, name) for role, name in FILES.items()]
    if sentences["weights"]["sha256"] != files[1]["sha256"]:
        raise SystemExit("the fixture was made with other weights: run tests/fixtures/make_fixtures.py first")
    calls = sentences["sequences"][SEQUENCE]
    with np.load(FIXTURE / "expected.npz") as arrays:
        made = [
            [arrays[f"{SEQUENCE}/{call}/{row}"] for row in range(len(batch))] for call, batch in enumerate(calls)
        ]  # [layers, tokens, features] each
    measures = []
    for layer in range(len(made[0][0])):
        last = made[-1][0][layer, -1]
        measures += [
            {
                "name": f"last token of the first sentence, layer {layer}",
                "kind": "components",
                "layer": layer,
                "expected": [float(last[component]) for component in COMPONENTS],
                "tolerance": 1e-5,
                "tokens": [[len(calls) - 1, 0, len(calls[-1][0]) - 1]],
                "components": COMPONENTS,
            },
            {
                "name": f"sum of all values, layer {layer}",
                "kind": "sums",
                "layer": layer,
                "expected": [float(sum(sentence[layer].astype(float).sum() for sentence in call)) for call in made],
                "tolerance": 1e-2,
            },
        ]
    tensorflow = sentences["made_with"]["tensorflow"]
    made_record = {
        "name": "tiny",
        "description": "comes with numpy_elmo",
        "language": "English",
        "sizes": {},
        "files": files,
        "runs": [
            {
                "name": f"TensorFlow {tensorflow}",
                "source": "tests/fixtures/tiny, made by tests/fixtures/make_fixtures.py",
                "calls": [[" ".join(sentence) for sentence in call] for call in calls],
                "measures": measures,
            }
        ],
    }
    return json.dumps(made_record, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    (MODEL / "record.json").write_text(record(), encoding="utf-8")
