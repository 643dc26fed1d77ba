"""The names of bilm-tf's ``bilm.data``."""

from numpy_elmo.interfaces.bilm import Batcher, TokenBatcher, UnicodeCharsVocabulary, Vocabulary

__all__ = ["Batcher", "TokenBatcher", "UnicodeCharsVocabulary", "Vocabulary"]
