"""ELMo inference in pure NumPy.

>>> import numpy_elmo
>>> elmo = numpy_elmo.load("tiny")
>>> [vectors] = elmo.embed([["Where", "have", "you", "placed", "the", "point"]])
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from numpy_elmo import errors
from numpy_elmo.elmo import CorpusReport, Elmo, load
from numpy_elmo.files.download import download
from numpy_elmo.language_model import LanguageModel
from numpy_elmo.layers.scalar_mix import ScalarMix
from numpy_elmo.network.state import CarriedState

__all__ = [
    "CarriedState",
    "CorpusReport",
    "Elmo",
    "LanguageModel",
    "ScalarMix",
    "__version__",
    "download",
    "errors",
    "load",
]

__version__ = "0.1.0"

_SUBMODULES = ("analysis", "corpus")  # imported when they are first used, so that importing the package stays quick


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return import_module(f"numpy_elmo.{name}")
    raise AttributeError(f"module 'numpy_elmo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES])
