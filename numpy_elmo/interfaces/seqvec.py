"""The interface of SeqVec, ELMo of protein sequences: bio_embeddings' embedder and the program ``seqvec``.

bio_embeddings::

    from bio_embeddings.embed import SeqVecEmbedder

    embedder = SeqVecEmbedder(model_directory="seqvec")
    vectors = embedder.embed("SEQWENCE")  # (3, 8, 1024)
    protein = embedder.reduce_per_protein(vectors)  # (1024,)

Change the import::

    from numpy_elmo.interfaces.seqvec import SeqVecEmbedder

As in bio_embeddings, the LSTM states are carried from call to call, and a new embedder warms up by embedding
one sequence `warmup_rounds` times.  `embed_fasta`, and the command ``numpy-elmo seqvec``, start each protein from zeros
instead, so that its vectors do not depend on the proteins before it; ``seqvec`` carries the states from batch to batch.

What differs:

* Nothing is downloaded.  By default the model from ``numpy-elmo download seqvec`` is used.
* Everything runs on the CPU: `device` has no effect.
* `SeqVecEmbedder.embed_many` keeps the order of the sequences.  In bio_embeddings, one that is longer than a batch
  comes before earlier ones that wait in a batch.
* Models of other sizes work too.

References
----------
Heinzinger et al. 2019, "Modeling aspects of the language of life through transfer-learning protein sequences",
doi:10.1186/s12859-019-3220-8.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from numpy_elmo.corpus.embed import EmbedOptions, FileEmbedding
from numpy_elmo.corpus.fasta import Protein, Proteins
from numpy_elmo.corpus.inputs import CorpusInputs, Sentence
from numpy_elmo.corpus.write import write_npz
from numpy_elmo.elmo import CorpusReport, Elmo, StatePolicy, load
from numpy_elmo.errors import InputError, InputTypeError
from numpy_elmo.files.places import to_path
from numpy_elmo.files.writing import check_target
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.pooling import pool
from numpy_elmo.network.batching import bounded_batches
from numpy_elmo.network.checks import check_count
from numpy_elmo.network.state import CarriedState

PathLike: TypeAlias = "str | os.PathLike[str]"
State: TypeAlias = StatePolicy | CarriedState

__all__ = ["SeqVecEmbedder", "embed_fasta"]

_SUFFIXES = (".npz", ".h5", ".hdf5")

# The protein that bio_embeddings embeds to warm up: target T0922 of CASP.
WARM_UP = "MGSSHHHHHHSSGLVPRGSHMASVQKFPGDANCDGIVDISDAVLIMQTMANPSKYQMTDKGRINADVTGNSDGVTVLDAQFIQSYCLGLVELPPVE"


class SeqVecEmbedder:
    """Vectors of protein sequences, one residue per token.

    Parameters
    ----------
    warmup_rounds : int
        How often to embed one sequence first, so that the states are not zeros.  With 0, the first call starts from
        zeros.
    weights_file, options_file : str or path, optional
        The model's files.
    model_directory : str or path, optional
        A folder with the files ``weights_file`` and ``options_file``, or with ``weights.hdf5`` and ``options.json``.
    device, max_amino_acids
        Accepted for bio_embeddings compatibility; no effect.

    Attributes
    ----------
    name : str
        ``"seqvec"``.
    embedding_dimension : int
        Length of a vector; 1024 for SeqVec.
    number_of_layers : int
        Layers of vectors; 3 for SeqVec.

    Raises
    ------
    InputError
        If only one of the two files is given, or files and a folder.
    ModelNotFoundError, OptionsError, WeightsError
        As for `numpy_elmo.load`.
    """

    name = "seqvec"
    embedding_dimension = 1024
    number_of_layers = 3

    def __init__(
        self,
        warmup_rounds: int = 4,
        *,
        weights_file: PathLike | None = None,
        options_file: PathLike | None = None,
        model_directory: PathLike | None = None,
        device: object = None,
        max_amino_acids: object = None,
    ) -> None:
        check_count("warmup_rounds", warmup_rounds, minimum=0)
        self._elmo = _load(weights_file, options_file, model_directory)
        self._state = CarriedState()
        self.warmup_rounds = warmup_rounds
        self.embedding_dimension = self._elmo.vector_size
        self.number_of_layers = self._elmo.n_layers + 1
        for _ in range(warmup_rounds):
            self.embed(WARM_UP)

    def embed(self, sequence: str) -> Array:
        """Return the vectors of one protein, and carry the states.

        Parameters
        ----------
        sequence : str
            One letter per residue.

        Returns
        -------
        ndarray of float32, shape (3, L, 1024)
            Vectors of all layers at each of the L residues.

        Raises
        ------
        InputTypeError
            If it is not a string.
        """
        return next(self.embed_batch([sequence]))

    def embed_batch(self, batch: list[str]) -> Iterator[Array]:
        """Yield the vectors of proteins, which run as one batch, and carry the states.

        Parameters
        ----------
        batch : list of str
            The sequences.  As in bio_embeddings, one empty sequence alone does not run and keeps the states.

        Yields
        ------
        ndarray of float32, shape (3, L, 1024)
            One array per sequence, in order.

        Raises
        ------
        InputTypeError
            If it is one string, or a sequence is not a string.
        """
        if isinstance(batch, str):
            raise InputTypeError("batch must be a list of sequences, not one string: give [sequence]")
        sequences = list(batch)
        for place, sequence in enumerate(sequences):
            if not isinstance(sequence, str):
                raise InputTypeError(
                    f"sequence {place} must be a string, not {type(sequence).__name__}: {sequence!r:.60}"
                )
        state: State = "reset" if sequences == [""] else self._state
        yield from self._elmo.embed(map(list, sequences), state=state, batch_size=max(1, len(sequences)))

    def embed_many(self, sequences: Iterable[str], batch_size: int | None = None) -> Iterator[Array]:
        """Yield the vectors of many proteins.

        Parameters
        ----------
        sequences : iterable of str
            The sequences, read one batch at a time.
        batch_size : int, optional
            A batch has fewer residues than this.  A longer sequence runs alone, with a warning.  By default every
            sequence runs alone.

        Returns
        -------
        iterator of ndarray of float32, shape (3, L, 1024)
            One array per sequence, in order.

        Raises
        ------
        InputTypeError
            As for `embed_batch`.
        InputError
            If `batch_size` is not positive.

        Warns
        -----
        UserWarning
            For a sequence of more residues than `batch_size`.
        """
        if isinstance(sequences, str):
            raise InputTypeError("sequences must be a list of sequences, not one string: give [sequence]")
        if batch_size is not None:
            check_count("batch_size", batch_size)
        batches = ([sequence] for sequence in sequences) if batch_size is None else _batches(sequences, batch_size)
        return (vectors for batch in batches for vectors in self.embed_batch(batch))

    @staticmethod
    def reduce_per_protein(embedding: Array) -> Array:
        """Return one vector per protein: the sum of the layers, averaged over the residues.

        Parameters
        ----------
        embedding : ndarray, shape (3, L, 1024)
            What `embed` returned, of at least one residue.

        Returns
        -------
        ndarray, shape (1024,)
        """
        reduced: Array = embedding.sum(0).mean(0)
        return reduced


def embed_fasta(
    input: PathLike,
    output: PathLike,
    model: Elmo | PathLike = "seqvec",
    *,
    per_protein: bool = False,
    split_char: str = "|",
    id_field: int | None = None,
    batch_residues: int = 15_000,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[CorpusReport], object] = lambda _: None,
) -> CorpusReport:
    """Write the vectors of the proteins of FASTA files: one array per protein, the sum of the layers.

    All sequences are checked first: repeated identifiers and empty sequences raise an error before any work.

    Parameters
    ----------
    input : str or path
        A FASTA file, compressed or not, or a folder of them.
    output : str or path
        The file to write: ``.npz``, which appears when complete, or ``.h5`` or ``.hdf5``, which can be resumed.  Each
        protein becomes one array, named by its identifier: (L, 1024), or (1024,) with `per_protein`.
    model : Elmo, str or path
        A loaded model, or what `numpy_elmo.load` takes.
    per_protein : bool
        Whether to average over the residues.
    split_char : str
        What separates the fields of a header.
    id_field : int, optional
        The field that is the identifier; see `numpy_elmo.corpus.fasta.Proteins`.
    batch_residues : int
        Most residues in a batch, for npz; a longer protein runs alone.  Batches for HDF5 are fixed, so that a run can
        be resumed.
    resume : bool
        Whether to continue an unfinished HDF5 file.
    overwrite : bool
        Whether to replace `output` if it exists.
    progress : callable
        Called with the report after each batch.

    Returns
    -------
    CorpusReport
        Proteins as sentences, residues as tokens.

    Raises
    ------
    InputError
        If sequences cannot be used (the message names them), or `output` has another suffix.
    OutputError
        If the file exists, or cannot be written.
    """
    check_count("batch_residues", batch_residues)
    proteins = Proteins(input, split_char=split_char, id_field=id_field)
    kind = to_path(output, "output must be a path").suffix.lower()
    if kind not in _SUFFIXES:
        raise InputError(f"{output} must end with .npz, .h5 or .hdf5; give such a name")
    if kind != ".npz":
        job = fasta_job(proteins, output, model, per_protein=per_protein)
        return job.run(resume=resume, overwrite=overwrite, progress=progress)
    if resume:
        raise InputError(f"{output} is written whole at the end and cannot be resumed; give a name that ends with .h5")
    target = check_target(output, overwrite=overwrite, inputs=proteins.files)
    proteins.check()
    elmo = model if isinstance(model, Elmo) else load(model)
    report = CorpusReport()

    def vectors() -> Iterator[tuple[str, Array]]:
        for batch in bounded_batches(proteins, batch_residues, _length, batch_residues):
            arrays = elmo.embed([list(protein.sequence) for protein in batch], layers="sum")
            for protein, array in zip(batch, arrays, strict=True):
                report.add(protein.sequence, elmo.encoder.max_characters)
                yield protein.identifier, pool(array, "mean") if per_protein else array
            progress(report)

    write_npz(target, vectors(), overwrite=overwrite)
    return report


def fasta_job(proteins: Proteins, output: PathLike, model: Elmo | PathLike, *, per_protein: bool) -> FileEmbedding:
    """Check the proteins, and return the resumable run that writes them to an HDF5 file."""
    proteins.check()
    pooling: Literal["mean", "none"] = "mean" if per_protein else "none"
    options = EmbedOptions(layers="sum", pooling=pooling, sentence_keys=True)
    elmo = model if isinstance(model, Elmo) else load(model)
    return FileEmbedding(_ProteinText(proteins.files, proteins=proteins), output, elmo, options)


@dataclass(frozen=True)
class _ProteinText(CorpusInputs):
    """Proteins as sentences of residues, for the resumable run."""

    proteins: Iterable[Protein] = ()

    def __iter__(self) -> Iterator[Sentence]:
        return (Sentence(protein.identifier, list(protein.sequence)) for protein in self.proteins)


def _length(protein: Protein) -> int:
    return len(protein.sequence)


def _batches(sequences: Iterable[str], batch_size: int) -> Iterator[list[str]]:
    """Cut sequences into batches of fewer than `batch_size` residues, or of one sequence."""
    batch: list[str] = []
    n_residues = 0
    for sequence in sequences:
        if len(sequence) > batch_size:
            warnings.warn(f"a sequence has {len(sequence)} residues, more than batch_size={batch_size}", stacklevel=3)
        if batch and n_residues + len(sequence) >= batch_size:
            yield batch
            batch, n_residues = [], 0
        batch.append(sequence)
        n_residues += len(sequence)
    if batch:
        yield batch


def _load(weights: PathLike | None, options: PathLike | None, folder: PathLike | None) -> Elmo:
    if (weights is None) != (options is None) or (folder is not None and weights is not None):
        raise InputError("give weights_file and options_file, or model_directory with both files in it")
    if folder is not None:
        files = to_path(folder, "model_directory must be a path")
        if not (files / "weights_file").exists():
            return load(files)
        weights, options = files / "weights_file", files / "options_file"
    return load("seqvec" if weights is None else weights, options=options)
