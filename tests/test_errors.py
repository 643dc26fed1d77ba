"""The tree of errors is the one that their module draws."""

from __future__ import annotations

import inspect
import pickle

from numpy_elmo import errors
from numpy_elmo.errors import ElmoError, PartsFailedError, VectorsNotFoundError

CLASSES = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, BaseException)]


def test_the_tree_in_the_docstring_is_that_of_the_classes() -> None:
    def drawn(parent: type, depth: int) -> list[str]:
        lines = []
        for child in (cls for cls in CLASSES if cls.__bases__[0] is parent):
            others = [base.__name__ for base in child.__bases__[1:]]
            lines += ["  " * depth + child.__name__ + (f" ({', '.join(others)})" if others else "")]
            lines += drawn(child, depth + 1)
        return lines

    tree = inspect.cleandoc(errors.__doc__ or "").partition("::\n\n")[2].splitlines()
    expected = ["Exception", *drawn(Exception, 1), "UserWarning", *drawn(UserWarning, 1)]
    assert sorted(line.removeprefix("    ") for line in tree) == sorted(expected)
    assert len(expected) == len(CLASSES) + 2


def test_messages_are_shown_as_they_are_written() -> None:
    for cls in CLASSES:
        if cls is not PartsFailedError:
            assert str(cls("no vectors of 'a'")) == "no vectors of 'a'"
    assert repr(VectorsNotFoundError("x")) == "VectorsNotFoundError('x')"


def test_errors_come_out_of_other_processes_as_they_were() -> None:
    for error in (*(cls("message") for cls in CLASSES if cls is not PartsFailedError), PartsFailedError({"a": "b"}, 3)):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
    assert issubclass(PartsFailedError, ElmoError)
