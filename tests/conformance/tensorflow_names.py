"""What bilm-tf's tests and examples use of TensorFlow 1: a session that computes what was built before.

`numpy_elmo.interfaces.bilm` computes the vectors and mixes them; only the way in and out is TensorFlow's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from numpy_elmo.interfaces import bilm

ADAPTERS = {
    "`tf.Session`, `tf.placeholder`": "a session calls the model with the ids that it is fed",
    "`tf.get_variable`, `tf.trainable_variables`, `tf.get_collection`": "names for `weights=` and `gamma=`, and lists",
    "`tf.variable_scope`, `tf.reset_default_graph`, `tf.global_variables_initializer`": "no effect, or a new start",
    "`bilm(placeholder)`, `weight_layers(...)`": "these calls of `numpy_elmo.interfaces.bilm`, made in the session",
    "`bilm._graphs[placeholder].lstm_init_states`": "the state that the model carries, with rows of zeros",
    "`LMDataset`, `BidirectionalLMDataset`": "nothing: they raise an error when they are used",
}

Value: TypeAlias = Callable[[Any], Any]


class Later:
    """What a session computes, from the values of other things."""

    def __init__(self, compute: Callable[[Value], Any]) -> None:
        self.compute = compute


class Variable(Later):
    """An array that can be set."""

    def __init__(self, value: Any) -> None:
        super().__init__(lambda _: self.array)
        self.array = value

    def assign(self, array: Any) -> Later:
        """Return what sets it."""
        return Later(lambda _: setattr(self, "array", array))


class Session:
    """Computes each thing once per run."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing."""

    def run(self, fetches: Any, feed_dict: Mapping[Later, Any] | None = None) -> Any:
        """Return the values of a thing, or of a list of things."""
        known = dict(feed_dict or {})

        def value(fetch: Later) -> Any:
            if fetch not in known:
                known[fetch] = fetch.compute(value)
            return known[fetch]

        return list(map(value, fetches)) if isinstance(fetches, list) else value(fetches)


class BidirectionalLanguageModel:
    """The model, called with placeholders; each has a state of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._model = bilm.BidirectionalLanguageModel(*args, **kwargs)
        self._graphs: dict[Later, Any] = {}

    def __call__(self, ids: Later) -> Any:
        """Return what a session will compute."""
        if ids not in self._graphs:
            model = self._model.another_input()
            everything = Later(lambda value: model(value(ids)))
            self._graphs[ids] = SimpleNamespace(
                lstm_init_states={name: _states(model, k) for k, name in enumerate(("forward", "backward"))},
                ops={name: _entry(everything, name) for name in bilm.BilmOps.__annotations__},
            )
        return self._graphs[ids].ops


def _entry(everything: Later, name: str) -> Later:
    return Later(lambda value: value(everything)[name])


def _states(model: bilm.BidirectionalLanguageModel, direction: int) -> Later:
    """Return c and h of each layer of a direction, (max_batch_size, features) each."""

    def states(_: Value) -> list[Any]:
        h, c = (array[direction] for array in model._bilm.claim().to_arrays())
        rows = [np.pad(array, ((0, 0), (0, model._max_batch_size - array.shape[1]), (0, 0))) for array in (c, h)]
        return list(zip(*rows, strict=True))

    return Later(states)


def install() -> None:
    """Register ``tensorflow`` and bilm-tf's modules."""
    variables: dict[str, Variable] = {}
    losses: list[Later] = []

    def get_variable(name: str) -> Variable:
        return variables.setdefault(name, Variable(None))

    def reset() -> None:
        variables.clear()
        losses.clear()

    def weight_layers(
        name: str, ops: Any, l2_coef: float | None = None, use_top_only: bool = False, do_layer_norm: bool = False
    ) -> dict[str, Later]:
        gamma = get_variable(f"{name}_ELMo_gamma")
        weights = Variable(None) if use_top_only else get_variable(f"{name}_ELMo_W")

        def mix(value: Value) -> Any:
            arrays = {key: value(op) for key, op in ops.items()}
            scale = 1.0 if gamma.array is None else float(gamma.array[0])
            return bilm.weight_layers(
                name, arrays, l2_coef, use_top_only, do_layer_norm, weights=weights.array, gamma=scale
            )

        mixed = Later(mix)
        outputs = {key: _entry(mixed, key) for key in bilm.WeightedLayers.__annotations__}
        if l2_coef is not None and not use_top_only:
            losses.append(outputs["regularization_op"])
        return outputs

    class Dataset:
        def __init__(self, *_: object, **__: object) -> None:
            raise NotImplementedError("data for training")

    tensorflow: dict[str, object] = {
        "Session": Session,
        "placeholder": lambda *_, **__: Later(lambda _: None),
        "variable_scope": lambda *_, **__: nullcontext(),
        "get_variable": get_variable,
        "trainable_variables": lambda: list(variables.values()),
        "get_collection": lambda _: losses,
        "GraphKeys": SimpleNamespace(REGULARIZATION_LOSSES=None),
        "reset_default_graph": reset,
        "global_variables_initializer": lambda: Later(lambda _: None),
    }
    names = {name: getattr(bilm, name) for name in bilm.__all__}
    names |= {"BidirectionalLanguageModel": BidirectionalLanguageModel, "weight_layers": weight_layers}
    names |= {"LMDataset": Dataset, "BidirectionalLMDataset": Dataset}
    for name, attributes in {
        "tensorflow": tensorflow,
        "bilm": names,
        "bilm.data": names,
        "bilm.elmo": names,
        "bilm.model": names,
    }.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(attributes)
