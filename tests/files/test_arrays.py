"""Named arrays of any format: whole or in rows, and never larger than their file can hold."""

from __future__ import annotations

import numpy as np
import pytest

from numpy_elmo.errors import WeightsError
from numpy_elmo.files.arrays import FREE_BYTES, MAX_EXPANSION, Stored, Tensor, TensorFile

VALUES: Stored = np.arange(12, dtype="<f8").reshape(4, 3)


def file_of(values: Stored, n_bytes: int = 96) -> TensorFile:
    return TensorFile("its name", n_bytes, {"a/W": Tensor(values.shape, values.dtype, lambda i, j: values[i:j])})


def test_an_array_is_read_whole_or_in_rows() -> None:
    file = file_of(VALUES)
    W = file.read("a/W", "float32")
    assert W.dtype == np.float32
    assert not W.flags.writeable
    np.testing.assert_array_equal(W, VALUES)
    rows = list(file.rows("a/W", 3, "float64"))
    assert [len(part) for part in rows] == [3, 1]
    np.testing.assert_array_equal(np.concatenate(rows), VALUES)


def test_a_number_alone_is_an_array_without_axes() -> None:
    values = np.array([2.5])
    file = TensorFile("its name", 8, {"gamma": Tensor((), values.dtype, lambda i, j: values[i:j])})
    assert file.read("gamma", "float64") == 2.5


def test_groups_are_there_and_other_names_are_not() -> None:
    file = file_of(VALUES)
    assert "a" in file
    assert "a/W" in file
    assert "a/" not in file
    assert "b" not in file
    assert file.problem("a/W") is None
    assert file.problem("a") == "no such dataset"


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e300])
def test_values_that_are_not_finite_are_named(bad: float) -> None:
    values = VALUES.copy()
    values[3, 1] = bad
    for read in (lambda: file_of(values).read("a/W", "float32"), lambda: list(file_of(values).rows("a/W", 1, "f4"))):
        with pytest.raises(WeightsError, match="its name: a/W holds 1 values that are not finite"):
            read()


def test_large_values_are_finite_though_their_squares_are_not() -> None:
    values = np.full((2, 2), 1e30)
    np.testing.assert_allclose(file_of(values).read("a/W", "float32"), values, rtol=1e-6)


def test_arrays_that_cannot_be_in_the_file_are_too_large() -> None:
    n_bytes = FREE_BYTES // MAX_EXPANSION + 1
    n = n_bytes * MAX_EXPANSION // 4
    assert file_of(VALUES, n_bytes).size_problem([(n,)]) is None
    assert "cannot be in a file of" in str(file_of(VALUES, n_bytes).size_problem([(n,), (1,)]))
    assert file_of(VALUES, 1).size_problem([(FREE_BYTES // 4,)]) is None
    assert file_of(VALUES, 1).size_problem([(FREE_BYTES // 4 + 1,)]) is not None
