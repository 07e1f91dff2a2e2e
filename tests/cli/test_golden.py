"""Golden cases: one folder each, `cmd` with its `in`, `expout`, `experr` and `status`.

A case runs in bash in a copy of its folder, where `pics.mmr` is an index of the items in `pics.jsonl` beside
the cases. What is printed is compared as a user sees it: decimals to four places, the folder as FOLDER, the
built-in encoder's fingerprint as HASH. `pytest tests/cli/test_golden.py --regold` rewrites what is expected.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import program_environment, restore_signals

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/cmd"))
EXPECTED = ("expout", "experr", "status")


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of `pics.jsonl`, built once."""
    folder = tmp_path_factory.mktemp("golden")
    shutil.copy(GOLDEN / "pics.jsonl", folder)
    run("mmr index -q pics.mmr pics.jsonl", folder, b"", check=True)
    return folder / "pics.mmr"


def run(line: str, folder: Path, stdin: bytes, check: bool = False) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, input=stdin, env=program_environment(), capture_output=True,
        timeout=120, preexec_fn=restore_signals, check=check,
    )  # fmt: skip


def plain(data: bytes, folder: Path) -> str:
    """What is compared: no folder of the day, no hash of the weights, decimals to four places."""
    text = data.decode(errors="backslashreplace").replace(str(folder), "FOLDER")
    text = re.sub(r"builtin#[0-9a-f]{6,}", "builtin#HASH", text)
    return re.sub(
        r"-?\d+\.\d{5,}(?:e-?\d+)?", lambda found: f"{float(found[0]):.4f}".replace("-0.0000", "0.0000"), text
    )


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, tmp_path: Path, index: Path, request: pytest.FixtureRequest) -> None:
    case, folder = GOLDEN / name, tmp_path / "case"
    shutil.copytree(case, folder, ignore=shutil.ignore_patterns("cmd", "in", *EXPECTED))
    shutil.copytree(index, folder / "pics.mmr")
    stdin = (case / "in").read_bytes() if (case / "in").exists() else b""
    done = run((case / "cmd").read_text(), folder, stdin)
    found = (plain(done.stdout, folder), plain(done.stderr, folder), f"{done.returncode}\n")
    if request.config.getoption("--regold"):
        for file, text in zip(EXPECTED, found, strict=True):
            (case / file).write_text(text)
    assert found == tuple((case / file).read_text() for file in EXPECTED)


def test_there_are_cases() -> None:
    assert len(CASES) > 40
    assert [path.name for path in GOLDEN.iterdir() if path.is_dir() and not (path / "cmd").exists()] == []
