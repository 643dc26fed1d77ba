"""The decoder of pickles: what Python writes, and nothing that is not known."""

from __future__ import annotations

import collections
import io
import pickle
import struct
from typing import Any

import pytest

from numpy_elmo.files.allennlp import _storage
from numpy_elmo.files.arrays import DamagedError
from numpy_elmo.files.pickles import unpickle

VALUE: dict[str, Any] = {
    "texts": ["", "naïve 東京", "x" * 300],
    "numbers": (0, -1, 255, 65_536, 1 << 40, -(1 << 70), 1.5),
    "constants": [None, True, False, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}],
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_python_writes_is_read(protocol: int) -> None:
    shared = [VALUE, VALUE]
    found = unpickle(io.BytesIO(pickle.dumps(shared, protocol)), {}, str)
    assert found == shared
    assert found[0] is found[1]
    ordered = collections.OrderedDict(VALUE)
    vars(ordered)["_metadata"] = {"version": 1}  # as in a state dict
    assert unpickle(io.BytesIO(pickle.dumps(ordered, protocol)), {"collections.OrderedDict": dict}, str) == VALUE


def test_pickles_are_read_one_after_the_other() -> None:
    stream = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps("two", 2) + b"rest")
    assert [unpickle(stream, {}, str) for _ in range(2)] == [1, "two"]
    assert stream.read() == b"rest"


def test_a_persistent_id_is_resolved() -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            return ("storage", "0") if isinstance(value, complex) else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump([1j])
    assert unpickle(io.BytesIO(buffer.getvalue()), {}, lambda found: {"found": found}) == [{"found": ("storage", "0")}]


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_builtins_are_refused_too(name: str) -> None:
    pickled = b"cbuiltins\n" + name.encode() + b"\n(U\x011tR."
    with pytest.raises(DamagedError, match=f"asks for 'builtins.{name}'"):
        unpickle(io.BytesIO(pickled), {}, str)


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (b"", "damaged"),
        (b"N", "damaged"),
        (b".", "takes more than it has"),
        (b"\x86.", "takes more than it has"),
        (b"t.", "damaged"),
        (b"h\x01.", "damaged"),
        (b"j\xff\xff\xff\xff.", "damaged"),
        (b"Nr\xff\xff\xff\xff.", None),  # a memo of a billion places, for Python's own machine
        (b"\x8d" + struct.pack("<Q", 10**12) + b"a.", "damaged"),
        (b"\x8e" + struct.pack("<Q", 10**12) + b"a.", "damaged"),
        (b"\x8a\xff" + b"\x01" * 10, "damaged"),
        (b"I" + b"9" * 10_000 + b"\n.", "damaged"),
        (b"(i__main__\nA\n.", "opcode INST"),
        (b"(c__main__\nA\no.", "asks for"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "asks for 'os.system'"),
        (b"\x80\x04NN\x93.", "asks for 'None.None'"),
        (b"\x82\x01.", "opcode EXT1"),
        (b"N)\x81.", "opcode NEWOBJ"),
        (b"N)R.", "damaged"),
        (b"Na.", "damaged"),
        (b"NNNs.", "keys are not texts"),
        (b"}K\x01K\x02s.", "keys are not texts"),
        (b"}NNb.", "other than a dict"),
        (b"](K\x01u.", "damaged"),
        (b"}" + b")" + b"\x86".join([b"2"] * 100) + b".", "opcode DUP"),
    ],
)
def test_a_damaged_or_hostile_pickle_is_refused(pickled: bytes, message: str | None) -> None:
    if message is None:
        assert unpickle(io.BytesIO(pickled), {}, str) is None
        return
    with pytest.raises(DamagedError, match=message):
        unpickle(io.BytesIO(pickled), {}, str)


def test_tuples_of_tuples_take_no_time() -> None:
    """Sixty-four levels, each twice in the next: 2 ** 64 values to hash or to show."""
    nested = b")" + b"q\x00h\x00\x86" * 64
    assert unpickle(io.BytesIO(nested + b"."), {}, str)
    for pickled, message in (
        (b"}" + nested + b"Ns.", "keys are not texts"),
        (nested + b"Q.", "a storage in it is invalid"),
    ):
        with pytest.raises(DamagedError, match=message):
            unpickle(io.BytesIO(pickled), {}, _storage)
