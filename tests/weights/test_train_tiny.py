"""Training the small model: a function of its settings, in one run or in several.  Needs the extra ``train``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from numpy_elmo import LanguageModel

ROOT = Path(__file__).parents[2]
N_STEPS = 12
# Run in a process of its own: training forks, and its settings are constants of the module.
TOY = """
import sys
from weights import train_tiny as train
train.OPTIONS["lstm"] |= {"projection_dim": 6, "dim": 10}
train.OPTIONS["char_cnn"] |= {"filters": [[1, 4], [3, 8]], "embedding": {"dim": 4}}
train.VOCABULARY_SIZE, train.N_SAMPLES, train.TOKENS_PER_BATCH, train.CHECKPOINT_EVERY = 20, 8, 40, 5
train.FULL_SOFTMAX_FRACTION = 0.25
%s
sys.exit(train.main())
"""
INTERRUPTED = """
save = train.save_state
def save_and_stop(*arguments):
    save(*arguments)
    raise KeyboardInterrupt
train.save_state = save_and_stop
"""

pytestmark = pytest.mark.slow


def run_toy(folder: Path, name: str, *arguments: str, settings: str = "") -> subprocess.CompletedProcess[str]:
    places = ("--corpus", str(folder), "--out", str(folder / name), "--state", str(folder / f"{name}.state"))
    command = [sys.executable, "-c", TOY % settings, *places, "--steps", str(N_STEPS), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for file_name in ("weights.hdf5", "softmax_weights.hdf5"):
        with h5py.File(folder / file_name, "r") as file:
            file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy corpus, and the model ``whole`` that one run makes of it."""
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(3)
    words = np.array([f"{a}{b}" for a in "abcdef" for b in "uvwxyz"])
    lines = [" ".join(rng.choice(words, rng.integers(1, 9))) for _ in range(60)]
    (folder / "train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "heldout-modern.txt").write_text("\n".join(lines[:5]) + "\n", encoding="utf-8")
    done = run_toy(folder, "whole")
    assert done.returncode == 0, done.stderr
    assert f"step {N_STEPS}/{N_STEPS}  held-out perplexity" in done.stdout
    return folder


def test_several_runs_give_the_weights_of_one(folder: Path) -> None:
    for _ in range(2):
        assert run_toy(folder, "parts", settings=INTERRUPTED).returncode != 0
        assert (folder / "parts.state").exists()
        assert not (folder / "parts").exists()
    assert run_toy(folder, "parts").returncode == 0
    whole, parts = weights_of(folder / "whole"), weights_of(folder / "parts")
    assert whole.keys() == parts.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values, err_msg=name)


def test_another_seed_gives_other_weights(folder: Path) -> None:
    assert run_toy(folder, "seed", "--seed", "2").returncode == 0
    assert (weights_of(folder / "seed")["char_embed"] != weights_of(folder / "whole")["char_embed"]).any()


def test_the_weights_are_float16_and_load(folder: Path) -> None:
    assert {values.dtype for values in weights_of(folder / "whole").values()} == {np.dtype("float16")}
    model = LanguageModel.load(folder / "whole")
    assert len(model.vocabulary) == 20
    assert np.isfinite(model.perplexity([["au", "bv"]]).average)


def test_training_starts_from_an_earlier_model(folder: Path) -> None:
    arguments = ("--initial", str(folder / "whole"))
    assert run_toy(folder, "same", *arguments, settings="train.LEARNING_RATE = 0.0").returncode == 0
    for name, values in weights_of(folder / "whole").items():
        np.testing.assert_array_equal(weights_of(folder / "same")[name], values, err_msg=name)


def test_the_written_weights_are_an_average_with_the_earlier_ones(folder: Path) -> None:
    arguments = ("--initial", str(folder / "whole"))
    assert run_toy(folder, "trained", *arguments).returncode == 0
    assert run_toy(folder, "averaged", *arguments, "--share", "0.25").returncode == 0
    earlier, trained = weights_of(folder / "whole"), weights_of(folder / "trained")
    for name, values in weights_of(folder / "averaged").items():
        expected = 0.25 * earlier[name].astype(np.float32) + 0.75 * trained[name].astype(np.float32)
        np.testing.assert_allclose(values, expected, rtol=0, atol=2e-3 * max(1, np.abs(expected).max()), err_msg=name)
        assert not np.array_equal(values, trained[name]), name
