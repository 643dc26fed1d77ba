"""The interface of bilm-tf against what bilm-tf's own modules gave, and what is an error here and silent there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo
from numpy_elmo.errors import InputError, InputTypeError, ModelNotFoundError, OptionsError, OutputError, WeightsError
from numpy_elmo.interfaces.bilm import (
    Batcher,
    BidirectionalLanguageModel,
    BilmOps,
    TokenBatcher,
    UnicodeCharsVocabulary,
    Vocabulary,
    dump_bilm_embeddings,
    dump_token_embeddings,
    weight_layers,
)
from numpy_elmo.network.characters import character_ids
from tests.agreement.tensorflow_outputs import FIXTURES

TOLERANCE = 2e-6

FOLDER = FIXTURES / "interfaces_bilm"
OPTIONS, WEIGHTS = FIXTURES / "base" / "options.json", FIXTURES / "base" / "weights.hdf5"
VOCABULARY = FOLDER / "vocab.txt"
RECORD = json.loads((FOLDER / "record.json").read_text(encoding="utf-8"))
BATCHES = [[sentence.split() for sentence in batch] for batch in RECORD["batches"]]
QUESTIONS = [[sentence.split() for sentence in batch] for batch in RECORD["questions"]]


@pytest.fixture(scope="module")
def peer() -> dict[str, Any]:
    with np.load(FOLDER / "bilm.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def bilm() -> BidirectionalLanguageModel:
    return BidirectionalLanguageModel(OPTIONS, WEIGHTS)


@pytest.fixture(scope="module")
def ids() -> Any:
    return Batcher(VOCABULARY, 50).batch_sentences(BATCHES[0])


def assert_equal_at_tokens(ops: BilmOps, peer: dict[str, Any], name: str) -> None:
    mask = peer[f"{name}/mask"]
    np.testing.assert_array_equal(ops["mask"], mask)
    np.testing.assert_array_equal(ops["lengths"], peer[f"{name}/lengths"])
    assert ops["lengths"].dtype == peer[f"{name}/lengths"].dtype
    bounded = np.pad(mask, ((0, 0), (2, 0)), constant_values=True)
    pairs = (
        (ops["lm_embeddings"].swapaxes(1, 2), peer[f"{name}/lm_embeddings"].swapaxes(1, 2), mask),
        (ops["token_embeddings"], peer[f"{name}/token_embeddings"], bounded),
    )
    for ours, theirs, there in pairs:
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours[there], theirs[there], rtol=0, atol=TOLERANCE)
        assert not ours[~there].any()


# -- ids -------------------------------------------------------------------------------------------------------------


def test_character_ids_are_the_peers(peer: dict[str, Any]) -> None:
    batcher = Batcher(VOCABULARY, 50)
    for k, batch in enumerate(BATCHES):
        found = batcher.batch_sentences(batch)
        np.testing.assert_array_equal(found, peer[f"characters/{k}/ids"])
        assert found.dtype == np.int64


def test_token_ids_are_the_peers(peer: dict[str, Any]) -> None:
    batcher = TokenBatcher(VOCABULARY)
    for k, batch in enumerate(BATCHES):
        found = batcher.batch_sentences(batch)
        np.testing.assert_array_equal(found, peer[f"tokens/{k}/ids"])
        assert found.dtype == np.int64


def test_the_vocabulary_is_the_peers(peer: dict[str, Any]) -> None:
    vocabulary = UnicodeCharsVocabulary(VOCABULARY, 50, validate_file=True)
    found = {
        "encode": vocabulary.encode("the unseen bank"),
        "encode_reverse": vocabulary.encode(["bank", "the"], reverse=True, split=False),
        "encode_chars": vocabulary.encode_chars("the unseen bank"),
        "word_char_ids": vocabulary.word_char_ids,
    }
    for name, values in found.items():
        np.testing.assert_array_equal(values, peer[f"vocabulary/{name}"])
        assert values.dtype == peer[f"vocabulary/{name}"].dtype
    assert (vocabulary.bos, vocabulary.eos, vocabulary.unk, vocabulary.size) == (0, 1, 2, 25)
    assert vocabulary.decode([3, 5]) == "the bank"
    assert vocabulary.bos_chars[:4].tolist() == [258, 256, 259, 260]
    assert vocabulary.eos_chars[:4].tolist() == [258, 257, 259, 260]
    np.testing.assert_array_equal(
        vocabulary.encode_chars("the bank", reverse=True),
        vocabulary.encode_chars(["bank", "the"][::-1], split=False)[[3, 1, 2, 0]],
    )


def test_lines_are_read_as_the_peer_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes("\ufeff<S>\r\n</S>\r\n東京 \r\n!!!MAXTERMID\r\nlast".encode())
    vocabulary = Vocabulary(path)
    assert [vocabulary.id_to_word(k) for k in range(vocabulary.size)] == ["<S>", "</S>", "東京", "last"]
    assert vocabulary.unk == -1


@pytest.mark.parametrize("missing", ["<S>", "</S>"])
@pytest.mark.parametrize("reader", [Vocabulary, TokenBatcher, lambda path: Batcher(path, 50)])
def test_a_vocabulary_without_boundaries_is_an_error(missing: str, reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join({"<S>", "</S>", "<UNK>", "the"} - {missing}), encoding="utf-8")
    with pytest.raises(InputError, match=f"lacks {missing}; add"):
        reader(path)


def test_without_unk_an_unknown_word_is_an_error_as_an_id_and_spelt_as_characters(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("<S>\n</S>\nthe\n", encoding="utf-8")
    assert TokenBatcher(path).batch_sentences([["the"]]).tolist() == [[1, 3, 2]]
    with pytest.raises(InputError, match=r"neither 'bank' nor <UNK>.* add it, or read characters"):
        TokenBatcher(path).batch_sentences([["the", "bank"]])
    assert Batcher(path, 50).batch_sentences([["the", "bank"]]).shape == (1, 4, 50)
    with pytest.raises(InputError, match="lacks <UNK>"):
        Vocabulary(path, validate_file=True)


def test_unusable_vocabularies_and_sentences_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no such vocabulary file"):
        Batcher(tmp_path / "nowhere.txt", 50)
    (tmp_path / "latin.txt").write_bytes(b"<S>\n</S>\n\xe9\n")
    with pytest.raises(InputError, match="not UTF-8"):
        Batcher(tmp_path / "latin.txt", 50)
    with pytest.raises(InputError, match="no regular file; give the vocabulary"):
        Batcher(tmp_path, 50)
    with pytest.raises(InputError, match="at least 3"):
        Batcher(VOCABULARY, 2)
    batcher = Batcher(VOCABULARY, 50)
    with pytest.raises(InputError, match="no sentence"):
        batcher.batch_sentences([])
    with pytest.raises(InputTypeError, match=r"sentence 0 is a string"):
        batcher.batch_sentences(["a sentence"])
    with pytest.raises(InputTypeError, match="split=False"):
        Vocabulary(VOCABULARY).encode(["the", "bank"])
    with pytest.raises(InputTypeError, match="split=True"):
        Vocabulary(VOCABULARY).encode("the bank", split=False)


# -- vectors ---------------------------------------------------------------------------------------------------------


def test_characters_with_carried_state(bilm: BidirectionalLanguageModel, peer: dict[str, Any]) -> None:
    # Batches of 3, 2 and 4 sentences: rows stay behind and come back.
    for _ in range(2):
        for k in range(len(BATCHES)):
            assert_equal_at_tokens(bilm(peer[f"characters/{k}/ids"]), peer, f"characters/{k}")
        bilm.reset_states()


def test_a_second_input_has_a_state_of_its_own(bilm: BidirectionalLanguageModel, peer: dict[str, Any]) -> None:
    bilm(peer["characters/0/ids"])
    question = bilm.another_input()
    batcher = Batcher(VOCABULARY, 50)
    for k, batch in enumerate(QUESTIONS):
        assert_equal_at_tokens(question(batcher.batch_sentences(batch)), peer, f"question/{k}")
    assert_equal_at_tokens(bilm(peer["characters/1/ids"]), peer, "characters/1")


def test_ids_are_taken_as_they_are(bilm: BidirectionalLanguageModel, peer: dict[str, Any]) -> None:
    # No boundaries, no marks, characters behind the padding.
    assert_equal_at_tokens(bilm(peer["free/ids"]), peer, "free")


def test_encoding_ids_is_encoding_their_tokens(base: Elmo) -> None:
    tokens = ["the", "", "東京", "x" * 80, "the", "<S>", "a"]
    found = base.encoder.encode_ids(character_ids(tokens, 50))
    np.testing.assert_allclose(found, base.encoder(tokens), rtol=0, atol=1e-6)


def test_token_ids_with_dumped_embeddings(tmp_path: Path, peer: dict[str, Any]) -> None:
    table = tmp_path / "table.hdf5"
    dump_token_embeddings(VOCABULARY, OPTIONS, WEIGHTS, table)
    with h5py.File(table) as file:
        assert list(file) == ["embedding"]
        assert file["embedding"].dtype == np.float32
        np.testing.assert_allclose(file["embedding"][...], peer["dumped_tokens/embedding"], rtol=0, atol=TOLERANCE)
    bilm = BidirectionalLanguageModel(OPTIONS, WEIGHTS, use_character_inputs=False, embedding_weight_file=table)
    for k in range(len(BATCHES)):
        assert_equal_at_tokens(bilm(peer[f"tokens/{k}/ids"]), peer, f"tokens/{k}")


@pytest.mark.parametrize("table", [None, FOLDER / "token_model" / "weights.hdf5"])
def test_a_model_that_was_trained_on_token_ids(table: Path | None, peer: dict[str, Any]) -> None:
    folder = FOLDER / "token_model"
    bilm = BidirectionalLanguageModel(folder / "options.json", folder / "weights.hdf5", False, table)
    batcher = TokenBatcher(VOCABULARY)
    for k, batch in enumerate(BATCHES):
        assert_equal_at_tokens(bilm(batcher.batch_sentences(batch)), peer, f"token_model/{k}")


def test_dumped_vectors_are_the_peers(tmp_path: Path, peer: dict[str, Any]) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "vectors.hdf5"
    lines = [line for batch in RECORD["batches"] for line in batch]
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    out.write_bytes(b"replaced")
    dump_bilm_embeddings(str(VOCABULARY), str(text), str(OPTIONS), str(WEIGHTS), str(out))
    with h5py.File(out) as file:
        assert set(file) == {str(k) for k in range(len(lines))}
        for key, dataset in file.items():
            assert (dataset.shape, dataset.dtype) == (peer[f"dumped/{key}"].shape, np.float32)
            np.testing.assert_allclose(dataset[...], peer[f"dumped/{key}"], rtol=0, atol=TOLERANCE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.txt", "vectors.hdf5"]


def test_a_failed_dump_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(b"the bank\n\xff\n")
    with pytest.raises(InputError, match="line 2"):
        dump_bilm_embeddings(VOCABULARY, tmp_path / "text.txt", OPTIONS, WEIGHTS, tmp_path / "out.hdf5")
    with pytest.raises(OutputError, match="cannot be written"):
        dump_token_embeddings(VOCABULARY, OPTIONS, WEIGHTS, tmp_path / "nowhere" / "out.hdf5")
    with pytest.raises(OutputError, match="is a folder"):
        dump_token_embeddings(VOCABULARY, OPTIONS, WEIGHTS, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


# -- mixing ----------------------------------------------------------------------------------------------------------


def mixed(bilm: BidirectionalLanguageModel, peer: dict[str, Any]) -> Iterator[tuple[BilmOps, dict[str, Any]]]:
    for k in range(len(BATCHES)):
        ops = bilm(peer[f"characters/{k}/ids"])
        yield ops, {name: peer[f"characters/{k}/mix/{name}"] for name in ("average", "top", "layer_norm")}


def test_weight_layers_are_the_peers(bilm: BidirectionalLanguageModel, peer: dict[str, Any]) -> None:
    for ops, expected in mixed(bilm, peer):
        average = weight_layers("input", ops, l2_coef=0.5)
        top = weight_layers("input", ops, use_top_only=True)
        for found, name in ((average, "average"), (top, "top")):
            there = ops["mask"]
            np.testing.assert_allclose(found["weighted_op"][there], expected[name][there], rtol=0, atol=TOLERANCE)
            assert not found["weighted_op"][~there].any()
            assert found["weighted_op"].dtype == np.float32
            assert found["regularization_op"] == 0.0


def test_weight_layers_with_trained_weights(bilm: BidirectionalLanguageModel, ids: Any) -> None:
    ops = bilm(ids)
    found = weight_layers("input", ops, l2_coef=0.5, weights=[100.0, 0.0, 0.0], gamma=2.0)
    np.testing.assert_allclose(found["weighted_op"], 2 * ops["lm_embeddings"][:, 0], rtol=1e-6)
    assert found["regularization_op"] == 5000.0
    top = weight_layers("input", ops, use_top_only=True, gamma=0.5)
    np.testing.assert_array_equal(top["weighted_op"], 0.5 * ops["lm_embeddings"][:, -1])
    with pytest.raises(InputError, match="2 weights"):
        weight_layers("input", ops, weights=[0.0, 0.0])


def test_layer_norm_is_the_peers(bilm: BidirectionalLanguageModel, peer: dict[str, Any]) -> None:
    for ops, expected in mixed(bilm, peer):
        found, there = weight_layers("input", ops, do_layer_norm=True)["weighted_op"], ops["mask"]
        np.testing.assert_allclose(found[there], expected["layer_norm"][there], rtol=0, atol=TOLERANCE)


# -- errors ----------------------------------------------------------------------------------------------------------


def changed(ids: Any, place: Any, value: int) -> Any:
    result = ids.copy()
    result[place] = value
    return result


def test_ids_that_cannot_be_meant_are_errors(bilm: BidirectionalLanguageModel, ids: Any) -> None:
    cases: list[tuple[Any, type[Exception], str]] = [
        (ids.astype(float), InputTypeError, "must be integers"),
        (ids[0], InputError, r"shape \(n, T \+ 2, 50\), not"),
        (ids[:, :, :20], InputError, r"shape \(n, T \+ 2, 50\), not"),
        (ids[:0], InputError, "1 to 128 sentences, not 0"),
        (np.repeat(ids, 50, axis=0), InputError, "1 to 128 sentences, not 150"),
        (changed(ids, (0, 0, 0), 262), InputError, r"0\.\.261"),
        (changed(ids, (0, 0, 0), -1), InputError, r"0\.\.261"),
        (changed(ids, (0, 1, 7), 0), InputError, "inside a token"),
        (changed(ids, (0, 3), 0), InputError, "before or between"),
        (changed(ids, (0, 0), 0), InputError, "before or between"),
        (changed(ids, 1, 0), InputError, "fewer than two tokens"),
        (ids[:, :1], InputError, "fewer than two tokens"),
    ]
    for wrong, kind, message in cases:
        with pytest.raises(kind, match=message):
            bilm(wrong)
    # None of them moved the state on.
    np.testing.assert_array_equal(bilm(ids)["lm_embeddings"], bilm.another_input()(ids)["lm_embeddings"])


@pytest.mark.parametrize("ids", [None, object(), [None]])
def test_what_holds_no_ids_is_told_that_there_is_no_session(bilm: BidirectionalLanguageModel, ids: Any) -> None:
    with pytest.raises(InputTypeError, match=r"ids must be integers, not .*, and give them without a session"):
        bilm(ids)


def test_a_placeholder_is_told_that_there_is_no_session(bilm: BidirectionalLanguageModel) -> None:
    placeholder = type("SymbolicTensor", (), {"__module__": "tensorflow.python.framework.ops"})()
    with pytest.raises(InputTypeError, match=r"a placeholder .* no session runs here; give the"):
        bilm(placeholder)


def test_the_peers_modules_have_the_same_names() -> None:
    from numpy_elmo.interfaces import bilm as package  # noqa: PLC0415
    from numpy_elmo.interfaces.bilm import data, elmo, model  # noqa: PLC0415

    assert data.Batcher is Batcher
    assert model.BidirectionalLanguageModel is BidirectionalLanguageModel
    assert elmo.weight_layers is weight_layers
    assert {*data.__all__, *elmo.__all__, *model.__all__} <= set(package.__all__)


def test_ids_of_the_other_kind_are_errors(bilm: BidirectionalLanguageModel, ids: Any) -> None:
    folder = FOLDER / "token_model"
    tokens = BidirectionalLanguageModel(folder / "options.json", folder / "weights.hdf5", use_character_inputs=False)
    with pytest.raises(InputError, match="what TokenBatcher makes"):
        tokens(ids)
    with pytest.raises(InputError, match=r"0\.\.25, these are in 1\.\.26"):
        tokens([[1, 26, 2]])
    with pytest.raises(InputError, match="before or between"):
        tokens([[1, 0, 3, 2]])
    with pytest.raises(InputError, match="what Batcher makes"):
        bilm([[1, 3, 2]])


def test_files_that_do_not_fit_are_errors(tmp_path: Path) -> None:
    folder = FOLDER / "token_model"
    with pytest.raises(OptionsError, match=r"interfaces\.bilm"):
        BidirectionalLanguageModel(folder / "options.json", folder / "weights.hdf5")
    with pytest.raises(WeightsError, match=r"interfaces\.bilm"):
        BidirectionalLanguageModel(OPTIONS, folder / "weights.hdf5")
    with pytest.raises(WeightsError, match=r"no token vectors; give embedding_weight_file.*dump_token"):
        BidirectionalLanguageModel(OPTIONS, WEIGHTS, use_character_inputs=False)
    with pytest.raises(ModelNotFoundError, match="no such options file"):
        BidirectionalLanguageModel(tmp_path / "options.json", WEIGHTS, use_character_inputs=False)
    with pytest.raises(InputError, match="max_batch_size"):
        BidirectionalLanguageModel(OPTIONS, WEIGHTS, max_batch_size=0)
    options = tmp_path / "options.json"
    for content, message in (("[]", 'with "lstm", found list'), ("{}", '"lstm" is missing'), ('{"lstm": {}}', "dim")):
        options.write_text(content, encoding="utf-8")
        with pytest.raises(OptionsError, match=message):
            BidirectionalLanguageModel(options, WEIGHTS, use_character_inputs=False)
    lstm = cast("dict[str, Any]", json.loads(OPTIONS.read_text(encoding="utf-8")))["lstm"]
    options.write_text(json.dumps({"lstm": lstm | {"n_layers": 1}}), encoding="utf-8")
    with pytest.raises(WeightsError, match="expected 1 LSTM layers, found more"):
        BidirectionalLanguageModel(options, WEIGHTS, use_character_inputs=False)
    options.write_text(json.dumps({"lstm": lstm | {"projection_dim": 6}}), encoding="utf-8")
    with pytest.raises(WeightsError, match="does not fit its options"):
        BidirectionalLanguageModel(options, folder / "weights.hdf5", use_character_inputs=False)


def test_every_batch_size_up_to_the_limit(ids: Any) -> None:
    bilm = BidirectionalLanguageModel(OPTIONS, WEIGHTS, max_batch_size=3)
    assert bilm(ids)["lm_embeddings"].shape == (3, 3, 9, 16)
    with pytest.raises(InputError, match="1 to 3 sentences, not 4"):
        bilm(np.concatenate([ids, ids[:1]]))


# -- the peer's own examples -----------------------------------------------------------------------------------------


def test_the_peers_token_example_runs(tmp_path: Path) -> None:
    # usage_token.py: its vocabulary has no <UNK> and comes in any order.
    tokenized_context = [
        ["Pretrained", "biLMs", "compute", "representations", "useful", "for", "NLP", "tasks", "."],
        ["They", "give", "state", "of", "the", "art", "performance", "for", "many", "tasks", "."],
    ]
    tokenized_question = [["What", "are", "biLMs", "useful", "for", "?"]]
    all_tokens = {"<S>", "</S>", *tokenized_question[0], *tokenized_context[0], *tokenized_context[1]}
    vocab_file, token_embedding_file = tmp_path / "vocab_small.txt", tmp_path / "elmo_token_embeddings.hdf5"
    vocab_file.write_text("\n".join(all_tokens), encoding="utf-8")
    dump_token_embeddings(vocab_file, OPTIONS, WEIGHTS, token_embedding_file)
    batcher = TokenBatcher(vocab_file)
    bilm = BidirectionalLanguageModel(
        OPTIONS, WEIGHTS, use_character_inputs=False, embedding_weight_file=token_embedding_file
    )
    context = bilm(batcher.batch_sentences(tokenized_context))
    question = bilm.another_input()(batcher.batch_sentences(tokenized_question))
    characters = BidirectionalLanguageModel(OPTIONS, WEIGHTS)
    spelt = Batcher(vocab_file, 50)
    for ops, sentences in ((context, tokenized_context), (question, tokenized_question)):
        vectors = weight_layers("input", ops, l2_coef=0.0)["weighted_op"]
        expected = weight_layers("input", characters.another_input()(spelt.batch_sentences(sentences)))["weighted_op"]
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=TOLERANCE)


@pytest.fixture
def vocab_file(tmp_path: Path) -> Path:
    path = tmp_path / "vocab_test.txt"
    path.write_text("<S>\n</S>\n<UNK>\nthe\n", encoding="utf-8")
    return path


RAW_CONTEXT = [
    "Pretrained biLMs compute representations useful for NLP tasks .",
    "They give state of the art performance for many tasks .",
]
QUESTION = [["What", "are", "biLMs", "useful", "for", "?"]]


def test_the_peers_character_example_runs(vocab_file: Path) -> None:
    # usage_character.py, without the placeholders, the variable scopes and the session.
    batcher = Batcher(vocab_file, 50)
    bilm = BidirectionalLanguageModel(OPTIONS, WEIGHTS)
    question_bilm = bilm.another_input()
    tokenized_context = [sentence.split() for sentence in RAW_CONTEXT]
    context_embeddings = bilm(batcher.batch_sentences(tokenized_context))
    question_embeddings = question_bilm(batcher.batch_sentences(QUESTION))
    elmo_context_input = weight_layers("input", context_embeddings, l2_coef=0.0)
    elmo_question_input = weight_layers("input", question_embeddings, l2_coef=0.0)
    assert elmo_context_input["weighted_op"].shape == (2, 11, 16)
    assert elmo_question_input["weighted_op"].shape == (1, 6, 16)


def test_the_peers_cached_example_runs(vocab_file: Path, tmp_path: Path) -> None:
    # usage_cached.py.
    dataset_file, embedding_file = tmp_path / "dataset_file.txt", tmp_path / "elmo_embeddings.hdf5"
    with dataset_file.open("w", encoding="utf-8") as fout:
        for sentence in [*(sentence.split() for sentence in RAW_CONTEXT), *QUESTION]:
            fout.write(" ".join(sentence) + "\n")
    dump_bilm_embeddings(vocab_file, dataset_file, OPTIONS, WEIGHTS, embedding_file)
    with h5py.File(embedding_file, "r") as fin:
        second_sentence_embeddings = fin["1"][...]
    assert second_sentence_embeddings.shape == (3, 11, 16)
