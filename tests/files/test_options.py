"""Options files: every problem is named, unknown keys are left alone."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from numpy_elmo.errors import OptionsError
from numpy_elmo.files.options import decode_options, parse_options

PUBLISHED: dict[str, Any] = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 512,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 4096,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
        "n_highway": 2,
        "embedding": {"dim": 16},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The published options with one value changed; ``...`` removes it."""
    options = copy.deepcopy(PUBLISHED)
    *folders, key = path.split("/")
    place = options
    for folder in folders:
        place = place[folder]
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return options


def test_the_published_options_are_read() -> None:
    options = parse_options(PUBLISHED)
    assert options.char_cnn.n_filters == 2048
    assert options.char_cnn.widest_filter == 7
    assert options.char_cnn.n_highway == 2
    assert (options.lstm.dim, options.lstm.projection_dim, options.lstm.n_layers) == (4096, 512, 2)
    assert (options.lstm.cell_clip, options.lstm.proj_clip) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("char_cnn/n_characters", 261),
        ("char_cnn/n_highway", ...),
        ("char_cnn/n_highway", None),
        ("char_cnn/n_highway", 0),
        ("char_cnn/activation", "tanh"),
        ("lstm/cell_clip", ...),
        ("lstm/proj_clip", None),
        ("lstm/cell_clip", 0.5),
        ("n_negative_samples_batch", 4096),
        ("lstm/something", [1]),
    ],
)
def test_variants_and_unknown_keys_are_accepted(path: str, value: Any) -> None:
    parse_options(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("lstm", ..., '"lstm" is missing'),
        ("lstm", 3, '"lstm" is 3, expected an object'),
        ("char_cnn", ..., "reads word ids instead of characters"),
        ("lstm/dim", ..., 'lstm: "dim" is missing, expected an integer of at least 1'),
        ("lstm/dim", "4096", 'lstm: "dim" is "4096"'),
        ("lstm/dim", -1, 'lstm: "dim" is -1'),
        ("lstm/dim", True, 'lstm: "dim" is true'),
        ("lstm/dim", 4096.0, 'lstm: "dim" is 4096.0'),
        ("lstm/n_layers", 0, "at least 1"),
        ("lstm/cell_clip", 0, "expected a positive number"),
        ("lstm/cell_clip", "3", "expected a positive number"),
        ("lstm/proj_clip", float("inf"), "expected a positive number"),
        ("lstm/use_skip_connections", ..., "expected true or false"),
        ("lstm/use_skip_connections", 1, "expected true or false"),
        ("lstm/projection_dim", 5000, 'more than "dim", 4096'),
        ("char_cnn/filters", [], "list of [width, count]"),
        ("char_cnn/filters", [[1]], "list of [width, count]"),
        ("char_cnn/filters", [[1, 0]], "positive integers"),
        ("char_cnn/filters", {"1": 32}, "list of [width, count]"),
        ("char_cnn/n_characters", 300, "expected 261 or 262"),
        ("char_cnn/n_characters", [262], "expected 261 or 262"),
        ("char_cnn/activation", "gelu", '"relu" or "tanh"'),
        ("char_cnn/max_characters_per_token", 6, "fewer than the widest filter's 7"),
        ("char_cnn/max_characters_per_token", 2, "at least 3"),
        ("char_cnn/embedding", ..., '"embedding" is missing'),
        ("char_cnn/embedding/dim", None, '"dim" is null'),
        ("char_cnn/n_highway", -1, "at least 0"),
    ],
)
def test_each_problem_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(OptionsError) as caught:
        parse_options(changed(path, value), "some/options.json")
    assert message in str(caught.value)
    assert "some/options.json" in str(caught.value)


def test_all_problems_come_in_one_message() -> None:
    options = copy.deepcopy(PUBLISHED)
    options["lstm"]["dim"] = "wide"
    del options["lstm"]["n_layers"]
    options["char_cnn"]["filters"] = None
    options["char_cnn"]["activation"] = "gelu"
    with pytest.raises(OptionsError) as caught:
        parse_options(options)
    for key in ("dim", "n_layers", "filters", "activation"):
        assert f'"{key}"' in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"\x89HDF\r\n\x1a\n....", "swapped"),
        (b"[1, 2]", "expected a JSON object"),
        (b'{"lstm": {"dim": 1, "dim": 2}, "char_cnn": {}}', 'the key "dim" occurs twice'),
        (b"[" * 100_000, "nested too deeply"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is not JSON"),
    ],
)
def test_what_is_no_options_file_says_so(data: bytes, message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        decode_options(data, "options.json")


def test_a_byte_order_mark_is_skipped() -> None:
    assert decode_options(b"\xef\xbb\xbf" + json.dumps(PUBLISHED).encode(), "options.json").lstm.dim == 4096
