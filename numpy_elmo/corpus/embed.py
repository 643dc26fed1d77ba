"""Embed text files into one HDF5 file, in bounded memory; runs can be resumed.

A run reads the text once, lays out the whole file (see `numpy_elmo.corpus.resume`), and fills it window by window.  A
window is a set of sentences that run together, sorted by length, so the last bits of the vectors depend on where
windows begin.  Checkpoints are made between windows, and a resumed run cuts the rest of the text into the same windows.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import h5py
import numpy as np

from numpy_elmo.corpus.inputs import CorpusInputs, Sentence
from numpy_elmo.corpus.resume import (
    ATTRIBUTE,
    Checkpoint,
    PartFile,
    TextDigest,
    clean_up,
    differences,
    made_with,
    model_digest,
    part_of,
)
from numpy_elmo.corpus.write import POOLED, Datasets, StoredType, stored, write_offsets, write_sentence_map
from numpy_elmo.elmo import CorpusReport, Elmo
from numpy_elmo.errors import ElmoError, OutputError
from numpy_elmo.files.places import to_path
from numpy_elmo.files.writing import check_target, output_errors
from numpy_elmo.network.batching import batches, bounded_batches
from numpy_elmo.network.checks import as_int
from numpy_elmo.network.state import CarriedState

# Most sentences in a window; with more, sorting by length wastes less.
WINDOW = 1024

# Most tokens in a window: at the published size, their vectors are 400 MB.
WINDOW_TOKENS = 1 << 15

# Increase it when unfinished files of earlier versions can no longer be resumed.
FORMAT = 3

Progress: TypeAlias = Callable[[CorpusReport], object]


@dataclass(frozen=True)
class EmbedOptions:
    """How each sentence is embedded and stored.

    Attributes
    ----------
    layers : {"all", "top", "average", "sum"} or int
        As for `Elmo.embed`.
    state : {"reset", "carry"}
        As for `Elmo.embed_corpus`.
    batch_size : int
        Sentences that run together.
    pooling : {"mean", "max", "none"}
        How to combine the vectors of a sentence into one; "none" keeps one per token.
    dtype : {"float32", "float16"}
        Precision to store.
    sentence_keys : bool
        Name the datasets by their sentences instead of numbers.
    sentence_map : bool
        Write ``sentence_to_index`` (only for numbered datasets).  It is built in memory.
    """

    layers: Literal["all", "top", "average", "sum"] | int = "all"
    state: Literal["reset", "carry"] = "reset"
    batch_size: int = 64
    pooling: Literal["mean", "max", "none"] = "none"
    dtype: StoredType = "float32"
    sentence_keys: bool = False
    sentence_map: bool = True

    def __post_init__(self) -> None:
        for name in ("layers", "batch_size"):  # JSON cannot store integers of NumPy or pandas
            object.__setattr__(self, name, as_int(getattr(self, name)))


class FileEmbedding:
    """A run that embeds text files into one HDF5 file.

    Parameters
    ----------
    inputs : CorpusInputs
        The text.  It is read once, so it can be a pipe.
    output : str or path
        The HDF5 file to write.
    elmo : Elmo
        The model.
    options : EmbedOptions, optional
        How each sentence is embedded and stored.

    Attributes
    ----------
    report : CorpusReport
        What has been embedded, by this run and those that it resumes.
    total : CorpusReport
        The whole text; known when `run` first calls `progress`.
    n_kept : int
        Sentences that a resumed run need not embed again.
    n_bytes : int
        Size of a new file; known like `total`.
    n_features : int
        Length of a vector.
    """

    def __init__(
        self, inputs: CorpusInputs, output: str | os.PathLike[str], elmo: Elmo, options: EmbedOptions | None = None
    ) -> None:
        self.inputs = inputs
        self.report, self.total = CorpusReport(), CorpusReport()
        self.n_kept = self.n_bytes = 0
        to_path(output, "a file to write must be given by its path")
        self.output = os.fspath(output)
        self.n_features = elmo.vector_size
        self._elmo = elmo
        self._options = options or EmbedOptions()
        elmo.embed([], layers=self._options.layers, batch_size=self._options.batch_size)  # checks both before any work
        self._fingerprint: dict[str, Any] = {
            "version": FORMAT,
            "model": model_digest(elmo),
            "precision": str(elmo.encoder.dtype),
            "reproducible": elmo.asked_reproducible,
            **asdict(self._options),
        }

    def run(
        self,
        *,
        resume: bool = False,
        overwrite: bool = False,
        checkpoint_seconds: float = 30.0,
        progress: Progress = lambda _: None,
    ) -> CorpusReport:
        """Embed the text.

        Parameters
        ----------
        resume : bool
            Continue an unfinished run, if there is one; if the finished file exists, do nothing.
        overwrite : bool
            Replace a finished file; without `resume`, replace an unfinished run as well.
        checkpoint_seconds : float
            Time between checkpoints; a run that is killed loses at most this plus one window.
        progress : callable
            Called with the report once the file is laid out, and after every window.

        Returns
        -------
        CorpusReport

        Raises
        ------
        InputError
            If the text cannot be used.
        OutputError
            If the file exists, was made from something else, or cannot be written.  A run that ends early, for this or
            any other reason, keeps its finished windows.
        """
        target = check_target(self.output, overwrite=overwrite or resume, inputs=self.inputs.paths)
        with ExitStack() as stack:
            if target.exists() and not overwrite:
                return self._done_before(target)
            part = self._unfinished(target)
            if part is not None:
                stack.enter_context(part)
                if not (resume or overwrite):
                    raise OutputError(
                        f"{part.path} is an unfinished run; continue it with resume=True, or start again with "
                        "overwrite=True"
                    )
            with _spool(target) as spool:
                if part is not None and resume:
                    self._check(part.path, part.made_with)  # fail before reading the text
                    self._read(spool)
                    self._check(part.path, part.made_with)
                else:
                    lay_out = partial(self._lay_out, spool=spool)
                    part = stack.enter_context(PartFile.laid_out(target, lay_out, overwrite=part is not None))
                try:
                    check_target(target, overwrite=overwrite)  # fail now, not after days
                    self._fill(part, spool, checkpoint_seconds, progress)
                    part.finish(overwrite=overwrite)
                except BaseException:
                    self.n_kept = part.give_up()
                    raise
        self.report, self.n_kept = self.total, self.total.n_sentences
        return self.report

    def _done_before(self, target: Path) -> CorpusReport:
        """Return the report of a finished file, if it is what this run would make."""
        made = made_with(target)
        if made is None:
            check_target(target)  # raises, because it exists
        else:
            self._check(target, made)
            with _spool(target) as spool:
                self._read(spool)
            self._check(target, made)
            clean_up(target)
        self.report, self.n_kept = self.total, self.total.n_sentences
        return self.report

    def _unfinished(self, target: Path) -> PartFile | None:
        return PartFile(target) if os.path.lexists(part_of(target)) else None

    def _check(self, path: Path, made: Mapping[str, Any]) -> None:
        if other := differences(made, self._fingerprint):
            raise OutputError(
                f"{path} was made with {', '.join(other)}; give the same text, model and options, or start again with "
                "overwrite=True"
            )

    def _read(self, spool: IO[str], create: Callable[[int, Sentence], object] = lambda *_: None) -> None:
        """Copy the text, count and digest it, and create something for every sentence."""
        digest, self.total = TextDigest(), CorpusReport()
        for k, sentence in enumerate(self.inputs):
            create(k, sentence)
            digest.add(sentence.tokens, sentence.text)
            self.total.add(sentence.tokens, self._elmo.encoder.max_characters)
            with output_errors(self.output):
                spool.write(json.dumps(sentence) + "\n")
        with output_errors(self.output):
            spool.flush()
        self._fingerprint["text"] = str(digest)

    def _lay_out(self, file: h5py.File, spool: IO[str]) -> None:
        options = self._options
        datasets = Datasets(file, options.dtype, early=True)
        n_layers = (self._elmo.n_layers + 1,) if options.layers == "all" else ()
        n_features = self._elmo.vector_size
        index: dict[str, str] = {}

        def create(k: int, sentence: Sentence) -> None:
            shape = (*n_layers, *([] if options.pooling != "none" else [len(sentence.tokens)]), n_features)
            made = None
            if options.sentence_keys:
                made = datasets.create_for(k, sentence.text, shape)
            elif options.pooling == "none":
                made = datasets.create(str(k), shape)
            if made is not None and options.pooling == "none" and sentence.offsets is not None:
                write_offsets(made, sentence.offsets)
            if options.sentence_map and not options.sentence_keys:
                index[sentence.text] = str(k)

        self._read(spool, create)
        if options.pooling != "none" and not options.sentence_keys:
            datasets.create(POOLED, (self.total.n_sentences, *n_layers, n_features))
        if options.sentence_map and not options.sentence_keys:
            write_sentence_map(file, index)
        file.attrs[ATTRIBUTE] = json.dumps({**self._fingerprint, "report": asdict(self.total)})
        file.flush()
        self._check_space(Path(file.filename))

    def _check_space(self, laid_out: Path) -> None:
        found = laid_out.stat()
        self.n_bytes = found.st_size
        missing = found.st_size - 512 * getattr(found, "st_blocks", found.st_size // 512)
        free = shutil.disk_usage(laid_out.parent).free
        if missing > free:
            raise OutputError(
                f"{self.output} needs {format_bytes(missing)} more and its disk has {format_bytes(free)} free; fewer "
                'layers, dtype="float16" or pooling make it smaller'
            )

    def _fill(self, part: PartFile, spool: IO[str], checkpoint_seconds: float, progress: Progress) -> None:
        options, report = self._options, self.report
        latest = part.checkpoint
        state = CarriedState.from_arrays(latest.arrays)
        spool.seek(0)
        sentences = (Sentence(*json.loads(line)) for line in spool)
        for sentence in islice(sentences, latest.n_done):
            report.n_tokens += len(sentence.tokens)
        report.n_sentences = latest.n_done
        progress(report)
        last_checkpoint = time.monotonic()
        try:
            for window in self._windows(sentences):
                vectors = self._elmo.embed(
                    [sentence.tokens for sentence in window],
                    layers=options.layers,
                    state=state if options.state == "carry" else "reset",
                    batch_size=options.batch_size,
                    pooling=None if options.pooling == "none" else options.pooling,
                )
                first = report.n_sentences
                values = [stored(array, options.dtype, k) for k, array in enumerate(vectors, first)]
                if options.pooling != "none" and not options.sentence_keys:
                    part.write(POOLED, np.stack(values), first)
                else:
                    for k, (sentence, array) in enumerate(zip(window, values, strict=True), first):
                        part.write(sentence.text if options.sentence_keys else str(k), array)
                report.n_sentences += len(window)
                report.n_tokens += sum(len(sentence.tokens) for sentence in window)
                latest = Checkpoint(report.n_sentences, state.to_arrays())
                if time.monotonic() - last_checkpoint >= checkpoint_seconds:
                    part.keep(latest)
                    last_checkpoint = time.monotonic()
                progress(report)
        except BaseException:
            if latest.n_done > part.checkpoint.n_done:
                with suppress(ElmoError):
                    part.keep(latest)
            raise
        if latest.n_done > part.checkpoint.n_done:  # in case the file cannot be renamed
            part.keep(latest)

    def _windows(self, sentences: Iterator[Sentence]) -> Iterator[list[Sentence]]:
        if self._options.state == "carry":  # the vectors depend on how the text is cut into batches
            return batches(sentences, self._options.batch_size)
        return bounded_batches(sentences, WINDOW, lambda sentence: len(sentence.tokens), WINDOW_TOKENS)


@contextmanager
def _spool(target: Path) -> Iterator[IO[str]]:
    """Yield a temporary file for the text, without a name in its folder, and delete it at the end."""
    with output_errors(target):
        spool = tempfile.TemporaryFile("w+", dir=target.parent, encoding="ascii", newline="\n")  # noqa: SIM115
    try:
        yield spool
    finally:
        with suppress(OSError):  # on a full disk, closing tries to write again
            spool.close()


def format_bytes(n_bytes: float) -> str:
    """Return a number of bytes in readable units.

    Examples
    --------
    >>> format_bytes(999), format_bytes(1_234_567)
    ('999 B', '1.2 MB')
    """
    exponent = min(4, max(0, len(f"{n_bytes:.0f}") - 1) // 3)
    return f"{n_bytes / 1000**exponent:.{min(exponent, 1)}f} {('B', 'kB', 'MB', 'GB', 'TB')[exponent]}"
