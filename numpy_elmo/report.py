"""What happened to the tokens of a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy_elmo.network.characters import is_cut


@dataclass
class CorpusReport:
    """Counts of a run over a corpus; it grows while the run goes on.

    Attributes
    ----------
    n_sentences : int
        Sentences whose vectors were made.
    n_tokens : int
        Their tokens.
    n_cut_tokens : int
        Tokens that have more bytes than the model reads (48, and two marks, for all published ones): their vectors
        are those of their beginnings, as in the published code.
    first_cut : tuple of (int, int) or None
        Sentence and place in it of the first such token, both from 0.
    """

    n_sentences: int = 0
    n_tokens: int = 0
    n_cut_tokens: int = 0
    first_cut: tuple[int, int] | None = None

    def add(self, sentence: Sequence[str], max_characters: int) -> None:
        """Count a sentence.

        Parameters
        ----------
        sentence : sequence of str
            Its tokens.
        max_characters : int
            The model's ``max_characters_per_token``.
        """
        for place, token in enumerate(sentence):
            if is_cut(token, max_characters):
                self.first_cut = self.first_cut or (self.n_sentences, place)
                self.n_cut_tokens += 1
        self.n_sentences += 1
        self.n_tokens += len(sentence)
