"""ELMo vectors in a spaCy pipeline.

::

    import spacy
    import numpy_elmo.interfaces.spacy  # needed only if numpy_elmo is not installed

    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": "tiny"})
    doc = nlp("They sat on the river bank.")
    doc.tensor  # (tokens, features)
    doc[5].vector  # of one token
    doc[2:6].vector, doc.vector  # means over a span and the text

Install the extra ``spacy``.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from numpy_elmo.elmo import load
from numpy_elmo.errors import InputError, MissingExtraError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import pool

try:
    from spacy.language import Language
    from spacy.tokens import Doc, Span, Token
    from spacy.util import minibatch
except ImportError as error:
    raise MissingExtraError("the pipeline component needs spaCy: pip install 'numpy_elmo[spacy]'") from error

__all__ = ["ElmoComponent", "make_elmo", "token_offsets", "use_tensor"]


class ElmoComponent:
    """The component ``"elmo"``, made by ``nlp.add_pipe("elmo", config={...})``.

    It sets ``doc.tensor``, one row per token, and computes the vectors and similarities of texts, spans and tokens from
    it, also in pipelines with word vectors.  Similarity is the cosine of two vectors; spaCy's own is 1 for tokens of
    the same spelling, whatever their context.

    If an earlier component sets sentence boundaries, each sentence is embedded alone, otherwise the whole text as one
    sentence.  Tokens of white space are not embedded; their vectors are zero.

    spaCy does not store how vectors are computed: texts from another process (``n_process=2``, which warns) or from a
    file need `use_tensor`.  ``DocBin`` also leaves out the tensor; use ``doc.to_bytes()``.

    A saved pipeline holds the configuration, not the weights: loading it needs the model under the same name or path.

    Parameters
    ----------
    model : str or path
        A folder, a zip or a model's name, as for `numpy_elmo.load`.
    layers : {"average", "top"} or int
        As for `Elmo.embed`.
    batch_size : int
        Sentences that run together.

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError
        As for `numpy_elmo.load`.
    InputError
        If `layers` or `batch_size` is invalid.
    """

    def __init__(
        self, model: str | os.PathLike[str] = "tiny", layers: int | str = "average", batch_size: int = 64
    ) -> None:
        if layers == "all":
            raise InputError(
                'doc.tensor has one vector per token; layers must be "average", "top" or an int, not "all"'
            )
        self._model = model
        self._elmo = load(model)
        self._layers: Any = layers
        self._batch_size = batch_size
        self._embed([])

    def __reduce__(self) -> tuple[Any, ...]:
        return ElmoComponent, (self._model, self._layers, self._batch_size)  # another process loads the weights itself

    def __call__(self, doc: Doc) -> Doc:
        """Set the vectors of a text and return it."""
        [done] = self.pipe([doc])
        return done

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Set the vectors of a stream of texts and yield them in order; `batch_size` texts run together."""
        if multiprocessing.parent_process() is not None:
            warnings.warn(
                "texts from another process have vectors and similarities from doc.tensor only after "
                "numpy_elmo.interfaces.spacy.use_tensor(doc)",
                stacklevel=2,
            )
        for docs in minibatch(stream, batch_size):
            sentences = [tokens for doc in docs for tokens in _sentences(doc)]
            vectors = iter(self._embed([[token.text for token in tokens] for tokens in sentences]))
            for doc in docs:
                doc.tensor = self._tensor(doc, vectors)
                yield use_tensor(doc)

    def _tensor(self, doc: Doc, vectors: Iterator[Array]) -> Array:
        tensor = np.zeros((len(doc), self._elmo.vector_size), np.float32)
        for tokens in _sentences(doc):
            tensor[[token.i for token in tokens]] = next(vectors)
        return tensor

    def _embed(self, sentences: list[list[str]]) -> list[Array]:
        return self._elmo.embed(sentences, layers=self._layers, batch_size=self._batch_size)


def make_elmo(nlp: Language, name: str, model: str, layers: int | str, batch_size: int) -> ElmoComponent:
    """Return the component; spaCy calls this for ``nlp.add_pipe("elmo")``."""
    return ElmoComponent(model, layers, batch_size)


Language.factory(
    "elmo",
    default_config={"model": "tiny", "layers": "average", "batch_size": 64},
    assigns=["doc.tensor"],
    func=make_elmo,
)


def use_tensor(doc: Doc) -> Doc:
    """Compute the vectors and similarities of a text, its spans and its tokens from ``doc.tensor``.

    The component does so itself.  A text from a file (`Doc.from_disk`) or another process (``n_process=2``) keeps only
    its tensor, with a warning from spaCy, until this is called.

    Parameters
    ----------
    doc : Doc
        A text with a tensor.

    Returns
    -------
    Doc
        The same text.

    Raises
    ------
    InputError
        If the text has no tensor, as after ``DocBin``.
    """
    if len(doc.tensor) != len(doc):
        raise InputError(
            "this text has no tensor with one row per token; run the pipeline again, or store texts with "
            "doc.to_bytes(), because DocBin leaves the tensor out"
        )
    doc.user_hooks |= {"vector": _mean, "has_vector": _has_vector, "similarity": _cosine}
    doc.user_span_hooks |= {"vector": _mean, "has_vector": _has_vector, "similarity": _cosine}
    doc.user_token_hooks |= {"vector": _row, "has_vector": _is_word, "similarity": _cosine}
    return doc


def token_offsets(doc: Doc) -> list[tuple[int, int]]:
    """Return the place in ``doc.text`` of the token of each row of ``doc.tensor``.

    Parameters
    ----------
    doc : Doc
        A text.

    Returns
    -------
    list of (int, int)
        For each token, its first character and the one after its last, as from
        `numpy_elmo.corpus.tokenize_with_offsets`.
    """
    return [(token.idx, token.idx + len(token)) for token in doc]


def _sentences(doc: Doc) -> list[list[Token]]:
    """Return the tokens of each sentence that are not white space."""
    parts = doc.sents if doc.has_annotation("SENT_START") else [doc]
    return [[token for token in part if _is_word(token)] for part in parts]


def _is_word(token: Token) -> bool:
    return not token.is_space


def _has_vector(tokens: Doc | Span) -> bool:
    return any(map(_is_word, tokens))


def _row(token: Token) -> Array:
    row: Array = token.doc.tensor[token.i]
    return row


def _mean(tokens: Doc | Span) -> Array:
    doc = tokens if isinstance(tokens, Doc) else tokens.doc
    return pool(doc.tensor[[token.i for token in tokens if _is_word(token)]], "mean")


def _cosine(one: Any, other: Any) -> float:
    norm = float(np.linalg.norm(one.vector) * np.linalg.norm(other.vector))
    return float(np.dot(one.vector, other.vector)) / norm if norm else 0.0
