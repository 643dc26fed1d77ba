"""The pipeline component of spaCy."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from numpy_elmo import Elmo, load
from numpy_elmo.errors import InputError, ModelNotFoundError
from numpy_elmo.interfaces.spacy import token_offsets, use_tensor

ROOT = Path(__file__).parents[2]
TEXTS = ["They sat on the river bank.", "", "The bank lent\n\n them  money.", " \n", "Money"]


@pytest.fixture(scope="module")
def tiny() -> Elmo:
    return load("tiny")


def pipeline(**config: Any) -> Language:
    nlp: Language = spacy.blank("en")
    nlp.add_pipe("elmo", config=config)
    return nlp


@pytest.fixture(scope="module")
def nlp() -> Language:
    return pipeline(layers="top")


def test_the_tensor_holds_the_vectors_of_the_tokens(nlp: Language, tiny: Elmo) -> None:
    doc = nlp("They sat on the river bank.")
    tokens = ["They", "sat", "on", "the", "river", "bank", "."]
    assert [token.text for token in doc] == tokens
    [expected] = tiny.embed([tokens], layers="top")
    assert doc.tensor.dtype == np.float32
    np.testing.assert_allclose(doc.tensor, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(doc[5].vector, doc.tensor[5])
    np.testing.assert_allclose(doc[3:6].vector, expected[3:6].mean(axis=0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(doc.vector, expected.mean(axis=0), rtol=0, atol=1e-5)
    assert doc.has_vector
    assert doc[3:6].has_vector
    assert doc[5].has_vector
    assert doc[5].vector_norm == pytest.approx(np.linalg.norm(expected[5]), rel=1e-5)
    assert doc.vector_norm == pytest.approx(np.linalg.norm(expected.mean(axis=0)), rel=1e-5)


def test_white_space_is_kept_from_the_model_and_has_zeros(nlp: Language, tiny: Elmo) -> None:
    doc = nlp("The bank lent\n\n them  money.")
    spaces = [token.i for token in doc if token.is_space]
    assert len(spaces) == 2
    words = [token.i for token in doc if not token.is_space]
    [expected] = tiny.embed([[doc[i].text for i in words]], layers="top")
    np.testing.assert_allclose(doc.tensor[words], expected, rtol=0, atol=1e-5)
    assert not doc.tensor[spaces].any()
    assert not doc[spaces[0]].has_vector
    np.testing.assert_allclose(doc.vector, expected.mean(axis=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_text_without_words_has_zeros(nlp: Language, tiny: Elmo, text: str) -> None:
    doc = nlp(text)
    assert doc.tensor.shape == (len(doc), tiny.vector_size)
    assert not doc.has_vector
    np.testing.assert_array_equal(doc.vector, np.zeros(tiny.vector_size))
    assert doc.similarity(nlp("bank")) == 0


def test_offsets_lead_from_the_rows_to_the_text(nlp: Language) -> None:
    doc = nlp("He can't  swim\n \U0001f600 .")
    offsets = token_offsets(doc)
    assert len(offsets) == len(doc.tensor)
    assert [doc.text[first:after] for first, after in offsets] == [token.text for token in doc]


def test_similarity_is_the_cosine_in_context(nlp: Language) -> None:
    river, money = nlp("They sat on the river bank"), nlp("She put her money in the bank")
    one, other = river[-1], money[-1]
    cosine = one.vector @ other.vector / (np.linalg.norm(one.vector) * np.linalg.norm(other.vector))
    assert one.similarity(other) == pytest.approx(cosine, abs=1e-6)
    assert cosine < 0.99  # spaCy's own gives 1 to tokens of one spelling
    assert one.similarity(one) == pytest.approx(1)
    for a, b in ((river, money), (river[-2:], money[-2:]), (river, money[-1]), (river[-1:], money)):
        cosine = a.vector @ b.vector / (np.linalg.norm(a.vector) * np.linalg.norm(b.vector))
        assert a.similarity(b) == pytest.approx(cosine, abs=1e-6)


def test_vectors_of_the_vocabulary_do_not_stand_in_the_way() -> None:
    nlp = pipeline()
    nlp.vocab.set_vector("bank", np.ones(5, np.float32))
    doc = nlp("the bank")
    np.testing.assert_array_equal(doc[1].vector, doc.tensor[1])
    np.testing.assert_allclose(doc.vector, doc.tensor.mean(axis=0), rtol=0, atol=1e-5)


def test_a_stream_gives_what_single_texts_give(nlp: Language) -> None:
    for batch_size in (1, 2, 100):
        docs = list(nlp.pipe(iter(TEXTS), batch_size=batch_size))
        assert [doc.text for doc in docs] == TEXTS
        for doc in docs:
            np.testing.assert_allclose(doc.tensor, nlp(doc.text).tensor, rtol=0, atol=1e-5)


def test_sentences_of_a_stream_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = pipeline()
    calls: list[int] = []
    embed = Elmo.embed

    def counting(self: Elmo, sentences: Any, **options: Any) -> Any:
        calls.append(len(sentences))
        return embed(self, sentences, **options)

    monkeypatch.setattr(Elmo, "embed", counting)
    list(nlp.pipe(TEXTS))
    assert calls == [4]  # the empty text has no sentence


def test_sentences_are_embedded_one_by_one_where_they_are_known(tiny: Elmo) -> None:
    nlp = pipeline()
    nlp.add_pipe("sentencizer", before="elmo")
    [doc] = nlp.pipe(["The bank lent money . They sat on the bank ."])
    expected = tiny.embed([[token.text for token in sentence] for sentence in doc.sents], layers="average")
    assert len(expected) == 2
    np.testing.assert_allclose(doc.tensor, np.concatenate(expected), rtol=0, atol=1e-5)


def test_a_pipeline_is_saved_as_its_configuration(tmp_path: Path) -> None:
    nlp = pipeline(layers=1, batch_size=3)
    nlp.to_disk(tmp_path / "pipeline")
    assert sum(path.stat().st_size for path in (tmp_path / "pipeline").rglob("*elmo*")) == 0
    restored = spacy.load(tmp_path / "pipeline")
    assert restored.config["components"]["elmo"]["layers"] == 1
    np.testing.assert_array_equal(restored(TEXTS[0]).tensor, nlp(TEXTS[0]).tensor)
    [average] = pipeline().pipe(TEXTS[:1])
    assert np.abs(average.tensor - nlp(TEXTS[0]).tensor).max() > 0.1


def test_a_pickled_component_holds_no_weights(nlp: Language) -> None:
    pickled = pickle.dumps(nlp.get_pipe("elmo"))
    assert len(pickled) < 1000
    doc = pickle.loads(pickled)(nlp.make_doc(TEXTS[0]))
    np.testing.assert_array_equal(doc.tensor, nlp(TEXTS[0]).tensor)


def test_a_stored_text_keeps_its_tensor_and_gets_its_vectors_back(nlp: Language) -> None:
    doc = nlp(TEXTS[2])
    with pytest.warns(UserWarning, match=r"W109.*Re-add any required user hooks"):
        stored = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    np.testing.assert_array_equal(stored.tensor, doc.tensor)
    assert "vector" not in stored.user_hooks
    np.testing.assert_array_equal(use_tensor(stored).vector, doc.vector)
    assert stored[1].similarity(doc[1]) == pytest.approx(1)


@pytest.mark.filterwarnings("ignore:.*W109:UserWarning")  # the hooks; see the test above
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:texts from another process")
def test_processes_beside_each_other_give_the_same(nlp: Language) -> None:
    docs = list(nlp.pipe(TEXTS, n_process=2, batch_size=2))
    for doc, text in zip(docs, TEXTS, strict=True):
        np.testing.assert_allclose(doc.tensor, nlp(text).tensor, rtol=0, atol=1e-5)


def test_another_process_is_told_how_to_get_the_vectors_back(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.parent_process", object)
    with pytest.warns(UserWarning, match=r"only after numpy_elmo\.interfaces\.spacy\.use_tensor\(doc\)"):
        list(nlp.pipe(TEXTS))


def test_a_text_without_its_tensor_is_refused(nlp: Language) -> None:
    [doc] = DocBin(docs=[nlp(TEXTS[0])]).get_docs(nlp.vocab)
    with pytest.raises(InputError, match=r"no tensor.*run the pipeline again.*DocBin leaves the tensor out"):
        use_tensor(doc)
    use_tensor(nlp(""))
    again = nlp.get_pipe("elmo")(doc)  # what the message says
    np.testing.assert_array_equal(again.tensor, nlp(TEXTS[0]).tensor)
    assert again[0].similarity(nlp("They lent money .")[0]) < 0.99


def test_bad_configurations_are_found_when_the_component_is_added() -> None:
    with pytest.raises(InputError, match=r"doc\.tensor has one vector per token"):
        pipeline(layers="all")
    with pytest.raises(InputError, match="layers must be"):
        pipeline(layers="bottom")
    with pytest.raises(InputError, match="there is no layer 7"):
        pipeline(layers=7)
    with pytest.raises(ModelNotFoundError, match="no such model"):
        pipeline(model="no such model")


@pytest.mark.slow
def test_spacy_finds_the_component_of_an_installed_package_by_itself(tmp_path: Path) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = re.search(r'^\[project\.entry-points\.(\w+)\]\n(elmo) = "(.+)"$', project, re.MULTILINE)
    assert section
    installed = tmp_path / "made-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 1.0\n", encoding="utf-8")
    (installed / "entry_points.txt").write_text(f"[{section[1]}]\n{section[2]} = {section[3]}\n", encoding="utf-8")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import spacy; nlp = spacy.blank('en');"
        "nlp.add_pipe('elmo'); print(nlp('the bank').tensor.shape)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "(2, 256)\n"), result.stderr


def test_without_spacy_the_remedy_is_named() -> None:
    code = "import sys; sys.modules['spacy'] = None; import numpy_elmo.interfaces.spacy"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError" in result.stderr
    assert "pip install 'numpy_elmo[spacy]'" in result.stderr
