"""What a picture shows is what the model computes, and text in it can be read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from sklearn.decomposition import PCA

from numpy_elmo import Elmo, LanguageModel, load
from numpy_elmo.analysis import plots
from numpy_elmo.analysis.plots import Theme
from numpy_elmo.errors import InputError, InputTypeError, OutputError

SENTENCES = [
    ["He", "took", "the", "money", "to", "the", "bank", "."],
    ["The", "river", "bank", "was", "steep", "."],
    ["A", "bank", "is", "not", "a", "bank", "of", "sand", "."],
    ["There", "is", "none", "here", "."],
    ["We", "sat", "on", "the", "bank", "and", "ate", "."],
]
TOKENS = ["It", "cost", "$", "5", "or", "$", "6", "."]


@pytest.fixture(scope="module")
def elmo() -> Elmo:
    return load("tiny")


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel.load("tiny")


def points(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(c.get_offsets()) for c in figure.axes[0].collections if isinstance(c, PathCollection)]


def numbers(figure: Figure) -> list[Annotation]:
    return [text for text in figure.axes[0].texts if isinstance(text, Annotation)]


def test_senses_are_the_principal_components_of_every_occurrence(elmo: Elmo) -> None:
    figure = plots.senses(elmo, "bank", SENTENCES, layer=1)
    places = [(0, 6), (1, 2), (2, 1), (2, 5), (4, 4)]
    vectors = np.stack([elmo.embed([SENTENCES[i]], layers=1)[0][j] for i, j in places])
    pca = PCA(2).fit(vectors)
    [found] = points(figure)
    expected = pca.transform(vectors)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, rtol=1e-4, atol=1e-4)
    assert f"({pca.explained_variance_ratio_[0]:.0%} of the variance)" in figure.axes[0].get_xlabel()
    assert f"({pca.explained_variance_ratio_[1]:.0%})" in figure.axes[0].get_ylabel()
    assert figure.axes[0].get_title() == "“bank” in 5 places, layer 1"
    assert [text.get_text() for text in numbers(figure)] == ["1", "2", "3", "4", "5"]
    np.testing.assert_array_equal([text.xy for text in numbers(figure)], found)
    shown = [text.get_text() for text in figure.axes[1].texts]
    assert shown[1::2] == [" ".join(SENTENCES[i]) for i, _ in places]


def test_groups_have_a_colour_and_a_mark_each(elmo: Elmo) -> None:
    figure = plots.senses(elmo, "bank", SENTENCES, groups=["money", "river", "both", "none", "river"])
    assert [len(group) for group in points(figure)] == [1, 2, 2]
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["money", "river", "both"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_numbers_of_near_points_do_not_cover_each_other(elmo: Elmo, theme: Theme) -> None:
    sentences = [["The", "bank", "was", "very", *["very"] * n, "far", "away", "."] for n in range(16)]
    figure = plots.senses(elmo, "bank", sentences, theme=theme)
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in numbers(figure)]
    assert len(boxes) == 16
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]


@pytest.mark.slow
def test_of_many_occurrences_some_have_numbers_and_the_others_are_faint(elmo: Elmo) -> None:
    sentences = [[str(n), "bank", "."] for n in range(100)]
    figure = plots.senses(elmo, "bank", sentences)
    faint, strong = points(figure)
    assert (len(faint), len(strong)) == (76, 24)
    assert figure.axes[0].collections[0].get_alpha() == 0.3
    np.testing.assert_array_equal([text.xy for text in numbers(figure)], strong)
    shown = [text.get_text() for text in figure.axes[1].texts][1::2]
    assert len(shown) == 24
    # Each shown sentence belongs to its point, and those furthest to the left and right are among them.
    vectors = np.stack([vectors[1] for vectors in elmo.embed(sentences, layers="top")])
    expected = PCA(2).fit_transform(vectors)
    rows = [int(text.split()[0]) for text in shown]
    np.testing.assert_allclose(np.abs(strong), np.abs(expected[rows]), rtol=1e-3, atol=1e-4)
    assert {int(expected[:, 0].argmin()), int(expected[:, 0].argmax())} <= set(rows)


def test_long_sentences_are_cut_around_the_word(elmo: Elmo) -> None:
    figure = plots.senses(elmo, "bank", [[*["before"] * n, "bank", *["after"] * 20] for n in (0, 10, 20)])
    shown = [text.get_text() for text in figure.axes[1].texts][1::2]
    assert all("bank" in text and len(text) < 64 for text in shown)
    assert [text.startswith("… ") for text in shown] == [False, True, True]
    assert shown[2].count("before") in (shown[2].count("after"), shown[2].count("after") + 1)
    assert all(text.endswith(" …") for text in shown)


def test_similarity_shows_the_cosines_of_every_layer(elmo: Elmo) -> None:
    figure = plots.similarity(elmo, TOKENS)
    [vectors] = elmo.embed([TOKENS])
    for layer, axes in enumerate(figure.axes[:3]):
        for i, j in ((0, 0), (2, 5), (1, 7)):
            u, v = vectors[layer, i].astype(float), vectors[layer, j].astype(float)
            shown = np.asarray(axes.images[0].get_array())[i, j]
            assert shown == pytest.approx(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)), abs=1e-5)
        assert axes.images[0].get_clim() == figure.axes[0].images[0].get_clim()
        assert [label.get_text() for label in axes.get_xticklabels()] == [t.replace("$", r"\$") for t in TOKENS]
    assert [axes.get_title() for axes in figure.axes[:3]] == ["layer 0 (tokens)", "layer 1", "layer 2"]


@pytest.mark.parametrize(("direction", "layer"), [("forward", 1), ("backward", 2), ("forward", -1)])
def test_gates_are_those_of_the_trace(elmo: Elmo, direction: str, layer: int) -> None:
    figure = plots.gates(elmo, TOKENS, direction=cast("Any", direction), layer=layer, n_units=5)
    trace = elmo.trace(TOKENS)
    lstm = (layer - 1) % elmo.n_layers if layer > 0 else elmo.n_layers - 1
    cell = trace[f"{direction}.{lstm}.cell"]
    units = [int(label.get_text()) for label in figure.axes[0].get_yticklabels()]
    assert set(units) == set(np.argsort(cell.var(axis=0))[-5:])
    for axes, name in zip(figure.axes[:4], ["input_gate", "forget_gate", "output_gate", "cell"], strict=True):
        assert axes.get_title() == name.replace("_", " ")
        np.testing.assert_array_equal(axes.images[0].get_array(), trace[f"{direction}.{lstm}.{name}"][:, units].T)


def test_bars_are_the_probabilities_of_the_next_words(model: LanguageModel) -> None:
    figure = plots.next_words(model, ["They", "like", "to", "hang"], 4)
    expected = [pair for pair in model.next_words(["They", "like", "to", "hang"], 5) if pair[0] != "<UNK>"][:4]
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([np.exp(p) for _, p in expected])  # type: ignore[attr-defined]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [word for word, _ in expected]
    assert figure.axes[0].yaxis_inverted()
    assert plots.next_words(model, []).axes[0].get_title() == "How sentences begin"


def test_an_array_of_a_trace_is_shown_as_it_is(elmo: Elmo) -> None:
    trace = elmo.trace(TOKENS)
    image = plots.trace_array(trace, TOKENS, "token_vectors").axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), trace["token_vectors"])
    low, high = image.get_clim()
    assert low == -high == -np.abs(trace["token_vectors"]).max()
    assert plots.trace_array(trace, TOKENS, "highway.0.gate").axes[0].images[0].get_clim()[0] == 0


def luminance(colour: object) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(elmo: Elmo, model: LanguageModel, theme: Theme) -> None:
    trace = elmo.trace(TOKENS)
    for figure in (
        plots.senses(elmo, "bank", SENTENCES, theme=theme),
        plots.similarity(elmo, TOKENS, theme=theme),
        plots.gates(elmo, TOKENS, theme=theme),
        plots.next_words(model, TOKENS, theme=theme),
        plots.trace_array(trace, TOKENS, "token_vectors", theme=theme),
    ):
        figure.draw_without_rendering()
        behind = luminance(figure.get_facecolor())
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            bright, dark = sorted([luminance(text.get_color()), behind], reverse=True)
            assert (bright + 0.05) / (dark + 0.05) >= 7, text
        titles = [axes.get_title() for axes in figure.axes]
        assert any(titles)


@pytest.mark.slow
def test_saved_pictures_are_the_same_every_time(tmp_path: Path, model: LanguageModel) -> None:
    for name, start in (("a.png", b"\x89PNG"), ("a.SVG", b"<?xml")):
        contents = []
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir(exist_ok=True)
            plots.save(plots.next_words(model, ["the"]), tmp_path / folder / name)
            contents.append((tmp_path / folder / name).read_bytes())
        assert contents[0] == contents[1]
        assert contents[0].startswith(start)
    with pytest.raises(OutputError, match="exists already"):
        plots.save(Figure(), tmp_path / "one" / "a.png")
    with pytest.raises(InputError, match=r"PNG or SVG"):
        plots.save(Figure(), tmp_path / "a.pdf")
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["a.SVG", "a.SVG", "a.png", "a.png"]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda elmo: plots.senses(elmo, "river", SENTENCES), "3 occurrences of 'river', and found 1"),
        (lambda elmo: plots.senses(elmo, "bank", SENTENCES, layer=0), "knows no context"),
        (lambda elmo: plots.senses(elmo, "bank", SENTENCES, layer=3), "no layer 3"),
        (lambda elmo: plots.senses(elmo, "bank", SENTENCES, groups=["a"]), "5 sentences and 1 groups"),
        (lambda elmo: plots.senses(elmo, "bank", SENTENCES, theme=cast("Any", "grey")), "theme must be"),
        (lambda elmo: plots.similarity(elmo, []), "no tokens"),
        (lambda elmo: plots.gates(elmo, TOKENS, layer=0), "not in layer 0"),
        (lambda elmo: plots.gates(elmo, TOKENS, layer=3), "not in layer 3"),
        (lambda elmo: plots.gates(elmo, TOKENS, direction=cast("Any", "up")), "direction must be"),
        (lambda elmo: plots.gates(elmo, TOKENS, n_units=0), "n_units must be a positive"),
        (lambda elmo: plots.trace_array(elmo.trace(TOKENS), TOKENS, "tokens"), "no array 'tokens'"),
        (lambda elmo: plots.trace_array(elmo.trace(TOKENS), TOKENS, "layers"), "shape"),
        (lambda elmo: plots.trace_array(elmo.trace(TOKENS), ["a"], "token_vectors"), "shape"),
    ],
)
def test_what_cannot_be_drawn_is_named(elmo: Elmo, draw: Callable[[Elmo], Figure], message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw(elmo)


def test_strings_in_place_of_tokens_are_refused(elmo: Elmo, model: LanguageModel) -> None:
    with pytest.raises(InputTypeError):
        plots.similarity(elmo, "the bank")
    with pytest.raises(InputTypeError):
        plots.gates(elmo, "the bank")
    with pytest.raises(InputTypeError):
        plots.next_words(model, "the bank")
    with pytest.raises(InputTypeError):
        plots.senses(elmo, "bank", ["the bank"])


def test_without_matplotlib_the_remedy_is_named() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; from numpy_elmo.cli import main;"
        "sys.exit(main(['plot', 'similarity', 'the bank']))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "numpy-elmo: error: pictures need matplotlib: pip install 'numpy_elmo[plot]'\n"


def test_pictures_leave_matplotlibs_global_state_alone() -> None:
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy();"
        "from numpy_elmo import load; from numpy_elmo.analysis import plots;"
        "plots.similarity(load('tiny'), ['a', 'b']);"
        "assert 'matplotlib.pyplot' not in sys.modules; assert matplotlib.rcParams.copy() == before"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
