"""The checksum of TensorFlow's checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from numpy_elmo.files.crc32c import crc32c


@pytest.mark.parametrize("size", [0, 1, 9, 1023, 17 << 10, (17 << 10) + 1, 40_000, 300_001])
def test_the_checksum_of_any_length(size: int) -> None:
    data = np.random.RandomState(size).bytes(size)
    crc = 0xFFFFFFFF
    for byte in data:  # bit by bit, as it is defined
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    assert crc32c(data) == crc ^ 0xFFFFFFFF


def test_the_checksum_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
