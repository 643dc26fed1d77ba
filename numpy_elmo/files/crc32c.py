"""CRC-32C, the checksum in TensorFlow's files, for gigabytes in NumPy.

A CRC is linear over GF(2): the CRC of two concatenated texts is that of the first, extended by as many zero bytes as
the second has, XOR that of the second.  So data are cut into equal lanes, whose checksums are computed side by side.
"""

from __future__ import annotations

from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[np.uint32]

POLYNOMIAL = 0x82F63B78  # Castagnoli's, with its bits reversed
LANE_BYTES = 1 << 10
PIECE_BYTES = 1 << 24


def _tables() -> Words:
    """Return tables (4, 256): the contribution of a byte that 0 to 3 zero bytes follow."""
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, first >> 1 ^ POLYNOMIAL, first >> 1).astype(np.uint32)
    tables = [first]
    for _ in range(3):
        tables.append(tables[-1] >> 8 ^ first[tables[-1] & 0xFF])
    return np.array(tables)


TABLES = _tables()
_BYTES: list[int] = TABLES[0].tolist()


def crc32c(source: bytes | BinaryIO, n_bytes: int | None = None) -> int:
    """Return the checksum of bytes, or of the next `n_bytes` of a file."""
    crc = 0xFFFFFFFF
    if isinstance(source, bytes):
        return _update(crc, source) ^ 0xFFFFFFFF
    left = n_bytes or 0
    while left:
        piece = source.read(min(left, PIECE_BYTES))
        if not piece:
            break
        crc = _update(crc, piece)
        left -= len(piece)
    return crc ^ 0xFFFFFFFF


def _update(crc: int, data: bytes) -> int:
    n_lanes = len(data) // LANE_BYTES
    n_lanes = 1 << n_lanes.bit_length() - 1 if n_lanes > 16 else 0
    head = n_lanes * LANE_BYTES
    if head:
        crc = int(_moved_on(np.array([crc], np.uint32), _zeros(head))[0]) ^ _lanes(data[:head], n_lanes)
    for byte in data[head:] if len(data) - head <= 17 * LANE_BYTES else b"":
        crc = crc >> 8 ^ _BYTES[(crc ^ byte) & 0xFF]
    return crc if len(data) - head <= 17 * LANE_BYTES else _update(crc, data[head:])


def _lanes(data: bytes, n: int) -> int:
    words = np.frombuffer(data, "<u4").reshape(n, -1).T  # [words of a lane, lanes]
    crc = np.zeros(n, np.uint32)
    for word in words:
        crc ^= word
        crc = TABLES[3][crc & 0xFF] ^ TABLES[2][crc >> 8 & 0xFF] ^ TABLES[1][crc >> 16 & 0xFF] ^ TABLES[0][crc >> 24]
    operator = _zeros(LANE_BYTES)
    while len(crc) > 1:
        crc = _moved_on(crc[0::2], operator) ^ crc[1::2]
        operator = _moved_on(operator, operator)
    return int(crc[0])


def _moved_on(crc: Words, operator: Words) -> Words:
    """Return checksums extended by zero bytes; `operator` (32,) holds the images of the single bits."""
    result = np.zeros_like(crc)
    for bit in range(32):
        result ^= np.where(crc >> bit & 1, operator[bit], 0).astype(np.uint32)
    return result


def _zeros(n_bytes: int) -> Words:
    """Return the operator that extends by `n_bytes` zero bytes, a power of two."""
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    operator: Words = bits >> 8 ^ TABLES[0][bits & 0xFF]
    for _ in range(n_bytes.bit_length() - 1):
        operator = _moved_on(operator, operator)
    return operator
