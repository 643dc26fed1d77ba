"""A server on this machine, and a model in the table that is downloaded from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from numpy_elmo.files import published
from numpy_elmo.files.published import PublishedFile, PublishedModel

OPTIONS = json.dumps({"lstm": {}, "char_cnn": {}}).encode()
WEIGHTS = bytes(range(256)) * 40
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    base: str
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def address(self, path: str, answer: Answer) -> str:
        self.answers["/" + path] = answer
        return f"{self.base}/{path}"


def good(body: bytes, length: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def status(code: int) -> Answer:
    return lambda handler: handler.send_error(code)


@pytest.fixture
def server(cache: Path) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.requests.append(self.path)
            answer = made.answers.get(self.path, status(404))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client may have seen enough
                answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Server(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield made
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMPY_ELMO_MIRROR", raising=False)
    # A proxy would not reach this machine's loopback.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def publish(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PublishedModel]:
    """Put a model "made" into the table; its weights are what the given addresses answer."""

    def make(*answers: Answer, **facts: Any) -> PublishedModel:
        addresses = tuple(server.address(f"{i}/weights.hdf5", answer) for i, answer in enumerate(answers))
        files = (
            PublishedFile("options", "options.json", (server.address("options.json", good(OPTIONS)),)),
            PublishedFile("weights", "weights.hdf5", addresses, **(facts or {"sha256": SHA256, "size": len(WEIGHTS)})),
        )
        model = PublishedModel("made", "made up", files)
        monkeypatch.setattr(published, "table", lambda: {"made": model})
        return model

    return make
