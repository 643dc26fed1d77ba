"""Reading the fixtures: what TensorFlow gave for which sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from numpy_elmo import Elmo
from numpy_elmo.layers.arrays import Array

FIXTURES = Path(__file__).parents[1] / "fixtures"


@dataclass(frozen=True)
class Case:
    """One fixture: sequences of batches, and TensorFlow's vectors for every row of every batch."""

    folder: Path
    sequences: dict[str, list[list[list[str]]]]
    expected: dict[str, Array]

    def rows(self, sequence: str) -> Iterator[Array]:
        """TensorFlow's vectors of a sequence, batch after batch, row after row."""
        for b, batch in enumerate(self.sequences[sequence]):
            for r in range(len(batch)):
                yield self.expected[f"{sequence}/{b}/{r}"]


def read_case(name: str) -> Case:
    """Read a fixture."""
    folder = FIXTURES / name
    sequences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))["sequences"]
    with np.load(folder / "expected.npz") as arrays:
        return Case(folder, sequences, dict(arrays))


def run_sequence(elmo: Elmo, batches: list[list[list[str]]]) -> list[Array]:
    """Embed batches as TensorFlow did: from zeros, with the state carried from batch to batch."""
    elmo.reset_state()
    return [vectors for batch in batches for vectors in elmo.embed(batch, state="carry")]


def differences(elmo: Elmo, case: Case) -> Iterator[tuple[str, Array]]:
    """Yield each sequence's name and the differences of all its values from TensorFlow's."""
    for sequence, batches in case.sequences.items():
        ours = run_sequence(elmo, batches)
        theirs = list(case.rows(sequence))
        assert [a.shape for a in ours] == [a.shape for a in theirs]
        yield sequence, np.concatenate([(a - b).ravel() for a, b in zip(ours, theirs, strict=True)])
