"""Weights in safetensors: the library writes them under the published names, and what it refuses is one error."""

from __future__ import annotations

import json
import shutil
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import safetensors.numpy

from numpy_elmo import Elmo, LanguageModel, load
from numpy_elmo.analysis.convert import convert
from numpy_elmo.errors import InputError, MissingExtraError, ModelNotFoundError, WeightsError
from tests.agreement.tensorflow_outputs import FIXTURES

SOURCE = FIXTURES / "language_model"
SENTENCES = [["Where", "have", "you"], ["Yes"]]


def same_vectors(found: Elmo, expected: Elmo) -> None:
    for a, b in zip(found.embed(SENTENCES), expected.embed(SENTENCES), strict=True):
        np.testing.assert_array_equal(a, b)


def arrays(dtype: str = "f4") -> dict[str, Any]:
    """The model and its softmax."""
    found: dict[str, Any] = {}

    def add(path: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[path] = item[()].astype(dtype)

    for name in ("weights.hdf5", "softmax_weights.hdf5"):
        with h5py.File(SOURCE / name) as file:
            file.visititems(add)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    for name in ("options.json", "vocab.txt"):
        shutil.copy(SOURCE / name, path)
    safetensors.numpy.save_file(arrays(), path / "model.safetensors")
    return path


def test_the_published_names_are_read(folder: Path, tmp_path: Path) -> None:
    same_vectors(load(folder), load(SOURCE))
    same_vectors(load(folder / "model.safetensors", options=SOURCE / "options.json"), load(SOURCE))
    assert LanguageModel.load(folder).perplexity(SENTENCES) == LanguageModel.load(SOURCE).perplexity(SENTENCES)
    assert convert(folder, tmp_path / "new").difference == 0
    (folder / "config.json").write_text("{}")  # as Hugging Face keeps one beside any model
    same_vectors(load(folder), load(SOURCE))


def test_other_precisions_are_converted(folder: Path) -> None:
    safetensors.numpy.save_file(arrays("f8"), folder / "model.safetensors")
    same_vectors(load(folder), load(SOURCE))
    halves = arrays("f2")
    safetensors.numpy.save_file(halves, folder / "model.safetensors")
    found = load(folder)
    singles = {name: values.astype("f4") for name, values in halves.items()}
    safetensors.numpy.save_file(singles, folder / "m.safetensors")
    same_vectors(found, load(folder / "m.safetensors", options=folder / "options.json"))


def test_what_is_not_read_says_why(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="give its options file too"):
        load(folder / "model.safetensors")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    with pytest.raises(WeightsError, match="unpack the zip"):
        load(tmp_path / "model.zip")
    header = json.dumps({"char_embed": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(WeightsError, match="'char_embed' is stored as BF16; store it as F32"):
        load(folder)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'numpy_elmo\[safetensors\]'"):
        load(folder)
    (folder / "options.json").unlink()
    with pytest.raises(ModelNotFoundError, match="holds no options file"):
        load(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelNotFoundError, match="transformers library"):
        load(folder)


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b'{"x":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}',
        b'{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"y":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}',
        b'{"x":{"dtype":"F32","shape":[4],"data_offsets":[1099511627776,1099511627792]}}',
        b'{"x":{"dtype":"F99","shape":[4],"data_offsets":[0,16]}}',
        b'{"x":{"dtype":"F32","shape":[99999999999,99999999999],"data_offsets":[0,16]}}',
    ],
)
def test_hostile_headers_are_refused(folder: Path, header: bytes) -> None:
    for size in (len(header), 1 << 40):
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", size) + header + bytes(24))
        with pytest.raises(WeightsError, match="no safetensors file, or a damaged one"):
            load(folder)
