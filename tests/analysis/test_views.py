"""The numbers of pictures and page, against scikit-learn and against the model asked directly."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity

from numpy_elmo import Elmo, LanguageModel
from numpy_elmo.analysis import views
from numpy_elmo.errors import InputError
from tests.agreement.tensorflow_outputs import FIXTURES


def test_similarities_of_two_sentences_are_scikit_learns(base: Elmo) -> None:
    one, other = base.embed([["rain", "fell", "."], ["the", "sun", "shone", "again"]])
    for others in (one, other):
        found = views.similarities(one, others)
        assert found.shape == (base.n_layers + 1, 3, others.shape[1])
        for layer in range(base.n_layers + 1):
            np.testing.assert_allclose(found[layer], cosine_similarity(one[layer], others[layer]), atol=1e-5)
    np.testing.assert_array_equal(views.similarities(one), views.similarities(one, one))
    assert views.similarities(np.zeros((2, 3))).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(InputError, match="must have the shape"):
        views.similarities([1, 2])


@pytest.mark.parametrize("shape", [(400, 12), (9, 40)])
def test_the_plane_is_scikit_learns(shape: tuple[int, int]) -> None:
    X = np.random.default_rng(0).normal(size=shape) * np.linspace(3, 1, shape[1])
    plane, pca = views.principal_plane(X, 3), PCA(3).fit(X)
    np.testing.assert_allclose(plane.shares, pca.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(np.abs(plane.project(X)), np.abs(pca.transform(X)), atol=1e-9)
    for axis in plane.axes:
        assert axis[np.abs(axis).argmax()] > 0


def test_equal_vectors_have_no_plane() -> None:
    for X in (np.ones((5, 4)), np.zeros((5, 4))):
        with pytest.raises(InputError, match="knows no context"):
            views.principal_plane(X)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_clusters_are_as_tight_as_scikit_learns(k: int) -> None:
    rng = np.random.default_rng(k)
    X = rng.normal(size=(150, 4)) + 2.5 * rng.normal(size=(4, 4))[rng.integers(4, size=150)]

    def spread(labels: np.ndarray) -> float:
        return float(sum(((X[labels == c] - X[labels == c].mean(axis=0)) ** 2).sum() for c in set(labels)))

    found = views.clusters(X, k)
    sizes = np.bincount(found, minlength=k)
    assert sizes.tolist() == sorted(sizes, reverse=True)
    assert sizes.min() > 0
    # Seen: equal; after one step only, 1.06 times or more.
    assert spread(found) <= 1.02 * KMeans(k, n_init=8, random_state=0).fit(X).inertia_
    np.testing.assert_array_equal(found, views.clusters(X, k))


def test_clusters_that_lie_apart_are_found_and_equal_points_do_no_harm() -> None:
    X = np.array([[0, 0], [9, 9], [0, 1], [1, 0], [9, 8]])
    assert views.clusters(X, 2).tolist() == [0, 1, 0, 0, 1]
    assert views.clusters(np.ones((4, 2)), 3).max() == 0
    with pytest.raises(InputError, match="5 points cannot be divided into 6"):
        views.clusters(X, 6)


def test_expected_words_are_what_the_model_says_at_the_three_places() -> None:
    model = LanguageModel.load(FIXTURES / "language_model")
    tokens = ["the", "rain", "fell"]
    found = views.expected(model, tokens, 1, 4)
    for words, direct in (
        (found.before, model.previous_words(["rain", "fell"], 5)),
        (found.after, model.next_words(["the", "rain"], 5)),
    ):
        assert words == [pair for pair in direct if pair[0] != "<UNK>"][:4]
    assert found.in_place == model.substitutes(tokens, 1, 4, combine="product")
    assert views.expected(model, tokens, 1, 5, unknown=True).after == model.next_words(["the", "rain"], 5)
    with pytest.raises(InputError, match="no token 3"):
        views.expected(model, tokens, 3)


def test_gates_need_a_layer_that_has_some(base: Elmo) -> None:
    trace = base.trace(["rain", "fell"])
    with pytest.raises(InputError, match="not in layer 0"):
        views.gate_values(trace, layer=0)
    found = views.gate_values(trace, direction="backward", layer=-1, n_units=1000)
    expected = trace[f"backward.{base.n_layers - 1}.forget_gate"]
    assert len(found.units) == expected.shape[1]
    np.testing.assert_array_equal(found.values["forget_gate"], expected)


@pytest.mark.parametrize(
    ("position", "width", "shown"),
    [
        (0, 100, ("", "b c d e")),
        (2, 1, ("…", "…")),
        (2, 5, ("… b", "d …")),
        (4, 3, ("… d", "")),
    ],
)
def test_contexts_are_cut_on_both_sides(position: int, width: int, shown: tuple[str, str]) -> None:
    assert views.context(["a", "b", "c", "d", "e"], position, width) == shown


def test_of_a_sentence_without_context_all_is_shown() -> None:
    assert views.context(["bank"], 0) == ("", "")
