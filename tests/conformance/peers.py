"""Run other packages' own tests of ELMo on this package, and print a table of what passed::

    pip download --no-deps allennlp==0.9.0
    python -m tests.conformance.peers allennlp allennlp-0.9.0-py3-none-any.whl
    git clone https://github.com/allenai/bilm-tf
    python -m tests.conformance.peers bilm-tf bilm-tf
    git clone https://github.com/ltgoslo/simple_elmo
    python -m tests.conformance.peers simple_elmo simple_elmo

It takes a checkout, or a packed one (wheel, zip, tar), and works on a copy.  None of their code is in this repository.
Their imports find the modules of `numpy_elmo.interfaces` and adapters, which convert types and supply base classes;
the table lists them.  AllenNLP's tests need PyTorch, and those of simple_elmo scikit-learn.

The exit status is 1 if a test failed that is not known to fail, or passed that is.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import importlib
import importlib.util
import io
import runpy
import shutil
import sys
import tempfile
import unittest
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy_elmo.files.published import find
from numpy_elmo.interfaces import simple_elmo
from tests.conformance import allennlp_names, tensorflow_names


@dataclass(frozen=True)
class Peer:
    """Another package.

    Attributes
    ----------
    groups : dict from str to callable
        Its test files, with what loads the tests.
    install : callable
        Registers the names that the tests import, given the folder of the package.
    adapters : dict from str to str
        Those that are not of `numpy_elmo.interfaces`, and what they are.
    known : dict from str to str
        Tests that fail, and why.
    """

    groups: dict[str, Callable[[Path], unittest.TestSuite]]
    install: Callable[[Path], None]
    adapters: dict[str, str]
    known: dict[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.peers", description=__doc__.split("::")[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("path", type=Path, help="checkout, wheel, zip or tar")
    parsed = parser.parse_args(arguments)
    peer = PEERS[parsed.peer]
    with tempfile.TemporaryDirectory() as name:
        folder = unpacked(parsed.path, Path(name) / "package")
        with contextlib.chdir(folder):  # their tests name files from here
            peer.install(folder)
            results = {group: run(load(folder)) for group, load in peer.groups.items()}
    sys.stdout.write("\n".join([*table(peer, results), ""]))
    failed = {test for result in results.values() for test in result.reasons}
    return int(failed != peer.known.keys())


def unpacked(path: Path, folder: Path) -> Path:
    """Copy a package to a folder; return where its files are."""
    if path.is_dir():
        return Path(shutil.copytree(path, folder, ignore=shutil.ignore_patterns(".git")))
    if zipfile.is_zipfile(path):  # a wheel, too
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    else:
        shutil.unpack_archive(path, folder, filter="data")
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 else folder


class Result(unittest.TestResult):
    """How many tests passed, and what the others said at last."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}

    def addError(self, test: unittest.TestCase, error: Any) -> None:  # noqa: N802
        """Keep the error."""
        self.reasons[test.id().rpartition(".")[2]] = f"{type(error[1]).__name__}: {error[1]}".splitlines()[0]

    def addFailure(self, test: unittest.TestCase, error: Any) -> None:  # noqa: N802
        """Keep the error."""
        self.addError(test, error)


def run(tests: unittest.TestSuite) -> Result:
    """Run tests without a word."""
    result = Result()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests.run(result)
    return result


def table(peer: Peer, results: dict[str, Result]) -> list[str]:
    """Return the tables in Markdown: what passed, why the rest did not, and the adapters."""
    lines = ["| file | tests | passed |", "|---|---:|---:|"]
    counts = {group: (result.testsRun, result.testsRun - len(result.reasons)) for group, result in results.items()}
    lines += [f"| {group} | {n} | {passed} |" for group, (n, passed) in counts.items()]
    n, passed = map(sum, zip(*counts.values(), strict=True))
    lines += [f"| **all** | {n} | {passed} |"]
    reasons = {test: reason for result in results.values() for test, reason in result.reasons.items()}
    rows = [f"| `{test}` | {peer.known.get(test, f'not known: {reason}')} |" for test, reason in reasons.items()]
    rows += [f"| `{test}` | known to fail, and passed |" for test in peer.known if test not in reasons]
    if rows:
        lines += ["", "| fails | why |", "|---|---|", *rows]
    return [*lines, "", "| adapter | what it is |", "|---|---|", *adapter_rows(peer)]


def adapter_rows(peer: Peer) -> list[str]:
    """Return the rows of the adapters."""
    return [f"| {name} | {what} |" for name, what in peer.adapters.items()]


def module(name: str) -> Callable[[Path], unittest.TestSuite]:
    """Return what loads the tests of a module."""
    return lambda _: unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(name))


def file(name: str) -> Callable[[Path], unittest.TestSuite]:
    """Return what loads the tests of a file."""

    def load(folder: Path) -> unittest.TestSuite:
        spec = importlib.util.spec_from_file_location(Path(name).stem, folder / name)
        assert spec is not None
        assert spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        return unittest.defaultTestLoader.loadTestsFromModule(found)

    return load


def script(name: str, *arguments: str) -> Callable[[Path], unittest.TestSuite]:
    """Return what loads an example as one test: that it runs to its end."""

    def load(folder: Path) -> unittest.TestSuite:
        def test() -> None:
            sys.argv = [name, *arguments]
            runpy.run_path(str(folder / name), run_name="__main__")

        case = unittest.FunctionTestCase(test)
        case.id = lambda: Path(name).stem  # type: ignore[method-assign]
        return unittest.TestSuite([case])

    return load


def install_simple_elmo(folder: Path) -> None:
    """Register ``simple_elmo``, write what its examples read, and let them use a scikit-learn of today."""
    import sklearn.linear_model  # noqa: PLC0415

    current = sklearn.linear_model.LogisticRegression
    sklearn.linear_model.LogisticRegression = lambda multi_class=None, **kwargs: current(**kwargs)
    alias = ModuleType("simple_elmo")
    vars(alias).update({name: getattr(simple_elmo, name) for name in simple_elmo.__all__})
    sys.modules["simple_elmo"] = alias
    Path("sentences.txt").write_text("They sat on the river bank .\nThe bank lent them money .\n", encoding="utf-8")
    pairs = "1\tthe ship sails\tthe ships sail\n0\tthe soup boils\tships sail\n" * 20
    with gzip.open("pairs.tsv.gz", "wt", encoding="utf-8") as packed:
        packed.write(f"label\ttext0\ttext1\n{pairs}")
    contexts = (("they sat on the river", "in the sun"), ("she lent money to the", "for a year"))
    rows = [f"{k}\tbank\t{k % 2}\t{contexts[k % 2][0]}\tbank\t{contexts[k % 2][1]}\t0 1\n" for k in range(40)]
    Path("senses.tsv").write_text("".join(rows), encoding="utf-8")


PEERS = {
    "allennlp": Peer(
        groups={
            "commands/elmo_test.py": module("allennlp.tests.commands.elmo_test"),
            "data/token_indexers/elmo_indexer_test.py": module("allennlp.tests.data.token_indexers.elmo_indexer_test"),
            "modules/elmo_test.py": module("allennlp.tests.modules.elmo_test"),
            "modules/scalar_mix_test.py": module("allennlp.tests.modules.scalar_mix_test"),
        },
        install=allennlp_names.install,
        adapters=allennlp_names.ADAPTERS,
        known={
            "test_embed_batch_is_empty_sentence": "asks for 1024 features of a model that has 32",
            "test_elmo_indexer_with_additional_tokens": "`tokens_to_add` has no counterpart",
            "test_elmo_requires_grad": "the biLM is not trained here",
            "test_elmo_does_not_require_grad": "`ElmoTokenEmbedder` has no counterpart",
        },
    ),
    "bilm-tf": Peer(
        groups={
            "tests/test_data.py": file("tests/test_data.py"),
            "tests/test_model.py": file("tests/test_model.py"),
            "tests/test_elmo.py": file("tests/test_elmo.py"),
            "usage_cached.py": script("usage_cached.py"),
            "usage_character.py": script("usage_character.py"),
            "usage_token.py": script("usage_token.py"),
        },
        install=lambda _: tensorflow_names.install(),
        adapters=tensorflow_names.ADAPTERS,
        known=dict.fromkeys(
            [
                "test_bi_lm_dataset",
                "test_lm_dataset",
                "test_lm_dataset_no_char",
                "test_lm_dataset_no_char_reverse",
                "test_lm_dataset_reverse",
            ],
            "`LMDataset` makes batches for training, which has no counterpart",
        ),
    ),
    "simple_elmo": Peer(
        groups={
            name: script(f"simple_elmo/examples/{name}", "--input", data, "--elmo", str(find("tiny")))
            for name, data in (
                ("get_elmo_vectors.py", "sentences.txt"),
                ("text_classification.py", "pairs.tsv.gz"),
                ("wsd_eval.py", "senses.tsv"),
            )
        },
        install=install_simple_elmo,
        adapters={
            "`LogisticRegression`": "scikit-learn's, which has no `multi_class` any more; the argument is dropped"
        },
        known={},
    ),
}

if __name__ == "__main__":
    sys.exit(main())
