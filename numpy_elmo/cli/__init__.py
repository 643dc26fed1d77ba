"""The command ``numpy-elmo``: it parses arguments and prints; the library does the work."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

import numpy_elmo
from numpy_elmo.cli import (
    convert,
    download,
    embed,
    explore,
    info,
    neighbors,
    next_words,
    pairs,
    perplexity,
    plot,
    seqvec,
    substitutes,
    surprisal,
    verify,
)
from numpy_elmo.cli.common import say, with_flags
from numpy_elmo.errors import ElmoError, InputWarning


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments after the command's name; by default those of the process.

    Returns
    -------
    int
        The exit status: 0; 2 after an error, printed as one line on standard error; or that of the command.
    """
    parser = argparse.ArgumentParser(prog="numpy-elmo", description="ELMo inference in pure NumPy.")
    parser.add_argument("--version", action="version", version=f"numpy-elmo {numpy_elmo.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    words = (next_words, perplexity, surprisal, pairs, substitutes)
    for command in (embed, explore, neighbors, *words, plot, seqvec, info, download, convert, verify):
        command.add_parser(commands)
    parsed = parser.parse_args(arguments)
    parsed.is_process = arguments is None
    if isinstance(sys.stdout, io.TextIOWrapper):  # for terminals that are not UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.simplefilter("default", InputWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"numpy-elmo: warning: {with_flags(message, parsed)}")
        return _run(parsed)


def _run(parsed: argparse.Namespace) -> int:
    try:
        status: int = parsed.run(parsed)
        if sys.stdout is not None:
            sys.stdout.flush()
    except ElmoError as error:
        say(f"numpy-elmo: error: {with_flags(error, parsed)}")
        return 2
    except KeyboardInterrupt:
        say("numpy-elmo: interrupted; nothing was written")
        return 130
    except BrokenPipeError:
        # The reader of standard output has ended, as `head` does; `say` handles standard error.
        _close_stdout()
        return 0
    except OSError as error:
        if error.filename is not None:
            raise
        _close_stdout()
        say(f"numpy-elmo: error: standard output cannot be written: {error.strerror}")
        return 2
    return status


def _close_stdout() -> None:
    """Drop unprinted output, which Python would otherwise try to print again when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
