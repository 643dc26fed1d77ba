"""The server that downloads come from."""

from __future__ import annotations

from tests.files.server import cache, publish, server  # noqa: F401
