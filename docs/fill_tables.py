"""Fill the tables of gallery.md and paper-checks.md with what their code prints: ``python docs/fill_tables.py``.

Run it after the embedded model has changed, and read what the pages say about the tables.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GALLERY, CHECKS = ROOT / "docs" / "gallery.md", ROOT / "docs" / "paper-checks.md"
# A block of Python, and the table below it, if there is one: its head and its rows.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:(\n\|[^\n]*\n\|[-:| ]+\n)((?:\|[^\n]*\n)*))?", re.DOTALL | re.MULTILINE)
TABLE = re.compile(r"(^<!-- check_paper.py: .* -->\n)(?:\|.*\n)*", re.MULTILINE)


def filled_gallery(text: str) -> str:
    """Return the page with the rows that its blocks print, run in order in one namespace."""
    names: dict[str, object] = {}

    def run(found: re.Match[str]) -> str:
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(found[1], names)
        return f"```python\n{found[1]}```\n" + (f"{found[2]}{printed.getvalue()}" if found[2] else "")

    return BLOCK.sub(run, text)


def filled_checks(text: str) -> str:
    """Return the page with the tables that its command prints."""
    command = [sys.executable, str(ROOT / "weights" / "check_paper.py")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tables = iter(printed.strip().split("\n\n"))
    return TABLE.sub(lambda found: f"{found[1]}{next(tables)}\n", text)


def main() -> None:
    """Fill both pages."""
    CHECKS.write_text(filled_checks(CHECKS.read_text(encoding="utf-8")), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:  # for what the blocks write
        for name in ("docs", "weights"):
            (Path(folder) / name).symlink_to(ROOT / name)
        os.chdir(folder)
        GALLERY.write_text(filled_gallery(GALLERY.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
