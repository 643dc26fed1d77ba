"""``options.json`` as frozen dataclasses; an error names all problems of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from numpy_elmo.errors import OptionsError
from numpy_elmo.files.arrays import Arrays

Activation = Literal["relu", "tanh"]

# Far beyond every published model.  Without bounds, a few digits of an options file could ask for any amount of memory.
MAX_SIZE = 1 << 20
MAX_LAYERS = 100
MAX_FILTERS = 1000
MAX_CHARACTERS = 1000


@dataclass(frozen=True)
class CharCnnOptions:
    """Sizes of the token part: character embedding, convolutions and highway layers.

    Attributes
    ----------
    filters : tuple of (int, int)
        ``(width, count)`` of every convolution, in the order in which their outputs are concatenated.
    n_highway : int
        Number of highway layers, by default 0.
    embedding_dim : int
        Length of a character's vector.
    max_characters_per_token : int
        Character ids of a token, including its two boundary marks: at most this minus 2 bytes of a token are read.
    activation : {"relu", "tanh"}
        Applied to the pooled convolutions.
    """

    filters: tuple[tuple[int, int], ...]
    n_highway: int
    embedding_dim: int
    max_characters_per_token: int
    activation: Activation

    @property
    def n_filters(self) -> int:
        """Sum of all filter counts: the length of a token's vector before the projection."""
        return sum(count for _, count in self.filters)

    @property
    def widest_filter(self) -> int:
        """Characters that the widest convolution sees."""
        return max(width for width, _ in self.filters)


@dataclass(frozen=True)
class LstmOptions:
    """Sizes and clips of the LSTM layers; both directions have the same.

    Attributes
    ----------
    dim : int
        Length of the cell, D.
    projection_dim : int
        Length of the output of one direction, P.  Where it equals `dim` the layers have no projection.
    n_layers : int
        LSTM layers of one direction.
    cell_clip, proj_clip : float or None
        Bounds on the absolute value of cell and projected output; None for no bound.
    use_skip_connections : bool
        Whether every layer but the first adds its input to its output.
    """

    dim: int
    projection_dim: int
    n_layers: int
    cell_clip: float | None
    proj_clip: float | None
    use_skip_connections: bool


@dataclass(frozen=True)
class ModelOptions:
    """The content of ``options.json`` for a model that reads characters."""

    char_cnn: CharCnnOptions
    lstm: LstmOptions


class _Field(NamedTuple):
    """One key of the file: which values fit, the same in words, and the default if it is optional."""

    fits: Callable[[Any], bool]
    expected: str
    default: Any = ...
    replacement: Any = None  # used instead of a value that does not fit, to find other problems too


def _integer(low: int, high: int = MAX_SIZE, default: Any = ...) -> _Field:
    expected = f"an integer of at least {low} and at most {high}"
    return _Field(lambda value: type(value) is int and low <= value <= high, expected, default, low)


def _are_filters(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MAX_FILTERS
        and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
        and all(type(n) is int and 0 < n <= MAX_SIZE for pair in value for n in pair)
    )


_OBJECT = _Field(lambda value: isinstance(value, Mapping), "an object", replacement={})
_CLIP = _Field(
    lambda value: type(value) in (int, float) and 0 < value <= MAX_SIZE,
    f"a positive number of at most {MAX_SIZE}, null or no such key",
    default=None,
)
_FILTERS = f"a list of [width, count] with positive integers of at most {MAX_SIZE}, at most {MAX_FILTERS} of them"
_CHAR_CNN = {
    "filters": _Field(_are_filters, _FILTERS, replacement=[(1, 1)]),
    "embedding": _OBJECT,
    "n_characters": _Field(lambda value: type(value) is int and value in (261, 262), "261 or 262", default=262),
    "n_highway": _integer(0, MAX_LAYERS, default=0),
    "max_characters_per_token": _integer(3, MAX_CHARACTERS),
    "activation": _Field(lambda value: value in ("relu", "tanh"), '"relu" or "tanh"', default="relu"),
}
_EMBEDDING = {"dim": _integer(1)}
_LSTM = {
    "dim": _integer(1),
    "projection_dim": _integer(1),
    "n_layers": _integer(1, MAX_LAYERS),
    "cell_clip": _CLIP,
    "proj_clip": _CLIP,
    "use_skip_connections": _Field(lambda value: isinstance(value, bool), "true or false", replacement=False),
}


def _checked(raw: Mapping[str, Any], fields: Mapping[str, _Field], where: str, problems: list[str]) -> dict[str, Any]:
    """Return the values of the fields, and add those that do not fit to `problems`.  Other keys are ignored."""
    values = {}
    for key, field in fields.items():
        value = raw.get(key)
        if value is None and field.default is not ...:  # an explicit null means "not set", as in bilm-tf
            values[key] = field.default
        elif field.fits(value):
            values[key] = value
        else:
            problems.append(f'{where}"{key}" {_found(raw, key)}, expected {field.expected}')
            values[key] = field.replacement
    return values


def _found(raw: Mapping[str, Any], key: str) -> str:
    if key not in raw:
        return "is missing"
    try:
        text = json.dumps(raw[key])
    except (TypeError, ValueError, RecursionError):  # not from JSON, but from a caller of parse_options
        text = f"of type {type(raw[key]).__name__}"
    return f"is {text if len(text) <= 60 else text[:57] + '...'}"


def parse_options(raw: object, name: str = "options") -> ModelOptions:
    """Check the content of an options file; raise one `OptionsError` with all its problems."""
    sections, problems = _sections(raw, ("lstm", "char_cnn"), name)
    cnn = _checked(sections["char_cnn"], _CHAR_CNN, "char_cnn: ", problems)
    embedding = {"dim": 1}
    if cnn["embedding"] is sections["char_cnn"].get("embedding"):
        embedding = _checked(cnn["embedding"], _EMBEDDING, "char_cnn: embedding: ", problems)
    char_cnn = CharCnnOptions(
        filters=tuple((width, count) for width, count in cnn["filters"]),
        n_highway=cnn["n_highway"],
        embedding_dim=embedding["dim"],
        max_characters_per_token=cnn["max_characters_per_token"],
        activation=cnn["activation"],
    )
    if char_cnn.max_characters_per_token < char_cnn.widest_filter:
        problems.append(
            f'char_cnn: "max_characters_per_token" is {char_cnn.max_characters_per_token}, '
            f"fewer than the widest filter's {char_cnn.widest_filter}"
        )
    return ModelOptions(char_cnn, _lstm_options(sections["lstm"], name, problems))


def parse_lstm_options(raw: object, name: str = "options") -> LstmOptions:
    """Check ``"lstm"``, the only part that a model of token ids needs; raises as `parse_options` does."""
    sections, problems = _sections(raw, ("lstm",), name)
    return _lstm_options(sections["lstm"], name, problems)


def _sections(raw: object, names: tuple[str, ...], name: str) -> tuple[dict[str, Any], list[str]]:
    """Return the parts of an options file, and an empty list for their problems."""
    if not isinstance(raw, Mapping):
        expected = " and ".join(f'"{section}"' for section in names)
        raise OptionsError(f"{name}: expected a JSON object with {expected}, found {type(raw).__name__}")
    if "char_cnn" in names and "char_cnn" not in raw and "lstm" in raw:
        raise OptionsError(
            f'{name}: there is no "char_cnn", so this model reads word ids instead of characters; '
            "load it with numpy_elmo.interfaces.bilm.BidirectionalLanguageModel(..., use_character_inputs=False)"
        )
    problems: list[str] = []
    sections = _checked(raw, dict.fromkeys(names, _OBJECT), "", problems)
    _raise_if_any(problems, name)
    return sections, problems


def _lstm_options(raw: Mapping[str, Any], name: str, problems: list[str]) -> LstmOptions:
    """Return the LSTM's options; raise OptionsError if there are problems, here or in `problems`."""
    found: list[str] = []
    values = _checked(raw, _LSTM, "lstm: ", found)
    clips = {key: None if values[key] is None else float(values[key]) for key in ("cell_clip", "proj_clip")}
    options = LstmOptions(**(values | clips))
    if not found and options.projection_dim > options.dim:
        found.append(f'lstm: "projection_dim" is {options.projection_dim}, more than "dim", {options.dim}')
    _raise_if_any(problems + found, name)
    return options


ASSUMED = "clips of 3, skip connections, relu and 50 characters per token are assumed: no file says"


def options_of_shapes(arrays: Arrays) -> ModelOptions:
    """Return the options of a model without an options file: sizes from its arrays, the rest as published."""

    def count(pattern: str) -> int:
        return next(k for k in range(MAX_FILTERS) if pattern.format(k) not in arrays)

    cell = "RNN_0/RNN/MultiRNNCell/Cell{}/LSTMCell"
    try:
        filters = [list(arrays.shape(f"CNN/W_cnn_{k}")[1::2]) for k in range(count("CNN/W_cnn_{}"))]
        dim, inputs = (arrays.shape(f"{cell.format(0)}/W_0")[axis] for axis in (1, 0))
        raw = {
            "lstm": {
                "dim": dim // 4,
                "projection_dim": inputs // 2,
                "n_layers": count(cell),
                "cell_clip": 3,
                "proj_clip": 3,
                "use_skip_connections": True,
            },
            "char_cnn": {
                "activation": "relu",
                "filters": filters,
                "n_highway": count("CNN_high_{}"),
                "embedding": {"dim": arrays.shape("char_embed")[1]},
                "max_characters_per_token": 50,
            },
        }
    except (KeyError, IndexError, ValueError, StopIteration) as error:
        raise OptionsError(f"{arrays.name} has no options file, and does not read characters ({error})") from error
    return parse_options(raw, arrays.name)


def layer_norm_of_config(data: bytes, name: str) -> bool:
    """Say whether the configuration of an AllenNLP model sets ``do_layer_norm`` for its mixes."""
    values = [_decode_json(data, name)]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            if value.get("do_layer_norm") is True:
                return True
            values += value.values()
        elif isinstance(value, list):
            values += value
    return False


def encode_options(options: ModelOptions) -> str:
    """Return the content of an options file."""
    cnn = asdict(options.char_cnn)
    cnn["embedding"] = {"dim": cnn.pop("embedding_dim")}
    return json.dumps({"lstm": asdict(options.lstm), "char_cnn": {**cnn, "n_characters": 262}}, indent=1) + "\n"


def decode_options(data: bytes, name: str) -> ModelOptions:
    """Decode and check the bytes of an options file; raises as `parse_options` does."""
    return parse_options(_decode_json(data, name), name)


def decode_lstm_options(data: bytes, name: str) -> LstmOptions:
    """Decode and check the options file of a model that reads token ids."""
    return parse_lstm_options(_decode_json(data, name), name)


def _decode_json(data: bytes, name: str) -> object:
    if data.startswith(b"\x89HDF"):
        raise OptionsError(f"{name} is an HDF5 file, not options: were the weight file and the options file swapped?")
    try:
        raw: object = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_no_duplicates)
    except ValueError as error:  # not UTF-8, not JSON, or an integer of more digits than Python reads
        raise OptionsError(f"{name} is not JSON ({error}); fetch the model's options file again") from error
    except RecursionError as error:
        raise OptionsError(f"{name} is nested too deeply for an options file") from error
    except _DuplicateKeyError as error:
        raise OptionsError(f"{name}: the key {error} occurs twice; remove the wrong one") from error
    return raw


class _DuplicateKeyError(Exception):
    pass


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _DuplicateKeyError(json.dumps(key))
        result[key] = value
    return result


def _raise_if_any(problems: list[str], name: str) -> None:
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise OptionsError(f"{name} does not describe an ELMo model:{lines}")
