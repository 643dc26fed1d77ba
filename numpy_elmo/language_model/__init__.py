"""ELMo as what it was trained to be: a language model in both directions, with the softmax that is published apart."""

from numpy_elmo.language_model.model import LanguageModel
from numpy_elmo.language_model.results import Perplexity, SentenceLogProbs, WordScore
from numpy_elmo.language_model.surprisal import SentenceSurprisal, SurprisalRow

__all__ = ["LanguageModel", "Perplexity", "SentenceLogProbs", "SentenceSurprisal", "SurprisalRow", "WordScore"]
