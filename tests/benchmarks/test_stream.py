"""Reading the stream beside the bare libraries that it stands on, in one run."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from binascii import a2b_base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

from mmr.errors import raise_item
from mmr.stream.read import read_records
from mmr.stream.write import open_writer
from tests.benchmarks.measure import report
from tests.conftest import program_environment

pytestmark = pytest.mark.bench
RECORDS, DIM = 100_000, 512


def bare(path: Path) -> None:
    with open(path, "rb") as file:
        for line in file:
            np.frombuffer(a2b_base64(orjson.loads(line)["vector"]), "<f4")


def ours(path: Path) -> None:
    for _ in read_records([str(path)], reject=raise_item):
        pass


def cpu(function: Callable[[Path], None], path: Path) -> float:
    start = time.process_time()
    function(path)
    return time.process_time() - start


def test_reading_is_mostly_orjson_and_base64(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((RECORDS, DIM), np.float32)
    with open_writer(str(tmp_path / "x.jsonl"), "jsonl", vector_format="base64") as writer:
        for n, row in enumerate(rows):
            name = f"pics/{n}.jpg"
            writer.write({"id": name, "image": name, "size": n, "mtime": 1.5, "model": "m#1", "vector": row})
    rounds = [(cpu(ours, tmp_path / "x.jsonl"), cpu(bare, tmp_path / "x.jsonl")) for _ in range(4)]
    assert report("100,000 records of base64", *map(min, zip(*rounds, strict=True)), 2.0) <= 2.0


WORDS = """
import sys
from base64 import b64encode
import numpy as np
rng = np.random.default_rng(0)
for n in range(int(sys.argv[1])):
    vector = b64encode(rng.standard_normal(512, np.float32).tobytes()).decode()
    print('{"id":"%d","model":"toy#1","vector":"%s"}' % (n, vector))
"""


def highest(command: list[str], records: int, folder: Path) -> float:
    """The most anonymous memory, in MB, of a command that is given so many records on a pipe."""
    most = 0
    with (
        subprocess.Popen([sys.executable, "-c", WORDS, str(records)], stdout=subprocess.PIPE) as source,
        subprocess.Popen(command, stdin=source.stdout, cwd=folder, stdout=subprocess.DEVNULL,
                         env=program_environment()) as child,
    ):  # fmt: skip
        while child.poll() is None:
            found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{child.pid}/status").read_text())
            most = max(most, int(found[1]) if found else 0)
            time.sleep(0.02)
    assert child.returncode == 0
    return most / 1024


def test_memory_is_bounded_by_the_batch(tmp_path: Path) -> None:
    many = highest(["mmr", "index", "-q", "x.mmr"], 200_000, tmp_path)
    few = highest(["mmr", "index", "-q", "y.mmr"], 20_000, tmp_path)
    asked = highest(["mmr", "query", "x.mmr"], 2_000, tmp_path)
    print(f"\nanonymous memory: index of 200,000 {many:.0f} MB, of 20,000 {few:.0f} MB, query {asked:.0f} MB")
    assert max(many, few, asked) < 150
    assert many < few + 40
