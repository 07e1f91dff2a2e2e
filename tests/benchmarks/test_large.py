"""Indexes of one and of ten million vectors under a limit of 8 GiB of address space; `make bench-large`."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.benchmarks.measure import KINDS, keep, machine, report
from tests.conftest import program_environment

pytestmark = pytest.mark.large
GIB = 1 << 30
LIMIT = 8  # GiB of address space, mapped files and all
DIM, QUERIES, BLOCK = 128, 1000, 100_000
COMPRESSED = ("sq8", "pq", "pq:opq=yes", "rabitq", "binary", "bebr", "svd", "ivfpq", "hnswsq8")


class Spent(NamedTuple):
    """What a process took: wall and CPU seconds, the most memory that was resident, and what it wrote."""

    wall: float
    cpu: float
    gib: float
    out: str


def limited(*words: str, stdin: Path | None = None) -> Spent:
    """Run `mmr` with the words under the limit; a status other than 0 is an error."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT * GIB, LIMIT * GIB))

    start = time.monotonic()
    with open(stdin or os.devnull, "rb") as source, subprocess.Popen(
        [sys.executable, "-m", "mmr", *words], env=program_environment(), preexec_fn=limit,
        stdin=source, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"mmr {' '.join(words)} ended with {process.returncode}"
    wall = time.monotonic() - start
    return Spent(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / (1 << 20), out)


def clustered(seed: int, count: int):
    """Unit vectors around 2,000 centres with a falling spectrum, the same centres for every seed."""
    scale = np.arange(1, DIM + 1, dtype=np.float32) ** -0.35
    centres = np.random.default_rng(0).standard_normal((2000, DIM), dtype=np.float32)
    rng = np.random.default_rng(seed)
    x = centres[rng.integers(0, 2000, count)] + 0.6 * rng.standard_normal((count, DIM), dtype=np.float32)
    x *= scale
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def write(file: Path, rows: int) -> None:
    """Write clustered rows block by block."""
    out = np.lib.format.open_memmap(file, "w+", np.float32, (rows, DIM))
    for i, start in enumerate(range(0, rows, BLOCK)):
        out[start : start + BLOCK] = clustered(100 + i, min(BLOCK, rows - start))


def answered(index: Path, rows: int, kind: str, built: Spent, queries: Path) -> None:
    """Ask 1,000 queries, check that all are answered, and keep the figures."""
    asked = limited("query", str(index), "--from", str(queries), "--format", "ids", "-k", "10")
    assert len(asked.out.split()) == 10 * QUERIES
    info = json.loads(limited("index", str(index), "--info").out)
    suffix = kind.partition(":")[0]
    size = sum(file.stat().st_size for file in index.glob(f"seg-*.{suffix}")) / rows
    peak = max(built.gib, asked.gib)
    recall = info["recall"]["of_rows"]
    print(f"\n{kind}: {size:.0f} bytes a vector, built in {built.cpu:.0f} CPU s, recall {recall:.4f}")
    report(f"{rows:,} x {DIM} as {kind}, most memory resident", peak, LIMIT, 1, "GiB")
    keep(
        {
            "set": f"{rows:,} x {DIM}", "kind": kind, "recall": recall, "bytes": round(size),
            "built": round(built.cpu, 1), "queries": round(QUERIES / asked.cpu), "gib": round(peak, 2),
            "machine": machine(),
        },
        KINDS, ("set", "kind"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def queries(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("queries") / "q.npy"
    np.save(file, clustered(7, QUERIES))
    return file


@pytest.fixture(scope="module")
def million(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("million")
    write(folder / "x.npy", 1_000_000)
    limited("index", str(folder / "x.mmr"), str(folder / "x.npy"), "-q")
    (folder / "x.npy").unlink()
    return folder / "x.mmr"


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_million_vectors_of_each_compressed_kind(million, queries, kind):
    built = limited("index", str(million), "--convert", kind, "-q")
    answered(million, 1_000_000, kind, built, queries)


def test_ten_million_vectors(tmp_path, queries):
    """Straight into the kind, from a pipe: five gigabytes of vectors are mapped once and never twice."""
    write(tmp_path / "x.npy", 10_000_000)
    kind = "ivfpq:lists=4096,probe=64"
    built = limited("index", str(tmp_path / "x.mmr"), "--kind", kind, "-q",
                    stdin=tmp_path / "x.npy")  # fmt: skip
    (tmp_path / "x.npy").unlink()
    answered(tmp_path / "x.mmr", 10_000_000, kind, built, queries)
