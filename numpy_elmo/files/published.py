"""Models by name: the table of published ones, where their files are kept, and whether they are there.

Nothing here uses the network.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from numpy_elmo.errors import ModelNotFoundError

Role = Literal["options", "weights", "softmax", "vocabulary", "archive"]

EMBEDDED = "tiny"
CACHE_VARIABLE = "NUMPY_ELMO_CACHE"

_NLPL_NAME = re.compile(r"nlpl-([1-9][0-9]{0,5})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FILE_SUFFIXES = (".hdf5", ".h5", ".json", ".zip", ".txt", ".gz", ".tgz")


@dataclass(frozen=True)
class ArchiveMember:
    """What is known of one file inside an archive.

    Attributes
    ----------
    file_name : str
        Its name in the archive.
    size : int or None
        Bytes, where known.
    sha256 : str or None
        Hexadecimal digest, where known.
    """

    file_name: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published model.

    Attributes
    ----------
    role : {"options", "weights", "softmax", "vocabulary", "archive"}
        What it is.  An archive holds the options and the weights.
    file_name : str
        Its name as published, which is also its name in the user's cache.
    addresses : tuple of str
        Where it is published, in the order in which to try.
    size : int or None
        Bytes, where known.
    sha256, md5 : str or None
        Hexadecimal digests, where known.
    checksum_source : str or None
        Where size and digest are recorded.
    members : tuple of ArchiveMember
        What is known of the files in an archive.
    """

    role: Role
    file_name: str
    addresses: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    checksum_source: str | None = None
    members: tuple[ArchiveMember, ...] = ()

    @property
    def needed(self) -> bool:
        """Whether the model cannot be loaded without it."""
        return self.role in ("options", "weights", "archive")


@dataclass(frozen=True)
class Measure:
    """Numbers that someone printed, and how they follow from the vectors of a recorded run.

    Attributes
    ----------
    name : str
        What is measured.
    kind : {"components", "cosine distances", "sums", "drift", "pca ratios"}
        How.  `numpy_elmo.analysis.verify` says what each one computes.
    layer : int or "mean"
        The layer of vectors, 0 for the token layer, or the mean of all layers.
    expected : tuple of float
        The numbers as printed.
    tolerance : float
        Largest difference that passes.
    relative_tolerance : float
        Added to it as a part of the expected number.
    tokens : tuple of (int, int, int)
        The tokens measured, as (call, sentence, token).
    components : tuple of int
        The components measured, of kind "components".
    calls : tuple of int
        The calls measured, of kind "pca ratios".
    """

    name: str
    kind: str
    layer: int | Literal["mean"]
    expected: tuple[float, ...]
    tolerance: float
    relative_tolerance: float = 0.0
    tokens: tuple[tuple[int, int, int], ...] = ()
    components: tuple[int, ...] = ()
    calls: tuple[int, ...] = ()


@dataclass(frozen=True)
class RecordedRun:
    """A run of a published model by someone else, of which numbers were printed.

    Attributes
    ----------
    name : str
        What the run shows.
    source : str
        Where the numbers were printed.
    calls : tuple
        The batches of tokenised sentences, in order, from a fresh state that is carried from call to call.
    measures : tuple of Measure
        The numbers.
    """

    name: str
    source: str
    calls: tuple[tuple[tuple[str, ...], ...], ...]
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class PublishedModel:
    """One row of the table of published models.

    Attributes
    ----------
    name : str
        How `numpy_elmo.load` and the commands call it.
    description : str
        What it was trained on, and by whom.
    language : str or None
        Its language, where known.
    licence : str or None
        What its authors say of its use, where known.
    dim, projection, n_highway : int or None
        LSTM cells, outputs of one direction and highway layers, where known.
    files : tuple of PublishedFile
        All files, those that are not needed to load the model included.
    source : str
        Where the addresses are recorded.
    runs : tuple of RecordedRun
        Numbers on record.
    """

    name: str
    description: str
    language: str | None
    licence: str | None
    dim: int | None
    projection: int | None
    n_highway: int | None
    files: tuple[PublishedFile, ...]
    source: str
    runs: tuple[RecordedRun, ...] = ()

    def wanted(self, *, softmax: bool = False) -> tuple[PublishedFile, ...]:
        """Return the files needed to load the model, with those of its softmax on request."""
        return tuple(file for file in self.files if softmax or file.needed)


def data_folder() -> Path:
    """Return the folder of the data that comes with numpy_elmo.

    Returns
    -------
    Path
        ``data`` inside an installed package, ``weights`` of a source checkout.

    Raises
    ------
    ModelNotFoundError
        If neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    folders = (package / "data", package.parent / "weights")
    for folder in folders:
        if (folder / "models.json").is_file():
            return folder
    raise ModelNotFoundError(
        f"the data of numpy_elmo is missing: neither {folders[0]} nor {folders[1]} holds models.json; "
        "install numpy_elmo again"
    )


def cache_folder() -> Path:
    """Return the folder that downloaded models are kept in, whether it is there or not.

    Returns
    -------
    Path
        ``NUMPY_ELMO_CACHE`` from the environment, or ``numpy_elmo`` in the place that the system has for caches.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        base = Path(local) if local else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        # The XDG specification says to ignore a relative path.
        xdg = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache"
    return base / "numpy_elmo"


@cache
def published() -> Mapping[str, PublishedModel]:
    """Return the table of published models.

    Returns
    -------
    mapping of str to PublishedModel
        In the order of the table.  ``nlpl-<id>`` names an NLPL model whether it is in the table or not; see `lookup`.
    """
    raw = json.loads((data_folder() / "models.json").read_text(encoding="utf-8"))
    return MappingProxyType({model["name"]: _parse_model(model, raw["runs"]) for model in raw["models"]})


def lookup(name: str) -> PublishedModel:
    """Return the row of a published model.

    Parameters
    ----------
    name : str
        A name from the table, or ``nlpl-<id>`` for any other model of the NLPL repository.

    Returns
    -------
    PublishedModel

    Raises
    ------
    ModelNotFoundError
        If there is no such name.  The message has the names that there are.
    """
    table = published()
    if name in table:
        return table[name]
    if match := _NLPL_NAME.fullmatch(name):
        return _nlpl_model(match[1])
    names = [EMBEDDED, *table]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?  " if close else ""
    raise ModelNotFoundError(
        f"there is no model {name!r}: {hint}The names are {', '.join(names)}, and nlpl-<id> for any id of the NLPL "
        "repository; the path of a folder, a zip or a weight file may be given too"
    )


def is_name(text: str) -> bool:
    """Say whether a text could be meant as a model's name, known or not.

    Parameters
    ----------
    text : str
        What a user gave for a model.

    Returns
    -------
    bool
        False if it looks like a path: it has a separator, or ends as a file does.
    """
    return _NAME.fullmatch(text) is not None and not text.lower().endswith(_FILE_SUFFIXES)


def location(model: PublishedModel, folder: Path) -> Path:
    """Return what to load when a model's files are in a folder: its archive if it is one, else the folder."""
    for file in model.files:
        if file.role == "archive":
            return folder / file.file_name
    return folder


def find(name: str) -> Path:
    """Return where a model's files are.

    Parameters
    ----------
    name : str
        ``"tiny"``, or the name of a published model that was downloaded before.

    Returns
    -------
    Path
        A folder, or a zip for a model that is published as one.

    Raises
    ------
    ModelNotFoundError
        If the name is unknown, or not all files of the model are there.
    """
    if name == EMBEDDED:
        folder = data_folder() / EMBEDDED
        if not folder.is_dir():
            raise ModelNotFoundError(f"{folder} is missing, which comes with numpy_elmo; install numpy_elmo again")
        return folder
    model = lookup(name)
    folder = cache_folder() / model.name
    problems = [problem for file in model.wanted() if (problem := _problem(folder / file.file_name, file.size))]
    if problems:
        raise ModelNotFoundError(
            f"{name} has not been downloaded: in {folder}, {', '.join(problems)}; get it with "
            f"'numpy-elmo download {name}', or give the path of a folder that holds it"
        )
    return location(model, folder)


def _problem(path: Path, size: int | None) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    found = path.stat().st_size
    if size is not None and found != size:
        return f"{path.name} has {found} bytes instead of {size}"
    return None


def _nlpl_model(number: str) -> PublishedModel:
    address = f"vectors.nlpl.eu/repository/20/{number}.zip"
    return PublishedModel(
        name=f"nlpl-{number}",
        description=f"Model {number} of the NLPL repository",
        language=None,
        licence=None,
        dim=None,
        projection=None,
        n_highway=None,
        files=(PublishedFile("archive", f"{number}.zip", (f"https://{address}", f"http://{address}")),),
        source="http://vectors.nlpl.eu/repository/20.json",
    )


def _parse_model(raw: Mapping[str, Any], runs: Mapping[str, Any]) -> PublishedModel:
    return PublishedModel(
        name=raw["name"],
        description=raw["description"],
        language=raw["language"],
        licence=raw["licence"],
        dim=raw["sizes"]["dim"],
        projection=raw["sizes"]["projection"],
        n_highway=raw["sizes"]["n_highway"],
        files=tuple(_parse_file(file) for file in raw["files"]),
        source=raw["source"],
        runs=tuple(_parse_run(run) for run in runs.get(raw["name"], ())),
    )


def _parse_file(raw: Mapping[str, Any]) -> PublishedFile:
    return PublishedFile(
        role=raw["role"],
        file_name=raw["file_name"],
        addresses=tuple(raw["addresses"]),
        size=raw["size"],
        sha256=raw["sha256"],
        md5=raw["md5"],
        checksum_source=raw["checksum_source"],
        members=tuple(ArchiveMember(**member) for member in raw.get("members", ())),
    )


def _parse_run(raw: Mapping[str, Any]) -> RecordedRun:
    return RecordedRun(
        name=raw["name"],
        source=raw["source"],
        calls=tuple(tuple(tuple(sentence.split(" ")) for sentence in call) for call in raw["calls"]),
        measures=tuple(_parse_measure(measure) for measure in raw["measures"]),
    )


def _parse_measure(raw: Mapping[str, Any]) -> Measure:
    return Measure(
        name=raw["name"],
        kind=raw["kind"],
        layer=raw["layer"],
        expected=tuple(raw["expected"]),
        tolerance=raw["tolerance"],
        relative_tolerance=raw.get("relative_tolerance", 0.0),
        tokens=tuple((call, sentence, token) for call, sentence, token in raw.get("tokens", ())),
        components=tuple(raw.get("components", ())),
        calls=tuple(raw.get("calls", ())),
    )
