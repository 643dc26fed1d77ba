"""The fixtures catch the mistakes that an implementation of ELMo is most likely to make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import numpy_elmo.network.forward
from numpy_elmo import Elmo, load
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.char_cnn import CharCNN
from numpy_elmo.layers.lstm import LstmLayer
from numpy_elmo.layers.matmul import as_matrix
from numpy_elmo.network.batching import Packing, pack
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.encoder import TokenLayers
from tests.agreement.tensorflow_outputs import differences, read_case
from tests.fixtures.recipes import SMALL

# A mistake counts as caught where it moves some value by this much: five hundred times the tolerance of the agreement.
CAUGHT = 1e-3


def each_layer(change: Callable[[LstmLayer], Any]) -> Callable[[Elmo], Elmo]:
    def mutate(elmo: Elmo) -> Elmo:
        forward, backward = (
            replace(stack, layers=tuple(map(change, stack.layers))) for stack in (elmo.bilm.forward, elmo.bilm.backward)
        )
        return Elmo(elmo.options, elmo.encoder.layers, Bilm(forward, backward))

    return mutate


def the_encoder(change: Callable[[TokenLayers], TokenLayers]) -> Callable[[Elmo], Elmo]:
    return lambda elmo: Elmo(elmo.options, change(elmo.encoder.layers), elmo.bilm)


def swap_forget_gate_and_candidate(layer: LstmLayer) -> LstmLayer:
    """Read the columns i, j, f, o of the file as i, f, j, o, the order of torch."""

    def swap(columns: Array) -> Array:
        i, j, f, o = np.split(columns, 4, axis=-1)
        return np.concatenate([i, f, j, o], axis=-1)

    return replace(layer, W_x=swap(as_matrix(layer.W_x).W), W_h=swap(as_matrix(layer.W_h).W), b=swap(layer.b))


def drop_forget_bias(layer: LstmLayer) -> LstmLayer:
    i, j, f, o = np.split(layer.b, 4)
    return replace(layer, b=np.concatenate([i, j, f - 1, o]))


class WithResidual(LstmLayer):
    """A layer that adds its input to its output, whatever its place in the stack."""

    def __call__(self, x: Array, batch_sizes: npt.NDArray[np.intp], h: Array, c: Array) -> Array:
        return super().__call__(x, batch_sizes, h, c) + x


def residual_on_first_layer(elmo: Elmo) -> Elmo:
    stack = elmo.bilm.forward
    layers = (WithResidual(**vars(stack.layers[0])), *stack.layers[1:])
    return Elmo(elmo.options, elmo.encoder.layers, replace(elmo.bilm, forward=replace(stack, layers=layers)))


def no_residual(elmo: Elmo) -> Elmo:
    forward, backward = (
        replace(stack, use_skip_connections=False) for stack in (elmo.bilm.forward, elmo.bilm.backward)
    )
    return Elmo(elmo.options, elmo.encoder.layers, Bilm(forward, backward))


def forget_to_shift_ids(encoder: TokenLayers) -> TokenLayers:
    """Look unshifted ids up in the table that has a row of zeros on top."""
    table = encoder.char_cnn.char_embed
    shifted = np.concatenate([np.zeros_like(table[:1]), table[:-1]])
    return replace(encoder, char_cnn=replace(encoder.char_cnn, char_embed=shifted))


def take_carry_gate_for_carry(encoder: TokenLayers) -> TokenLayers:
    """Let the gate that the file calls "carry" carry: g x + (1 - g) h, which is the gate of -z."""
    highways = tuple(replace(h, W_gate=-as_matrix(h.W_gate).W, b_gate=-h.b_gate) for h in encoder.highways)
    return replace(encoder, highways=highways)


def bias_after_activation(encoder: TokenLayers) -> TokenLayers:
    class BiasAfterActivation(CharCNN):
        def __call__(self, character_ids: npt.NDArray[np.intp]) -> Array:
            unbiased = tuple(replace(bank, b=np.zeros_like(bank.b)) for bank in self.convolutions)
            bias = np.concatenate([bank.b for bank in self.convolutions])
            features: Array = CharCNN(self.char_embed, unbiased, self.activation)(character_ids) + bias
            return features

    cnn = encoder.char_cnn
    return replace(encoder, char_cnn=BiasAfterActivation(cnn.char_embed, cnn.convolutions, cnn.activation))


MUTATIONS: dict[str, Callable[[Elmo], Elmo]] = {
    "gate order": each_layer(swap_forget_gate_and_candidate),
    "missing forget bias": each_layer(drop_forget_bias),
    "no cell clip": each_layer(lambda layer: replace(layer, cell_clip=None)),
    "no projection clip": each_layer(lambda layer: replace(layer, proj_clip=None)),
    "residual on the first layer": residual_on_first_layer,
    "missing residual": no_residual,
    "missing +1 of the character ids": the_encoder(forget_to_shift_ids),
    "swapped carry gate": the_encoder(take_carry_gate_for_carry),
    "bias after the activation": the_encoder(bias_after_activation),
}


def largest_difference(elmo: Elmo, name: str = "base") -> float:
    return max(float(np.abs(values).max()) for _, values in differences(elmo, read_case(name)))


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_fixtures_catch(mutation: str) -> None:
    mutant = MUTATIONS[mutation](load(read_case("base").folder))
    assert largest_difference(mutant) > CAUGHT


CLIPS = [
    (name, clip)
    for name, recipe in SMALL.items()
    for clip in ("cell_clip", "proj_clip")
    # TensorFlow clips an output only where it is projected.
    if clip in recipe.options["lstm"]
    and (clip == "cell_clip" or recipe.options["lstm"]["dim"] != recipe.options["lstm"]["projection_dim"])
]


@pytest.mark.parametrize(("name", "clip"), CLIPS)
def test_every_model_with_a_clip_meets_it_often(name: str, clip: str) -> None:
    case = read_case(name)
    unclipped: dict[str, Any] = {clip: None}
    mutant = each_layer(lambda layer: replace(layer, **unclipped))(load(case.folder))
    changed = np.concatenate([np.abs(values) > CAUGHT for _, values in differences(mutant, case)])
    assert changed.mean() > 0.03


def test_the_fixtures_catch_an_unreversed_backward_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreversed(lengths: list[int]) -> Packing:
        packing = pack(lengths)
        return replace(packing, backward=packing.forward)

    monkeypatch.setattr(numpy_elmo.network.forward, "pack", unreversed)
    assert largest_difference(load(read_case("base").folder)) > CAUGHT


@pytest.mark.parametrize("name", [name for name in SMALL if name in ("base", "tanh")])
def test_activation_before_or_after_pooling_is_the_same_function(name: str) -> None:
    # relu and tanh never fall, so the maximum of the activations is the activation of the maximum.  No fixture can
    # tell the two orders apart, and none needs to; what could go wrong here is the place of the bias, caught above.
    encoder = load(read_case(name).folder).encoder.layers
    cnn = encoder.char_cnn
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 261, size=(50, 30))

    def activate_first(bank_index: int) -> Array:
        bank = cnn.convolutions[bank_index]
        width = bank.W.shape[0]
        characters = cnn.char_embed[ids]
        convolved = [
            np.einsum("nce,cek->nk", characters[:, t : t + width], bank.W) + bank.b for t in range(30 - width + 1)
        ]
        pooled: Array = np.max([cnn.activation(values) for values in convolved], axis=0)
        return pooled

    expected = np.concatenate([activate_first(i) for i in range(len(cnn.convolutions))], axis=1)
    np.testing.assert_allclose(cnn(ids), expected, rtol=0, atol=2e-6)
