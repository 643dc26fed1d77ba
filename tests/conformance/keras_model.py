"""TensorFlow's eager tensors go in, and a Keras model trains on the vectors.  Run by hand, for TensorFlow is large:

pip install -e ".[test]" "tensorflow==2.21.*"
python -m pytest -m slow tests/conformance/keras_model.py
"""

from __future__ import annotations

import numpy as np
import pytest

from numpy_elmo.errors import InputTypeError
from numpy_elmo.interfaces import hub
from tests.interfaces.test_hub import SENTENCES


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of TensorFlow
def test_eager_tensors_go_in_and_a_keras_model_trains_on_the_vectors() -> None:
    tf = pytest.importorskip("tensorflow")
    elmo = hub.load("tiny")
    expected = elmo.signatures["default"](SENTENCES)["elmo"]
    found = elmo.signatures["default"](tf.constant(SENTENCES))["elmo"]
    np.testing.assert_array_equal(found.numpy(), expected)
    tokens = tf.constant([SENTENCES[0].split(), [*SENTENCES[1].split(), ""]])
    found = elmo.signatures["tokens"](tokens=tokens, sequence_len=tf.constant([6, 5]))["elmo"]
    np.testing.assert_array_equal(found, expected)
    layer = hub.KerasLayer("tiny")
    with pytest.raises(InputTypeError, match="symbolic tensor"):
        layer(tf.keras.Input(shape=(), dtype=tf.string))
    with pytest.raises(TypeError, match="symbolic tensor"):
        tf.function(layer, autograph=False)(tf.constant(SENTENCES))
    tf.keras.utils.set_random_seed(0)
    texts = [f"{word} {what}" for word in ("the", "a", "one", "that") for what in ("ship sails", "soup boils")]
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer=tf.keras.optimizers.Adam(0.05), metrics=["accuracy"])
    history = model.fit(layer(tf.constant(texts)), np.array([0, 1] * 4), epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    assert history["accuracy"][-1] == 1
