"""Weights as safetensors files with the names of the published datasets, read by the library safetensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from numpy_elmo.errors import MissingExtraError, WeightsError
from numpy_elmo.files.arrays import Stored, Tensor, TensorFile
from numpy_elmo.files.places import Folder, Place

DTYPES = {"F16": "f2", "F32": "f4", "F64": "f8"}


@contextmanager
def open_safetensors(place: Place, file_name: str) -> Iterator[TensorFile]:
    """Open a safetensors file (`WeightsError`, or `MissingExtraError` without the library)."""
    try:
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise MissingExtraError(
            "safetensors files need their library: pip install 'numpy_elmo[safetensors]'"
        ) from error
    name = place.label(file_name)
    if not isinstance(place, Folder):
        raise WeightsError(f"{name} is in a zip, where its library cannot read it; unpack the zip and give the folder")
    with place.open_binary(file_name) as file:  # checks that it is a readable regular file
        n_bytes = file.seek(0, 2)
    try:
        with safe_open(place.inside(file_name), framework="np") as opened:
            yield TensorFile(name, n_bytes, {key: _tensor(opened, key, name) for key in opened.keys()})  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(f"{name} is no safetensors file, or a damaged one ({error}); fetch it again") from error


def _tensor(opened: Any, key: str, name: str) -> Tensor:
    part = opened.get_slice(key)
    stored, shape = part.get_dtype(), tuple(part.get_shape())
    if stored not in DTYPES:
        raise WeightsError(f"{name}: {key!a:.100} is stored as {stored}; store it as F32, F16 or F64")
    rows: Callable[[int, int], Stored] = lambda start, stop: part[start:stop]  # noqa: E731
    return Tensor(shape, np.dtype(DTYPES[stored]), rows if shape else lambda _, __: opened.get_tensor(key))
