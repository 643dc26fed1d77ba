"""Loading: all kinds of sources, and what is said of files that are not what they should be."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_elmo import load
from numpy_elmo.errors import ElmoError, InputError, InputTypeError, ModelNotFoundError, OptionsError, WeightsError
from numpy_elmo.files import published
from numpy_elmo.layers.arrays import Array

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


# -- what does not fit -----------------------------------------------------------------------------------------------


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


def test_files_without_suffixes_are_found(model_folder: Path) -> None:
    expected = vectors(model_folder)
    (model_folder / "weights.hdf5").rename(model_folder / "weights_file")
    (model_folder / "options.json").rename(model_folder / "options_file")
    np.testing.assert_array_equal(vectors(model_folder), expected)


def test_an_address_is_answered_with_the_name_to_download() -> None:
    [_, weights] = published.lookup("small").wanted()
    with pytest.raises(ModelNotFoundError, match=r"numpy_elmo\.download\('small'\), then load\('small'\)"):
        load(weights.addresses[0])
    with pytest.raises(ModelNotFoundError, match=r"numpy_elmo\.download\('google-elmo'\)"):
        load("https://tfhub.dev/google/elmo/3")
    with pytest.raises(ModelNotFoundError, match="download the files, and give their folder"):
        load("https://example.org/elmo/weights.hdf5")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["config.json", "char.dic", "encoder.pkl", "token_embedder.pkl"], "ELMoForManyLangs"),
        (["config.json", "pytorch_model.bin", "vocab.txt"], "transformers library"),
        (["bert_config.json", "bert_model.ckpt.data-00000-of-00001"], "BERT"),
        (["saved_model.pb"], "without its variables"),
        (["tfhub_module.pb"], "without its variables"),
        ([], "give the folder or archive that does"),
    ],
)
def test_a_folder_that_holds_something_else_says_what(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelNotFoundError, match=f"holds no weight file.*{message}"):
        load(tmp_path)
