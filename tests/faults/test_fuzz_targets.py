"""The targets of the fuzzer do what they are for: their seeds are good inputs, and changes of them are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from numpy_elmo.errors import ElmoError, WeightsError
from tests.faults.fuzz import targets
from tests.faults.fuzz.targets import TARGETS, changed, run_one

FILES = [target for target, seed in TARGETS if not seed]


@pytest.mark.parametrize(("target", "seed"), TARGETS)
def test_a_seed_is_a_good_input(target: Callable[[bytes], Any], seed: bytes) -> None:
    assert target(seed)


@pytest.mark.parametrize("target", FILES)
def test_a_change_reaches_the_file(target: Callable[[bytes], Any]) -> None:
    cut = bytes([0, 4, 0, 0, 0])
    with pytest.raises(WeightsError):
        target(cut)
    run_one(bytes([[one for one, _ in TARGETS].index(target)]) + cut)


def test_changes_set_flip_and_cut() -> None:
    whole = bytes(range(100))
    assert changed(whole, bytes([0, 0, 7, 2, 255])) == whole[:7] + b"\xff" + whole[8:]
    assert changed(whole, bytes([0, 0, 7, 5, 1])) == whole[:7] + b"\x06" + whole[8:]
    assert changed(whole, bytes([0, 0, 7, 0, 0])) == whole[:7]
    assert changed(whole, bytes([0, 0, 7, 1, 0])) == whole[:7]


def test_any_other_error_ends_the_fuzzer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: bytes) -> None:
        raise KeyError("raw")

    monkeypatch.setattr(targets, "TARGETS", [(broken, b"")])
    with pytest.raises(KeyError):
        run_one(b"\0")

    def refusing(_: bytes) -> None:
        raise ElmoError("refused, with the remedy")

    monkeypatch.setattr(targets, "TARGETS", [(refusing, b"")])
    run_one(b"\0")
