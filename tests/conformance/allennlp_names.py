"""What AllenNLP's tests of ELMo import besides ELMo: a base class, and the classes that make batches of ids."""

from __future__ import annotations

import shutil
import sys
import tempfile
import unittest
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy_elmo.cli
from numpy_elmo.errors import ElmoError
from numpy_elmo.interfaces import allennlp

PADDING_AND_UNKNOWN = ["@@PADDING@@", "@@UNKNOWN@@"]

ADAPTERS = {
    "`AllenNlpTestCase`": "`unittest.TestCase` with the folder of fixtures",
    "`Token`, `TextField`, `Instance`, `Batch`, `BasicIterator`, `Vocabulary`": "lists of tokens and a dict of words",
    "`ELMoTokenCharactersIndexer`, `SingleIdTokenIndexer`": "`batch_to_ids`, and places in that dict",
    "`remove_sentence_boundaries`": "a slice of a tensor",
    "`allennlp.commands.main`": "`numpy-elmo embed --state carry`, and an error if its exit status is not 0",
    "`ElmoTokenEmbedder`": "nothing: it raises an error when it is used",
}


class Token(NamedTuple):
    """A token."""

    text: str


class Vocabulary(dict[str, int]):
    """Words and their numbers, after padding and the unknown word."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        super().__init__((word, k) for k, word in enumerate(dict.fromkeys([*PADDING_AND_UNKNOWN, *words])))

    @classmethod
    def from_instances(cls, instances: Iterable[Instance]) -> Vocabulary:
        """Collect the words of all instances."""
        return cls(token.text for instance in instances for token in instance.field.tokens)

    def get_token_to_index_vocabulary(self, _: str) -> Vocabulary:
        """Return the words: there is one kind."""
        return self


class ELMoTokenCharactersIndexer:
    """Character ids, as `batch_to_ids` makes them."""

    def __init__(self, tokens_to_add: object = None) -> None:
        if tokens_to_add:
            raise NotImplementedError("tokens_to_add")

    def tokens_to_indices(self, tokens: list[Token], _: object, name: str) -> dict[str, list[list[int]]]:
        """Return the ids of some tokens."""
        return {name: allennlp.batch_to_ids([[token.text for token in tokens]])[0].tolist()}

    def as_padded_tensor(
        self, ids: dict[str, list[list[int]]], desired_num_tokens: dict[str, int], **_: object
    ) -> dict[str, Any]:
        """Return ids as a tensor with zeros up to a length."""
        return {name: padded(ids[name], n, 50) for name, n in desired_num_tokens.items()}


class SingleIdTokenIndexer:
    """Places of words in a vocabulary."""

    def tokens_to_indices(self, tokens: list[Token], words: Vocabulary, name: str) -> dict[str, list[int]]:
        """Return the places of some tokens."""
        return {name: [words.get(token.text, 1) for token in tokens]}


class TextField(NamedTuple):
    """Tokens, and what makes numbers of them."""

    tokens: list[Token]
    indexers: dict[str, Any]


class Instance:
    """One sentence."""

    def __init__(self, fields: dict[str, TextField]) -> None:
        [(self.name, self.field)] = fields.items()


class Batch:
    """Sentences that become one tensor per indexer."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._instances = list(instances)
        self._words = Vocabulary()

    def index_instances(self, words: Vocabulary) -> None:
        """Use a vocabulary."""
        self._words = words

    def as_tensor_dict(self) -> dict[str, dict[str, Any]]:
        """Return the tensors."""
        fields = [instance.field for instance in self._instances]
        longest = max(len(field.tokens) for field in fields)
        tensors = {}
        for name, indexer in fields[0].indexers.items():
            rows = [indexer.tokens_to_indices(field.tokens, self._words, name)[name] for field in fields]
            shape = (longest, 50) if isinstance(indexer, ELMoTokenCharactersIndexer) else (longest,)
            tensors[name] = torch().stack([padded(row, *shape) for row in rows])
        return {self._instances[0].name: tensors}


class BasicIterator:
    """Batches of some sentences each, in order."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size

    def index_with(self, words: Vocabulary) -> None:
        """Accept a vocabulary."""

    def __call__(self, instances: list[Instance], **_: object) -> Iterator[dict[str, dict[str, Any]]]:
        """Yield the tensors of each batch."""
        for k in range(0, len(instances), self._batch_size):
            yield Batch(instances[k : k + self._batch_size]).as_tensor_dict()


class ElmoTokenEmbedder:
    """A name that has no counterpart."""

    def __init__(self, *_: object, **__: object) -> None:
        raise NotImplementedError("ElmoTokenEmbedder")


def torch() -> Any:
    """Return PyTorch, which the tests use."""
    import torch as module  # noqa: PLC0415

    return module


def padded(values: list[Any], *shape: int) -> Any:
    """Return a tensor of ids with zeros up to a shape."""
    tensor = torch().zeros(shape, dtype=torch().long)
    tensor[: len(values)] = torch().tensor(values)
    return tensor


def remove_sentence_boundaries(tensor: Any, mask: Any) -> tuple[Any, Any]:
    """Return vectors and mask without the first and the last token of each sentence."""
    inside = mask[:, 2:]
    return tensor[:, 1:-1] * inside.unsqueeze(-1), inside


def command() -> None:
    """Run ``allennlp elmo``, whose words are in `sys.argv`."""
    if numpy_elmo.cli.main(["embed", *sys.argv[2:], "--state", "carry"]):
        raise ElmoError("the command wrote what is wrong to standard error")


def install(folder: Path) -> None:
    """Register the names, with AllenNLP's tests from a folder that holds ``allennlp/tests``."""
    tests = folder / "allennlp" / "tests"

    class AllenNlpTestCase(unittest.TestCase):
        FIXTURES_ROOT = tests / "fixtures"

        def setUp(self) -> None:
            self.TEST_DIR = Path(tempfile.mkdtemp())
            self.addCleanup(shutil.rmtree, self.TEST_DIR)

    allennlp.install()
    indexers: dict[str, object] = {
        "ELMoTokenCharactersIndexer": ELMoTokenCharactersIndexer,
        "SingleIdTokenIndexer": SingleIdTokenIndexer,
    }
    contents: dict[str, dict[str, object]] = {
        "commands": {"main": command},
        "common.testing": {"AllenNlpTestCase": AllenNlpTestCase},
        "data": {"Token": Token, "Vocabulary": Vocabulary, "Instance": Instance},
        "data.dataset": {"Batch": Batch},
        "data.fields": {"TextField": TextField},
        "data.iterators": {"BasicIterator": BasicIterator},
        "data.token_indexers": indexers,
        "data.token_indexers.elmo_indexer": indexers,
        "data.token_indexers.single_id_token_indexer": indexers,
        "modules.token_embedders": {"ElmoTokenEmbedder": ElmoTokenEmbedder},
        "nn": {},
        "nn.util": {"remove_sentence_boundaries": remove_sentence_boundaries},
        "tests": {"__path__": [str(tests)]},
    }
    for name, attributes in contents.items():  # a package before its modules
        module = sys.modules.setdefault(f"allennlp.{name}", ModuleType(f"allennlp.{name}"))
        vars(module).setdefault("__path__", [])
        vars(module).update(attributes)
        package, _, last = module.__name__.rpartition(".")
        setattr(sys.modules[package], last, module)
