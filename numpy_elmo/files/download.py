"""Downloading published models."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote, urlsplit

from numpy_elmo.errors import DownloadError, InputError, MissingExtraError, ModelNotFoundError, OutputError
from numpy_elmo.files import published
from numpy_elmo.files.hdf5 import is_web_page, open_checked
from numpy_elmo.files.places import OPTIONS, read_file, to_path
from numpy_elmo.files.published import PublishedFile, PublishedModel
from numpy_elmo.files.tar import is_whole
from numpy_elmo.files.writing import new_file

MIRROR_VARIABLE = "NUMPY_ELMO_MIRROR"

# Seconds to connect, and to wait for the next bytes.
TIMEOUT = (10.0, 60.0)

CHUNK_BYTES = 1 << 20

# Limit for files of unknown size; the largest published one, a softmax, has 1.6 GB.
MAX_BYTES = 8 << 30

# Minimal mean speed of a download after its first minute.
SLOW_SECONDS, MIN_BYTES_PER_SECOND = 60.0, 1 << 10


def download(
    name: str,
    dest: str | os.PathLike[str] | None = None,
    *,
    mirror: str | None = None,
    softmax: bool = False,
    progress: bool = False,
) -> Path:
    """Download a published model.

    A file gets its name only after its size and checksum were checked or, if neither is known, after it was opened in
    its format.  Existing files are checked in the same way, and downloaded again only if they fail.

    Parameters
    ----------
    name : str
        A name from the table of published models (``numpy-elmo download --list``), or ``nlpl-<id>``.
    dest : str or path, optional
        Folder for the files.  By default the model's folder in the user's cache, where `numpy_elmo.load` finds the
        model by its name.
    mirror : str, optional
        Address to try first, in front of ``<name>/<file name>``.  By default the environment variable
        ``NUMPY_ELMO_MIRROR``, if set.
    softmax : bool
        Whether to download the weights and the vocabulary of the softmax too.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Path
        What to give to `numpy_elmo.load`: a folder, or the zip of a model that is published as one.

    Raises
    ------
    ModelNotFoundError
        If there is no model of this name.
    InputError
        If the mirror is not a web address, or the model has no known softmax to download.
    MissingExtraError
        If files must be downloaded and the packages of the extra ``download`` are not installed.
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
        known = ", ".join(row.name for row in published.table().values() if len(row.wanted(softmax=True)) > 2)
        raise InputError(f"no softmax of {name!r} is on record; there is one of: {known}")
    folder = published.cache_folder() / model.name if dest is None else to_path(dest, "dest must be a path")
    missing = [file for file in files if fault(folder / file.file_name, file) is not None]
    if missing:
        fetcher = _Fetcher(*_import_extra(model, missing, folder), progress=progress)
        with _folder(folder):
            for file in missing:
                fetcher.fetch(_addresses(model, file, mirror), file, folder / file.file_name)
    return published.location(model, folder)


def instructions(model: PublishedModel, files: tuple[PublishedFile, ...], folder: Path) -> str:
    """Return the addresses of files of a model and where to put them, one file per paragraph."""
    lines = [f"{model.name}: fetch each file from one of its addresses and put it where the arrow points"]
    for file in files:
        lines += [f"  {address}" for address in file.addresses]
        lines.append(f"    -> {folder / file.file_name}{_facts(file)}")
    return "\n".join(lines)


class Digest(NamedTuple):
    """Size in bytes and checksums, in hexadecimal digits, of a file."""

    size: int
    sha256: str
    md5: str


def digest(file: BinaryIO) -> Digest:
    """Read a file to its end and return its size and checksums."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    while chunk := file.read(CHUNK_BYTES):
        size += len(chunk)
        sha256.update(chunk)
        md5.update(chunk)
    return Digest(size, sha256.hexdigest(), md5.hexdigest())


def fault(path: Path, file: PublishedFile) -> str | None:
    """Say what is wrong with a file on disk; None if nothing is known to be.  Raises DownloadError if unreadable."""
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
    """Check the format of a file without a checksum, so that a server's error page is not taken for it."""
    with path.open("rb") as opened:
        head = opened.read(512)
    page = is_web_page(head)
    what = "a web page" if page else "something else"
    if file.role in ("weights", "softmax"):
        return None if _opens_as_hdf5(path) else f"it is {what}, not a whole HDF5 file"
    if file.role == "archive":
        return None if zipfile.is_zipfile(path) or is_whole(path) else f"it is {what}, not a whole zip or tar.gz"
    if file.role == "options":
        return None if _is_options(path) else f"it is {what}, not the JSON of a model's options"
    return f"it is {what if head else 'empty'}, not a vocabulary" if page or not head else None


def _opens_as_hdf5(path: Path) -> bool:
    # A cut file has a valid signature too; opening compares the length in the header with the file's.
    try:
        with open_checked(path) as file:
            return len(file) > 0
    except (OSError, RuntimeError, KeyError):
        return False


def _is_options(path: Path) -> bool:
    try:
        raw = json.loads(read_file(path, OPTIONS).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and "lstm" in raw


class _RefusedError(Exception):
    """An address gave something other than the file."""


class _Fetcher:
    """Fetches one file after another."""

    def __init__(self, requests: Any, broken: Any, tqdm: Any, *, progress: bool) -> None:
        self._requests = requests
        self._broken = broken  # raised by urllib3 while a body comes; the errors of requests are OSErrors
        self._tqdm = tqdm
        self._progress = progress

    def fetch(self, addresses: list[str], file: PublishedFile, path: Path) -> None:
        """Try the addresses in turn until one gives the right file, and move it to `path`."""
        tried = []
        for address in addresses:
            try:
                with new_file(path, overwrite=True) as part:
                    self._transfer(address, file, part)
                    if problem := fault(part, file):
                        raise _RefusedError(problem)  # noqa: TRY301 -- handled with the other failures
            except OutputError as error:
                raise DownloadError(str(error)) from error
            except (DownloadError, ModelNotFoundError):
                raise  # a fault of the disk: no other address would help
            except (_RefusedError, self._broken, OSError, ValueError) as error:
                tried.append(f"  {address}\n    {_describe(error)}\n")
            else:
                return
        raise DownloadError(
            f"{path.name} could not be fetched from any of its addresses:\n{''.join(tried)}"
            f"Try again later, name a mirror (mirror=... or {MIRROR_VARIABLE}), or fetch it by other means and put it "
            f"at {path}{_facts(file)}"
        )

    def _transfer(self, address: str, file: PublishedFile, part: Path) -> None:
        """Write what an address gives, within the file's size and a reasonable time."""
        limit = MAX_BYTES if file.size is None else file.size
        # Unpacking a compressed body would take longer than receiving it; most servers heed this.
        wish = {"Accept-Encoding": "identity"}
        start, written = time.monotonic(), 0
        with self._requests.get(address, stream=True, timeout=TIMEOUT, headers=wish) as response:
            response.raise_for_status()
            if address.startswith("https:") and not response.url.startswith("https:"):
                raise _RefusedError(f"the server redirects to {response.url}, which is not encrypted")
            announced = int(response.headers.get("Content-Length") or 0)
            if announced > limit:
                raise _RefusedError(f"it has {announced} bytes or more instead of {_limit_text(file)}")
            bar = self._tqdm(
                total=announced or file.size, desc=file.file_name, unit="B", unit_scale=True, disable=not self._progress
            )
            with bar, _writing(part) as output:
                # read1 returns what has come so far: otherwise a very slow server would delay the checks.
                while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
                    written += len(chunk)
                    seconds = time.monotonic() - start
                    if written > limit:
                        raise _RefusedError(f"it has {written} bytes or more instead of {_limit_text(file)}")
                    if seconds > SLOW_SECONDS and written < MIN_BYTES_PER_SECOND * seconds:
                        raise _RefusedError(f"it came too slowly: {written} bytes in {seconds:.0f} seconds")
                    output(chunk)
                    bar.update(len(chunk))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Callable[[bytes], object]]:
    """Yield a function that appends to a new file; failures to write raise DownloadError."""
    with contextlib.ExitStack() as stack:

        def attempt(call: Callable[[], Any]) -> Any:
            try:
                return call()
            except OSError as error:
                raise DownloadError(f"{path} cannot be written: {error.strerror or error}") from error

        file = stack.enter_context(attempt(lambda: _open(path)))
        yield lambda chunk: attempt(lambda: file.write(chunk))
        attempt(file.flush)


def _open(path: Path) -> BinaryIO:
    return path.open("wb")


def _limit_text(file: PublishedFile) -> str:
    return f"{MAX_BYTES}, the limit for files of unknown size" if file.size is None else str(file.size)


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make a folder, and remove it if nothing was downloaded."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # stops at the first that is not empty
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
        raise InputError(f"the mirror {mirror!r} is not a web address; give one such as https://example.org/elmo")
    return mirror.rstrip("/")


def _import_extra(model: PublishedModel, files: list[PublishedFile], folder: Path) -> tuple[Any, Any, Any]:
    try:
        import requests  # noqa: PLC0415 - an optional dependency
        from tqdm import tqdm  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            'downloading needs the extra "download": pip install "numpy_elmo[download]"\n'
            f"Or without it, {instructions(model, tuple(files), folder)}"
        ) from error
    return requests, HTTPError, tqdm


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
    if isinstance(error, _RefusedError):
        return str(error)
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else f"{text[:297]}..."
    return f"{type(error).__name__}: {text}"
