"""Loading: all kinds of sources, and what is said of files that are not what they should be."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import load
from numpy_elmo.errors import ElmoError, InputError, InputTypeError, ModelNotFoundError, OptionsError, WeightsError
from numpy_elmo.files import published
from numpy_elmo.layers.arrays import Array
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL

SENTENCE = [["Where", "have", "you", "placed", "the", "point"]]


def vectors(source: Any, **options: Any) -> Array:
    return load(source, **options).embed(SENTENCE)[0]


# -- sources ---------------------------------------------------------------------------------------------------------


def test_folder_file_and_zip_give_the_same_model(model_folder: Path, tmp_path: Path) -> None:
    expected = vectors(model_folder)
    weights, options = model_folder / "weights.hdf5", model_folder / "options.json"
    np.testing.assert_array_equal(vectors(str(model_folder)), expected)
    np.testing.assert_array_equal(vectors(weights, options=options), expected)
    np.testing.assert_array_equal(vectors(str(weights), options=str(options)), expected)

    for name, compression in (("stored.zip", zipfile.ZIP_STORED), ("deflated.zip", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(tmp_path / name, "w", compression) as archive:
            archive.writestr("README", "as NLPL publishes them")
            archive.write(weights, "model.hdf5")
            archive.write(options, "options.json")
            archive.writestr("vocab.txt", "<S>\n</S>\n<UNK>\n")
        np.testing.assert_array_equal(vectors(tmp_path / name), expected)
    assert {path.name for path in tmp_path.iterdir()} == {"model", "stored.zip", "deflated.zip"}


def test_published_file_names_are_found_beside_a_softmax(model_folder: Path) -> None:
    expected = vectors(model_folder)
    prefix = "elmo_2x1024_128_2048cnn_1xhighway_"
    (model_folder / "options.json").rename(model_folder / f"{prefix}options.json")
    (model_folder / "weights.hdf5").rename(model_folder / f"{prefix}weights.hdf5")
    (model_folder / f"{prefix}softmax_weights.hdf5").write_bytes(b"not looked at")
    np.testing.assert_array_equal(vectors(model_folder), expected)


def test_model_hdf5_comes_first(model_folder: Path) -> None:
    expected = vectors(model_folder)
    (model_folder / "weights.hdf5").rename(model_folder / "model.hdf5")
    (model_folder / "another.hdf5").write_bytes(b"not looked at")
    np.testing.assert_array_equal(vectors(model_folder), expected)


def test_a_path_comes_before_a_name(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = vectors(model_folder)
    model_folder.rename(model_folder.parent / "tiny")
    monkeypatch.chdir(model_folder.parent)
    np.testing.assert_array_equal(vectors("tiny"), expected)


# -- variants --------------------------------------------------------------------------------------------------------


def test_261_and_262_characters_are_the_same_model(model_folder: Path) -> None:
    expected = vectors(model_folder)
    edit_options(model_folder, lambda options: options["char_cnn"].update(n_characters=261))
    np.testing.assert_array_equal(vectors(model_folder), expected)


def test_unknown_keys_and_datasets_are_ignored(model_folder: Path) -> None:
    expected = vectors(model_folder)
    edit_options(model_folder, lambda options: options.update(n_train_tokens=7, bidirectional=True))
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        file["softmax/W"] = np.zeros((5, 4), np.float32)
        file["something"] = "else"
    np.testing.assert_array_equal(vectors(model_folder), expected)


def test_one_layer_loads_under_either_of_its_names(tmp_path: Path) -> None:
    folder = write_model(tmp_path, SMALL["one_layer"])
    expected = vectors(folder)
    with h5py.File(folder / "weights.hdf5", "a") as file:
        for direction in ("RNN_0", "RNN_1"):
            wrapped, bare = f"{direction}/RNN/MultiRNNCell/Cell0/LSTMCell", f"{direction}/RNN/LSTMCell"
            old, new = (wrapped, bare) if wrapped in file else (bare, wrapped)
            file.move(old, new)
            if old == wrapped:
                del file[f"{direction}/RNN/MultiRNNCell"]
    np.testing.assert_array_equal(vectors(folder), expected)


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_weights_of_other_precisions_are_converted(model_folder: Path, dtype: str) -> None:
    expected = vectors(model_folder)
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        values = file["CNN_proj/W_proj"][()]
        del file["CNN_proj/W_proj"]
        file["CNN_proj/W_proj"] = values.astype(dtype)
    found = vectors(model_folder)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.05 if dtype == "float16" else 0)


# -- what does not fit -----------------------------------------------------------------------------------------------


def edit_options(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "options.json"
    options = json.loads(path.read_text(encoding="utf-8"))
    change(options)
    path.write_text(json.dumps(options), encoding="utf-8")


def test_every_mismatch_is_listed_in_one_error(model_folder: Path) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        shape = file["CNN_proj/W_proj"].shape
        del file["CNN_proj/W_proj"], file["CNN/b_cnn_0"], file["char_embed"]
        file["CNN_proj/W_proj"] = np.zeros((3, 2), np.float32)
        file["char_embed/group"] = 1
        cell = "RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell"
        n_gates = file[f"{cell}/B"].shape
        del file[f"{cell}/B"]
        file[f"{cell}/B"] = np.zeros(n_gates, int)
    with pytest.raises(WeightsError) as caught:
        load(model_folder)
    message = str(caught.value)
    assert f"CNN_proj/W_proj: expected {shape}, found (3, 2)" in message
    assert "CNN/b_cnn_0: expected" in message
    assert "found no such dataset" in message
    assert "char_embed: expected" in message
    assert "found a group" in message
    assert f"{cell}/B: expected floating-point values, found int64" in message
    assert "options file that was published with these weights" in message
    assert len(message.splitlines()) == 6


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("lstm", "dim", 999),
        ("lstm", "n_layers", 1),
        ("lstm", "n_layers", 3),
        ("char_cnn", "n_highway", 0),
        ("char_cnn", "n_highway", 3),
        ("char_cnn", "filters", [[1, 4]]),
        ("char_cnn", "embedding", {"dim": 99}),
    ],
)
def test_options_of_another_model_are_noticed(model_folder: Path, section: str, key: str, value: Any) -> None:
    edit_options(model_folder, lambda options: options[section].update({key: value}))
    with pytest.raises(WeightsError, match="does not fit its options"):
        load(model_folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(model_folder: Path, bad: float) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        file["CNN_high_0/W_carry"][1, 2] = bad
    with pytest.raises(WeightsError, match="CNN_high_0/W_carry holds 1 values that are not finite"):
        load(model_folder)


def test_a_double_too_large_for_single_precision_is_noticed(model_folder: Path) -> None:
    with h5py.File(model_folder / "weights.hdf5", "a") as file:
        values = file["CNN_proj/W_proj"][()].astype("f8")
        values[0, 0] = 1e300
        del file["CNN_proj/W_proj"]
        file["CNN_proj/W_proj"] = values
    with pytest.raises(WeightsError, match="not finite"):
        load(model_folder)
    load(model_folder, dtype="float64")


def test_swapped_files_are_recognised(model_folder: Path) -> None:
    with pytest.raises(OptionsError, match="swapped"):
        load(model_folder / "options.json", options=model_folder / "weights.hdf5")
    with pytest.raises(WeightsError, match="swapped"):
        load(model_folder / "options.json", options=model_folder / "options.json")


def test_a_file_cut_anywhere_is_refused(model_folder: Path) -> None:
    path = model_folder / "weights.hdf5"
    whole = path.read_bytes()
    for size in (0, 1, 7, 8, 100, 511, 512, 2048, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match=r"weights\.hdf5.*(fetch|give)"):
            load(model_folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 374434792\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>403</html>", "web page"),
        (b'{"lstm": {}}', "swapped"),
        (b"", "is empty"),
        (b"hello", "not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 4096, "damaged HDF5"),
    ],
)
def test_what_stands_for_the_weights_is_named(model_folder: Path, content: bytes, message: str) -> None:
    (model_folder / "weights.hdf5").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load(model_folder)
    with pytest.raises(WeightsError, match=message):
        load(model_folder / "weights.hdf5", options=model_folder / "options.json")


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        (["0", "1", "sentence_to_index"], "holds vectors that ELMo made"),
        (["softmax/W", "softmax/b"], "holds a softmax alone"),
        (["embedding"], "word ids instead of characters"),
    ],
)
def test_other_hdf5_files_are_recognised(model_folder: Path, datasets: list[str], message: str) -> None:
    with h5py.File(model_folder / "weights.hdf5", "w") as file:
        for name in datasets:
            file[name] = np.zeros(3)
    with pytest.raises(WeightsError, match=message):
        load(model_folder)


def test_missing_files_are_named(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no such file or folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no such options file"):
        load(model_folder / "weights.hdf5", options=tmp_path / "missing.json")
    with pytest.raises(InputError, match="give its options file too"):
        load(model_folder / "weights.hdf5")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelNotFoundError, match="holds no weight file"):
        load(tmp_path / "empty")
    (model_folder / "options.json").unlink()
    with pytest.raises(ModelNotFoundError, match="holds no options file"):
        load(model_folder)


def test_several_candidates_are_listed(model_folder: Path) -> None:
    shutil.copy(model_folder / "weights.hdf5", model_folder / "more.hdf5")
    with pytest.raises(InputError, match=r"weight file \(more\.hdf5, weights\.hdf5\)"):
        load(model_folder)
    (model_folder / "more.hdf5").unlink()
    (model_folder / "options.json").rename(model_folder / "a_options.json")
    (model_folder / "b_options.json").write_text("{}")
    with pytest.raises(InputError, match=r"options file \(a_options\.json, b_options\.json\)"):
        load(model_folder)


def test_damaged_zips_are_refused(model_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(model_folder / "options.json", "options.json")
    with pytest.raises(ModelNotFoundError, match="holds no weight file"):
        load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(model_folder / "weights.hdf5", "model.hdf5")
    with pytest.raises(ModelNotFoundError, match=r"holds no options file \(options\.json"):
        load(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(model_folder / "options.json", "options.json")
    load(path)
    data = bytearray(path.read_bytes())
    data[3000:3100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"damaged zip.*fetch it again"):
        load(path)


@pytest.mark.parametrize("source", [None, 3, ["tiny"]])
def test_a_source_of_the_wrong_type(source: Any) -> None:
    with pytest.raises(InputTypeError, match="source must be a path or a model's name"):
        load(source)


def test_an_unknown_precision(model_folder: Path) -> None:
    with pytest.raises(InputError, match="float32"):
        load(model_folder, dtype="float16")  # type: ignore[arg-type]


def test_an_unknown_name_is_an_error_of_the_package() -> None:
    with pytest.raises(ElmoError, match="orignal"):
        load("orignal")


# -- folders as people have them -------------------------------------------------------------------------------------


def hub_cache(folder: Path, root: Path) -> Path:
    """Lay a model's files out as huggingface_hub does."""
    snapshot = root / "models--someone--elmo" / "snapshots" / "0123abc"
    blobs = root / "models--someone--elmo" / "blobs"
    for path in (snapshot, blobs):
        path.mkdir(parents=True)
    for name in ("options.json", "weights.hdf5"):
        shutil.copy(folder / name, blobs / f"hash-of-{name}")
        (snapshot / name).symlink_to(Path("..") / ".." / "blobs" / f"hash-of-{name}")
    return snapshot


def test_a_snapshot_of_hugging_face_loads(model_folder: Path, tmp_path: Path) -> None:
    snapshot = hub_cache(model_folder, tmp_path / "hub")
    np.testing.assert_array_equal(vectors(snapshot), vectors(model_folder))
    # The whole cache may be somewhere else, behind a link.
    (tmp_path / "link").symlink_to(tmp_path / "hub")
    np.testing.assert_array_equal(
        vectors(tmp_path / "link" / snapshot.relative_to(tmp_path / "hub")), vectors(model_folder)
    )


def test_a_snapshot_may_not_link_anywhere_else(model_folder: Path, tmp_path: Path) -> None:
    snapshot = hub_cache(model_folder, tmp_path / "hub")
    other = hub_cache(model_folder, tmp_path / "other").parents[1] / "blobs" / "hash-of-weights.hdf5"
    for target in (model_folder / "weights.hdf5", other, Path("..") / ".." / "blobs" / ".." / ".." / "x"):
        (snapshot / "weights.hdf5").unlink()
        (snapshot / "weights.hdf5").symlink_to(target)
        with pytest.raises(InputError, match="a link out of its folder"):
            load(snapshot)


def test_files_without_suffixes_are_found(model_folder: Path) -> None:
    expected = vectors(model_folder)
    (model_folder / "weights.hdf5").rename(model_folder / "weights_file")
    (model_folder / "options.json").rename(model_folder / "options_file")
    np.testing.assert_array_equal(vectors(model_folder), expected)


def test_an_address_is_answered_with_the_name_to_download() -> None:
    [_, weights] = published.lookup("small").wanted()
    with pytest.raises(ModelNotFoundError, match=r"numpy_elmo\.download\('small'\), then load\('small'\)"):
        load(weights.addresses[0])
    with pytest.raises(ModelNotFoundError, match="fetch the files, and give their folder"):
        load("https://example.org/elmo/weights.hdf5")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["config.json", "char.dic", "encoder.pkl", "token_embedder.pkl"], "ELMoForManyLangs"),
        (["config.json", "pytorch_model.bin", "vocab.txt"], "transformers library"),
        (["bert_config.json", "bert_model.ckpt.data-00000-of-00001"], "BERT"),
        (["saved_model.pb"], "without its variables"),
        (["tfhub_module.pb"], "without its variables"),
        ([], "give the folder or zip that does"),
    ],
)
def test_a_folder_that_holds_something_else_says_what(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelNotFoundError, match=f"holds no weight file.*{message}"):
        load(tmp_path)
