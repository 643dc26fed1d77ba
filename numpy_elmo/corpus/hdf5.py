"""Writing vectors in the HDF5 layout of ``allennlp elmo``, which probes and parsers read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import h5py

from numpy_elmo.corpus.layout import SentenceDatasets, write_sentence_map
from numpy_elmo.errors import OutputError
from numpy_elmo.layers.arrays import Array


class VectorFile:
    """An HDF5 file of sentence vectors that appears under its name only when it is complete.

    Dataset ``"0"`` holds the vectors of the first sentence, ``"1"`` of the second, and so on: float32, contiguous.
    ``sentence_to_index`` holds one string, a JSON object from sentence to index; of equal sentences it has the last.

    Use it in a ``with`` statement.  An exception inside leaves nothing behind.

    Parameters
    ----------
    path : str or path
        The file to make.
    overwrite : bool
        Whether it may replace a file that is there.

    Raises
    ------
    OutputError
        If the file is there already, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self._index: dict[str, str] = {}
        self._n_sentences = 0
        if self.path.is_dir():
            raise OutputError(f"{self.path} is a folder; give the name of the file to write")
        if self.path.exists() and not overwrite:
            raise OutputError(f"{self.path} exists already; remove it, or give --overwrite (overwrite=True)")
        self._partial = self.path.with_name(self.path.name + ".part")
        with self._errors():
            self._file = h5py.File(self._partial, "w")
        self._layout = SentenceDatasets(self._file)

    def __enter__(self) -> VectorFile:
        return self

    def write(self, tokens: list[str], vectors: Array) -> None:
        """Append a sentence.

        Parameters
        ----------
        tokens : list of str
            The sentence, for the map.
        vectors : ndarray
            Its vectors.
        """
        key = str(self._n_sentences)
        sentence = " ".join(tokens)
        with self._errors():
            self._layout.write(self._n_sentences, sentence, vectors)
        self._index[sentence] = key
        self._n_sentences += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self._errors():
                    write_sentence_map(self._file, self._index)
                    self._file.close()
                    self._partial.replace(self.path)
        finally:
            self._file.close()
            self._partial.unlink(missing_ok=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # h5py reports some failed writes as RuntimeError
            raise OutputError(f"{self.path} cannot be written: {error}; check the folder and the free space") from error
