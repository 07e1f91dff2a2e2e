"""What a command imports before it has something to do with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmr.cli.table import COMMANDS
from tests.conftest import program_environment

HEAVY = {"torch", "torchvision", "open_clip", "faiss", "PIL", "scipy", "safetensors", "rich"}
ASK = """
import sys
from mmr.cli.main import run
code = run(sys.argv[1:])
sys.stdout.flush()
print(code, *sys.modules, file=sys.stderr)
"""


def modules(*words: str, cwd: Path | None = None) -> set[str]:
    """The modules that are loaded at the end of a run of `mmr`, which must end with status 0."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, *words], cwd=cwd, capture_output=True, text=True, timeout=120,
        env=program_environment(), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    code, *names = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    return set(names)


def test_help_imports_no_command_and_nothing_heavy() -> None:
    found = modules("--help")
    assert not found & (HEAVY | {"numpy", "orjson", "sqlite3"})
    assert {name for name in found if name.startswith("mmr.")} <= {
        "mmr.cli", "mmr.cli.main", "mmr.cli.status", "mmr.cli.table", "mmr.errors"
    }  # fmt: skip


@pytest.mark.parametrize("command", [row.name for row in COMMANDS])
def test_the_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    found = modules(command, "--help")
    assert not found & (HEAVY | {"numpy"})
    assert f"mmr.cli.{command}" in found


@pytest.fixture(scope="module")
def words_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of three texts, made by the built-in encoder."""
    folder = tmp_path_factory.mktemp("startup")
    line = "mmr embed --text 'a cat' --text 'a dog' --text 'the sky' | mmr index -q words.mmr"
    subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, env=program_environment(), check=True)
    return folder


def test_a_text_query_imports_no_picture_library_and_no_torch(words_index: Path) -> None:
    found = modules("query", "words.mmr", "a cat", "-o", "out.jsonl", cwd=words_index)
    assert "numpy" in found
    assert not found & (HEAVY - {"safetensors"})


def test_a_ready_vector_imports_no_encoder(words_index: Path) -> None:
    subprocess.run(
        ["bash", "-c", "mmr embed --text 'a cat' > q.jsonl"],
        cwd=words_index,
        env=program_environment(),
        check=True,
    )
    found = modules("query", "words.mmr", "--from", "q.jsonl", "-o", "out.jsonl", cwd=words_index)
    assert not found & HEAVY
    assert "mmr.encoders" not in found
