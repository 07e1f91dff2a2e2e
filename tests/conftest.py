"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # a child that is forked beside a client of Milvus

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regold", action="store_true", help="Rewrite what the golden cases expect.")


class Result(NamedTuple):
    """What a shell line gave: bytes of stdout, text of stderr, exit status."""

    stdout: bytes
    stderr: str
    status: int

    @property
    def lines(self) -> list[str]:
        return self.stdout.decode().splitlines()


def program_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which `mmr` is this checkout's program and talks plainly."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MMR_", "FORCE_", "COLUMNS"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = str(ROOT)
    environment["PYTHONDONTWRITEBYTECODE"] = ""
    environment["LC_ALL"] = "C.UTF-8"
    environment["NO_COLOR"] = "1"
    return {**environment, **(extra or {})}


def restore_signals() -> None:
    """Give the shell the signal actions of a login shell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


@pytest.fixture
def sh(tmp_path: Path) -> Callable[..., Result]:
    """Run a line of bash with `mmr` on PATH, in `tmp_path` unless told otherwise."""

    def run(
        line: str, *, cwd: Path | None = None, stdin: bytes = b"", env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Result:  # fmt: skip
        done = subprocess.run(
            ["bash", "-c", line], cwd=cwd or tmp_path, input=stdin, env=program_environment(env),
            capture_output=True, timeout=timeout, preexec_fn=restore_signals,
        )  # fmt: skip
        return Result(done.stdout, done.stderr.decode(errors="replace"), done.returncode)

    return run


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures, vectors and runs; a test that asks for it skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder `shared` with real data beside the repository")
    return SHARED
