"""The page on faults names the tests there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
FILES = ["faults/test_text.py", "faults/test_models.py", "network/test_concurrency.py"]
OTHERS = ["files/test_find.py", "files/test_options.py"]


def names_of(files: list[str]) -> set[str]:
    return {name for file in files for name in re.findall(r"^def test_(\w+)", (TESTS / file).read_text(), re.MULTILINE)}


def named() -> list[str]:
    """Names on the page; ``...`` stands for the end of a long one."""
    return re.findall(r"`((?:[a-z0-9]+_){3,}(?:[a-z0-9]+|\.\.\.))`", PAGE)


def is_meant(name: str, test: str) -> bool:
    return test.startswith(name.removesuffix("...")) if name.endswith("...") else test == name


def test_every_test_that_the_page_names_is_there() -> None:
    there = names_of(FILES + OTHERS)
    assert named()
    assert [name for name in named() if not any(is_meant(name, test) for test in there)] == []


@pytest.mark.parametrize("file", FILES)
def test_every_test_of_a_fault_is_on_the_page(file: str) -> None:
    assert [test for test in sorted(names_of([file])) if not any(is_meant(name, test) for name in named())] == []
