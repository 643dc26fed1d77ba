"""The compared libraries behind one interface, each used in the fastest way that its users have.

A worker process runs one of them.  Its interpreter may have only that one, so libraries are imported where they are
used.
"""

# ruff: noqa: D102 - the methods are described once, by the base class

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating]
Batch: TypeAlias = Sequence[Sequence[str]]

CORPUS_BATCH = 64  # batch size of the peers on a corpus
UNSEEN = "\ue000"  # a token in no text, from Unicode's private use area


class Engine(ABC):
    """A library with one loaded model."""

    @abstractmethod
    def import_library(self) -> dict[str, str]:
        """Import all that is needed and return the versions."""

    @abstractmethod
    def load(self, folder: str, max_batch_size: int, **options: Any) -> None:
        """Load a model folder, so that batches can be embedded."""

    @abstractmethod
    def embed(self, batch: Batch) -> Any:
        """Return all layers of a batch, in the library's own form."""

    @abstractmethod
    def reset(self) -> None:
        """Go back to zero states."""

    @abstractmethod
    def vectors(self, output: Any, lengths: Sequence[int]) -> list[Array]:
        """Split what `embed` returned into one array ``(L + 1, n_tokens, 2 P)`` per sentence."""

    def embed_carried(self, batch: Batch) -> Any:
        """Embed a batch from the states that the last one left, as the peers always do."""
        return self.embed(batch)

    def embed_corpus(self, sentences: Batch) -> Iterator[Any]:
        """Embed many sentences as a user would: in batches, in file order."""
        for start in range(0, len(sentences), CORPUS_BATCH):
            yield self.embed(sentences[start : start + CORPUS_BATCH])

    def forget(self) -> None:  # noqa: B027 - the peers keep nothing
        """Clear caches of earlier texts, so that every timing starts as with a new text."""


class NumpyElmo(Engine):
    """numpy_elmo."""

    def import_library(self) -> dict[str, str]:
        import numpy_elmo  # noqa: PLC0415

        self._package = numpy_elmo
        from numpy_elmo.layers.blas import kernel  # noqa: PLC0415

        return {"numpy_elmo": numpy_elmo.__version__, "numpy": np.__version__, "OpenBLAS kernels": kernel()}

    def load(self, folder: str, max_batch_size: int, **options: Any) -> None:
        del max_batch_size
        self.elmo = self._package.load(folder, **options)

    def embed(self, batch: Batch) -> list[Array]:
        return self.elmo.embed(batch, batch_size=len(batch))

    def embed_carried(self, batch: Batch) -> list[Array]:
        return self.elmo.embed(batch, state="carry", batch_size=len(batch))

    def embed_corpus(self, sentences: Batch) -> Iterator[Array]:
        return self.elmo.embed_corpus(sentences)

    def forget(self) -> None:
        self.elmo.encoder._row.clear()
        self.elmo.embed([[UNSEEN]])  # fill the caches that depend only on the model

    def reset(self) -> None:
        self.elmo.reset_state()

    def vectors(self, output: list[Array], lengths: Sequence[int]) -> list[Array]:
        del lengths
        return output


class SimpleElmo(Engine):
    """simple_elmo on TensorFlow.

    The first call has no session, as in simple_elmo's examples, so simple_elmo makes one and initialises all variables.
    Later calls share one session, to avoid doing so again.  ``warmup=False``, because warming up runs the first batch
    twice.
    """

    def import_library(self) -> dict[str, str]:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"  # the graph needs tf_keras; Keras 3 has no LSTMCell
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import simple_elmo  # noqa: PLC0415
        import tensorflow as tf  # noqa: PLC0415

        self._tf = tf
        self._package = simple_elmo
        return {"simple-elmo": _version("simple-elmo"), "tensorflow": tf.__version__, "numpy": np.__version__}

    def load(self, folder: str, max_batch_size: int, **options: Any) -> None:
        del options
        self._model = self._package.ElmoModel()
        self._model.load(folder, max_batch_size=max_batch_size)
        self._session: Any = None
        self._called = False

    def embed(self, batch: Batch) -> Array:
        if self._called and self._session is None:
            self.reset()
        self._called = True
        array: Array = self._model.get_elmo_vectors(batch, warmup=False, layers="all", session=self._session)
        return array

    def reset(self) -> None:
        if not self._called:
            self.embed([["."]])  # the first call completes the graph
        if self._session is None:
            graph = self._model.sentence_embeddings_op["lm_embeddings"].graph
            with graph.as_default():
                self._initializer = self._tf.compat.v1.global_variables_initializer()
            self._session = self._tf.compat.v1.Session(graph=graph)
            self._session.__enter__()
        self._session.run(self._initializer)

    def vectors(self, output: Array, lengths: Sequence[int]) -> list[Array]:
        return [array[:, :n] for array, n in zip(output, lengths, strict=True)]


class AllenNlp(Engine):
    """AllenNLP's module on torch, from simple-elmo-pytorch, without gradients."""

    def import_library(self) -> dict[str, str]:
        import simple_elmo_pytorch  # noqa: PLC0415
        import torch  # noqa: PLC0415

        self._torch = torch
        self._package = simple_elmo_pytorch
        return {
            "simple-elmo-pytorch": _version("simple-elmo-pytorch"),
            "torch": torch.__version__,
            "numpy": np.__version__,
        }

    def load(self, folder: str, max_batch_size: int, **options: Any) -> None:
        del max_batch_size, options
        model = self._package.ElmoBiLmSentence(f"{folder}/options.json", f"{folder}/weights.hdf5")
        self._model = model.eval()

    def embed(self, batch: Batch) -> list[Any]:
        with self._torch.inference_mode():
            layers: list[Any] = self._model(self._package.batch_to_ids(batch))["activations"]
        return layers

    def reset(self) -> None:
        self._model._elmo_lstm.reset_states()

    def vectors(self, output: list[Any], lengths: Sequence[int]) -> list[Array]:
        arrays = self._torch.stack(output, dim=1).numpy()
        return [array[:, 1 : 1 + n] for array, n in zip(arrays, lengths, strict=True)]  # without <S> and </S>


ENGINES: dict[str, type[Engine]] = {"numpy_elmo": NumpyElmo, "tensorflow": SimpleElmo, "torch": AllenNlp}


def _version(distribution: str) -> str:
    from importlib.metadata import version  # noqa: PLC0415

    return version(distribution)
