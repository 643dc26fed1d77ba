"""Training the small model: a function of its settings, in one run or in several.  Needs the extra ``train``."""

from __future__ import annotations

import os
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
    environment = os.environ | {"TORCH_COMPILE_DISABLE": "1"}  # compiling takes longer than the steps
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


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
    for finished in (False, False, True):
        assert run_toy(folder, "parts", settings=INTERRUPTED).returncode != 0
        assert (folder / "parts.state").exists()
        # The model is written before the last state: a run that ended between the two would never write it.
        assert (folder / "parts" / "weights.hdf5").exists() == finished
    whole, parts = weights_of(folder / "whole"), weights_of(folder / "parts")
    assert whole.keys() == parts.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values, err_msg=name)


def test_another_seed_gives_other_weights(folder: Path) -> None:
    assert run_toy(folder, "seed", "--seed", "2").returncode == 0
    assert (weights_of(folder / "seed")["char_embed"] != weights_of(folder / "whole")["char_embed"]).any()


GRADIENTS = """
import sys
import torch
from weights import train_tiny as train
train.DTYPE = torch.float32
torch.manual_seed(0)
steps, rows, d, p = 7, 3, 10, 4
shapes = [(2, steps, rows, 4 * d), (2, p, 4 * d), (2, d, p)]
leaves = [(5 * torch.randn(shape)).requires_grad_() for shape in shapes]
x, recurrent, projection = leaves
cell, h, outputs = torch.zeros(2, rows, d), torch.zeros(2, rows, p), []
n_clipped = torch.zeros(2)
for t in range(steps):
    i, j, f, o = (x[:, t] + torch.bmm(h, recurrent)).chunk(4, -1)
    cell = (i.sigmoid() * j.tanh() + f.sigmoid() * cell).clamp(-3, 3)
    h = torch.bmm(o.sigmoid() * cell.tanh(), projection).clamp(-3, 3)
    n_clipped += torch.tensor([(cell.abs() == 3).sum(), (h.abs() == 3).sum()])
    outputs.append(h)
assert (n_clipped > 5).all(), n_clipped
upstream = torch.randn(2, steps, rows, p)
expected = torch.autograd.grad(torch.stack(outputs, 1), leaves, upstream)
got = train.LstmSteps.apply(*leaves)
torch.testing.assert_close(got, torch.stack(outputs, 1), rtol=1e-5, atol=1e-5)
for a, b in zip(torch.autograd.grad(got, leaves, upstream), expected):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
"""


def test_the_gradients_written_out_are_those_of_autograd() -> None:
    done = subprocess.run([sys.executable, "-c", GRADIENTS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


COUNTS = """
import sys
from pathlib import Path
import numpy as np
from weights import train_tiny as train
train.VOCABULARY_SIZE = 6
corpus = train.Corpus(Path(sys.argv[1]), gloss_copies=train.GLOSS_COPIES)
print(sum(len(rows) for rows in corpus.batches(np.random.default_rng(0))), *corpus.vocabulary)
"""


def test_lines_without_final_punctuation_are_read_four_times(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("a b .\nc b .\nb d d\n", encoding="utf-8")
    command = [sys.executable, "-c", COUNTS, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["6", "<S>", "</S>", "<UNK>", "d", "b", "."]


def test_the_written_weights_are_an_average_with_earlier_ones(folder: Path) -> None:
    found = []
    for name, share in (("last", "0"), ("earlier", "1"), ("average", "1 / 3")):
        # Steps so large that the two differ by more than float16 rounds.
        settings = f"train.LEARNING_RATE, train.WARM_UP_STEPS, train.EARLIER_SHARE = 0.1, 1, {share}"
        assert run_toy(folder, name, settings=settings).returncode == 0
        found.append({name: values.astype(np.float64) for name, values in weights_of(folder / name).items()})
    last, earlier, average = found
    for name, values in average.items():
        expected = last[name] * 2 / 3 + earlier[name] / 3
        rounding = 1e-3 * max(1, np.abs(expected).max())  # of float16, in the average and in the two
        assert np.abs(last[name] - earlier[name]).max() > 10 * rounding, name
        np.testing.assert_allclose(values, expected, rtol=0, atol=rounding, err_msg=name)


def test_the_weights_are_float16_and_load(folder: Path) -> None:
    assert {values.dtype for values in weights_of(folder / "whole").values()} == {np.dtype("float16")}
    model = LanguageModel.load(folder / "whole")
    assert len(model.vocabulary) == 20
    assert np.isfinite(model.perplexity([["au", "bv"]]).average)
