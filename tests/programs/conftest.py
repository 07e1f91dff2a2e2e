"""Small programs that speak the protocol, well or badly."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

START = """
import json, os, sys, time
hello = json.loads(sys.stdin.readline())
assert hello["protocol"] == 1, hello
def say(value):
    sys.stdout.write(json.dumps(value) + "\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., str]:
    """Write a program whose body is Python after the hello has been read; return the command line."""

    def write(body: str, name: str = "program.py", hello: str = 'say({"tag": "t1"})') -> str:
        file = tmp_path / name
        file.write_text(f"{START}\n{hello}\n{body}\n")
        return shlex.join([sys.executable, str(file)])

    return write
