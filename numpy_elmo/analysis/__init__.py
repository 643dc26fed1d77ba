"""What you can do with a loaded model: conversion, minimal pairs, neighbours, plots, the explorer, spans, verification.

The modules are imported when they are first used: plots needs Matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["convert", "explore", "neighbors", "pairs", "plots", "spans", "verify", "views"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f"numpy_elmo.analysis.{name}")
    raise AttributeError(f"module 'numpy_elmo.analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
