"""States as values: rows of several texts, and what is saved of them."""

from __future__ import annotations

import numpy as np
import pytest

from numpy_elmo import CarriedState, Elmo
from numpy_elmo.errors import InputError
from numpy_elmo.network.state import BilmState, join


def counting(n: int) -> BilmState:
    """A state of n texts whose values say which text they belong to: 2 directions, 1 layer, P = 3, D = 4."""
    rows = np.arange(1, n + 1, dtype=np.float32)[:, np.newaxis]
    return BilmState(np.tile(rows, (2, 1, 1, 3)), np.tile(rows, (2, 1, 1, 4)))


def test_rows_are_taken_repeated_filled_up_and_joined() -> None:
    state = counting(3)
    assert state.n_texts == 3
    assert state.texts(slice(1, 2)).h[0, 0, :, 0].tolist() == [2]
    assert state.texts(slice(1, 2)).repeat(2).c[1, 0, :, 3].tolist() == [2, 2]
    assert state.at_least(5).c[1, 0, :, 0].tolist() == [1, 2, 3, 0, 0]
    assert state.at_least(2).n_texts == 3
    assert join([state.texts(slice(2, None)), state]).h[0, 0, :, 2].tolist() == [3, 1, 2, 3]


def test_a_saved_state_is_a_copy_and_continues_where_it_was_saved(base: Elmo) -> None:
    state = CarriedState()
    base.embed([["a", "b"], ["c"]], state=state)
    saved = state.to_arrays()
    before = [array.copy() for array in saved]
    [expected] = base.embed([["d"]], state=state)
    for array, copy in zip(saved, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    [found] = base.embed([["d"]], state=CarriedState.from_arrays(saved))
    np.testing.assert_array_equal(found, expected)
    assert CarriedState.from_arrays(CarriedState().to_arrays()).rows is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_refused(value: float) -> None:
    h, c = counting(2)
    c[1, 0, 1, 2] = value
    with pytest.raises(InputError, match="not finite"):
        CarriedState.from_arrays([h, c])


def test_other_arrays_are_no_state() -> None:
    h, c = counting(2)
    for wrong in ([h], [h, c, c], [h[0], c[0]], [h, c[:, :, :1]]):
        with pytest.raises(InputError, match="no LSTM state"):
            CarriedState.from_arrays(wrong)
