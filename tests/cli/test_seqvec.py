"""The command seqvec."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from numpy_elmo.cli import main
from tests.conftest import write_model
from tests.fixtures.recipes import SMALL
from tests.interfaces.test_seqvec import FASTA


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("seqvec"), SMALL["base"])


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "in.fasta"
    path.write_text(FASTA, encoding="utf-8", newline="")
    return path


def run(*arguments: object) -> int:
    return main(["seqvec", *map(str, arguments)])


@pytest.mark.parametrize(
    ("flags", "names", "per_protein"),
    [
        ((), ["P1", "P2", "P3"], False),
        (("--protein",), ["P1", "P2", "P3"], True),
        (("--protein", "True", "--id", "1", "--split_char", "|"), ["P1", "P2", "P3"], True),
        (("--protein", "False", "--split-char", " ", "--id", "0"), ["sp|P1|ONE", "sp|P2|TWO", "sp|P3|THREE"], False),
        (("--id", "-1", "--batchsize", "5", "--cpu", "--verbose", "True"), None, False),
    ],
)
@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_the_flags_of_seqvec(
    folder: Path,
    fasta: Path,
    tmp_path: Path,
    suffix: str,
    flags: tuple[str, ...],
    names: list[str] | None,
    per_protein: bool,
) -> None:
    output = tmp_path / f"out.{suffix}"
    assert run("-i", fasta, "-o", output, "--model", folder, *flags) == 0
    opened = np.load(output) if suffix == "npz" else h5py.File(output)
    with opened as arrays:
        assert sorted(arrays) == (names or ["sp|P1|ONE first", "sp|P2|TWO", "sp|P3|THREE"])
        assert all(arrays[name].shape[-1:] == (16,) for name in arrays)
        assert {arrays[name].ndim for name in arrays} == {1 if per_protein else 2}


def test_errors_are_one_line_with_flags_that_exist(
    folder: Path, fasta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.h5").write_bytes(b"mine")
    for arguments, message in (
        (("-o", tmp_path / "out.npz", "--id", "0"), "identifier.*'sp'.*"),
        (("-o", tmp_path / "out.npz", "--id", "7"), "has no field 7"),
        (("-o", tmp_path / "out.txt"), "must end with .npz, .h5 or .hdf5"),
        (("-o", tmp_path / "there.h5"), "there.h5"),
        (("-o", tmp_path / "out.h5", "--checkpoint", "-1"), "--checkpoint must not be negative"),
        (("-o", tmp_path / "out.npz", "--batchsize", "0"), "batch_residues"),
    ):
        assert run("-i", fasta, "--model", folder, *arguments) == 2
        assert re.fullmatch(f"numpy-elmo: error: .*{message}.*\n", capsys.readouterr().err)
    assert (tmp_path / "there.h5").read_bytes() == b"mine"
    assert not (tmp_path / "out.npz").exists()
    with pytest.raises(SystemExit):
        run("-i", fasta, "-o", tmp_path / "out.npz", "--protein", "perhaps")
