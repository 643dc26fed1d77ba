"""Make the pictures of the pages and of the README: ``python docs/make_pictures.py``.

Every picture is made twice, for light and for dark pages.  Those of "ELMo, line by line" are in ``book_pictures.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import book_pictures
from matplotlib.figure import Figure

import numpy_elmo
from numpy_elmo import LanguageModel
from numpy_elmo.analysis import plots
from numpy_elmo.analysis.plots import Theme

IMAGES = Path(__file__).parent / "images"
SENSES = Path(__file__).parent.parent / "weights" / "senses.json"


def pictures(theme: Theme) -> dict[str, Figure]:
    """Return all pictures by name."""
    elmo, model = numpy_elmo.load("tiny"), LanguageModel.load("tiny")
    senses = json.loads(SENSES.read_text(encoding="utf-8"))["bank"]
    sentences = [(sense, text.split()) for sense, texts in senses.items() for text in texts]
    return book_pictures.pictures(elmo, theme) | {
        "senses": plots.senses(
            elmo, "bank", [tokens for _, tokens in sentences], groups=[sense for sense, _ in sentences], theme=theme
        ),
        "next": plots.next_words(model, ["On", "Saturdays", "the", "older", "boys", "like", "to", "hang"], theme=theme),
    }


def main() -> None:
    """Write the pictures."""
    IMAGES.mkdir(exist_ok=True)
    themes: tuple[Theme, Theme] = ("light", "dark")
    for theme in themes:
        for name, figure in pictures(theme).items():
            plots.save(figure, IMAGES / f"{name}-{theme}.png", overwrite=True)


if __name__ == "__main__":
    main()
