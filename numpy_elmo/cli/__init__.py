"""The command ``numpy-elmo``: argument parsing and printing; the work is the library's."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import numpy_elmo
from numpy_elmo.cli import download, embed, info, neighbors, next_words, perplexity, plot, substitutes, verify
from numpy_elmo.errors import ElmoError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the command's name; the process's own by default.

    Returns
    -------
    int
        The exit status: 0, or 2 after an error, which is one line on standard error.
    """
    parser = argparse.ArgumentParser(prog="numpy-elmo", description="ELMo inference in pure NumPy.")
    parser.add_argument("--version", action="version", version=f"numpy-elmo {numpy_elmo.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (embed, neighbors, next_words, perplexity, substitutes, plot, info, download, verify):
        command.add_parser(commands)
    parsed = parser.parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except ElmoError as error:
        print(f"numpy-elmo: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("numpy-elmo: interrupted; nothing was written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe went away, as `head` does.  Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status
