"""Which model and options a file of vectors was made with, and of which text so far."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from numpy_elmo.files.find import ModelFiles


def model_digest(files: ModelFiles) -> str:
    """Return a digest of a model's options and weights, whatever its files are called and wherever they are.

    Parameters
    ----------
    files : ModelFiles
        The model, as `find_model` finds it.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.sha256(repr(files.options).encode())

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu":
            digest.update(f"{name} {item.dtype.str} {item.shape}".encode())
            digest.update(np.ascontiguousarray(item[()]).data)

    with files.open_weights() as file:
        file.visititems(add)
    return digest.hexdigest()[:32]


class TextDigest:
    """A running digest of sentences."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, tokens: Sequence[str]) -> None:
        """Add a sentence."""
        self._digest.update("\0".join([*tokens, "\n"]).encode("utf-8", "surrogatepass"))

    def __str__(self) -> str:
        return self._digest.hexdigest()[:32]


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Say in which options two fingerprints differ.

    Parameters
    ----------
    found : mapping
        The fingerprint of a file, and perhaps more.
    wanted : mapping
        That of this run.

    Returns
    -------
    list of str
        One entry a difference; empty if there is none.
    """
    names = [name for name in wanted if found.get(name) != wanted[name]]
    return ["another model" if name == "model" else f"{name}={found.get(name)!r}" for name in names]
