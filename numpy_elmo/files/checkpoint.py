"""TensorFlow checkpoints, read without TensorFlow: ``PREFIX.index`` and ``PREFIX.data-00000-of-00001``, or more shards.

The index is a LevelDB table (tensorflow/core/lib/io/format.h) from names to entries that say where a tensor is
(tensorflow/core/protobuf/tensor_bundle.proto).  Tensors are read by seeking: a training checkpoint of the original
size has 4 GB, most of it the optimizer's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from numpy_elmo.errors import ElmoError, WeightsError
from numpy_elmo.files.arrays import DamagedError, Stored, Tensor, TensorFile
from numpy_elmo.files.crc32c import crc32c
from numpy_elmo.files.places import Kind, Place
from numpy_elmo.network.characters import N_CHARACTERS

INDEX = Kind("checkpoint index", 4 << 20, WeightsError)  # the original model's has a few kilobytes
MAX_ENTRIES, MAX_KEY_BYTES = 100_000, 512
MAX_BLOCK_BYTES = 16 << 20  # TensorFlow writes blocks of 256 KiB
MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
MASK_DELTA = 0xA282EAD8
BFLOAT16 = 14
DTYPES = {1: "f4", 2: "f8", 3: "i4", 9: "i8", BFLOAT16: "u2", 19: "f2"}

AGGREGATION = "aggregation/weights"  # the mix of google/elmo

# Names of bilm-tf's variables, and of the datasets that dump_weights makes of them.
_PREFIX = re.compile(r"(?:module/)?(?:(?:lm|bilm)/)?(.+)")
_CELL = re.compile(
    r"(RNN_[01])/(?:rnn|RNN)/(?:(?:multi_rnn_cell|MultiRNNCell)/[Cc]ell_?(\d+)/)?(?:rnn/)?lstm_cell/(.+)"
)
_KNOWN = re.compile(
    r"char_embed|embedding|CNN/[Wb]_cnn_\d+|CNN_high_\d+/[Wb]_(?:carry|transform)|CNN_proj/[Wb]_proj|softmax/[Wb]"
    r"|aggregation/(?:weights|scaling)"
)
_CELL_ARRAYS = {"kernel": "W_0", "bias": "B", "projection/kernel": "W_P_0"}


class Entry(NamedTuple):
    """The place of a tensor; slices of a partitioned tensor have their own entries."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    n_bytes: int
    crc: int
    slices: tuple[tuple[tuple[int, int], ...], ...]  # start and length (-1: to the end) by dimension


class Index(NamedTuple):
    """The decoded index of a checkpoint."""

    n_shards: int
    is_big_endian: bool
    entries: dict[bytes, Entry]


@contextmanager
def open_checkpoint(place: Place, prefix: str) -> Iterator[TensorFile]:
    """Open a checkpoint, with the published names of the model's tensors; raises `WeightsError`."""
    name = place.label(prefix)
    with ExitStack() as stack:
        try:
            index = read_index(place.read(f"{prefix}.index", INDEX))
            shards, n_bytes = _open_shards(stack, place, prefix, index.n_shards)
            tensors = {
                path: tensor
                for key, entry in index.entries.items()
                if (path := published_name(key.decode("utf-8", "replace")))
                and (tensor := _tensor(key, entry, index, shards, path)) is not None
            }
            table = tensors.get("char_embed")
            if table and table.shape[0] == N_CHARACTERS + 1:  # the inference graph puts a row of zeros first
                rows = table.rows
                tensors["char_embed"] = Tensor(
                    (N_CHARACTERS, *table.shape[1:]), table.dtype, lambda start, stop: rows(start + 1, stop + 1)
                )
        except (DamagedError, struct.error, IndexError, ValueError, OverflowError, OSError) as error:
            if isinstance(error, ElmoError):
                raise
            raise WeightsError(f"{name} is a damaged checkpoint ({error}); fetch it again") from error
        yield TensorFile(name, n_bytes, tensors)


def check_data(place: Place, prefix: str) -> list[str]:
    """Return the names of the model's tensors whose values do not match their checksums."""
    index = read_index(place.read(f"{prefix}.index", INDEX))
    bad = []
    with ExitStack() as stack:
        shards, _ = _open_shards(stack, place, prefix, index.n_shards)
        for key, entry in index.entries.items():
            name = key.decode("utf-8", "replace")
            if entry.n_bytes and (key.startswith(b"\0") or published_name(name)):
                file, size = shards[entry.shard]
                n_bytes = entry.n_bytes if entry.offset + entry.n_bytes <= size else 0
                file.seek(entry.offset)
                if n_bytes == 0 or _masked(crc32c(file, n_bytes)) != entry.crc:
                    bad.append(name)
    return bad


def published_name(variable: str) -> str | None:
    """Return the dataset to which bilm-tf's `dump_weights` writes a variable; None if it is not the model's."""
    match = _PREFIX.fullmatch(variable)
    path = match[1] if match else ""
    if cell := _CELL.fullmatch(path):
        array = _CELL_ARRAYS.get(cell[3])
        return array and f"{cell[1]}/RNN/MultiRNNCell/Cell{cell[2] or 0}/LSTMCell/{array}"
    return path if _KNOWN.fullmatch(path) else None


# -- tensors ---------------------------------------------------------------------------------------------------------


def _open_shards(stack: ExitStack, place: Place, prefix: str, n: int) -> tuple[list[tuple[BinaryIO, int]], int]:
    """Return the data files with their sizes, and their total size."""
    shards = []
    present = set(place.names())
    for k in range(n):
        name = f"{prefix}.data-{k:05d}-of-{n:05d}"
        if name not in present:
            raise DamagedError(f"{name.rpartition('/')[2]} is missing")
        file = stack.enter_context(place.open_binary(name))
        shards.append((file, file.seek(0, 2)))
    return shards, sum(size for _, size in shards)


def _tensor(key: bytes, entry: Entry, index: Index, shards: list[tuple[BinaryIO, int]], path: str) -> Tensor | None:
    """Return a variable, joined from its slices if it is partitioned; None if its type is not supported."""
    if entry.dtype not in DTYPES:
        return None
    n_values = prod(entry.shape)
    parts = []  # the extents and values of each slice
    if not entry.slices:
        parts.append((tuple((0, length) for length in entry.shape), _stored(entry, entry.shape, index, shards)))
    for extents in entry.slices:
        if len(extents) != len(entry.shape):
            raise DamagedError(f"a slice of {path} has {len(extents)} dimensions instead of {len(entry.shape)}")
        part = index.entries.get(_slice_key(key, extents))
        if part is None or part.dtype != entry.dtype:
            raise DamagedError(f"a slice of {path} is missing")
        ends = tuple(
            (start, total - start if length < 0 else length)
            for (start, length), total in zip(extents, entry.shape, strict=True)
        )
        if any(start < 0 or start + length > total for (start, length), total in zip(ends, entry.shape, strict=True)):
            raise DamagedError(f"a slice of {path} lies outside it")
        parts.append((ends, _stored(part, tuple(length for _, length in ends), index, shards)))
    if sum(prod(length for _, length in ends) for ends in {ends for ends, _ in parts}) != n_values:
        raise DamagedError(f"the slices of {path} do not cover it")
    if len(parts) == 1:
        return parts[0][1]
    return Tensor(entry.shape, parts[0][1].dtype, _joined(entry.shape, parts))


def _joined(shape: tuple[int, ...], parts: list[tuple[tuple[tuple[int, int], ...], Tensor]]) -> Any:
    def rows(start: int, stop: int) -> Stored:
        values = np.zeros((stop - start, *shape[1:]), parts[0][1].dtype)
        for ends, part in parts:
            first, length = ends[0]
            low, high = max(start, first), min(stop, first + length)
            if low < high:
                place = tuple(slice(begin, begin + n) for begin, n in ends[1:])
                values[(slice(low - start, high - start), *place)] = part.rows(low - first, high - first)
        return values

    return rows


def _stored(entry: Entry, shape: tuple[int, ...], index: Index, shards: list[tuple[BinaryIO, int]]) -> Tensor:
    """Return contiguous values, after checking that they lie within their file."""
    dtype = np.dtype(DTYPES[entry.dtype]).newbyteorder(">" if index.is_big_endian else "<")
    if entry.shard >= len(shards) or entry.n_bytes != prod(shape) * dtype.itemsize:
        raise DamagedError(f"{entry.n_bytes:,} bytes in shard {entry.shard} are no tensor of {shape}")
    file, size = shards[entry.shard]
    if entry.offset + entry.n_bytes > size:
        raise DamagedError(f"a tensor of {entry.n_bytes:,} bytes lies beyond the end of its file of {size:,}")
    row = prod(shape[1:])

    def rows(start: int, stop: int) -> Stored:
        file.seek(entry.offset + start * row * dtype.itemsize)
        count = (stop - start) * row
        data = file.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:  # the file was longer when it was opened
            raise WeightsError("the checkpoint's data file became shorter; fetch it again")
        values: Stored = np.frombuffer(data, dtype, count)
        if entry.dtype == BFLOAT16:  # the upper half of a float32
            values = (values.astype("u4") << 16).view("f4")
        return values.reshape(stop - start, *shape[1:])

    return Tensor(shape, np.dtype("f4") if entry.dtype == BFLOAT16 else dtype, rows)


def _slice_key(key: bytes, extents: tuple[tuple[int, int], ...]) -> bytes:
    """Return the key of a slice, encoded as in tensorflow/core/lib/strings/ordered_code.h."""
    escaped = key.replace(b"\0", b"\0\xff").replace(b"\xff", b"\xff\0")
    rank = bytes([1, len(extents)]) if extents else b"\0"
    return b"\0" + escaped + b"\0\1" + rank + b"".join(_ordered(n) for extent in extents for n in extent)


def _ordered(n: int) -> bytes:
    """Encode a signed number so that bytes sort like numbers: the length in ones, then the number."""
    length = (~n if n < 0 else n).bit_length() // 7 + 1
    header = ((0xFF00 >> length) & 0xFF) << 8 * (length - 1)
    return ((n & ((1 << 8 * length) - 1)) ^ header).to_bytes(length, "big")


# -- the index -------------------------------------------------------------------------------------------------------


def read_index(data: bytes) -> Index:
    """Decode the index of a checkpoint and verify all its checksums."""
    if len(data) < FOOTER_BYTES or int.from_bytes(data[-8:], "little") != MAGIC:
        raise DamagedError("its index is not a table")
    footer = _Bytes(data[-FOOTER_BYTES:])
    _ = footer.varint(), footer.varint()  # the metaindex, which is empty
    left = [len(data)]
    entries: dict[bytes, Entry] = {}
    header: bytes | None = None
    for _, handle in _block(data, footer.varint(), footer.varint(), left):
        place = _Bytes(handle)
        for key, value in _block(data, place.varint(), place.varint(), left):
            if len(key) > MAX_KEY_BYTES or len(entries) > MAX_ENTRIES:
                raise DamagedError("its index has more or longer names than any model")
            if key:
                entries[key] = _entry(value)
            else:
                header = value
    if header is None:
        raise DamagedError("its index has no header")
    fields = dict(_fields(header))
    n_shards, endianness = fields.get(1, 0), fields.get(2, 0)
    if not isinstance(n_shards, int) or not 1 <= n_shards <= 10_000:
        raise DamagedError(f"its index names {n_shards!r} data files")
    return Index(n_shards, endianness == 1, entries)


class _Bytes:
    """Reads bytes in order."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def varint(self) -> int:
        value = 0
        for k in range(10):
            byte = self.data[self.place]
            self.place += 1
            value |= (byte & 0x7F) << 7 * k
            if byte < 0x80:
                return value
        raise DamagedError("a number does not end")

    def take(self, n: int) -> bytes:
        if n > len(self.data) - self.place:
            raise DamagedError("a field is cut off")
        self.place += n
        return self.data[self.place - n : self.place]

    def __bool__(self) -> bool:
        return self.place < len(self.data)


def _block(data: bytes, offset: int, n_bytes: int, left: list[int]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; `left` counts the bytes of the index that no block has used yet."""
    left[0] -= n_bytes + 5
    if offset + n_bytes + 5 > len(data) or left[0] < 0:
        raise DamagedError(f"a block of {n_bytes:,} bytes at {offset:,} lies outside its index, or overlaps another")
    content, kind = data[offset : offset + n_bytes], data[offset + n_bytes]
    [crc] = struct.unpack_from("<I", data, offset + n_bytes + 1)
    if _masked(crc32c(data[offset : offset + n_bytes + 1])) != crc:
        raise DamagedError(f"the block at {offset:,} of its index has the wrong checksum")
    if kind == 1:
        content = _unsnap(content)
    elif kind:
        raise DamagedError(f"its index is compressed in the unknown way {kind}")
    [n_restarts] = struct.unpack("<I", content[-4:])
    end = len(content) - 4 * (n_restarts + 1)
    if end < 0:
        raise DamagedError("a block is too short")
    reader = _Bytes(content[:end])
    key = b""
    while reader:
        shared, rest, n_value = reader.varint(), reader.varint(), reader.varint()
        if shared > len(key):
            raise DamagedError("a key repeats more than the last one has")
        key = key[:shared] + reader.take(rest)
        yield key, reader.take(n_value)


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def _unsnap(data: bytes) -> bytes:
    """Decompress a block in the Snappy format: github.com/google/snappy/blob/main/format_description.txt."""
    reader = _Bytes(data)
    n_bytes = reader.varint()
    if n_bytes > MAX_BLOCK_BYTES:
        raise DamagedError(f"a block unpacks to {n_bytes:,} bytes")
    result = bytearray()
    while reader:
        tag = reader.take(1)[0]
        kind, high = tag & 3, tag >> 2
        if kind == 0:  # a literal, its length in up to four more bytes
            length = high if high < 60 else int.from_bytes(reader.take(high - 59), "little")
            result += reader.take(length + 1)
        else:  # a copy of earlier output, which may overlap itself
            length = (high & 7) + 4 if kind == 1 else high + 1
            low = int.from_bytes(reader.take((1, 2, 4)[kind - 1]), "little")
            back = (high >> 3) << 8 | low if kind == 1 else low
            if not 0 < back <= len(result):
                raise DamagedError("a compressed block copies from before its beginning")
            piece = bytes(result[-back:][:length])
            result += (piece * (length // len(piece) + 1))[:length]
        if len(result) > n_bytes:
            break
    if len(result) != n_bytes:
        raise DamagedError("a compressed block does not have the length that it declares")
    return bytes(result)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield numbers and values of the fields of a protocol buffer."""
    reader = _Bytes(data)
    while reader:
        number, kind = divmod(reader.varint(), 8)
        if kind == 0:
            yield number, reader.varint()
        elif kind == 2:
            yield number, reader.take(reader.varint())
        elif kind in (1, 5):
            yield number, int.from_bytes(reader.take(8 if kind == 1 else 4), "little")
        else:
            raise DamagedError(f"a field has the unknown kind {kind}")


def _message(value: int | bytes) -> Iterator[tuple[int, int | bytes]]:
    if isinstance(value, int):
        raise DamagedError("a field has the wrong kind")
    return _fields(value)


def _entry(data: bytes) -> Entry:
    """Decode a BundleEntryProto."""
    numbers = dict.fromkeys((1, 3, 4, 5, 6), 0)
    shape: list[int] = []
    slices = []
    for number, value in _fields(data):
        if number == 2:  # TensorShapeProto: dim { size }
            shape += [_signed(dict(_message(dim)).get(1, 0)) for kind, dim in _message(value) if kind == 2]
        elif number == 7:  # TensorSliceProto: extent { start, length }
            extents = [dict(_message(extent)) for kind, extent in _message(value) if kind == 1]
            slices.append(tuple((_signed(extent.get(1, 0)), _signed(extent.get(2, -1))) for extent in extents))
        elif number in numbers:
            numbers[number] = _signed(value)
    if len(shape) > 8 or min([0, *shape, *numbers.values()]) < 0:
        raise DamagedError("a tensor has a negative size or place")
    dtype, shard, offset, n_bytes, crc = numbers.values()
    return Entry(dtype, tuple(shape), shard, offset, n_bytes, crc, tuple(slices))


def _signed(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise DamagedError("a field has the wrong kind")
    return value - (1 << 64) if value >= 1 << 63 else value
