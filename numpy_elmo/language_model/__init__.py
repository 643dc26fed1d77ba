"""ELMo as a language model in both directions, with its softmax, which is published in a file of its own."""

from numpy_elmo.language_model.model import LanguageModel
from numpy_elmo.language_model.results import Perplexity, SentenceLogProbs, WordScore
from numpy_elmo.language_model.surprisal import SentenceSurprisal, SurprisalRow

__all__ = ["LanguageModel", "Perplexity", "SentenceLogProbs", "SentenceSurprisal", "SurprisalRow", "WordScore"]
