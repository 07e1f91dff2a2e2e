"""A PostgreSQL with pgvector of the tests' own, out of the package pgserver; skips where that is missing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class Server:
    """A server of one test module: `address` of a collection, `kill` and `start` of its processes."""

    def __init__(self, folder: Path) -> None:
        import pgserver

        self._server = pgserver.get_server(folder, cleanup_mode=None)
        self.folder = folder
        self.uri = self._server.get_uri()

    def address(self, name: str) -> str:
        return f"{self.uri}#{name}"

    def kill(self) -> None:
        """kill -9 of the whole server, as when its machine loses power."""
        import psutil

        main = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        every = [main, *main.children(recursive=True)]
        for process in every:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(every, timeout=10)

    def start(self) -> None:
        """Start it again. Its process that was killed may stand as a zombie, which both take for alive."""
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.folder / name).unlink(missing_ok=True)
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server._cleanup()


@contextmanager
def server() -> Iterator[Server]:
    """A server in a folder of its own, gone at the end. pytest's own folders are not open to its user."""
    for package in ("pgserver", "psycopg"):
        pytest.importorskip(package, reason=f"needs {package}: pip install -e '.[dev]'")
    folder = Path(tempfile.mkdtemp(prefix="mmr-pg-"))
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    running = None
    try:
        folder.chmod(0o755)
        running = Server(folder / "data")
        yield running
    finally:
        if running is not None:
            with suppress(Exception):
                running.stop()
            with suppress(Exception):
                running.kill()
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        shutil.rmtree(folder, ignore_errors=True)
