"""Checking a model's files, and the vectors that it computes, against what is on record of the published ones."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from numpy_elmo.elmo import Elmo, load
from numpy_elmo.errors import InputError, ModelNotFoundError, OptionsError, WeightsError
from numpy_elmo.files import published
from numpy_elmo.files.download import Digest, digest
from numpy_elmo.files.find import find_model, pick_options, pick_safetensors, pick_torch_file, pick_weights
from numpy_elmo.files.places import Folder, Zip, to_path
from numpy_elmo.files.published import ArchiveMember, Measure, PublishedFile, PublishedModel, RecordedRun
from numpy_elmo.layers.arrays import Array


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes
    ----------
    name : str
        What.
    expected, found : str or float
        What is on record, and what is there.
    difference : float or None
        How far numbers are apart; None if they are no numbers.
    tolerance : float or None
        How far they may be.
    ok : bool
        Whether it passed.
    """

    name: str
    expected: str | float
    found: str | float
    difference: float | None
    tolerance: float | None
    ok: bool


@dataclass(frozen=True)
class FoundFile:
    """A file of the model.

    Attributes
    ----------
    name : str
        Its name, without its folder.
    size : int
        In bytes.
    sha256 : str
        Its checksum, in hexadecimal digits.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Attributes
    ----------
    model : str
        What was verified.
    published_as : str or None
        The published model that it was compared with.
    checks : tuple of Check
        All checks, in order.
    notes : tuple of str
        What could not be checked, and why.
    files : tuple of FoundFile
        The model's files, whether something is on record of them or not.
    """

    model: str
    published_as: str | None
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    files: tuple[FoundFile, ...]

    def __repr__(self) -> str:
        n_failed = sum(not check.ok for check in self.checks)
        return f"<VerifyReport of {self.model}: {len(self.checks)} checks, {n_failed} failed>"

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)


def verify(model: str | os.PathLike[str], *, name: str | None = None) -> VerifyReport:
    """Check a model's files and the vectors that it computes.

    The files are checked against sizes and checksums on record, the weights for a layout that fits the options and
    for finite values, and, for the models of which others printed numbers, the vectors against those numbers.

    Parameters
    ----------
    model : str or path
        The name of a model that was downloaded, or a folder or zip.
    name : str, optional
        The published model that a folder or zip should be.  By default it is recognised by the checksum of its
        weights or by a file name that only one published model has.

    Returns
    -------
    VerifyReport

    Raises
    ------
    ModelNotFoundError
        If the model, or a file of it, is not there, or a name is unknown.
    """
    path = to_path(model, "model must be a path or a model's name")
    notes: list[str] = []
    checks: list[Check] = []
    row = None if name is None else published.lookup(name)
    if not path.exists() and not path.with_name(f"{path.name}.index").exists():
        if not (isinstance(model, str) and published.is_name(model)):
            raise ModelNotFoundError(f"{path}: there is no such file or folder; give a folder, a zip or a model's name")
        named = published.lookup(model)
        path = _find_anyhow(named, model)
        row = row or named
    if row is None:
        row = _recognise(path)
    files: list[FoundFile] = []
    if row is None:
        files += [_found(own)[0] for own in _own_files(path)]
        notes.append(
            "this is none of the published models, as far as can be told, so there is no checksum and no number to "
            "compare with; name the model that it should be, if it should be one"
        )
    else:
        file_checks, file_notes, files = check_files(path, row)
        checks += file_checks
        notes += file_notes
    name_of_check = "layout fits the options, all values are finite"
    try:
        found = find_model(path)
        elmo = load(found)
    except (OptionsError, WeightsError) as error:
        checks.append(Check(name_of_check, "yes", _without_folder(error, path), None, None, ok=False))
        notes.append("no vectors were computed, since the model cannot be loaded")
        return _report(model, row, checks, notes, files)
    checks.append(Check(name_of_check, "yes", "yes", None, None, ok=True))
    if found.damaged is not None:
        bad = ", ".join(found.damaged()) or "none"
        checks.append(
            Check("arrays with another checksum than written with them", "none", bad, None, None, bad == "none")
        )
    if row is not None and row.runs:
        checks += check_runs(elmo, row.runs)
    elif row is not None and row.name == "seqvec":
        checks += check_seqvec(elmo, published.data_folder() / "seqvec-reference.npz")
    elif row is not None:
        notes.append(f"no numbers computed with {row.name} are on record, so its vectors were not compared")
    return _report(model, row, checks, notes, files)


def _report(
    model: str | os.PathLike[str],
    row: PublishedModel | None,
    checks: list[Check],
    notes: list[str],
    files: list[FoundFile],
) -> VerifyReport:
    return VerifyReport(str(model), None if row is None else row.name, tuple(checks), tuple(notes), tuple(files))


def _find_anyhow(row: PublishedModel, name: str) -> Path:
    """Return where a model is, even if a file has the wrong size: to report that is what `verify` is for."""
    folder = published.cache_folder() / row.name
    if name != published.EMBEDDED and all((folder / file.file_name).is_file() for file in row.wanted()):
        return published.location(row, folder)
    return published.find(name)


def check_files(path: Path, row: PublishedModel) -> tuple[list[Check], list[str], list[FoundFile]]:
    """Check files against the sizes and checksums on record.

    Parameters
    ----------
    path : Path
        The model's folder or zip.
    row : PublishedModel
        What it should be.

    Returns
    -------
    checks : list of Check
        The checks.
    notes : list of str
        The files of which nothing is on record.
    files : list of FoundFile
        The files that are there.
    """
    checks: list[Check] = []
    notes: list[str] = []
    files: list[FoundFile] = []
    for file in row.files:
        found = _path_of(path, file)
        if found is None:
            if file.needed:
                checks.append(Check(f"{file.file_name}: there", "yes", "no", None, None, ok=False))
            continue
        facts, found_digest = _found(found)
        files.append(facts)
        if (file.size, file.sha256, file.md5) == (None, None, None):
            notes.append(f"{file.file_name}: neither size nor checksum is on record")
        checks += _compare(file, found_digest)
        for member in file.members:
            checks += _check_member(found, member)
    return checks, notes, files


def _found(path: Path) -> tuple[FoundFile, Digest]:
    with path.open("rb") as opened:
        facts = digest(opened)
    return FoundFile(path.name, facts.size, facts.sha256), facts


def _own_files(path: Path) -> list[Path]:
    """Return the files of a model that is not in the table; those of a checkpoint have checksums of their own."""
    if not path.is_dir():
        return [path] if path.is_file() else []
    names: list[str] = []
    for pick in (pick_options, pick_weights, pick_safetensors, pick_torch_file):
        with suppress(InputError):  # several fit, and the loading says so
            names += [name for name in [pick(Folder(path))] if name]
    return [path / name for name in names]


def _compare(file: PublishedFile | ArchiveMember, found: Digest) -> list[Check]:
    checks = []
    if file.size is not None:
        checks.append(_check_number(f"{file.file_name}: size", file.size, found.size, 0.0))
    md5 = file.md5 if isinstance(file, PublishedFile) else None
    for kind, expected, value in (("sha256", file.sha256, found.sha256), ("md5", md5, found.md5)):
        if expected is not None:
            checks.append(Check(f"{file.file_name}: {kind}", expected, value, None, None, ok=expected == value))
    return checks


def _check_member(path: Path, member: ArchiveMember) -> list[Check]:
    archive = Zip(path)
    try:
        names = [name for name in archive.names() if Path(name).name == member.file_name]
        if not names:
            return [Check(f"{member.file_name}: there", "yes", "no", None, None, ok=False)]
        with archive.open_binary(names[0]) as file:
            return _compare(member, digest(file))
    except WeightsError as error:
        found = f"no: {_without_folder(error, path)}"
        return [Check(f"{member.file_name}: can be read", "yes", found, None, None, ok=False)]


def _without_folder(error: Exception, path: Path) -> str:
    """Return a message that names a model without the folder that it is in, since reports are published."""
    return str(error).replace(f"{path.parent}{os.sep}", "")


def _path_of(path: Path, file: PublishedFile) -> Path | None:
    """Return where a file is in a folder, under its published name or under one that `load` takes as well."""
    if path.is_file():
        return path if file.role == "archive" else None
    if (path / file.file_name).is_file():
        return path / file.file_name
    find = {"options": pick_options, "weights": pick_weights}.get(file.role)
    with suppress(InputError):  # several fit: none is known to be it
        if find and (name := find(Folder(path))):
            return path / name
    return None


def _recognise(path: Path) -> PublishedModel | None:
    rows = list(published.table().values())
    weights = [(row, file) for row in rows for file in row.files if file.role in ("weights", "archive")]
    names = [file.file_name for _, file in weights]
    for row, file in weights:
        candidate = path / file.file_name if path.is_dir() else path
        if names.count(file.file_name) == 1 and candidate.name == file.file_name and candidate.is_file():
            return row
    found = _path_of(path, PublishedFile("weights", "model.hdf5", ()))
    if found is None:
        return None
    own = published.embedded()
    weights += [(own, file) for file in own.files if file.role == "weights"]
    _, facts = _found(found)
    return next((row for row, file in weights if facts.sha256 == file.sha256 or facts.md5 == file.md5), None)


def check_runs(elmo: Elmo, runs: Iterable[RecordedRun]) -> list[Check]:
    """Repeat runs of which numbers are on record, and compare.

    Every run starts from a fresh state, which is carried from call to call.  The measures are

    ``components``
        components of a token's vector,
    ``cosine distances``
        1 - cos of every two tokens, in the order 0-1, 0-2, ..., 1-2, ...,
    ``sums``
        of all values of a call, one number a call,
    ``drift``
        between one call and the next of the same sentences: the mean absolute change of the sentences' mean vectors,
    ``pca ratios``
        the parts of the variance of all tokens of some calls that lie along the first principal components.

    Parameters
    ----------
    elmo : Elmo
        The model.
    runs : iterable of RecordedRun
        What is on record.

    Returns
    -------
    list of Check
        One a number.
    """
    checks = []
    for run in runs:
        elmo.reset_state()
        calls = [elmo.embed(call, layers="all", state="carry") for call in run.calls]
        for measure in run.measures:
            found = measured(calls, measure)
            for index, (expected, value) in enumerate(zip(measure.expected, found, strict=True)):
                tolerance = measure.tolerance + measure.relative_tolerance * abs(expected)
                label = f"{run.name}: {measure.name}, {_label(measure, index)}"
                checks.append(_check_number(label, expected, value, tolerance))
    # Later calls must not continue from these sentences.
    elmo.reset_state()
    return checks


# What bio_embeddings' test embeds, as one batch from zeros; the first two are on record.
_PROTEINS = ("PROTEIN", "SEQWENCE", "VLSXXXIEP", "")


def check_seqvec(elmo: Elmo, reference: Path) -> list[Check]:
    """Compare the vectors of two proteins with those that bio_embeddings published, all 46,080 numbers.

    One check per protein and layer.  Its difference is the largest of
    ``abs(found - expected) / (1e-5 + 1e-3 abs(expected))``, the measure of bio_embeddings' own test, and may be 1.
    """
    elmo.reset_state()
    vectors = elmo.embed([list(sequence) for sequence in _PROTEINS], layers="all", state="carry")
    elmo.reset_state()
    checks = []
    with np.load(reference) as arrays:
        expected = {"PROTEIN": arrays["test_case 1"], "SEQWENCE": arrays["test_case 2"]}
    for (sequence, on_record), found in zip(expected.items(), vectors, strict=False):
        if found.shape != on_record.shape:
            name = f"{sequence}: shape of the vectors"
            checks.append(Check(name, str(on_record.shape), str(found.shape), None, None, ok=False))
            continue
        for layer, (wanted, ours) in enumerate(
            zip(on_record.astype(np.float64), found.astype(np.float64), strict=True)
        ):
            differences = np.abs(ours - wanted) / (1e-5 + 1e-3 * np.abs(wanted))
            differences[~np.isfinite(differences)] = np.inf
            worst = np.unravel_index(differences.argmax(), differences.shape)
            checks.append(
                Check(
                    f"{sequence}, layer {layer}: the worst of {wanted.size:,} numbers, {list(map(int, worst))}",
                    float(wanted[worst]),
                    float(ours[worst]),
                    float(differences.max()),
                    1.0,
                    ok=bool(differences.max() <= 1),
                )
            )
    return checks


def _check_number(name: str, expected: float, found: float, tolerance: float) -> Check:
    difference = abs(found - expected)
    return Check(name, expected, found, difference, tolerance, ok=math.isfinite(found) and difference <= tolerance)


def _label(measure: Measure, index: int) -> str:
    if measure.kind == "components":
        return f"[{measure.components[index]}]"
    if measure.kind == "cosine distances":
        first, second = list(combinations(range(len(measure.tokens)), 2))[index]
        return f"{first}-{second}"
    if measure.kind == "sums":
        return f"call {index + 1}"
    if measure.kind == "drift":
        return f"call {index + 1} to {index + 2}"
    return f"component {index + 1}"


def measured(calls: Sequence[Sequence[Array]], measure: Measure) -> list[float]:
    """Compute the numbers of a measure from the vectors of a run.

    Parameters
    ----------
    calls : sequence of sequences of ndarray, shape (n_layers + 1, n_tokens, 2 P)
        The vectors of every sentence of every call.
    measure : Measure
        What to compute.

    Returns
    -------
    list of float
        As many as the measure expects.
    """
    # Double precision from here on, so that only the model's own rounding counts.
    layers = [[_layer(vectors.astype(np.float64), measure.layer) for vectors in call] for call in calls]
    tokens = [layers[call][sentence][token] for call, sentence, token in measure.tokens]
    return _KINDS[measure.kind](layers, tokens, measure)


def _layer(vectors: Array, layer: int | Literal["mean"]) -> Array:
    chosen: Array = vectors.mean(axis=0) if layer == "mean" else vectors[layer]
    return chosen


def _components(layers: list[list[Array]], tokens: list[Array], measure: Measure) -> list[float]:
    return [float(tokens[0][component]) for component in measure.components]


def _cosine_distances(layers: list[list[Array]], tokens: list[Array], measure: Measure) -> list[float]:
    units = [token / np.linalg.norm(token) for token in tokens]
    return [1.0 - float(first @ second) for first, second in combinations(units, 2)]


def _sums(layers: list[list[Array]], tokens: list[Array], measure: Measure) -> list[float]:
    return [float(sum(sentence.sum() for sentence in call)) for call in layers]


def _drift(layers: list[list[Array]], tokens: list[Array], measure: Measure) -> list[float]:
    means = [np.stack([sentence.mean(axis=0) for sentence in call]) for call in layers]  # [n_sentences, 2 P] each
    return [float(np.abs(after - before).mean()) for before, after in pairwise(means)]


def _pca_ratios(layers: list[list[Array]], tokens: list[Array], measure: Measure) -> list[float]:
    x = np.concatenate([sentence for call in measure.calls for sentence in layers[call]])  # [n_tokens, 2 P]
    variances = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    return [float(ratio) for ratio in (variances / variances.sum())[: len(measure.expected)]]


_KINDS: dict[str, Callable[[list[list[Array]], list[Array], Measure], list[float]]] = {
    "components": _components,
    "cosine distances": _cosine_distances,
    "sums": _sums,
    "drift": _drift,
    "pca ratios": _pca_ratios,
}
