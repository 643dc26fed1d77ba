"""The structure of an HDF5 file is checked before HDF5 reads it."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np

from numpy_elmo.files.hdf5_structure import check_structure


def test_a_file_of_many_sentences_is_checked_in_little_time_and_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "many.hdf5", "w") as file:
        for k in range(5000):
            file[str(k)] = np.zeros((1, 2), np.float32)
    reads = 0

    class Counted(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal reads
            reads += 1
            return super().read(size) or b""

    with Counted(tmp_path / "many.hdf5") as counted:
        check_structure(counted)
    assert reads < 5000 * 4
