"""The transformer of scikit-learn: its own checks, its tools around the vectorizer, and a task that learns."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, permutation_test_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import validate_data

from numpy_elmo import Elmo, ScalarMix, load
from numpy_elmo.errors import InputError, InputTypeError, ModelNotFoundError
from numpy_elmo.interfaces import sklearn as module
from numpy_elmo.interfaces.sklearn import ElmoVectorizer
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL

TEXTS = ["They sat on the river bank .", "", "The bank  lent\tmoney .", "money"]
N_LAYERS = 3


@pytest.fixture(scope="module")
def tiny() -> Elmo:
    return load("tiny")


@pytest.fixture(scope="module")
def topics() -> tuple[list[str], list[str]]:
    by_topic = json.loads((FIXTURES / "topics" / "sentences.json").read_text(encoding="utf-8"))
    pairs = [(sentence, topic) for topic, sentences in by_topic.items() for sentence in sentences]
    return [sentence for sentence, _ in pairs], [topic for _, topic in pairs]


# -- scikit-learn's own checks -----------------------------------------------------------------------------------------


class NumberVectorizer(ElmoVectorizer):
    """The vectorizer behind rows of numbers, which are what the checks feed to estimators.

    The checks skip an estimator that takes texts.  Here the numbers of a row, rounded, become the tokens of a text, and
    nothing else of the vectorizer changes.
    """

    def fit(self, X: Any, y: object = None) -> NumberVectorizer:
        validate_data(self, X, dtype=np.float64)
        super().fit([])
        return self

    def transform(self, X: Any) -> Any:
        checked = validate_data(self, X, dtype=np.float64, reset=False)
        return super().transform([" ".join(f"{number:.1f}" for number in row) for row in checked])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = False
        tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags


RUN_CHECKS = """
import json, warnings
from numpy_elmo import load
from sklearn.utils.estimator_checks import check_estimator
from tests.interfaces.test_sklearn import ElmoVectorizer, NumberVectorizer
warnings.simplefilter("ignore")
# One check compares the vectors of a few rows with those of all to 1e-4 of each number, also of numbers near zero.
numbers = NumberVectorizer(load("tiny", reproducible=True))
results = [r for e in (numbers, ElmoVectorizer()) for r in check_estimator(e, on_skip=None, on_fail=None)]
print(json.dumps([[r["check_name"], r["status"], repr(r["exception"])] for r in results]))
"""


def test_every_check_of_scikit_learn_passes_and_none_is_skipped() -> None:
    # One of the checks skips unless SciPy is imported with this set.
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", RUN_CHECKS]
    output = subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True).stdout
    results = json.loads(output)
    assert [result for result in results if result[1] != "passed"] == []
    assert len(results) >= 40
    assert {name for name, _, _ in results} >= {
        "check_transformer_general",
        "check_transformers_unfitted_stateless",
        "check_methods_subset_invariance",
        "check_estimators_pickle",
        "check_dict_unchanged",
        "check_fit_idempotent",
        "check_set_params",
        "check_pipeline_consistency",
        "check_array_api_input",
    }


# -- texts in, vectors out ---------------------------------------------------------------------------------------------


def test_a_text_is_pooled_from_its_tokens_and_an_empty_one_is_zero(tiny: Elmo) -> None:
    found = ElmoVectorizer(layers="top").transform(TEXTS)
    assert found.shape == (4, tiny.vector_size)
    assert found.dtype == np.float32
    for text, row in zip(TEXTS, found, strict=True):
        [vectors] = tiny.embed([text.split()], layers="top")
        np.testing.assert_allclose(row, vectors.mean(axis=0) if text else 0 * row, rtol=0, atol=5e-6)


def test_all_layers_stand_one_after_the_other(tiny: Elmo) -> None:
    found = ElmoVectorizer(layers="all", pooling="last").fit_transform(TEXTS[:1])
    [layers] = tiny.embed([TEXTS[0].split()])
    np.testing.assert_allclose(found[0], np.concatenate([layer[-1] for layer in layers]), rtol=0, atol=1e-6)


def test_no_texts_give_no_rows(tiny: Elmo) -> None:
    assert ElmoVectorizer().transform([]).shape == (0, tiny.vector_size)
    assert ElmoVectorizer(layers="all").transform(iter([])).shape == (0, N_LAYERS * tiny.vector_size)


@pytest.mark.parametrize(
    "texts",
    [
        iter(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object)[:, np.newaxis],
        pd.Series(TEXTS),
        pd.Series(TEXTS, dtype="string"),
        pd.DataFrame({"text": TEXTS}),
    ],
    ids=["generator", "array", "array with one column", "series", "series of strings", "table with one column"],
)
def test_texts_come_from_whatever_holds_them(texts: Any) -> None:
    np.testing.assert_array_equal(ElmoVectorizer().fit_transform(texts), ElmoVectorizer().transform(TEXTS))


def test_a_tokenizer_replaces_the_split_and_lists_of_tokens_go_through_list() -> None:
    expected = ElmoVectorizer().transform(["a b", "c"])
    np.testing.assert_array_equal(ElmoVectorizer(tokenizer=list).transform([["a", "b"], ["c"]]), expected)
    underscores = ElmoVectorizer(tokenizer=lambda text: text.split("_"))
    np.testing.assert_array_equal(underscores.transform(["a_b", "c"]), expected)


# -- scikit-learn's tools ----------------------------------------------------------------------------------------------


def test_pickles_hold_no_weights_and_clones_load_none_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "model", SMALL["base"])
    loads: list[str] = []

    def counting_load(source: str) -> Elmo:
        loads.append(source)
        return load(source)

    monkeypatch.setattr(module, "load", counting_load)
    fitted = make_pipeline(ElmoVectorizer(folder)).fit(TEXTS)
    expected = fitted.transform(TEXTS)
    pickled = pickle.dumps(fitted)
    assert len(pickled) < 2000
    monkeypatch.chdir(tmp_path)
    for other in (pickle.loads(pickled), clone(fitted).fit(TEXTS), ElmoVectorizer("model")):
        np.testing.assert_array_equal(other.transform(TEXTS), expected)
    assert loads == [str(folder)]


def test_a_loaded_model_is_shared_by_clones(tiny: Elmo) -> None:
    vectorizer = ElmoVectorizer(tiny, layers="top").set_output(transform="pandas")
    other = clone(vectorizer)
    assert other is not vectorizer
    assert other.model is tiny
    expected = ElmoVectorizer("tiny", layers="top").transform(TEXTS)
    np.testing.assert_array_equal(other.fit(TEXTS).transform(pd.Series(TEXTS)).to_numpy(), expected)
    other.set_params(layers=0)
    assert vectorizer.layers == "top"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(vectorizer)).transform(TEXTS).to_numpy(), expected)


def test_set_params_takes_effect_without_a_new_fit(tiny: Elmo) -> None:
    vectorizer = ElmoVectorizer().fit(TEXTS)
    vectorizer.set_params(layers="all", pooling="max")
    assert vectorizer.transform(TEXTS).shape == (4, N_LAYERS * tiny.vector_size)
    assert len(vectorizer.get_feature_names_out()) == N_LAYERS * tiny.vector_size


def test_output_can_be_a_table_with_names_and_the_index_of_the_texts(tiny: Elmo) -> None:
    table = pd.DataFrame({"text": TEXTS, "length": [7, 0, 5, 1]}, index=["w", "x", "y", "z"])
    vectorizer = ElmoVectorizer().set_output(transform="pandas")
    found = vectorizer.fit_transform(table["text"])
    assert list(found.index) == ["w", "x", "y", "z"]
    assert list(found.columns) == [f"elmovectorizer{k}" for k in range(tiny.vector_size)]
    assert list(found.columns) == list(vectorizer.get_feature_names_out())
    columns = ColumnTransformer([("elmo", ElmoVectorizer(), "text"), ("rest", "passthrough", ["length"])])
    both = columns.set_output(transform="pandas").fit_transform(table)
    assert list(both.columns[[0, -1]]) == ["elmo__elmovectorizer0", "rest__length"]
    np.testing.assert_array_equal(both.to_numpy()[:, :-1], found.to_numpy())


@pytest.mark.slow
def test_a_grid_search_chooses_layers_and_pooling(topics: tuple[list[str], list[str]]) -> None:
    texts, labels = topics
    pipeline = Pipeline([("elmo", ElmoVectorizer()), ("classify", LogisticRegression(max_iter=1000))])
    grid = {"elmo__layers": ["average", ScalarMix([0.0, 1.0, 0.0])], "elmo__pooling": ["mean", "first"]}
    search = GridSearchCV(pipeline, grid, cv=StratifiedKFold(2, shuffle=True, random_state=0), error_score="raise")
    search.fit(pd.Series(texts), labels)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_params_["elmo__pooling"] == "mean"  # the first word is mostly "the"
    assert pickle.loads(pickle.dumps(search)).predict(texts[:2]).tolist() == search.predict(texts[:2]).tolist()


# -- a task that learns ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_classifier_learns_topics_that_chance_and_shuffled_labels_do_not_give(
    topics: tuple[list[str], list[str]],
) -> None:
    texts, labels = topics
    assert len(texts) == len(set(texts)) == 80
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    classifier = make_pipeline(ElmoVectorizer(), LogisticRegression(max_iter=1000))
    accuracy = cross_val_score(classifier, texts, labels, cv=folds).mean()
    majority = cross_val_score(DummyClassifier(strategy="most_frequent"), texts, labels, cv=folds).mean()
    # The vectors do not depend on the labels, so they are made once for all shuffles.
    vectors = ElmoVectorizer().transform(texts)
    same, shuffled, _ = permutation_test_score(
        LogisticRegression(max_iter=1000), vectors, labels, cv=folds, n_permutations=20, random_state=0
    )
    assert same == pytest.approx(accuracy)
    assert majority == 0.5
    assert accuracy >= 0.8
    assert shuffled.mean() == pytest.approx(majority, abs=0.05)
    assert accuracy > shuffled.max() + 0.05


# -- errors ------------------------------------------------------------------------------------------------------------


def test_one_string_is_not_taken_for_texts() -> None:
    for method in (ElmoVectorizer().fit, ElmoVectorizer().transform, ElmoVectorizer().fit_transform):
        with pytest.raises(InputTypeError, match=r"not one string: give \[text\]"):
            method("a text")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "text 1 of X must be a string, not NoneType.*fill missing texts"),
        (float("nan"), r"text 1 of X must be a string, not float \(nan\); fill missing texts"),
        (["a", "list"], r"not list \(\['a', 'list'\]\).*tokenizer=list"),
    ],
)
def test_what_is_no_text_is_named_with_its_row(text: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        ElmoVectorizer().transform(["a", text])


def test_a_table_of_several_columns_is_an_error_that_says_how_to_choose() -> None:
    table = pd.DataFrame({"text": TEXTS, "length": [7, 0, 5, 1]})
    with pytest.raises(InputError, match=r"X has 2 columns.*ColumnTransformer"):
        ElmoVectorizer().transform(table)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"model": "no such model"}, ModelNotFoundError, "no such"),
        ({"model": 3}, InputTypeError, "model must be a path, a model's name or a loaded Elmo, not int"),
        ({"layers": "bottom"}, InputError, "layers must be"),
        ({"pooling": "median"}, InputError, "pooling must be"),
        ({"batch_size": 0}, InputError, "batch_size must be"),
    ],
)
def test_bad_parameters_are_found_when_fitting(
    parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ElmoVectorizer(**parameters).fit(TEXTS)


def test_without_scikit_learn_the_remedy_is_named() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import numpy_elmo.interfaces.sklearn"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError" in result.stderr
    assert "pip install 'numpy_elmo[sklearn]'" in result.stderr
