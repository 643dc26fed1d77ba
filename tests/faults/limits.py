"""What the tests of faults share: an outcome that is allowed, and a process with little memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from numpy_elmo.errors import ElmoError

ROOT = Path(__file__).parents[2]

Result = TypeVar("Result")

BOUNDED = """
import resource, sys
from pathlib import Path
import h5py, numpy as np
import numpy_elmo
from numpy_elmo import LanguageModel, load
from numpy_elmo.errors import ElmoError
from numpy_elmo.corpus import read_sentences
load("tiny").embed([["warm", "up"]])
status = Path("/proc/self/status").read_text()
used = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize")) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + {bound}, resource.RLIM_INFINITY))
try:
    result = eval(sys.argv[1])
except ElmoError as error:
    print(type(error).__name__, error)
else:
    print("a result")
"""

needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process as Linux does")


def outcome(call: Callable[[], Result]) -> Result | ElmoError:
    """Return the result, or the error of the package; anything else that is raised fails the test."""
    try:
        return call()
    except ElmoError as error:
        found = error
    # A message that names a thing and a remedy is no single word, and can be printed.
    assert len(str(found).encode("utf-8").split()) > 3
    return found


def outcome_with_memory(expression: str, bound: int) -> str:
    """Evaluate an expression in a process that may take `bound` more bytes; return what came of it."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BOUNDED).format(bound=bound), expression],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
