"""The interface of AllenNLP against what its own module gave, its how-to, and what is an error here and not there."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import io
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo.corpus.embeddings import load_embeddings
from numpy_elmo.errors import InputError, InputTypeError, ModelNotFoundError, OutputError
from numpy_elmo.files import published
from numpy_elmo.interfaces import allennlp
from numpy_elmo.interfaces.allennlp import Elmo, ElmoEmbedder, ElmoOutput, ScalarMix, batch_to_ids
from tests.agreement.tensorflow_outputs import FIXTURES

TOLERANCE = 2e-6

FOLDER = FIXTURES / "interfaces_allennlp"
RECORD = json.loads((FOLDER / "record.json").read_text(encoding="utf-8"))
BATCHES = [[sentence.split() for sentence in batch] for batch in RECORD["batches"]]
VOCABULARY = RECORD["vocabulary"]
RUNS = [(name, model) for name, run in RECORD["runs"].items() for model in run["models"]]
BATCH = [["two", "rows"], ["He", "sat", "on", "the", "bank"]]


def files(model: str = "base") -> tuple[Path, Path]:
    return FIXTURES / model / "options.json", FIXTURES / model / "weights.hdf5"


@pytest.fixture(scope="module")
def peer() -> dict[str, Any]:
    with np.load(FOLDER / "allennlp.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def embedder() -> ElmoEmbedder:
    return ElmoEmbedder(*files())


def assert_close(found: Any, expected: Any) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=TOLERANCE)


def assert_is_the_peers(output: ElmoOutput, peer: dict[str, Any], name: str) -> None:
    np.testing.assert_array_equal(output["mask"], peer[f"{name}/mask"])
    assert output["mask"].dtype == peer[f"{name}/mask"].dtype
    representations = output["elmo_representations"]
    assert len(representations) == sum(key.startswith(f"{name}/") for key in peer) - 1
    for k, found in enumerate(representations):
        assert_close(found, peer[f"{name}/{k}"])  # at padding too


def places(batch: list[list[str]]) -> Any:
    ids = np.zeros((len(batch), max(map(len, batch))), dtype=np.int64)
    for row, sentence in zip(ids, batch, strict=True):
        row[: len(sentence)] = [VOCABULARY.index(word) for word in sentence]
    return ids


# -- the peer's numbers ----------------------------------------------------------------------------------------------


def test_ids_are_the_peers(peer: dict[str, Any]) -> None:
    for k, batch in enumerate(BATCHES):
        found = batch_to_ids(batch)
        np.testing.assert_array_equal(found, peer[f"ids/{k}"])
        assert found.dtype == peer[f"ids/{k}"].dtype


@pytest.mark.parametrize(("run", "model"), RUNS)
def test_elmo_gives_the_peers_vectors_batch_after_batch(run: str, model: str, peer: dict[str, Any]) -> None:
    settings = RECORD["runs"][run]["settings"]
    scalars = RECORD["scalars"][model] if run == "scalars" or settings.get("do_layer_norm") else None
    elmo = Elmo(*files(model), scalar_mix_parameters=scalars, **settings)
    for k, batch in enumerate(BATCHES):
        words = places(batch) if "vocab_to_cache" in settings else None
        assert_is_the_peers(elmo(batch_to_ids(batch), words), peer, f"{run}/{model}/{k}")


@pytest.mark.parametrize("model", ["base", "three_layers"])
def test_elmo_embedder_gives_the_peers_vectors_batch_after_batch(model: str, peer: dict[str, Any]) -> None:
    as_arrays, as_lists = ElmoEmbedder(*files(model)), ElmoEmbedder(*files(model))
    for k, batch in enumerate(BATCHES):
        expected, mask = peer[f"embedder/{model}/{k}/activations"], peer[f"embedder/{model}/{k}/mask"]
        activations, found_mask = as_arrays.batch_to_embeddings(batch)
        assert_close(activations, expected)
        np.testing.assert_array_equal(found_mask, mask)
        for vectors, row, sentence in zip(as_lists.embed_batch(batch), expected, batch, strict=True):
            assert_close(vectors, row[:, : len(sentence)])


def test_trained_mixes_are_set_by_their_attributes(peer: dict[str, Any]) -> None:
    elmo = Elmo(*files(), num_output_representations=2)
    for name, (scalars, gamma) in RECORD["trained"].items():
        mix = getattr(elmo, name)
        mix.scalar_parameters[:] = scalars
        mix.gamma = gamma
    assert_is_the_peers(elmo(batch_to_ids(BATCHES[0])), peer, "trained/base/0")


def test_ids_may_have_more_axes_in_front(peer: dict[str, Any]) -> None:
    ids = batch_to_ids([sentence.split() for group in RECORD["nested"] for sentence in group])
    elmo = Elmo(*files(), num_output_representations=1)
    assert_is_the_peers(elmo(ids.reshape(2, 2, *ids.shape[1:])), peer, "nested/base/0")


@pytest.mark.parametrize(("name", "layer_norm"), [("plain", False), ("layer_norm", True)])
def test_a_scalar_mix_alone_is_the_peers(name: str, layer_norm: bool, peer: dict[str, Any]) -> None:
    mix = ScalarMix(3, do_layer_norm=layer_norm, initial_scalar_parameters=RECORD["scalars"]["base"])
    for mask in (peer["mix/mask"], peer["mix/mask"].astype(int)):
        assert_close(mix(list(peer["mix/layers"]), mask), peer[f"mix/{name}"])


# -- states ----------------------------------------------------------------------------------------------------------


def test_states_go_on_until_they_are_reset(embedder: ElmoEmbedder) -> None:
    first, second = embedder.embed_batch(BATCH), embedder.embed_batch(BATCH)
    assert not np.array_equal(first[0], second[0])
    embedder.reset_states()
    np.testing.assert_array_equal(embedder.embed_batch(BATCH)[0], first[0])
    elmo, ids = Elmo(*files(), num_output_representations=1), batch_to_ids(BATCH)
    [before], [after] = elmo(ids)["elmo_representations"], elmo(ids)["elmo_representations"]
    assert not np.array_equal(before, after)
    elmo.reset_states()
    np.testing.assert_array_equal(elmo(ids)["elmo_representations"][0], before)


def test_an_empty_sentence_moves_a_state_on_only_beside_others(embedder: ElmoEmbedder) -> None:
    first = embedder.embed_sentence(["two", "rows"])
    embedder.reset_states()
    assert embedder.embed_batch([[]])[0].shape == embedder.embed_sentence([]).shape == (3, 0, 16)
    np.testing.assert_array_equal(embedder.embed_sentence(["two", "rows"]), first)
    embedder.reset_states()
    empty, _ = embedder.embed_batch([[], ["Yes"]])
    assert empty.shape == (3, 0, 16)
    assert empty.dtype == np.float32
    assert not np.array_equal(embedder.embed_sentence(["two", "rows"]), first)
    assert embedder.embed_batch([]) == []


def test_embed_sentences_reads_a_batch_at_a_time_and_keeps_the_order(embedder: ElmoEmbedder) -> None:
    sentences = [sentence for batch in BATCHES for sentence in batch]
    expected = [vectors for k in range(0, len(sentences), 3) for vectors in embedder.embed_batch(sentences[k : k + 3])]
    embedder.reset_states()
    read: list[int] = []

    def reading() -> Iterator[list[str]]:
        for k, sentence in enumerate(sentences):
            read.append(k)
            yield sentence

    lazy = embedder.embed_sentences(reading(), batch_size=3)
    assert read == []
    found = [next(lazy)]
    assert read == [0, 1, 2]
    found += lazy
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs)


# -- the cache of words ----------------------------------------------------------------------------------------------


# -- AllenNLP's how-to, after changing the import ---------------------------------------------------------------------


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a small model where a download puts the original one, whose table says other sizes."""
    table = dict(published.table())
    original = table["original"]
    table["original"] = replace(original, files=tuple(replace(file, size=None) for file in original.files))
    monkeypatch.setattr(published, "table", lambda: table)
    monkeypatch.setenv(published.CACHE_VARIABLE, str(tmp_path))
    (tmp_path / "original").mkdir()
    for file, address in zip(files(), (allennlp.DEFAULT_OPTIONS_FILE, allennlp.DEFAULT_WEIGHT_FILE), strict=True):
        shutil.copy(file, tmp_path / "original" / address.rpartition("/")[2])


@pytest.mark.usefixtures("downloaded")
def test_the_how_to_on_modules_runs() -> None:
    folder = "https://s3-us-west-2.amazonaws.com/allennlp/models/elmo/2x4096_512_2048cnn_2xhighway"
    options_file = f"{folder}/elmo_2x4096_512_2048cnn_2xhighway_options.json"
    weight_file = f"{folder}/elmo_2x4096_512_2048cnn_2xhighway_weights.hdf5"
    elmo = Elmo(options_file, weight_file, 2, dropout=0)
    character_ids = batch_to_ids([["Some", "words", "."], ["More", "."]])
    embeddings = elmo(character_ids)
    assert [array.shape for array in embeddings["elmo_representations"]] == [(2, 3, 16), (2, 3, 16)]
    assert embeddings["mask"].tolist() == [[True, True, True], [True, True, False]]
    assert elmo.eval() is elmo
    assert elmo.get_output_dim() == 16


@pytest.mark.usefixtures("downloaded")
def test_the_how_to_on_interactive_use_runs() -> None:
    elmo = ElmoEmbedder()
    tokens = ["They", "saw", "a", "bat", "at", "night"]
    vectors = elmo.embed_sentence(tokens)
    assert len(vectors) == 3
    assert len(vectors[0]) == len(tokens)
    vectors2 = elmo.embed_sentence(["They", "saw", "a", "ball", "at", "night"])
    a, b = vectors[2][3], vectors2[2][3]
    assert 0 < 1 - a @ b / np.sqrt((a @ a) * (b @ b)) < 2


def test_the_how_to_on_files_runs(embedder: ElmoEmbedder, tmp_path: Path) -> None:
    lines = ["Prices of corn went up again last year .", "Where have you placed the point"]
    (tmp_path / "sentences.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (tmp_path / "sentences.txt").open(encoding="utf-8") as sentences:
        embedder.embed_file(sentences, tmp_path / "elmo_layers.hdf5")
    with h5py.File(tmp_path / "elmo_layers.hdf5", "r") as h5py_file:
        sentence_to_index = json.loads(h5py_file["sentence_to_index"][0])
        assert sentence_to_index == {lines[0]: "0", lines[1]: "1"}
        embedding = h5py_file.get(sentence_to_index[lines[0]])
        assert len(embedding) == 3
        assert len(embedding[0]) == 9


@pytest.fixture
def installed() -> Iterator[None]:
    allennlp.install()
    yield
    allennlp.uninstall()
    assert not [name for name in sys.modules if name.partition(".")[0] == "allennlp"]


@pytest.mark.usefixtures("installed")
def test_programs_find_the_interface_under_the_old_names() -> None:
    names: dict[str, Any] = {}
    exec(
        "import allennlp.commands.elmo\n"
        "from allennlp.common.checks import ConfigurationError\n"
        "from allennlp.modules import Elmo, ScalarMix\n"
        "from allennlp.modules.elmo import _ElmoBiLm, _ElmoCharacterEncoder, batch_to_ids\n"
        "from allennlp.modules.scalar_mix import ScalarMix as SameMix\n",
        names,
    )
    old = names["allennlp"].commands.elmo
    assert names["SameMix"] is names["ScalarMix"]
    assert old.DEFAULT_OPTIONS_FILE.endswith("options.json")
    assert importlib.util.find_spec("allennlp") is not None
    assert importlib.util.find_spec("allennlp.commands.elmo") is not None
    options_file, weight_file = map(str, files())
    found = old.ElmoEmbedder(options_file=options_file, weight_file=weight_file, cuda_device=0).embed_batch(BATCH)
    assert [found[k][0, token].shape for k, token in ((0, 1), (1, 4))] == [(16,), (16,)]
    ids = names["batch_to_ids"](BATCH)
    assert names["Elmo"](options_file, weight_file, 1)(ids)["elmo_representations"][0].shape == (2, 5, 16)
    assert names["_ElmoBiLm"](options_file, weight_file)(ids)["activations"][2].shape == (2, 7, 16)
    assert names["_ElmoCharacterEncoder"](options_file, weight_file)(ids)["token_embedding"].shape == (2, 7, 8)
    with pytest.raises(names["ConfigurationError"]):
        names["ScalarMix"](3, initial_scalar_parameters=[0.0])
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("allennlp.nn")


@pytest.mark.usefixtures("installed")
def test_installing_again_changes_nothing() -> None:
    before = sys.modules["allennlp.modules.elmo"]
    allennlp.install()
    assert sys.modules["allennlp.modules.elmo"] is before


def test_the_names_are_torch_modules_only_where_torch_is() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from numpy_elmo.interfaces import allennlp; allennlp.install();"
        "from allennlp.modules.elmo import Elmo; assert Elmo is allennlp.Elmo"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_uninstalling_nothing_changes_nothing() -> None:
    before = dict(sys.modules)
    allennlp.uninstall()
    assert sys.modules == before


@pytest.mark.parametrize("imported", [True, False])
def test_another_allennlp_is_left_alone(imported: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if imported:
        monkeypatch.setitem(sys.modules, "allennlp", ModuleType("allennlp"))
    else:
        (tmp_path / "allennlp").mkdir()
        (tmp_path / "allennlp" / "__init__.py").write_text("", encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
    before = dict(sys.modules)
    with pytest.raises(InputError, match="another allennlp is installed or imported"):
        allennlp.install()
    allennlp.uninstall()
    assert sys.modules == before


def test_the_default_addresses_are_those_of_the_original_model() -> None:
    addresses = [address for file in published.lookup("original").wanted() for address in file.addresses]
    assert {allennlp.DEFAULT_OPTIONS_FILE, allennlp.DEFAULT_WEIGHT_FILE} <= set(addresses)


# -- files -----------------------------------------------------------------------------------------------------------

LINES = ["  two rows", "naïve 東京\u00a0!", "two rows ", "Yes"]


@pytest.mark.parametrize("output_format", ["all", "top", "average"])
def test_files_have_a_dataset_a_line_and_the_map_of_sentences(
    output_format: Any, embedder: ElmoEmbedder, tmp_path: Path
) -> None:
    path, text = tmp_path / "out.hdf5", io.StringIO("\n".join(LINES) + "\n")
    path.write_bytes(b"what was there")
    embedder.embed_file(text, path, output_format=output_format, batch_size=3)
    assert text.closed
    embedder.reset_states()
    expected = list(embedder.embed_sentences([line.split() for line in LINES], batch_size=3))
    with h5py.File(path) as file:
        assert list(file) == ["0", "1", "2", "3", "sentence_to_index"]
        for k, layers in enumerate(expected):
            chosen = {"all": layers, "top": layers[-1], "average": np.average(layers, axis=0)}[output_format]
            assert (file[str(k)].chunks, file[str(k)].compression) == (None, None)
            assert_close(file[str(k)][...], chosen)
        assert file["sentence_to_index"].shape == (1,)
        [text_of_map] = file["sentence_to_index"].asstr()[...]
        assert json.loads(text_of_map) == {"two rows": "2", "naïve 東京\u00a0!": "1", "Yes": "3"}
        assert text_of_map.isascii()
    with load_embeddings(path) as embeddings:
        assert_close(embeddings["Yes"], embeddings[3])


def test_sentences_are_forgotten_or_keys_when_asked(embedder: ElmoEmbedder, tmp_path: Path) -> None:
    embedder.embed_file(io.StringIO("two rows\nYes\n"), tmp_path / "forgotten.hdf5", forget_sentences=True)
    embedder.embed_file(io.StringIO("two  rows\nand / or\n"), tmp_path / "keys.hdf5", use_sentence_keys=True)
    with h5py.File(tmp_path / "forgotten.hdf5") as forgotten, h5py.File(tmp_path / "keys.hdf5") as keys:
        assert list(forgotten) == ["0", "1"]
        assert list(keys) == ["and ", "two  rows"]
        assert keys["two  rows"].shape == (3, 2, 16)
        assert keys["and / or"].shape == (3, 3, 16)


@pytest.mark.parametrize(
    ("text", "settings", "kind", "message"),
    [
        (io.StringIO("two rows\n\nYes\n \n"), {}, InputError, r"2 blank line\(s\): 2, 4"),
        (io.BytesIO(b"two rows\n"), {}, InputTypeError, "gives bytes instead of text"),
        (io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8"), {}, InputError, "cannot be decoded"),
        (io.StringIO("Yes\nYes\n"), {"use_sentence_keys": True}, InputError, r"sentence 1 \('Yes'\) occurs twice"),
        (io.StringIO("Yes\n.\n"), {"use_sentence_keys": True}, InputError, r"\('\.'\) occurs twice, or is no name"),
        (io.StringIO("Yes\nno\0no\n"), {"use_sentence_keys": True}, InputError, r"\('no\\x00no'\) .* is no name"),
        (io.StringIO("and\nand/or\n"), {"use_sentence_keys": True}, InputError, r"\('and/or'\) cannot name a dataset"),
        (io.StringIO("Yes\n"), {"output_format": "bottom"}, InputError, "output_format must be"),
        (io.StringIO("Yes\n"), {"batch_size": 0}, InputError, "batch_size must be a positive integer"),
    ],
)
def test_a_file_that_cannot_be_embedded_is_named_and_leaves_what_was_there(
    text: Any, settings: dict[str, Any], kind: type[Exception], message: str, embedder: ElmoEmbedder, tmp_path: Path
) -> None:
    path = tmp_path / "out.hdf5"
    path.write_bytes(b"what was there")
    with pytest.raises(kind, match=message):
        embedder.embed_file(text, path, **settings)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("out.hdf5", b"what was there")]
    with pytest.raises(OutputError, match="cannot be written"):
        embedder.embed_file(io.StringIO("Yes\n"), tmp_path / "nowhere" / "out.hdf5")


# -- the attributes that programs use ----------------------------------------------------------------------------------


def test_the_state_can_be_switched_off(embedder: ElmoEmbedder) -> None:
    first = embedder.embed_sentence(["two", "rows"])
    embedder.elmo_bilm._elmo_lstm.stateful = False
    for _ in range(2):
        np.testing.assert_array_equal(embedder.embed_sentence(["two", "rows"]), first)
    embedder.elmo_bilm._elmo_lstm.stateful = True
    assert not np.array_equal(embedder.embed_sentence(["two", "rows"]), first)
    elmo, ids = Elmo(*files(), 1), batch_to_ids(BATCH)
    elmo._elmo_lstm._elmo_lstm.stateful = False
    np.testing.assert_array_equal(elmo(ids)["elmo_representations"][0], elmo(ids)["elmo_representations"][0])


def test_copies_and_pickles_carry_the_state(embedder: ElmoEmbedder) -> None:
    embedder.embed_batch(BATCH)
    others = copy.deepcopy(embedder), pickle.loads(pickle.dumps(embedder))
    expected = embedder.embed_batch(BATCH)
    for other in others:
        np.testing.assert_array_equal(other.embed_batch(BATCH)[1], expected[1])


def test_sentences_that_cannot_be_used_are_named_by_their_number_in_the_whole(embedder: ElmoEmbedder) -> None:
    with pytest.raises(InputTypeError, match="sentence 3 is a string"):
        list(embedder.embed_sentences([["a"], ["b"], ["c"], "d"], batch_size=2))


# -- what is wrong is named ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_output_representations": 0}, "num_output_representations must be a positive integer"),
        ({"num_output_representations": 1, "requires_grad": True}, "give requires_grad=False"),
        ({"num_output_representations": 1, "dropout": 1.5}, r"dropout must be in 0\.\.1"),
        ({"num_output_representations": 1, "dropout": float("nan")}, r"dropout must be in 0\.\.1"),
        ({"num_output_representations": 1, "scalar_mix_parameters": [1.0, 2.0]}, "a mix of 3 layers needs 3 scalars"),
        ({"num_output_representations": 1, "scalar_mix_parameters": [1.0, 2.0, np.inf]}, "finite"),
    ],
)
def test_settings_that_cannot_be_kept_are_errors(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Elmo(*files(), **settings)


def test_no_dropout_is_applied() -> None:
    ids = batch_to_ids(BATCH)
    default, none = Elmo(*files(), 1)(ids), Elmo(*files(), 1, dropout=0)(ids)
    np.testing.assert_array_equal(default["elmo_representations"][0], none["elmo_representations"][0])


def test_sentences_that_are_strings_and_empty_batches_are_errors(embedder: ElmoEmbedder) -> None:
    for call in (embedder.embed_sentence, lambda text: batch_to_ids([text]), lambda text: embedder.embed_batch([text])):
        with pytest.raises(InputTypeError, match="sentence 0 is a string"):
            call("two rows")
    with pytest.raises(InputTypeError, match="vocab_to_cache must be a list of strings, not one string"):
        Elmo(*files(), 1, vocab_to_cache="two rows")
    for empty in (batch_to_ids, embedder.batch_to_embeddings):
        with pytest.raises(InputError, match="no sentence"):
            empty([])
    with pytest.raises(InputError, match="max_characters must be an integer of at least 3"):
        batch_to_ids(BATCH, max_characters=2)


def test_a_scalar_mix_names_what_does_not_fit() -> None:
    mix, layers = ScalarMix(3), np.ones((3, 2, 4, 5), np.float32)
    with pytest.raises(InputError, match="3 weights"):
        mix(list(layers[:2]))
    with pytest.raises(InputError, match=r"the mask must have the shape \(2, 4\), not \(2, 3\)"):
        mix(layers, np.ones((2, 3), bool))
    with pytest.raises(InputError, match="mixture_size must be"):
        ScalarMix(0)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(published.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(ModelNotFoundError, match="numpy-elmo download original"):
        ElmoEmbedder()
    with pytest.raises(ModelNotFoundError, match="not the address of a published model's file"):
        Elmo("https://example.org/options.json", files()[1], 1)
    with pytest.raises(ModelNotFoundError, match="no such"):
        ElmoEmbedder(files()[0], str(tmp_path / "weights.hdf5"))


def test_a_model_with_other_ids_than_fifty_characters_works() -> None:
    long = [["unseen", "long" * 20], ["Yes"]]
    expected, _ = ElmoEmbedder(*files("twenty_characters")).batch_to_embeddings(long)
    elmo = Elmo(*files("twenty_characters"), 1)
    with pytest.raises(InputError, match="max_characters=20"):
        elmo(batch_to_ids(long))
    [found] = elmo(batch_to_ids(long, max_characters=20))["elmo_representations"]
    assert_close(found, expected.mean(axis=1))
