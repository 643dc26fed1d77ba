"""The conformance run counts, explains and fails as it says, and its stand-in for TensorFlow computes our vectors."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from numpy_elmo.files.published import find
from numpy_elmo.interfaces import bilm
from tests.conformance import peers, tensorflow_names

TESTS = """
import unittest
import other

class TestOther(unittest.TestCase):
    def test_right(self):
        self.assertEqual(other.answer, 42)
    def test_wrong(self):
        self.assertEqual(other.answer, 41)
    def test_broken(self):
        other.question
"""


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("known", "status"),
    [
        (("test_wrong", "test_broken"), 0),
        (("test_wrong",), 1),
        (("test_wrong", "test_broken", "test_right"), 1),
    ],
)
def test_the_table_counts_and_explains(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packed: bool,
    known: tuple[str, ...],
    status: int,
) -> None:
    path = tmp_path / "other-1.0"
    path.mkdir()
    (path / "test_other.py").write_text(TESTS, encoding="utf-8")
    (path / "example.py").write_text("import sys\nassert sys.argv[1:] == ['a']\nopen('made', 'w').close()\n")
    if packed:
        with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
            for file in path.iterdir():
                archive.write(file, file.name)
        path = tmp_path / "other.whl"

    def install(_: Path) -> None:
        monkeypatch.setitem(sys.modules, "other", type(sys)("other"))
        monkeypatch.setattr(sys.modules["other"], "answer", 42, raising=False)

    groups = {"test_other.py": peers.file("test_other.py"), "example.py": peers.script("example.py", "a")}
    peer = peers.Peer(groups, install, {"`other`": "an answer"}, dict.fromkeys(known, "no counterpart"))
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setitem(peers.PEERS, "bilm-tf", peer)
    assert peers.main(["bilm-tf", str(path)]) == status
    lines = capsys.readouterr().out.splitlines()
    assert {"| test_other.py | 3 | 1 |", "| example.py | 1 | 1 |", "| **all** | 4 | 2 |"} <= set(lines)
    assert "| `test_wrong` | no counterpart |" in lines
    if "test_broken" not in known:
        assert "| `test_broken` | not known: AttributeError: module 'other' has no attribute 'question' |" in lines
    if "test_right" in known:
        assert "| `test_right` | known to fail, and passed |" in lines
    assert "| `other` | an answer |" in lines
    assert not (path / "made").exists()  # it works on a copy


@pytest.mark.parametrize("name", peers.PEERS)
def test_the_docs_list_what_fails_and_the_adapters(name: str) -> None:
    lines = (Path(__file__).parent / "README.md").read_text(encoding="utf-8").splitlines()
    peer = peers.PEERS[name]
    expected = {f"| `{test}` | {why} |" for test, why in peer.known.items()} | set(peers.adapter_rows(peer))
    assert sorted(expected - set(lines)) == []


def test_a_session_computes_what_the_interface_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorflow", "bilm", "bilm.data", "bilm.elmo", "bilm.model"):
        monkeypatch.setitem(sys.modules, name, sys)  # taken away again afterwards
    tensorflow_names.install()
    tf, names = sys.modules["tensorflow"], sys.modules["bilm.model"]
    (tmp_path / "words").write_text("<S>\n</S>\n", encoding="utf-8")
    ids = bilm.Batcher(tmp_path / "words", 50).batch_sentences([["They", "hang", "out"], ["Yes"]])
    files = find("tiny") / "options.json", find("tiny") / "weights.hdf5"
    model, ours = names.BidirectionalLanguageModel(*files, max_batch_size=4), bilm.BidirectionalLanguageModel(*files)
    first, second = tf.placeholder("int32"), tf.placeholder("int32")
    mixed = names.weight_layers("input", model(first), l2_coef=1.0)
    assert len(tf.trainable_variables()) == 2
    assert tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES) == [mixed["regularization_op"]]
    with tf.Session() as session:
        session.run(tf.get_variable("input_ELMo_W").assign(np.array([0.1, 0.3, 0.5])))
        session.run(tf.get_variable("input_ELMo_gamma").assign(np.array([1.1])))
        for _ in range(2):  # the state is carried, and each run computes once
            found = session.run([mixed["weighted_op"], model(first)["mask"]], feed_dict={first: ids})
            expected = bilm.weight_layers("input", ours(ids), weights=[0.1, 0.3, 0.5], gamma=1.1)["weighted_op"]
            np.testing.assert_array_equal(found[0], expected)
            assert found[1].tolist() == [[True, True, True], [True, False, False]]
        h, c = ours._bilm.claim().to_arrays()
        [(cells, outputs), _] = session.run(model._graphs[first].lstm_init_states["backward"])
        np.testing.assert_array_equal(cells[:2], c[1, 0])
        np.testing.assert_array_equal(outputs[:2], h[1, 0])
        assert len(cells) == 4
        assert not cells[2:].any()
        # Another placeholder starts from zeros.
        [found] = session.run([model(second)["lm_embeddings"]], feed_dict={second: ids})
        np.testing.assert_array_equal(found, ours.another_input()(ids)["lm_embeddings"])
    with pytest.raises(NotImplementedError):
        names.LMDataset("prefix")
