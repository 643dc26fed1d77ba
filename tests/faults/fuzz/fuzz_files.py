"""Fuzz everything that reads files or objects of unknown origin.

    pip install -e ".[fuzz]"
    python tests/faults/fuzz/fuzz_files.py -runs=20000 -max_total_time=60 -timeout=20 -rss_limit_mb=2048

Arguments are libFuzzer's.  Each run ends in a result or in an error of numpy_elmo; anything else, a run of 20 seconds
or 2 GB of memory ends the command with a status that is not 0, and leaves the input in a file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

with atheris.instrument_imports(include=["numpy_elmo"]):
    from tests.faults.fuzz.targets import TARGETS, run_one


def main() -> None:
    """Run libFuzzer over all targets, beginning with their seeds."""
    with tempfile.TemporaryDirectory() as seeds:
        for number, (_, seed) in enumerate(TARGETS):
            (Path(seeds) / str(number)).write_bytes(bytes([number]) + seed)
        atheris.Setup([*sys.argv, seeds], run_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
