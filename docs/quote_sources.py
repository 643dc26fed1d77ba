"""Fill the pages' boxes of quoted source: ``python docs/quote_sources.py``; with ``--check`` only compare.

A box is a comment, ``<!-- source: PATH NAME without-docstring -->``, and the fence below it.  PATH is relative to the
page.  NAME is a function, a class or ``Class.method``; without it the whole file is quoted.  The last word is optional.
"""

import ast
import re
import sys
from pathlib import Path

PAGES = sorted(Path(__file__).parent.glob("*.md"))
# The fence says py, because tests/test_docs.py runs those that say python.
BOX = re.compile(
    r"^<!-- source: (\S+)(?: (?!without)(\S+))?( without-docstring)? -->\n(?:```py\n.*?^```\n)?", re.M | re.S
)


def quote(path: Path, name: str | None, *, docstring: bool) -> str:
    """Return a file's source, or that of one function or class in it."""
    source = path.read_text(encoding="utf-8")
    node, lines = ast.parse(source), source.splitlines()
    start, end = 0, len(lines)
    for part in name.split(".") if name else []:
        found = [child for child in node.body if getattr(child, "name", None) == part]
        if not found:
            raise SystemExit(f"{path} has no {name}, which a page quotes")
        node = found[-1]
        start, end = min(n.lineno for n in [node, *node.decorator_list]) - 1, node.end_lineno
    body = "\n".join(lines[start:end])
    if not docstring and ast.get_docstring(node) is not None:
        first = node.body[0]
        kept = "\n".join(lines[first.end_lineno : end]).lstrip("\n")
        body = "\n".join([*lines[start : first.lineno - 1], kept])
    indent = re.match(" *", body)[0]
    return re.sub(f"^{indent}", "", body, flags=re.M).strip("\n")


def fill(page: Path) -> str:
    """Return a page's text with its boxes filled."""

    def box(found: re.Match[str]) -> str:
        comment = found[0].partition("\n")[0]
        return f"{comment}\n```py\n{quote(page.parent / found[1], found[2], docstring=not found[3])}\n```\n"

    return BOX.sub(box, page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    stale = [page for page in PAGES if fill(page) != page.read_text(encoding="utf-8")]
    if "--check" in sys.argv and stale:
        names = ", ".join(page.name for page in stale)
        raise SystemExit(f"the source that {names} quotes has changed; run python docs/quote_sources.py")
    for page in stale:
        page.write_text(fill(page), encoding="utf-8")
