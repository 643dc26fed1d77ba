"""The rooms of the package import only rooms before them, read from the source."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import numpy_elmo

PACKAGE = Path(numpy_elmo.__file__).parent
ROOMS = [
    "errors",
    "layers",
    "network",
    "files",
    "elmo",
    "language_model",
    "corpus",
    "analysis",
    "interfaces",
    "cli",
]
MODULES = {
    ".".join(("numpy_elmo", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, also inside functions and for types alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                found.add(module if module in MODULES else node.module or "")
    return {name for name in found if name.split(".")[0] == "numpy_elmo"}


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def room(module: str) -> str | None:
    """Return the room of a module; None for the package itself and ``__main__``, which may import any room."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else None


def test_the_top_of_the_package_has_the_rooms_and_nothing_else() -> None:
    names = {path.stem for path in PACKAGE.iterdir() if path.name not in {"__pycache__", "data", "py.typed"}}
    assert names == {"__init__", "__main__", *ROOMS}


def test_a_room_imports_only_rooms_before_it() -> None:
    upward = [
        f"{name} imports {other}"
        for name, others in sorted(IMPORTS.items())
        for other in sorted(others)
        if (here := room(name)) is not None
        and (there := room(other)) != here
        and there is not None
        and ROOMS.index(there) > ROOMS.index(here)
    ]
    assert upward == []


def test_only_the_command_imports_the_package_itself() -> None:
    assert {room(name) for name, others in IMPORTS.items() if "numpy_elmo" in others} <= {None, "cli"}


def test_the_layers_import_no_other_room_but_errors() -> None:
    rooms = {room(other) for name, others in IMPORTS.items() if room(name) == "layers" for other in others}
    assert rooms <= {"layers", "errors"}


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: others - {"numpy_elmo"} for name, others in IMPORTS.items() if room(name) is not None}
    TopologicalSorter(graph).prepare()  # raises CycleError


# These have no logic of their own: re-exports under the names of bilm-tf.
UNTESTED = {f"numpy_elmo.interfaces.bilm.{name}" for name in ("data", "elmo", "model")}


def test_every_module_with_logic_has_a_test_file_in_the_same_folder() -> None:
    def test_file(module: str) -> Path:
        *folders, name = module.split(".")[1:]
        return Path(__file__).parent.joinpath(*folders, f"test_{name}.py")

    modules = {name for name, path in MODULES.items() if path.stem not in {"__init__", "__main__"}}
    untested = {name for name in modules if not test_file(name).exists()}
    assert untested == UNTESTED
    for name in UNTESTED:
        body = ast.parse(MODULES[name].read_text(encoding="utf-8")).body
        assert all(isinstance(node, (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)) for node in body)
