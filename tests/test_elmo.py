"""The model as its users see it: shapes, state policies, invariances, errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo import CarriedState, Elmo, ScalarMix, load
from numpy_elmo.elmo import Layers
from numpy_elmo.errors import ElmoError, InputError, InputTypeError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.matmul import as_matrix
from numpy_elmo.layers.pooling import Pooling, pool
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL

SENTENCES = [["Where", "have", "you", "placed", "the", "point"], ["Hi"], [], ["the", "point", "."]]


def assert_close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


# Words that appear in several sentences, so that sharing of tokens is exercised too.
sentence = st.lists(st.sampled_from(["a", "the", "naïve", "x" * 60, "日本語", "", "."]), max_size=7)


def test_shapes_and_types(base: Elmo) -> None:
    D, n = base.vector_size, base.n_layers + 1
    assert base.options.lstm.projection_dim * 2 == D
    for layers in ("all", "top", "average", 0, 1, -1, np.int64(1), ScalarMix([0.0] * n)):
        arrays = base.embed(SENTENCES, layers=layers)  # type: ignore[arg-type]
        for tokens, array in zip(SENTENCES, arrays, strict=True):
            assert array.shape == ((n, len(tokens), D) if layers == "all" else (len(tokens), D))
            assert array.dtype == np.float32
            assert array.flags.c_contiguous


def test_layer_choices_are_views_on_the_same_vectors(base: Elmo) -> None:
    for k, every in enumerate(base.embed(SENTENCES)):
        np.testing.assert_array_equal(base.embed(SENTENCES, layers="top")[k], every[-1])
        np.testing.assert_array_equal(base.embed(SENTENCES, layers=1)[k], every[1])
        assert_close(base.embed(SENTENCES, layers="average")[k], every.mean(axis=0))
        mix = ScalarMix([0.5, -1.0, 2.0], gamma=3.0)
        assert_close(base.embed(SENTENCES, layers=mix)[k], mix(every))


def test_layer_zero_is_the_token_vector_twice(base: Elmo) -> None:
    token_layer = base.embed(SENTENCES)[0][0]
    P = base.vector_size // 2
    np.testing.assert_array_equal(token_layer[:, :P], token_layer[:, P:])


def test_boundaries_add_a_row_at_either_end(base: Elmo) -> None:
    for tokens, bare, bounded in zip(
        SENTENCES, base.embed(SENTENCES), base.embed(SENTENCES, boundaries=True), strict=True
    ):
        assert bounded.shape[1] == len(tokens) + 2
        np.testing.assert_allclose(bounded[:, 1:-1], bare, rtol=0, atol=2e-6)


def test_float64_model_gives_float64(base: Elmo, base64: Elmo) -> None:
    for single, double in zip(base.embed(SENTENCES), base64.embed(SENTENCES), strict=True):
        assert double.dtype == np.float64
        assert_close(single, double)
    assert base64.embed_padded(SENTENCES)[0].dtype == np.float64


@settings(deadline=None, max_examples=20)
@given(sentences=st.lists(sentence, min_size=1, max_size=6), batch_size=st.integers(1, 7))
def test_a_sentence_has_the_same_vectors_in_any_company(
    base: Elmo, sentences: list[list[str]], batch_size: int
) -> None:
    together = base.embed(sentences, batch_size=batch_size)
    for tokens, array in zip(sentences, together, strict=True):
        assert_close(array, base.embed([tokens])[0])


def test_padded_batch_has_zeros_at_padding_and_a_mask(base: Elmo) -> None:
    vectors, mask = base.embed_padded(SENTENCES)
    assert vectors.shape == (4, base.n_layers + 1, 6, base.vector_size)
    assert mask.dtype == np.bool_
    assert mask.tolist() == [[t < len(tokens) for t in range(6)] for tokens in SENTENCES]
    for k, array in enumerate(base.embed(SENTENCES)):
        assert_close(vectors[k, :, : array.shape[1]], array)
        assert not vectors[k, :, array.shape[1] :].any()


@pytest.mark.parametrize("batch", [[], [[]], [[], []]])
def test_batches_without_tokens(base: Elmo, batch: list[list[str]]) -> None:
    vectors, mask = base.embed_padded(batch)
    assert vectors.shape == (len(batch), base.n_layers + 1, 0, base.vector_size)
    assert mask.shape == (len(batch), 0)
    assert [array.shape for array in base.embed(batch)] == [(base.n_layers + 1, 0, base.vector_size)] * len(batch)
    assert [array.shape for array in base.embed(batch, layers="top")] == [(0, base.vector_size)] * len(batch)


def fresh() -> Elmo:
    return load(Path(__file__).parent / "fixtures" / "base")


def test_reset_gives_the_same_vectors_again_and_carry_does_not() -> None:
    elmo = fresh()
    first, again = elmo.embed(SENTENCES), elmo.embed(SENTENCES)
    np.testing.assert_array_equal(first[0], again[0])
    carried, further = elmo.embed(SENTENCES, state="carry"), elmo.embed(SENTENCES, state="carry")
    assert_close(carried[0], first[0])
    assert np.abs(further[0][1:] - carried[0][1:]).max() > 1e-3
    np.testing.assert_array_equal(further[0][0], carried[0][0])
    np.testing.assert_array_equal(elmo.embed(SENTENCES)[0], first[0])


def test_reset_state_forgets_what_was_carried() -> None:
    elmo = fresh()
    first = elmo.embed(SENTENCES, state="carry")
    elmo.embed(SENTENCES, state="carry")
    elmo.reset_state()
    np.testing.assert_array_equal(elmo.embed(SENTENCES, state="carry")[0], first[0])


def test_a_call_of_several_batches_carries_like_several_calls() -> None:
    one, many = fresh(), fresh()
    sentences = [["a", "b"], ["c"], ["d", "e", "f"], ["g"], ["h", "i"]]
    together = one.embed(sentences, state="carry", batch_size=2)
    apart = [array for k in (0, 2, 4) for array in many.embed(sentences[k : k + 2], state="carry")]
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a, b)


def test_frozen_starts_every_sentence_from_the_warmed_up_state() -> None:
    elmo, carrying = fresh(), fresh()
    warm_up = [["some", "text"], ["to", "start", "from"]]
    elmo.warm_up(warm_up)
    for tokens in warm_up:
        carrying.embed([tokens], state="carry")
    expected = carrying.embed([["the", "point"]], state="carry")[0]
    frozen = elmo.embed([["the", "point"], ["a"], ["the", "point"]], state="frozen")
    assert_close(frozen[0], expected)
    assert_close(frozen[2], expected)
    assert_close(elmo.embed([["x"]], state="carry")[0], elmo.embed([["x"]])[0])


def test_frozen_without_warm_up_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"call warm_up"):
        fresh().embed(SENTENCES, state="frozen")
    with pytest.raises(InputError, match="at least one sentence"):
        fresh().warm_up([])


def test_inputs_may_be_any_iterables(base: Elmo) -> None:
    expected = base.embed([["a", "b"], ["c"]])

    def generate() -> Iterator[Iterator[str]]:
        yield iter(["a", "b"])
        yield iter(["c"])

    for given_form in (generate(), (("a", "b"), ("c",)), [np.array(["a", "b"]), np.array(["c"])]):
        for found, wanted in zip(base.embed(given_form), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ("Where have you", r"not one string.*\[text\.split\(\)\]"),
        (["Where have you"], r"sentence 0 is a string.*sentence\.split\(\).*\[tokens\]"),
        (["Where", "have"], r"sentence 0 is a string, 'Where'"),
        ([["a"], None], "sentence 1 must be a list of tokens, not NoneType"),
        (None, "must be a list of token lists, not NoneType"),
        (3, "must be a list of token lists, not int"),
        ([["a", 3]], "sentence 0, token 1 must be a string, not int: 3"),
        ([["a", b"b"]], "sentence 0, token 1 must be a string, not bytes"),
        ([[["a"]]], "sentence 0, token 0 must be a string, not list"),
        (b"abc", "not one string"),
        ([b"abc"], "sentence 0 is a string"),
    ],
)
def test_wrong_types_are_named_with_the_remedy(base: Elmo, sentences: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        base.embed(sentences)
    assert isinstance(caught.value, InputTypeError)
    assert isinstance(caught.value, ElmoError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "bottom"}, '"all", "top", "average"'),
        ({"layers": 3}, "layers 0 to 2; there is no layer 3"),
        ({"layers": -4}, "there is no layer -4"),
        ({"layers": True}, "not True"),
        ({"layers": None}, "not None"),
        ({"layers": ScalarMix([0, 0])}, "3 layers.*2 weights"),
        ({"state": "keep"}, '"reset", "carry", "frozen" or a CarriedState'),
        ({"batch_size": 0}, "positive integer, not 0"),
        ({"batch_size": 2.0}, "positive integer"),
    ],
)
def test_wrong_arguments_are_named(base: Elmo, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        base.embed(SENTENCES, **arguments)


def test_weights_are_read_only(base: Elmo) -> None:
    layer = base.bilm.forward.layers[0]
    cnn = base.encoder.layers.char_cnn
    assert layer.W_p is not None
    highway = base.encoder.layers.highways[0]
    matrices = [as_matrix(W).W for W in (layer.W_x, layer.W_h, layer.W_p, highway.W_gate)]
    for array in (*matrices, layer.b, cnn.char_embed, cnn.convolutions[0].W):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_results_belong_to_the_caller(base: Elmo) -> None:
    arrays = base.embed([["a"], ["a"]])
    before = arrays[1].copy()
    arrays[0][...] = 7
    np.testing.assert_array_equal(arrays[1], before)
    np.testing.assert_array_equal(base.embed([["a"]])[0], base.embed([["a"]])[0])


def test_two_models_and_several_threads_at_once(base: Elmo, tmp_path: Path) -> None:
    other = load(write_model(tmp_path, SMALL["base"]), dtype="float64")
    texts = [[["thread", str(n), "the"] * (n + 1), ["point"]] for n in range(8)]
    expected = [(base.embed(text), other.embed(text)) for text in texts]
    failures: list[int] = []

    def work(n: int) -> None:
        for _ in range(10):
            for elmo, wanted in ((base, expected[n][0]), (other, expected[n][1])):
                found = elmo.embed(texts[n])
                if not all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True)):
                    failures.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_repr_says_what_the_model_is(base: Elmo) -> None:
    assert "2 LSTM layers" in repr(base)


@pytest.mark.parametrize("pooling", get_args(Pooling))
@pytest.mark.parametrize("layers", ["all", "top"])
def test_pooling_makes_one_vector_per_sentence(base: Elmo, pooling: Pooling, layers: Layers) -> None:
    sentences = [["rain", "fell"], [], ["the", "sun", "shone"]]
    expected = [pool(vectors, pooling) for vectors in base.embed(sentences, layers=layers)]
    state = CarriedState()
    carried = [pool(vectors, pooling) for vectors in base.embed(sentences, layers=layers, state=CarriedState())]
    for found, wanted in (
        (base.embed(sentences, layers=layers, pooling=pooling), expected),
        (list(base.embed_corpus(sentences, layers=layers, pooling=pooling)), expected),
        (base.embed(sentences, layers=layers, pooling=pooling, state=state), carried),
    ):
        for a, b in zip(found, wanted, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    for call in (base.embed, base.embed_corpus):
        with pytest.raises(InputError, match="pooling must be one of 'mean'"):
            call(sentences, pooling="median")  # type: ignore[arg-type]
