"""The recipe for Spark in docs/corpora.md runs on Spark, in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "corpora.md"

PROGRAM = """
import sys
import numpy as np, numpy_elmo
from pyspark.sql import SparkSession
texts = ["They sat on the river bank .", "The bank lent them money .", "Yes"] * 4
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
table = spark.createDataFrame([(text,) for text in texts], "text string").repartition(3)
{recipe}
rows = pooled.collect()
assert sorted(row.text for row in rows) == sorted(texts)
elmo = numpy_elmo.load("tiny")
for row in rows:
    [vectors] = elmo.embed([row.text.split()], layers="average")
    np.testing.assert_allclose(row.vector, vectors.mean(axis=0), rtol=0, atol=1e-5)
spark.stop()
print("as one process")
"""


@pytest.mark.slow
def test_the_recipe_runs_on_spark() -> None:
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    [recipe] = re.findall(r"```python no-run\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(recipe=recipe)],
        cwd=PAGE.parents[1],
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(PAGE.parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("as one process")
