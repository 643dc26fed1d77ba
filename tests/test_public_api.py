"""Whatever is given where tokens, counts and paths belong: the right answer or an error of numpy_elmo, never silence.

The walk finds the public functions and methods by their parameters, so that a new one is tried when it is there.
"""

from __future__ import annotations

import inspect
import io
import math
import pathlib
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import numpy_elmo
from numpy_elmo import corpus
from numpy_elmo.analysis.neighbors import NeighborIndex, build_index
from numpy_elmo.analysis.pairs import read_pairs
from numpy_elmo.analysis.plots import similarity
from numpy_elmo.analysis.spans import occurrences
from numpy_elmo.corpus import token_vectors
from numpy_elmo.errors import ElmoError
from tests.agreement.tensorflow_outputs import FIXTURES

MODULES = [
    "numpy_elmo",
    "numpy_elmo.corpus",
    "numpy_elmo.analysis.neighbors",
    "numpy_elmo.analysis.pairs",
    "numpy_elmo.analysis.plots",
    "numpy_elmo.analysis.spans",
    "numpy_elmo.analysis.views",
    "numpy_elmo.interfaces.allennlp",
    "numpy_elmo.interfaces.bilm",
    "numpy_elmo.interfaces.hub",
    "numpy_elmo.interfaces.seqvec",
    "numpy_elmo.interfaces.simple_elmo",
    "numpy_elmo.interfaces.sklearn",
]
BASE = FIXTURES / "base"
LANGUAGE_MODEL = FIXTURES / "language_model"
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
PATHS: list[Any] = [None, 3, math.nan, ["a"], {"a"}, FRAME, b"a", "a\0b", "a\ud800b", io.StringIO("a")]

# Parameters that are paths, and what is in the folder for them; "new": a file to make.
FILES = {
    "path": "new",
    "source": "base",
    "options": "base/options.json",
    "options_file": "base/options.json",
    "weight_file": "base/weights.hdf5",
    "weights_file": "base/weights.hdf5",
    "lm_vocab_file": "vocab.txt",
    "vocab_file": "vocab.txt",
    "softmax": "lm/softmax_weights.hdf5",
    "filename": "vocab.txt",
    "dataset_file": "in.txt",
    "outfile": "new",
    "directory": "base",
    "input": "in.fasta",
    "output": "new.npz",
    "dest": "new",
    "read_sentences.path": "in.txt",
    "read_conllu.path": "in.conllu",
    "read_word2vec.path": "words.txt",
    "read_pairs.path": "pairs.jsonl",
    "load_embeddings.path": "v.npz",
    "NeighborIndex.path": "index.hdf5",
    "save.path": "new.png",
    "LanguageModel.load.model": "lm",
    "LanguageModel.load.vocabulary": "vocab.txt",
    "LanguageModel.load.options": "lm/options.json",
}

BAD: dict[str, list[Any]] = {
    **dict.fromkeys(["sentences", "corpus", "batch"], SENTENCES),
    **dict.fromkeys(["tokens", "vocabulary", "words", "vocab_to_cache"], TOKENS),
    **dict.fromkeys(["X", "texts"], TEXTS),
    **dict.fromkeys(
        [
            *("batch_size", "window", "k", "n_units", "max_batch_size", "max_token_length", "max_word_length", "topn"),
            *("max_tokens", "top_k", "batch_residues", "num_output_representations", "mixture_size", "max_characters"),
        ],
        COUNTS,
    ),
    "layer": [1.5, "2", None, True, math.nan, 99, -99],
    **dict.fromkeys([name for name in FILES if "." not in name], PATHS),
}

OPTIONAL = ("load", "LanguageModel.load")

# Parameters of these names that mean something else, or whose None or other value is documented.
ALLOWED: dict[str, list[Any]] = {
    **{
        f"LanguageModel.{method}.vocabulary": [None, 3]
        for method in ("next_words", "previous_words", "log_probs", "substitutes", "surprisal", "sample", "perplexity")
    },
    "LanguageModel.restrict.vocabulary": [3],
    "LanguageModel.sample.max_tokens": [0],
    "LanguageModel.sample.top_k": [None],
    "allennlp:Elmo.vocab_to_cache": [None],
    **{f"allennlp:Elmo.{part}": [None] for part in ("options_file", "weight_file")},
    **{f"SeqVecEmbedder.{part}": [None] for part in ("options_file", "weights_file")},
    **{f"{name}.{part}": [None] for name in OPTIONAL for part in ("options", "softmax", "vocabulary")},
    "ElmoVectorizer.fit.X": TEXTS,  # the texts are not read
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Values for the parameters of each name, with which every call succeeds but for the one that is tried."""
    elmo = numpy_elmo.load(BASE)
    folder = tmp_path_factory.mktemp("good")
    sentences = [["rain", "fell"], ["the", "sun", "shone"], ["rain", "fell"], ["more", "rain"]]
    (folder / "base").symlink_to(BASE)
    (folder / "lm").symlink_to(LANGUAGE_MODEL)
    (folder / "vocab.txt").symlink_to(LANGUAGE_MODEL / "vocab.txt")
    (folder / "in.txt").write_text("rain fell\n")
    (folder / "in.fasta").write_text(">a\nMKT\n")
    (folder / "in.conllu").write_text("1\train" + "\t_" * 8 + "\n")
    (folder / "pairs.jsonl").write_text('{"sentence_good": "rain fell .", "sentence_bad": "rain fall ."}\n')
    corpus.write_npz(folder / "v.npz", [np.zeros((2, 3))])
    corpus.write_word2vec(folder / "words.txt", token_vectors(elmo, ["rain"]))
    build_index(folder / "index.hdf5", elmo, sentences)
    return {
        "folder": folder,
        "figure": similarity(elmo, ["rain", "fell"]),
        "source": BASE,
        "load.source": BASE / "weights.hdf5",
        "load.options": BASE / "options.json",
        "SeqVecEmbedder.options_file": BASE / "options.json",
        "SeqVecEmbedder.weights_file": BASE / "weights.hdf5",
        "ElmoEmbedder.options_file": BASE / "options.json",
        "ElmoEmbedder.weight_file": BASE / "weights.hdf5",
        "LanguageModel.load.model": LANGUAGE_MODEL,
        "options_file": BASE / "options.json",
        "weight_file": BASE / "weights.hdf5",
        "vocab_file": LANGUAGE_MODEL / "vocab.txt",
        "lm_vocab_file": LANGUAGE_MODEL / "vocab.txt",
        "filename": LANGUAGE_MODEL / "vocab.txt",
        "dataset_file": folder / "in.txt",
        "outfile": folder / "out.hdf5",
        "directory": BASE,
        "input": folder / "in.fasta",
        "embed_fasta.model": elmo,
        "max_word_length": 50,
        "max_token_length": 50,
        "num_output_representations": 1,
        "mixture_size": 3,
        "places": [(0, 0)],
        "raw_sentences": ["rain fell"],
        "pairs": read_pairs(folder / "pairs.jsonl"),
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
    seen: set[Any] = set()
    for module_name in MODULES:
        module = import_module(module_name)
        names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
        for name in names:
            item = getattr(module, name)
            if getattr(item, "__module__", "").startswith(module_name) and callable(item) and item not in seen:
                label = f"{module_name.rpartition('.')[2]}:{name}" if name in seen else name
                seen |= {item, name}
                yield label, item
                if inspect.isclass(item):
                    for method_name, method in inspect.getmembers(item, callable):
                        if method_name == "__call__" or not method_name.startswith("_"):
                            yield f"{label}.{method_name}", method


# Tried by the tests of their own modules: they need a file, a figure or an object that was made before.
ELSEWHERE = {
    "CorpusReport.add",
    "Elmo",
    "ElmoEmbedder.embed_file",
    "EmbeddingFile",
    "Module.gradient",
    "Neighbor",
    "Outputs",
    "ElmoModel.get_elmo_substitutes",
    "ElmoModel.warmup",
    "ElmoVectorizer",  # as scikit-learn wants it, its parameters are looked at by fit
    "LanguageModel",
    "NeighborIndex.check",
    "NeighborIndex.search",
    "SeqVecEmbedder.embed_batch",
    "SeqVecEmbedder.embed_many",
    "VectorFile.write",
    "WordVectors",
    "download",
}


PUBLIC = dict(public())


def tried() -> Iterator[tuple[str, str]]:
    for name, function in PUBLIC.items():
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            continue
        yield from (
            (name, parameter)
            for parameter, description in parameters.items()
            if parameter in BAD and name not in ELSEWHERE and description.kind is not description.VAR_KEYWORD
        )


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
        "NeighborIndex": lambda: NeighborIndex(good["folder"] / "index.hdf5"),
        "Batcher": lambda: bilm.Batcher(vocabulary, 50),
        "TokenBatcher": lambda: bilm.TokenBatcher(vocabulary),
    }
    found: Any = made[owner]() if owner in made else None
    if owner == "ElmoModel":
        found.load(str(BASE))
    return found


def call(name: str, parameter: str, value: Any, good: dict[str, Any]) -> Any:
    """Call a public function with one bad argument, and run what it returns if that is lazy."""
    owner, _, method = name.rpartition(".")
    function = PUBLIC[name]
    if owner and not inspect.ismethod(function):
        made = instance(owner, good)
        if made is None:
            raise LookupError(f"say how to make {owner}")
        function = getattr(made, method)
    arguments = {}
    for other, description in inspect.signature(function).parameters.items():
        if other == parameter:
            arguments[other] = value
        elif f"{name}.{other}" in good:
            arguments[other] = good[f"{name}.{other}"]
        elif other in ("dest", "output"):
            arguments[other] = good["folder"] / f"new{time.monotonic_ns()}.npz"
        elif description.default is description.empty and description.kind not in (
            description.VAR_POSITIONAL,
            description.VAR_KEYWORD,
        ):
            if other not in good:
                raise LookupError(f"give a good value for {other}")
            arguments[other] = good[other]
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


COUNTED = [
    (name, parameter) for name, parameter in sorted(set(tried())) if parameter == "layer" or BAD[parameter] is COUNTS
]


@pytest.mark.parametrize(("name", "parameter"), COUNTED)
def test_counts_are_integers_of_any_kind(name: str, parameter: str, good: dict[str, Any]) -> None:
    number = {"max_token_length": 50, "max_word_length": 50, "max_characters": 50, "layer": -1}.get(parameter, 1)
    for kind in (np.int64, np.int8, np.array, lambda value: pd.Series([value])[0]):
        good["path"].unlink(missing_ok=True)
        call(name, parameter, kind(number), good)


@pytest.mark.parametrize(
    ("name", "parameter"), [pair for pair in sorted(set(tried())) if BAD[pair[1]] is PATHS or ".".join(pair) in FILES]
)
def test_paths_are_strings_paths_and_home(
    name: str, parameter: str, good: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(good["folder"]))
    monkeypatch.chdir(good["folder"])
    there = FILES.get(f"{name}.{parameter}", FILES.get(parameter, ""))
    for k, kind in enumerate((str, Path, np.str_, pathlib.PurePosixPath)):
        new = f"{name}-{parameter}-{k}".replace(":", "-")
        made = call(name, parameter, kind(f"~/{there.replace('new', new)}"), good)
        if isinstance(made, corpus.VectorFile):
            made.__exit__(None, None, None)
        assert not there.startswith("new") or (good["folder"] / there.replace("new", new)).exists()


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
    assert places == [(0, 0), (2, 0), (3, 1)]


def test_a_home_that_is_not_there_is_an_error_and_files_are_found_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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
