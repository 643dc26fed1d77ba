"""Train a small biLM for ``weights/tiny``, and write it in the published layout, in float16.

    pip install -e ".[train]"
    python weights/train_tiny.py --corpus CORPUS_DIR

``CORPUS_DIR`` holds ``train.txt`` and ``heldout-modern.txt``, one tokenised sentence a line.  The training text is not
part of this repository.

The objective is the paper's (arXiv:1802.05365, section 3.1): every token is predicted from its left context by one
LSTM stack and from its right context by another; both stacks share the character CNN below and the softmax above.
Most of these choices keep it within hours on two CPU cores; the others make the model a little better:

* A batch holds sentences of exactly one length, so nothing is padded, and the backward direction is the forward one
  on the flipped sentence.  Every sentence starts from a zero state, as ``state="reset"`` does at inference.
* The token part runs once for each distinct word of a batch.
* The glosses of WordNet are read ``GLOSS_COPIES`` times in every pass: they are short, plain statements of what things
  are and do.
* There is no dropout: in a pass or two over the text a model of this size does not learn it by heart.
* The softmax is sampled (Jean et al. 2015, arXiv:1412.2007).  Steps over the whole vocabulary at the end take 2.5 times
  as long, and gave nothing in a trial.
* The weights of the end are averaged with those of an earlier step (Izmailov et al. 2018, arXiv:1803.05407), which told
  senses and likely words apart a little better.
* Each of ``N_WORKERS`` processes has one thread and its part of every batch.  Matrix products run in bfloat16 on
  processors that multiply it in hardware, in float32 on others.

On a virtual machine, these settings of the C library can double the speed, as the memory of a step is then kept for the
next one and mapped in large pages: ``GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4000000000``

A run is a function of the seed, the corpus, the machine and the torch build.  It saves its state every
``CHECKPOINT_EVERY`` steps; the same command resumes from there after an interruption.  The learning rate falls over
the last ``DECAY_FRACTION`` of the steps, so ``--steps`` may still change before it falls.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from numpy_elmo.network.characters import N_CHARACTERS, PADDING, SENTENCE_END, SENTENCE_START, character_ids

OPTIONS: dict[str, Any] = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 128,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 512,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 128], [6, 128]],
        "n_highway": 1,
        "embedding": {"dim": 16},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}
CELL_CLIP, PROJ_CLIP = OPTIONS["lstm"]["cell_clip"], OPTIONS["lstm"]["proj_clip"]
UNKNOWN = "<UNK>"
FINAL_PUNCTUATION = ".!?\"')}:;"  # almost every training line without one is a gloss or example of WordNet
GLOSS_COPIES = 4  # of each such line in every pass over the text
VOCABULARY_SIZE = 15_000  # softmax rows, with <S>, </S> and <UNK>
N_WORKERS = 2  # processes, each with one thread and half of every batch
TOKENS_PER_BATCH = 4096
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 100
DECAY_FRACTION = 0.5  # the last part of the run, over which the learning rate falls to zero
EARLIER = 21 / 29  # of the run, after which weights are kept: step 8,400 of 11,600
EARLIER_SHARE = 1 / 3  # of them in the weights that are written
MAX_GRADIENT_NORM = 1.0
N_SAMPLES = 1536  # softmax rows drawn per worker and batch, shared by all of its positions
CHECKPOINT_EVERY = 100
STEPS = 11_600
HAS_BFLOAT16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
DTYPE = torch.bfloat16 if HAS_BFLOAT16 else torch.float32  # of the matrix products


# -- data ------------------------------------------------------------------------------------------------------------


class Corpus:
    """Sentences as arrays of type ids, grouped by length; the character row and softmax row of every type."""

    def __init__(self, path: Path, vocabulary: list[str] | None = None, gloss_copies: int = 1) -> None:
        type_id: dict[str, int] = {SENTENCE_START: 0, SENTENCE_END: 1}
        by_length: dict[int, list[int]] = {}
        with path.open(encoding="utf-8") as file:
            for line in file:
                if tokens := line.split():
                    row = [0, *(type_id.setdefault(token, len(type_id)) for token in tokens), 1]
                    copies = 1 if tokens[-1][-1] in FINAL_PUNCTUATION else gloss_copies
                    by_length.setdefault(len(row), []).extend(row * copies)
        self.by_length = {n: np.array(ids, dtype=np.int32).reshape(-1, n) for n, ids in sorted(by_length.items())}
        types = list(type_id)
        if vocabulary is None:
            counts = sum(np.bincount(rows.ravel(), minlength=len(types)) for rows in self.by_length.values())
            ranked = sorted(range(2, len(types)), key=lambda i: (-counts[i], types[i]))
            vocabulary = [SENTENCE_START, SENTENCE_END, UNKNOWN, *(types[i] for i in ranked[: VOCABULARY_SIZE - 3])]
        self.vocabulary = vocabulary
        softmax_row = {word: i for i, word in enumerate(vocabulary)}
        self.softmax_row = torch.tensor([softmax_row.get(word, softmax_row[UNKNOWN]) for word in types])
        max_characters = OPTIONS["char_cnn"]["max_characters_per_token"]
        self.characters = torch.from_numpy(character_ids(types, max_characters))
        self.n_used = (self.characters != PADDING).sum(1)  # characters of each type, with its boundaries

    def batches(self, rng: np.random.Generator) -> list[np.ndarray]:
        """All sentences once, as ``(B, T)`` arrays of type ids, in an order drawn from ``rng``."""
        batches = []
        for rows in self.by_length.values():
            n_batches = math.ceil(rows.size / TOKENS_PER_BATCH)
            batches += np.array_split(rows[rng.permutation(len(rows))], min(n_batches, len(rows)))
        return [batches[i] for i in rng.permutation(len(batches))]


# -- model -----------------------------------------------------------------------------------------------------------


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile elementwise work into one loop where there is a C++ compiler; the LSTM then takes half the time."""
    has_headers = (Path(sysconfig.get_paths()["include"]) / "Python.h").exists()
    return torch.compile(function, dynamic=True) if shutil.which("g++") and has_headers else function


@fused
def forward_step(x: Tensor, z: Tensor, cell: Tensor, gates: Tensor, new_cell: Tensor, m: Tensor) -> None:
    """Fill ``gates`` [2, B, 4D], ``new_cell`` and ``m`` [2, B, D] from the gates' two parts and the cell."""
    i, j, f, o = (x.float() + z.float()).chunk(4, -1)
    i, j, f, o = i.sigmoid(), j.tanh(), f.sigmoid(), o.sigmoid()
    new = (i * j + f * cell).clamp(-CELL_CLIP, CELL_CLIP)
    gates.copy_(torch.cat([i, j, f, o], -1))
    new_cell.copy_(new)
    m.copy_(o * new.tanh())


@fused
def backward_step(gates: Tensor, cell: Tensor, new_cell: Tensor, d_m: Tensor, d_cell: Tensor, d_x: Tensor) -> None:
    """Fill the gates' gradient ``d_x`` [2, B, 4D] and carry the cell's gradient ``d_cell`` [2, B, D] one step back."""
    i, j, f, o = gates.chunk(4, -1)
    d_m, tanh_cell = d_m.float(), new_cell.tanh()
    d_new = torch.where(new_cell.abs() < CELL_CLIP, d_cell + d_m * o * (1 - tanh_cell * tanh_cell), 0.0)
    d_i, d_j, d_f = d_new * j * i * (1 - i), d_new * i * (1 - j * j), d_new * cell * f * (1 - f)
    d_x.copy_(torch.cat([d_i, d_j, d_f, d_m * tanh_cell * o * (1 - o)], -1))
    d_cell.copy_(d_new * f)


class LstmSteps(torch.autograd.Function):
    """The recurrence of one layer, both directions at once, with its gradient written out.

    torch's own projected LSTM has no clips, and differentiating a Python loop adds up the weight gradient once a
    step.  Here the steps only leave their gate gradients behind; each weight gradient is then one matrix product over
    all steps.  A clipped value passes no gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, recurrent: Tensor, projection: Tensor) -> Tensor:
        # x [2, T, B, 4D], the input's part of the gates, both biases in it; recurrent [2, P, 4D]; projection [2, D, P]
        two, n_steps, n_rows, width = x.shape
        _, d, p = projection.shape
        recurrent, projection = recurrent.to(DTYPE), projection.to(DTYPE)
        gates = torch.empty(n_steps, two, n_rows, width)
        cells = torch.zeros(n_steps + 1, two, n_rows, d)
        m = torch.empty(n_steps, two, n_rows, d, dtype=DTYPE)
        outputs = torch.zeros(n_steps + 1, two, n_rows, p, dtype=DTYPE)
        for t in range(n_steps):
            forward_step(x[:, t], torch.bmm(outputs[t], recurrent), cells[t], gates[t], cells[t + 1], m[t])
            torch.bmm(m[t], projection, out=outputs[t + 1]).clamp_(-PROJ_CLIP, PROJ_CLIP)
        ctx.save_for_backward(gates, cells, m, outputs, recurrent, projection)
        return outputs[1:].transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (upstream,) = gradients
        gates, cells, m, outputs, recurrent, projection = ctx.saved_tensors
        n_steps, two, n_rows, width = gates.shape
        d_x = torch.empty(two, n_steps, n_rows, width, dtype=DTYPE)
        d_h = torch.empty_like(upstream)
        d_cell = torch.zeros(cells.shape[1:])
        d_recurrent_output = torch.zeros_like(upstream[:, 0])
        recurrent_t, projection_t = recurrent.transpose(1, 2), projection.transpose(1, 2)
        open_outputs = (outputs[1:].abs() < PROJ_CLIP).transpose(0, 1)
        for t in reversed(range(n_steps)):
            d_h[:, t] = (upstream[:, t] + d_recurrent_output) * open_outputs[:, t]
            backward_step(gates[t], cells[t], cells[t + 1], torch.bmm(d_h[:, t], projection_t), d_cell, d_x[:, t])
            d_recurrent_output = torch.bmm(d_x[:, t], recurrent_t)
        d_recurrent = torch.bmm(outputs[:-1].permute(1, 3, 0, 2).flatten(2), d_x.flatten(1, 2))
        d_projection = torch.bmm(m.permute(1, 3, 0, 2).flatten(2), d_h.flatten(1, 2))
        return d_x, d_recurrent.float(), d_projection.float()


@fused
def sampled_softmax(true: Tensor, other: Tensor, targets: Tensor, samples: Tensor) -> Tensor:
    """Summed negative log-likelihood of the logits ``true`` [N] beside ``other`` [N, S], without drawn targets."""
    other = other.float().masked_fill(samples == targets.unsqueeze(1), -torch.inf)
    return (torch.logaddexp(true, other.logsumexp(1)) - true).sum()


class BiLM(nn.Module):
    """Character CNN, highway and projection, two LSTM layers in both directions, and the softmax they share."""

    def __init__(self) -> None:
        super().__init__()
        lstm, cnn = OPTIONS["lstm"], OPTIONS["char_cnn"]
        p, d, e = lstm["projection_dim"], lstm["dim"], cnn["embedding"]["dim"]
        n_filters = sum(n for _, n in cnn["filters"])

        def normal(*shape: int, fan_in: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape) / math.sqrt(fan_in))

        self.char_embed = nn.Parameter(torch.rand(N_CHARACTERS, e) * 2 - 1)
        self.cnn_w = nn.ParameterList([normal(n, e, width, fan_in=e * width) for width, n in cnn["filters"]])
        self.cnn_b = nn.ParameterList([nn.Parameter(torch.zeros(n)) for _, n in cnn["filters"]])
        self.w_carry = normal(n_filters, n_filters, fan_in=n_filters)
        self.b_carry = nn.Parameter(torch.full((n_filters,), -2.0))
        self.w_transform = normal(n_filters, n_filters, fan_in=n_filters)
        self.b_transform = nn.Parameter(torch.zeros(n_filters))
        self.w_proj = normal(n_filters, p, fan_in=n_filters)
        self.b_proj = nn.Parameter(torch.zeros(p))
        layers = range(lstm["n_layers"])
        self.lstm_w = nn.ParameterList([normal(2, 2 * p, 4 * d, fan_in=2 * p) for _ in layers])
        self.lstm_b = nn.ParameterList([nn.Parameter(torch.zeros(2, 4 * d)) for _ in layers])
        self.lstm_w_p = nn.ParameterList([normal(2, d, p, fan_in=d) for _ in layers])
        self.softmax_w = normal(VOCABULARY_SIZE, p, fan_in=p)
        self.softmax_b = nn.Parameter(torch.zeros(VOCABULARY_SIZE))

    def tokens(self, characters: Tensor) -> Tensor:
        x = self.char_embed[characters].transpose(1, 2)  # [N, E, C]
        pools = [F.conv1d(x, w, b).max(2).values for w, b in zip(self.cnn_w, self.cnn_b, strict=True)]
        y = F.relu(torch.cat(pools, 1))  # [N, F]
        gate = torch.sigmoid(y @ self.w_carry + self.b_carry)
        y = gate * F.relu(y @ self.w_transform + self.b_transform) + (1 - gate) * y
        return y @ self.w_proj + self.b_proj  # [N, P]

    def forward(self, batch: Tensor, corpus: Corpus) -> Tensor:
        """Top-layer outputs ``(2, T - 1, B, P)`` that predict the next token of each direction's reading order."""
        types, index = torch.unique(batch, return_inverse=True)
        # A window that holds padding only is the same for every token, so one such window is enough.
        widest = max(width for width, _ in OPTIONS["char_cnn"]["filters"])
        n_characters = min(int(corpus.n_used[types].max()) + widest, corpus.characters.shape[1])
        vectors = self.tokens(corpus.characters[types, :n_characters])
        x = vectors[index.T]  # [T, B, P]
        x = torch.stack([x[:-1], x.flip(0)[:-1]])  # [2, T - 1, B, P]
        p, d = OPTIONS["lstm"]["projection_dim"], OPTIONS["lstm"]["dim"]
        forget = torch.zeros(4 * d)
        forget[2 * d : 3 * d] = 1.0
        for layer, (w, b, w_p) in enumerate(zip(self.lstm_w, self.lstm_b, self.lstm_w_p, strict=True)):
            gates = torch.baddbmm((b + forget).unsqueeze(1), x.flatten(1, 2), w[:, :p])
            y = LstmSteps.apply(gates.view(*x.shape[:3], 4 * d), w[:, p:], w_p)
            x = x + y if layer > 0 else y
        return x

    def sampled_loss(self, h: Tensor, targets: Tensor, samples: Tensor, log_expected: Tensor) -> Tensor:
        """Summed negative log-likelihood among the target and the ``samples``, logits corrected by the proposal."""
        true = (h * self.softmax_w[targets]).sum(1) + self.softmax_b[targets] - log_expected[targets]
        other = F.linear(h, self.softmax_w[samples], self.softmax_b[samples] - log_expected[samples])
        return sampled_softmax(true, other, targets, samples)

    def losses(self, h: Tensor, targets: Tensor) -> Tensor:
        """Negative log-likelihood of every target over the whole vocabulary."""
        return F.cross_entropy(F.linear(h, self.softmax_w, self.softmax_b).float(), targets, reduction="none")


def targets_of(batch: Tensor, corpus: Corpus) -> Tensor:
    """Softmax rows ``(2, T - 1, B)`` of the next token in each direction's reading order."""
    rows = corpus.softmax_row[batch.T]
    return torch.stack([rows[1:], rows.flip(0)[1:]])


# -- training --------------------------------------------------------------------------------------------------------


def learning_rate(step: int, n_steps: int) -> float:
    """Linear warm-up, a plateau, and a linear fall to zero."""
    fall = (n_steps - step) / (DECAY_FRACTION * n_steps)
    return LEARNING_RATE * min((step + 1) / WARM_UP_STEPS, 1.0, fall)


@torch.no_grad()
def perplexities(model: BiLM, corpus: Corpus) -> tuple[float, float]:
    """Forward and backward perplexity of a corpus, boundary predictions counted."""
    total, n = np.zeros(2), 0
    for rows in corpus.batches(np.random.default_rng(0)):
        batch = torch.from_numpy(rows)
        targets = targets_of(batch, corpus)
        with torch.autocast("cpu", torch.bfloat16, enabled=DTYPE is torch.bfloat16):
            h = model(batch, corpus)
        h = h.float()
        for direction in range(2):
            total[direction] += model.losses(h[direction].flatten(0, 1), targets[direction].flatten()).sum().item()
        n += targets[0].numel()
    forward, backward = np.exp(total / n)
    return float(forward), float(backward)


def published_layout(model: BiLM) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The datasets of ``weights.hdf5`` and ``softmax_weights.hdf5``, as views of the parameters."""
    bilm: dict[str, Tensor] = {"char_embed": model.char_embed}
    for i, (w, b) in enumerate(zip(model.cnn_w, model.cnn_b, strict=True)):
        bilm[f"CNN/W_cnn_{i}"] = w.permute(2, 1, 0).unsqueeze(0)  # [1, width, E, n]
        bilm[f"CNN/b_cnn_{i}"] = b
    bilm |= {"CNN_high_0/W_carry": model.w_carry, "CNN_high_0/b_carry": model.b_carry}
    bilm |= {"CNN_high_0/W_transform": model.w_transform, "CNN_high_0/b_transform": model.b_transform}
    bilm |= {"CNN_proj/W_proj": model.w_proj, "CNN_proj/b_proj": model.b_proj}
    for direction in range(2):
        for layer in range(OPTIONS["lstm"]["n_layers"]):
            cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            bilm[f"{cell}/W_0"] = model.lstm_w[layer][direction]
            bilm[f"{cell}/B"] = model.lstm_b[layer][direction]
            bilm[f"{cell}/W_P_0"] = model.lstm_w_p[layer][direction]
    return bilm, {"softmax/W": model.softmax_w, "softmax/b": model.softmax_b}


def write_model(model: BiLM, vocabulary: list[str], folder: Path) -> None:
    """Write the four files of the published layout; each appears under its name only when whole."""
    bilm, softmax = published_layout(model)
    assert len(model.softmax_w) == len(vocabulary)
    folder.mkdir(parents=True, exist_ok=True)
    for name, tensors in (("weights.hdf5", bilm), ("softmax_weights.hdf5", softmax)):
        with h5py.File(folder / f"{name}.part", "w") as file:
            for dataset, tensor in tensors.items():
                file[dataset] = tensor.detach().half().numpy()
        (folder / f"{name}.part").replace(folder / name)
    (folder / "options.json").write_text(json.dumps(OPTIONS) + "\n", encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")


def save_state(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".part")
    torch.save(state, partial)
    partial.replace(path)


def add_up(model: BiLM) -> None:
    """Replace the gradients by their sums over the workers."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters])
    distributed.all_reduce(flat)
    for p, gradient in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad = gradient.view_as(p)


def work(worker: int, arguments: argparse.Namespace, corpus: Corpus, heldout: Corpus, meeting: str) -> None:
    """Train on the rows of every batch that are `worker`'s; worker 0 reports and saves."""
    torch.set_num_threads(1)  # two workers of one thread each wait once per step, two threads once per operation
    distributed.init_process_group("gloo", f"file://{meeting}", rank=worker, world_size=N_WORKERS)
    torch.manual_seed(arguments.seed)
    model = BiLM()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), fused=True)
    steps_per_epoch = len(corpus.batches(np.random.default_rng(0)))
    n_steps = arguments.steps
    step, earlier = 0, None
    if arguments.state.exists():
        state = torch.load(arguments.state)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, earlier = state["step"], state["earlier"]

    # Log-uniform proposal over the frequency ranks, drawn with replacement: log of the expected count of each row.
    ranks = torch.arange(VOCABULARY_SIZE)
    proposal = torch.log1p(1 / (ranks + 1.0)) / math.log(VOCABULARY_SIZE + 1)
    log_expected = torch.log(-torch.expm1(N_SAMPLES * torch.log1p(-proposal)))

    n_tokens, since, running, n_since = 0, time.perf_counter(), 0.0, 0
    batches: list[np.ndarray] = []
    while step < n_steps:
        epoch, position = divmod(step, steps_per_epoch)
        if not batches or position == 0:
            batches = corpus.batches(np.random.default_rng([arguments.seed, epoch]))
        # The samples of a step are the same whenever it runs.
        torch.manual_seed((arguments.seed * 1_000_003 + step) * N_WORKERS + worker)
        whole = batches[position]
        batch = torch.from_numpy(whole[worker::N_WORKERS])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, n_steps)
        optimizer.zero_grad()
        if len(batch):  # a batch of one sentence leaves nothing for the second worker
            with torch.autocast("cpu", torch.bfloat16, enabled=DTYPE is torch.bfloat16):
                h = model(batch, corpus).flatten(0, 2)
                targets = targets_of(batch, corpus).flatten()
                samples = torch.multinomial(proposal, N_SAMPLES, replacement=True).unique()
                loss = model.sampled_loss(h, targets, samples, log_expected)
            loss = loss / (2 * whole.shape[0] * (whole.shape[1] - 1))
            loss.backward()
            running += loss.item() * len(whole) / len(batch)
        add_up(model)
        nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        step += 1
        if step == round(EARLIER * n_steps):
            earlier = copy.deepcopy(model.state_dict())
        if worker > 0:
            continue
        n_tokens += whole.size
        n_since += 1
        if step % 50 == 0:
            elapsed = time.perf_counter() - since
            minutes_left = (n_steps - step) * elapsed / n_since / 60
            print(
                f"{time.strftime('%H:%M:%S')}  step {step}/{n_steps}  epoch {step / steps_per_epoch:.2f}"
                f"  loss {running / n_since:.3f}  {n_tokens / elapsed:,.0f} tokens/s  {minutes_left:.0f} min left",
                flush=True,
            )
            n_tokens, since, running, n_since = 0, time.perf_counter(), 0.0, 0
        if step % (4 * CHECKPOINT_EVERY) == 0 or step == n_steps:
            if step == n_steps and earlier:
                last = model.state_dict().items()
                model.load_state_dict({name: w.lerp(earlier[name], EARLIER_SHARE) for name, w in last})
            forward, backward = perplexities(model, heldout)
            print(
                f"step {step}/{n_steps}  held-out perplexity: forward {forward:.1f}, backward {backward:.1f}",
                flush=True,
            )
            write_model(model, corpus.vocabulary, arguments.out)
        # After the model: if a run is killed between the two, it repeats the last steps and writes the model again.
        if step % CHECKPOINT_EVERY == 0 or step == n_steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "earlier": earlier}
            save_state(arguments.state, state)
    distributed.destroy_process_group()


def train(arguments: argparse.Namespace) -> None:
    """Read the corpus once and train in `N_WORKERS` processes, of which this is the first."""
    torch.set_num_threads(1)
    corpus = Corpus(arguments.corpus / "train.txt", gloss_copies=GLOSS_COPIES)
    heldout = Corpus(arguments.corpus / "heldout-modern.txt", corpus.vocabulary)
    with tempfile.TemporaryDirectory() as folder:
        common = (arguments, corpus, heldout, str(Path(folder) / "meeting"))
        # Forked processes share the corpus.
        others = [get_context("fork").Process(target=work, args=(i, *common), daemon=True) for i in range(1, N_WORKERS)]
        for process in others:
            process.start()
        work(0, *common)
        for process in others:
            process.join()


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the small embedded biLM.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder with train.txt and heldout-modern.txt")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "tiny", help="folder the model is written to"
    )
    parser.add_argument(
        "--state", type=Path, default=Path("train_tiny.state"), help="checkpoint, made and resumed from"
    )
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if missing := [name for name in ("train.txt", "heldout-modern.txt") if not (arguments.corpus / name).exists()]:
        parser.error(f"{arguments.corpus} has no {', '.join(missing)}; see weights/tiny/README.md")
    train(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
