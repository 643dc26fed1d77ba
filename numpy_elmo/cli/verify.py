"""``numpy-elmo verify``: check a model against known values, and print a report to paste into an issue."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import h5py
import numpy as np

import numpy_elmo
from numpy_elmo.analysis.verify import Check, verify
from numpy_elmo.cli.common import SubParsers
from numpy_elmo.files import published
from numpy_elmo.layers import blas


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify",
        help="check a model's files and vectors",
        description="Check known sizes and checksums, that the weights fit the options and are finite, and, for "
        "models with published example numbers, that these are reproduced. The report is Markdown, ready to be "
        "pasted into an issue. The exit status is 1 if a check fails.",
    )
    parser.add_argument("model", metavar="NAME|DIR", help="name, folder, archive or weight file")
    parser.add_argument("--as", dest="name", metavar="NAME", help="the published model that a folder should be")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every check."""
    report = verify(arguments.model, name=arguments.name)
    compared = f", compared with {report.published_as}" if report.published_as else ""
    print(f"### numpy-elmo verify: {Path(report.model).name}{compared}\n")  # the name alone: a path is private
    print(f"- {_environment()}")
    for file in report.files:
        print(f"- {file.name}: {file.size:,} bytes, sha256 {file.sha256}")
    print("\n```text")
    for check in report.checks:
        print(_row(check))
    for note in report.notes:
        print(f"note  {note}")
    failed = sum(not check.ok for check in report.checks)
    print(f"{len(report.checks)} checks, {failed} failed\n```")
    if report.published_as not in (None, published.EMBEDDED):
        print("Please paste this report into an issue of numpy_elmo: see README.md, Models", file=sys.stderr)
    return 0 if report.ok else 1


def _environment() -> str:
    """Return the versions and platform that may explain a difference."""
    versions = (
        f"numpy_elmo {numpy_elmo.__version__}",
        f"NumPy {np.__version__} (OpenBLAS kernels: {blas.kernel()})",
        f"h5py {h5py.__version__} (HDF5 {h5py.version.hdf5_version})",
        f"Python {platform.python_version()}",
        f"{platform.system()} {platform.machine()}",
    )
    return ", ".join(versions)


def _row(check: Check) -> str:
    row = f"{'ok' if check.ok else 'FAIL':<5} {check.name}: expected {check.expected}, found {check.found}"
    if check.difference is not None:
        row += f", difference {check.difference:.3g} (at most {check.tolerance:.3g})"
    return row
