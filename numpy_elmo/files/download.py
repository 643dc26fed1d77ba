"""Fetching published models, when asked to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import h5py

from numpy_elmo.errors import DownloadError, InputError, MissingExtraError
from numpy_elmo.files import published
from numpy_elmo.files.published import PublishedFile, PublishedModel

MIRROR_VARIABLE = "NUMPY_ELMO_MIRROR"

# Seconds to connect, and to wait for the next bytes.
TIMEOUT = (10.0, 60.0)

CHUNK_BYTES = 1 << 20

# A process that is killed cannot clean up.  What it was writing is removed by a later download, late enough that no
# download still running loses its file.
STALE_SECONDS = 24 * 3600.0


def download(
    name: str,
    dest: str | os.PathLike[str] | None = None,
    *,
    mirror: str | None = None,
    softmax: bool = False,
    progress: bool = False,
) -> Path:
    """Fetch a published model.

    A file gets its name only after its size and checksum were checked, or, where neither is on record, after it was
    opened as what it should be.  Files that are there already are checked in the same way and not fetched again.

    Parameters
    ----------
    name : str
        A name from the table of published models (``numpy-elmo download --list``), or ``nlpl-<id>``.
    dest : str or path, optional
        Folder to put the files into.  By default it is the model's folder in the user's cache, where `numpy_elmo.load`
        finds the model by its name.
    mirror : str, optional
        Address to try first, in front of ``<name>/<file name>``.  By default the environment variable
        ``NUMPY_ELMO_MIRROR``, if set.
    softmax : bool
        Fetch the weights and the vocabulary of the softmax too.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Path
        What to give to `numpy_elmo.load`: a folder, or the zip of a model that is published as one.

    Raises
    ------
    ModelNotFoundError
        If there is no model of this name.
    InputError
        If the mirror is no web address, or the softmax of a model is asked for that has none on record.
    MissingExtraError
        If something is to be fetched and the packages of the extra ``download`` are not installed.
    DownloadError
        If no address gave the right file, or it cannot be written.
    """
    if name == published.EMBEDDED:
        if dest is not None:
            raise InputError(f"{name!r} comes with numpy_elmo and is not downloaded; load it by its name")
        return published.find(name)
    model = published.lookup(name)
    mirror = _check_mirror(mirror or os.environ.get(MIRROR_VARIABLE))
    files = model.wanted(softmax=softmax)
    if softmax and not any(file.role == "softmax" for file in files):
        known = ", ".join(row.name for row in published.published().values() if len(row.wanted(softmax=True)) > 2)
        raise InputError(f"no softmax of {name!r} is on record; there is one of: {known}")
    folder = published.cache_folder() / model.name if dest is None else Path(dest).expanduser()
    missing = [file for file in files if fault(folder / file.file_name, file) is not None]
    if missing:
        fetcher = _Fetcher(*_import_extra(model, missing, folder), progress=progress)
        with _folder(folder):
            for file in missing:
                fetcher.fetch(_addresses(model, file, mirror), file, folder / file.file_name)
    return published.location(model, folder)


def instructions(model: PublishedModel, files: tuple[PublishedFile, ...], folder: Path) -> str:
    """Return the addresses of some files of a model and where to put them, a file a paragraph.

    Parameters
    ----------
    model : PublishedModel
        The model.
    files : tuple of PublishedFile
        Its files.
    folder : Path
        Where they belong.

    Returns
    -------
    str
    """
    lines = [f"{model.name}: fetch each file from one of its addresses and put it where the arrow points"]
    for file in files:
        lines += [f"  {address}" for address in file.addresses]
        lines.append(f"    -> {folder / file.file_name}{_facts(file)}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Digest:
    """Size and checksums of a file.

    Attributes
    ----------
    size : int
        Bytes.
    sha256, md5 : str
        Hexadecimal digests.
    """

    size: int
    sha256: str
    md5: str


def digest(file: BinaryIO) -> Digest:
    """Read a file to its end and return its size and checksums.

    Parameters
    ----------
    file : binary file
        The file, open for reading.

    Returns
    -------
    Digest
    """
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    while chunk := file.read(CHUNK_BYTES):
        size += len(chunk)
        sha256.update(chunk)
        md5.update(chunk)
    return Digest(size, sha256.hexdigest(), md5.hexdigest())


def fault(path: Path, file: PublishedFile) -> str | None:
    """Say what is wrong with a file on disk.

    Parameters
    ----------
    path : Path
        Where the file is.
    file : PublishedFile
        What it should be.

    Returns
    -------
    str or None
        None if it is right, as far as that is known.

    Raises
    ------
    DownloadError
        If it is there and cannot be read.
    """
    if not path.is_file():
        return "it is missing"
    try:
        size = path.stat().st_size
        if file.size is not None and size != file.size:
            return f"it has {size} bytes instead of {file.size}"
        if file.sha256 is None and file.md5 is None:
            return _content_fault(path, file)
        with path.open("rb") as opened:
            found = digest(opened)
    except OSError as error:
        raise DownloadError(f"{path} cannot be read: {error.strerror or error}") from error
    if file.sha256 is not None and found.sha256 != file.sha256:
        return f"its sha256 is {found.sha256} instead of {file.sha256}"
    if file.md5 is not None and found.md5 != file.md5:
        return f"its md5 is {found.md5} instead of {file.md5}"
    return None


def _content_fault(path: Path, file: PublishedFile) -> str | None:
    """Open a file that no checksum is known of, so that the error page of a server does not pass for it."""
    with path.open("rb") as opened:
        head = opened.read(512).lstrip().lower()
    # No file of a model begins like this: a vocabulary, with "<S>".
    page = head.startswith((b"<!doctype", b"<html", b"<?xml"))
    what = "a web page" if page else "something else"
    if file.role in ("weights", "softmax"):
        return None if _opens_as_hdf5(path) else f"it is {what}, not a whole HDF5 file"
    if file.role == "archive":
        return None if zipfile.is_zipfile(path) else f"it is {what}, not a whole zip"
    if file.role == "options":
        return None if _is_options(path) else f"it is {what}, not the JSON of a model's options"
    return f"it is {what if head else 'empty'}, not a vocabulary" if page or not head else None


def _opens_as_hdf5(path: Path) -> bool:
    # HDF5 compares the length in its header with the file's, which a signature alone would not.
    try:
        with h5py.File(path, "r") as file:
            return len(file) > 0
    except (OSError, RuntimeError, KeyError):
        return False


def _is_options(path: Path) -> bool:
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and "lstm" in raw


class _RefusedError(Exception):
    """What an address gave is not the file."""


class _Sink:
    """What pooch writes a file to, and the progress bar that it reports to.

    pooch counts in chunks and finds no fault with a body that is too short or too long; counting happens here.
    """

    def __init__(self, file: BinaryIO, name: str, limit: int | None, bar: Any) -> None:
        self._file = file
        self._name = name
        self._limit = limit
        self._bar = bar
        self._total = 0
        self._written = 0

    @property
    def total(self) -> int:
        """Bytes that the server announced, 0 if it did not."""
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = self._bar.total = total
        self._check_limit(total)

    def write(self, chunk: bytes) -> int:
        self._written += len(chunk)
        self._check_limit(self._written)
        try:
            self._file.write(chunk)
        except OSError as error:
            raise DownloadError(f"{self._name} cannot be written: {error.strerror or error}") from error
        self._bar.update(len(chunk))
        return len(chunk)

    def flush(self) -> None:
        """Nothing: the file is flushed once, at its end."""

    def update(self, n: int) -> None:
        """Nothing: `write` has counted."""

    def reset(self) -> None:
        """Nothing, as above."""

    def close(self) -> None:
        """Nothing: whoever opened file and bar closes them."""

    def check_complete(self) -> None:
        if self._total and self._written != self._total:
            raise _RefusedError(f"the body ended after {self._written} of {self._total} bytes")

    def _check_limit(self, size: int) -> None:
        if self._limit is not None and size > self._limit:
            raise _RefusedError(f"it has {size} bytes or more instead of {self._limit}")


class _Fetcher:
    """Fetches one file after another."""

    def __init__(self, pooch: Any, tqdm: Any, *, progress: bool) -> None:
        self._pooch = pooch
        self._tqdm = tqdm
        self._progress = progress

    def fetch(self, addresses: list[str], file: PublishedFile, path: Path) -> None:
        """Try the addresses in turn until one gives the right file, and put it in its place."""
        tried = []
        for address in addresses:
            problem = self._attempt(address, file, path)
            if problem is None:
                return
            tried.append(f"  {address}\n    {problem}\n")
        raise DownloadError(
            f"{path.name} could not be fetched from any of its addresses:\n{''.join(tried)}"
            f"Try again later, name a mirror (--mirror or {MIRROR_VARIABLE}), or fetch it by other means and put it at "
            f"{path}{_facts(file)}"
        )

    def _attempt(self, address: str, file: PublishedFile, path: Path) -> str | None:
        """Put the file in its place, or say what is wrong with what the address gave."""
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        with _removed(part):
            try:
                self._transfer(address, file, part)
            except DownloadError:
                raise  # the disk's fault: no other address would help
            except _RefusedError as error:
                return str(error)
            except (OSError, ValueError) as error:
                # pooch lets the errors of requests through, which are one or the other.
                return _describe(error)
            problem = fault(part, file)
            if problem is None:
                try:
                    part.replace(path)
                except OSError as error:
                    raise DownloadError(f"{path} cannot be written: {error.strerror or error}") from error
            return problem

    def _transfer(self, address: str, file: PublishedFile, part: Path) -> None:
        bar = self._tqdm(
            total=file.size, desc=file.file_name, unit="B", unit_scale=True, leave=True, disable=not self._progress
        )
        with bar, _open_new(part) as opened:
            sink = _Sink(opened, str(part), file.size, bar)
            # A server that compresses on the way would make the announced length another one than the file's.
            fetch = self._pooch.HTTPDownloader(
                progressbar=sink, chunk_size=CHUNK_BYTES, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
            )
            fetch(address, sink, None)
            sink.check_complete()
            try:
                opened.flush()
                os.fsync(opened.fileno())
            except OSError as error:
                raise DownloadError(f"{part} cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _removed(path: Path) -> Iterator[None]:
    """Remove a file at the end, whatever happens."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _open_new(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except OSError as error:
        raise DownloadError(f"{path} cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make a folder for a download, clear it of what killed ones left, and take it away again if nothing came."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the first one that is not empty ends it
            for path in made:
                path.rmdir()


def _addresses(model: PublishedModel, file: PublishedFile, mirror: str | None) -> list[str]:
    if mirror is None:
        return list(file.addresses)
    return [f"{mirror}/{quote(model.name)}/{quote(file.file_name)}", *file.addresses]


def _check_mirror(mirror: str | None) -> str | None:
    if not mirror:
        return None
    parts = urlsplit(mirror)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InputError(f"the mirror {mirror!r} is no web address; give one such as https://example.org/elmo")
    return mirror.rstrip("/")


def _import_extra(model: PublishedModel, files: list[PublishedFile], folder: Path) -> tuple[Any, Any]:
    try:
        import pooch  # noqa: PLC0415 - an optional dependency
        from tqdm import tqdm  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            'downloading needs the extra "download": pip install "numpy_elmo[download]"\n'
            f"Or without it, {instructions(model, tuple(files), folder)}"
        ) from error
    return pooch, tqdm


def _facts(file: PublishedFile) -> str:
    facts = []
    if file.size is not None:
        facts.append(f"{file.size} bytes")
    if file.sha256 is not None:
        facts.append(f"sha256 {file.sha256}")
    if file.md5 is not None:
        facts.append(f"md5 {file.md5}")
    return f" ({', '.join(facts)})" if facts else ""


def _describe(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else f"{text[:297]}..."
    return f"{type(error).__name__}: {text}"
