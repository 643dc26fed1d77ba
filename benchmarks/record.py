"""Results, written after each measurement, so that an interrupted run can continue."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any


class Record:
    """Results by nested names, stored in a JSON file if `path` is given.

    Parameters
    ----------
    path : Path or None
        The file.  Results in it are not measured again.
    circumstances : dict
        What all results depend on; a file measured under other circumstances is refused.
    """

    def __init__(self, path: Path | None, circumstances: dict[str, Any]) -> None:
        self.path = path
        self.results: dict[str, Any] = {"circumstances": circumstances}
        if path and path.exists():
            self.results = json.loads(path.read_text(encoding="utf-8"))
            if self.results.get("circumstances") != circumstances:
                raise SystemExit(f"{path} was measured on another machine or with other options; name a new file")

    def has(self, *names: str) -> bool:
        """Return whether there is a result of this name."""
        found: Any = self.results
        for name in names:
            if name not in found:
                return False
            found = found[name]
        return True

    def put(self, value: Any, *names: str) -> None:
        """Add a result and write the file."""
        *parents, last = names
        reduce(lambda figures, name: figures.setdefault(name, {}), parents, self.results)[last] = value
        if self.path:
            partial = self.path.with_name(self.path.name + ".part")
            partial.write_text(json.dumps(self.results, indent=2) + "\n", encoding="utf-8")
            partial.replace(self.path)

    def once(self, measure: Callable[[], Any], *names: str) -> None:
        """Measure and add a result, unless it exists."""
        if not self.has(*names):
            self.put(measure(), *names)
