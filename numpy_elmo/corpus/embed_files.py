"""From files of text to a file of vectors, in bounded memory, whatever happens on the way.

A run goes window by window.  A window is some sentences that run together, sorted by length, so where windows begin
decides, in the last bit, what comes out.  Checkpoints are made between windows, and a resumed run cuts the rest of the
text into the windows of an uninterrupted one: both files hold the same.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

from numpy_elmo.corpus.fingerprint import TextDigest
from numpy_elmo.corpus.inputs import CorpusInputs, CorpusSize, Sentence
from numpy_elmo.corpus.layout import (
    Compression,
    Layout,
    PooledRows,
    SentenceDatasets,
    StoredType,
    write_sentence_map,
)
from numpy_elmo.corpus.resumable import ResumableFile, finished_record, is_begun, part_of
from numpy_elmo.elmo import CorpusReport, Elmo
from numpy_elmo.errors import ElmoError, InputError, OutputError
from numpy_elmo.layers.arrays import Array
from numpy_elmo.network.batching import batches, bounded_batches
from numpy_elmo.network.state import CarriedState

# Sentences that are held with their vectors between reading and writing; longer runs sort better by length.
WINDOW = 1024

# The same for tokens: at the published size, the vectors of so many are 400 MB.
WINDOW_TOKENS = 1 << 15

# Raised when files of an earlier version can no longer be resumed.
FORMAT = 1

# What HDF5 needs beside the vectors, measured, a dataset: contiguous, and with the index of a compressed one.
_DATASET_BYTES = 400
_FILTERED_BYTES = 4000

Progress: TypeAlias = Callable[[CorpusReport], object]
Guard: TypeAlias = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class EmbedOptions:
    """What to make of each sentence.

    Attributes
    ----------
    layers : {"all", "top", "average"} or int
        As for `Elmo.embed`.
    state : {"reset", "carry"}
        As for `Elmo.embed_corpus`.
    batch_size : int
        Sentences that run together.
    pool : {"mean", "max", "none"}
        Keep a vector a token, or make one of a sentence.
    dtype : {"float32", "float16"}
        Precision to store.
    compression : {"gzip", "lzf", "none"}
        HDF5 filter.
    sentence_keys : bool
        Name the datasets by their sentences instead of numbers.
    sentence_map : bool
        Write ``sentence_to_index``, if the datasets have numbers.  It is held in memory.
    """

    layers: Literal["all", "top", "average"] | int = "all"
    state: Literal["reset", "carry"] = "reset"
    batch_size: int = 64
    pool: Literal["mean", "max", "none"] = "none"
    dtype: StoredType = "float32"
    compression: Literal["gzip", "lzf", "none"] = "none"
    sentence_keys: bool = False
    sentence_map: bool = True

    def __post_init__(self) -> None:
        if self.sentence_keys and self.pool != "none":
            raise InputError("pooled vectors are rows of one table and have no keys; leave out --use-sentence-keys")

    @property
    def hdf5_filter(self) -> Compression:
        """The filter as h5py calls it."""
        return None if self.compression == "none" else self.compression


class FileEmbedding:
    """A run from files to a file.

    Parameters
    ----------
    inputs : CorpusInputs
        The text.
    output : str
        The HDF5 file to make.
    elmo : Elmo
        The model.
    digest : str
        The model's, from `numpy_elmo.corpus.fingerprint.model_digest`.
    options : EmbedOptions
        What to make of each sentence.

    Attributes
    ----------
    report : CorpusReport
        What was done so far, in this go and those before.
    n_kept : int
        Sentences that a resumed run need not embed again.
    n_features : int
        Length of a vector.
    """

    def __init__(
        self, inputs: CorpusInputs, output: str, elmo: Elmo, digest: str, options: EmbedOptions | None = None
    ) -> None:
        self.inputs = inputs
        self.output = output
        self.report = CorpusReport()
        self.n_kept = 0
        self.n_features = elmo.vector_size
        self._elmo = elmo
        self._options = options or EmbedOptions()
        reading = {
            "format": inputs.format,
            "blank_lines": inputs.blank_lines,
            "encoding_errors": inputs.encoding_errors,
        }
        self._fingerprint = {
            "version": FORMAT,
            "model": digest,
            "precision": str(elmo.encoder.dtype),
            **asdict(self._options),
            **reading,
        }
        elmo.embed([], layers=self._options.layers, batch_size=self._options.batch_size)  # raises if they are wrong

    def needed(self, size: CorpusSize) -> int:
        """Return how many bytes the file will have, about; at most so many with compression.

        Parameters
        ----------
        size : CorpusSize
            The text's.

        Returns
        -------
        int
        """
        options = self._options
        n_layers = self._elmo.n_layers + 1 if options.layers == "all" else 1
        n_vectors = size.n_tokens if options.pool == "none" else size.n_sentences
        vectors = n_vectors * n_layers * self._elmo.vector_size * (2 if options.dtype == "float16" else 4)
        a_dataset = _DATASET_BYTES if options.compression == "none" else _FILTERED_BYTES
        index = size.n_text + 16 * size.n_sentences if options.sentence_map or options.sentence_keys else 0
        return vectors + index + (a_dataset * size.n_sentences if options.pool == "none" else 0)

    def check_output(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Raise what `run` would raise of the files that are there already, before anything is read.

        Parameters
        ----------
        resume, overwrite : bool
            As for `run`.

        Raises
        ------
        OutputError
            As from `run`.
        """
        if not (resume and not overwrite and self._finished()):
            is_begun(Path(self.output), self._fingerprint, resume=resume, overwrite=overwrite)

    def check_space(self, size: CorpusSize) -> int:
        """Return the free bytes of the disk, or raise if the file will not fit.

        Parameters
        ----------
        size : CorpusSize
            The text's.

        Returns
        -------
        int

        Raises
        ------
        OutputError
            If there is too little.  With compression it is not known how much is needed, so it is not raised then.
        """
        folder = Path(self.output).parent
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise OutputError(f"{self.output} cannot be written: {error}; check the folder") from error
        part = part_of(Path(self.output))
        needed = self.needed(size) - (part.stat().st_size if part.exists() else 0)
        if needed > free and self._options.compression == "none":
            raise OutputError(
                f"{self.output} needs {human(needed)} and its disk has {human(free)} free; fewer layers, "
                "--dtype float16, --compression or --pool make it smaller"
            )
        return free

    def run(
        self,
        *,
        resume: bool = False,
        overwrite: bool = False,
        checkpoint_seconds: float = 30.0,
        progress: Progress = lambda _: None,
        uninterrupted: Guard = nullcontext,
    ) -> CorpusReport:
        """Embed the text.

        Parameters
        ----------
        resume : bool
            Go on with an unfinished run, if there is one; if a finished one is there, do nothing.
        overwrite : bool
            Replace a finished file, and begin anew instead of refusing an unfinished one.
        checkpoint_seconds : float
            Time between checkpoints; a run that is killed loses no more than this and a window.
        progress : callable
            Called with the report after every window.
        uninterrupted : callable
            Returns a context in which signals wait: vectors are written and checkpoints are made in it.

        Returns
        -------
        CorpusReport

        Raises
        ------
        InputError
            If the text cannot be used, or is not the text that the unfinished run began with.
        OutputError
            If the file is there, was made with something else, or cannot be written.  After these and whatever else
            ends a run before its end, all whole windows are kept.
        """
        if resume and not overwrite and (found := self._finished()):
            self.report = _report(found)
            self.n_kept = self.report.n_sentences
            return self.report
        with ExitStack() as stack:
            with uninterrupted():
                file = stack.enter_context(
                    ResumableFile(self.output, self._fingerprint, resume=resume, overwrite=overwrite)
                )
            if file.is_complete:
                self.report = _report(file.record)
                with uninterrupted():
                    file.finish(file.record)
                return self.report
            writer = _Writer(file, self._layout(file), self._options)
            self.report = writer.report
            try:
                self._embed(writer, checkpoint_seconds, progress, uninterrupted)
            except BaseException:
                with suppress(ElmoError), uninterrupted():
                    writer.keep()
                raise
            finally:
                self.n_kept = writer.n_kept
        return self.report

    def _finished(self) -> dict[str, Any] | None:
        return None if part_of(Path(self.output)).exists() else finished_record(self.output, self._fingerprint)

    def _layout(self, file: ResumableFile) -> Layout:
        options = self._options
        if options.pool == "none":
            return SentenceDatasets(
                file.file,
                dtype=options.dtype,
                compression=options.hdf5_filter,
                sentence_keys=options.sentence_keys,
            )
        n_layers = (self._elmo.n_layers + 1,) if options.layers == "all" else ()
        shape = (*n_layers, self._elmo.vector_size)
        return PooledRows(file.file, options.pool, shape, dtype=options.dtype, compression=options.hdf5_filter)

    def _embed(self, writer: _Writer, checkpoint_seconds: float, progress: Progress, uninterrupted: Guard) -> None:
        options = self._options
        sentences = iter(self.inputs)
        writer.read_again(sentences)
        progress(self.report)
        last_checkpoint = time.monotonic()
        for window in self._windows(sentences):
            vectors = self._elmo.embed(
                [sentence.tokens for sentence in window],
                layers=options.layers,
                state=writer.state if options.state == "carry" else "reset",
                batch_size=options.batch_size,
            )
            with uninterrupted():
                writer.write(window, vectors, self._elmo.encoder.max_characters)
                if time.monotonic() - last_checkpoint >= checkpoint_seconds:
                    writer.commit()
                    last_checkpoint = time.monotonic()
            progress(self.report)
        with uninterrupted():
            writer.finish()

    def _windows(self, sentences: Iterator[Sentence]) -> Iterator[list[Sentence]]:
        if self._options.state == "carry":  # the cut into batches is part of the result
            return batches(sentences, self._options.batch_size)
        return bounded_batches(sentences, WINDOW, lambda sentence: len(sentence.tokens), WINDOW_TOKENS)


class _Writer:
    """The file of a run, with what a checkpoint needs to know of the text before it."""

    def __init__(self, file: ResumableFile, layout: Layout, options: EmbedOptions) -> None:
        self.report = _report(file.record) if file.record else CorpusReport()
        self.state = CarriedState.from_arrays(file.arrays)
        self._state_arrays = file.arrays
        self._file = file
        self._layout = layout
        self._text = TextDigest()
        self._index: dict[str, str] | None = {} if options.sentence_map and not options.sentence_keys else None
        self._is_between_windows = True

    @property
    def n_kept(self) -> int:
        """Sentences that the last checkpoint has."""
        return _report(self._file.record).n_sentences if self._file.record else 0

    def read_again(self, sentences: Iterator[Sentence]) -> None:
        """Pass over the sentences that are done, if they are the same."""
        for k, sentence in enumerate(islice(sentences, self.n_kept)):
            self._remember(k, sentence)
        if self.n_kept and self._record()["text"] != self._file.record["text"]:
            raise InputError(
                f"the input is not the text that {self._file.path} was begun with: its first {self.n_kept} sentences "
                "differ; give the same files in the same order, or begin anew with --overwrite"
            )

    def write(self, window: list[Sentence], vectors: list[Array], max_characters: int) -> None:
        """Write a window."""
        self._is_between_windows = False
        with self._file.writing():
            for sentence, array in zip(window, vectors, strict=True):
                k = self.report.n_sentences
                self._layout.write(k, sentence.text, array)
                self._remember(k, sentence)
                self.report.add(sentence.tokens, max_characters)
        self._state_arrays = self.state.to_arrays()
        self._is_between_windows = True

    def commit(self) -> None:
        """Make a checkpoint."""
        with self._file.writing():
            self._layout.flush()
        self._file.commit(self._record(), self._state_arrays)

    def keep(self) -> None:
        """Make a last checkpoint, where one can be made."""
        if self._is_between_windows and self.report.n_sentences > self.n_kept:
            self.commit()

    def finish(self) -> None:
        """Write what belongs at the end, and give the file its name."""
        self._is_between_windows = False
        with self._file.writing():
            self._layout.flush()
            if self._index is not None:
                write_sentence_map(self._file.file, self._index)
        self._file.finish(self._record())

    def _record(self) -> dict[str, Any]:
        return {"report": asdict(self.report), "text": str(self._text)}

    def _remember(self, k: int, sentence: Sentence) -> None:
        self._text.add(sentence.tokens)
        if self._index is not None:
            self._index[sentence.text] = str(k)


def _report(record: Mapping[str, Any]) -> CorpusReport:
    counts = dict(record["report"])
    first = counts.pop("first_cut")
    return CorpusReport(**counts, first_cut=None if first is None else (first[0], first[1]))


def human(n_bytes: float) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> human(999), human(1_234_567)
    ('999 B', '1.2 MB')
    """
    exponent = min(4, max(0, len(f"{n_bytes:.0f}") - 1) // 3)
    return f"{n_bytes / 1000**exponent:.{min(exponent, 1)}f} {('B', 'kB', 'MB', 'GB', 'TB')[exponent]}"
