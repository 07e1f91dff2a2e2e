"""Reading the stream beside the bare libraries that it stands on, in one run."""

from __future__ import annotations

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
