"""A milvus-lite that serves a folder to other processes, as a Milvus would; tests start and kill it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

SERVE = """
import sys
from milvus_lite.adapter.grpc.server import run_server
run_server(sys.argv[1], "127.0.0.1", int(sys.argv[2]))
"""


def needed() -> None:
    """Skip where Milvus cannot be tested."""
    pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'mmr[milvus]'")
    pytest.importorskip("milvus_lite", reason="needs milvus-lite: pip install milvus-lite")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """A server over one folder, on one port also when it is started again."""

    def __init__(self, folder: Path) -> None:
        needed()
        self.folder, self.port = folder, free_port()
        self.url = f"milvus+http://127.0.0.1:{self.port}"
        self.start()

    def address(self, name: str) -> str:
        return f"{self.url}#{name}"

    def start(self) -> None:
        environment = {**os.environ, "GRPC_VERBOSITY": "NONE"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.folder), str(self.port)], env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(1500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.process.poll() is None, "milvus-lite did not start"
                time.sleep(0.02)
            else:
                return
        raise AssertionError("milvus-lite does not answer")

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
