"""What the migration page shows before and after a change of imports gives the same numbers."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from numpy_elmo.files.published import find
from numpy_elmo.interfaces import allennlp, hub, simple_elmo
from tests.conformance import tensorflow_names

PAGE = (Path(__file__).parents[2] / "docs" / "migration.md").read_text(encoding="utf-8")
PAIR = re.compile(r"Before:\n\n```py\n(.*?)```\n\nAfter:\n\n```(?:py|python)\n(.*?)```", re.DOTALL)


def test_every_system_has_code_before_and_after() -> None:
    assert len(PAIR.findall(PAGE)) == PAGE.count("```py\n") - 1 == 5


@pytest.mark.parametrize(
    "name", ["TF-Hub", "AllenNLP", pytest.param("PyTorch", marks=pytest.mark.slow), "bilm-tf", "simple_elmo"]
)
def test_code_before_and_after_gives_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    section = PAGE[re.search(f"^##+ {name}$", PAGE, re.MULTILINE).start() :]  # type: ignore[union-attr]
    before, after = PAIR.search(section).groups()  # type: ignore[union-attr]
    assert set(re.findall(r"^(?:from|import) (\w+)", after, re.MULTILINE)) == {"numpy_elmo"}
    folder = find("tiny")
    files = {f"{kind}_file": folder / file for kind, file in (("options", "options.json"), ("vocab", "vocab.txt"))}
    names = {"path": folder, "weight_file": folder / "weights.hdf5", **files}
    found = dict(names)
    exec(after, found)
    for module in (
        "tensorflow",
        "tensorflow_hub",
        "simple_elmo",
        *(f"bilm{m}" for m in ("", ".data", ".elmo", ".model")),
    ):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))  # taken away afterwards, whatever replaces it
    if name == "TF-Hub":
        recipe: dict[str, Any] = {}
        exec(PAGE[PAGE.index("from unittest.mock") :].partition("```")[0], recipe)
        monkeypatch.setitem(sys.modules, "tensorflow", recipe["tf"])
        monkeypatch.setattr(sys.modules["tensorflow_hub"], "Module", lambda _: hub.Module("tiny"), raising=False)
    elif name == "bilm-tf":
        tensorflow_names.install()
    elif name == "simple_elmo":
        monkeypatch.setitem(sys.modules, "simple_elmo", simple_elmo)
    else:
        allennlp.install()
    try:
        exec(before, names)
    finally:
        allennlp.uninstall()
    for result in {"vectors", "mixed"} & found.keys():
        one, other = (array(values[result]) for values in (names, found))
        assert one.size
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)


def array(value: Any) -> np.ndarray:
    return np.asarray(value.detach() if hasattr(value, "detach") else value)
