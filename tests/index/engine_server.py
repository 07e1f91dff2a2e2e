"""A real server of either engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import milvus_server, pg_server


@contextmanager
def running(engine: str, folder: Path) -> Iterator[Any]:
    """A server of "postgresql" or "milvus", killed at the end; skips where its packages are missing."""
    if engine == "milvus":
        server = milvus_server.Server(folder)
        yield server
        server.kill()
    else:
        with pg_server.server() as server:
            yield server
