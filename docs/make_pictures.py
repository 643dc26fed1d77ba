"""Make the pictures of the pages and of the README: ``python docs/make_pictures.py``.

Every picture is made twice, for light and for dark pages.  Those of "ELMo, line by line" are in ``book_pictures.py``,
those of the gallery in ``gallery_pictures.py``.
"""

from __future__ import annotations

from pathlib import Path

import book_pictures
import gallery_pictures
from matplotlib.figure import Figure

from numpy_elmo import LanguageModel
from numpy_elmo.analysis import plots
from numpy_elmo.analysis.plots import Theme

IMAGES = Path(__file__).parent / "images"


def pictures(theme: Theme) -> dict[str, Figure]:
    """Return all pictures by name."""
    model = LanguageModel.load("tiny")
    return {
        **book_pictures.pictures(model.elmo, theme),
        **gallery_pictures.pictures(model, theme),
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
