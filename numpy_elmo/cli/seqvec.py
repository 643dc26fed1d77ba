"""``numpy-elmo seqvec``: FASTA files in, vectors of proteins out, with the flags of the program ``seqvec``."""

from __future__ import annotations

import argparse
from pathlib import Path

from numpy_elmo.cli.common import SubParsers, model_files
from numpy_elmo.cli.embed import run_job
from numpy_elmo.cli.progress import progress
from numpy_elmo.corpus.fasta import Proteins
from numpy_elmo.elmo import CorpusReport
from numpy_elmo.errors import InputError
from numpy_elmo.files.writing import check_target
from numpy_elmo.interfaces.seqvec import embed_fasta, fasta_job


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "seqvec",
        help="write the vectors of protein sequences",
        description="Read protein sequences (FASTA, compressed or not, or a folder of such files) and write one array "
        "per protein, named by its identifier: the sum of SeqVec's layers, (residues, 1024). The flags are those of "
        "the program seqvec.",
    )
    parser.add_argument("-i", "--input", required=True, metavar="FILE|DIR", help="FASTA file, or folder of FASTA files")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="file to write: .npz, which appears when it is complete, or .h5, which --resume can continue",
    )
    parser.add_argument(
        "--model", default="seqvec", metavar="NAME|DIR", help="folder with weights.hdf5 and options.json (seqvec)"
    )
    parser.add_argument(
        "--protein",
        nargs="?",
        type=_boolean,
        const=True,
        default=False,
        metavar="True",
        help="one vector per protein: the mean over its residues",
    )
    parser.add_argument(
        "--split_char", "--split-char", default="|", metavar="CHAR", help="what separates the fields of a header (|)"
    )
    parser.add_argument(
        "--id",
        "--id-field",
        dest="id_field",
        type=int,
        metavar="N",
        help="field that is the identifier, from 0; -1 for the whole header (field 1 if there is one, as in "
        "sp|P12345|NAME, else the first word)",
    )
    parser.add_argument(
        "--batchsize",
        type=int,
        default=15_000,
        metavar="N",
        help="most residues in a batch, for npz (15000)",
    )
    parser.add_argument("--resume", action="store_true", help="continue an unfinished HDF5 file, if there is one")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists, finished or not")
    parser.add_argument(
        "--checkpoint", type=float, default=30.0, metavar="SECONDS", help="time between checkpoints of HDF5 (30)"
    )
    parser.add_argument(
        "--file-friendly-logging", action="store_true", help="progress as plain lines even on a terminal"
    )
    ignored = parser.add_argument_group("accepted for compatibility with seqvec; no effect")
    ignored.add_argument("--cpu", nargs="?", const=True, help="everything runs on the CPU")
    ignored.add_argument("--verbose", "--silent", nargs="?", const=True, help="progress goes to standard error")
    parser.set_defaults(run=run)


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    try:
        return values[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"True or False is expected, not {text!r}") from None


def run(arguments: argparse.Namespace) -> int:
    """Embed the sequences."""
    if not arguments.checkpoint >= 0:
        raise InputError(f"--checkpoint must not be negative, and is {arguments.checkpoint}")
    check_target(arguments.output, overwrite=True, inputs=model_files(arguments))
    proteins = Proteins(arguments.input, split_char=arguments.split_char, id_field=arguments.id_field)
    if Path(arguments.output).suffix.lower() in (".h5", ".hdf5"):
        return run_job(
            lambda: fasta_job(proteins, arguments.output, arguments.model, per_protein=arguments.protein), arguments
        )
    proteins.check()
    total = CorpusReport(proteins.n_sequences, proteins.n_residues)
    with progress(plain=arguments.file_friendly_logging) as show:
        report = embed_fasta(
            arguments.input,
            arguments.output,
            arguments.model,
            per_protein=arguments.protein,
            split_char=arguments.split_char,
            id_field=arguments.id_field,
            batch_residues=arguments.batchsize,
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            progress=lambda done: show(done, total),
        )
    print(f"{arguments.output}: {report.n_sentences} proteins, {report.n_tokens} residues")
    return 0
