"""PyTorch files of AllenNLP models with ELMo (``weights.th``), read without PyTorch.

``torch.save`` writes a pickle of tensors that refer to storages by key (torch/serialization.py): in a zip with a member
per storage, or, before PyTorch 1.6, in one stream with the storages after the pickle.

AllenNLP stores the weights in PyTorch's conventions; `_published` turns them back into the published layout:

=============================  ========================================================================================
In the file                    In the published layout
=============================  ========================================================================================
``_char_embedding_weights``    Without the row of zeros in front.
all matrices                   Transposed.
``_highways._layers.k``        Transform above gate.  The gate weighs the *carried* part: opposite sign.
gates i, f, g, o               i, j, f, o, where j is g.
forget bias                    Includes the 1 that TensorFlow adds at run time.
=============================  ========================================================================================
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np

from numpy_elmo.errors import ElmoError, WeightsError
from numpy_elmo.files.arrays import DamagedError, Stored, Tensor, TensorFile, max_unpacked
from numpy_elmo.files.pickles import unpickle
from numpy_elmo.files.places import PACKINGS, ZIP_ERRORS, Place

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that starts such a stream
MAX_PICKLE_BYTES = 1 << 20  # AllenNLP's models need less than 100 kilobytes
MAX_ELMOS = 8
PICKLE, BYTE_ORDER = "data.pkl", "byteorder"
CHARACTERS = "_token_embedder._char_embedding_weights"
BFLOAT16 = "bfloat16"
MAX_SIZE, MAX_AXES = 1 << 40, 8

_TYPES = {
    "Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": BFLOAT16,
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "?",
}  # fmt: skip


class _Storage(NamedTuple):
    """Contiguous numbers of one type."""

    dtype: str
    key: str
    size: int

    @property
    def n_bytes(self) -> int:
        return self.size * (2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize)


class _View(NamedTuple):
    """A tensor: the place of its numbers in a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def extent(self) -> int:
        """Number of stored values from its first to its last."""
        return prod(self.shape) and 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))


def _storage(persistent_id: object) -> _Storage:
    match persistent_id:
        case ("storage", str(dtype), str(key), str(), int(size), *views) if views in ([], [None]):
            if 0 <= size < MAX_SIZE:
                return _Storage(dtype, key, size)
    raise DamagedError("a storage in it is invalid")


def _view(storage: object, offset: object, shape: object, strides: object, *_: object) -> _View:
    """Return a tensor: the arguments are those of torch._utils._rebuild_tensor_v2."""
    if not (isinstance(storage, _Storage) and isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise DamagedError("a tensor in it is invalid")
    if len(shape) > MAX_AXES or len(shape) != len(strides):
        raise DamagedError(f"a tensor in it has {len(shape)} axes and {len(strides)} strides")
    if not all(type(n) is int and 0 <= n < MAX_SIZE for n in (offset, *shape, *strides)):
        raise DamagedError("a tensor in it has invalid sizes")
    view = _View(storage, cast("int", offset), shape, strides)
    if prod(shape) > storage.size or view.offset + view.extent > storage.size:
        raise DamagedError(f"a tensor of {shape} is not within its storage of {storage.size:,}")
    return view


def _dict() -> dict[str, object]:
    return {}


_NAMES: dict[str, Any] = {
    "collections.OrderedDict": _dict,
    "torch._utils._rebuild_tensor": _view,
    "torch._utils._rebuild_tensor_v2": _view,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    **{f"torch.{name}Storage": dtype for name, dtype in _TYPES.items()},
}


def is_torch_file(path: Path) -> bool:
    """Say whether ``torch.save`` wrote a file, in either form."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            if file.read(len(LEGACY)) == LEGACY:
                return True
        with zipfile.ZipFile(path) as archive:
            return _pickle_of(archive) is not None
    except ZIP_ERRORS:
        return False


@contextmanager
def open_allennlp(place: Place, file_name: str) -> Iterator[TensorFile]:
    """Open the ELMo in a PyTorch file, with the published names of its tensors; raises `WeightsError`."""
    name = place.label(file_name)
    try:
        with place.open_binary(file_name) as file:
            n_bytes = file.seek(0, 2)
            file.seek(0)
            if file.read(len(LEGACY)) == LEGACY:
                file.seek(0)
                state, reading = _open_stream(file, n_bytes)
                yield TensorFile(name, n_bytes, _published(state, reading, name))
            else:
                with zipfile.ZipFile(file) as archive:
                    state, reading = _open_zip(archive, n_bytes)
                    yield TensorFile(name, n_bytes, _published(state, reading, name))
    except ElmoError:
        raise
    except (DamagedError, *ZIP_ERRORS) as error:
        raise WeightsError(
            f"{name} is no PyTorch file with an ELMo, or a damaged one ({error}); fetch it from where it was published"
        ) from error


# -- the two forms -----------------------------------------------------------------------------------------------------


class _Reading(NamedTuple):
    """The bytes of a storage, and their order."""

    read: Callable[[_Storage], bytes]
    byte_order: Literal["<", ">"]


def _open_stream(file: BinaryIO, n_bytes: int) -> tuple[dict[str, _View], _Reading]:
    """Read the pickles of a stream: number, version, facts about the machine, tensors, keys of the storages."""
    pickles = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    storages: dict[str, _Storage] = {}

    def persistent(persistent_id: object) -> _Storage:
        storage = _storage(persistent_id)
        return storages.setdefault(storage.key, storage)

    _, _, system, state, keys = (unpickle(pickles, _NAMES, persistent) for _ in range(5))
    places: dict[str, int] = {}
    position = pickles.tell()
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise DamagedError("there is a storage in it that no tensor uses")
        places[storage.key] = position + 8
        position += 8 + storage.n_bytes
    if missing := storages.keys() - places.keys():
        raise DamagedError(f"the storage {min(missing)!a:.100} is missing in it")
    if position > n_bytes:
        raise DamagedError(f"its storages need {position:,} bytes, and it has {n_bytes:,}")

    def read(storage: _Storage) -> bytes:
        file.seek(places[storage.key] - 8)
        [size] = struct.unpack("<q", file.read(8))
        if size != storage.size:
            raise DamagedError(f"a storage of {size:,} numbers should have {storage.size:,}")
        return file.read(storage.n_bytes)

    is_big = isinstance(system, dict) and system.get("little_endian") is False
    return _tensors(state), _Reading(read, ">" if is_big else "<")


def _pickle_of(archive: zipfile.ZipFile) -> str | None:
    """Return the name of the pickle in an archive: FOLDER/data.pkl."""
    found = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith(f"/{PICKLE}")]
    return found[0] if len(found) == 1 else None


def _open_zip(archive: zipfile.ZipFile, n_bytes: int) -> tuple[dict[str, _View], _Reading]:
    """Read the pickle in a zip: FOLDER/data.pkl, beside FOLDER/data/KEY for every storage."""
    pickle = _pickle_of(archive)
    if pickle is None:
        raise DamagedError(f"there is no {PICKLE} in it")
    folder = pickle.removesuffix(PICKLE)
    members = {info.filename: info for info in archive.infolist()}

    def member(name: str, at_most: int) -> bytes:
        info = members.get(f"{folder}{name}")
        if info is None:
            raise DamagedError(f"{name!a:.100} is missing in it")
        if info.file_size > at_most or info.compress_type not in PACKINGS:
            raise DamagedError(f"{info.filename!a:.100} unpacks to {info.file_size:,} bytes, or in an unknown way")
        with archive.open(info) as file:
            return file.read(at_most)  # without a number, Python unpacks up to 2 GiB of a false size

    def read(storage: _Storage) -> bytes:
        if storage.n_bytes > max_unpacked(n_bytes):
            raise DamagedError(f"a storage of {storage.n_bytes:,} bytes cannot be in a file of {n_bytes:,}")
        return member(f"data/{storage.key}", storage.n_bytes)

    state = unpickle(io.BytesIO(member(PICKLE, MAX_PICKLE_BYTES)), _NAMES, _storage)
    is_big = f"{folder}{BYTE_ORDER}" in members and member(BYTE_ORDER, 16) == b"big"
    return _tensors(state), _Reading(read, ">" if is_big else "<")


def _tensors(state: object) -> dict[str, _View]:
    if not isinstance(state, dict):
        raise DamagedError("it does not hold a dict of tensors")
    return {key: value for key, value in state.items() if isinstance(value, _View)}


def _load(view: _View, reading: _Reading) -> Stored:
    """Return a view (read-only) of the storage of a tensor."""
    data, storage = reading.read(view.storage), view.storage
    if len(data) != storage.n_bytes:
        raise WeightsError(f"a storage of {storage.n_bytes:,} bytes has {len(data):,}; fetch the file again")
    dtype = np.dtype("u2" if storage.dtype == BFLOAT16 else storage.dtype).newbyteorder(reading.byte_order)
    flat: Stored = np.frombuffer(data, dtype)[view.offset : view.offset + view.extent]
    if storage.dtype == BFLOAT16:  # the upper half of a float32
        flat = (flat.astype("u4") << 16).view("f4")
    strides = [step * flat.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(flat, view.shape, strides, writeable=False)


# -- AllenNLP's names and conventions ----------------------------------------------------------------------------------


class _Layout:
    """Collects the ELMo of a state dict in the published layout, in `tensors`."""

    def __init__(self, state: dict[str, _View], reading: _Reading) -> None:
        self._state, self._reading = state, reading
        self._sources: dict[str, tuple[Callable[..., Stored], list[_View]]] = {}
        self._array = lru_cache(1)(self._make)  # arrays are read in pieces
        self.tensors: dict[str, Tensor] = {}

    def _make(self, path: str) -> Stored:
        make, views = self._sources[path]
        return make(*(_load(view, self._reading) for view in views))

    def add(self, path: str, shape: tuple[int, ...], make: Callable[..., Stored], *keys: str) -> None:
        """Add an array that `make` computes from the tensors `keys`."""
        views = [self._state[key] for key in keys]
        self._sources[path] = make, views
        dtype = np.result_type(*("f4" if view.storage.dtype == BFLOAT16 else view.storage.dtype for view in views))
        self.tensors[path] = Tensor(shape, dtype, lambda start, stop: self._array(path)[start:stop])

    def shape(self, key: str, n_axes: int) -> tuple[int, ...]:
        if key not in self._state or len(self._state[key].shape) != n_axes:
            raise DamagedError(f"{key!a:.200} is missing, or does not have {n_axes} axes")
        return self._state[key].shape

    def numbered(self, pattern: str) -> Iterator[tuple[int, str]]:
        """Yield 0, 1, ... while there is such a tensor, each with the beginning of its name."""
        start, _, end = pattern.partition("*")
        for k in count():
            if f"{start}{k}{end}" not in self._state:
                return
            yield k, f"{start}{k}"

    def add_projection(self, path: str, key: str) -> None:
        n_out, n_in = self.shape(key, 2)
        if n_out == n_in:
            raise DamagedError(f"{key!a:.200} projects to the same size, which the published layout has no place for")
        self.add(path, (n_in, n_out), np.transpose, key)

    def add_token_layers(self, prefix: str) -> None:
        table = f"{prefix}_char_embedding_weights"
        n_rows, E = self.shape(table, 2)
        self.add("char_embed", (max(0, n_rows - 1), E), _without_padding, table)
        for k, convolution in self.numbered(f"{prefix}char_conv_*.weight"):
            n, E, width = self.shape(f"{convolution}.weight", 3)
            self.add(f"CNN/W_cnn_{k}", (1, width, E, n), _filters, f"{convolution}.weight")
            self.add(f"CNN/b_cnn_{k}", self.shape(f"{convolution}.bias", 1), np.transpose, f"{convolution}.bias")
        for k, highway in self.numbered(f"{prefix}_highways._layers.*.weight"):
            W, b = f"{highway}.weight", f"{highway}.bias"
            n_outputs, F = self.shape(W, 2)
            if n_outputs != 2 * F or self.shape(b, 1) != (2 * F,):
                raise DamagedError(f"{highway!a:.200} is no highway layer")
            for half, make in (("transform", _transform), ("carry", _carry)):
                self.add(f"CNN_high_{k}/W_{half}", (F, F), make, W)
                self.add(f"CNN_high_{k}/b_{half}", (F,), make, b)
        self.add_projection("CNN_proj/W_proj", f"{prefix}_projection.weight")
        bias = f"{prefix}_projection.bias"
        self.add("CNN_proj/b_proj", self.shape(bias, 1), np.transpose, bias)

    def add_lstm_layers(self, prefix: str) -> None:
        for d, direction in enumerate(("forward", "backward")):
            for k, layer in self.numbered(f"{prefix}{direction}_layer_*.input_linearity.weight"):
                cell = f"RNN_{d}/RNN/MultiRNNCell/Cell{k}/LSTMCell"
                W_x, W_h = f"{layer}.input_linearity.weight", f"{layer}.state_linearity.weight"
                b = f"{layer}.state_linearity.bias"
                (n_gates, n_inputs), (n_gates_of_state, n_outputs) = self.shape(W_x, 2), self.shape(W_h, 2)
                if n_gates != n_gates_of_state or n_gates % 4 or self.shape(b, 1) != (n_gates,):
                    raise DamagedError(f"{layer!a:.200} is no LSTM layer")
                self.add(f"{cell}/W_0", (n_inputs + n_outputs, n_gates), _kernel, W_x, W_h)
                self.add(f"{cell}/B", (n_gates,), _bias, b)
                self.add_projection(f"{cell}/W_P_0", f"{layer}.state_projection.weight")

    def add_mixes(self, prefix: str) -> None:
        for k, mix in self.numbered(f"{prefix}scalar_mix_*.gamma"):
            weights = [weight for _, weight in self.numbered(f"{mix}.scalar_parameters.*")]
            if not weights or {self.shape(key, 1) for key in (*weights, f"{mix}.gamma")} != {(1,)}:
                raise DamagedError(f"{mix!a:.200} is no mix of layers")
            self.add(f"scalar_mix_{k}/weights", (len(weights),), _joined, *weights)
            self.add(f"scalar_mix_{k}/scaling", (), np.transpose, f"{mix}.gamma")


def _published(state: dict[str, _View], reading: _Reading, name: str) -> dict[str, Tensor]:
    """Return the tensors of the ELMo in a state dict under the names of the published layout."""
    prefix = _prefix(state, name)
    layout = _Layout(state, reading)
    layout.add_token_layers(f"{prefix}_token_embedder.")
    layout.add_lstm_layers(f"{prefix}_elmo_lstm.")
    layout.add_mixes(prefix.removesuffix("_elmo_lstm."))
    return layout.tensors


def _prefix(state: dict[str, _View], name: str) -> str:
    """Return the prefix of the names of the ELMo's tensors; the file may hold the same ELMo several times."""
    ends = [key for key in state if key == CHARACTERS or key.endswith(f".{CHARACTERS}")]
    prefixes = [key.removesuffix(CHARACTERS) for key in ends]
    if not prefixes:
        raise WeightsError(
            f"{name} holds no ELMo: none of its {len(state):,} tensors is called *{CHARACTERS}; give a model of "
            "AllenNLP that was trained with ELMo"
        )

    def tensors(prefix: str) -> dict[str, _View]:
        return {key.removeprefix(prefix): view for key, view in state.items() if key.startswith(prefix)}

    if len(prefixes) > MAX_ELMOS or any(tensors(other) != tensors(prefixes[0]) for other in prefixes[1:]):
        raise WeightsError(
            f"{name} holds several ELMos, {', '.join(map(ascii, prefixes[:MAX_ELMOS]))}; save one alone, with "
            "torch.save({key: tensor for key, tensor in torch.load(FILE).items() if key.startswith(NAME)}, NEW_FILE)"
        )
    return prefixes[0]


def _without_padding(table: Stored) -> Stored:
    return table[1:]


def _filters(W: Stored) -> Stored:
    return W.T[np.newaxis]  # [1, width, E, n]


def _transform(both: Stored) -> Stored:
    return both[: len(both) // 2].T


def _carry(both: Stored) -> Stored:
    opposite: Stored = -both[len(both) // 2 :].T
    return opposite


def _kernel(W_x: Stored, W_h: Stored) -> Stored:
    i, f, g, o = np.split(np.concatenate([W_x.T, W_h.T]), 4, axis=1)
    return np.concatenate([i, g, f, o], axis=1)  # [2 P, 4 D]


def _bias(b: Stored) -> Stored:
    i, f, g, o = np.split(b.astype(np.float64), 4)  # so that f - 1 is exact
    return np.concatenate([i, g, f - 1, o])


def _joined(*numbers: Stored) -> Stored:
    return np.concatenate(numbers)
