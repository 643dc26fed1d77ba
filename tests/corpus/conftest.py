"""A model that several test files use."""

from __future__ import annotations

import pytest

from tests.conftest import write_model
from tests.corpus.test_embed import SMALLEST


@pytest.fixture(scope="session")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("smallest"), SMALLEST))
