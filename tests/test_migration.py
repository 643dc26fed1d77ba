"""The page on migration: its Python runs as written, and prints what stands beside it."""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "migration.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_the_page_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for alias in ("allennlp", "allennlp.commands", "allennlp.commands.elmo"):
        monkeypatch.setitem(sys.modules, alias, ModuleType(alias))  # which the page replaces, and the end removes
    assert len(BLOCKS) == 6
    names: dict[str, Any] = {}
    for block in BLOCKS:
        expected = re.findall(r"^ *print\(.*\)  # (.*)$", block, flags=re.MULTILINE)
        assert expected or "print(" not in block
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(block, str(PAGE), "exec"), names)
        assert printed.getvalue().splitlines() == expected
