"""``numpy-elmo embed`` on every kind of text, and what the file says of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo
from numpy_elmo.cli import main
from numpy_elmo.corpus import VectorFile, load_embeddings
from numpy_elmo.corpus.write import write_offsets
from numpy_elmo.errors import InputError, InputTypeError
from tests.agreement.tensorflow_outputs import FIXTURES

BASE = str(FIXTURES / "base")


def embed(folder: Path, content: bytes, *flags: str, name: str = "in.txt") -> Path:
    (folder / name).write_bytes(content)
    out = folder / "out.hdf5"
    assert main(["embed", str(folder / name), str(out), "--model", BASE, *flags]) == 0
    return out


def test_tokenised_text_knows_the_places_of_its_tokens(tmp_path: Path, base: Elmo) -> None:
    lines = ["He can't swim.", "  “Fine”, she said.", "x"]
    out = embed(tmp_path, "\n".join(lines).encode(), "--tokenize")
    tokens = [["He", "ca", "n't", "swim", "."], ['"', "Fine", '"', ",", "she", "said", "."], ["x"]]
    with load_embeddings(out) as embeddings:
        for k, (line, sentence) in enumerate(zip(lines, tokens, strict=True)):
            np.testing.assert_allclose(embeddings[k], base.embed([sentence])[0], rtol=0, atol=2e-6)
            offsets = embeddings.offsets(k)
            assert offsets is not None
            assert [line[first:after].replace("“", '"').replace("”", '"') for first, after in offsets] == sentence
            for which in (line, sentence, " ".join(sentence)):
                np.testing.assert_array_equal(embeddings[which], embeddings[k])
                assert embeddings.offsets(which) == offsets


def test_a_run_that_is_resumed_keeps_the_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = embed(tmp_path, b"He can't.\n\nOK\n", "--tokenize", "--blank-lines", "empty")
    again = tmp_path / "again.hdf5"
    words = ["embed", str(tmp_path / "in.txt"), str(again), "--model", BASE, "--tokenize", "--blank-lines", "empty"]
    assert main(words) == main([*words, "--resume"]) == 0
    assert again.read_bytes() == out.read_bytes()
    with load_embeddings(out) as embeddings:
        assert [embeddings.offsets(k) for k in range(3)] == [[(0, 2), (3, 5), (5, 8), (8, 9)], [], [(0, 2)]]
    assert "3 sentences, 5 tokens" in capsys.readouterr().out


@pytest.mark.parametrize("n", [7999, 8000, 8001, 16000, 20500])
def test_a_document_of_any_length_has_offsets(tmp_path: Path, n: int) -> None:
    expected = [(2 * k, 2 * k + 1) for k in range(n)]
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        write_offsets(file.create_dataset("0", data=np.zeros((1, n, 1), np.float32)).id, expected)
    with load_embeddings(tmp_path / "v.hdf5") as embeddings:
        assert embeddings.offsets(0) == expected


@pytest.mark.slow
def test_a_document_of_more_than_an_attribute_is_embedded_with_its_offsets(tmp_path: Path) -> None:
    out = embed(tmp_path, b"a " * 8001, "--tokenize", "--top")
    with load_embeddings(out) as embeddings:
        assert len(embeddings[0]) == 8001
        offsets = embeddings.offsets(0)
    assert offsets is not None
    assert (len(offsets), offsets[-1]) == (8001, (16000, 16001))


@pytest.mark.parametrize(
    ("content", "name", "flags", "found"),
    [
        (b">P1 x\nMKT\n>P2\nMK\n", "in.fasta", [], {"P1": 3, "P2": 2}),
        (
            b'{"t": "Rain fell ."}\n{"t": ["New York"]}\n',
            "in.jsonl",
            ["--json-field", "t"],
            {"Rain fell .": 3, "New York": 1},
        ),
        (b"x Rain\nx fell\n\nx Sun\n", "in.conll", ["--format", "conll", "--column", "1"], {"Rain fell": 2, "Sun": 1}),
        (gzip.compress(b"Rain fell\n", mtime=0), "in", [], {"Rain fell": 2}),
    ],
)
def test_every_kind_of_text_is_found_again(
    tmp_path: Path, content: bytes, name: str, flags: list[str], found: dict[str, int]
) -> None:
    with load_embeddings(embed(tmp_path, content, *flags, name=name)) as embeddings:
        assert {embeddings.sentence(k): embeddings[k].shape[1] for k in range(len(embeddings))} == found
        assert all(embeddings[text].shape[1] == n for text, n in found.items())


def test_npz_and_mean_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    assert main(["embed", str(tmp_path / "in.txt"), str(tmp_path / "out.npz")]) == 2
    assert "give a name that ends in .hdf5" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["embed", "in.txt", "out.hdf5", "--layers", "mean"])
    assert "did you mean average?" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


@pytest.mark.parametrize(
    ("tokens", "vectors", "error"),
    [
        ("ab", np.zeros((2, 3)), InputTypeError),
        ({"a", "b"}, np.zeros((2, 3)), InputTypeError),
        (["a", "b", "c"], np.zeros((2, 3)), InputError),
        (["a", "b"], np.full((2, 3), np.nan), InputError),
        (["a", "b"], np.zeros(2), InputError),
        (["a", "b"], None, InputTypeError),
        (["a", "b"], [["x", "y"]], InputTypeError),
    ],
)
def test_tokens_and_vectors_are_compared_when_they_are_written(
    tmp_path: Path, tokens: Any, vectors: Any, error: type[Exception]
) -> None:
    with pytest.raises(error), VectorFile(tmp_path / "v.hdf5") as file:
        file.write(tokens, vectors)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_dask_reads_what_embed_reads(tmp_path: Path) -> None:
    from dask import distributed  # noqa: PLC0415 -- of [dev]

    from numpy_elmo.interfaces.dask import embed_files  # noqa: PLC0415 -- needs Dask

    path = tmp_path / "report [1].jsonl"
    path.write_text(json.dumps({"t": "It's."}) + "\n")
    cluster = distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        report = embed_files(path, BASE, tmp_path / "parts", client=client, json_field="t", tokenize=True)
        for wrong in (None, ["a.txt"]):
            with pytest.raises(InputTypeError, match="pattern"):
                embed_files(wrong, BASE, tmp_path / "parts", client=client)  # type: ignore[arg-type]
    with load_embeddings(tmp_path / "parts" / report.made[0]) as embeddings:
        assert embeddings.sentence(0) == "It 's ."
