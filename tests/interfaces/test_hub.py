"""The interface of TF-Hub's google/elmo against TensorFlow, and against what its page says."""

from __future__ import annotations

import json
import textwrap
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from numpy_elmo.errors import InputError, InputTypeError, ModelNotFoundError
from numpy_elmo.interfaces import hub
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL

TOLERANCE = 2e-6

RECORD = json.loads((FIXTURES / "interfaces_hub" / "record.json").read_text(encoding="utf-8"))
ROOT = Path(__file__).parents[2]
NAMES = ["word_emb", "lstm_outputs1", "lstm_outputs2", "elmo", "default", "sequence_len"]
SENTENCES = ["the cat is on the mat", "dogs are in the fog"]


@pytest.fixture(scope="module")
def tensorflow() -> dict[str, Any]:
    with np.load(FIXTURES / "interfaces_hub" / "hub.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def elmo() -> hub.Module:
    return hub.Module(FIXTURES / "base", trainable=True)


def train(elmo: hub.Module) -> None:
    elmo.aggregation_weights = RECORD["aggregation"]["weights"]
    elmo.aggregation_scaling = RECORD["aggregation"]["scaling"]


def assert_is_tensorflows(outputs: Any, tensorflow: dict[str, Any], name: str) -> None:
    assert list(outputs) == NAMES
    for key, array in outputs.items():
        expected = tensorflow[f"{name}/{key}"]
        assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(array, expected, rtol=0, atol=TOLERANCE)


# -- vectors ---------------------------------------------------------------------------------------------------------


def test_strings_give_tensorflows_vectors_in_any_order_of_calls(elmo: hub.Module, tensorflow: dict[str, Any]) -> None:
    for k in (0, 1, 2, 0):
        assert_is_tensorflows(elmo(RECORD["calls"][k], as_dict=True), tensorflow, f"default/{k}/initial")
    train(elmo)
    for k in (2, 0, 1):
        outputs = elmo(RECORD["calls"][k], signature="default", as_dict=True)
        assert_is_tensorflows(outputs, tensorflow, f"default/{k}/trained")


def test_tokens_give_tensorflows_vectors(elmo: hub.Module, tensorflow: dict[str, Any]) -> None:
    assert_is_tensorflows(elmo(RECORD["tokens"], "tokens", True), tensorflow, "tokens/initial")
    train(elmo)
    arrays = {key: np.array(values) for key, values in RECORD["tokens"].items()}
    assert_is_tensorflows(elmo(inputs=arrays, signature="tokens", as_dict=True), tensorflow, "tokens/trained")


def test_what_stands_beyond_the_length_is_not_looked_at_and_has_zeros(elmo: hub.Module) -> None:
    tokens, length = ["dogs", "are", "in", "the", "fog"], 2
    found = elmo({"tokens": [tokens], "sequence_len": [length]}, "tokens", True)
    expected = elmo([" ".join(tokens[:length])], as_dict=True)
    for name in ("word_emb", "lstm_outputs1", "lstm_outputs2", "elmo"):
        assert found[name].shape[:2] == (1, 5)
        np.testing.assert_array_equal(found[name][:, :length], expected[name])
        assert not found[name][:, length:].any()
    np.testing.assert_array_equal(found["default"], expected["default"])


@pytest.mark.parametrize("padding", [None, float("nan"), b"", 0])
def test_padding_may_be_anything(elmo: hub.Module, padding: Any) -> None:
    tokens = [["dogs", "are", "in"], ["fog", padding, padding]]
    expected = elmo({"tokens": [tokens[0], ["fog", "", ""]], "sequence_len": [3, 1]}, "tokens", True)
    for table in (tokens, np.array(tokens, dtype=object), pd.DataFrame(tokens)):
        found = elmo({"tokens": table, "sequence_len": [3, 1]}, "tokens", True)
        np.testing.assert_array_equal(found["elmo"], expected["elmo"])
    if not isinstance(padding, bytes):
        with pytest.raises(InputTypeError, match="sentence 1, token 1 must be a string"):
            elmo({"tokens": tokens, "sequence_len": [3, 2]}, "tokens")


def test_the_mean_is_computed_without_padding_a_corpus(elmo: hub.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [*["rain fell"] * 50, "rain " * 300]
    expected = elmo(sentences, as_dict=True)["elmo"]
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr(hub, "pad_vectors", lambda vectors, shape: shapes.append(shape))
    default = elmo(sentences)
    np.testing.assert_array_equal(elmo(sentences, as_dict=True)["default"], default)
    assert shapes == []
    np.testing.assert_allclose(default[0], expected[0, :2].mean(axis=0), rtol=0, atol=1e-6)
    np.testing.assert_allclose(default[-1], expected[-1].mean(axis=0), rtol=0, atol=1e-6)
    tracemalloc.start()
    elmo(sentences)
    assert tracemalloc.get_traced_memory()[1] < expected.nbytes  # of one padded layer
    tracemalloc.stop()


def test_outputs_are_a_mapping(elmo: hub.Module) -> None:
    outputs = elmo(SENTENCES, as_dict=True)
    assert list(outputs) == NAMES
    assert len(outputs) == 6
    assert "elmo" in outputs
    assert (
        repr(outputs) == "<Outputs: word_emb, lstm_outputs1, lstm_outputs2, elmo, default, sequence_len of 2 sentences>"
    )
    with pytest.raises(KeyError, match="lstm_outputs3"):
        outputs["lstm_outputs3"]


def test_without_as_dict_the_default_output_comes(elmo: hub.Module) -> None:
    outputs = elmo(SENTENCES, as_dict=True)
    for found in (elmo(SENTENCES), elmo(SENTENCES, signature="default", as_dict=False)):
        np.testing.assert_array_equal(found, outputs["default"])
    np.testing.assert_allclose(outputs["default"][1], outputs["elmo"][1, :5].mean(axis=0), rtol=0, atol=1e-6)


def test_a_sentence_without_tokens_and_a_batch_without_sentences_have_shapes(elmo: hub.Module) -> None:
    outputs = elmo(["", "one", "  "], as_dict=True)
    assert outputs["sequence_len"].tolist() == [0, 1, 0]
    assert not outputs["default"][[0, 2]].any()
    assert outputs["default"][1].any()
    assert [array.shape for array in outputs.values()] == [
        (3, 1, 8),
        (3, 1, 16),
        (3, 1, 16),
        (3, 1, 16),
        (3, 16),
        (3,),
    ]
    empty = elmo({"tokens": [], "sequence_len": []}, "tokens", True)
    assert {name: array.shape for name, array in empty.items()}["elmo"] == (0, 0, 16)


def test_a_model_with_three_layers_has_three_lstm_outputs(tmp_path: Path) -> None:
    elmo = hub.Module(write_model(tmp_path / "three", SMALL["three_layers"]))
    outputs = elmo(SENTENCES, as_dict=True)
    assert list(outputs) == [*NAMES[:3], "lstm_outputs3", *NAMES[3:]]
    layers = [np.concatenate([outputs["word_emb"]] * 2, axis=-1), *(outputs[f"lstm_outputs{k}"] for k in (1, 2, 3))]
    np.testing.assert_allclose(outputs["elmo"], np.mean(layers, axis=0), rtol=0, atol=1e-6)


# -- the aggregation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["elmo", "default"])
def test_the_gradient_is_the_slope_of_a_loss(elmo: hub.Module, output: Any) -> None:
    train(elmo)
    outputs = elmo(SENTENCES, as_dict=True)
    upstream = np.random.default_rng(1).normal(size=outputs[output].shape)
    by = elmo.gradient(outputs, upstream, output)

    def loss() -> float:
        found = elmo(SENTENCES, as_dict=True)
        return float((found[output].astype(np.float64) * upstream).sum())

    step, weights = 1e-2, elmo.aggregation_weights
    for k, one in enumerate(np.eye(3)):
        elmo.aggregation_weights = weights + step * one
        above = loss()
        elmo.aggregation_weights = weights - step * one
        np.testing.assert_allclose(by.weights[k], (above - loss()) / (2 * step), rtol=0, atol=1e-3)
    elmo.aggregation_weights = weights
    before = loss()
    elmo.aggregation_scaling = elmo.aggregation_scaling + 1
    np.testing.assert_allclose(by.gamma, loss() - before, rtol=0, atol=1e-4)


def test_the_aggregation_begins_as_the_average_and_can_be_set_where_it_is_trainable(elmo: hub.Module) -> None:
    assert elmo.aggregation_weights.tolist() == [0.0, 0.0, 0.0]
    assert elmo.aggregation_scaling == 1.0
    with pytest.raises(InputError, match="3 weights, not 2"):
        elmo.aggregation_weights = [0.0, 0.0]
    with pytest.raises(InputError, match="finite"):
        elmo.aggregation_scaling = float("nan")
    fixed = hub.Module(FIXTURES / "base")
    with pytest.raises(InputError, match="trainable=True"):
        fixed.aggregation_weights = [0.0, 0.0, 0.0]
    with pytest.raises(InputError, match="trainable=True"):
        fixed.aggregation_scaling = 2.0
    with pytest.raises(InputError, match="trainable=True"):
        fixed.gradient({}, np.zeros(1))
    with pytest.raises(InputError, match='"elmo" or "default"'):
        elmo.gradient({}, np.zeros(1), "word_emb")  # type: ignore[arg-type]


# -- what the module says of itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", [None, "default", "tokens"])
def test_the_outputs_are_as_announced(elmo: hub.Module, signature: str | None) -> None:
    info = elmo.get_output_info_dict(signature)
    outputs = elmo(SENTENCES, as_dict=True)
    assert {name: what.get_shape() for name, what in info.items()} == {
        "word_emb": (None, None, 8),
        "lstm_outputs1": (None, None, 16),
        "lstm_outputs2": (None, None, 16),
        "elmo": (None, None, 16),
        "default": (None, 16),
        "sequence_len": (None,),
    }
    assert {name: what.dtype for name, what in info.items()} == {k: array.dtype for k, array in outputs.items()}


def test_signatures_and_their_inputs_have_names(elmo: hub.Module) -> None:
    assert elmo.get_signature_names() == ["default", "tokens"]
    assert elmo.get_input_info_dict()["default"].get_shape() == (None,)
    tokens = elmo.get_input_info_dict("tokens")
    assert {name: what.get_shape() for name, what in tokens.items()} == {
        "tokens": (None, None),
        "sequence_len": (None,),
    }


def test_a_loaded_module_has_the_same_signatures(elmo: hub.Module) -> None:
    loaded = hub.load(FIXTURES / "base")
    assert list(loaded.signatures) == elmo.get_signature_names()
    for found, expected in (
        (loaded.signatures["default"](SENTENCES), elmo(SENTENCES, as_dict=True)),
        (loaded.signatures["tokens"](**RECORD["tokens"]), elmo(RECORD["tokens"], "tokens", True)),
    ):
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)


# -- TensorFlow's ways -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        [text.encode() for text in SENTENCES],
        np.array(SENTENCES, dtype="S"),
        np.array([text.encode() for text in SENTENCES], dtype=object),
        {"default": SENTENCES},
    ],
    ids=["bytes", "array of bytes", "array of bytes as objects", "named"],
)
def test_texts_may_be_bytes(elmo: hub.Module, texts: Any) -> None:
    expected = elmo(SENTENCES, as_dict=True)["elmo"]
    np.testing.assert_array_equal(elmo(texts, as_dict=True)["elmo"], expected)
    loaded = hub.load(FIXTURES / "base")
    np.testing.assert_array_equal(loaded.signatures["default"](texts)["elmo"].numpy(), expected)


def test_tokens_may_be_bytes(elmo: hub.Module) -> None:
    tokens = np.array([[b"the", "naïve".encode()], [b"dogs", b""]])
    found = elmo({"tokens": tokens, "sequence_len": [2, 1]}, "tokens", True)
    expected = elmo({"tokens": [["the", "naïve"], ["dogs", ""]], "sequence_len": [2, 1]}, "tokens", True)
    np.testing.assert_array_equal(found["elmo"], expected["elmo"])


def test_outputs_have_the_methods_of_tensors(elmo: hub.Module) -> None:
    outputs = elmo(SENTENCES, as_dict=True)
    for array in (*outputs.values(), elmo(SENTENCES)):
        assert type(array.numpy()) is np.ndarray
        assert array.get_shape() == array.shape
        assert array.get_shape()[-1].value == array.shape[-1]
    assert elmo.get_output_info_dict()["default"].get_shape()[-1].value == 16  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "mean",
    [
        lambda array: np.mean(array, 1),
        lambda array: array.mean(axis=1),
        lambda array: array.mean(-2),
        lambda array: np.average(array, axis=1),
        lambda array: np.mean(array, axis=(0, 1)),
        np.mean,
    ],
)
def test_a_mean_over_padding_warns_and_names_default(elmo: hub.Module, mean: Any) -> None:
    outputs = elmo(SENTENCES, as_dict=True)
    with pytest.warns(UserWarning, match="includes the padding of shorter sentences; the output 'default'"):
        found = mean(outputs["elmo"])
    np.testing.assert_array_equal(found, mean(outputs["elmo"].numpy()))


@pytest.mark.filterwarnings("error")
def test_other_means_do_not_warn(elmo: hub.Module) -> None:
    outputs = elmo(SENTENCES, as_dict=True)
    np.mean(outputs["elmo"], axis=2)
    np.mean(outputs["default"])
    np.mean(outputs["elmo"][1, :5], axis=0)
    same = elmo(["two words", "of length"], as_dict=True)["elmo"]
    np.testing.assert_allclose(same.mean(axis=1), elmo(["two words", "of length"]), rtol=0, atol=1e-6)


def test_a_keras_layer_returns_one_output(elmo: hub.Module) -> None:
    layer = hub.KerasLayer(FIXTURES / "base", trainable=True, input_shape=[], dtype=str)
    np.testing.assert_array_equal(layer(SENTENCES), elmo(SENTENCES))
    layer = hub.KerasLayer(FIXTURES / "base", signature="tokens", output_key="elmo")
    np.testing.assert_array_equal(layer(RECORD["tokens"]), elmo(RECORD["tokens"], "tokens", True)["elmo"])
    with pytest.raises(InputError, match=r"output_key must be one of word_emb, .*, not 'sequence'"):
        hub.KerasLayer(FIXTURES / "base", output_key="sequence")
    with pytest.raises(InputError, match='signature must be "default" or "tokens"'):
        hub.KerasLayer(FIXTURES / "base", signature="serving_default")


@pytest.mark.parametrize("module", ["tensorflow.python.framework.ops", "keras.src.backend.common.keras_tensor"])
def test_symbolic_tensors_are_refused_with_what_to_do(elmo: hub.Module, module: str) -> None:
    symbolic = type("KerasTensor", (), {"__module__": module})()
    with pytest.raises(InputTypeError, match=r"symbolic tensor has no values yet.*give the texts or ids themselves"):
        elmo(symbolic)
    with pytest.raises(InputTypeError, match="symbolic tensor"):
        elmo({"tokens": symbolic, "sequence_len": [1]}, "tokens")


# Scripts for TensorFlow 1 as people published them.  Their lines with tensorflow and tensorflow_hub are the recipe's.
SCRIPTS = {
    "a session": """
        elmo = hub.Module("tiny", trainable=True)
        embeddings = elmo(texts, signature="default", as_dict=True)["elmo"]
        with tf.Session() as sess:
            sess.run([tf.global_variables_initializer(), tf.tables_initializer()])
            vectors = sess.run(embeddings)
    """,
    "a mean in batches": """
        elmo = hub.Module("tiny", trainable=True)
        def elmo_vectors(x):
            embeddings = elmo(x, signature="default", as_dict=True)["elmo"]
            with tf.Session() as sess:
                sess.run(tf.global_variables_initializer())
                sess.run(tf.tables_initializer())
                return sess.run(tf.reduce_mean(embeddings, 1))
        vectors = np.concatenate([elmo_vectors(texts[k : k + 1]) for k in range(2)])
    """,
    "a graph": """
        with tf.Graph().as_default():
            tf.logging.set_verbosity(tf.logging.ERROR)
            embed = hub.Module("tiny")
            outputs = embed(inputs={"tokens": tokens, "sequence_len": lengths}, signature="tokens", as_dict=True)
            session = tf.Session()
            session.run(tf.global_variables_initializer())
            session.run(tf.tables_initializer())
            vectors = session.run(outputs["elmo"])
            session.close()
    """,
    "several outputs": """
        elmo = hub.Module("tiny")
        outputs = elmo(texts, as_dict=True)
        sess = tf.Session(config=tf.ConfigProto())
        sess.run(tf.group(tf.global_variables_initializer(), tf.tables_initializer()))
        first, second = sess.run([outputs["lstm_outputs1"], outputs["lstm_outputs2"]])
        vectors = (first + second) / 2
    """,
    "a placeholder": """
        text_input = tf.placeholder(dtype=tf.string, shape=[None])
        elmo = hub.Module("tiny")
        encode = elmo.signature("default") if hasattr(elmo, "signature") else elmo
        with tf.Session() as session:
            session.run([tf.global_variables_initializer(), tf.tables_initializer()])
            vectors = session.run(encode(texts))
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_for_sessions_run_with_the_recipe(name: str) -> None:
    page = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    recipe = page[page.index("from unittest.mock") :].partition("```")[0]
    assert len(recipe.split("\n")) - recipe.count("\n\n") <= 15  # lines that are not blank
    tokens = [text.split() for text in SENTENCES]
    names: dict[str, Any] = {
        "np": np,
        "texts": SENTENCES,
        "tokens": [tokens[0], [*tokens[1], ""]],
        "lengths": [6, 5],
    }
    exec(recipe, names)
    exec(textwrap.dedent(SCRIPTS[name]), names)
    assert isinstance(names["vectors"], np.ndarray)
    assert names["vectors"].shape[0] == 2
    assert np.isfinite(names["vectors"]).all()
    if name == "a mean in batches":
        np.testing.assert_allclose(names["vectors"], hub.Module("tiny")(SENTENCES), rtol=0, atol=1e-6)


# -- errors ----------------------------------------------------------------------------------------------------------


def test_inputs_that_cannot_be_meant_are_errors(elmo: hub.Module) -> None:
    tokens = [["the", "cat"], ["dogs", ""]]
    cases: list[tuple[Any, str | None, type[Exception], str]] = [
        ("the cat", None, InputTypeError, r"not one string: give \[text\]"),
        (3, None, InputTypeError, "not int"),
        ([["the", "cat"]], None, InputTypeError, "text 0 of inputs must be a string, not list.*join.*tokens"),
        ({"tokens": tokens, "sequence_len": [2, 1]}, None, InputTypeError, 'signature="tokens"'),
        (tokens, "tokens", InputTypeError, 'dict with "tokens" and "sequence_len"'),
        ({"tokens": tokens}, "tokens", InputTypeError, 'dict with "tokens" and "sequence_len"'),
        ({"tokens": [["the"], ["a", "b"]], "sequence_len": [1, 2]}, "tokens", InputError, "pad the shorter"),
        ({"tokens": tokens, "sequence_len": [2]}, "tokens", InputError, "2 numbers, one per sentence"),
        ({"tokens": tokens, "sequence_len": [2, 3]}, "tokens", InputError, r"0\.\.2"),
        ({"tokens": tokens, "sequence_len": [2, -1]}, "tokens", InputError, r"0\.\.2"),
        ({"tokens": tokens, "sequence_len": [2.0, 1.0]}, "tokens", InputError, "integers"),
        ({"tokens": [[b"\xff"]], "sequence_len": [1]}, "tokens", InputError, "not UTF-8"),
        ([b"\xff"], None, InputError, r"b'\\xff' is not UTF-8 .*; decode the texts first"),
        (SENTENCES, "raw", InputError, '"default" or "tokens", not \'raw\''),
    ]
    for inputs, signature, kind, message in cases:
        with pytest.raises(kind, match=message):
            elmo(inputs, signature)
    with pytest.raises(InputError, match="signature"):
        elmo.get_output_info_dict("raw")


def test_an_address_is_refused_with_the_model_to_take_instead() -> None:
    for make in (hub.Module, hub.load):
        with pytest.raises(ModelNotFoundError, match=r"nothing is downloaded.*numpy_elmo\.download\('original'\)"):
            make("https://tfhub.dev/google/elmo/3")


# -- the page's own examples -----------------------------------------------------------------------------------------


def test_the_examples_of_the_modules_page_run() -> None:
    elmo = hub.Module("tiny", trainable=True)
    embeddings = elmo(["the cat is on the mat", "dogs are in the fog"], signature="default", as_dict=True)["elmo"]
    assert embeddings.shape == (2, 6, 256)

    elmo = hub.Module("tiny", trainable=True)
    tokens_input = [["the", "cat", "is", "on", "the", "mat"], ["dogs", "are", "in", "the", "fog", ""]]
    tokens_length = [6, 5]
    from_tokens = elmo(
        inputs={"tokens": tokens_input, "sequence_len": tokens_length}, signature="tokens", as_dict=True
    )["elmo"]
    np.testing.assert_array_equal(from_tokens, embeddings)
