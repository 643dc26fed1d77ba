"""Downloads, from a real HTTP server on this machine that has every fault a server can have."""

from __future__ import annotations

import errno
import gzip
import hashlib
import importlib
import io
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, BinaryIO, cast

import h5py
import numpy as np
import pytest
import requests

from numpy_elmo import download, load
from numpy_elmo.errors import DownloadError, InputError, MissingExtraError, ModelNotFoundError
from numpy_elmo.files import published
from numpy_elmo.files.published import PublishedFile, PublishedModel
from numpy_elmo.files.writing import lock
from tests.conftest import write_model
from tests.files.server import OPTIONS, SHA256, WEIGHTS, Answer, Server, good, status
from tests.fixtures.recipes import SMALL

pytestmark = pytest.mark.usefixtures("cache")

# `numpy_elmo.download` is the function; this is the module.
module = importlib.import_module("numpy_elmo.files.download")

MD5 = hashlib.md5(WEIGHTS).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Not here any more</body></html>"


def without_length(body: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def packed(body: bytes) -> Answer:
    """Send a body in gzip, though asked not to."""
    body = gzip.compress(body)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirect(address: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def hang_up_in_a_chunk(handler: BaseHTTPRequestHandler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"1000\r\n" + WEIGHTS[:100])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def hang(released: threading.Event, body: bytes = b"") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10000000")
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()
        released.wait(20)

    return answer


def hdf5_bytes(*, empty: bool = False) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        if not empty:
            file["char_embed"] = np.zeros((261, 4), np.float32)
    return buffer.getvalue()


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


# -- what goes right -------------------------------------------------------------------------------------------------


def test_a_good_file_is_fetched_once_and_then_found(
    publish: Callable[..., PublishedModel], server: Server, cache: Path
) -> None:
    publish(good(WEIGHTS))
    with pytest.raises(ModelNotFoundError, match="numpy-elmo download made"):
        published.find("made")
    assert download("made") == cache / "made"
    assert (cache / "made" / "weights.hdf5").read_bytes() == WEIGHTS
    assert (cache / "made" / "options.json").read_bytes() == OPTIONS
    assert files_in(cache) == {"options.json", "weights.hdf5"}
    assert published.find("made") == cache / "made"
    assert server.requests == ["/options.json", "/0/weights.hdf5"]

    assert download("made") == cache / "made"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "facts",
    [
        {"sha256": SHA256},
        {"md5": MD5},
        {"sha256": SHA256, "md5": MD5, "size": len(WEIGHTS)},
    ],
)
def test_what_is_on_record_is_enough_to_accept(publish: Callable[..., PublishedModel], facts: dict[str, Any]) -> None:
    publish(good(WEIGHTS), **facts)
    assert (download("made") / "weights.hdf5").read_bytes() == WEIGHTS


def test_a_downloaded_model_loads_by_its_name(publish: Callable[..., PublishedModel], tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", SMALL["base"])
    model = publish(good((folder / "weights.hdf5").read_bytes()), size=None)
    assert download("made").is_dir()
    (download("made") / model.files[0].file_name).write_bytes((folder / "options.json").read_bytes())
    np.testing.assert_array_equal(load("made").embed([["a"]])[0], load(folder).embed([["a"]])[0])


def test_dest_gets_the_files_and_the_cache_none(
    publish: Callable[..., PublishedModel], tmp_path: Path, cache: Path
) -> None:
    publish(good(WEIGHTS))
    assert download("made", tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert files_in(tmp_path / "a" / "b") == {"options.json", "weights.hdf5"}
    assert not cache.exists()


def test_only_what_is_missing_is_fetched(
    publish: Callable[..., PublishedModel], server: Server, tmp_path: Path
) -> None:
    publish(good(WEIGHTS))
    (tmp_path / "weights.hdf5").write_bytes(WEIGHTS)
    download("made", tmp_path)
    assert server.requests == ["/options.json"]


def test_a_damaged_file_is_fetched_again(publish: Callable[..., PublishedModel], server: Server) -> None:
    publish(good(WEIGHTS))
    path = download("made") / "weights.hdf5"
    path.write_bytes(WEIGHTS[:-1] + b"?")
    download("made")
    assert path.read_bytes() == WEIGHTS
    assert server.requests.count("/0/weights.hdf5") == 2


def test_a_redirection_is_followed(publish: Callable[..., PublishedModel], server: Server) -> None:
    publish(redirect(server.address("there", good(WEIGHTS))))
    assert (download("made") / "weights.hdf5").read_bytes() == WEIGHTS


def test_an_archive_is_kept_as_it_is(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("options.json", OPTIONS)
    file = PublishedFile("archive", "1.zip", (server.address("1.zip", good(buffer.getvalue())),))
    model = replace(published.lookup("nlpl-1"), files=(file,))
    monkeypatch.setattr(published, "table", lambda: {"nlpl-1": model})
    assert download("nlpl-1") == cache / "nlpl-1" / "1.zip" == published.find("nlpl-1")
    assert (cache / "nlpl-1" / "1.zip").read_bytes() == buffer.getvalue()


def test_the_softmax_comes_on_request(
    publish: Callable[..., PublishedModel], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = publish(good(WEIGHTS))
    with pytest.raises(InputError, match="no softmax of 'made' is on record"):
        download("made", softmax=True)
    more = (
        PublishedFile("softmax", "softmax_weights.hdf5", (server.address("s", good(hdf5_bytes())),)),
        PublishedFile("vocabulary", "vocab.txt", (server.address("v", good(b"<S>\n</S>\n<UNK>\nthe\n")),)),
    )
    monkeypatch.setattr(published, "table", lambda: {"made": replace(model, files=model.files + more)})
    assert files_in(download("made")) == {"options.json", "weights.hdf5"}
    assert files_in(download("made", softmax=True)) == {
        *("options.json", "weights.hdf5", "softmax_weights.hdf5", "vocab.txt")
    }


def test_the_embedded_model_is_not_downloaded(tmp_path: Path) -> None:
    assert download("tiny") == published.find("tiny")
    with pytest.raises(InputError, match="comes with numpy_elmo"):
        download("tiny", tmp_path)


def test_an_unknown_name_is_said_to_be_one() -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean original"):
        download("orignal")


# -- mirrors ---------------------------------------------------------------------------------------------------------


def test_the_next_address_is_tried_after_one_that_fails(
    publish: Callable[..., PublishedModel], server: Server, cache: Path
) -> None:
    publish(status(403), good(PAGE), hang_up, good(WEIGHTS), good(WEIGHTS))
    assert (download("made") / "weights.hdf5").read_bytes() == WEIGHTS
    assert server.requests[1:] == [f"/{i}/weights.hdf5" for i in range(4)]
    assert files_in(cache) == {"options.json", "weights.hdf5"}


@pytest.mark.parametrize("way", ["argument", "variable", "both"])
def test_a_mirror_is_tried_first(
    way: str, publish: Callable[..., PublishedModel], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(good(WEIGHTS))
    server.address("mirror/made/weights.hdf5", good(WEIGHTS))
    mirror = f"{server.base}/mirror/"
    if way != "argument":
        monkeypatch.setenv("NUMPY_ELMO_MIRROR", mirror if way == "variable" else f"{server.base}/other")
    download("made", mirror=None if way == "variable" else mirror)
    # The mirror has no options, so those come from where they are published.
    assert server.requests == ["/mirror/made/options.json", "/options.json", "/mirror/made/weights.hdf5"]


def test_a_mirror_is_not_trusted(publish: Callable[..., PublishedModel], server: Server) -> None:
    publish(good(WEIGHTS))
    server.address("mirror/made/weights.hdf5", good(WEIGHTS[::-1]))
    assert (download("made", mirror=f"{server.base}/mirror") / "weights.hdf5").read_bytes() == WEIGHTS


@pytest.mark.parametrize("mirror", ["elmo", "ftp://example.org", "file:///models", "https://"])
def test_a_mirror_that_is_no_web_address_is_refused(mirror: str, publish: Callable[..., PublishedModel]) -> None:
    publish(good(WEIGHTS))
    with pytest.raises(InputError, match="web address"):
        download("made", mirror=mirror)


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "facts", "message"),
    [
        (good(WEIGHTS[::-1]), {"sha256": SHA256}, f"instead of {SHA256}"),
        (good(WEIGHTS[::-1]), {"md5": MD5}, f"instead of {MD5}"),
        (good(WEIGHTS[::-1]), {"md5": MD5, "sha256": hashlib.sha256(WEIGHTS[::-1]).hexdigest()}, f"instead of {MD5}"),
        (good(WEIGHTS[:-1]), {"size": len(WEIGHTS)}, "10239 bytes instead of 10240"),
        (good(WEIGHTS + b"!"), {"size": len(WEIGHTS)}, "10241 bytes or more instead of 10240"),
        (without_length(WEIGHTS + b"!"), {"size": len(WEIGHTS)}, "10241 bytes or more instead of 10240"),
        (good(WEIGHTS, len(WEIGHTS) + 99), {"sha256": SHA256}, "99 more expected"),
        (good(hdf5_bytes()[:-99], len(hdf5_bytes())), {"size": None}, "99 more expected"),
        (without_length(hdf5_bytes()[:-99]), {"size": None}, "something else, not a whole HDF5 file"),
        (good(hdf5_bytes(empty=True)), {"size": None}, "not a whole HDF5 file"),
        (good(b""), {"size": None}, "not a whole HDF5 file"),
        (good(PAGE), {"size": None}, "a web page, not a whole HDF5 file"),
        (good(b"\x89HDF\r\n\x1a\n and no more"), {"size": None}, "not a whole HDF5 file"),
        (status(403), {}, "the server answered 403 Forbidden"),
        (status(404), {}, "the server answered 404 Not Found"),
        (status(503), {}, "the server answered 503"),
        (hang_up, {}, "Connection"),
        (hang_up_in_a_chunk, {}, "IncompleteRead"),
    ],
)
def test_a_bad_answer_is_refused_and_leaves_nothing(
    answer: Answer, facts: dict[str, Any], message: str, publish: Callable[..., PublishedModel], cache: Path
) -> None:
    model = publish(answer, **facts)
    with pytest.raises(DownloadError, match=message) as caught:
        download("made")
    text = str(caught.value)
    assert model.files[1].addresses[0] in text
    assert str(cache / "made" / "weights.hdf5") in text
    assert "NUMPY_ELMO_MIRROR" in text
    assert files_in(cache) == {"options.json"}, "the options were good"
    with pytest.raises(ModelNotFoundError, match="numpy-elmo download made"):
        published.find("made")


@pytest.mark.parametrize(
    ("role", "body", "message"),
    [
        ("options", PAGE, "a web page, not the JSON"),
        ("options", b"[1]", "something else, not the JSON"),
        ("options", b'{"error": "gone"}', "not the JSON of a model's options"),
        ("options", b"\xff\xfe", "not the JSON"),
        ("archive", PAGE, "a web page, not a whole zip"),
        ("archive", b"PK\x03\x04 and no more", "not a whole zip"),
        ("archive", gzip.compress(b"cut off", mtime=0)[:-4], "not a whole zip or tar.gz"),
        ("vocabulary", PAGE, "a web page, not a vocabulary"),
        ("vocabulary", b"<?xml version='1.0'?><Error/>", "a web page, not a vocabulary"),
        ("vocabulary", b"", "it is empty"),
        ("softmax", PAGE, "a web page, not a whole HDF5 file"),
    ],
)
def test_a_page_is_not_taken_for_a_file_without_checksum(
    role: Any, body: bytes, message: str, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = PublishedFile(role, "file", (server.address("file", good(body)),))
    softmax = PublishedFile("softmax", "other", (server.address("other", good(hdf5_bytes())),))
    files = (file,) if role == "softmax" else (file, softmax)
    model = PublishedModel("made", "made up", files)
    monkeypatch.setattr(published, "table", lambda: {"made": model})
    with pytest.raises(DownloadError, match=message):
        download("made", softmax=True)
    assert not cache.exists(), "no folder is left where nothing came"


def test_a_compressed_answer_is_the_file_that_it_unpacks_to(publish: Callable[..., PublishedModel]) -> None:
    publish(packed(WEIGHTS))
    assert (download("made") / "weights.hdf5").read_bytes() == WEIGHTS


@pytest.mark.parametrize("answer", [good(WEIGHTS), without_length(WEIGHTS), packed(bytes(5_000_000))])
def test_a_file_of_unknown_size_has_a_limit(
    answer: Answer, publish: Callable[..., PublishedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    publish(answer, size=None)
    with pytest.raises(DownloadError, match="or more instead of 10000, the limit for files of unknown size"):
        download("made")


def test_a_server_that_sends_a_byte_at_a_time_is_given_up(
    publish: Callable[..., PublishedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.5)
    released = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(WEIGHTS)))
        handler.end_headers()
        for byte in WEIGHTS:
            handler.wfile.write(bytes([byte]))
            if released.wait(0.05):
                return

    publish(answer)
    try:
        with pytest.raises(DownloadError, match=r"it came too slowly: \d+ bytes in"):
            download("made")
    finally:
        released.set()


def test_a_redirection_from_https_to_http_is_refused(
    publish: Callable[..., PublishedModel], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = publish(good(WEIGHTS))
    [plain] = model.files[1].addresses
    secure = plain.replace("http:", "https:")
    files = (model.files[0], replace(model.files[1], addresses=(secure,)))
    monkeypatch.setattr(published, "table", lambda: {"made": replace(model, files=files)})
    get = requests.get
    monkeypatch.setattr(requests, "get", lambda url, **how: get(url.replace("https:", "http:"), **how))
    with pytest.raises(DownloadError, match=r"redirects to http://.*, which is not encrypted"):
        download("made")


def test_every_address_is_listed_with_what_happened(publish: Callable[..., PublishedModel]) -> None:
    model = publish(status(403), status(404), good(PAGE))
    with pytest.raises(DownloadError) as caught:
        download("made")
    lines = [line.strip() for line in str(caught.value).splitlines()]
    happened = ["the server answered 403 Forbidden", "the server answered 404 Not Found", "it has 58 bytes instead of"]
    for address, what in zip(model.files[1].addresses, happened, strict=True):
        assert lines[lines.index(address) + 1].startswith(what)


def test_nobody_listens_at_the_address(publish: Callable[..., PublishedModel], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.hdf5"
    model = publish(good(WEIGHTS))
    files = (model.files[0], replace(model.files[1], addresses=(dead,)))
    monkeypatch.setattr(published, "table", lambda: {"made": replace(model, files=files)})
    with pytest.raises(DownloadError, match="ConnectionError"):
        download("made")


def test_a_server_that_falls_silent_is_given_up(
    publish: Callable[..., PublishedModel], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(0 < seconds < 300 for seconds in module.TIMEOUT)
    monkeypatch.setattr(module, "TIMEOUT", (1.0, 0.2))
    released = threading.Event()
    publish(hang(released, WEIGHTS[:100]), sha256=SHA256)
    try:
        started = time.monotonic()
        with pytest.raises(DownloadError, match="timed out"):
            download("made")
        assert time.monotonic() - started < 10
    finally:
        released.set()
    assert files_in(cache) == {"options.json"}


def test_a_damaged_file_stays_until_there_is_a_better_one(publish: Callable[..., PublishedModel], cache: Path) -> None:
    publish(status(404))
    (cache / "made").mkdir(parents=True)
    (cache / "made" / "weights.hdf5").write_bytes(b"damaged")
    with pytest.raises(DownloadError):
        download("made")
    assert (cache / "made" / "weights.hdf5").read_bytes() == b"damaged"


def test_an_interrupted_download_leaves_nothing(server: Server, cache: Path) -> None:
    released = threading.Event()
    address = server.address("weights.hdf5", hang(released, WEIGHTS))
    script = (
        "import signal\n"
        # A process that was started in the background inherits that this signal is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from numpy_elmo import download\n"
        "from numpy_elmo.files import published\n"
        "from numpy_elmo.files.published import PublishedFile, PublishedModel\n"
        f"file = PublishedFile('weights', 'weights.hdf5', ({address!r},))\n"
        "model = PublishedModel('made', '', (file,))\n"
        "published.table = lambda: {'made': model}\n"
        "download('made')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not list(cache.rglob("*.part")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert not (cache / "made" / "weights.hdf5").exists()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        released.set()
        process.kill()
        process.wait()
    assert b"KeyboardInterrupt" in errors
    assert not cache.exists()


def test_what_a_killed_download_left_goes_with_the_next(publish: Callable[..., PublishedModel], cache: Path) -> None:
    publish(good(WEIGHTS))
    (cache / "made").mkdir(parents=True)
    dead, alive = (cache / "made" / f".weights.hdf5.{k}{'0' * 7}.part" for k in range(2))
    for path in (dead, alive):
        path.write_bytes(WEIGHTS[:10])
    with alive.open("r+b") as running:
        assert lock(running.fileno())
        download("made")
        assert not dead.exists()
        assert alive.exists(), "it belongs to a download that is still running"


def test_a_full_disk_is_not_blamed_on_the_addresses(
    publish: Callable[..., PublishedModel], server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk(io.BytesIO):
        def write(self, chunk: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    publish(good(WEIGHTS), good(WEIGHTS))
    (cache / "made").mkdir(parents=True)
    (cache / "made" / "options.json").write_bytes(OPTIONS)
    monkeypatch.setattr(module, "_open", lambda path: cast("BinaryIO", FullDisk()))
    with pytest.raises(DownloadError, match="cannot be written: No space left on device"):
        download("made")
    assert server.requests == ["/0/weights.hdf5"], "the second address would not help"
    assert files_in(cache) == {"options.json"}


def test_a_folder_that_cannot_be_made_is_said_to_be_one(publish: Callable[..., PublishedModel], tmp_path: Path) -> None:
    publish(good(WEIGHTS))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match=r"the folder .* cannot be made"):
        download("made", tmp_path / "file" / "model")


# -- the extra -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["requests", "tqdm"])
def test_without_the_extra_the_addresses_and_places_are_said(
    package: str, publish: Callable[..., PublishedModel], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = publish(good(WEIGHTS), good(WEIGHTS))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        download("made")
    text = str(caught.value)
    assert 'pip install "numpy_elmo[download]"' in text
    for file in model.files:
        assert f"-> {cache / 'made' / file.file_name}" in text
        for address in file.addresses:
            assert address in text
    assert SHA256 in text
    assert not cache.exists()


def test_files_put_there_by_hand_need_no_extra(
    publish: Callable[..., PublishedModel], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(good(WEIGHTS))
    monkeypatch.setitem(sys.modules, "requests", None)
    (cache / "made").mkdir(parents=True)
    (cache / "made" / "options.json").write_bytes(OPTIONS)
    (cache / "made" / "weights.hdf5").write_bytes(WEIGHTS)
    assert download("made") == cache / "made"


def test_import_and_load_need_no_extra_and_open_no_connection() -> None:
    script = (
        "import socket, sys\n"
        "def refuse(*arguments): raise AssertionError('a connection')\n"
        "socket.socket.connect = refuse\n"
        "import numpy_elmo\n"
        "try:\n"
        "    numpy_elmo.load('original')\n"
        "except numpy_elmo.errors.ModelNotFoundError as error:\n"
        "    print(error)\n"
        "print(sorted({'tqdm', 'requests'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "numpy-elmo download original" in result.stdout
    assert result.stdout.endswith("[]\n")


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_progress_bar_ends_at_the_size_of_the_file(
    publish: Callable[..., PublishedModel], capsys: pytest.CaptureFixture[str]
) -> None:
    publish(good(WEIGHTS))
    download("made", progress=True)
    err = capsys.readouterr().err
    assert "weights.hdf5: 100%" in err
    assert "10.2k/10.2k" in err
