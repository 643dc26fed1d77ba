"""Corpora on a real cluster: several processes, some of which die."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import load
from numpy_elmo.corpus import load_embeddings
from numpy_elmo.corpus.embed import EmbedOptions
from numpy_elmo.errors import InputError, PartsFailedError
from tests.agreement.tensorflow_outputs import FIXTURES

with suppress(ImportError):  # the quick tests collect this file without Dask, and run none of it
    from dask.distributed import Client, LocalCluster

    from numpy_elmo.interfaces.dask import embed_files

BASE = str(FIXTURES / "base")

# Dask warns of its own dashboard's missing dependency, and of sockets of workers that the tests kill.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as connected,
    ):
        yield connected


def write_texts(folder: Path) -> dict[str, list[str]]:
    rng = np.random.default_rng(0)
    words = ["the", "bank", "of", "a", "river", "money", "."]
    texts = {
        name: [" ".join(rng.choice(words, rng.integers(1, 9))) + f" {k}" for k in range(n)]
        for name, n in (("one.txt", 25), ("two.txt", 7))
    }
    folder.mkdir()
    for name, lines in texts.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return texts


def test_the_parts_hold_the_vectors_of_one_process(client: Client, tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "in")
    report = embed_files(str(tmp_path / "in" / "*.txt"), BASE, tmp_path / "out", client=client, sentences_per_part=10)
    assert sorted(report.made) == [
        "one.txt-00000.hdf5",
        "one.txt-00001.hdf5",
        "one.txt-00002.hdf5",
        "two.txt-00000.hdf5",
    ]
    assert report.n_sentences == 32
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(report.made)
    elmo = load(BASE)
    for name, lines in texts.items():
        expected = elmo.embed([line.split() for line in lines])
        found = [
            vectors
            for part in sorted(report.made)
            if part.startswith(name)
            for vectors in load_embeddings(tmp_path / "out" / part)
        ]
        assert len(found) == len(expected)
        for vectors, array in zip(found, expected, strict=True):
            np.testing.assert_allclose(vectors, array, rtol=0, atol=2e-6)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    (tmp_path / "out" / "one.txt-00001.hdf5").unlink()
    again = embed_files(str(tmp_path / "in" / "*.txt"), BASE, tmp_path / "out", client=client, sentences_per_part=10)
    assert again.made == ["one.txt-00001.hdf5"]
    assert len(again.skipped) == 3
    for path, time_written in before.items():
        assert (path.stat().st_mtime_ns == time_written) == (path.name in again.skipped)


def test_pooled_vectors_go_to_parquet(client: Client, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    texts = write_texts(tmp_path / "in")
    options = EmbedOptions(pooling="mean", layers="average")
    arguments = (str(tmp_path / "in" / "two.txt"), BASE, tmp_path / "out")
    report = embed_files(*arguments, client=client, file_format="parquet", options=options)
    assert report.made == ["two.txt-00000.parquet"]
    table = pq.read_table(tmp_path / "out" / report.made[0]).to_pydict()
    assert table["sentence"] == texts["two.txt"]
    expected = load(BASE).embed([line.split() for line in texts["two.txt"]], layers="average")
    for vector, array in zip(table["vector"], expected, strict=True):
        np.testing.assert_allclose(vector, array.mean(axis=0), rtol=0, atol=2e-6)
    assert embed_files(*arguments, client=client, file_format="parquet", options=options).skipped == report.made
    other = EmbedOptions(pooling="max", layers="average")
    with pytest.raises(PartsFailedError, match=r"two.txt-00000.parquet: OutputError: .* made with pooling='mean'"):
        embed_files(*arguments, client=client, file_format="parquet", options=other)
    with pytest.raises(InputError, match="one vector per sentence"):
        embed_files(*arguments, client=client, file_format="parquet")


def test_a_file_that_always_fails_is_named_and_the_others_finish(client: Client, tmp_path: Path) -> None:
    write_texts(tmp_path / "in")
    (tmp_path / "in" / "bad.txt").write_bytes(b"fine\n\xff\n")
    with pytest.raises(PartsFailedError) as caught:
        embed_files(str(tmp_path / "in" / "*.txt"), BASE, tmp_path / "out", client=client)
    assert "bad.txt" in str(caught.value)
    assert "line 2" in str(caught.value)
    assert len(caught.value.failed) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.txt-00000.hdf5", "two.txt-00000.hdf5"]


@pytest.mark.parametrize(("blank_lines", "n_sentences"), [("empty", 3), ("skip", 2)])
def test_blank_lines_are_named_and_the_remedy_works(
    client: Client, tmp_path: Path, blank_lines: str, n_sentences: int
) -> None:
    (tmp_path / "in.txt").write_text("the bank\n\na river\n")
    arguments = (tmp_path / "in.txt", BASE, tmp_path / "out")
    with pytest.raises(PartsFailedError, match=r"1 blank line.*blank_lines='empty' or 'skip'"):
        embed_files(*arguments, client=client)
    assert embed_files(*arguments, client=client, blank_lines=blank_lines).n_sentences == n_sentences


def test_a_part_made_otherwise_is_refused(client: Client, tmp_path: Path) -> None:
    write_texts(tmp_path / "in")
    arguments = (str(tmp_path / "in" / "two.txt"), BASE, tmp_path / "out")
    embed_files(*arguments, client=client)
    with pytest.raises(PartsFailedError, match=r"two.txt-00000.hdf5: OutputError: .* made with layers='all'"):
        embed_files(*arguments, client=client, options=EmbedOptions(layers="top"))


@pytest.mark.parametrize("file_format", ["hdf5", "parquet"])
def test_parts_of_another_text_or_another_cut_are_refused(client: Client, tmp_path: Path, file_format: Any) -> None:
    text = tmp_path / "in.txt"
    text.write_text("".join(f"sentence {k}\n" for k in range(20)))
    options = EmbedOptions(pooling="mean", layers="top")

    def embed(n: int) -> int:
        return embed_files(
            str(text),
            BASE,
            tmp_path / "out",
            client=client,
            sentences_per_part=n,
            options=options,
            file_format=file_format,
        ).n_sentences

    assert embed(10) == 20
    assert embed(10) == 20
    with pytest.raises(PartsFailedError, match="was made with another text") as caught:
        embed(5)
    assert len(caught.value.failed) == 2
    text.write_text("".join(f"sentence {k}!\n" for k in range(20)))
    with pytest.raises(PartsFailedError, match="was made with another text"):
        embed(10)


def test_values_beyond_float16_are_refused_in_parquet_too(client: Client, tmp_path: Path, model_folder: Path) -> None:
    with h5py.File(model_folder / "weights.hdf5", "r+") as file:
        file["CNN_proj/b_proj"][...] = 70000.0
    (tmp_path / "in.txt").write_text("one\n")
    options = EmbedOptions(pooling="mean", layers=0, dtype="float16")
    arguments = (str(tmp_path / "in.txt"), model_folder, tmp_path / "out")
    with pytest.raises(PartsFailedError, match="sentence 0 has values beyond float16's largest"):
        embed_files(*arguments, client=client, file_format="parquet", options=options)
    assert list((tmp_path / "out").iterdir()) == []


def test_no_files_and_equal_names_are_refused(client: Client, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        embed_files(str(tmp_path / "*.txt"), BASE, tmp_path / "out", client=client)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text("one\n")
    with pytest.raises(InputError, match=r"several files are called x\.txt"):
        embed_files(str(tmp_path / "*" / "x.txt"), BASE, tmp_path / "out", client=client)


def test_a_killed_worker_costs_time_and_no_results(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = [f"sentence {k} of the river bank ." for k in range(6000)]
    (tmp_path / "in" / "long.txt").write_text("\n".join(lines) + "\n")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        killed: list[int] = []

        def kill_one() -> None:
            while not list((tmp_path / "out").glob("*.hdf5")):  # in the middle: some are done, others are not
                time.sleep(0.01)
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])

        killer = threading.Thread(target=kill_one)
        killer.start()
        report = embed_files(
            str(tmp_path / "in" / "*.txt"), BASE, tmp_path / "out", client=client, sentences_per_part=300
        )
        killer.join()
    assert killed
    parts = sorted(report.made + report.skipped)  # what the dead worker had just finished was there already
    assert len(parts) == 20
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == parts
    for k, part in enumerate(parts):
        with load_embeddings(tmp_path / "out" / part) as vectors:
            assert len(vectors) == 300
            assert all(line in vectors for line in lines[300 * k : 300 * (k + 1)])
