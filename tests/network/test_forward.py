"""Lists of sentences: which run together, from which state, and what comes back."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from numpy_elmo import CarriedState, Elmo, load
from numpy_elmo.errors import InputError
from numpy_elmo.network import forward

SENTENCES = [["a", "b"], [], ["c"], ["a", "b"], ["d", "e", "f", "g"]]


@pytest.mark.parametrize("boundaries", [False, True])
def test_a_document_in_chunks_is_one_run_over_the_whole(
    base64: Elmo, monkeypatch: pytest.MonkeyPatch, boundaries: bool
) -> None:
    sentence = [f"w{k}" for k in range(23)]
    [expected] = base64.embed([sentence], boundaries=boundaries)
    monkeypatch.setattr(forward, "BATCH_TOKENS", 8)
    for chunk in (1, 4, 7):
        monkeypatch.setattr(forward, "CHUNK_TOKENS", chunk)
        [found] = base64.embed([sentence], boundaries=boundaries)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_equal_sentences_have_arrays_of_their_own(base: Elmo) -> None:
    arrays = base.embed(SENTENCES)
    np.testing.assert_array_equal(arrays[0], arrays[3])
    assert not any(np.shares_memory(x, y) for x, y in itertools.combinations(arrays, 2))
    assert arrays[1].shape == (3, 0, arrays[0].shape[2])


def test_rows_of_a_carried_state_continue_each_by_itself(base64: Elmo) -> None:
    together, apart = CarriedState(), [CarriedState() for _ in range(2)]
    for batch in ([["a", "b"], ["c"]], [["d"], ["e", "f"]], [["g"]]):
        found = base64.embed(batch, state=together)
        for row, tokens in enumerate(batch):
            [expected] = base64.embed([tokens], state=apart[row])
            np.testing.assert_allclose(found[row], expected, rtol=0, atol=1e-12)


def test_a_carried_state_of_another_model_is_refused(base: Elmo) -> None:
    state = CarriedState()
    rows = base.bilm.zero_state(2)
    state.rows = rows._replace(h=rows.h[..., :1])
    with pytest.raises(InputError, match="another model"):
        base.embed([["a"]], state=state)


def test_a_sentence_goes_down_through_the_rooms_once(model_folder: Path) -> None:
    elmo = load(model_folder, threads=1)
    elmo.embed([["warm"]])  # makes the state that all sentences start from
    stages = ["elmo", "network.checks", "network.forward", "network.batching", "network.encoder", "network.bilm"]
    stages += ["network.stack", "layers.lstm"]
    called: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        name = frame.f_globals.get("__name__", "").removeprefix("numpy_elmo.")
        if event == "call" and name in stages:
            called.append(name)

    sys.setprofile(note)
    try:
        elmo.embed([["They", "sat", "down"]])
    finally:
        sys.setprofile(None)
    assert list(dict.fromkeys(called)) == stages
    for stage, later in (("checks", "forward"), ("batching", "encoder"), ("encoder", "bilm")):
        assert f"network.{stage}" not in called[called.index(f"network.{later}") :], f"back to {stage}"
