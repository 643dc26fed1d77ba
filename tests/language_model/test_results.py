"""Results are short to look at."""

from __future__ import annotations

from numpy_elmo.language_model import LanguageModel
from tests.language_model.conftest import SENTENCES


def test_results_are_short_to_look_at(made: LanguageModel) -> None:
    [scores] = made.log_probs([["the", "bank"]])
    total = scores.forward.sum() + scores.end
    assert repr(scores).startswith(f"<SentenceLogProbs: 2 tokens, log p {total:.2f} forward, ")
    found = made.perplexity(SENTENCES)
    assert repr(found).startswith(f"<Perplexity: {found.average:.2f} (forward {found.forward:.2f}, ")
