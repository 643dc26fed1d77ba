"""Which model and options a file of vectors was made with, and of which text so far."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from numpy_elmo.files.find import ModelFiles


def model_digest(files: ModelFiles) -> str:
    """Return 32 hexadecimal digits for a model's options and weights, whatever its files are called."""
    return files.digest()


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
