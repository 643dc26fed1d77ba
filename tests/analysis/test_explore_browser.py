"""The explorer in Chromium, used as people use it: typing, clicking, by keyboard, on a phone, in the dark, offline."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from numpy_elmo import LanguageModel
from numpy_elmo.analysis import explore
from numpy_elmo.analysis.explore import Explorer, Server, corpus_index, start
from numpy_elmo.cli import main
from tests.agreement.tensorflow_outputs import FIXTURES
from tests.analysis.test_explore import BAD_LINE, CORPUS, SENTENCE, TEXTS, TOKENS, unpacked
from tests.browser import Chromium

with suppress(ImportError):
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / "README.md"
LIGHT, DARK = "light", "dark"


class Browser(Chromium):
    """Chromium with the explorer's page."""

    def drawn(self) -> None:
        """Wait until no panel waits for an answer."""
        self.until(lambda: self.all("#tokens-a button") and not self.all("[aria-busy]"))

    def keys(self, *keys: str) -> None:
        """Press keys wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def choose(self, selector: str, value: str) -> None:
        self.one(f"{selector} option[value='{value}'], {selector} option").find_element(
            By.XPATH, f"../option[@value='{value}' or text()='{value}']"
        ).click()
        self.drawn()

    def type(self, selector: str, text: str) -> None:
        field = self.one(selector)
        field.clear()
        field.send_keys(text)

    def tokens(self, side: str = "a") -> list[str]:
        return [button.text for button in self.all(f"#tokens-{side} button")]

    def pressed(self, side: str = "a") -> list[str]:
        return [button.text for button in self.all(f"#tokens-{side} [aria-pressed=true]")]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser; after each test its console must be empty."""
    chromium.console(), chromium.requests()
    yield chromium
    assert chromium.console() == []
    chromium.driver.get("about:blank")


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    """The model "tiny" with its softmax and a small corpus, some of it hostile."""
    model = LanguageModel.load("tiny")
    made = Explorer(
        model.elmo, name="tiny", language_model=model, corpus="some lines", view=start(SENTENCE, word="bank")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMPY_ELMO_CACHE", str(tmp_path_factory.mktemp("cache")))
        made.index = corpus_index(model.elmo, CORPUS)
    with made.index:
        yield made


def serve(explorer: Explorer) -> Iterator[Server]:
    with Server(explorer, 0) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def server(explorer: Explorer) -> Iterator[Server]:
    yield from serve(explorer)


def test_from_the_readmes_command_to_the_two_clusters_of_bank(browser: Browser, tmp_path: Path) -> None:
    [command] = set(re.findall(r"`(numpy-elmo explore)`", README.read_text(encoding="utf-8")))
    _, *words = shlex.split(command)
    environment = os.environ | {"NUMPY_ELMO_CACHE": str(tmp_path)}
    program = [sys.executable, "-m", "numpy_elmo", *words, "--port", "0", "--no-browser"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as ran:
        try:
            assert ran.stdout is not None
            browser.open(ran.stdout.readline().strip())  # action 1
            browser.type("#text-a", "The old man sat on the bank.")  # action 2
            browser.until(lambda: browser.tokens() == ["The", "old", "man", "sat", "on", "the", "bank", "."])
            browser.all("#tokens-a button")[6].click()  # action 3
            browser.until(lambda: len(browser.all("#occurrences .legend > span")) == 2)
            browser.drawn()
            assert re.search(r"“bank”: (\d\d) of \1 occurrences shown", browser.text("#occurrences .caption"))
            marks = browser.each("#occurrences .point", "[e.getAttribute('class'), e.getAttribute('d')]")
            # A cluster has a colour and a shape, and both are there.
            assert {kind for kind, _ in marks} == {"point c0", "point c1"}
            assert len({(kind, shape) for kind, shape in marks}) == len({shape for _, shape in marks}) == 2
            sizes = [sum(kind == f"point c{c}" for kind, _ in marks) for c in (0, 1)]
            assert browser.text("#occurrences .legend").split("\n") == [
                f"cluster {c + 1}: {n}" for c, n in enumerate(sizes)
            ]
            assert len(browser.all("#occurrences details li")) == sum(sizes)
            browser.driver.get("about:blank")  # an older answer may still be on its way
        finally:
            ran.terminate()


def test_what_is_typed_is_shown_and_only_the_last_of_it(browser: Browser, server: Server, explorer: Explorer) -> None:
    browser.open(server.url)
    assert browser.pressed() == ["bank"]
    browser.type("#text-a", "She didn't go to the bank, did she?")
    expected = ["She", "did", "n't", "go", "to", "the", "bank", ",", "did", "she", "?"]
    browser.until(lambda: browser.tokens() == expected)
    browser.drawn()
    assert browser.pressed() == ["bank"]  # it moved, and is selected still
    numbers = [text.text for text in browser.all("#similarity text.number")]
    answer = explorer.sentence("She didn't go to the bank, did she?", True)
    n = len(expected)
    cosines = unpacked(answer["cosines"], 3, n, n)[2]
    assert numbers == [f"{value:.2f}".replace("-", "−").replace("0.", ".", 1) for value in cosines.ravel()]
    shown = [item.text.split("\n") for item in browser.all("#words .words:first-child li")]
    wanted = explorer.words(expected, 6)
    assert shown == [[word, f"{100 * p:.1f}%"] for part in ("before", "in_place", "after") for word, p in wanted[part]]
    browser.type("#text-a", " ".join(["bank"] * 70))
    browser.until(lambda: "70 tokens: this page takes 60; use numpy-elmo embed" in browser.text("#status"))
    assert browser.tokens() == expected
    browser.one("#text-a").send_keys(Keys.CONTROL, "a")
    browser.one("#text-a").send_keys("It is")
    browser.until(lambda: browser.tokens() == ["It", "is"] and not browser.text("#status"))
    browser.drawn()


def test_an_answer_that_comes_late_is_dropped(
    browser: Browser, server: Server, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[str] = []

    def slow(text: str, split: bool) -> Any:
        if text == "the first bank":
            browser_is_ahead.wait(60)
        answered.append(text)
        return explorer.sentence(text, split)

    browser_is_ahead = threading.Event()
    browser.open(server.url)
    browser.type("#text-a", "")
    monkeypatch.setitem(explorer._questions, "sentence", slow)
    browser.one("#text-a").send_keys("the first bank")
    time.sleep(0.5)  # longer than the page waits after a key
    browser.one("#text-a").send_keys(" is the second")
    browser.until(lambda: browser.tokens() == ["the", "first", "bank", "is", "the", "second"])
    browser_is_ahead.set()
    browser.until(lambda: answered[-1] == "the first bank")
    time.sleep(0.5)
    browser.drawn()
    assert browser.tokens() == ["the", "first", "bank", "is", "the", "second"]


def test_all_is_done_by_keyboard(browser: Browser, server: Server) -> None:
    browser.open(server.url)
    browser.run("document.body.focus()")
    seen = []
    for _ in range(40):
        browser.keys(Keys.TAB)
        name = browser.run(
            "const e = document.activeElement;"
            "return e.id || (e.closest('section') || e.parentNode).id + ' ' + e.tagName"
        )
        seen.append(name)
        if name == "tokens-a BUTTON":
            browser.keys(Keys.ARROW_RIGHT)
            assert browser.driver.switch_to.active_element.text == browser.pressed()[0] == "of"
            browser.keys(Keys.ARROW_LEFT)
            browser.drawn()
        if name == "similarity svg":
            browser.keys(Keys.ARROW_DOWN)
            assert browser.text("#similarity .readout") == "“bank” and “bank”: 1.00"
            browser.keys(Keys.ARROW_UP)
            assert browser.text("#similarity .readout").startswith("“the” and “bank”: ")
        if name == "gates svg":
            browser.keys(Keys.ARROW_RIGHT)
            browser.keys(Keys.ARROW_RIGHT)
            assert re.fullmatch(r"forget gate of unit \d+ at “of”: \d\.\d\d", browser.text("#gates .readout"))
        if name == "occurrences svg":
            for _ in range(3):
                browser.keys(Keys.ARROW_RIGHT)
            assert re.fullmatch(
                r"3 of 7, cluster \d: The boat came to the bank of the river \.", browser.text("#occurrences .readout")
            )
        if name == "save":
            break
    wanted = ["text-a", "add", "tokens-a BUTTON", "layer", "split", "similarity svg", "clusters", "occurrences svg"]
    wanted += ["occurrences SUMMARY", "direction", "gate-layer", "gate", "gates svg", "nearest BUTTON", "save"]
    assert [name for name in seen if name in wanted and name != "nearest BUTTON"] == [
        n for n in wanted if n != "nearest BUTTON"
    ]
    assert seen.count("nearest BUTTON") == explore.N_NEIGHBORS
    assert seen.count("tokens-a BUTTON") == 1  # the tokens are one stop


def test_a_near_occurrence_becomes_sentence_b(browser: Browser, server: Server, explorer: Explorer) -> None:
    browser.open(server.url)
    first = explorer.nearest(TOKENS, 4, 2)["nearest"][0]
    button = browser.one("#nearest button")
    assert button.text.split("\n") == [f"{first['cosine']:.2f}", " ".join(first["tokens"])]
    button.click()
    browser.until(lambda: browser.tokens("b") == first["tokens"])
    browser.drawn()
    assert browser.pressed("b") == [first["tokens"][first["at"]]]
    assert browser.one("#pair").get_attribute("value") == "ab"
    rows, columns = len(TOKENS), len(first["tokens"])
    assert browser.run("const c = document.querySelector('#similarity canvas'); return [c.height, c.width]") == [
        rows,
        columns,
    ]
    assert "in A and " in browser.text("#similarity .caption")
    assert len(browser.all("#words .words")) == 2
    assert [mark.text for mark in browser.all("#occurrences .here")] == ["A", "B"]
    browser.choose("#gate-side", "b")
    assert browser.run("return document.querySelector('#gates canvas').width") == columns + 2
    browser.one("#remove").click()
    browser.drawn()
    assert not browser.all("#tokens-b button")
    assert browser.run("const c = document.querySelector('#similarity canvas'); return [c.height, c.width]") == [
        rows,
        rows,
    ]
    assert [mark.text for mark in browser.all("#occurrences .here")] == ["A"]
    # Or it is typed.
    browser.one("#add").click()
    browser.keys("My money is in the bank.")
    browser.until(lambda: browser.pressed("b") == ["bank"])
    browser.drawn()


def test_layer_direction_gate_and_clusters_can_be_chosen(browser: Browser, server: Server, explorer: Explorer) -> None:
    browser.open(server.url)
    answer = explorer.sentence(SENTENCE, True)
    for direction, layer, gate, name in (("backward", 2, 0, "input"), ("forward", 1, 3, "cell")):
        browser.choose("#direction", direction)
        browser.choose("#gate-layer", str(layer))
        browser.choose("#gate", str(gate))
        label = browser.one("#gates svg").get_attribute("aria-label")
        assert label is not None
        assert label.startswith(f"{direction} LSTM, layer {layer}, {name}")
        gates = answer["gates"][direction][layer - 1]
        values = unpacked(gates["values"], 4, len(TOKENS) + 2, 32)
        browser.one("#gates svg").send_keys(Keys.ARROW_DOWN)
        unit, value = re.findall(r"unit (\d+) at “bank”: (.*)", browser.text("#gates .readout"))[0]
        assert int(unit) == gates["units"][0]
        assert float(value.replace("−", "-")) == values[gate, 5, 0]
    browser.choose("#clusters", "4")
    assert len(browser.all("#occurrences .legend > span")) == 4
    slider = browser.one("#layer")
    slider.send_keys(Keys.ARROW_LEFT)
    browser.drawn()
    assert browser.text("#layer-name") == "1 of 2"
    shares = explorer.map("bank", 1)["shares"]
    assert f"({100 * shares[0]:.0f}% of the variance)" in browser.text("#occurrences svg text")
    slider.send_keys(Keys.HOME)
    browser.until(lambda: "the vectors are the same everywhere" in browser.text("#occurrences .readout"))
    browser.drawn()
    assert len(browser.all("#occurrences details li")) == 7


def test_a_point_of_the_map_is_read_under_the_pointer(browser: Browser, server: Server) -> None:
    browser.open(server.url)
    point = browser.all("#occurrences .point")[1]
    webdriver.ActionChains(browser.driver).move_to_element(point).perform()
    browser.until(lambda: browser.text("#occurrences .readout").startswith("2 of 7, cluster "))
    assert browser.text("#occurrences .readout").endswith(f": {TEXTS[1]}")
    assert browser.text("#occurrences .readout b") == "bank"


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize(("width", "columns"), [(390, 1), (1280, 2)])
def test_it_fits_both_widths_and_can_be_read_in_both_schemes(
    browser: Browser, explorer: Explorer, width: int, columns: int, scheme: str
) -> None:
    explorer.view = start(SENTENCE, CORPUS[1], "bank")
    try:
        for server in serve(explorer):
            browser.open(server.url, width, scheme)
            browser.until(lambda: browser.tokens("b"))
            browser.drawn()
            lefts = browser.each("section:not(.wide)", "Math.round(e.getBoundingClientRect().left)")
            assert len(set(lefts)) == columns
            assert browser.run("return document.documentElement.scrollWidth") <= width
            outside = "e.getBoundingClientRect().right > innerWidth + 1 ? e.outerHTML.slice(0, 60) : null"
            assert set(browser.each("body *", outside)) == {None}
            assert browser.run(CONTRASTS) == []
    finally:
        explorer.view = start(SENTENCE, word="bank")


# The opacity of each pixel of a canvas.
IMAGE = "[...e.getContext('2d').getImageData(0, 0, e.width, e.height).data.filter((v, k) => k % 4 === 3)]"

# Texts whose contrast with what is behind them is below 4.5, as WCAG 2 counts it; SCALE is for the cells of heat maps.
LUMINANCE = """
const luminance = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
"""
CONTRASTS = (
    LUMINANCE
    + """
const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
const behind = (e) => {
  const colour = numbers(getComputedStyle(e).backgroundColor);
  return colour.length < 4 || colour[3] > 0 ? luminance(colour.slice(0, 3)) : behind(e.parentElement);
};
const hasText = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
return [...document.querySelectorAll('body *')]
  .filter((e) => e.checkVisibility() && !e.matches('script, .number') && hasText(e))
  .map((e) => {
    const svg = e.ownerSVGElement, ink = numbers(getComputedStyle(e)[svg ? 'fill' : 'color']).slice(0, 3);
    return [contrast(luminance(ink), behind(svg ? svg.parentElement : e)), e.tagName, e.textContent];
  })
  .filter(([ratio]) => ratio < 4.5);
"""
)
SCALE = (
    LUMINANCE
    + """
return Math.min(...Array.from({ length: 101 }, (_, k) => {
  const [r, g, b] = colour(CIVIDIS, k / 100);
  return contrast(0.3 * r + 0.59 * g + 0.11 * b > 128 ? 0 : 1, luminance([r, g, b]));
}));
"""
)


def test_numbers_can_be_read_on_every_colour_of_the_scale(browser: Browser, server: Server) -> None:
    browser.open(server.url)
    assert browser.run(SCALE) > 3.8  # black or white, on a grey of middle lightness


def test_every_control_has_a_name_for_screen_readers(browser: Browser, server: Server) -> None:
    browser.open(server.url)
    browser.one("#nearest button").click()
    browser.until(lambda: browser.tokens("b"))
    browser.drawn()
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = [
        (n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"] and "role" in n
    ]
    for role in ("button", "textbox", "combobox", "slider", "checkbox", "toolbar", "region", "heading"):
        names = [name for kind, name in found if kind == role]
        assert names, role
        assert all(names), role
    assert {"Sentence A", "Sentence B"} <= {name for role, name in found if role == "textbox"}
    assert sum(role == "region" for role, _ in found) == 5
    levels = browser.each("h1, h2, h3", "Number(e.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    described = [n for n in nodes if n.get("name", {}).get("value", "").startswith(("Cosines in layer", "Map of 7"))]
    assert len(described) == 2
    live = browser.run("return [...document.querySelectorAll('[aria-live=polite], [role=status]')].length")
    assert live == 4


def test_nothing_but_the_page_and_its_questions_is_asked_for(browser: Browser, server: Server) -> None:
    browser.open(server.url)
    browser.one("#nearest button").click()
    browser.until(lambda: browser.tokens("b"))
    browser.drawn()
    asked = set(browser.requests()) - {"data:,"}
    origin = server.url.rpartition("/")[0]
    assert asked == {server.url, f"{origin}/ask"}


def test_hostile_text_of_a_corpus_is_shown_as_text(browser: Browser, server: Server) -> None:
    browser.open(server.url)
    before = browser.run("return [document.scripts.length, document.images.length]")
    browser.run("window.alert = () => { window.hit = true; }")
    items = [item.text for item in browser.all("#occurrences details li")]
    assert any("</script><script>alert(2)</script>" in item for item in items)
    browser.type("#text-a", BAD_LINE)
    browser.until(lambda: "img" in browser.tokens())
    browser.drawn()
    browser.one("#split").click()
    browser.until(lambda: "</script><script>alert(2)</script>" in browser.each("#tokens-a button", "e.textContent"))
    browser.drawn()
    browser.one("#add").click()
    browser.keys(BAD_LINE)
    browser.until(lambda: browser.tokens("b"))
    browser.drawn()
    assert browser.run("return [document.scripts.length, document.images.length]") == before
    assert browser.run("return window.hit === undefined")


def test_a_script_that_is_not_the_pages_own_does_not_run(browser: Browser, server: Server) -> None:
    browser.open(server.url)
    browser.run(
        "const s = document.createElement('script'); s.textContent = 'window.hit = true'; document.body.append(s);"
        "const i = document.createElement('img'); i.src = 'http://127.0.0.1:1/x.png'; document.body.append(i);"
    )
    assert browser.run("return window.hit === undefined")
    said = browser.until(lambda: [m for m in browser.console() if "Content Security Policy" in m])
    assert len(said) >= 1
    browser.console()


def test_a_view_is_saved_and_opens_from_the_disk_without_network(
    browser: Browser, server: Server, explorer: Explorer, tmp_path: Path
) -> None:
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.open(server.url)
    browser.one("#nearest button").click()
    browser.until(lambda: browser.tokens("b"))
    browser.drawn()
    browser.choose("#clusters", "3")
    browser.choose("#direction", "backward")
    browser.one("#layer").send_keys(Keys.ARROW_LEFT)
    browser.drawn()
    shown = {
        name: browser.text(f"#{name}")
        for name in ("similarity", "words", "gates", "nearest", "occurrences", "tokens-b")
    }
    marks = browser.each("#occurrences .point", "e.getAttribute('transform')")
    browser.one("#save").click()
    saved = tmp_path / "elmo-view.html"
    browser.until(saved.exists)
    command = browser.driver.execute_cdp_cmd
    command("Network.enable", {})
    command(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    try:
        browser.requests()
        browser.open(saved.as_uri())
        browser.until(lambda: browser.tokens("b"))
        browser.drawn()
        for name, text in shown.items():
            assert browser.text(f"#{name}") == text
        assert marks == browser.each("#occurrences .point", "e.getAttribute('transform')")
        assert not browser.one("#save").is_displayed()
        browser.all("#tokens-a button")[3].click()  # "the", whose occurrences are not in the file
        browser.drawn()
        assert "holds the occurrences of the word that was selected" in browser.text("#occurrences .note")
        assert browser.text("#words h3") == "before “the” (A)"
        assert "“the” of A" in browser.text("#nearest h2")
        assert browser.all("#nearest li")
        browser.one("#layer").send_keys(Keys.END)
        browser.drawn()
        assert set(browser.requests()) - {"data:,"} == {saved.as_uri()}
    finally:
        command(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
        )


def test_a_page_of_the_command_without_softmax_says_why(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path))
    (tmp_path / "text").write_text("rain fell\nthe rain\n", encoding="utf-8")
    page = tmp_path / "page.html"
    command = ["explore", "--html", str(page), "--model", str(FIXTURES / "base"), "--corpus", str(tmp_path / "text")]
    assert main(command) == 0
    browser.open(page.as_uri())
    assert browser.text("#words .note").startswith("No words: no softmax was found")
    assert "“rain” occurs 2 times in the corpus; a map needs 3" in browser.text("#occurrences .readout")
    assert [item.text for item in browser.all("#occurrences details li")] == ["rain fell", "the rain"]


def test_while_the_corpus_is_read_the_page_shows_how_far(browser: Browser, explorer: Explorer) -> None:
    slow = Explorer(explorer.elmo, language_model=explorer._language_model, corpus="text", view=explorer.view)
    slow.waiting_for = "the corpus is read for the first time: 1,000 of 3,000 tokens"
    for server in serve(slow):
        browser.open(server.url)
        assert "1,000 of 3,000 tokens" in browser.text("#about")
        assert "1,000 of 3,000 tokens" in browser.text("#nearest .note")
        assert browser.all("#words li")
        slow.index = explorer.index
        browser.until(lambda: browser.all("#nearest li"))
        browser.until(lambda: browser.all("#occurrences .point"))
        browser.drawn()
        assert "7 sentences" in browser.text("#about")


def test_when_the_server_has_ended_the_page_says_so(browser: Browser, explorer: Explorer) -> None:
    server = Server(explorer, 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    browser.open(server.url)
    server.shutdown()
    server.server_close()
    thread.join()
    browser.all("#tokens-a button")[1].click()
    browser.until(lambda: "is numpy-elmo explore still running?" in browser.text("#words .note"))
    browser.drawn()
    assert browser.console()  # Chromium tells of it too


def test_very_many_occurrences_are_drawn_on_a_canvas(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path))
    model = LanguageModel.load(FIXTURES / "language_model")
    sentences = [["the", f"w{k % 50}", "bank", f"v{k % 7}"] for k in range(3000)]
    explorer = Explorer(model.elmo, language_model=model, view=start("the bank is here", word="bank"))
    for most, shown in (
        (20_000, "“bank”: 3,000 of 3,000 occurrences shown;"),
        (2500, "2,500 of 3,000 occurrences shown, an even sample;"),
    ):
        monkeypatch.setattr(explore, "MAX_POINTS", most)
        explorer._found.cache_clear()
        explorer._mapped.cache_clear()
        with corpus_index(model.elmo, sentences) as explorer.index:
            for server in serve(explorer):
                browser.open(server.url, scheme=DARK)
                assert shown in browser.text("#occurrences .caption")
                assert not browser.all("#occurrences .point")
                [image] = browser.each("#occurrences canvas", IMAGE)
                drawn = sum(alpha > 0 for alpha in image)
                assert drawn > 500
                browser.run("document.querySelector('#occurrences .plot svg').focus()")
                browser.keys(Keys.ARROW_RIGHT)
                assert browser.text("#occurrences .readout").startswith(f"1 of {min(most, 3000)}, cluster ")
                assert len(browser.all("#occurrences details li")) == 200
