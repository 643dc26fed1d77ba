"""``numpy-elmo explore``: a local page that shows what a model sees, served or as one file."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Iterator
from math import prod
from pathlib import PurePath
from typing import TYPE_CHECKING

from numpy_elmo import analysis
from numpy_elmo.cli.common import (
    SubParsers,
    add_reading_arguments,
    add_softmax_arguments,
    load_language_model,
    model_files,
    say,
    text_inputs,
    with_flags,
)
from numpy_elmo.cli.progress import progress
from numpy_elmo.corpus.inputs import STDIN
from numpy_elmo.elmo import CorpusReport, load
from numpy_elmo.errors import ElmoError, InputError, ModelNotFoundError
from numpy_elmo.files.find import find_model
from numpy_elmo.files.weights import expected_shapes
from numpy_elmo.files.writing import check_target, new_file, output_errors
from numpy_elmo.language_model.files import W, find_softmax, find_vocabulary

if TYPE_CHECKING:  # the other commands do without a server
    from numpy_elmo.analysis.explore import Explorer, Json

SENTENCE = "We sat on the bank of the river and watched the boats ."
COMPARE = "The bank refused to lend him any more money ."
WORD = "bank"


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explore",
        help="show in a local page what a model sees",
        description="Open a page in the browser: similarities, expected words, gates, the occurrences of a word in a "
        "corpus and the nearest ones.  The page is served on this machine only and loads nothing from the network.  "
        "Ctrl-C ends it.",
    )
    parser.add_argument("--html", metavar="FILE", help="write the page with a view inside to this file instead")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--sentence", metavar="TEXT", help="first sentence")
    parser.add_argument("--compare", metavar="TEXT", help="sentence to compare it with")
    parser.add_argument("--word", metavar="WORD", help="token of the sentence to select; without a sentence, its first")
    parser.add_argument("--corpus", metavar="FILE", help="text for occurrences and neighbours (320 built-in sentences)")
    parser.add_argument("--port", type=int, default=8765, metavar="N", help="port, or the next one that is free (8765)")
    parser.add_argument("--no-browser", action="store_true", help="print the address without opening a browser")
    add_softmax_arguments(parser)
    add_reading_arguments(parser)
    parser.set_defaults(run=run)


class _Corpus:
    """The sentences of the corpus, read from the file on each iteration."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self.name = PurePath(arguments.corpus).name if arguments.corpus else "built-in examples"
        self._kept = None if arguments.corpus not in (None, STDIN) else list(self._read())

    def __iter__(self) -> Iterator[list[str]]:
        return self._read() if self._kept is None else iter(self._kept)

    def _read(self) -> Iterator[list[str]]:
        if self._arguments.corpus is None:
            return iter(analysis.explore.example_sentences())
        return (sentence.tokens for sentence in text_inputs(self._arguments, [self._arguments.corpus]))


def run(arguments: argparse.Namespace) -> int:
    """Serve the page, or write it."""
    if arguments.html is not None:
        corpus_file = () if arguments.corpus is None else (arguments.corpus,)
        check_target(arguments.html, overwrite=arguments.overwrite, inputs=(*corpus_file, *model_files(arguments)))
    corpus = _Corpus(arguments)
    explorer = _load(arguments, corpus)
    if arguments.html is not None:
        _read_corpus(explorer, corpus)
        page = explorer.page(explorer.view).encode("utf-8", "replace")
        with new_file(arguments.html, overwrite=arguments.overwrite) as partial, output_errors(arguments.html):
            partial.write_bytes(page)
        print(arguments.html)
        return 0
    server = analysis.explore.Server(explorer, arguments.port)
    if arguments.port not in (0, server.server_port):
        say(f"port {arguments.port} is taken; this is port {server.server_port}")
    threading.Thread(target=_index, args=(explorer, corpus, arguments), daemon=True).start()
    print(server.url, flush=True)
    say("Ctrl-C ends it")
    if not arguments.no_browser and _has_screen():
        threading.Thread(target=_open, args=(server.url,), daemon=True).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("ended")
    finally:
        server.server_close()
    return 0


def _load(arguments: argparse.Namespace, corpus: _Corpus) -> Explorer:
    """Print the size of the model and its softmax, if it has one, and load them."""
    view = _first_view(arguments, corpus)
    files = find_model(arguments.model, arguments.options_file)
    n_bytes = 4 * sum(map(prod, expected_shapes(files.options).values()))
    say(f"loading {files.name}: {n_bytes / 1e6:,.0f} MB in memory")
    about = {"name": arguments.model, "corpus": corpus.name, "view": view}
    try:
        softmax = find_softmax(files, arguments.softmax)
        find_vocabulary(files, arguments.vocabulary, arguments.softmax)
    except ModelNotFoundError as error:
        if arguments.softmax is not None or arguments.vocabulary is not None:
            raise
        return analysis.explore.Explorer(load(files), no_words=with_flags(error, arguments), **about)
    with softmax.open_file() as opened:
        n_words, width = opened.shape(W) or (0, 0)
    where = "read from the disk" if arguments.on_disk else f"{4 * n_words * width / 1e6:,.0f} MB in memory"
    say(f"loading {softmax.name}: {n_words:,} words, {where}")
    model = load_language_model(arguments)
    return analysis.explore.Explorer(model.elmo, language_model=model, **about)


def _first_view(arguments: argparse.Namespace, corpus: _Corpus) -> Json:
    """Return the first view of the page: that of the arguments, or a sentence of the corpus."""
    other, word = arguments.compare or "", arguments.word or ""
    if arguments.sentence is not None:
        return analysis.explore.start(arguments.sentence, other, word)
    if arguments.corpus is None and not word:
        return analysis.explore.start(SENTENCE, other or COMPARE, WORD)
    for tokens in corpus:
        if 0 < len(tokens) <= analysis.explore.MAX_TOKENS and (not word or word in tokens):
            return analysis.explore.start(tokens, other, word)
    what = f"with {word!r}" if word else f"of 1 to {analysis.explore.MAX_TOKENS} tokens"
    raise InputError(f"{corpus.name} has no sentence {what}; give the sentence with --sentence")


def _read_corpus(explorer: Explorer, corpus: _Corpus) -> None:
    """Index the corpus, and show the progress on the page and in the terminal."""
    with progress() as show:

        def both(done: CorpusReport, total: CorpusReport) -> None:
            show(done, total)
            explorer.waiting_for = (
                f"the corpus is read for the first time: {done.n_tokens:,} of {total.n_tokens:,} tokens"
            )

        explorer.waiting_for = "the corpus is being read"
        explorer.index = analysis.explore.corpus_index(explorer.elmo, corpus, progress=both)


def _index(explorer: Explorer, corpus: _Corpus, arguments: argparse.Namespace) -> None:
    try:
        _read_corpus(explorer, corpus)
    except ElmoError as error:
        explorer.waiting_for = with_flags(error, arguments)
        say(f"numpy-elmo: error: {explorer.waiting_for}")


def _open(url: str) -> None:
    import webbrowser  # noqa: PLC0415  # the other commands do without it

    webbrowser.open(url)


def _has_screen() -> bool:
    """Say whether a browser can open a window; otherwise it may take over the terminal."""
    return not sys.platform.startswith("linux") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
