"""Decoding pickles without executing them.

A pickle is a program for a stack machine, and Python's own machine calls whatever the program names.  This one supports
the opcodes for dicts, lists, tuples, texts and numbers, and calls only the functions that its caller provides.
`pickletools` in the standard library describes each opcode.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

from numpy_elmo.files.arrays import DamagedError


def unpickle(stream: BinaryIO, names: Mapping[str, Any], persistent: Callable[[object], object]) -> Any:
    """Decode the next pickle of a stream.

    Parameters
    ----------
    stream : binary file
        In memory, because a pickle may claim any length.
    names : mapping
        The names that are allowed, and their objects, such as ``{"collections.OrderedDict": dict}``.
    persistent : callable
        Returns the object of a persistent id.

    Raises
    ------
    DamagedError
        If the pickle has another name or opcode, or is damaged.
    """
    machine = _Machine(names, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return machine.pop(1)[0]
            if opcode.name not in machine.operations:
                raise DamagedError(f"a pickle in it has the opcode {opcode.name}, which no weights need")
            machine.operations[opcode.name](argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DamagedError(f"a pickle in it is damaged: {error!a:.200}") from error
    raise DamagedError("a pickle in it has no end")


class _Machine:
    """The stack, the marks on it, and the memo."""

    def __init__(self, names: Mapping[str, Any], persistent: Callable[[object], object]) -> None:
        self.names, self.stack = names, list[Any]()
        self.marks, self.memo = list[int](), dict[int, Any]()
        push = self.stack.append
        values = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE")
        self.operations: dict[str, Callable[[Any], object]] = {
            **dict.fromkeys(("PROTO", "FRAME"), lambda _: None),
            **dict.fromkeys(values, push),
            "NONE": lambda _: push(None),
            "NEWTRUE": lambda _: push(True),
            "NEWFALSE": lambda _: push(False),
            "EMPTY_TUPLE": lambda _: push(()),
            "EMPTY_LIST": lambda _: push([]),
            "EMPTY_DICT": lambda _: push({}),
            "MARK": lambda _: self.marks.append(len(self.stack)),
            "TUPLE": lambda _: push(tuple(self.pop_to_mark())),
            "TUPLE1": lambda _: push(tuple(self.pop(1))),
            "TUPLE2": lambda _: push(tuple(self.pop(2))),
            "TUPLE3": lambda _: push(tuple(self.pop(3))),
            "APPEND": lambda _: self.extend(self.pop(1)),
            "APPENDS": lambda _: self.extend(self.pop_to_mark()),
            "SETITEM": lambda _: self.set_items(self.pop(2)),
            "SETITEMS": lambda _: self.set_items(self.pop_to_mark()),
            **dict.fromkeys(("BINPUT", "LONG_BINPUT"), self.put),
            "MEMOIZE": lambda _: self.put(len(self.memo)),
            **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda number: push(self.memo[number])),
            "GLOBAL": lambda name: push(self.named(*name.split(" ", 1))),
            "STACK_GLOBAL": lambda _: push(self.named(*self.pop(2))),
            "BINPERSID": lambda _: push(persistent(*self.pop(1))),
            "REDUCE": lambda _: push(self.call(*self.pop(2))),
            "BUILD": lambda _: self.set_attributes(*self.pop(1)),
        }

    def pop(self, n: int) -> list[Any]:
        if n > len(self.stack):
            raise DamagedError("a pickle in it takes more than it has")
        return self._cut(len(self.stack) - n)

    def pop_to_mark(self) -> list[Any]:
        return self._cut(self.marks.pop())

    def _cut(self, start: int) -> list[Any]:
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def extend(self, items: list[Any]) -> None:
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str):  # hashing nested tuples may take for ever
                raise DamagedError("a pickle in it has a dict whose keys are not texts")
            self.stack[-1][key] = value

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def named(self, module: object, name: object) -> Any:
        if f"{module!s}.{name!s}" not in self.names:
            raise DamagedError(f"a pickle in it asks for {f'{module!s}.{name!s}'!a:.100}, which no weights need")
        return self.names[f"{module!s}.{name!s}"]

    def call(self, function: Callable[..., object], arguments: Iterable[object]) -> object:
        return function(*arguments)

    def set_attributes(self, attributes: object) -> None:
        """Ignore the attributes of a dict, such as the versions of modules."""
        if not (isinstance(attributes, dict) and isinstance(self.stack[-1], dict)):
            raise DamagedError("a pickle in it sets the state of something other than a dict")
