"""Whatever is given where tokens, counts and paths belong: the right answer or an error of numpy_elmo, never silence.

The walk finds the public functions and methods by their parameters, so that a new one is tried when it is there.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import numpy_elmo
from numpy_elmo import corpus
from numpy_elmo.analysis.spans import occurrences
from numpy_elmo.corpus import token_vectors
from numpy_elmo.errors import ElmoError
from tests.agreement.tensorflow_outputs import FIXTURES

MODULES = [
    "numpy_elmo",
    "numpy_elmo.corpus",
    "numpy_elmo.analysis.neighbors",
    "numpy_elmo.analysis.plots",
    "numpy_elmo.analysis.spans",
    "numpy_elmo.analysis.views",
    "numpy_elmo.interfaces.allennlp",
    "numpy_elmo.interfaces.bilm",
    "numpy_elmo.interfaces.hub",
    "numpy_elmo.interfaces.simple_elmo",
    "numpy_elmo.interfaces.sklearn",
]
BASE = FIXTURES / "base"
FRAME = pd.DataFrame({"text": ["rain fell", "sun shone"], "n": [1, 2]})

# What each kind of parameter must not be, and the values of those that may be anything else.
TOKENS = [
    "rain fell",
    {"rain", "fell"},
    {"rain": 1},
    math.nan,
    None,
    FRAME,
    3,
    [math.nan],
    [None],
    ["rain", 3],
    b"rain",
]
SENTENCES: list[Any] = [
    "rain fell",
    ["rain fell"],
    {("rain", "fell")},
    [{"rain", "fell"}],
    math.nan,
    None,
    [None],
    [math.nan],
    FRAME,
    [["rain", math.nan]],
    [["rain"], "fell"],
    3,
]
TEXTS: list[Any] = ["rain fell", {"rain fell"}, {"rain fell": 1}, math.nan, None, FRAME, [None], [math.nan], 3]
COUNTS: list[Any] = [0, -1, 1.5, "2", None, True, math.nan]
PATHS: list[Any] = [None, 3, math.nan, ["a"], {"a"}, FRAME]

BAD: dict[str, list[Any]] = {
    **dict.fromkeys(["sentences", "corpus", "batch"], SENTENCES),
    **dict.fromkeys(["tokens", "vocabulary", "words", "vocab_to_cache"], TOKENS),
    **dict.fromkeys(["X", "texts"], TEXTS),
    **dict.fromkeys(["batch_size", "window", "k", "n_units", "max_batch_size", "max_token_length"], COUNTS),
    "path": PATHS,
}

# Parameters of these names that mean something else, or whose None or other value is documented.
ALLOWED: dict[str, list[Any]] = {
    **{
        f"LanguageModel.{method}.vocabulary": [None, 3]
        for method in ("next_words", "previous_words", "log_probs", "substitutes", "surprisal", "sample", "perplexity")
    },
    "LanguageModel.restrict.vocabulary": [3],
    "ElmoVectorizer.fit.X": TEXTS,  # the texts are not read
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Values for the parameters of each name, with which every call succeeds but for the one that is tried."""
    elmo = numpy_elmo.load(BASE)
    folder = tmp_path_factory.mktemp("good")
    sentences = [["rain", "fell"], ["the", "sun", "shone"], ["rain", "fell"]]
    return {
        "elmo": elmo,
        "sentences": sentences,
        "corpus": sentences,
        "batch": sentences,
        "tokens": ["rain", "fell"],
        "vocabulary": ["rain", "fell"],
        "words": ["rain"],
        "word": "rain",
        "path": folder / "new.hdf5",
        "vectors": elmo.embed(sentences),
        "X": ["rain fell"],
        "model": numpy_elmo.LanguageModel.load(FIXTURES / "language_model"),
        "trace": elmo.trace(["rain", "fell"]),
        "name": "token_vectors",
        "position": 0,
        "points": np.eye(12),
        "write_word2vec.vectors": token_vectors(elmo, ["rain"]),
    }


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every public function and method of the modules."""
    seen = set()
    for module_name in MODULES:
        module = import_module(module_name)
        names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
        for name in names:
            item = getattr(module, name)
            if getattr(item, "__module__", "").startswith(module_name) and callable(item) and item not in seen:
                seen.add(item)
                if inspect.isclass(item):
                    for method_name, method in inspect.getmembers(item, callable):
                        if method_name == "__call__" or not method_name.startswith("_"):
                            yield f"{name}.{method_name}", method
                else:
                    yield name, item


# Tried by the tests of their own modules: they need a file, a figure or an object that was made before.
ELSEWHERE = {
    "ElmoEmbedder.embed_file",
    "ElmoModel.load",
    "ElmoModel.warmup",
    "NeighborIndex.check",
    "NeighborIndex.search",
    "VectorFile.write",
    "save",
}


def tried() -> Iterator[tuple[str, str]]:
    for name, function in public():
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            continue
        yield from ((name, parameter) for parameter in parameters if parameter in BAD and name not in ELSEWHERE)


def instance(owner: str, good: dict[str, Any]) -> Any:
    from numpy_elmo.interfaces import allennlp, bilm, hub, simple_elmo, sklearn  # noqa: PLC0415 -- needs scikit-learn

    vocabulary = str(FIXTURES / "language_model" / "vocab.txt")
    made: dict[str, Callable[[], Any]] = {
        "Elmo": lambda: good["elmo"],
        "LanguageModel": lambda: good["model"],
        "ElmoEmbedder": lambda: allennlp.ElmoEmbedder(BASE / "options.json", BASE / "weights.hdf5"),
        "ElmoModel": simple_elmo.ElmoModel,
        "ElmoVectorizer": lambda: sklearn.ElmoVectorizer(BASE),
        "Module": lambda: hub.Module(BASE),
        "Batcher": lambda: bilm.Batcher(vocabulary, 50),
        "TokenBatcher": lambda: bilm.TokenBatcher(vocabulary),
    }
    found: Any = made[owner]() if owner in made else None
    if owner == "ElmoModel":
        found.load(str(BASE))
    return found


def call(name: str, parameter: str, value: Any, good: dict[str, Any]) -> Any:
    """Call a public function with one bad argument, and run what it returns if that is lazy."""
    functions = dict(public())
    owner, _, method = name.rpartition(".")
    function = functions[name]
    if owner and not inspect.ismethod(function):
        made = instance(owner, good)
        if made is None:
            raise LookupError(f"say how to make {owner}")
        function = getattr(made, method)
    arguments = {}
    for other, description in inspect.signature(function).parameters.items():
        if other == parameter:
            arguments[other] = value
        elif description.default is description.empty and description.kind not in (
            description.VAR_POSITIONAL,
            description.VAR_KEYWORD,
        ):
            key = f"{name}.{other}" if f"{name}.{other}" in good else other
            if key not in good:
                raise LookupError(f"give a good value for {other}")
            arguments[other] = good[key]
    found = function(**arguments)
    return list(found) if isinstance(found, Iterator) else found


def test_the_walk_finds_the_entries() -> None:
    found = set(tried())
    assert {
        ("Elmo.embed", "sentences"),
        ("Elmo.embed_corpus", "window"),
        ("Elmo.trace", "tokens"),
        ("LanguageModel.perplexity", "sentences"),
        ("build_index", "sentences"),
        ("occurrences", "sentences"),
        ("type_vectors", "corpus"),
        ("token_vectors", "vocabulary"),
        ("load_embeddings", "path"),
        ("read_sentences", "path"),
        ("next_words", "k"),
        ("ElmoVectorizer.transform", "X"),
        ("batch_to_ids", "batch"),
    } <= found
    assert len(found) > 40


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "parameter"), sorted(set(tried())))
def test_nothing_wrong_is_taken_in_silence(name: str, parameter: str, good: dict[str, Any]) -> None:
    taken = []
    for value in BAD[parameter]:
        if any(value is allowed for allowed in ALLOWED.get(f"{name}.{parameter}", [])):
            continue
        try:
            found = call(name, parameter, value, good)
        except ElmoError:
            continue
        except Exception as error:
            found = error
        taken.append(f"{name}({parameter}={value!r:.40}) -> {found!r:.120}")
    assert not taken, "\n".join(taken)


@pytest.mark.parametrize("number", [np.int64(2), np.uint8(2), np.int32(2), np.array(2)])
def test_numbers_of_numpy_are_counts(number: Any, good: dict[str, Any]) -> None:
    elmo, sentences = good["elmo"], good["sentences"]
    expected = elmo.embed(sentences)
    for found in (
        elmo.embed(sentences, batch_size=number),
        list(elmo.embed_corpus(sentences, batch_size=number, window=number)),
    ):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)
    assert len(good["model"].next_words(["the"], number)) == 2


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, iter, lambda tokens: (token for token in tokens)])
def test_sentences_are_any_ordered_iterables_of_strings(kind: Callable[[Any], Any], good: dict[str, Any]) -> None:
    elmo, sentences = good["elmo"], good["sentences"]
    for a, b in zip(elmo.embed(kind(sentence) for sentence in sentences), elmo.embed(sentences), strict=True):
        np.testing.assert_array_equal(a, b)
    places = list(occurrences((kind(sentence) for sentence in sentences), "rain"))
    assert places == [(0, 0), (2, 0)]


def test_paths_are_strings_paths_and_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(BASE)
    (tmp_path / "t.txt").write_text("rain fell\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("~/model", Path("~/model"), str(tmp_path / "model"), tmp_path / "model"):
        assert numpy_elmo.load(path).vector_size == 16
    for path in ("~/t.txt", Path("~/t.txt")):
        assert list(corpus.read_sentences(path)) == [["rain", "fell"]]
    corpus.write_npz("~/v.npz", [np.zeros((2, 3))])
    with corpus.load_embeddings(Path("~/v.npz")) as embeddings:
        assert len(embeddings) == 1
