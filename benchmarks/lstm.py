"""The LSTM layers alone: their arithmetic, their memory traffic and their time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from numpy_elmo import Elmo
from numpy_elmo.network.batching import pack
from numpy_elmo.network.state import BilmState


def lstm_seconds(elmo: Elmo, n_rows: int, n_steps: int) -> float:
    """Time both directions of all layers over `n_rows` sentences of `n_steps` positions, boundaries included.

    Each sentence starts from a random state, so that no step has the same result for all sentences and could be shared.
    """
    generator = np.random.default_rng(0)
    P = elmo.options.lstm.projection_dim

    state = BilmState(
        *(generator.uniform(-0.1, 0.1, zeros.shape).astype(np.float32) for zeros in elmo.bilm.zero_state(n_rows))
    )
    tokens = generator.standard_normal((n_rows * n_steps, P), np.float32)
    packing = pack([n_steps] * n_rows)
    start = time.perf_counter()
    elmo.bilm(tokens, packing, state)
    return time.perf_counter() - start


def lstm_work(options: dict[str, Any], n_rows: int, n_steps: int) -> tuple[float, float]:
    """Return the floating-point operations of `lstm_seconds`, and the bytes of weights that it reads.

    A multiplication and an addition are two operations; elementwise work is not counted.  The weights of the recurrence
    and of the projection are read at every step, those of the input once.
    """
    lstm = options["lstm"]
    P, D = lstm["projection_dim"], lstm["dim"]
    stacks = 2 * lstm["n_layers"]
    projection = D * P if D != P else 0
    recurrent, input_ = P * 4 * D + projection, P * 4 * D
    flops = 2 * stacks * (recurrent + input_) * n_rows * n_steps
    return float(flops), 4.0 * stacks * (recurrent * n_steps + input_)
