"""How long the explorer's page waits for answers: a sentence of 15 tokens, with all panels shown.

    python -m benchmarks explorer [--json FILE] [--model MODEL] [--repeats R]

A server with the built-in corpus gets the requests that the page sends after a key is pressed: the sentence and then,
at the same time, the words expected around one token, its occurrences, their map, the token's place on it and its
nearest occurrences.  Every sentence and every word is new to the server.  The pause of 150 ms after the last key and
the drawing are not included.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from numpy_elmo import LanguageModel
from numpy_elmo.analysis.explore import Explorer, Server, corpus_index, example_sentences

TOKENS = 15


def ask(server: Server, *question: object) -> Any:
    """Send a request like the page's and return the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("POST", "/ask", json.dumps(question), {"X-Key": server.key})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def sentences(n: int) -> list[tuple[str, int]]:
    """Return n sentences of 15 tokens, joined from the corpus, and the place of an ambiguous word in each."""
    corpus = example_sentences()
    made = []
    for k in range(n):
        # The corpus has 16 sentences for each of 20 words; 7 and 20 are coprime, so every word has its turn.
        first = 16 * (7 * k % 20) + k // 20
        words = set(corpus[first]).intersection(*corpus[first - first % 16 : first - first % 16 + 16])
        [word] = words - {"."}
        tokens = [*corpus[first][:-1], *corpus[(first + 55) % 320], *corpus[(first + 111) % 320]][:TOKENS]
        made.append((" ".join(tokens), tokens.index(word)))
    return made


def measure(model: str, repeats: int) -> dict[str, Any]:
    """Time the answers to `repeats` sentences."""
    language_model = LanguageModel.load(model)
    elmo = language_model.elmo
    milliseconds = []
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, NUMPY_ELMO_CACHE=folder),
        corpus_index(elmo, example_sentences()) as index,
        Server(explorer := Explorer(elmo, language_model=language_model), 0) as server,
        ThreadPoolExecutor(5) as pool,
    ):
        explorer.index = index
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for text, at in sentences(repeats + 1):
            start = time.perf_counter()
            tokens = ask(server, "sentence", text, False)["tokens"]
            word, layer = tokens[at], elmo.n_layers
            questions = [("words", tokens, at), ("contexts", word), ("map", word, layer)]
            questions += [("here", word, layer, tokens, at), ("nearest", tokens, at, layer)]
            answers = list(pool.map(lambda question: ask(server, *question), questions))
            milliseconds.append(1000 * (time.perf_counter() - start))
            if errors := [answer["error"] for answer in answers if "error" in answer]:
                raise SystemExit(f"{word}: {errors}")
        server.shutdown()
    timed = milliseconds[1:]  # the first one also fills caches
    return {
        "model": model,
        "tokens": TOKENS,
        "repeats": repeats,
        "median_ms": statistics.median(timed),
        "longest_ms": max(timed),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--model", default="tiny", metavar="MODEL", help="a model with its softmax (tiny)")
    parser.add_argument("--repeats", type=int, default=40, metavar="R", help="sentences (40)")


def main(arguments: argparse.Namespace) -> None:
    """Measure, and print."""
    report = measure(arguments.model, arguments.repeats)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(
        f"{report['repeats']} sentences of {TOKENS} tokens on {report['model']}, {report['cpus']} CPUs: "
        f"median {report['median_ms']:.0f} ms, longest {report['longest_ms']:.0f} ms\n"
    )
