"""TensorFlow's checkpoints: TensorFlow wrote the fixtures, and what it did not write is made here."""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo import Elmo, LanguageModel, load
from numpy_elmo.analysis.verify import verify
from numpy_elmo.cli import main
from numpy_elmo.errors import ElmoError, InputError, ModelNotFoundError, WeightsError
from numpy_elmo.files import checkpoint
from numpy_elmo.files.arrays import DamagedError
from numpy_elmo.files.checkpoint import published_name, read_index
from numpy_elmo.files.crc32c import crc32c
from numpy_elmo.files.find import find_model
from numpy_elmo.files.places import Folder
from numpy_elmo.interfaces import hub
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.faults.limits import needs_limits, outcome, outcome_with_memory

CHECKPOINTS, SOURCE = FIXTURES / "checkpoints", FIXTURES / "language_model"
PREFIX = "model.ckpt-7"
SENTENCES = [["Where", "have", "you"], ["Yes"], ["naïve", "東京"]]


@pytest.fixture
def training(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CHECKPOINTS / "training", tmp_path / "model"))


def same_vectors(found: Elmo, expected: Elmo) -> None:
    for a, b in zip(found.embed(SENTENCES), expected.embed(SENTENCES), strict=True):
        np.testing.assert_array_equal(a, b)


# -- what TensorFlow wrote -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    ["training", f"training/{PREFIX}", f"training/{PREFIX}.index", "sharded", "hub"],
)
def test_a_checkpoint_is_the_model_that_it_was_made_from(source: str) -> None:
    same_vectors(load(CHECKPOINTS / source), load(SOURCE))


@pytest.mark.parametrize("source", ["training", "sharded"])
def test_the_softmax_and_vocabulary_of_a_training_are_read(source: str) -> None:
    expected = LanguageModel.load(SOURCE)
    for in_memory in (True, False):
        found = LanguageModel.load(CHECKPOINTS / source, in_memory=in_memory)
        for a, b in zip(found.log_probs(SENTENCES), expected.log_probs(SENTENCES), strict=True):
            np.testing.assert_array_equal(a.forward, b.forward)
            np.testing.assert_array_equal(a.backward, b.backward)


def test_half_and_bfloat16_are_read_as_they_round(tmp_path: Path) -> None:
    """The same model, its values rounded as they were for the fixture."""
    folder = Path(shutil.copytree(SOURCE, tmp_path / "model"))
    with h5py.File(folder / "weights.hdf5", "a") as file:

        def round_values(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()]
                if "CNN" in name:  # to nearest even, on the upper half of the bits
                    bits = values.view("u4")
                    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
                    item[...] = bits.astype("u4").view("f4")
                else:
                    item[...] = values.astype("f2")

        file.visititems(round_values)
    same_vectors(load(CHECKPOINTS / "half"), load(folder))


def test_optimizer_slots_and_counters_are_no_arrays_of_the_model() -> None:
    with find_model(CHECKPOINTS / "training").open_weights() as arrays:
        names = arrays.names()
    with h5py.File(SOURCE / "weights.hdf5") as weights, h5py.File(SOURCE / "softmax_weights.hdf5") as softmax:
        expected: set[str] = set()
        for file in (weights, softmax):
            file.visititems(lambda name, item: expected.add(name) if isinstance(item, h5py.Dataset) else None)
    assert set(names) == expected
    assert published_name("lm/char_embed/Adagrad") is None
    assert published_name("lm/RNN_0/rnn/multi_rnn_cell/cell_1/lstm_cell/kernel/Adagrad") is None
    assert published_name("global_step") is None
    single = "lm/RNN_1/rnn/lstm_cell/projection/kernel"
    assert published_name(single) == "RNN_1/RNN/MultiRNNCell/Cell0/LSTMCell/W_P_0"


def test_info_says_what_is_assumed_of_a_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(CHECKPOINTS / "hub")]) == 0
    printed = capsys.readouterr().out
    assert "aggregation, stored with the model: weights [0.25, -0.5, 1.0], scale 1.5" in printed
    assert "clips of 3, skip connections, relu and 50 characters per token are assumed" in printed
    assert main(["info", str(CHECKPOINTS / "training")]) == 0
    assert "assumed" not in capsys.readouterr().out


def test_the_mix_of_a_module_is_read() -> None:
    elmo = load(CHECKPOINTS / "hub")
    mix = elmo.mixes["aggregation"]
    assert (mix.weights.tolist(), mix.gamma, mix.layer_norm) == ([0.25, -0.5, 1.0], 1.5, False)
    assert load(CHECKPOINTS / "training").mixes == {}
    module = hub.Module(CHECKPOINTS / "hub")
    assert (module.aggregation_weights.tolist(), module.aggregation_scaling) == ([0.25, -0.5, 1.0], 1.5)
    [expected] = elmo.embed(SENTENCES[:1], layers=mix)
    np.testing.assert_array_equal(module([" ".join(SENTENCES[0])], as_dict=True)["elmo"][0], expected)


def test_a_mix_that_does_not_fit_its_layers_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SOURCE, tmp_path / "model"))
    with h5py.File(folder / "weights.hdf5", "a") as file:
        file["scalar_mix_0/weights"] = np.zeros(2, np.float32)
        file["scalar_mix_0/scaling"] = np.float32(1)
    with pytest.raises(WeightsError, match=r"scalar_mix_0/weights: expected \(3,\), found \(2,\)"):
        load(folder)


def test_a_checkpoint_in_a_zip_is_read(training: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in training.iterdir():
            archive.write(path, path.name)
    same_vectors(load(tmp_path / "model.zip"), load(SOURCE))


def test_tensors_are_read_by_seeking(training: Path) -> None:
    """The optimizer's part may be any size: a hole of 3 GB in the data file costs neither time nor memory."""
    index = read_index((training / f"{PREFIX}.index").read_bytes())
    ends = max(entry.offset + entry.n_bytes for entry in index.entries.values())
    data = training / f"{PREFIX}.data-00000-of-00001"
    assert data.stat().st_size == ends
    os.truncate(data, 3 << 30)
    found = outcome_with_memory(f"load({str(training)!r})", 256 << 20)
    assert found == "a result\n"


# -- which checkpoint ------------------------------------------------------------------------------------------------


def rename_checkpoint(folder: Path, new: str) -> None:
    for path in folder.glob(f"{PREFIX}.*"):
        shutil.copy(path, folder / path.name.replace(PREFIX, new))


def test_the_checkpoint_that_the_training_names_is_taken(training: Path) -> None:
    rename_checkpoint(training, "model.ckpt-9")
    (training / f"{PREFIX}.index").write_bytes(b"not looked at")
    (training / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-9"\n')
    same_vectors(load(training), load(SOURCE))
    (training / "checkpoint").unlink()
    with pytest.raises(InputError, match=r"model\.ckpt-7\.index, model\.ckpt-9\.index.*by its prefix"):
        load(training)
    same_vectors(load(training / "model.ckpt-9"), load(SOURCE))


def test_missing_files_are_named(training: Path) -> None:
    (training / "options.json").unlink()
    with pytest.raises(ModelNotFoundError, match="holds no options file"):
        load(training)
    same_vectors(load(training, options=SOURCE / "options.json"), load(SOURCE))
    (training / f"{PREFIX}.data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match="data-00000-of-00001 is missing"):
        load(training, options=SOURCE / "options.json")


# -- checksums -------------------------------------------------------------------------------------------------------


def test_verify_compares_the_checksums_of_the_data(training: Path) -> None:
    for source in (training, training / PREFIX):
        report = verify(source)
        assert report.ok
        assert [check.found for check in report.checks] == ["yes", "none"]
    data = training / f"{PREFIX}.data-00000-of-00001"
    index = read_index((training / f"{PREFIX}.index").read_bytes())
    content = bytearray(data.read_bytes())
    content[index.entries[b"lm/CNN/b_cnn_0"].offset] ^= 1
    data.write_bytes(content)
    assert [check.found for check in verify(training).checks] == ["yes", "lm/CNN/b_cnn_0"]


# -- what TensorFlow did not write: made here ------------------------------------------------------------------------


def varint(n: int) -> bytes:
    result = bytearray()
    while n > 127:
        result.append(n & 127 | 128)
        n >>= 7
    return bytes([*result, n])


def table(entries: dict[bytes, bytes], *, kind: int = 0, pack: Any = bytes) -> bytes:
    """A LevelDB table of one block."""
    data = bytearray()

    def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
        start = len(data)
        content = b"".join(b"\0" + varint(len(k)) + varint(len(v)) + k + v for k, v in pairs)
        content = pack(content + struct.pack("<II", 0, 1)) + bytes([kind])
        data.extend(content + struct.pack("<I", checkpoint._masked(crc32c(content))))
        return varint(start) + varint(len(content) - 1)

    handle = block(sorted(entries.items()))
    index = block([(b"\xff", handle)])
    footer = (index[:0] + varint(0) + varint(0) + index).ljust(40, b"\0")
    return bytes(data) + footer + struct.pack("<Q", checkpoint.MAGIC)


HEADER = b"\x08\x01"  # one shard, little endian


def entry(dtype: int, shape: tuple[int, ...], n_bytes: int, offset: int = 0) -> bytes:
    dims = b"".join(b"\x12" + varint(len(varint(n)) + 1) + b"\x08" + varint(n) for n in shape)
    numbers = b"".join(bytes([8 * k]) + varint(n) for k, n in ((1, dtype), (4, offset), (5, n_bytes)))
    return numbers + b"\x12" + varint(len(dims)) + dims


def literal(data: bytes) -> bytes:
    """Data in the Snappy format, as literals, with a copy that overlaps itself where eight bytes are equal."""
    packed, place = varint(len(data)), 0
    while place < len(data):
        run = data[place : place + 1] * 8
        if place and data[place - 1 : place + 7] == run:
            packed, place = packed + bytes([(7 << 2) | 2, 1, 0]), place + 8
        else:
            packed, place = packed + bytes([0, data[place]]), place + 1
    return packed


def test_a_compressed_index_is_the_same() -> None:
    entries = {b"": HEADER, b"lm/softmax/b": entry(1, (4,), 16), b"x" * 100: entry(1, (), 4)}
    plain, packed = table(entries), table(entries, kind=1, pack=literal)
    assert len(packed) != len(plain)
    assert read_index(packed) == read_index(plain)
    assert read_index(plain).entries[b"lm/softmax/b"].shape == (4,)


def test_big_endian_values_are_turned(tmp_path: Path) -> None:
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    (tmp_path / "m.index").write_bytes(table({b"": HEADER + b"\x10\x01", b"lm/softmax/W": entry(1, (2, 3), 24)}))
    (tmp_path / "m.data-00000-of-00001").write_bytes(values.tobytes())
    with checkpoint.open_checkpoint(Folder(tmp_path), "m") as arrays:
        np.testing.assert_array_equal(arrays.read("softmax/W", "float32"), values)
        np.testing.assert_array_equal(list(arrays.rows("softmax/W", 1, "float32"))[1], values[1:])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({b"lm/softmax/b": entry(1, (10**12,), 4 * 10**12)}, "lies beyond the end"),
        ({b"lm/softmax/b": entry(1, (10**12,), 16)}, r"no tensor of \(1000000000000,\)"),
        ({b"lm/softmax/b": entry(1, (4,), 16, 1 << 40)}, "lies beyond the end"),
        ({b"lm/softmax/b": b"\x08" + b"\xff" * 20}, "a number does not end"),
        ({b"lm/softmax/b": b"\x12\x7f"}, "a field is cut off"),
        ({b"lm/softmax/b": entry(1, (4,), 16) + b"\x3a\x00"}, "dimensions"),
        ({b"lm/softmax/b": entry(1, (4,), 16) + b"\x3a\x02\x0a\x00"}, "a slice of softmax/b is missing"),
        ({b"": b"\x08\xff\xff\xff\x7f"}, "names 268435455 data files"),
        ({b"": b""}, "names 0 data files"),
        ({b"x" * 600: b""}, "longer names"),
    ],
)
def test_a_hostile_index_is_refused(tmp_path: Path, entries: dict[bytes, bytes], message: str) -> None:
    (tmp_path / "m.index").write_bytes(table({b"": HEADER} | entries))
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(16))
    with pytest.raises(WeightsError, match=message), checkpoint.open_checkpoint(Folder(tmp_path), "m"):
        pass


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (varint(1 << 40) + b"\0a", "unpacks to"),
        (varint(4) + bytes([1, 9]), "copies from before"),
        (varint(4) + b"\0a", "does not have the length"),
        (varint(1) + bytes([40]) + b"aaaaaaaaaaa", "does not have the length"),
        (varint(4) + bytes([0xFC, 1]), "cut off"),
    ],
)
def test_a_hostile_compressed_block_is_refused(packed: bytes, message: str) -> None:
    with pytest.raises(DamagedError, match=message):
        checkpoint._unsnap(packed)


def test_blocks_that_overlap_are_refused() -> None:
    """Their checksums may be right: a chain of overlapping blocks would take the square of the index's size."""
    data = table({b"": HEADER, b"lm/softmax/b": entry(1, (4,), 16)})
    n_bytes = data.index(struct.pack("<II", 0, 1)) + 8  # its end: one restart point, at 0
    left = [n_bytes + 5]  # as if nothing else were in the index
    assert len(list(checkpoint._block(data, 0, n_bytes, left))) == 2
    with pytest.raises(DamagedError, match="overlaps another"):
        list(checkpoint._block(data, 1, n_bytes, left))


def test_a_block_that_is_used_twice_is_refused() -> None:
    whole = bytearray(table({b"": HEADER}))
    whole[-48 + 2 : -48 + 4] = whole[-48:-46]  # the index block is now the block of the footer's first handle
    with pytest.raises((DamagedError, IndexError, struct.error)):
        read_index(bytes(whole))


@settings(deadline=None, max_examples=100)
@given(flips=st.lists(st.tuples(st.integers(0, 2426), st.integers(1, 255)), min_size=1, max_size=3))
def test_a_flipped_byte_in_an_index_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("flips")
    for path in (CHECKPOINTS / "training").iterdir():
        (folder / path.name).symlink_to(path) if path.suffix == ".json" else shutil.copy(path, folder)
    whole = bytearray((folder / f"{PREFIX}.index").read_bytes())
    for place, mask in flips:
        whole[place] ^= mask
    (folder / f"{PREFIX}.index").write_bytes(whole)
    found = outcome(lambda: load(folder / PREFIX, options=SOURCE / "options.json"))
    assert isinstance(found, (Elmo, ElmoError))


@needs_limits
def test_a_small_index_cannot_take_much_memory(tmp_path: Path) -> None:
    shutil.copy(SOURCE / "options.json", tmp_path)
    for name in ("lm/softmax/W", "lm/char_embed"):
        (tmp_path / "m.index").write_bytes(table({b"": HEADER, name.encode(): entry(1, (1 << 20, 1 << 20), 1 << 42)}))
        (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(16))
        assert outcome_with_memory(f"load({str(tmp_path)!r})", 256 << 20).startswith("WeightsError")


def test_a_pipe_for_the_data_is_refused_without_waiting(training: Path) -> None:
    (training / f"{PREFIX}.data-00000-of-00001").unlink()
    os.mkfifo(training / f"{PREFIX}.data-00000-of-00001")
    with pytest.raises(WeightsError, match="no regular file"):
        load(training)
