"""Models by name: the table of published ones, their place on disk, and whether they have been downloaded.

Nothing here uses the network.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from numpy_elmo.errors import ModelNotFoundError

Role = Literal["options", "weights", "softmax", "vocabulary", "archive"]

EMBEDDED = "tiny"
CACHE_VARIABLE = "NUMPY_ELMO_CACHE"

_NLPL_NAME = re.compile(r"nlpl-([1-9][0-9]{0,5})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FILE_SUFFIXES = (".hdf5", ".h5", ".json", ".zip", ".txt", ".gz", ".tgz")


@dataclass(frozen=True)
class ArchiveMember:
    """What is known about a file in an archive: its name, size in bytes and hexadecimal digest."""

    file_name: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published model, under its published name.  An archive holds the options and the weights."""

    role: Role
    file_name: str
    addresses: tuple[str, ...]  # to try in this order
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    members: tuple[ArchiveMember, ...] = ()

    @property
    def needed(self) -> bool:
        """Whether the model cannot be loaded without it."""
        return self.role in ("options", "weights", "archive")


@dataclass(frozen=True)
class Measure:
    """Published numbers, and how to compute them from the vectors of a recorded run.

    `numpy_elmo.analysis.verify` describes what each `kind` computes from `tokens` (call, sentence, token),
    `components` or `calls`.  A number passes within ``tolerance + relative_tolerance * abs(expected)``.
    """

    name: str
    kind: str
    layer: int | Literal["mean"]  # 0 is the token layer
    expected: tuple[float, ...]
    tolerance: float
    relative_tolerance: float = 0.0
    tokens: tuple[tuple[int, int, int], ...] = ()
    components: tuple[int, ...] = ()
    calls: tuple[int, ...] = ()


@dataclass(frozen=True)
class RecordedRun:
    """Calls of a published model whose numbers were published; the state starts fresh and is carried between them."""

    name: str
    calls: tuple[tuple[tuple[str, ...], ...], ...]  # call, sentence, token
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class PublishedModel:
    """One row of the table: a model's name, its files and, where known, its language and sizes."""

    name: str
    description: str
    files: tuple[PublishedFile, ...]  # also those that are not needed to load the model
    language: str | None = None
    dim: int | None = None  # LSTM cells
    projection: int | None = None  # outputs of one direction
    runs: tuple[RecordedRun, ...] = ()

    def wanted(self, *, softmax: bool = False) -> tuple[PublishedFile, ...]:
        """Return the files needed to load the model, with those of its softmax on request."""
        return tuple(file for file in self.files if softmax or file.needed)


Row = TypeVar("Row", ArchiveMember, PublishedFile, Measure, RecordedRun, PublishedModel)


def data_folder() -> Path:
    """Return the data that comes with numpy_elmo: ``data`` when installed, ``weights`` in a source checkout."""
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
    """Return the folder for downloaded models: ``NUMPY_ELMO_CACHE``, or ``numpy_elmo`` in the system's cache."""
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
def table() -> Mapping[str, PublishedModel]:
    """Return the published models by name; `lookup` also accepts any ``nlpl-<id>``."""
    raw = json.loads((data_folder() / "models.json").read_text(encoding="utf-8"))
    return MappingProxyType(
        {model["name"]: _parse_model(model, raw["runs"].get(model["name"], ())) for model in raw["models"]}
    )


def embedded() -> PublishedModel:
    """Return the row of the model that comes with numpy_elmo, from ``tiny/record.json`` instead of the table."""
    raw = json.loads((data_folder() / EMBEDDED / "record.json").read_text(encoding="utf-8"))
    return _parse_model(raw, raw["runs"])


def lookup(name: str) -> PublishedModel:
    """Return the row of a name or ``nlpl-<id>``; raise ModelNotFoundError, which lists all names."""
    if name == EMBEDDED:
        return embedded()
    models = table()
    if name in models:
        return models[name]
    if match := _NLPL_NAME.fullmatch(name):
        return _nlpl_model(match[1])
    names = [EMBEDDED, *models]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?  " if close else ""
    raise ModelNotFoundError(
        f"there is no model {name!r}: {hint}The names are {', '.join(names)}, and nlpl-<id> for any id of the NLPL "
        "repository; the path of a folder, a zip or a weight file may be given too"
    )


def is_name(text: str) -> bool:
    """Say whether a text could be a model's name: it has no separator and no suffix of a file."""
    return _NAME.fullmatch(text) is not None and not text.lower().endswith(_FILE_SUFFIXES)


def location(model: PublishedModel, folder: Path) -> Path:
    """Return the path to load, given the folder of a model's files: its archive if it has one, else the folder."""
    for file in model.files:
        if file.role == "archive":
            return folder / file.file_name
    return folder


def find(name: str) -> Path:
    """Return the folder or zip of a downloaded model; raise ModelNotFoundError, which says how to get it."""
    if name == EMBEDDED:
        folder = data_folder() / EMBEDDED
        if not folder.is_dir():
            raise ModelNotFoundError(f"{folder}, which comes with numpy_elmo, is missing; install numpy_elmo again")
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
    file = PublishedFile("archive", f"{number}.zip", (f"https://{address}", f"http://{address}"))
    return PublishedModel(f"nlpl-{number}", f"Model {number} of the NLPL repository", (file,))


def _parse_model(raw: dict[str, Any], runs: Iterable[dict[str, Any]]) -> PublishedModel:
    files = tuple(
        _make(PublishedFile, file, members=tuple(_make(ArchiveMember, member) for member in file.get("members", ())))
        for file in raw["files"]
    )
    return _make(PublishedModel, raw | raw["sizes"], files=files, runs=tuple(map(_parse_run, runs)))


def _parse_run(raw: dict[str, Any]) -> RecordedRun:
    calls = tuple(tuple(tuple(sentence.split(" ")) for sentence in call) for call in raw["calls"])
    return _make(RecordedRun, raw, calls=calls, measures=tuple(_make(Measure, measure) for measure in raw["measures"]))


def _make(kind: type[Row], raw: Mapping[str, Any], **parsed: Any) -> Row:
    """Return a row of the table, without the keys that are only comments."""
    values = {field.name: _frozen(raw[field.name]) for field in fields(kind) if field.name in raw}
    return kind(**(values | parsed))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
