"""The names of bilm-tf's ``bilm.elmo``."""

from numpy_elmo.interfaces.bilm import weight_layers

__all__ = ["weight_layers"]
