"""``options.json`` as frozen dataclasses; every problem of a file is named at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from numpy_elmo.errors import OptionsError

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
        Number of highway layers; 0 if the options leave it out.
    embedding_dim : int
        Length of a character's vector.
    max_characters_per_token : int
        Character ids of a token, its two boundary marks included: a token keeps two bytes fewer.
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
    """What ``options.json`` says of a model that reads characters."""

    char_cnn: CharCnnOptions
    lstm: LstmOptions


class _Reader:
    """Typed look-ups in nested JSON objects; what does not fit is noted down instead of raised."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def section(self, raw: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
        value = raw.get(key)
        if isinstance(value, Mapping):
            return value
        self.problems.append(f'{where}"{key}" {_found(raw, key)}, expected an object')
        return {}

    def integer(
        self,
        raw: Mapping[str, Any],
        key: str,
        where: str,
        *,
        at_least: int,
        at_most: int = MAX_SIZE,
        default: int | None = None,
    ) -> int:
        value = raw.get(key, default)
        if value is None and default is not None:  # an explicit null means "not set", as in bilm-tf
            value = default
        if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= at_most:
            return value
        self.problems.append(
            f'{where}"{key}" {_found(raw, key)}, expected an integer of at least {at_least} and at most {at_most}'
        )
        return at_least

    def clip(self, raw: Mapping[str, Any], key: str, where: str) -> float | None:
        value = raw.get(key)
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_SIZE:
            return float(value)
        self.problems.append(
            f'{where}"{key}" {_found(raw, key)}, expected a positive number of at most {MAX_SIZE}, null or no such key'
        )
        return None

    def boolean(self, raw: Mapping[str, Any], key: str, where: str) -> bool:
        value = raw.get(key)
        if isinstance(value, bool):
            return value
        self.problems.append(f'{where}"{key}" {_found(raw, key)}, expected true or false')
        return False

    def filters(self, raw: Mapping[str, Any], where: str) -> tuple[tuple[int, int], ...]:
        value = raw.get("filters")
        if isinstance(value, list) and 0 < len(value) <= MAX_FILTERS:
            pairs = [tuple(pair) for pair in value if isinstance(pair, list) and len(pair) == 2]
            if len(pairs) == len(value) and all(type(n) is int and 0 < n <= MAX_SIZE for pair in pairs for n in pair):
                return cast("tuple[tuple[int, int], ...]", tuple(pairs))
        self.problems.append(
            f'{where}"filters" {_found(raw, "filters")}, expected a list of [width, count] with positive integers '
            f"of at most {MAX_SIZE}, at most {MAX_FILTERS} of them"
        )
        return ((1, 1),)


def _found(raw: Mapping[str, Any], key: str) -> str:
    if key not in raw:
        return "is missing"
    try:
        text = json.dumps(raw[key])
    except (TypeError, ValueError, RecursionError):  # not from JSON, but from a caller of parse_options
        text = f"of type {type(raw[key]).__name__}"
    return f"is {text if len(text) <= 60 else text[:57] + '...'}"


def parse_options(raw: object, name: str = "options") -> ModelOptions:
    """Check the content of an options file.

    Keys that inference does not use (training settings, for example) are ignored.

    Parameters
    ----------
    raw : object
        The decoded JSON.
    name : str
        How messages call the file.

    Returns
    -------
    ModelOptions

    Raises
    ------
    OptionsError
        With every problem in one message.
    """
    if not isinstance(raw, Mapping):
        raise OptionsError(f'{name}: expected a JSON object with "lstm" and "char_cnn", found {type(raw).__name__}')
    reader = _Reader()
    if "char_cnn" not in raw and "lstm" in raw:
        raise OptionsError(
            f'{name}: there is no "char_cnn", so this model reads word ids instead of characters; '
            "load it with numpy_elmo.interfaces.bilm.BidirectionalLanguageModel(..., use_character_inputs=False)"
        )
    cnn = reader.section(raw, "char_cnn", "")
    lstm = reader.section(raw, "lstm", "")
    if reader.problems:
        raise _error(name, reader.problems)

    where = "char_cnn: "
    filters = reader.filters(cnn, where)
    embedding = reader.section(cnn, "embedding", where)
    is_there = isinstance(cnn.get("embedding"), Mapping)
    embedding_dim = reader.integer(embedding, "dim", where + "embedding: ", at_least=1) if is_there else 1
    # 261 is what training writes and 262 what inference with bilm-tf asks for; both name the same 261 stored rows.
    n_characters = cnn.get("n_characters", 262)
    if n_characters not in (261, 262):
        reader.problems.append(f'{where}"n_characters" {_found(cnn, "n_characters")}, expected 261 or 262')
    activation = cnn.get("activation", "relu")
    if activation not in ("relu", "tanh"):
        reader.problems.append(f'{where}"activation" {_found(cnn, "activation")}, expected "relu" or "tanh"')
    char_cnn = CharCnnOptions(
        filters=filters,
        n_highway=reader.integer(cnn, "n_highway", where, at_least=0, at_most=MAX_LAYERS, default=0),
        embedding_dim=embedding_dim,
        max_characters_per_token=reader.integer(
            cnn, "max_characters_per_token", where, at_least=3, at_most=MAX_CHARACTERS
        ),
        activation=cast("Activation", activation),
    )
    if char_cnn.max_characters_per_token < char_cnn.widest_filter:
        reader.problems.append(
            f'{where}"max_characters_per_token" is {char_cnn.max_characters_per_token}, '
            f"fewer than the widest filter's {char_cnn.widest_filter}"
        )

    lstm_options = _lstm_options(reader, lstm)
    if reader.problems:
        raise _error(name, reader.problems)
    return ModelOptions(char_cnn=char_cnn, lstm=lstm_options)


def _lstm_options(reader: _Reader, lstm: Mapping[str, Any]) -> LstmOptions:
    where = "lstm: "
    options = LstmOptions(
        dim=reader.integer(lstm, "dim", where, at_least=1),
        projection_dim=reader.integer(lstm, "projection_dim", where, at_least=1),
        n_layers=reader.integer(lstm, "n_layers", where, at_least=1, at_most=MAX_LAYERS),
        cell_clip=reader.clip(lstm, "cell_clip", where),
        proj_clip=reader.clip(lstm, "proj_clip", where),
        use_skip_connections=reader.boolean(lstm, "use_skip_connections", where),
    )
    if not reader.problems and options.projection_dim > options.dim:
        reader.problems.append(f'{where}"projection_dim" is {options.projection_dim}, more than "dim", {options.dim}')
    return options


def parse_lstm_options(raw: object, name: str = "options") -> LstmOptions:
    """Check the part of an options file that a model of token ids needs: ``"lstm"``.

    Everything else, a ``"char_cnn"`` too, is ignored: such a model looks its tokens' vectors up in a table.

    Parameters
    ----------
    raw : object
        The decoded JSON.
    name : str
        How messages call the file.

    Returns
    -------
    LstmOptions

    Raises
    ------
    OptionsError
        With every problem in one message.
    """
    if not isinstance(raw, Mapping):
        raise OptionsError(f'{name}: expected a JSON object with "lstm", found {type(raw).__name__}')
    reader = _Reader()
    lstm = reader.section(raw, "lstm", "")
    options = _lstm_options(reader, lstm) if not reader.problems else None
    if options is None or reader.problems:
        raise _error(name, reader.problems)
    return options


def decode_options(data: bytes, name: str) -> ModelOptions:
    """Decode and check the bytes of an options file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        How messages call the file.

    Returns
    -------
    ModelOptions

    Raises
    ------
    OptionsError
        If the bytes are not a JSON object that describes a model.
    """
    return parse_options(_decode_json(data, name), name)


def decode_lstm_options(data: bytes, name: str) -> LstmOptions:
    """Decode the bytes of an options file and check the part that a model of token ids needs.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        How messages call the file.

    Returns
    -------
    LstmOptions

    Raises
    ------
    OptionsError
        If the bytes are not a JSON object that describes LSTM layers.
    """
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
        raise OptionsError(f"{name}: the key {error} stands there twice; remove the wrong one") from error
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


def _error(name: str, problems: list[str]) -> OptionsError:
    lines = "".join(f"\n  {problem}" for problem in problems)
    return OptionsError(f"{name} does not describe an ELMo model:{lines}")
