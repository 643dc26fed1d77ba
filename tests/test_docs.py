"""The pages run: their Python as written, their sessions print what the page says, and the site builds."""

from __future__ import annotations

import doctest
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from numpy_elmo.cli import main
from tests.browser import Chromium
from tests.conftest import write_model
from tests.fixtures.recipes import Recipe, options

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
FLAGS = re.DOTALL | re.MULTILINE
# A block, and the rows of the table below it, if there is one.
BLOCK = re.compile(r"^```(python|console|text)\n(.*?)^```$(?:\n\n\|[^\n]*\n\|[-:| ]+\n((?:\|[^\n]*\n)*))?", FLAGS)
COLUMNS = 90  # as many as fit the column at 1280 pixels, which the browser's test measures
NEED_DEV = re.compile(r"^from dask|^import spacy", flags=re.MULTILINE)  # a library of [dev]
FILES = {
    "sentences.txt": "She sat on the river bank .\nThe bank lent them some money .\n",
    "reading.txt": "While the man hunted the deer ran into the woods .\n"
    "While the man hunted , the deer ran into the woods .\n",
    "times.csv": "sentence_id,token_id,milliseconds\n"
    + "".join(f"{sentence},{token},{300 + 10 * token}\n" for sentence in (1, 2) for token in (6, 7, 8)),
    "pairs.jsonl": "".join(
        json.dumps(
            {
                "sentence_good": good,
                "sentence_bad": bad,
                "UID": paradigm,
                "linguistics_term": "subject_verb_agreement",
                "field": "morphology",
            }
        )
        + "\n"
        for good, bad, paradigm in (
            ("The dog is here.", "The dog are here.", "agreement"),
            ("The dogs don't see it.", "The dogs doesn't see it.", "agreement"),
            ("The cats caterwaul.", "The cats caterwauls.", "rare_words"),
        )
    ),
}


class Page:
    """The blocks of a page, run in order, in one namespace."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.names: dict[str, Any] = {"__name__": "__page__"}

    def run(self, kind: str, block: str, rows: str | None, line: int) -> None:
        if kind == "console":
            self._console(block)
        elif block.startswith(">>>"):
            self._session(block, line)
        else:
            self._script(block, rows)

    def _session(self, block: str, line: int) -> None:
        test = doctest.DocTestParser().get_doctest(block, self.names, self.name, self.name, line)
        report = io.StringIO()
        results = doctest.DocTestRunner(verbose=False).run(test, out=report.write, clear_globs=False)
        self.names = test.globs
        assert results.attempted
        assert not results.failed, report.getvalue()

    def _script(self, block: str, rows: str | None) -> None:
        """Run it; it prints what its comments say, or the rows of the table below it."""
        expected = re.findall(r"^ *print\(.*\)  # (.*)$", block, flags=re.MULTILINE)
        if rows is not None and not expected and "print(" in block:
            expected = rows.splitlines()
        else:
            assert len(expected) == block.count("print("), f"{self.name}: what does it print?\n{block}"
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(block, self.name, "exec"), self.names)
        assert printed.getvalue().splitlines() == expected, f"{self.name}: it prints\n{printed.getvalue()}"

    def _console(self, block: str) -> None:
        """Run the lines that begin with ``$``, and compare what they print with the lines below, if there are any."""
        for command, shown in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE):
            program, *words = shlex.split(command.replace("\\\n", " "))
            assert program == "numpy-elmo", command
            printed = io.StringIO()
            with redirect_stdout(printed):
                assert main(words) == 0, command
            if shown.strip():
                assert printed.getvalue().strip() == shown.strip(), command


def test_every_page_has_a_place_in_the_contents() -> None:
    contents = re.findall(r"^[\w-]+$", (ROOT / "docs" / "index.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {f"docs/{name}.md" for name in contents} | {"README.md", "docs/index.md"} == set(PAGES)


def test_quoted_source_is_what_the_files_hold(tmp_path: Path) -> None:
    """``docs/quote_sources.py --check`` passes, fails on a copy that differs, and its filling repairs that copy."""
    for folder in ("docs", "numpy_elmo"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.png", "__pycache__", "_build")
        )
    script, page = [sys.executable, str(tmp_path / "docs/quote_sources.py")], tmp_path / "docs/file-format.md"

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run([*script, *words], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    # What the script would not recognise, it would not check.
    comment = r"^<!-- source: \S+( \S+)?( without-docstring)? -->\n```py$"
    for path in ROOT.glob("docs/*.md"):
        text = path.read_text(encoding="utf-8")
        assert len(re.findall(comment, text, FLAGS)) == len(re.findall("^<!-- source", text, FLAGS)), path
    assert run("--check") == (0, "")
    before = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r"^```py\n.*?^```\n", "", before, count=1, flags=re.DOTALL | re.MULTILINE), encoding="utf-8")
    status, message = run("--check")
    assert status == 1
    assert "the source that file-format.md quotes has changed; run python docs/quote_sources.py" in message
    assert run() == (0, "")
    assert page.read_text(encoding="utf-8") == before


def slow_pages() -> list[Any]:
    """Mark the pages that need a library of ``[dev]``."""
    slow = [name for name in PAGES if NEED_DEV.search((ROOT / name).read_text(encoding="utf-8"))]
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in PAGES]


@pytest.mark.parametrize("name", slow_pages())
# Parts of the libraries behind the interfaces warn of each other.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for file_name, contents in FILES.items():
        (tmp_path / file_name).write_text(contents, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "docs")  # of pico_elmo
    monkeypatch.setenv("NUMPY_ELMO_CACHE", str(tmp_path / "cache"))
    if name == "docs/file-format.md":
        (tmp_path / "model.tar.gz").write_bytes((ROOT / "tests/fixtures/allennlp_files/model.tar.gz").read_bytes())
    if name == "docs/gallery.md":
        for path in (ROOT / "weights" / "senses.json", *(ROOT / "docs" / "examples" / "change").iterdir()):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    if name == "docs/proteins.md":  # a made model with vectors of SeqVec's length in the place of SeqVec
        (tmp_path / "proteins.fasta").write_text(text.split("```text\n")[1].split("```")[0], encoding="utf-8")
        write_model(tmp_path / "seqvec", Recipe(options({"lstm/projection_dim": 512, "lstm/dim": 512}), seed=5))
    # What a page puts into the place of other modules goes away with it.
    monkeypatch.setattr(sys, "modules", sys.modules)
    before = dict(sys.modules)
    page = Page(name)
    for found in BLOCK.finditer(text):
        kind, block, rows = found.groups()
        if kind != "text":
            page.run(kind, block, rows, text[: found.start()].count("\n"))
    for alias in sys.modules.keys() - before.keys():
        if alias.split(".")[0] == "allennlp":
            del sys.modules[alias]


def test_the_gallery_has_six_tasks_of_at_most_fifteen_lines() -> None:
    text = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    blocks = [block for kind, block, _ in BLOCK.findall(text) if kind == "python"]
    assert len(blocks) == len(re.findall(r"^## ", text, flags=re.MULTILINE)) == 6
    assert [block for block in blocks if len(block.splitlines()) > 15] == []
    assert [line for block in blocks for line in block.splitlines() if len(line) > 88] == []


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_whole_in_a_markdown_viewer(name: str) -> None:
    """No directive is shown as text, every picture exists, and no line of code is wider than the column."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name != "docs/api.md":  # it says that it needs to be built
        assert not re.findall(r"^ *(?:`{3,}|~{3,}|:{3,})\{.*|^\.\. \w+::.*|\{\w+\}`.*", text, flags=re.MULTILINE)
    pictures = re.findall(r'(?:src|srcset)="(.+?)"|!\[.*?\]\((.+?)\)', text)
    assert [
        path for pair in pictures for path in pair if path and not (ROOT / name).parent.joinpath(path).exists()
    ] == []
    fences = re.findall(
        r"^( *)```[^`\n]*\n(.*?)^\1```$", re.sub("<!-- ci:.*?```.*?```", "", text, flags=re.DOTALL), FLAGS
    )
    assert [line for _, fence in fences for line in fence.splitlines() if len(line) > COLUMNS] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book, built as the README says, without a warning."""
    folder = tmp_path_factory.mktemp("site")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [words] = re.findall(r"^ *\.venv/bin/python (-m sphinx .*) docs/_build$", readme, flags=re.MULTILINE)
    done = subprocess.run(
        [sys.executable, *shlex.split(words), str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.mark.slow
def test_the_site_is_complete_by_itself(site: Path) -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in site.glob("*.html")}
    assert {Path(name).stem for name in PAGES} - {"README"} <= pages.keys()
    assert "_update_cell" in pages["line-by-line"]  # the source is in it
    for page in pages.values():
        assert "<picture" not in page  # each is two images, and the theme's switch chooses one
        assert not re.findall(r'(?:src|srcset|<link[^>]* href)="(?:https?:)?//[^"]*"', page)
        assert not re.findall(
            r"https?://[^\s\"']*\.(?:js|css|woff2?)\b", re.sub("<pre>.*?</pre>", "", page, flags=re.DOTALL)
        )


@pytest.mark.slow
def test_a_formula_is_drawn_or_fails_the_build(tmp_path: Path) -> None:
    """The converter of docutils is called provisional, so this pins what the book needs of it."""
    source, index = tmp_path / "source", tmp_path / "source" / "index.rst"
    source.mkdir()
    conf = (
        f"import sys\nsys.path.append({str(ROOT / 'docs')!r})\nextensions = ['mathml']\nhtml_math_renderer = 'mathml'\n"
    )
    (source / "conf.py").write_text(conf, encoding="utf-8")

    def build(formula: str) -> tuple[int, str, list[ElementTree.Element]]:
        index.write_text(f"Title\n=====\n\n.. math::\n\n   {formula}\n", encoding="utf-8")
        command = [sys.executable, "-m", "sphinx", "-q", "-E", str(source), str(tmp_path / "html")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        page = (tmp_path / "html" / "index.html").read_text(encoding="utf-8") if done.returncode == 0 else ""
        found = re.findall(r"<math.*?</math>", page.replace("&ApplyFunction;", "\u2061"), flags=re.DOTALL)
        return done.returncode, done.stderr, [ElementTree.fromstring(formula) for formula in found]

    status, errors, [formula] = build(
        r"y_k &= \phi\Bigl(\max_{1 \le t \le C} \; b_k + \sum_{s=1}^{w} W_{s,:,k} \cdot e_{t+s-1}\Bigr) \\ "
        r"h_t &= \mathrm{clip}\bigl(\tanh(c_t) \odot x_1 \dots x_n, \pm\mathrm{cell\_clip}\bigr), "
        r"\qquad \gamma = \frac{1}{n}"
    )
    assert (status, errors, formula.get("display")) == (0, "", "block")
    names = [element.tag.rpartition("}")[2] for element in formula.iter()]
    rows = [["".join(cell.itertext()) for cell in row] for row in formula[0]]
    compact = [[re.sub(r"\s|\u2061", "", cell) for cell in row] for row in rows]
    assert compact == [["yk", "=ϕ(max1≤t≤Cbk+∑s=1wWs,∶,k⋅et+s−1)"], ["ht", "=clip(tanh(ct)⊙x1…xn,±cell_clip),γ=1n"]]
    assert {name: names.count(name) for name in ("munder", "munderover", "msub", "mfrac", "mspace")} == {
        "munder": 1,
        "munderover": 1,
        "msub": 8,
        "mfrac": 1,
        "mspace": 2,
    }
    status, errors, _ = build(r"\unheardof{x}")
    assert status != 0
    assert re.search(r"index\.rst:4: cannot draw .*unheardof.*Unknown LaTeX command", errors)


# What is wrong with a page in a browser: a list of texts.  The argument says whether no code may need to scroll.
WHOLE = r"""
const problems = [], root = document.documentElement, name = (e) => e.outerHTML.slice(0, 100);
const scrolls = (e) => !e.matches("article, [role=main]")
  && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
if (root.scrollWidth > root.clientWidth) problems.push("the page scrolls sideways");
for (const e of document.querySelectorAll("article *")) {
  const box = e.getBoundingClientRect();
  if (box.width && box.right > root.clientWidth + 1 && !scrolls(e)) problems.push("beyond the edge: " + name(e));
}
for (const e of document.querySelectorAll("math")) {
  const box = e.getBoundingClientRect();
  if (box.width < 3 || box.height < 5) problems.push("not drawn: " + name(e));
  if (e.querySelector("merror")) problems.push("an error in a formula: " + name(e));
}
for (const e of document.querySelectorAll("mtable.ams-align mtd:nth-child(odd):not(:only-child)"))
  if (e.getBoundingClientRect().right - e.lastElementChild.getBoundingClientRect().right > 2)
    problems.push("not aligned: " + name(e));
if (arguments[0]) for (const e of document.querySelectorAll("article pre"))
  if (e.scrollWidth > e.clientWidth) problems.push("wider than the column: " + e.innerText.slice(0, 100));
for (const e of document.images) if (!e.naturalWidth) problems.push("no picture: " + e.src);
for (const e of document.querySelectorAll("img.only-light, img.only-dark"))
  if (e.checkVisibility() !== matchMedia(`(prefers-color-scheme: ${e.className.match(/light|dark/)})`).matches)
    problems.push("the other theme's picture: " + e.src);
for (const font of document.fonts) if (font.status === "error") problems.push("no font: " + font.family);
return problems;
"""


@pytest.mark.slow
def test_every_page_is_whole_in_a_browser_without_a_network(site: Path, tmp_path: Path) -> None:
    browser = Chromium(tmp_path)
    command = browser.driver.execute_cdp_cmd
    command("DOM.enable", {}), command("CSS.enable", {}), browser.requests()
    problems, fonts = [], {}
    for page, width, scheme in product(sorted(site.glob("*.html")), (1280, 390), ("light", "dark")):
        browser.open(page.as_uri(), width, scheme)
        problems += [f"{page.stem}, {width} pixels, {scheme}: {text}" for text in browser.run(WHOLE, width == 1280)]
        root = command("DOM.getDocument", {"depth": 0})["root"]["nodeId"]
        for formula in command("DOM.querySelectorAll", {"nodeId": root, "selector": "math"})["nodeIds"]:
            for font in command("CSS.getPlatformFontsForNode", {"nodeId": formula})["fonts"]:
                fonts[font["familyName"], font["isCustomFont"]] = page.stem
    asked = [url for url in browser.requests() if not url.startswith(("file:", "data:"))]
    console = browser.console()
    browser.driver.quit()
    assert (problems, asked, console) == ([], [], [])
    assert fonts.keys() == {("STIX Two Math", True)}, fonts
