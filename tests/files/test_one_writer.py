"""All files are written in one way: this reads the package's source for any that is not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "numpy_elmo"

# What may write otherwise, call by call.
DOORS = {
    "files/writing.py": {  # the way itself
        "os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, 'O_BINARY', 0), 438)",
        "os.fdopen(descriptor, 'r+b', buffering=0)",
        "os.open(folder, os.O_RDONLY)",
        "os.open(path, os.O_RDWR | getattr(os, 'O_NOFOLLOW', 0))",
        "path.unlink()",
        "partial.unlink()",
        "partial.unlink(missing_ok=True)",
        "partial.replace(target)",
        "partial.rename(target)",
        "os.link(partial, target)",
    },
    "corpus/resume.py": {  # fills in a file which it laid out in this way
        "os.open(part_of(target), flags)",
        "os.fdopen(os.open(part_of(target), flags), 'r+b', buffering=0)",
        "h5py.File(partial, 'w', locking=False)",
        "self.path.unlink()",
        "part.unlink()",
        "checkpoint_of(target).unlink()",
    },
    "corpus/embed.py": {  # a copy of the text without a name
        "tempfile.TemporaryFile('w+', dir=target.parent, encoding='ascii', newline='\\n')",
    },
    "files/download.py": {"path.open('wb')"},  # the file that `new_file` gave
    "analysis/convert.py": {  # a folder of files that were written in this way
        "tempfile.mkdtemp(dir=target.parent, prefix=f'{target.name}.', suffix='.part')",
        "folder.rename(target)",
    },
    "files/tar.py": {  # to a temporary folder
        "tempfile.mkdtemp(prefix='numpy_elmo.')",
        "target.open('xb')",
        "shutil.copyfileobj(packed, file, 1 << 20)",
    },
    "cli/__init__.py": {"os.open(os.devnull, os.O_WRONLY)"},
}

OPENERS = {"open", "File", "FileIO", "ZipFile", "GzipFile", "fdopen", "memmap"}  # which write if their mode says so
ALWAYS = {"ParquetWriter", "savefig", "savez", "savez_compressed", "savetxt", "mkdtemp", "mkstemp", "extractall"}
ALWAYS |= {"NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile", "copytree", "copyfileobj", "make_archive"}
OF_PATHS = {"write_text", "write_bytes", "tofile", "rename", "unlink", "touch", "symlink_to", "hardlink_to", "truncate"}
OF_MODULES = {"save", "dump", "copy", "copyfile", "copy2", "move", "remove", "link", "replace", "rename", "truncate"}
MODULES = {"os", "shutil", "np", "pickle"}


def writes(source: str) -> list[str]:
    """Return the calls that write to something which `new_file` did not give."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    given = _given(source)
    return [ast.unparse(call) for call in calls if _writes(call) and not given & _names(call)]


def _given(source: str) -> set[str]:
    """Return the names bound to `new_file`, and to what was opened with these."""
    names = {"new_file", "new_hdf5"}
    items = [item for node in ast.walk(ast.parse(source)) if isinstance(node, ast.With) for item in node.items]
    for _ in range(2):
        for item in items:
            if isinstance(item.optional_vars, ast.Name) and names & _names(item.context_expr):
                names.add(item.optional_vars.id)
    return names


def _names(node: ast.AST) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def _writes(call: ast.Call) -> bool:
    of = call.func.value if isinstance(call.func, ast.Attribute) else None
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    if name in OPENERS:
        texts = [item.value for item in arguments if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        modes = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
        return (
            any(set(text) <= set("rwaxbt+|:gz") and set(text) & set("wax+") for text in texts)
            or any(not isinstance(mode, ast.Constant) for mode in modes)
            or (isinstance(of, ast.Name) and of.id == "os" and name == "open")
        )
    if isinstance(of, ast.Name) and of.id in MODULES:
        return name in OF_MODULES | ALWAYS and not (name == "copy" and of.id == "np")
    return name in ALWAYS or (of is not None and (name in OF_PATHS or (name == "replace" and len(arguments) == 1)))


def test_nothing_in_the_package_writes_a_file_in_another_way() -> None:
    found = {
        str(path.relative_to(PACKAGE)): calls
        for path in sorted(PACKAGE.rglob("*.py"))
        if (calls := set(writes(path.read_text(encoding="utf-8"))))
        and (calls := calls - DOORS.get(path.relative_to(PACKAGE).as_posix(), set()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('xb')",
        "h5py.File(path, 'w')",
        "h5py.File(path, mode='r+')",
        "zipfile.ZipFile(path, 'w')",
        "figure.savefig(path)",
        "np.save(path, a)",
        "np.savez(path, a=1)",
        "path.write_text('x')",
        "a.replace(b)",
        "os.replace(a, b)",
        "os.open(path, flags)",
        "open(path, mode=mode)",
        "json.dump(x, open(path, 'w'))",
        "tarfile.open(path, 'w:gz')",
        "io.FileIO(path, 'w')",
        "np.memmap(path, mode='w+')",
        "shutil.copytree(a, b)",
        "tempfile.TemporaryFile()",
        "shutil.copy(a, b)",
        "path.unlink()",
        "pq.ParquetWriter(path, schema)",
        "with new_file(x) as p, open(q, 'w') as f: pass",
    ],
)
def test_the_search_finds(source: str) -> None:
    assert writes(source)


@pytest.mark.parametrize(
    "source",
    [
        "with new_file(x) as p, open(p, 'w') as f: pass",
        "with new_file(x) as p:\n    figure.savefig(p)",
        "with new_file(x) as p, p.open('w') as f: pass",
        "with new_file(x) as p, ZipFile(p, 'w') as z:\n    z.open('a', 'w')",
        "open(path)",
        "path.open('rb')",
        "h5py.File(path, 'r')",
        "text.replace('a', 'b')",
        "copy.copy(array)",
    ],
)
def test_the_search_does_not_find(source: str) -> None:
    assert not writes(source)
