"""``numpy-elmo embed``: text files in, an HDF5 file of vectors out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import h5py

from numpy_elmo.cli.common import (
    SubParsers,
    add_model_arguments,
    add_reading_arguments,
    counted,
    model_files,
    say,
    text_inputs,
    with_flags,
)
from numpy_elmo.cli.progress import progress
from numpy_elmo.cli.signals import Interrupted, Signals
from numpy_elmo.corpus.embed import EmbedOptions, FileEmbedding, format_bytes
from numpy_elmo.corpus.inputs import STDIN, BlankLines
from numpy_elmo.elmo import CorpusReport, load
from numpy_elmo.errors import ElmoError, InputError
from numpy_elmo.files.writing import check_target

# Output size in bytes from which on it is announced.
LARGE = 10**9


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "embed",
        help="write the vectors of text files",
        description="Read tokenised sentences (text, CoNLL, JSON lines or FASTA, compressed or not) and write their "
        'ELMo vectors in the HDF5 layout of "allennlp elmo": datasets "0", "1", ... and "sentence_to_index". All flags '
        'of "allennlp elmo" are accepted; for the same numbers add --state carry.',
    )
    parser.add_argument("input", nargs="+", metavar="INPUT", help="text files, in this order, or - for standard input")
    parser.add_argument("output", metavar="OUTPUT", help="HDF5 file to write")
    add_model_arguments(parser)
    parser.add_argument("--weight-file", metavar="FILE", help="the same as --model, with --options-file")
    reading = add_reading_arguments(parser)
    reading.add_argument(
        "--blank-lines",
        choices=get_args(BlankLines),
        default="error",
        help="a blank line is an error (default) or an empty sentence, or is skipped without a number",
    )
    _add_vectors(parser)
    _add_running(parser)
    _add_ignored(parser)
    parser.set_defaults(run=run)


def _add_vectors(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("vectors")
    layers = group.add_mutually_exclusive_group()
    layers.add_argument(
        "--layers", type=_layers, default="all", metavar="all|top|average|N", help="which layers to write (all)"
    )
    for name, meaning in (
        ("all", "all layers, (layers, tokens, features); the default"),
        ("top", "the last layer, (tokens, features)"),
        ("average", "the mean of all layers, (tokens, features)"),
    ):
        layers.add_argument(f"--{name}", dest="layers", action="store_const", const=name, help=meaning)
    group.add_argument(
        "--state",
        choices=("reset", "carry"),
        default="reset",
        help="start every sentence from zeros (reset, the default), or continue from the batch before, "
        "as AllenNLP and bilm-tf do (carry)",
    )
    group.add_argument("--batch-size", type=int, default=64, metavar="N", help="sentences that run together (64)")
    group.add_argument(
        "--pooling",
        choices=("mean", "max", "none"),
        default="none",
        help='one vector per sentence, as rows of one dataset "vectors" or, with --use-sentence-keys, in datasets of '
        "their own; or one per token (none, the default)",
    )
    group.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="precision to store")
    group.add_argument("--compression", help=argparse.SUPPRESS)  # the error gives a command that compresses
    group.add_argument("--forget-sentences", action="store_true", help='omit "sentence_to_index"')
    group.add_argument(
        "--use-sentence-keys", action="store_true", help="name the datasets by their sentences, which must differ"
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument("--resume", action="store_true", help="continue an unfinished run, if there is one")
    group.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists, finished or not")
    group.add_argument(
        "--checkpoint", type=float, default=30.0, metavar="SECONDS", help="time between checkpoints (30)"
    )
    group.add_argument("--threads", type=int, metavar="N", help="threads that share the work (2)")
    group.add_argument(
        "--file-friendly-logging", action="store_true", help="progress as plain lines even on a terminal"
    )


def _add_ignored(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("accepted for allennlp compatibility; no effect")
    group.add_argument("--vocab-path", metavar="PATH", help="no effect in AllenNLP either")
    group.add_argument("--cuda-device", type=int, metavar="N", help="everything runs on the CPU")
    group.add_argument("--include-package", action="append", metavar="NAME", help="there are no plugins")


def _layers(text: str) -> str | int:
    if text == "mean":
        raise argparse.ArgumentTypeError("did you mean average?")
    return int(text) if text.lstrip("-").isdecimal() else text


def run(arguments: argparse.Namespace) -> int:
    """Embed the files."""
    return run_job(lambda: _job(arguments), arguments)


def run_job(make: Callable[[], FileEmbedding], arguments: argparse.Namespace) -> int:
    """Run a job, or say how much of it is kept; return the exit status."""
    with Signals(for_good=arguments.is_process) as signals:
        job: FileEmbedding | None = None
        try:
            job = make()
            report = _run(job, arguments)
        except ElmoError as error:
            say(f"numpy-elmo: error: {with_flags(error, arguments)}{_kept(job)}")
            return 2
        except Interrupted as interrupted:
            say(f"numpy-elmo: {interrupted.signal.name}: stopped{_kept(job)}")
            return 128 + interrupted.signal
        signals.ignore()  # the file is complete: a signal must not have it reported as interrupted
        _summarise(job, report)
    return 0


def _run(job: FileEmbedding, arguments: argparse.Namespace) -> CorpusReport:
    with progress(plain=arguments.file_friendly_logging) as show:
        is_announced = False

        def shown(done: CorpusReport) -> None:
            nonlocal is_announced
            if not is_announced and job.n_bytes >= LARGE:
                total = job.total
                size = format_bytes(job.n_bytes)
                say(f"{total.n_sentences:,} sentences, {total.n_tokens:,} tokens: {job.output} will have {size}")
            is_announced = True
            show(done, job.total)

        return job.run(
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            checkpoint_seconds=arguments.checkpoint,
            progress=shown,
        )


def _job(arguments: argparse.Namespace) -> FileEmbedding:
    source = arguments.model
    if arguments.weight_file is not None:
        if arguments.model != "tiny":
            raise InputError("--model and --weight-file mean the same; give one of them")
        source = arguments.weight_file
    for path in (source, arguments.options_file):
        if path is not None and path.startswith(("http://", "https://")):
            raise InputError(f"{path} is not downloaded; get the model with 'numpy-elmo download', or give a file")
    if arguments.input.count(STDIN) > 1:
        raise InputError("standard input can be read only once; give - once")
    if not arguments.checkpoint >= 0:
        raise InputError(f"--checkpoint must not be negative, and is {arguments.checkpoint}")
    if arguments.compression not in (None, "none"):
        raise InputError(
            "vectors are written uncompressed, because gzip saves 3 %; to compress the finished file: "
            f"h5repack -f SHUF -f GZIP=6 {arguments.output} packed.hdf5"
        )
    output = Path(arguments.output)
    if len(arguments.input) > 1 and output.is_file() and not h5py.is_hdf5(output):
        raise InputError(
            f"{output}, the last file, would be overwritten, and is not an HDF5 file; was OUTPUT forgotten?"
        )
    if output.suffix.lower() == ".npz":
        raise InputError(f"{output}: vectors are written as HDF5; give a name that ends in .hdf5")
    check_target(output, overwrite=True, inputs=model_files(arguments))
    inputs = text_inputs(arguments, arguments.input, arguments.blank_lines)
    options = EmbedOptions(
        layers=arguments.layers,
        state=arguments.state,
        batch_size=arguments.batch_size,
        pooling=arguments.pooling,
        dtype=arguments.dtype,
        sentence_keys=arguments.use_sentence_keys,
        sentence_map=not arguments.forget_sentences and not arguments.use_sentence_keys,
    )
    elmo = load(source, options=arguments.options_file, threads=arguments.threads)
    return FileEmbedding(inputs, arguments.output, elmo, options)


def _kept(job: FileEmbedding | None) -> str:
    if job is None or not job.n_kept:
        return "; nothing was written"
    return f"; {job.n_kept:,} sentences are kept, the same command with --resume continues after them"


def _summarise(job: FileEmbedding, report: CorpusReport) -> None:
    sentences, tokens = counted(report.n_sentences, "sentence"), counted(report.n_tokens, "token")
    print(f"{job.output}: {sentences}, {tokens}, {job.n_features} features per layer")
    if report.first_cut is not None:
        sentence, place = report.first_cut
        print(
            f"cut to what the model reads: {counted(report.n_cut_tokens, 'token')}; the first one is token {place} of "
            f"sentence {sentence}"
        )
