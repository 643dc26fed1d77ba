"""Files of vectors are those of h5py and NumPy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo
from numpy_elmo.corpus import (
    load_embeddings,
    write_npz,
)
from numpy_elmo.corpus.write import VectorFile
from numpy_elmo.errors import InputError, OutputError
from numpy_elmo.layers.arrays import Array

LINES = ["the point", "He said so .", "naïve 日本語", "the point"]


def numbered_vectors(n: int) -> list[Array]:
    return [np.full((k % 3 + 1, 2, 4), k, dtype=np.float32) for k in range(n)]


@pytest.mark.parametrize("compress", [False, True])
def test_numpy_reads_npz_that_is_written_one_sentence_at_a_time(tmp_path: Path, compress: bool) -> None:
    seen: list[int] = []

    def one_by_one() -> Iterator[Array]:
        for k, vectors in enumerate(numbered_vectors(12)):
            seen.append(k)
            yield vectors

    write_npz(tmp_path / "vectors.npz", one_by_one(), compress=compress)
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as arrays:
        assert arrays.files == [f"arr_{k}" for k in range(12)]
        for k, expected in enumerate(numbered_vectors(12)):
            np.testing.assert_array_equal(arrays[f"arr_{k}"], expected)
    write_npz(tmp_path / "words.npz", {"a/b": np.ones((2, 3)), "file": np.zeros((1, 3))}, compress=compress)
    with np.load(tmp_path / "words.npz") as arrays:
        assert arrays.files == ["a/b", "file"]


def test_npz_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Any]:
        yield np.ones((2, 3))
        yield ["no", "array"]

    with pytest.raises(InputError, match="arr_1 must be an array of numbers, not list"):
        write_npz(tmp_path / "vectors.npz", broken())
    with pytest.raises(InputError, match="arr_0 must be an array of numbers"):
        write_npz(tmp_path / "vectors.npz", [np.array([{}], dtype=object)])
    assert list(tmp_path.iterdir()) == []
    write_npz(tmp_path / "vectors.npz", [])
    with pytest.raises(OutputError, match="exists already"):
        write_npz(tmp_path / "vectors.npz", [])
    with load_embeddings(tmp_path / "vectors.npz") as embeddings:
        assert len(embeddings) == 0


def expected(elmo: Elmo, lines: list[str] = LINES, layers: Any = "all") -> list[Array]:
    return elmo.embed([line.split() for line in lines], layers=layers)


def test_the_datasets_are_those_of_h5py(tmp_path: Path, base: Elmo) -> None:
    arrays = expected(base)
    with VectorFile(tmp_path / "ours.hdf5") as vectors:
        for k, array in enumerate(arrays):
            vectors.write(LINES[k].split(), array)
    with h5py.File(tmp_path / "plain.hdf5", "w") as file:  # as allennlp writes
        for k, array in enumerate(arrays):
            file.create_dataset(str(k), array.shape, dtype="float32", data=array)
        text = file.create_dataset("sentence_to_index", (1,), dtype=h5py.special_dtype(vlen=str))
        text[0] = json.dumps({line: str(k) for k, line in enumerate(LINES)})
    assert (tmp_path / "ours.hdf5").read_bytes() == (tmp_path / "plain.hdf5").read_bytes()
