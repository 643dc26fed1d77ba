"""A corpus of many files on many machines, with Dask.

::

    from dask.distributed import Client
    from numpy_elmo.interfaces.dask import embed_files

    client = Client("scheduler:8786")
    embed_files("corpus/*.txt.gz", "models/original", "vectors", client=client)

Each file is cut into parts of 10,000 sentences, and each part becomes one file of vectors, which appears under its name
when it is complete.  Each worker loads the model once.  The text, the model and the output folder must have the same
paths on all workers.

Install the extra ``dask``: Dask, and pyarrow for Parquet.
"""

from __future__ import annotations

import glob
import json
import os
import threading
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from numpy_elmo.corpus.embed import EmbedOptions, FileEmbedding
from numpy_elmo.corpus.inputs import CorpusInputs, CorpusPart, Sentence
from numpy_elmo.corpus.resume import TextDigest, differences, model_digest
from numpy_elmo.corpus.write import stored
from numpy_elmo.elmo import Elmo, load
from numpy_elmo.errors import InputError, MissingExtraError, OutputError, PartsFailedError
from numpy_elmo.files.places import exists, to_path
from numpy_elmo.files.writing import new_file, output_errors
from numpy_elmo.layers.pooling import pool
from numpy_elmo.network.batching import batches
from numpy_elmo.network.checks import check_count

try:
    from dask.distributed import Client, as_completed, get_client
except ImportError as error:
    raise MissingExtraError("embed_files needs Dask: pip install 'numpy_elmo[dask]'") from error

__all__ = ["FilesReport", "embed_files"]

FileFormat = Literal["hdf5", "parquet"]

# Digits of a part's number in its name.
_DIGITS = 5

# Sentences per row group of a Parquet file.
_ROW_GROUP = 1024

_METADATA = b"numpy_elmo"


@dataclass
class FilesReport:
    """The parts of a run of `embed_files`.

    Attributes
    ----------
    made : list of str
        Names of the parts that were made, in the order in which they were finished.
    skipped : list of str
        Names of the parts that existed already.
    n_sentences : int
        Sentences of all parts.
    """

    made: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    n_sentences: int = 0

    def __repr__(self) -> str:
        return f"<FilesReport: {len(self.made)} made, {len(self.skipped)} skipped, {self.n_sentences:,} sentences>"


@dataclass(frozen=True)
class _Part:
    """What a worker needs to make one part."""

    name: str
    inputs: CorpusPart
    model: str
    folder: str
    file_format: FileFormat
    options: EmbedOptions

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.name


def embed_files(
    pattern: str | os.PathLike[str],
    model: str | os.PathLike[str],
    output_folder: str | os.PathLike[str],
    *,
    client: Client | None = None,
    sentences_per_part: int = 10_000,
    file_format: FileFormat = "hdf5",
    options: EmbedOptions | None = None,
    **reading: Any,
) -> FilesReport:
    """Embed the sentences of many files.

    If a worker dies, the cluster gives its part to another, which continues from the last checkpoint.  After a failure,
    run it again to make the missing parts: existing ones are skipped if they were made from the same text with the same
    model and options.

    Parameters
    ----------
    pattern : str or path
        A file, or a pattern as for `glob.glob`.
    model : str or path
        A folder, a zip or a model's name, as for `numpy_elmo.load`.
    output_folder : str or path
        Where the parts go; created if missing.  Part 3 of ``a.txt`` is ``a.txt-00003.hdf5``.
    client : dask.distributed.Client, optional
        The cluster; by default, Dask's current client.
    sentences_per_part : int
        Most sentences in a part.
    file_format : {"hdf5", "parquet"}
        HDF5 as ``numpy-elmo embed`` writes it; or Parquet with the columns ``sentence`` and ``vector``, which needs
        `options` with pooling and without ``layers="all"``.
    options : EmbedOptions, optional
        Layers, pooling, precision and so on.
    **reading
        How the files are read, such as ``tokenize=True``: see `numpy_elmo.corpus.inputs.CorpusInputs`.

    Returns
    -------
    FilesReport

    Raises
    ------
    InputError
        If there are no such files, two of them have the same name, or the options do not fit the format.
    PartsFailedError
        If files cannot be read or parts cannot be made.  All others are finished first; the message names these.
    OutputError
        If the folder cannot be made.
    """
    options = options or EmbedOptions()
    sentences_per_part = check_count("sentences_per_part", sentences_per_part)
    if file_format == "parquet" and (options.pooling == "none" or options.layers == "all"):
        raise InputError('Parquet holds one vector per sentence: give EmbedOptions(pooling="mean", layers="average")')
    CorpusInputs((), **reading)  # checks the arguments before any work
    paths = _files(to_path(pattern, "pattern must be a file or a pattern"))
    folder = to_path(output_folder, "output_folder must be a path").absolute()
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    cluster = client or get_client()
    failed: dict[str, str] = {}
    parts: list[_Part] = []
    sizes = [(cluster.submit(_measure, CorpusInputs((path,), **reading), pure=False), path) for path in paths]
    for future, path in sizes:
        try:
            n_sentences = future.result()
        except Exception as error:  # the other files can still be embedded
            failed[path] = _reason(error)
            continue
        for k, start in enumerate(range(0, n_sentences, sentences_per_part)):
            inputs = CorpusPart((path,), **reading, start=start, stop=min(start + sentences_per_part, n_sentences))
            name = f"{Path(path).name}-{k:0{_DIGITS}}.{file_format}"
            parts.append(_Part(name, inputs, _everywhere(model), str(folder), file_format, options))
    report = _run(cluster, parts, failed)
    if failed:
        raise PartsFailedError(failed, len(report.made) + len(report.skipped) + len(failed))
    return report


def _files(pattern: Path) -> list[str]:
    # A file may have a name that is a pattern too.
    found = [pattern] if pattern.is_file() else sorted(glob.glob(str(pattern), recursive=True))  # noqa: PTH207 -- absolute patterns too
    paths = [os.fspath(Path(path).absolute()) for path in found]
    if not paths:
        raise InputError(f"there is no file {str(pattern)!r}; give a pattern such as 'corpus/*.txt'")
    names = Counter(Path(path).name for path in paths)
    if twice := [name for name, count in names.items() if count > 1]:
        raise InputError(
            f"several files are called {', '.join(twice)}, so their parts would collide; embed them one by one"
        )
    return paths


def _everywhere(model: str | os.PathLike[str]) -> str:
    """Return a model's name, or its path made absolute, because workers run in other folders."""
    path = to_path(model, "model must be a path or a model's name")
    return os.fspath(path.absolute()) if exists(path) else os.fspath(model)


def _run(cluster: Client, parts: list[_Part], failed: dict[str, str]) -> FilesReport:
    report = FilesReport()
    futures = {cluster.submit(_make, part, pure=False): part for part in parts}
    for future in as_completed(futures):
        part = futures[future]
        try:
            was_there, n_sentences = future.result()
        except Exception as error:  # the other parts can still be made
            failed[part.name] = _reason(error)
            continue
        (report.skipped if was_there else report.made).append(part.name)
        report.n_sentences += n_sentences
    return report


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


# -- in the worker ---------------------------------------------------------------------------------------------------


_loading = threading.Lock()


@lru_cache(maxsize=1)
def _load_once(model: str) -> Elmo:
    return load(model)


def _model(model: str) -> Elmo:
    with _loading:  # a worker may have several threads
        return _load_once(model)


def _measure(inputs: CorpusInputs) -> int:
    for path in inputs.paths:
        if not Path(path).is_file():
            raise InputError(f"{path} is not a regular file; give the names of files")
    return sum(1 for _ in inputs)


def _make(part: _Part) -> tuple[bool, int]:
    """Make a part unless it exists; return whether it existed, and its number of sentences."""
    elmo = _model(part.model)
    did_exist = part.path.exists()
    if part.file_format == "parquet":
        _make_parquet(part, elmo)
    else:
        FileEmbedding(part.inputs, part.path, elmo, part.options).run(resume=True)
    return did_exist, part.inputs.stop - part.inputs.start


def _make_parquet(part: _Part, elmo: Elmo) -> None:
    try:
        import pyarrow as pa  # noqa: PLC0415 -- an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("Parquet needs pyarrow: pip install 'numpy_elmo[dask]'") from error
    text = TextDigest()
    for sentence in part.inputs:
        text.add(sentence.tokens, sentence.text)
    fingerprint = {"model": model_digest(elmo), **asdict(part.options), "text": str(text)}
    if part.path.exists():
        found = json.loads((pq.read_schema(part.path).metadata or {}).get(_METADATA, b"{}"))
        if other := differences(found, fingerprint):
            raise OutputError(f"{part.path} was made with {', '.join(other)}; remove it, or give another folder")
        return
    number = pa.float16() if part.options.dtype == "float16" else pa.float32()
    schema = pa.schema(
        [("sentence", pa.string()), ("vector", pa.list_(number, elmo.vector_size))],
        metadata={_METADATA: json.dumps(fingerprint)},
    )
    with (
        new_file(part.path, inputs=part.inputs.paths) as partial,
        output_errors(part.path),
        pq.ParquetWriter(partial, schema) as writer,
    ):
        for rows in batches(_pooled(part, elmo), _ROW_GROUP):
            sentences, vectors = zip(*rows, strict=True)
            writer.write_table(pa.table([list(sentences), list(vectors)], schema=schema))


def _pooled(part: _Part, elmo: Elmo) -> Iterator[tuple[str, Any]]:
    options = part.options
    pending: deque[Sentence] = deque()  # read but not yet embedded

    def tokens() -> Iterator[list[str]]:
        for sentence in part.inputs:
            pending.append(sentence)
            yield sentence.tokens

    vectors = elmo.embed_corpus(tokens(), layers=options.layers, state=options.state, batch_size=options.batch_size)
    for k, array in enumerate(vectors):
        pooled = pool(array, options.pooling if options.pooling != "none" else "mean")
        yield pending.popleft().text, stored(pooled, options.dtype, k)
