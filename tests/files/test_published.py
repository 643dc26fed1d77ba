"""The table of published models, and where models are found by name."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from numpy_elmo import load
from numpy_elmo.errors import ModelNotFoundError
from numpy_elmo.files import published

README = Path(__file__).parents[2] / "weights" / "README.md"

NAMES = [
    *("small", "medium", "original", "5.5B", "pt", "pt-wikipedia", "pt-brwac", "ja", "de", "eu", "pubmed", "seqvec"),
    *("clinical", "catELMo", "catELMo-Shallow", "catELMo-Deep", "google-elmo", "polish"),
    *(f"nlpl-{number}" for number in (193, 201, 202, 203, 209, 210, 211, 217, 218, 225)),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# -- the table -------------------------------------------------------------------------------------------------------


def test_every_published_model_is_in_the_table() -> None:
    assert list(published.table()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_row_can_be_downloaded_and_then_loaded(name: str) -> None:
    model = published.lookup(name)
    assert model.name == name
    assert model.description
    roles = sorted(file.role for file in model.wanted())
    assert roles in (["options", "weights"], ["archive"])
    names = [file.file_name for file in model.files]
    assert len(set(names)) == len(names)
    for file in model.files:
        assert re.fullmatch(r"[A-Za-z0-9._-]+", file.file_name)
        assert file.addresses
        assert len(set(file.addresses)) == len(file.addresses)
        schemes = [address.split("://")[0] for address in file.addresses]
        assert schemes == sorted(schemes, reverse=True), "https comes first"
        assert schemes[0] == "https"
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.md5 is None or re.fullmatch("[0-9a-f]{32}", file.md5)


def test_what_is_on_record_has_its_source() -> None:
    raw = json.loads((published.data_folder() / "models.json").read_text(encoding="utf-8"))
    for model in raw["models"]:
        assert model["source"]
        for file in model["files"]:
            on_record = file["size"] or file["sha256"] or file["md5"] or file.get("members")
            assert bool(on_record) == bool(file["checksum_source"])


def test_the_facts_of_the_original_model() -> None:
    original = published.lookup("original")
    options, weights = original.wanted()
    assert (original.dim, original.projection) == (4096, 512)
    assert options.size == 336
    assert weights.size == 374434792
    assert weights.sha256 == "a6b92b9ccbb13fe489faacd2221c795d4bebe84b75f8aded9d85ea464fa5c994"
    assert [file.role for file in original.wanted(softmax=True)] == ["options", "weights", "softmax", "vocabulary"]
    assert (
        "https://s3-us-west-2.amazonaws.com/allennlp/models/elmo/2x4096_512_2048cnn_2xhighway/"
        "elmo_2x4096_512_2048cnn_2xhighway_weights.hdf5"
    ) in weights.addresses


def test_numbers_on_record_belong_to_models_in_the_table_and_fit_their_runs() -> None:
    raw = json.loads((published.data_folder() / "models.json").read_text(encoding="utf-8"))
    assert set(raw["runs"]) == {"small", "original", "5.5B", "google-elmo"}
    for name in raw["runs"]:
        assert all(run["source"] for run in raw["runs"][name])
        for run in published.lookup(name).runs:
            for measure in run.measures:
                assert measure.tolerance > 0
                for call, sentence, token in measure.tokens:
                    assert run.calls[call][sentence][token]
                assert all(0 <= call < len(run.calls) for call in measure.calls)


def test_the_recorded_tokens_are_those_that_were_measured() -> None:
    def picked(name: str, run: int) -> list[str]:
        recorded = published.lookup(name).runs[run]
        return [recorded.calls[call][sentence][token] for call, sentence, token in recorded.measures[0].tokens]

    assert picked("small", 0) == ["bank"] * 4
    assert picked("original", 0) == ["I"]
    assert picked("original", 1) == ["apple", "carrot"]
    assert picked("original", 3) == ["Mr", "Mr"]
    groups = published.lookup("5.5B").runs[0]
    sizes = [sum(len(groups.calls[call][0]) for call in measure.calls) for measure in groups.measures]
    assert sizes == [37, 35, 47] * 2


def test_the_readme_lists_every_model_with_its_checksums() -> None:
    text = README.read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if line.startswith("| `")}
    assert list(rows) == NAMES
    for name, model in published.table().items():
        for file in model.files:
            size = None if file.size is None else f"{file.size:,} bytes"
            for fact in (file.sha256, file.md5, size):
                assert fact is None or fact in rows[name]
            for member in file.members:
                assert member.sha256 is None or member.sha256 in rows[name]
            assert file.addresses[0] in text
    assert "We don't impose any restrictions on our models" in text


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_name_close_to_a_known_one_is_suggested() -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean original") as caught:
        published.find("orignal")
    for name in ("tiny", *NAMES, "folder", "zip"):
        assert name in str(caught.value)


def test_any_nlpl_number_is_a_name() -> None:
    [file] = published.lookup("nlpl-77").files
    assert file.file_name == "77.zip"
    assert file.addresses == (
        "https://vectors.nlpl.eu/repository/20/77.zip",
        "http://vectors.nlpl.eu/repository/20/77.zip",
    )
    assert published.lookup("nlpl-225").files[0].addresses[0] == "https://vectors.nlpl.eu/repository/20/225.zip"


@pytest.mark.parametrize("name", ["nlpl-", "nlpl-007", "nlpl-x", "nlpl-1234567", "NLPL-1", "nlpl-٣", "../original"])
def test_what_is_no_nlpl_number_is_no_name(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="there is no model"):
        published.lookup(name)


@pytest.mark.parametrize("text", ["tiny", "original", "5.5B", "nlpl-77", "pt-brwac", "orignal"])
def test_what_could_be_a_name_is_one(text: str) -> None:
    assert published.is_name(text)


@pytest.mark.parametrize("text", ["", ".", "a/b", "..", "/tmp", "a\\b", "x.hdf5", "model.ZIP", "options.json", "a b"])
def test_what_looks_like_a_path_is_no_name(text: str) -> None:
    assert not published.is_name(text)


# -- the cache -------------------------------------------------------------------------------------------------------


def fill(name: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in published.lookup(name).wanted():
        (folder / file.file_name).write_bytes(b"x" * (file.size or 1))


def test_a_model_that_is_not_there_names_the_command_that_gets_it(cache: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"'numpy-elmo download medium'") as caught:
        published.find("medium")
    assert str(cache / "medium") in str(caught.value)
    with pytest.raises(ModelNotFoundError, match=r"'numpy-elmo download nlpl-77'"):
        load("nlpl-77")
    assert not cache.exists()


def test_a_complete_folder_is_found(cache: Path) -> None:
    fill("medium", cache / "medium")
    assert published.find("medium") == cache / "medium"


def test_an_archive_is_found_as_itself(cache: Path) -> None:
    fill("nlpl-77", cache / "nlpl-77")
    assert published.find("nlpl-77") == cache / "nlpl-77" / "77.zip"


def test_a_partial_folder_is_not_found(cache: Path) -> None:
    fill("medium", cache / "medium")
    (cache / "medium" / published.lookup("medium").wanted()[0].file_name).unlink()
    with pytest.raises(ModelNotFoundError, match=r"options\.json is missing"):
        published.find("medium")


def test_a_file_of_the_wrong_size_is_not_found(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    medium = published.lookup("medium")
    sized = replace(medium, files=(medium.files[0], replace(medium.files[1], size=7)))
    monkeypatch.setattr(published, "table", lambda: {"medium": sized})
    fill("medium", cache / "medium")
    assert published.find("medium") == cache / "medium"
    (cache / "medium" / sized.files[1].file_name).write_bytes(b"123456")
    with pytest.raises(ModelNotFoundError, match="has 6 bytes instead of 7"):
        published.find("medium")


def test_the_embedded_model_comes_with_the_package(cache: Path) -> None:
    assert published.find("tiny") == published.data_folder() / "tiny"


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("NUMPY_ELMO_CACHE", "~/elmo")
    assert published.cache_folder() == Path("~/elmo").expanduser()
    monkeypatch.setenv("NUMPY_ELMO_CACHE", "elmo")
    assert published.cache_folder() == Path.cwd() / "elmo"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "{home}/.cache/numpy_elmo"),
        ("linux", {"XDG_CACHE_HOME": "/somewhere"}, "/somewhere/numpy_elmo"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "{home}/.cache/numpy_elmo"),
        ("darwin", {"XDG_CACHE_HOME": "/somewhere"}, "{home}/Library/Caches/numpy_elmo"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/numpy_elmo"),
        ("win32", {}, "{home}/AppData/Local/numpy_elmo"),
    ],
)
def test_the_cache_is_where_the_system_has_caches(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("NUMPY_ELMO_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert published.cache_folder() == Path(expected.format(home=Path.home()))
