"""PyTorch's files with an ELMo of AllenNLP: its module and PyTorch wrote the fixtures, hostile ones are made here."""

from __future__ import annotations

import collections
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_elmo import Elmo, load
from numpy_elmo.analysis.convert import convert
from numpy_elmo.cli import main
from numpy_elmo.errors import ElmoError, InputError, WeightsError
from numpy_elmo.files.find import find_model
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.faults.limits import needs_limits, outcome, outcome_with_memory

with suppress(ImportError):
    import torch

FILES, SOURCE = FIXTURES / "allennlp_files", FIXTURES / "language_model"
SENTENCES = [["Where", "have", "you"], ["Yes"], ["naïve", "東京"]]
RECORD = json.loads((FILES / "record.json").read_text(encoding="utf-8"))
PREFIX = "text_field_embedder.token_embedder_elmo._elmo."
MIXES = {name: (scalars, gamma, False) for name, (scalars, gamma) in RECORD["trained"].items()}


def same_vectors(found: Elmo, expected: Elmo) -> None:
    for a, b in zip(found.embed(SENTENCES), expected.embed(SENTENCES), strict=True):
        np.testing.assert_array_equal(a, b)


def mixes(elmo: Elmo) -> dict[str, Any]:
    return {name: (mix.weights.tolist(), round(mix.gamma, 6), mix.layer_norm) for name, mix in elmo.mixes.items()}


# -- what PyTorch wrote ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["stream", "zip", "stream/weights.th", "zip/weights.th", "model.tar.gz"])
def test_a_model_of_allennlp_is_the_model_that_it_was_made_from(source: str) -> None:
    elmo = load(FILES / source)
    same_vectors(elmo, load(SOURCE))
    assert mixes(elmo) == MIXES


def test_the_learned_mixes_give_what_allennlp_gives() -> None:
    elmo = load(FILES / "zip")
    with np.load(FILES / "expected.npz") as expected:
        for k in range(2):
            for sentence, wanted in zip(RECORD["sentences"], expected[f"mix_{k}"], strict=True):
                [found] = elmo.embed([sentence.split()], layers=elmo.mixes[f"scalar_mix_{k}"])
                np.testing.assert_allclose(found, wanted[: len(found)], rtol=0, atol=2e-6)


def test_what_no_file_says_is_assumed_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(FILES / "zip")]) == 0
    printed = capsys.readouterr().out
    assert "scalar_mix_0, stored with the model: weights [1.0, 0.5, -0.5], scale 0.7" in printed
    assert "scalar_mix_1, stored with the model: weights [-1.0, 0.0, 2.0], scale 3" in printed
    assert "are assumed: no file says" in printed
    assert main(["info", str(FILES / "model.tar.gz")]) == 0  # which has the options that the training began with
    assert "assumed" not in capsys.readouterr().out
    assert main(["info", "--json", str(FILES / "zip")]) == 0
    assert json.loads(capsys.readouterr().out)["mixes"]["scalar_mix_1"]["weights"] == [-1.0, 0.0, 2.0]


def test_options_are_found_as_allennlp_packs_them(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FILES / "zip", tmp_path / "model"))
    options = json.loads((SOURCE / "options.json").read_text())
    options["lstm"]["cell_clip"] = 0.5
    (folder / "fta").mkdir()
    (folder / "fta" / "model.elmo.options_file").write_text(json.dumps(options))
    assert find_model(folder).options.lstm.cell_clip == 0.5
    assert find_model(folder / "weights.th", SOURCE / "options.json").options.lstm.cell_clip == 2
    (folder / "options.json").write_bytes((SOURCE / "options.json").read_bytes())
    assert find_model(folder).options.lstm.cell_clip == 2


def test_the_configuration_says_whether_mixes_have_a_layer_norm(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FILES / "zip", tmp_path / "model"))
    for value in (True, False, None):
        (folder / "config.json").write_text(json.dumps({"model": [{"elmo": {"do_layer_norm": value}}]}))
        assert load(folder).mixes["scalar_mix_0"].layer_norm is (value is True)


def test_which_of_several_files_is_taken(tmp_path: Path) -> None:
    for name in ("model_state_epoch_1.th", "training_state_epoch_1.th"):
        shutil.copy(FILES / "zip" / "weights.th", tmp_path / name)
    same_vectors(load(tmp_path), load(SOURCE))
    (tmp_path / "model_state_epoch_2.th").write_bytes(b"not looked at")
    with pytest.raises(InputError, match=r"several files.*epoch_1\.th.*epoch_2\.th"):
        load(tmp_path)
    shutil.copy(FILES / "zip" / "weights.th", tmp_path / "best.th")
    same_vectors(load(tmp_path), load(SOURCE))


def test_it_is_converted_to_the_published_layout(tmp_path: Path) -> None:
    assert convert(FILES / "model.tar.gz", tmp_path / "new").difference == 0
    same_vectors(load(tmp_path / "new"), load(SOURCE))


# -- what PyTorch writes for other models ----------------------------------------------------------------------------


def state_of(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, weights_only=True))


@pytest.fixture(params=[False, True], ids=["stream", "zip"])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def write(state: dict[str, Any]) -> Path:
        torch.save(state, tmp_path / "weights.th", _use_new_zipfile_serialization=request.param)
        return tmp_path / "weights.th"

    return write


@pytest.mark.slow
def test_tensors_are_read_however_they_are_stored(save: Callable[[dict[str, Any]], Path]) -> None:
    """In other precisions, as views of a common storage, transposed, as parameters, with no prefix."""
    state = state_of(FILES / "zip" / "weights.th")
    expected = load(SOURCE)
    changed: dict[str, Any] = collections.OrderedDict()
    common = torch.cat([tensor.flatten() for tensor in state.values()])
    position = 0
    for k, (key, tensor) in enumerate(state.items()):
        flat, position = common[position : position + tensor.numel()], position + tensor.numel()
        kinds = [flat.view(tensor.shape), tensor.double(), torch.nn.Parameter(tensor), tensor]
        changed[key.removeprefix(PREFIX)] = tensor.t().contiguous().t() if tensor.ndim == 2 and k % 2 else kinds[k % 4]
    same_vectors(load(save(changed)), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["half", "bfloat16"])
def test_half_and_bfloat16_are_read_as_torch_rounds(save: Callable[[dict[str, Any]], Path], name: str) -> None:
    state = state_of(FILES / "zip" / "weights.th")
    rounded = {key: getattr(tensor, name)() for key, tensor in state.items()}
    found = load(save(rounded))
    same_vectors(found, load(save({key: tensor.float() for key, tensor in rounded.items()})))


@pytest.mark.slow
def test_a_forget_bias_that_was_fine_tuned_keeps_its_bits(save: Callable[[dict[str, Any]], Path]) -> None:
    """The sum with 1 is what is stored; the difference would need more bits than float32 has."""
    state = state_of(FILES / "zip" / "weights.th")
    D = 24
    for key, tensor in state.items():
        if key.endswith("state_linearity.bias"):
            tensor[D : 2 * D] = torch.rand(D, generator=torch.Generator().manual_seed(0)) / 8
    elmo = load(save(state))
    torch_bias = state[f"{PREFIX}_elmo_lstm._elmo_lstm.backward_layer_1.state_linearity.bias"].numpy()
    np.testing.assert_array_equal(elmo.bilm.backward.layers[1].b[2 * D : 3 * D], torch_bias[D : 2 * D])


@pytest.mark.slow
def test_the_same_elmo_twice_is_one_and_two_are_named(save: Callable[[dict[str, Any]], Path]) -> None:
    state = state_of(FILES / "zip" / "weights.th")
    twice = {**state, **{f"again.{key.removeprefix(PREFIX)}": tensor for key, tensor in state.items()}}
    same_vectors(load(save(twice)), load(SOURCE))
    other = {**state, **{f"again.{key.removeprefix(PREFIX)}": tensor.clone() for key, tensor in state.items()}}
    with pytest.raises(WeightsError, match=r"several ELMos.*'text_field_embedder.*'again\._elmo_lstm\.'"):
        load(save(other))
    one = {key: tensor for key, tensor in other.items() if key.startswith("again._elmo_lstm.")}  # the remedy
    found = load(save(one))
    same_vectors(found, load(SOURCE))
    assert found.mixes == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ("_char_embedding_weights", "holds no ELMo"),
        ("char_conv_1.bias", "char_conv_1.bias' is missing"),
        ("_highways._layers.0.bias", "layers.0.bias' is missing"),
        ("forward_layer_0.input_linearity.weight", "RNN_0/RNN/MultiRNNCell/Cell0"),
        ("backward_layer_1.state_projection.weight", "state_projection.weight' is missing"),
        ("scalar_mix_0.scalar_parameters.2", r"scalar_mix_0/weights: expected \(3,\), found \(2,\)"),
    ],
)
def test_what_is_missing_is_named(save: Callable[[dict[str, Any]], Path], drop: str, message: str) -> None:
    state = state_of(FILES / "zip" / "weights.th")
    left = {key: tensor for key, tensor in state.items() if not key.endswith(drop)}
    assert len(left) == len(state) - 1
    with pytest.raises(WeightsError, match=message):
        load(save(left), options=SOURCE / "options.json")


# -- hostile files ---------------------------------------------------------------------------------------------------


class Hostile:
    """Pickles to a call of os.system."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def in_zip(pickled: bytes, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in members.items():
            archive.writestr(f"archive/data/{key.removeprefix('_')}", data)
    return buffer.getvalue()


def in_stream(pickled: bytes, keys: list[str], *storages: bytes) -> bytes:
    magic, version, system = 0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}
    parts = [*(pickle.dumps(part, 2) for part in (magic, version, system)), pickled, pickle.dumps(keys, 2)]
    return b"".join([*parts, *storages])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("place", ["value", "key", "whole"])
def test_a_pickle_that_calls_something_is_refused_by_its_name(tmp_path: Path, protocol: int, place: str) -> None:
    touched, path = tmp_path / "touched", tmp_path / "weights.th"
    hostile: Any = Hostile(touched)
    whole = {"value": {"a": hostile}, "key": {hostile: "a"}, "whole": hostile}[place]
    pickled = pickle.dumps(whole, protocol)
    for data in (in_zip(pickled), in_stream(pickled, [])):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=r"asks for '(posix|nt)\.system', which no weights need"):
            load(path)
    assert not touched.exists()
    pickle.loads(pickled)  # what Python does with it
    assert touched.exists()


def tensor(shape: str, strides: str, *, offset: str = "K\x00", size: int = 4) -> bytes:
    """The pickle of a tensor of the characters' name, in a storage of `size` numbers with the key 0."""
    key = b"_token_embedder._char_embedding_weights"
    storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu\x8a\x08" + struct.pack("<q", size) + b"tQ"
    storage = storage.replace(b"U", b"\x8c")
    arguments = storage + b"".join(part.encode("latin-1") for part in (offset, shape, strides)) + b"\x89N"
    return b"}\x8c" + bytes([len(key)]) + key + b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tRs."


LARGE = "\x8a\x06" + (10**12).to_bytes(6, "little").decode("latin-1")


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (tensor("K\x02K\x02\x86", "K\x02K\x01\x86"), "char_conv|projection"),
        (tensor("K\x02K\x03\x86", "K\x03K\x01\x86"), "not within its storage"),
        (tensor("K\x02K\x02\x86", "K\x09K\x01\x86"), "not within its storage"),
        (tensor("K\x02K\x02\x86", "K\x02K\x01\x86", offset="K\x01"), "not within its storage"),
        (tensor(f"{LARGE}K\x02\x86", "K\x00K\x00\x86"), "not within its storage"),
        (tensor(f"{LARGE}K\x02\x86", "K\x00K\x00\x86", size=10**15), "invalid sizes|storage in it is invalid"),
        (tensor("J\xff\xff\xff\xffK\x02\x86", "K\x01K\x01\x86"), "invalid sizes"),
        (tensor("K\x02K\x02\x86", "K\x01\x85"), "2 axes and 1 strides"),
        (tensor("K\x02K\x02\x86", "K\x01K\x01\x86", size=-1), "storage in it is invalid"),
        (tensor("K\x02K\x02\x86", "K\x01K\x01\x86", size=1 << 41), "storage in it is invalid"),
        (tensor("N", "N"), "a tensor in it is invalid"),
    ],
)
def test_tensors_beyond_their_storages_are_refused(tmp_path: Path, pickled: bytes, message: str) -> None:
    storage = struct.pack("<q", 4) + bytes(16)
    for data in (in_zip(pickled, _0=bytes(16)), in_stream(pickled, ["0"], storage)):
        (tmp_path / "weights.th").write_bytes(data)
        with pytest.raises(WeightsError, match=message):
            load(tmp_path)


def test_a_storage_that_is_missing_is_named(tmp_path: Path) -> None:
    pickled = tensor("K\x02K\x02\x86", "K\x02K\x01\x86").replace(b"_token_embedder._char", b"_tokem_embedder._char")
    stream = in_stream(pickled, [])
    (tmp_path / "weights.th").write_bytes(stream)
    with pytest.raises(WeightsError, match="the storage '0' is missing"):
        load(tmp_path)
    with zipfile.ZipFile(FILES / "zip" / "weights.th") as old, zipfile.ZipFile(tmp_path / "weights.th", "w") as new:
        for name in old.namelist():
            if not name.endswith("data/7"):
                new.writestr(name, old.read(name))
    with pytest.raises(WeightsError, match="'data/7' is missing"):
        load(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-100],
        lambda whole: whole[:14],
        lambda whole: whole.replace(b"FloatStorage", b"OtherStorage"),
        lambda whole: whole.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"),
        lambda whole: whole.replace(b"forward_layer_1", b"forward_layer_7"),
        lambda whole: bytes(4) + whole[4:],
        lambda whole: b"",
    ],
)
@pytest.mark.parametrize("form", ["stream", "zip"])
def test_damaged_files_are_refused(tmp_path: Path, form: str, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "weights.th"
    whole = (FILES / form / "weights.th").read_bytes()
    assert damage(whole) != whole
    path.write_bytes(damage(whole))
    assert isinstance(outcome(lambda: load(tmp_path)), ElmoError)


def test_the_values_of_a_zip_have_checksums(tmp_path: Path) -> None:
    whole = bytearray((FILES / "zip" / "weights.th").read_bytes())
    with zipfile.ZipFile(FILES / "zip" / "weights.th") as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    whole[largest.header_offset + 200] ^= 1
    (tmp_path / "weights.th").write_bytes(whole)
    with pytest.raises(WeightsError, match="Bad CRC-32"):
        load(tmp_path)


@needs_limits
@pytest.mark.slow
def test_a_small_file_cannot_take_much_memory(tmp_path: Path) -> None:
    path = tmp_path / "weights.th"
    many = 75 << 20  # numbers in 300 MiB
    bombs = {
        "a storage": in_zip(tensor("K\x02K\x02\x86", "K\x02K\x01\x86", size=many), _0=bytes(4 * many)),
        "a pickle": in_zip(b"N" * (4 * many)),
        "many opcodes": in_zip(b"N" * (1 << 20)),
        "a storage that is not there": in_stream(tensor("K\x02K\x02\x86", "K\x02K\x01\x86", size=many), ["0"], b""),
    }
    for name, data in bombs.items():
        path.write_bytes(data)
        found = outcome_with_memory(f"load({str(path)!r})", 256 << 20)
        assert found.startswith("WeightsError"), f"{name}: {found}"
