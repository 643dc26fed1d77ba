"""The package as a whole: what importing it does, what it needs, what it ships, and that its examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import numpy_elmo
from numpy_elmo.cli import main

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(numpy_elmo.__path__, "numpy_elmo.") if "__main__" not in module.name
)
# Import a library of [dev].
NEED_DEV = [f"numpy_elmo.interfaces.{name}" for name in ("dask", "spacy", "torch")]


def test_importing_prints_nothing_and_needs_numpy_and_h5py_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import numpy, h5py; known = set(sys.modules) - before;"
        "import numpy_elmo, numpy_elmo.cli;"
        "names = {n.partition('.')[0] for n in set(sys.modules) - before - known} - set(sys.stdlib_module_names);"
        "assert names <= {'numpy_elmo', 'numpy', 'h5py'}, names"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_the_package_shows_its_public_names_alone_and_each_is_there() -> None:
    code = (
        "import pkgutil, sys, numpy_elmo; assert 'numpy_elmo.corpus' not in sys.modules; names = dir(numpy_elmo);"
        "assert set(names) == {*numpy_elmo.__all__, 'analysis', 'corpus'}, names;"
        "assert all(hasattr(numpy_elmo, name) for name in names);"
        "numpy_elmo.corpus.load_embeddings, numpy_elmo.analysis.spans.span_vectors;"
        "assert not hasattr(numpy_elmo, 'neighbours');"
        "from numpy_elmo import analysis;"
        "folder = {m.name for m in pkgutil.iter_modules(analysis.__path__)} - {'words'};"
        "assert set(dir(analysis)) == set(analysis.__all__) == folder;"
        "assert all(hasattr(analysis, name) for name in folder)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in NEED_DEV else ()) for n in ("numpy_elmo", *MODULES)],
)
def test_examples_in_docstrings_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_there_are_examples_to_run() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = [name for name in MODULES if name not in NEED_DEV]
    assert sum(len(test.examples) for name in names for test in finder.find(importlib.import_module(name))) >= 10


def test_the_readmes_python_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})
        promised = re.findall(r"print\(.*\)  # (.*)", block)
        assert capsys.readouterr().out.splitlines() == promised


def test_the_readmes_main_command_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = re.findall(
        r"<!-- ci: main -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    program, *words = shlex.split(block.split("&&")[-1])
    assert program == ".venv/bin/numpy-elmo"
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "example.txt", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(words) == 0
    assert (tmp_path / "vectors.hdf5").is_file()


def test_version_is_in_the_changelogs_form() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", numpy_elmo.__version__)
    assert f"\nversion: {numpy_elmo.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_wheel_holds_the_model_and_works_by_itself(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr.decode()
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [metadata] = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
        archive.extractall(tmp_path / "site")
    data = ("models.json", "senses.json", "seqvec-reference.npz", "tiny/weights.hdf5", "tiny/options.json")
    assert {"numpy_elmo/py.typed", *(f"numpy_elmo/data/{name}" for name in data)} <= names
    assert {"LICENSE", "NOTICE"} <= {name.split("/")[-1] for name in names if ".dist-info/licenses/" in name}
    assert not [name for name in names if name.startswith(("tests/", "weights/", "benchmarks/"))]
    # On a package index the README has no folder around it: each link is a whole address, of a file that is there.
    links = re.findall(r"\]\(([^)]+)\)|(?:src|srcset)=\"([^\"]+)\"", metadata)
    addresses = [link or picture for link, picture in links]
    assert len(addresses) > 10
    assert [address for address in addresses if not address.startswith("https://")] == []
    files = [address.split("/main/")[1].split("#")[0] for address in addresses if "/main/" in address]
    assert [name for name in files if not (ROOT / name).exists()] == []
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import numpy_elmo;"
        f"assert numpy_elmo.__file__.startswith({str(tmp_path)!r}), numpy_elmo.__file__;"
        "print(numpy_elmo.load('tiny').embed([['a', 'b']])[0].shape)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stderr.decode()
    assert re.fullmatch(rb"\(3, 2, \d+\)\n", result.stdout)
