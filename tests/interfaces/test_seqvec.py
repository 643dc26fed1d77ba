"""SeqVec's interface returns what `Elmo.embed` returns, for every call that its users' own tests and programs make."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_elmo import Elmo, load
from numpy_elmo.corpus import embed as embed_module
from numpy_elmo.errors import InputError, InputTypeError, ModelNotFoundError, OutputError
from numpy_elmo.interfaces.seqvec import WARM_UP, SeqVecEmbedder, embed_fasta
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.state import CarriedState
from tests.conftest import write_model
from tests.faults.limits import needs_limits
from tests.fixtures.recipes import PUBLISHED, SMALL

# The calls of bio_embeddings' own test; the XXX there is about unknown residues, the last sequence is empty.
SEQUENCES = ["PROTEIN", "SEQWENCE", "VLSXXXIEP", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("seqvec"), SMALL["base"])


@pytest.fixture(scope="module")
def elmo(folder: Path) -> Elmo:
    return load(folder)


def equal(found: list[Array], expected: list[Array]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)


def test_embed_many_as_bio_embeddings_tests_it(folder: Path, elmo: Elmo) -> None:
    embedder = SeqVecEmbedder(warmup_rounds=0, model_directory=folder, device="cpu")
    found = list(embedder.embed_many(SEQUENCES, 100))
    equal(found, elmo.embed(map(list, SEQUENCES), state=CarriedState(), batch_size=4))
    equal(found, elmo.embed(map(list, SEQUENCES)))  # it is one batch from zeros
    assert [array.shape for array in found] == [(3, len(sequence), 16) for sequence in SEQUENCES]
    assert (embedder.embedding_dimension, embedder.number_of_layers, embedder.name) == (16, 3, "seqvec")
    assert (SeqVecEmbedder.embedding_dimension, SeqVecEmbedder.number_of_layers) == (1024, 3)


def test_the_state_is_carried_from_call_to_call(folder: Path, elmo: Elmo) -> None:
    embedder, state = SeqVecEmbedder(0, model_directory=folder), CarriedState()
    equal([embedder.embed("PROTEIN")], elmo.embed([list("PROTEIN")], state=state, batch_size=1))
    equal([embedder.embed("PROTEIN")], elmo.embed([list("PROTEIN")], state=state, batch_size=1))
    batch = ["SEQWENCE", "MKV"]
    equal(list(embedder.embed_batch(batch)), elmo.embed(map(list, batch), state=state, batch_size=2))
    assert embedder.embed("").shape == (3, 0, 16)  # the state stays
    equal(list(embedder.embed_many(batch)), elmo.embed(map(list, batch), state=state, batch_size=1))


@pytest.mark.parametrize("rounds", [1, 4])
def test_warming_up_embeds_one_protein_so_often(folder: Path, elmo: Elmo, rounds: int) -> None:
    assert len(WARM_UP) == 96
    state = CarriedState()
    for _ in range(rounds):
        elmo.embed([list(WARM_UP)], state=state, batch_size=1)
    embedder = SeqVecEmbedder(rounds, model_directory=folder)
    assert embedder.warmup_rounds == rounds
    equal([embedder.embed("PROTEIN")], elmo.embed([list("PROTEIN")], state=state, batch_size=1))


@pytest.mark.parametrize(
    ("lengths", "batches"),
    [
        ((8, 20, 8, 7, 7, 7, 0, 17), ([0], [1], [2, 3], [4, 5, 6], [7])),
        ((20, 8, 8, 7, 7, 7), ([0], [1, 2], [3, 4], [5])),  # as bio_embeddings tests it
    ],
)
def test_batches_hold_fewer_residues_than_asked_for(
    folder: Path, elmo: Elmo, lengths: tuple[int, ...], batches: tuple[list[int], ...]
) -> None:
    sequences = ["M" * n for n in lengths]
    state, expected = CarriedState(), []
    for batch in batches:
        expected += elmo.embed([list(sequences[k]) for k in batch], state=state, batch_size=len(batch))
    embedder = SeqVecEmbedder(0, model_directory=folder)
    with pytest.warns(UserWarning, match="20 residues, more than batch_size=18"):
        found = list(embedder.embed_many(iter(sequences), 18))
    equal(found, expected)


def test_sequences_are_read_when_they_are_needed(folder: Path) -> None:
    def endless() -> Any:
        while True:
            yield "MKV"

    assert next(SeqVecEmbedder(0, model_directory=folder).embed_many(endless(), 10)).shape == (3, 3, 16)


def test_reduce_per_protein(folder: Path) -> None:
    embedding = SeqVecEmbedder(0, model_directory=folder).embed("SEQWENCE")
    reduced = SeqVecEmbedder.reduce_per_protein(embedding)
    assert reduced.shape == (16,)
    np.testing.assert_allclose(reduced, embedding.astype(np.float64).sum(0).mean(0), rtol=0, atol=1e-6)


def test_where_the_model_is(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [SeqVecEmbedder(0, model_directory=folder).embed("PROTEIN")]
    weights, options = folder / "weights.hdf5", folder / "options.json"
    equal([SeqVecEmbedder(0, weights_file=weights, options_file=options).embed("PROTEIN")], expected)
    named = tmp_path / "named"
    named.mkdir()
    shutil.copy(weights, named / "weights_file")
    shutil.copy(options, named / "options_file")
    equal([SeqVecEmbedder(0, model_directory=str(named)).embed("PROTEIN")], expected)
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelNotFoundError, match="seqvec"):
        SeqVecEmbedder()
    for files in (("weights_file",), ("options_file",), ("weights_file", "options_file", "model_directory")):
        with pytest.raises(InputError, match="give weights_file and options_file, or model_directory"):
            SeqVecEmbedder(**dict.fromkeys(files, "/none"))  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        SeqVecEmbedder(model_directory="/none/existent/path")
    with pytest.raises(FileNotFoundError):
        SeqVecEmbedder(weights_file="/none/existent/path", options_file="/none/existent/path")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e: e.embed(["M", "K"]), InputTypeError, "sequence 0 must be a string, not list"),
        (lambda e: list(e.embed_batch("MKV")), InputTypeError, r"give \[sequence\]"),
        (lambda e: e.embed_many("MKV"), InputTypeError, r"give \[sequence\]"),
        (lambda e: list(e.embed_many([None])), InputTypeError, "not NoneType"),
        (lambda e: e.embed_many(["MKV"], 0), InputError, "batch_size must be a positive integer"),
    ],
)
def test_bad_arguments(folder: Path, call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(SeqVecEmbedder(0, model_directory=folder))
    with pytest.raises(InputError, match="warmup_rounds"):
        SeqVecEmbedder(-1, model_directory=folder)


# Files


FASTA = ">sp|P1|ONE first\r\nmkvl\r\nLA*\r\n>sp|P2|TWO\nSEQ-W.ENCE\n\n>sp|P3|THREE\nVLSXXXIEP\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "in.fasta"
    path.write_text(FASTA, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("per_protein", [False, True])
@pytest.mark.parametrize("batch_residues", [1, 10, 15000])
def test_npz_has_the_sum_of_the_layers(
    elmo: Elmo, fasta: Path, tmp_path: Path, per_protein: bool, batch_residues: int
) -> None:
    expected = dict(zip(("P1", "P2", "P3"), map(list, ("MKVLLA", "SEQWENCE", "VLSXXXIEP")), strict=True))
    report = embed_fasta(fasta, tmp_path / "out.npz", elmo, per_protein=per_protein, batch_residues=batch_residues)
    assert (report.n_sentences, report.n_tokens) == (3, 23)
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays.files == list(expected)
        for name, residues in expected.items():
            [vectors] = elmo.embed([residues])
            wanted = SeqVecEmbedder.reduce_per_protein(vectors) if per_protein else vectors.sum(axis=0)
            assert arrays[name].dtype == np.float32
            np.testing.assert_allclose(arrays[name], wanted, rtol=0, atol=4e-6)


def test_an_output_is_refused_before_any_work(fasta: Path, tmp_path: Path, elmo: Elmo) -> None:
    (tmp_path / "out.npz").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        embed_fasta(fasta, tmp_path / "out.npz", elmo, progress=lambda _: pytest.fail("it ran"))
    embed_fasta(fasta, tmp_path / "out.npz", elmo, overwrite=True)
    with pytest.raises(InputError, match="batch_residues"):
        embed_fasta(fasta, tmp_path / "more.npz", elmo, batch_residues=0)
    with pytest.raises(InputError, match=r"must end with \.npz, \.h5 or \.hdf5"):
        embed_fasta(fasta, tmp_path / "out.npy", elmo)
    with pytest.raises(InputError, match=r"cannot be resumed; give a name that ends with \.h5"):
        embed_fasta(fasta, tmp_path / "more.npz", elmo, resume=True)
    source = fasta.rename(tmp_path / "in.npz")
    with pytest.raises(OutputError):
        embed_fasta(source, source, elmo, overwrite=True)
    assert source.read_text(encoding="utf-8").startswith(">sp|P1")


@pytest.mark.parametrize("per_protein", [False, True])
def test_hdf5_has_the_same_arrays_as_npz(elmo: Elmo, fasta: Path, tmp_path: Path, per_protein: bool) -> None:
    embed_fasta(fasta, tmp_path / "out.npz", elmo, per_protein=per_protein)
    report = embed_fasta(fasta, tmp_path / "out.h5", elmo, per_protein=per_protein)
    assert (report.n_sentences, report.n_tokens) == (3, 23)
    with np.load(tmp_path / "out.npz") as arrays, h5py.File(tmp_path / "out.h5") as file:
        assert set(file) == set(arrays.files) == {"P1", "P2", "P3"}
        for name, expected in arrays.items():
            assert file[name].dtype == np.float32
            np.testing.assert_allclose(file[name][()], expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("per_protein", [False, True])
def test_an_unfinished_hdf5_file_is_continued(
    elmo: Elmo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_protein: bool
) -> None:
    monkeypatch.setattr(embed_module, "WINDOW", 4)
    path = tmp_path / "in.fasta"
    path.write_text("".join(f">P{k}\n{'MKVLA' * (k % 7 + 1)}\n" for k in range(20)), encoding="utf-8")
    embed_fasta(path, tmp_path / "whole.h5", elmo, per_protein=per_protein)

    def stop(report: Any) -> None:
        if report.n_sentences == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_fasta(path, tmp_path / "out.h5", elmo, per_protein=per_protein, progress=stop)
    assert not (tmp_path / "out.h5").exists()
    with pytest.raises(OutputError, match="unfinished"):
        embed_fasta(path, tmp_path / "out.h5", elmo, per_protein=per_protein)
    done: list[int] = []
    embed_fasta(
        path,
        tmp_path / "out.h5",
        elmo,
        per_protein=per_protein,
        resume=True,
        progress=lambda report: done.append(report.n_sentences),
    )
    assert done[0] == 8
    assert (tmp_path / "out.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def titin() -> list[str]:
    """Return as many residues as the longest human protein has."""
    return list(map(str, np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), 34_350)))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_titin_has_34350_residues(elmo: Elmo, tmp_path: Path, suffix: str) -> None:
    residues = titin()
    path, output = tmp_path / "titin.fasta", tmp_path / f"out.{suffix}"
    path.write_text(f">sp|Q8WZ42|TITIN_HUMAN\n{''.join(residues)}\n>B\nMKV\n", encoding="utf-8")
    embed_fasta(path, output, elmo)
    with np.load(output) if suffix == "npz" else h5py.File(output) as arrays:
        found = arrays["Q8WZ42"][...]
        np.testing.assert_allclose(arrays["B"], elmo.embed([list("MKV")], layers="sum")[0], rtol=0, atol=2e-6)
    assert found.shape == (34_350, 16)
    assert np.isfinite(found).all()
    # What is far away does not count: the last residues are those of a shorter protein.
    [expected] = elmo.embed([residues[-2000:]], layers="sum")
    np.testing.assert_allclose(found[-100:], expected[-100:], rtol=0, atol=1e-5)


MEMORY = """
import re, sys
from pathlib import Path
import numpy_elmo
from numpy_elmo.interfaces.seqvec import embed_fasta
elmo = numpy_elmo.load(sys.argv[1])
status = lambda name: int(re.search(rf"{name}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
for fasta in sys.argv[2:]:
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak counts
    before = status("VmRSS")
    embed_fasta(fasta, f"{fasta}.npz", elmo)
    print(status("VmHWM") - before)
"""


@pytest.mark.slow
@needs_limits
def test_titin_at_seqvecs_size_takes_one_batch_and_one_result(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", PUBLISHED["original_size"])  # SeqVec has the sizes of the first ELMo
    residues = titin()
    batch, path = tmp_path / "batch.fasta", tmp_path / "titin.fasta"
    batch.write_text("".join(f">{k}\n{''.join(residues[k : k + 234])}\n" for k in range(64)), encoding="utf-8")
    path.write_text(f">A\n{'MKVLA' * 100}\n>sp|Q8WZ42|TITIN_HUMAN\n{''.join(residues)}\n", encoding="utf-8")
    command = [sys.executable, "-c", MEMORY, str(folder), str(batch), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    with np.load(f"{path}.npz") as arrays:
        found = arrays["Q8WZ42"]
    assert found.shape == (34_350, 1024)
    assert np.isfinite(found).all()
    of_batch, of_titin = map(int, done.stdout.split())
    assert of_titin < of_batch + found.nbytes, f"{of_titin:,} bytes; a batch takes {of_batch:,}"
    [expected] = load(folder).embed([residues[-400:]], layers="sum")
    np.testing.assert_allclose(found[-100:], expected[-100:], rtol=0, atol=1e-4)


# The command
