"""Flipped bytes in the headers of HDF5 files, in processes whose memory is measured and limited."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo, LanguageModel
from numpy_elmo.errors import WeightsError
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.faults.limits import ROOT, needs_limits
from tests.faults.test_models import ONE_LAYER, WHOLE, load_bytes

MIB = 1 << 20
N_QUICK, N_SLOW = 300, 24_000  # files in all

# Opens damaged files of one kind after the other: SEED COUNT FOLDER KIND.  Prints what came of them.
CHILD = """
import random, resource, sys
from collections import Counter
from pathlib import Path
import h5py, numpy as np
from numpy_elmo import LanguageModel, load
from numpy_elmo.errors import ElmoError
from numpy_elmo.corpus.resume import model_digest

seed, count, folder, kind = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
whole = (folder / f"{kind}.hdf5").read_bytes()
headers = np.load(folder / f"{kind}.npy").tolist()
options, model = folder / "options.json", Path(sys.argv[5])

def use(path):
    if kind == "softmax":
        return LanguageModel.load(model, softmax=path, vocabulary=model / "vocab.txt")
    return model_digest(load(path, options=options))

use(folder / f"{kind}.hdf5")
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = used()
resource.setrlimit(resource.RLIMIT_AS, (before + (2 << 30), resource.RLIM_INFINITY))
chance, outcomes = random.Random(seed), Counter()
path = folder / f"{kind}-{seed}.hdf5"
for _ in range(count):
    damaged = bytearray(whole)
    flips = [(chance.choice(headers), chance.randrange(1, 256)) for _ in range(chance.randrange(1, 4))]
    for place, mask in flips:
        damaged[place] ^= mask
    path.write_bytes(damaged)
    print("next", flips, file=sys.stderr, flush=True)
    try:
        use(path)
        outcomes["read"] += 1
    except ElmoError:
        outcomes["refused"] += 1
    if used() - before > 256 << 20:
        sys.exit(f"{used() - before:,} bytes")
print(outcomes["read"], outcomes["refused"])
"""


def headers_of(path: Path) -> list[int]:
    """Positions of a file that hold no values: its headers."""
    whole = np.fromfile(path, np.uint8)
    headers = whole > 0

    def strike_out(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and (start := item.id.get_offset()) is not None:
            headers[start : start + item.nbytes] = False

    with h5py.File(path) as file:
        file.visititems(strike_out)
    return np.flatnonzero(headers).tolist()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each kind, with the places of its headers."""
    folder = tmp_path_factory.mktemp("flips")
    (folder / "options.json").write_bytes((ONE_LAYER / "options.json").read_bytes())
    (folder / "weights.hdf5").write_bytes(WHOLE)
    (folder / "softmax.hdf5").write_bytes((FIXTURES / "language_model" / "softmax_weights.hdf5").read_bytes())
    with h5py.File(folder / "weights.hdf5") as source, h5py.File(folder / "packed.hdf5", "w") as packed:

        def copy(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                packed.create_dataset(name, data=item[()], compression="gzip", shuffle=True, chunks=True)

        source.visititems(copy)
    for kind in ("weights", "softmax", "packed"):
        np.save(folder / f"{kind}.npy", headers_of(folder / f"{kind}.hdf5"))
    return folder


def check_flips(files: Path, kind: str, seed: int, count: int) -> None:
    arguments = [str(seed), str(count), str(files), kind, str(FIXTURES / "language_model")]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], check=False, capture_output=True, text=True, cwd=ROOT, timeout=1200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    read, refused = map(int, done.stdout.split())
    assert read + refused == count
    assert refused > count // 10, "flips that nothing notices test nothing"


@needs_limits
@pytest.mark.parametrize("kind", ["weights", pytest.param("softmax", marks=pytest.mark.slow), "packed"])
def test_flipped_headers_take_no_memory(files: Path, kind: str) -> None:
    check_flips(files, kind, seed=0, count=N_QUICK // 3)


@needs_limits
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("kind", ["weights", "softmax", "packed"])
def test_many_flipped_headers_take_no_memory(files: Path, kind: str, seed: int) -> None:
    check_flips(files, kind, seed, N_SLOW // 12)


def test_a_circle_in_a_heap_is_refused() -> None:
    damaged = bytearray(WHOLE)
    for place, mask in ((64304, 33), (48249, 233), (11620, 238)):  # took 23.8 GB
        damaged[place] ^= mask
    found = load_bytes(bytes(damaged))
    assert isinstance(found, WeightsError)
    assert "form a circle" in str(found)


def copy_as(libver: object, source: Path, target: Path) -> None:
    with h5py.File(source) as old, h5py.File(target, "w", libver=libver) as new:

        def copy(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                new.create_dataset(name, data=item[()])

        old.visititems(copy)


@pytest.mark.parametrize("libver", ["latest", ("v108", "v110")])
def test_newer_layouts_load_or_are_refused_by_name(tmp_path: Path, libver: object) -> None:
    model = FIXTURES / "language_model"
    copy_as(libver, model / "softmax_weights.hdf5", tmp_path / "softmax.hdf5")  # up to eight links in a group
    LanguageModel.load(model, softmax=tmp_path / "softmax.hdf5", vocabulary=model / "vocab.txt")
    copy_as(libver, ONE_LAYER / "weights.hdf5", tmp_path / "weights.hdf5")
    found = load_bytes((tmp_path / "weights.hdf5").read_bytes())
    assert isinstance(found, WeightsError)
    assert "/CNN: its links are in a fractal heap; copy its datasets to a new file" in str(found)
    copy_as(None, tmp_path / "weights.hdf5", tmp_path / "copied.hdf5")
    assert isinstance(load_bytes((tmp_path / "copied.hdf5").read_bytes()), Elmo)


def test_one_door_opens_hdf5_files_for_reading() -> None:
    """No other module may open one past the checks; writers open their own new files."""
    # The run opens the file that it laid out itself.
    writers = {"corpus/resume.py", "files/writing.py", "files/hdf5.py"}
    for path in sorted((ROOT / "numpy_elmo").rglob("*.py")):
        if path.relative_to(ROOT / "numpy_elmo").as_posix() not in writers:
            assert "h5py.File(" not in path.read_text(encoding="utf-8"), path
