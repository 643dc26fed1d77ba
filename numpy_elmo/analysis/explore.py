"""The explorer: a local page that shows what a model sees in a sentence, and the same page as one file.

`Explorer` answers the page's questions with values for JSON.  `Server` passes the questions on, on this machine only.
`Explorer.page` makes the page; with a view, its answers are inside, and it needs no server.

The page is ``explore.html``: one file, which loads nothing.  A page of another site must not read what a user explores,
so the server takes a question only from a local address, from the page's own origin, and with the random key that the
page's address holds.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import io
import json
import os
import re
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_elmo.analysis import views
from numpy_elmo.analysis.neighbors import NeighborIndex, build_index
from numpy_elmo.corpus.resume import TextDigest, model_digest
from numpy_elmo.corpus.tokenize import tokenize
from numpy_elmo.elmo import CorpusReport, Elmo
from numpy_elmo.errors import ElmoError, InputError, InputTypeError
from numpy_elmo.files.published import cache_folder, data_folder
from numpy_elmo.files.writing import output_errors
from numpy_elmo.language_model import LanguageModel, WordScore
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.checks import check_count, check_tokens, each_sentence

__all__ = ["Explorer", "Server", "corpus_index", "example_sentences", "start"]

Json: TypeAlias = Any
Place: TypeAlias = tuple[int, int]

# Of one sentence, of a map, of a body, and of what is listed.
MAX_TOKENS, MAX_POINTS, MAX_BODY = 60, 20_000, 20_000
N_UNITS, N_WORDS, N_NEIGHBORS, CONTEXT_WIDTH = 32, 10, 8, 76
# Clusters are looked for among so many principal components.
CLUSTERS, N_COMPONENTS = range(2, 7), 16

# Connections at a time, and seconds to send a request or to take an answer.
MAX_CONNECTIONS, PATIENCE = 32, 10.0
# Ports that are tried.
PORTS = 20

PAGE = Path(__file__).with_suffix(".html")
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def example_sentences() -> list[list[str]]:
    """Return the corpus that comes with the package: 20 words with two senses each, in 16 sentences each."""
    senses = json.loads((data_folder() / "senses.json").read_text(encoding="utf-8"))
    return [text.split() for by_sense in senses.values() for texts in by_sense.values() for text in texts]


def corpus_index(
    elmo: Elmo,
    sentences: Iterable[Iterable[str]],
    *,
    progress: Callable[[CorpusReport, CorpusReport], object] = lambda *_: None,
) -> NeighborIndex:
    """Return the index of a corpus at every layer, built once and kept in the folder of downloaded models.

    Parameters
    ----------
    elmo : Elmo
        The model.
    sentences : iterable of token lists
        The corpus.  It is read twice, so a generator will not do.
    progress : callable, optional
        Called from time to time with the number of sentences done and the number of all.

    Returns
    -------
    NeighborIndex

    Raises
    ------
    InputTypeError, InputError, OutputError
        As for `numpy_elmo.analysis.neighbors.build_index`.
    """
    if iter(sentences) is sentences:
        raise InputTypeError("the corpus is read twice, and a generator can be read once; give a list")
    text, total = TextDigest(), CorpusReport()
    for tokens in each_sentence(sentences):
        text.add(tokens)
        total.n_sentences += 1
        total.n_tokens += len(tokens)
    digest = model_digest(elmo)
    path = cache_folder() / "explorer" / f"{hashlib.sha256(f'{digest} {text}'.encode()).hexdigest()[:32]}.hdf5"
    if path.exists():
        with suppress(InputError):  # damaged, or of an older version: it is built again
            return NeighborIndex(path)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    progress(CorpusReport(), total)
    build_index(
        path,
        elmo,
        sentences,
        layer="all",
        model_digest=digest,
        overwrite=True,
        progress=lambda report: progress(report, total),
    )
    return NeighborIndex(path)


def start(sentence: str | Sequence[str], other: str | Sequence[str] = (), word: str = "") -> Json:
    """Return what the page shows first.

    Parameters
    ----------
    sentence : str or sequence of str
        English text, which the page splits into tokens, or tokens.
    other : str or sequence of str
        A sentence to compare it with, if any.
    word : str
        The token that is selected; by default the first one.

    Returns
    -------
    dict
        A state of the page.

    Raises
    ------
    InputError
        If a sentence has too many tokens or none, or the word is not in the first one.
    """
    state: dict[str, Json] = {"a": None, "b": None}
    for side, given in (("a", sentence), ("b", other)):
        if side == "b" and not given:
            continue
        split = isinstance(given, str)
        text = given if isinstance(given, str) else " ".join(check_tokens(given))
        tokens = _tokens(text, split)
        if side == "a" and word and word not in tokens:
            raise InputError(f"{word!r} is no token of the sentence {' '.join(tokens)!r}; give one of its tokens")
        state[side] = {"text": text, "split": split, "at": tokens.index(word) if word in tokens else 0}
    return state


class Explorer:
    """The answers to the page's questions about a model and a corpus.

    Every method but `page` answers a question, and returns what JSON can hold.  Arrays are strings: the base64 of
    16-bit integers, hundredths of the values, in C order.  The arguments have the same meaning everywhere: ``tokens``
    are a sentence of 1 to 60 tokens, ``position`` is the place of one of them, ``word`` is a token as the corpus spells
    it, and ``layer`` counts as in `Elmo.embed`, from 0.  InputError and InputTypeError name an argument that cannot be
    used, or what is missing: a word that is too rare, a softmax, or an index that is not complete yet.

    Parameters
    ----------
    elmo : Elmo
        The model.
    name : str
        Its name on the page.
    language_model : LanguageModel, optional
        The same model with its softmax, for the words that it expects.
    no_words : str
        Reason why there is none, shown on the page.
    corpus : str
        Name of the corpus on the page.
    view : dict, optional
        What the page shows first, from `start`.
    """

    def __init__(
        self,
        elmo: Elmo,
        *,
        name: str = "",
        language_model: LanguageModel | None = None,
        no_words: str = "this model was loaded without its softmax",
        corpus: str = "",
        view: Json = None,
    ) -> None:
        self.elmo = elmo
        self._name, self._corpus_name = name, corpus
        self._language_model, self._no_words = language_model, no_words
        self.view = view
        self.index: NeighborIndex | None = None  # as soon as there is one
        self.waiting_for = "there is no corpus"  # why there is none yet
        self._embedded = lru_cache(16)(self._embed)
        self._found = lru_cache(16)(self._find)
        self._mapped = lru_cache(16)(self._map)
        self._questions = {
            method.__name__: method
            for method in (
                self.about,
                self.sentence,
                self.compare,
                self.words,
                self.contexts,
                self.map,
                self.here,
                self.nearest,
                self.save,
            )
        }

    def answer(self, question: object) -> Json:
        """Answer a question of the page: a list of a method's name and its arguments.

        Raises
        ------
        ElmoError
            If there is no such question, or its arguments cannot be used.
        """
        if not (isinstance(question, list) and question and isinstance(question[0], str)):
            raise InputError("a question is a list of its name and its arguments")
        name, *arguments = question
        if name not in self._questions:
            raise InputError(f"there is no question {name!r}; ask one of {', '.join(self._questions)}")
        method = self._questions[name]
        try:
            inspect.signature(method).bind(*arguments)
        except TypeError as error:
            raise InputError(f"{name}: {error}") from error
        return method(*arguments)

    def about(self) -> Json:
        """Return what is explored: the model, the corpus, and what cannot be shown and why."""
        index = self.index
        corpus = {
            "name": self._corpus_name,
            "waiting": self.waiting_for if index is None else "",
            "sentences": 0 if index is None else index.n_sentences,
            "tokens": 0 if index is None else len(index),
        }
        no_words = "" if self._language_model else self._no_words
        sizes = {"layers": self.elmo.n_layers, "features": self.elmo.vector_size}
        return {"model": self._name, **sizes, "noWords": no_words, "corpus": corpus, "view": self.view}

    def sentence(self, text: str, split: bool) -> Json:
        """Return the tokens of a text, their cosines in every layer and the gates of every LSTM layer.

        ``cosines`` has the shape (layers + 1, tokens, tokens).  ``gates`` has, for ``forward`` and ``backward``, an
        entry per LSTM layer: ``units``, and ``values`` of the shape (4, tokens + 2, units).
        """
        tokens = _tokens(text, split)
        trace = self.elmo.trace(tokens)
        return {
            "tokens": tokens,
            "cosines": _packed(views.similarities(self._embedded(tuple(tokens)))),
            "gates": {
                direction: [
                    {"units": found.units.tolist(), "values": _packed(np.stack(list(found.values.values())))}
                    for layer in range(1, self.elmo.n_layers + 1)
                    for found in [views.gate_values(trace, direction=direction, layer=layer, n_units=N_UNITS)]
                ]
                for direction in views.DIRECTIONS
            },
        }

    def compare(self, tokens: Sequence[str], others: Sequence[str]) -> Json:
        """Return the cosines of the tokens of two sentences, of the shape (layers + 1, tokens, others)."""
        both = (self._embedded(tuple(_checked(sentence))) for sentence in (tokens, others))
        return {"cosines": _packed(views.similarities(*both))}

    def words(self, tokens: Sequence[str], position: int) -> Json:
        """Return the words that are expected before a token, in its place and after it, with their probabilities."""
        if self._language_model is None:
            raise InputError(self._no_words)
        sentence = _checked(tokens)
        found = views.expected(self._language_model, sentence, _at(sentence, position), N_WORDS)
        return {name: _probabilities(words) for name, words in found._asdict().items()}

    def contexts(self, word: str) -> Json:
        """Return how often a word occurs in the corpus, and what is before and after it; of many occurrences a part."""
        n, places = self._found(_word(word))
        sentences = self._index().sentences([number for number, _ in places])
        pairs = zip(sentences, places, strict=True)
        return {"found": n, "contexts": [views.context(tokens, at, CONTEXT_WIDTH) for tokens, (_, at) in pairs]}

    def map(self, word: str, layer: int) -> Json:
        """Return the occurrences of `contexts` in two dimensions.

        ``points`` has the shape (occurrences, 2), scaled so that the largest coordinate is 100.  ``clusters`` has for
        2, 3, ... clusters a string with the cluster of each occurrence.
        """
        _, scale, points, clusters, shares = self._mapped(_word(word), self._layer(layer))
        return {"points": _packed(100 * points / scale), "clusters": clusters, "shares": [round(s, 4) for s in shares]}

    def here(self, word: str, layer: int, tokens: Sequence[str], position: int) -> Json:
        """Return where a token of a sentence is on the map of a word."""
        sentence, layer = _checked(tokens), self._layer(layer)
        plane, scale, *_ = self._mapped(_word(word), layer)
        point = plane.project(self._embedded(tuple(sentence))[layer, _at(sentence, position)])
        return {"point": [round(float(value), 2) for value in 100 * point[:2] / scale]}

    def nearest(self, tokens: Sequence[str], position: int, layer: int) -> Json:
        """Return the occurrences in other sentences of the corpus that are nearest to a token, by cosine."""
        sentence, layer = _checked(tokens), self._layer(layer)
        query = self._embedded(tuple(sentence))[layer, _at(sentence, position)]
        answers: dict[tuple[str, ...], Json] = {}  # the same sentence may be in a corpus many times
        for neighbor in self._index().search(query, 4 * N_NEIGHBORS, layer=layer):
            if neighbor.tokens == sentence or len(answers) == N_NEIGHBORS:
                continue
            begin = max(0, min(neighbor.position - MAX_TOKENS // 2, len(neighbor.tokens) - MAX_TOKENS))
            shown, at = neighbor.tokens[begin : begin + MAX_TOKENS], neighbor.position - begin
            answers.setdefault((*shown, str(at)), {"cosine": round(neighbor.similarity, 4), "tokens": shown, "at": at})
        return {"nearest": list(answers.values())}

    def save(self, state: Json) -> Json:
        """Return the page with a view of it inside, as HTML; `state` is what the page shows."""
        return {"html": self.page(state)}

    def page(self, state: Json = None) -> str:
        """Return the page as HTML: one that asks, or, with a state, one that has its answers inside."""
        before, after = _template()
        saved = None if state is None else {"state": state, "answers": list(self._saved(state))}
        # Inside a script element, "<" could end it.
        return before + json.dumps(saved, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c") + after

    def _saved(self, state: Json) -> Iterable[tuple[Json, Json]]:
        """Yield the questions that a saved page asks, and their answers."""

        def asked(*question: Json) -> tuple[Json, Json]:
            try:
                return question, self.answer(list(question))
            except ElmoError as error:
                return question, {"error": str(error)}

        yield asked("about")
        sides = []
        for side in ("a", "b"):
            given = state.get(side) if isinstance(state, dict) else None
            if isinstance(given, dict):
                question, found = asked("sentence", given.get("text"), given.get("split"))
                yield question, found
                if "tokens" in found:
                    sides.append((found["tokens"], given.get("at")))
        if not sides:
            return
        layers = range(self.elmo.n_layers + 1)
        (tokens, at), word = sides[0], ""
        if isinstance(at, int) and 0 <= at < len(tokens):
            word = tokens[at]
            yield asked("contexts", word)
            yield from (asked("map", word, layer) for layer in layers)
        if len(sides) == 2:
            yield asked("compare", tokens, sides[1][0])
        for tokens, _ in sides:
            for position in range(len(tokens)):
                yield asked("words", tokens, position)
                for layer in layers:
                    yield asked("nearest", tokens, position, layer)
                    yield asked("here", word, layer, tokens, position)

    def _embed(self, tokens: tuple[str, ...]) -> Array:
        return self.elmo.embed([tokens])[0]  # [L + 1, N, 2 P]

    def _index(self) -> NeighborIndex:
        if self.index is None:
            raise InputError(self.waiting_for)
        return self.index

    def _find(self, word: str) -> tuple[int, list[Place]]:
        """Return how often a word occurs, and where: of more than `MAX_POINTS` occurrences an even sample."""
        places = self._index().occurrences(word)
        return len(places), [places[k] for k in views.even_places(len(places), MAX_POINTS)]

    def _map(self, word: str, layer: int) -> tuple[views.Plane, float, views.Points, dict[int, str], list[float]]:
        """Return the plane of a word's occurrences, its scale, the points in it, their clusters, and the shares."""
        n, places = self._found(word)
        if n < 3:
            raise InputError(
                f"“{word}” occurs {n} time{'' if n == 1 else 's'} in the corpus; a map needs 3 occurrences"
            )
        vectors = self._index().vectors(places, layer=layer)
        plane = views.principal_plane(vectors, N_COMPONENTS)
        components = plane.project(vectors)
        clusters = {k: "".join(map(str, views.clusters(components, k))) for k in CLUSTERS if k <= len(places)}
        points = components[:, :2]
        return plane, float(np.abs(points).max()), points, clusters, plane.shares[:2].tolist()

    def _layer(self, layer: int) -> int:
        if check_count("layer", layer, 0) > self.elmo.n_layers:
            raise InputError(f"the model has the layers 0 to {self.elmo.n_layers}, there is no layer {layer}")
        return layer


class Server(ThreadingHTTPServer):
    """Serves the page of an explorer on 127.0.0.1, at the first free port of twenty.

    Attributes
    ----------
    url : str
        The address of the page, with the key.

    Parameters
    ----------
    explorer : Explorer
        What it serves.
    port : int
        The first port to try; 0 for any free port.

    Raises
    ------
    InputError
        If there is no such port, or none of twenty is free.
    """

    # Windows would let two programs have the same port.
    allow_reuse_address = os.name == "posix"
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, explorer: Explorer, port: int = 8765) -> None:
        self.explorer, self.key = explorer, secrets.token_urlsafe(24)
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        check_count("port", port, 0)
        for number in range(port, port + PORTS):
            try:
                super().__init__(("127.0.0.1", number), _Handler)
            except OverflowError as error:
                raise InputError(f"there is no port {number}; give one up to 65535") from error
            except OSError as error:
                trouble = error
            else:
                break
        else:
            raise InputError(f"none of the ports {port} to {number} can be used: {trouble.strerror}; give another one")
        self.url = f"http://127.0.0.1:{self.server_port}/{self.key}"

    def server_bind(self) -> None:
        """Bind without looking up the machine's name, which may ask the network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if not too many are busy."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for the next connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that closed the connection: the page shows what is missing."""


class _Handler(BaseHTTPRequestHandler):
    """A connection with one request."""

    server: Server
    server_version, sys_version = "numpy_elmo", ""

    def setup(self) -> None:
        super().setup()
        # A limit for the whole request: a client that sends a byte now and then would never reach one for each read.
        self.rfile = io.BufferedReader(_Until(self.connection, time.monotonic() + PATIENCE))

    def do_GET(self) -> None:
        if not self._is_own():
            return
        if not secrets.compare_digest(self.path.encode(), f"/{self.server.key}".encode()):
            self._send(404, "text/plain", b"Open the address that numpy-elmo explore has printed.\n")
            return
        self._send(200, "text/html", _encoded(self.server.explorer.page()))

    def do_POST(self) -> None:
        if not self._is_own():
            return
        if not secrets.compare_digest(self.headers.get("X-Key", "").encode(), self.server.key.encode()):
            self._refuse(403, "the key of the page is missing: load the page again from the address that was printed")
            return
        if self.path != "/ask":
            self._refuse(404, "ask at /ask")
            return
        if (body := self._body()) is None:
            return
        try:
            question = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(400, "the question is no JSON")
            return
        status = 200
        try:
            answer = self.server.explorer.answer(question)
        except ElmoError as error:  # such as a word that is too rare for a map: nothing that a browser should report
            answer = {"error": str(error)}
        except Exception as error:  # the page says what happened, and the server lives on
            answer, status = {"error": f"{type(error).__name__}: {error}"}, 500
        self._send(status, "application/json", _encoded(json.dumps(answer, separators=(",", ":"))))

    def _body(self) -> bytes | None:
        """Return what was sent; None if it was refused, or did not come in full."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,18}", length):
            self._refuse(411, "Content-Length is missing")
            return None
        if int(length) > MAX_BODY:
            self._refuse(413, f"{int(length):,} bytes are too many: a question has at most {MAX_BODY:,}")
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _is_own(self) -> bool:
        """Refuse what comes from a page of another site: under another name of this machine, or from elsewhere."""
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        if re.fullmatch(r"(127\.0\.0\.1|localhost)(:[0-9]+)?", host) is None:
            self._refuse(403, "this server answers to 127.0.0.1 and localhost only")
        elif origin is not None and origin != f"http://{host}":
            self._refuse(403, "this server answers its own page only")
        else:
            return True
        return False

    def _refuse(self, status: int, reason: str) -> None:
        self._send(status, "application/json", json.dumps({"error": reason}).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.connection.settimeout(PATIENCE)
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": f"{_policy()}; frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing, as everywhere in the library."""


class _Until(io.RawIOBase):
    """What a socket receives up to a point in time; then TimeoutError."""

    def __init__(self, connection: socket.socket, end: float) -> None:
        self._connection, self._end = connection, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(max(self._end - time.monotonic(), 1e-3))
        return self._connection.recv_into(buffer)


@cache
def _source() -> str:
    return PAGE.read_text(encoding="utf-8")


@cache
def _policy() -> str:
    """Return what the page may load: its own script and style, by their hashes, and nothing else."""
    hashes = {}
    for kind in ("script", "style"):
        [text] = re.findall(rf"<{kind}>(.*?)</{kind}>", _source(), flags=re.DOTALL)
        hashes[kind] = f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    return _POLICY.format(**hashes)


@cache
def _template() -> tuple[str, str]:
    """Return the page before and after the place of its data."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">'
    before, after = _source().replace("<!--policy-->", policy).split("<!--saved-->")
    return before, after


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # half a surrogate pair has no bytes


def _packed(values: npt.NDArray[Any]) -> str:
    """Return hundredths of numbers as 16-bit integers in base64."""
    hundredths = np.clip(np.rint(100 * np.asarray(values, np.float64)), -32768, 32767)
    return base64.b64encode(hundredths.astype("<i2").tobytes()).decode()


def _probabilities(words: list[WordScore]) -> list[tuple[str, float]]:
    return [(word, float(f"{np.exp(log_prob):.4g}")) for word, log_prob in words]


def _tokens(text: object, split: object) -> list[str]:
    if not isinstance(text, str):
        raise InputTypeError(f"the text must be a string, not {type(text).__name__}")
    return _checked(tokenize(text) if split else text.split())


def _checked(tokens: Iterable[str]) -> list[str]:
    sentence = check_tokens(tokens)
    if not sentence:
        raise InputError("type a sentence")
    if len(sentence) > MAX_TOKENS:
        raise InputError(
            f"{len(sentence)} tokens: this page takes {MAX_TOKENS}; use numpy-elmo embed for longer sentences"
        )
    return sentence


def _at(tokens: list[str], position: int) -> int:
    if check_count("position", position, 0) >= len(tokens):
        raise InputError(f"there is no token {position} in a sentence of {len(tokens)}")
    return position


def _word(word: object) -> str:
    [checked] = check_tokens([word], "word")  # type: ignore[list-item]
    return checked
