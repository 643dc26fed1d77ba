"""Folders and zips: what is found in them, and what is not followed."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from numpy_elmo import load
from numpy_elmo.errors import InputError, ModelNotFoundError, WeightsError
from tests.files.test_find import vectors


def test_damaged_zips_are_refused(model_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(model_folder / "options.json", "options.json")
    with pytest.raises(ModelNotFoundError, match="holds no weight file"):
        load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(model_folder / "weights.hdf5", "model.hdf5")
    with pytest.raises(ModelNotFoundError, match=r"holds no options file \(options\.json"):
        load(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(model_folder / "options.json", "options.json")
    load(path)
    data = bytearray(path.read_bytes())
    data[3000:3100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"damaged zip.*fetch it again"):
        load(path)


def hub_cache(folder: Path, root: Path) -> Path:
    """Lay a model's files out as huggingface_hub does."""
    snapshot = root / "models--someone--elmo" / "snapshots" / "0123abc"
    blobs = root / "models--someone--elmo" / "blobs"
    for path in (snapshot, blobs):
        path.mkdir(parents=True)
    for name in ("options.json", "weights.hdf5"):
        shutil.copy(folder / name, blobs / f"hash-of-{name}")
        (snapshot / name).symlink_to(Path("..") / ".." / "blobs" / f"hash-of-{name}")
    return snapshot


def test_a_snapshot_of_hugging_face_loads(model_folder: Path, tmp_path: Path) -> None:
    snapshot = hub_cache(model_folder, tmp_path / "hub")
    np.testing.assert_array_equal(vectors(snapshot), vectors(model_folder))
    # The whole cache may be somewhere else, behind a link.
    (tmp_path / "link").symlink_to(tmp_path / "hub")
    np.testing.assert_array_equal(
        vectors(tmp_path / "link" / snapshot.relative_to(tmp_path / "hub")), vectors(model_folder)
    )


def test_a_snapshot_may_not_link_anywhere_else(model_folder: Path, tmp_path: Path) -> None:
    snapshot = hub_cache(model_folder, tmp_path / "hub")
    other = hub_cache(model_folder, tmp_path / "other").parents[1] / "blobs" / "hash-of-weights.hdf5"
    for target in (model_folder / "weights.hdf5", other, Path("..") / ".." / "blobs" / ".." / ".." / "x"):
        (snapshot / "weights.hdf5").unlink()
        (snapshot / "weights.hdf5").symlink_to(target)
        with pytest.raises(InputError, match="a link out of its folder"):
            load(snapshot)
