"""A pair that is killed while it is written: nothing half-written is seen, and nothing is written twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.stream.reading import read

COUNT, DIM = 1500, 32
CHILD = f"""
import sys, time
import numpy as np
from mmr.stream.pair_write import open_pair
rows = np.arange({COUNT * DIM}, dtype=np.float32).reshape({COUNT}, {DIM})
print("up", flush=True)
with open_pair(sys.argv[1], resume=True) as writer:
    done = sum(1 for _ in writer.left())
    writer.keep(done)
    print(done, flush=True)
    for n in range(done, {COUNT}):
        writer.write({{"id": f"item {{n}}", "vector": rows[n]}})
        if n % 10 == 0:
            writer.flush()
            time.sleep(0.0002)
"""


def kills(folder: Path, count: int) -> list[int]:
    """Kill a writer `count` times at random moments; return how many records each found of those before."""
    path = folder / "x.npy"
    found: list[int] = []
    rng = random.Random(count)
    for _ in range(count):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stdout.readline() == b"up\n"
            time.sleep(rng.random() * 0.04)
            child.send_signal(signal.SIGKILL)
            found.extend(int(line) for line in child.stdout.read().split())
        if path.exists():
            check(path)
            for half in folder.iterdir():
                half.unlink()
    return found


def check(path: Path) -> None:
    found = read(path)
    assert found.ids == [f"item {n}" for n in range(COUNT)]
    rows = np.stack([record["vector"] for record in found.records])
    np.testing.assert_array_equal(rows.ravel(), np.arange(COUNT * DIM, dtype=np.float32))


def finish(folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", CHILD, str(folder / "x.npy")], check=True, stdout=subprocess.DEVNULL
    )
    check(folder / "x.npy")
    assert sorted(path.name for path in folder.iterdir()) == ["x.jsonl", "x.npy"]


def test_killed_twelve_times(tmp_path: Path) -> None:
    assert any(kills(tmp_path, 12))
    finish(tmp_path)


@pytest.mark.soak
def test_killed_two_hundred_times(tmp_path: Path) -> None:
    assert sum(done > 0 for done in kills(tmp_path, 200)) > 20
    finish(tmp_path)
