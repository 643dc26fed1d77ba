"""The one reader of HDF5 files, and platforms that lack what it uses."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from numpy_elmo.errors import WeightsError
from numpy_elmo.files import hdf5
from numpy_elmo.files.hdf5 import open_arrays, open_checked
from tests.faults.test_models import WHOLE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "arrays.hdf5"
    with h5py.File(path, "w") as file:
        file["group/W"] = np.arange(12, dtype=np.float64).reshape(4, 3)
        file["group/bad"] = np.array([1.0, np.nan])
        file.create_dataset("packed", data=np.ones((100, 100), np.float32), compression="gzip", chunks=(10, 100))
    return path


def test_an_array_is_read_whole_or_in_rows(file: Path) -> None:
    with open_arrays(file, "its name") as arrays:
        assert arrays.shape("group/W") == (4, 3)
        assert arrays.dtype("group/W") == np.float64
        W = arrays.read("group/W", "float32")
        assert W.dtype == np.float32
        assert not W.flags.writeable
        np.testing.assert_array_equal(np.concatenate(list(arrays.rows("group/W", 3, "float32"))), W)
        assert [len(rows) for rows in arrays.rows("group/W", 3, "float32")] == [3, 1]
        for read in (lambda: arrays.read("group/bad", "float32"), lambda: list(arrays.rows("group/bad", 1, "float32"))):
            with pytest.raises(WeightsError, match="its name: group/bad holds 1 values that are not finite"):
                read()
        assert "group" in arrays
        assert "group/W" in arrays
        assert "other" not in arrays
        assert arrays.problem("group") == "a group"


def test_a_link_is_not_followed(file: Path) -> None:
    with h5py.File(file, "a") as opened:
        opened["soft"] = h5py.SoftLink("/group/W")
        opened["external"] = h5py.ExternalLink(str(file), "group/W")
    with open_arrays(file, "its name") as arrays:
        for name in ("soft", "external"):
            assert name not in arrays
            assert "a link to" in str(arrays.problem(name))


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n", WHOLE[:-1]])
def test_what_is_no_hdf5_is_an_oserror_at_the_door(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(OSError, match=r"HDF5|truncated|table"):
            open_checked(source)


# -- platforms -------------------------------------------------------------------------------------------------------


def test_an_hdf5_without_chunk_iter_reads_packed_weights(file: Path) -> None:
    class Old:
        """What h5py has with an HDF5 before 1.12.3."""

        def __init__(self, dataset: h5py.h5d.DatasetID) -> None:
            self._dataset = dataset

        def __getattr__(self, name: str) -> object:
            if name == "chunk_iter":
                raise AttributeError(name)
            return getattr(self._dataset, name)

    with open_checked(file) as opened:
        packed = opened["packed"]
        old = SimpleNamespace(id=Old(packed.id), file=opened)
        assert not hasattr(old.id, "chunk_iter")
        assert sorted(hdf5._chunks(old)) == sorted(hdf5._chunks(packed))
        assert len(hdf5._chunks(old)) == 10
        assert not hdf5._inflates_beyond(old, 4000)
        assert hdf5._inflates_beyond(old, 3999)


@pytest.mark.parametrize(
    "missing",
    [
        "import h5py, h5py._objects\ndel h5py._objects.phil\n",  # a private name of h5py
        "import sys\nsys.modules['lzma'] = sys.modules['_lzma'] = None\n",  # a Python built without liblzma
        "import os, random\ndel os.register_at_fork\n",  # Windows, where random does not ask for it
    ],
)
def test_the_package_works_without_what_a_platform_lacks(missing: str, tmp_path: Path) -> None:
    script = (
        f"{missing}"
        "import zipfile\n"
        "from numpy_elmo import load\n"
        "from numpy_elmo.errors import WeightsError\n"
        "assert load('tiny').embed([['a']])[0].shape == (3, 1, 256)\n"
        "open('x.zip', 'wb').write(b'PK')\n"
        "with zipfile.ZipFile('x.zip', 'w') as archive: archive.writestr('model.hdf5', b'?')\n"
        "try:\n"
        "    load('x.zip')\n"
        "except Exception as error:\n"
        "    print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "ModelNotFoundError\n"
