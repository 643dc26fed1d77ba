"""Model files that are damaged, wrong or hostile end in a model or in one clear error, in bounded memory."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_elmo import Elmo, LanguageModel, load
from numpy_elmo.errors import ElmoError, InputError, InputTypeError, ModelNotFoundError, OptionsError, WeightsError
from numpy_elmo.files.options import decode_options
from numpy_elmo.files.vocabulary import decode_vocabulary, read_vocabulary
from numpy_elmo.interfaces.bilm import BidirectionalLanguageModel
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.faults.limits import needs_limits, outcome, outcome_with_memory

LANGUAGE_MODEL = FIXTURES / "language_model"
ONE_LAYER = FIXTURES / "one_layer"
WHOLE = (ONE_LAYER / "weights.hdf5").read_bytes()
PAGE = 4096


def metadata_bytes() -> list[int]:
    """Positions of a weight file that hold no weights: its headers."""
    headers = np.ones(len(WHOLE), bool)

    def strike_out(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            start = item.id.get_offset()
            headers[start : start + item.nbytes] = False

    with h5py.File(ONE_LAYER / "weights.hdf5") as file:
        file.visititems(strike_out)
    return np.flatnonzero(headers & (np.frombuffer(WHOLE, np.uint8) > 0)).tolist()


def load_bytes(weights: bytes) -> Elmo | ElmoError:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.hdf5"
        path.write_bytes(weights)
        return outcome(lambda: load(path, options=ONE_LAYER / "options.json"))


# -- weight files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [*range(0, len(WHOLE), PAGE), len(WHOLE) - 1])
def test_a_weight_file_cut_at_any_page_is_refused(size: int) -> None:
    assert isinstance(load_bytes(WHOLE[:size]), WeightsError)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(flips=st.lists(st.tuples(st.sampled_from(metadata_bytes()), st.integers(1, 255)), min_size=1, max_size=3))
def test_flipped_bytes_in_headers_end_in_a_model_or_an_error(flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(WHOLE)
    for position, mask in flips:
        damaged[position] ^= mask
    found = load_bytes(bytes(damaged))
    assert isinstance(found, (Elmo, WeightsError))


def replace_dataset(file: h5py.File, name: str, make: Callable[[h5py.Group, str, Any], Any]) -> None:
    values = file[name][()]
    del file[name]
    group, _, last = name.rpartition("/")
    make(file[group or "/"], last, values)


def assign(convert: Callable[[Any], Any]) -> Callable[[h5py.Group, str, Any], Any]:
    def make(group: h5py.Group, name: str, values: Any) -> None:
        group[name] = convert(values)

    return make


def virtual(group: h5py.Group, name: str, values: Any) -> None:
    layout = h5py.VirtualLayout(values.shape, "f4")
    layout[...] = h5py.VirtualSource("elsewhere.hdf5", "x", values.shape)
    group.create_virtual_dataset(name, layout)


def packed(**storage: Any) -> Callable[[h5py.Group, str, Any], Any]:
    return lambda group, name, values: group.create_dataset(name, data=values, **storage)


WRONG: dict[str, tuple[Callable[[h5py.Group, str, Any], Any], str]] = {
    "integers": (assign(lambda v: v.astype("i4")), "expected floating-point values, found int32"),
    "complex numbers": (assign(lambda v: v.astype("c8")), "expected floating-point values, found complex64"),
    "bytes": (assign(lambda v: np.full(v.shape, b"x")), "expected floating-point values"),
    "texts": (assign(lambda v: np.full(v.shape, "x", object)), "a dataset of texts or references"),
    "records": (assign(lambda v: v.astype([("x", "f4")])), "expected floating-point values"),
    "one dimension more": (assign(lambda v: v[np.newaxis]), r"found \(1, "),
    "one dimension fewer": (assign(lambda v: v.ravel()), r"found \(\d+,\)"),
    "one number": (assign(lambda v: v.ravel()[0]), r"found \(\)"),
    "zero rows": (assign(lambda v: v[:0]), r"found \(0, "),
    "no values": (assign(lambda _: h5py.Empty("f4")), "a dataset without values"),
    "a link": (assign(lambda _: h5py.SoftLink("/char_embed")), "a link to '/char_embed', which is not followed"),
    "a link to itself": (assign(lambda _: h5py.SoftLink("/CNN_proj/W_proj")), "a link to"),
    "a link to another file": (assign(lambda _: h5py.ExternalLink("/etc/passwd", "x")), "a link to"),
    "values in another file": (
        lambda group, name, v: group.create_dataset(name, v.shape, "f4", external=[("/etc/passwd", 0, v.nbytes)]),
        "kept in other files",
    ),
    "a virtual dataset": (virtual, "kept in other files"),
    "a filter of doubtful origin": (packed(chunks=(4, 4), scaleoffset=3), "stored with the filters"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_dataset_of_the_wrong_kind_is_named(model_folder: Path, kind: str) -> None:
    make, message = WRONG[kind]
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        replace_dataset(file, "CNN_proj/W_proj", make)
    with pytest.raises(WeightsError, match=rf"CNN_proj/W_proj: .*{message}"):
        load(model_folder)


@pytest.mark.parametrize(
    "storage",
    [
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf", "shuffle": True},
        {"chunks": (4, 4), "maxshape": (None, None)},
    ],
)
def test_packed_weights_are_the_same_model(model_folder: Path, storage: Any) -> None:
    expected = load(model_folder).embed([["a", "b"]])[0]
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        replace_dataset(file, "CNN_proj/W_proj", packed(**storage))
    np.testing.assert_array_equal(load(model_folder).embed([["a", "b"]])[0], expected)


def test_a_damaged_chunk_is_named(model_folder: Path) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        replace_dataset(file, "CNN_proj/W_proj", packed(compression="gzip"))
        dataset = file["CNN_proj/W_proj"]
        dataset.id.write_direct_chunk((0, 0), b"no deflate stream")
    with pytest.raises(WeightsError, match=r"CNN_proj/W_proj cannot be read.*fetch the file again"):
        load(model_folder)


# -- files that say they are larger than they are --------------------------------------------------------------------

MIB = 1 << 20

# What a small model may take beside the interpreter: FREE_BYTES for arrays, a copy of the largest, and room.
LITTLE_MEMORY = 256 * MIB


def declare_much(file: h5py.File) -> None:
    """A model of 2 TB, none of which was written."""
    lstm = {"dim": 1 << 18, "projection_dim": 1 << 17}
    _rewrite_options(file, {"lstm": lstm, "char_cnn": {}})
    for direction in ("RNN_0", "RNN_1"):
        for layer in range(2):
            cell = file[f"{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"]
            for name in list(cell):
                del cell[name]
            cell.create_dataset("W_0", (1 << 18, 1 << 20), "f4", chunks=(256, 256))
            cell.create_dataset("B", (1 << 20,), "f4", chunks=(256,))
            cell.create_dataset("W_P_0", (1 << 18, 1 << 17), "f4", chunks=(256, 256))
    del file["CNN_proj/W_proj"], file["CNN_proj/b_proj"]
    file.create_dataset("CNN_proj/W_proj", (32, 1 << 17), "f4", chunks=(32, 256))
    file.create_dataset("CNN_proj/b_proj", (1 << 17,), "f4", chunks=(256,))


def pack_much_into_a_chunk(file: h5py.File) -> None:
    replace_dataset(file, "CNN_proj/W_proj", packed(compression="gzip"))
    file["CNN_proj/W_proj"].id.write_direct_chunk((0, 0), zlib.compress(bytes(320 * MIB), 1))


def pack_much_twice(file: h5py.File) -> None:
    def twice(group: h5py.Group, name: str, values: Any) -> None:
        pipeline = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        pipeline.set_chunk(values.shape)
        pipeline.set_deflate(9)
        pipeline.set_filter(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FLAG_OPTIONAL, (9,))
        space = h5py.h5s.create_simple(values.shape)
        dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, pipeline)
        dataset.write_direct_chunk((0, 0), zlib.compress(zlib.compress(bytes(320 * MIB), 9), 9))

    replace_dataset(file, "CNN_proj/W_proj", twice)


def declare_a_large_chunk(file: h5py.File) -> None:
    def large(group: h5py.Group, name: str, values: Any) -> None:
        group.create_dataset(name, values.shape, "f4", maxshape=(None, None), chunks=(1 << 15, 1 << 14))

    replace_dataset(file, "CNN_proj/W_proj", large)


def _rewrite_options(file: h5py.File, changes: dict[str, dict[str, Any]]) -> None:
    path = Path(file.filename).with_name("options.json")
    options = json.loads(path.read_text())
    for section, values in changes.items():
        options[section] |= values
    path.write_text(json.dumps(options))


@needs_limits
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (declare_much, "cannot be in a file of"),
        (pack_much_into_a_chunk, "more in a chunk than the chunk's size"),
        pytest.param(pack_much_twice, "stored with the filters", marks=pytest.mark.slow),
        pytest.param(declare_a_large_chunk, "in chunks of 2,147,483,648 bytes", marks=pytest.mark.slow),
    ],
)
def test_a_small_weight_file_cannot_take_much_memory(
    model_folder: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        change(file)
    assert (model_folder / "weights.hdf5").stat().st_size < 4 * MIB
    found = outcome_with_memory(f"load({str(model_folder)!r})", LITTLE_MEMORY)
    assert found.startswith("WeightsError")
    assert message in found


@pytest.mark.slow
@needs_limits
def test_a_small_softmax_cannot_take_much_memory(tmp_path: Path) -> None:
    n_words = 1 << 20
    (tmp_path / "vocab.txt").write_text("<S>\n</S>\n<UNK>\n" + "\n".join(map(str, range(n_words - 3))))
    width = json.loads((LANGUAGE_MODEL / "options.json").read_text())["lstm"]["projection_dim"]
    with h5py.File(tmp_path / "softmax.hdf5", "w") as file:
        file.create_dataset("softmax/W", (n_words, width), "f4", maxshape=(None, None), chunks=(1 << 15, 1 << 14))
        file.create_dataset("softmax/b", (n_words,), "f4", chunks=(1024,))
    words = f"softmax={str(tmp_path / 'softmax.hdf5')!r}, vocabulary={str(tmp_path / 'vocab.txt')!r}"
    found = outcome_with_memory(f"LanguageModel.load({str(LANGUAGE_MODEL)!r}, {words})", 1 << 30)
    assert "in chunks of 2,147,483,648 bytes" in found


def zip_model(path: Path, folder: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, file in (("model.hdf5", "weights.hdf5"), ("options.json", "options.json")):
            archive.writestr(name, members.pop(name, (folder / file).read_bytes()))
        for name, content in members.items():
            archive.writestr(name, content, compresslevel=1)
    return path


@needs_limits
@pytest.mark.parametrize("member", ["model.hdf5", pytest.param("options.json", marks=pytest.mark.slow)])
def test_a_zip_bomb_is_refused(model_folder: Path, tmp_path: Path, member: str) -> None:
    start = b"\x89HDF\r\n\x1a\n" if member == "model.hdf5" else b"{"
    path = zip_model(tmp_path / "bomb.zip", model_folder, {member: start + bytes(320 * MIB)})
    found = outcome_with_memory(f"load({str(path)!r})", LITTLE_MEMORY)
    assert found.startswith(("WeightsError", "OptionsError"))
    assert ("unpacks to 335,544,328 bytes" if member == "model.hdf5" else "larger than any options file") in found


@needs_limits
@pytest.mark.parametrize("form", ["model.zip", "weights.th"])
def test_a_false_size_does_not_let_a_zip_unpack_to_more(model_folder: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / form
    if form == "model.zip":
        zip_model(path, model_folder, {"model.hdf5": b"\x89HDF\r\n\x1a\n" + bytes(320 * MIB)})
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", bytes(320 * MIB), compresslevel=1)
    with zipfile.ZipFile(path, "a") as archive:
        archive.infolist()[0].file_size = 1000
        archive.comment = b"makes it write its table again"
    found = outcome_with_memory(f"load({str(path)!r}, options={str(model_folder / 'options.json')!r})", LITTLE_MEMORY)
    assert found.startswith("WeightsError")
    assert "Bad CRC-32" in found


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("member", ["model.hdf5", "options.json"])
def test_a_zip_that_python_unpacks_without_a_bound_is_refused(
    model_folder: Path, tmp_path: Path, member: str, compression: int
) -> None:
    path = zip_model(tmp_path / "model.zip", model_folder, {})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content, compression if name == member else zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match=r"packed in an unusual way.*unpack the zip and give the folder"):
        load(path)


# -- zips and folders that point out of themselves -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["/etc/model.hdf5", "../model.hdf5", "a/../../model.hdf5", "C:\\model.hdf5", "..\\model.hdf5", "\\\\h\\s\\m"],
)
def test_a_zip_with_a_member_outside_itself_is_refused(model_folder: Path, tmp_path: Path, name: str) -> None:
    path = zip_model(tmp_path / "model.zip", model_folder, {name: b"x"})
    with pytest.raises(WeightsError, match="a link or points out of it"):
        load(path)
    with pytest.raises(WeightsError, match="a link or points out of it"):
        LanguageModel.load(path)


def test_a_zip_with_a_symbolic_link_is_refused(model_folder: Path, tmp_path: Path) -> None:
    path = zip_model(tmp_path / "model.zip", model_folder, {})
    link = zipfile.ZipInfo("vocab.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(WeightsError, match="a link or points out of it"):
        load(path)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_flipped_bytes_in_a_zip_end_in_a_model_or_an_error(
    zipped: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    # The members' contents in the middle are the smaller part of what can go wrong.
    ends = st.integers(0, 200) | st.integers(len(zipped) - 400, len(zipped) - 1) | st.integers(0, len(zipped) - 1)
    damaged = bytearray(zipped)
    for position, mask in data.draw(st.lists(st.tuples(ends, st.integers(1, 255)), min_size=1, max_size=3)):
        damaged[position] ^= mask
    path = tmp_path_factory.mktemp("zip") / "model.zip"
    path.write_bytes(damaged)
    assert isinstance(outcome(lambda: load(path)), (Elmo, ElmoError))
    assert isinstance(outcome(lambda: LanguageModel.load(path)), (LanguageModel, ElmoError))


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    extra = {name: (LANGUAGE_MODEL / name).read_bytes() for name in ("vocab.txt", "softmax_weights.hdf5")}
    return zip_model(tmp_path_factory.mktemp("whole") / "model.zip", LANGUAGE_MODEL, extra).read_bytes()


@pytest.mark.parametrize("name", ["weights.hdf5", "options.json"])
def test_a_link_out_of_a_models_folder_is_refused(model_folder: Path, tmp_path: Path, name: str) -> None:
    (model_folder / name).rename(tmp_path / name)
    (model_folder / name).symlink_to(tmp_path / name)
    with pytest.raises(InputError, match=r"a link out of its folder.*give it by its own path"):
        load(model_folder)
    load(tmp_path / "weights.hdf5" if name == "weights.hdf5" else model_folder / "weights.hdf5",
         options=tmp_path / name if name == "options.json" else model_folder / "options.json")  # fmt: skip


def test_links_within_a_models_folder_are_followed_and_loops_are_not(model_folder: Path) -> None:
    (model_folder / "files").mkdir()
    (model_folder / "weights.hdf5").rename(model_folder / "files" / "w")
    (model_folder / "model.hdf5").symlink_to(Path("files") / "w")
    load(model_folder)
    (model_folder / "model.hdf5").unlink()
    (model_folder / "model.hdf5").symlink_to(Path("model.hdf5"))
    assert isinstance(outcome(lambda: load(model_folder)), ElmoError)


# -- paths that are no files -----------------------------------------------------------------------------------------


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe.hdf5")
    return tmp_path / "pipe.hdf5"


def test_a_named_pipe_or_a_device_is_refused_without_waiting(pipe: Path, model_folder: Path) -> None:
    options, weights = model_folder / "options.json", model_folder / "weights.hdf5"
    for path in (pipe, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(WeightsError, match="no regular file"):
            load(path, options=options)
        with pytest.raises(OptionsError, match="no regular file"):
            load(weights, options=path)
        with pytest.raises(InputError, match="no regular file"):
            read_vocabulary(path)
        with pytest.raises(WeightsError, match="no regular file"):
            LanguageModel.load(LANGUAGE_MODEL, softmax=path, vocabulary=LANGUAGE_MODEL / "vocab.txt")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\udcff"])
def test_a_name_that_no_file_has_is_not_found(name: str, model_folder: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        load(name)
    with pytest.raises(ModelNotFoundError):
        load(model_folder / "weights.hdf5", options=name)
    with pytest.raises(ModelNotFoundError):
        read_vocabulary(name)
    with pytest.raises(ModelNotFoundError):
        LanguageModel.load(LANGUAGE_MODEL, softmax=name)


@pytest.mark.parametrize("path", [3, None, b"tiny", ["tiny"], 1.5])
def test_paths_of_the_wrong_type_are_named(path: Any, model_folder: Path) -> None:
    with pytest.raises(InputTypeError, match="must be a path"):
        load(path)
    if path is not None:
        with pytest.raises(InputTypeError, match="options must be a path"):
            load(model_folder, options=path)
        with pytest.raises(InputTypeError, match="must be a path"):
            LanguageModel.load(LANGUAGE_MODEL, softmax=path)
        with pytest.raises(InputTypeError, match="must be a path"):
            LanguageModel.load(LANGUAGE_MODEL, vocabulary=path)


# -- options ---------------------------------------------------------------------------------------------------------

OPTIONS = json.loads((ONE_LAYER / "options.json").read_text())
FIELDS = [(section, key) for section in ("lstm", "char_cnn") for key in OPTIONS[section]] + [("embedding", "dim")]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from([10**400, -(10**400), 1 << 62, "\ud800", "3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(changes=st.dictionaries(st.sampled_from(FIELDS), json_values | st.just(...), min_size=1, max_size=3))
def test_any_value_of_any_option_ends_in_options_or_an_error(changes: dict[tuple[str, str], Any]) -> None:
    options = json.loads(json.dumps(OPTIONS))
    for (section, key), value in changes.items():
        place = options["char_cnn"].get("embedding") if section == "embedding" else options[section]
        if not isinstance(place, dict):
            continue
        place.pop(key, None)
        if value is not ...:
            place[key] = value
    found = outcome(lambda: decode_options(json.dumps(options).encode(), "options.json"))
    assert not isinstance(found, ElmoError) or isinstance(found, OptionsError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"lstm": ' + "9" * 5000 + "}", "is not JSON"),
        ('{"lstm": {"dim": 1, "dim": 2}}', '"dim" occurs twice'),
        ('{"\\ud800": 1, "\\ud800": 2}', r"ud800.*occurs twice"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("NaN", "expected a JSON object"),
        ("\0", "is not JSON"),
    ],
)
def test_hostile_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        decode_options(text.encode(), "options.json")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("lstm", "n_layers", 10**9),
        ("lstm", "dim", 10**9),
        ("lstm", "cell_clip", 10**400),
        ("lstm", "cell_clip", float("nan")),
        ("char_cnn", "n_highway", 10**9),
        ("char_cnn", "max_characters_per_token", 10**9),
        ("char_cnn", "filters", [[1, 10**9]]),
        ("char_cnn", "filters", [[1, 1]] * 10_000),
        ("char_cnn", "embedding", {}),
    ],
)
def test_options_that_ask_for_much_are_refused_at_once(section: str, key: str, value: Any) -> None:
    options = json.loads(json.dumps(OPTIONS))
    options[section][key] = value
    with pytest.raises(OptionsError, match=rf'"{key}"|"dim"'):
        decode_options(json.dumps(options).encode(), "options.json")


@settings(deadline=None, max_examples=80)
@given(data=st.binary(max_size=60) | st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_as_options_or_vocabulary_end_in_an_error(data: bytes) -> None:
    assert isinstance(outcome(lambda: decode_options(data, "options.json")), OptionsError)
    assert isinstance(outcome(lambda: decode_vocabulary(data, "vocab.txt")), InputError)


# -- softmax and token tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [("softmax/W", kind) for kind in WRONG]
    + [("softmax/b", kind) for kind in WRONG if kind not in ("one dimension fewer", "a filter of doubtful origin")],
)
def test_a_softmax_of_the_wrong_kind_is_named(tmp_path: Path, kind: str, name: str) -> None:
    make, _ = WRONG[kind]
    path = tmp_path / "softmax.hdf5"
    path.write_bytes((LANGUAGE_MODEL / "softmax_weights.hdf5").read_bytes())
    with h5py.File(path, "a") as file:
        replace_dataset(file, name, make)
    for in_memory in (True, False):
        with pytest.raises(WeightsError, match=name):
            LanguageModel.load(
                LANGUAGE_MODEL, softmax=path, vocabulary=LANGUAGE_MODEL / "vocab.txt", in_memory=in_memory
            )


@pytest.mark.parametrize("kind", WRONG)
def test_a_token_table_of_the_wrong_kind_is_named(tmp_path: Path, kind: str) -> None:
    make, _ = WRONG[kind]
    folder = FIXTURES / "interfaces_bilm" / "token_model"
    path = tmp_path / "weights.hdf5"
    path.write_bytes((folder / "weights.hdf5").read_bytes())
    with h5py.File(path, "a") as file:
        replace_dataset(file, "embedding", make)
    with pytest.raises(WeightsError, match="embedding"):
        BidirectionalLanguageModel(folder / "options.json", path, use_character_inputs=False)
