"""``numpy-elmo verify``: check a model against what is on record of the published ones."""

from __future__ import annotations

import argparse

from numpy_elmo.analysis.verify import Check, verify
from numpy_elmo.cli.common import SubParsers


def add_parser(commands: SubParsers) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify",
        help="check a model's files and vectors",
        description="Check sizes and checksums on record, that the weights fit the options and are finite, and, for "
        "models of which others printed numbers, that the same numbers come out. The exit status is 1 if a check "
        "fails.",
    )
    parser.add_argument("model", metavar="NAME|DIR", help="name of a downloaded model, folder or zip")
    parser.add_argument("--as", dest="name", metavar="NAME", help="the published model that a folder should be")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every check."""
    report = verify(arguments.model, name=arguments.name)
    print(f"{report.model}" + (f", compared with {report.published_as}" if report.published_as else ""))
    for check in report.checks:
        print(_row(check))
    for note in report.notes:
        print(f"note  {note}")
    failed = sum(not check.ok for check in report.checks)
    print(f"{len(report.checks)} checks, {failed} failed")
    return 0 if report.ok else 1


def _row(check: Check) -> str:
    row = f"{'ok' if check.ok else 'FAIL':<5} {check.name}: expected {check.expected}, found {check.found}"
    if check.difference is not None:
        row += f", difference {check.difference:.3g} (at most {check.tolerance:.3g})"
    return row
