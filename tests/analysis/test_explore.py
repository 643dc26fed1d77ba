"""The explorer: its answers are what the pictures draw, its page loads nothing, and its server refuses strangers."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.language_model import write_softmax
from numpy_elmo import Elmo, LanguageModel
from numpy_elmo.analysis import explore, plots
from numpy_elmo.analysis.explore import Explorer, Server, corpus_index, example_sentences, start
from numpy_elmo.analysis.neighbors import NeighborIndex, build_index
from numpy_elmo.cli import main
from numpy_elmo.errors import ElmoError, InputError, InputTypeError
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.conftest import write_model
from tests.fixtures.recipes import PUBLISHED

BAD_LINE = """<img src=x onerror="alert(1)"> bank </script><script>alert(2)</script> <!--saved--> ' "$&" \u2028 ."""
TEXTS = [
    "They sat on the river bank .",
    "The bank lent them some money .",
    "The boat came to the bank of the river .",
    "She put her money in the bank .",
    "A bank is not a bank of sand .",
    "Nobody was here .",
    BAD_LINE,
]
CORPUS = [text.split() for text in TEXTS]
MODEL = FIXTURES / "language_model"
SENTENCE = "He sat on the bank of the river ."
TOKENS = SENTENCE.split()


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    """A small model with its softmax and a small corpus."""
    model = LanguageModel.load(MODEL)
    made = Explorer(model.elmo, name="small", language_model=model, corpus="some lines", view=start(SENTENCE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMPY_ELMO_CACHE", str(tmp_path_factory.mktemp("cache")))
        made.index = corpus_index(model.elmo, CORPUS)
    with made.index:
        yield made


@pytest.fixture(scope="module")
def server(explorer: Explorer) -> Iterator[Server]:
    with Server(explorer, 0) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        made.shutdown()


def unpacked(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<i2").reshape(shape) / 100


def request(
    server: Server, body: bytes | str = b'["about"]', method: str = "POST", path: str = "/ask", **headers: str | None
) -> tuple[int, bytes]:
    """Ask as the page does, but for the headers given; None leaves one out."""
    host = f"127.0.0.1:{server.server_port}"
    sent = {"Host": host, "Origin": f"http://{host}", "X-Key": server.key, "Content-Type": "application/json"}
    sent |= {"Content-Length": str(len(body))} if method == "POST" else {}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in (sent | {name.replace("_", "-"): value for name, value in headers.items()}).items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body.encode() if isinstance(body, str) else body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


# ---------------------------------------------------------------- what the page shows


def test_the_page_shows_the_numbers_of_the_pictures(explorer: Explorer) -> None:
    elmo, model = explorer.elmo, explorer._language_model
    assert model is not None
    n, layers = len(TOKENS), elmo.n_layers + 1
    found = explorer.sentence(SENTENCE, True)
    assert found["tokens"] == TOKENS
    panels = plots.similarity(elmo, TOKENS).axes[:layers]
    cosines = unpacked(found["cosines"], layers, n, n)
    for layer, axes in enumerate(panels):
        np.testing.assert_array_equal(cosines[layer], np.round(np.asarray(axes.images[0].get_array(), float), 2))
    assert [len(found["gates"][direction]) for direction in ("forward", "backward")] == [2, 2]
    figure = plots.gates(elmo, TOKENS, direction="backward", layer=1, n_units=explore.N_UNITS)
    gates = found["gates"]["backward"][0]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [str(unit) for unit in gates["units"]]
    for array, axes in zip(unpacked(gates["values"], 4, n + 2, len(gates["units"])), figure.axes[:4], strict=True):
        np.testing.assert_array_equal(array.T, np.round(np.asarray(axes.images[0].get_array(), float), 2))
    bars = plots.next_words(model, TOKENS[:5]).axes[0]
    after = explorer.words(TOKENS, 4)["after"]
    assert [word for word, _ in after] == [label.get_text() for label in bars.get_yticklabels()]
    widths = [bar.get_width() for bar in bars.patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose([p for _, p in after], widths, rtol=1e-3)


def test_the_map_is_the_picture_of_the_senses(explorer: Explorer) -> None:
    figure = plots.senses(explorer.elmo, "bank", CORPUS, layer=1)
    expected = np.asarray(figure.axes[0].collections[0].get_offsets())
    found = explorer.map("bank", 1)
    points = unpacked(found["points"], 7, 2)
    np.testing.assert_allclose(points, 100 * expected / np.abs(expected).max(), atol=0.02)
    assert f"({found['shares'][0]:.0%} of the variance)" in figure.axes[0].get_xlabel()
    assert f"({found['shares'][1]:.0%})" in figure.axes[0].get_ylabel()
    assert [(k, len(labels), len(set(labels))) for k, labels in found["clusters"].items()] == [
        (k, 7, k) for k in range(2, 7)
    ]
    contexts = explorer.contexts("bank")
    assert contexts["found"] == 7
    assert contexts["contexts"][:2] == [("They sat on the river", "."), ("The", "lent them some money .")]
    # An occurrence of the corpus is at its own point.
    here = explorer.here("bank", 1, CORPUS[3], 6)["point"]
    np.testing.assert_allclose(here, points[3], atol=0.02)


def test_the_nearest_occurrences_are_those_of_the_index_in_other_sentences(explorer: Explorer) -> None:
    assert explorer.index is not None
    query = explorer.elmo.embed([CORPUS[0]], layers=2)[0][5]
    expected = [found for found in explorer.index.search(query, 20) if found.sentence != 0][: explore.N_NEIGHBORS]
    found = explorer.nearest(CORPUS[0], 5, 2)["nearest"]
    assert [(one["tokens"], one["at"]) for one in found] == [(one.tokens, one.position) for one in expected]
    np.testing.assert_allclose([one["cosine"] for one in found], [one.similarity for one in expected], atol=1e-4)


def test_of_very_many_occurrences_an_even_part_is_shown(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore, "MAX_POINTS", 4)
    n, places = explorer._find("bank")
    assert (n, places) == (7, [(0, 5), (2, 5), (4, 1), (6, 3)])
    assert places[0] == explorer.index.occurrences("bank")[0]  # type: ignore[union-attr]


def test_a_corpus_is_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, explorer: Explorer) -> None:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path))
    seen: list[tuple[int, int]] = []
    calls: list[object] = []

    def build(*arguments: Any, **named: Any) -> None:
        calls.append(arguments)
        build_index(*arguments, **named)

    monkeypatch.setattr(explore, "build_index", build)

    def index(sentences: list[list[str]]) -> NeighborIndex:
        return corpus_index(
            explorer.elmo, sentences, progress=lambda done, total: seen.append((done.n_tokens, total.n_tokens))
        )

    with index(CORPUS[:2]), index(CORPUS[:2]):
        assert len(calls) == 1
        assert seen == [(0, 14), (14, 14)]
    with index(CORPUS[:3]):
        assert len(calls) == 2
    [path] = [path for path in (tmp_path / "explorer").iterdir() if path == calls[0][0]]  # type: ignore[index]
    path.write_bytes(path.read_bytes()[:5000])
    with index(CORPUS[:2]) as again:
        assert len(calls) == 3
        assert len(again) == 14
    with pytest.raises(InputTypeError, match="read twice"):
        corpus_index(explorer.elmo, iter(CORPUS))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (["sentence", " ".join(["a"] * 70), False], "70 tokens: this page takes 60; use numpy-elmo embed"),
        (["sentence", "  ", True], "type a sentence"),
        (["sentence", 3, True], "must be a string"),
        (["words", TOKENS, 9], "no token 9"),
        (["words", TOKENS, -1], "position must be"),
        (["words", "a b", 0], "not one string"),
        (["words", [1], 0], "must be a string"),
        (["map", "river", 1], "“river” occurs 2 times in the corpus; a map needs 3 occurrences"),
        (["map", "nowhere", 1], "“nowhere” occurs 0 times"),
        (["map", "bank", 0], "which knows no context; choose another"),
        (["map", "bank", 3], "there is no layer 3"),
        (["map", "bank", True], "layer must be"),
        (["map", ["bank"], 1], "must be a string"),
        (["nearest", [], 0, 1], "type a sentence"),
        (["_saved", {}], "no question '_saved'"),
        (["answer", []], "no question 'answer'"),
        (["about", 1], "about: too many"),
        ([], "a question is a list"),
        ({"about": 1}, "a question is a list"),
        (None, "a question is a list"),
    ],
)
def test_what_cannot_be_answered_is_named(explorer: Explorer, question: object, message: str) -> None:
    with pytest.raises(ElmoError, match=re.escape(message)):
        explorer.answer(question)


def test_without_softmax_or_index_the_reason_is_given(explorer: Explorer) -> None:
    bare = Explorer(explorer.elmo, no_words="no softmax was found")
    assert bare.about()["noWords"] == "no softmax was found"
    with pytest.raises(InputError, match="no softmax was found"):
        bare.words(TOKENS, 1)
    bare.waiting_for = "the corpus is being read"
    assert bare.about()["corpus"]["waiting"] == "the corpus is being read"
    with pytest.raises(InputError, match="is being read"):
        bare.nearest(TOKENS, 1, 1)


def test_any_unicode_is_answered(server: Server) -> None:
    for text in ("日本語 naïve \x00 \x7f", "a\ud800b c", "\U0001f600 \U0001f600", "e\u0301" * 1000):
        status, body = request(server, json.dumps(["sentence", text, True]))
        assert status == 200, body
        tokens = json.loads(body)["tokens"]
        assert request(server, json.dumps(["nearest", tokens, 0, 2]))[0] == 200
    assert request(server, json.dumps(["save", {"a": {"text": "a\ud800b c", "split": True, "at": 0}}]))[0] == 200


# ---------------------------------------------------------------- the page


class Loads(HTMLParser):
    """What a page would load, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [str(value) for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]  # the policy forbids them


def saved_data(page: str) -> Any:
    [text] = re.findall(r'<script id="saved" type="application/json">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(text)


def test_the_page_loads_nothing_and_allows_only_its_own_script_and_style(server: Server, explorer: Explorer) -> None:
    page = explorer.page()
    assert Loads(page).found == ["data:,"]
    assert re.findall(r"(?<!\")https?://(?!www\.w3\.org/2000/svg)\S*|@import|url\(", page) == []
    [policy] = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    for kind in ("script", "style"):
        [source] = re.findall(rf"<{kind}>(.*?)</{kind}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "innerHTML" not in page
    assert "outerHTML" not in page
    assert "document.write" not in page
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", f"/{server.key}")
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.read().decode() == page
    assert answer.headers["Content-Security-Policy"] == f"{policy}; frame-ancestors 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert saved_data(page) is None


def test_hostile_text_stays_text_in_a_saved_page(explorer: Explorer) -> None:
    state = {"a": {"text": BAD_LINE, "split": False, "at": 3}, "b": None, "</script><script>": "</script>"}
    page = explorer.save(state)["html"]
    assert Loads(page).tags == Loads(explorer.page()).tags
    data = saved_data(page)
    assert data["state"] == state
    answers = {json.dumps(question): answer for question, answer in data["answers"]}
    assert answers[json.dumps(["sentence", BAD_LINE, False])]["tokens"] == CORPUS[6]
    assert "</script><script>alert(2)</script>" in answers[json.dumps(["contexts", "bank"])]["contexts"][6][1]


def test_a_saved_page_holds_the_answers_to_all_that_it_can_ask(explorer: Explorer) -> None:
    view = start(SENTENCE, CORPUS[1], "bank")
    assert (view["a"]["at"], view["b"]["at"], view["b"]["split"]) == (4, 1, False)
    data = saved_data(explorer.page(view))
    answers = {json.dumps(question): answer for question, answer in data["answers"]}
    layers = range(3)
    wanted: list[list[Any]] = [["about"], ["sentence", SENTENCE, True], ["sentence", TEXTS[1], False]]
    wanted += [["compare", TOKENS, CORPUS[1]], ["contexts", "bank"], *(["map", "bank", layer] for layer in layers)]
    for tokens in (TOKENS, CORPUS[1]):
        for position in range(len(tokens)):
            wanted.append(["words", tokens, position])
            wanted += [["nearest", tokens, position, layer] for layer in layers]
            wanted += [["here", "bank", layer, tokens, position] for layer in layers]
    assert set(answers) == set(map(json.dumps, wanted))
    for question in wanted:
        if question[:2] not in (["map", "bank"], ["here", "bank"]) or 0 not in question[2:3]:
            assert answers[json.dumps(question)] == json.loads(json.dumps(explorer.answer(question)))
    assert "knows no context" in answers[json.dumps(["map", "bank", 0])]["error"]
    states: list[Any] = [{}, [], 3, {"a": 1}, {"a": {"text": 3}}]
    for state in [*states, {"a": {"text": "a", "at": 9}}, {"a": {"text": "a", "at": []}}]:
        assert saved_data(explorer.page(state))["state"] == state


@pytest.mark.slow  # many searches
def test_a_saved_page_of_2000_occurrences_is_smaller_than_500_kb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path))
    model = LanguageModel.load("tiny")
    examples = example_sentences()
    rng = np.random.default_rng(0)
    # Vectors are of no interest here, and 2,000 sentences would take long to embed.
    sentences = [[*examples[k % 320][:-1], "bank", *examples[(7 * k) % 320]] for k in range(2000)]
    monkeypatch.setattr(
        Elmo,
        "embed_corpus",
        lambda self, texts, **_: (rng.normal(size=(3, len(tokens), 256)).astype(np.float32) for tokens in texts),
    )
    large = Explorer(model.elmo, language_model=model)
    with corpus_index(model.elmo, sentences) as large.index:
        page = large.page(start(" ".join(["The bank of the river is not"] * 2 + ["."]), TEXTS[1], "bank"))
    assert len(page.encode()) < 500_000
    answers = {json.dumps(question): answer for question, answer in saved_data(page)["answers"]}
    assert len(answers[json.dumps(["contexts", "bank"])]["contexts"]) >= 2000


@pytest.mark.slow
def test_a_model_of_the_published_size_is_explored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path / "cache"))
    folder = write_model(tmp_path / "model", PUBLISHED["original_size"])
    write_softmax(folder / "softmax_weights.hdf5", 20_000, 512)
    words = ["<S>", "</S>", "<UNK>", *(f"word{k}" for k in range(19_997))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (tmp_path / "text").write_text("\n".join(TEXTS), encoding="utf-8")
    command = ["explore", "--model", str(folder), "--html", str(tmp_path / "page"), "--corpus", str(tmp_path / "text")]
    assert main([*command, "--on-disk", "--word", "bank"]) == 0
    printed = capsys.readouterr().err
    assert "weights.hdf5: 374 MB in memory" in printed
    assert "softmax_weights.hdf5: 20,000 words, read from the disk" in printed
    page = (tmp_path / "page").read_text(encoding="utf-8")
    assert len(page) < 200_000
    answers = {tuple(question[:1]): answer for question, answer in saved_data(page)["answers"]}
    assert len(answers["sentence",]["gates"]["forward"][0]["units"]) == explore.N_UNITS  # not all 4,096
    assert all(len(found) == explore.N_WORDS for found in answers["words",].values())


# ---------------------------------------------------------------- attacks


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example:1", "127.0.0.2", "", None],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_foreign_host_is_refused(server: Server, host: str | None, method: str) -> None:
    """A name that an attacker lets point to 127.0.0.1 (DNS rebinding)."""
    path = f"/{server.key}" if method == "GET" else "/ask"
    origin = None if method == "GET" else f"http://{host}"
    status, body = request(server, b"" if method == "GET" else b'["about"]', method, path, Host=host, Origin=origin)
    assert status == 403
    assert b"this server answers to 127.0.0.1" in body


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}", "http://localhost:{port}", ""],
)
def test_a_foreign_origin_is_refused(server: Server, origin: str) -> None:
    """A page of another site, or of another server on this machine."""
    status, body = request(server, Origin=origin.format(port=server.server_port))
    assert status == 403
    assert b"its own page" in body


@pytest.mark.parametrize("key", [None, "", "x", "é", "{key}x"])
def test_without_the_key_nothing_is_answered(server: Server, key: str | None) -> None:
    given = key and key.format(key=server.key)
    assert request(server, X_Key=given)[0] == 403
    status, body = request(server, b"", "GET", f"/{'' if given is None else 'x'}")
    assert status == 404
    assert b"<script>" not in body
    assert server.key.encode() not in body


def test_each_server_has_a_key_of_its_own(explorer: Explorer, server: Server) -> None:
    with Server(explorer, 0) as other:
        assert other.key != server.key
        assert len(other.key) >= 32
        assert other.url == f"http://127.0.0.1:{other.server_port}/{other.key}"


def test_the_page_itself_is_answered(server: Server) -> None:
    assert request(server)[0] == 200
    assert request(server, Host="localhost", Origin="http://localhost")[0] == 200
    assert request(server, Origin=None)[0] == 200


def test_a_large_body_is_refused_before_it_is_read(server: Server) -> None:
    assert request(server, b"[" + b" " * 20_000 + b"]")[0] == 413
    assert request(server, b"", Content_Length="999999999999")[0] == 413
    for length in (None, "-1", "1e3", "x", "9" * 40):
        assert request(server, b"", Content_Length=length)[0] == 411
    assert request(server, b"", Transfer_Encoding="chunked", Content_Length=None)[0] == 411


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 19_000, b'["about"] x'])
def test_a_body_that_is_no_json_is_refused(server: Server, body: bytes) -> None:
    status, answer = request(server, body)
    assert (status, json.loads(answer)) == (400, {"error": "the question is no JSON"})


@pytest.mark.parametrize("body", [b"NaN", b'["sentence", 1e999, 1]', b'["about", {}]', b'{"about": []}'])
def test_json_that_is_no_question_is_answered_with_what_is_wrong(server: Server, body: bytes) -> None:
    status, answer = request(server, body)
    assert status == 200
    assert list(json.loads(answer)) == ["error"]


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "HEAD", "X" * 5000])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    assert request(server, b"", method)[0] in (400, 501)


def test_other_paths_are_refused(server: Server) -> None:
    for path in ("/", "/../../etc/passwd", "//evil.example/", f"/{server.key}/x", f"/{server.key}?x"):
        assert request(server, b"", "GET", path)[0] == 404
    assert request(server, path="/other")[0] == 404


def test_it_listens_on_this_machine_only(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_an_error_of_ours_is_an_answer_and_the_server_lives(
    server: Server, explorer: Explorer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("an error of ours")

    monkeypatch.setitem(explorer._questions, "about", fail)
    status, body = request(server)
    assert (status, json.loads(body)) == (500, {"error": "ZeroDivisionError: an error of ours"})
    monkeypatch.undo()
    assert request(server)[0] == 200
    assert capsys.readouterr() == ("", "")


def drip(server: Server, begin: bytes) -> float:
    """Send a request's beginning, then a byte now and then; return how long the server listens."""
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        began = time.monotonic()
        client.sendall(begin)
        client.settimeout(0.05)
        while time.monotonic() - began < 30:
            try:
                if not client.recv(1000):
                    break
            except TimeoutError:
                pass
            except OSError:
                break
            try:
                client.sendall(b"a")
            except OSError:
                break
        return time.monotonic() - began


def test_slow_clients_are_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore, "PATIENCE", 0.3)
    head = f"POST /ask HTTP/1.0\r\nHost: 127.0.0.1\r\nX-Key: {server.key}\r\nContent-Length: 10000\r\n\r\n".encode()
    with ThreadPoolExecutor(3) as pool:
        seconds = list(pool.map(drip, [server] * 3, [b"GE", b"GET / HTTP/1.0\r\nX-", head]))
    assert all(0.2 < duration < 25 for duration in seconds), seconds


def test_a_client_that_takes_no_answer_is_cut_off(
    server: Server, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "PATIENCE", 0.3)
    monkeypatch.setitem(explorer._questions, "about", lambda: "x" * 30_000_000)
    body = b'["about"]'
    head = f"POST /ask HTTP/1.0\r\nHost: localhost\r\nX-Key: {server.key}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        client.sendall(head.encode() + body)
        assert client.recv(10)
        for _ in range(600):
            time.sleep(0.05)
            if server._free._value == explore.MAX_CONNECTIONS:
                break
        assert server._free._value == explore.MAX_CONNECTIONS


@pytest.mark.slow
def test_many_clients_take_a_bounded_number_of_threads_and_only_for_a_while(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "PATIENCE", 0.5)
    before = threading.active_count()
    clients = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(100)]
    refused = 0
    for client in clients:
        client.settimeout(60)
        refused += client.recv(100).startswith(b"HTTP/1.0 503")  # or nothing, when the server's patience is over
        assert threading.active_count() <= before + explore.MAX_CONNECTIONS
    assert 100 - explore.MAX_CONNECTIONS >= refused > 0
    for client in clients:
        client.close()
    monkeypatch.undo()
    assert request(server)[0] == 200


def test_several_windows_get_their_own_answers(server: Server, explorer: Explorer) -> None:
    texts = [f"The bank number {k} is here ." for k in range(6)]
    expected = [explorer.sentence(text, False) for text in texts]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda text: request(server, json.dumps(["sentence", text, False])), texts))
    assert [(status, json.loads(body)) for status, body in found] == [(200, one) for one in expected]


# ---------------------------------------------------------------- the command


def test_a_port_that_is_taken_is_passed_over(explorer: Explorer, server: Server) -> None:
    with Server(explorer, server.server_port) as other:
        assert server.server_port < other.server_port < server.server_port + explore.PORTS
    with pytest.raises(InputError, match="no port 70000; give one up to 65535"):
        Server(explorer, 70000)
    with pytest.raises(InputError, match="port must be"):
        Server(explorer, -1)
