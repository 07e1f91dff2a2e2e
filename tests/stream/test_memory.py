"""Memory is bounded by the batch: a long stream goes through under a fixed ceiling of anonymous memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# The child reads stdin and writes one file; it prints the highest anonymous memory that it saw, in MB, after
# numpy was imported and a first stretch was through, and at the end.
CHILD = """
import re, sys
from pathlib import Path
from mmr.errors import raise_item
from mmr.stream.read import read_records
from mmr.stream.write import open_writer

def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

early = late = count = 0
with open_writer(sys.argv[2], "jsonl", vector_format="base64") as writer:
    for count, record in enumerate(read_records(sys.argv[1:2], reject=raise_item), 1):
        writer.write(record)
        if count % 500 == 0:
            early, late = (max(early, anonymous()), 0) if count <= 2000 else (early, max(late, anonymous()))
print(count, early, max(early, late))
"""
SOURCE = """
import sys
from base64 import b64encode
import numpy as np
rng = np.random.default_rng(0)
for n in range(int(sys.argv[1])):
    vector = b64encode(rng.standard_normal(512, np.float32).tobytes()).decode()
    sys.stdout.write('{"id":"pics/%d.jpg","image":"pics/%d.jpg","vector":"%s"}\\n' % (n, n, vector))
"""
CEILING = 40  # MB: the interpreter, numpy and some records (15 measured); 200,000 of them are 560
GROWTH = 6


def stream(count: int, source: Path | None, target: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(source or "-"), str(target)]
    if source is not None:
        done = subprocess.run(command, capture_output=True, timeout=600, check=True)
    else:
        with subprocess.Popen([sys.executable, "-c", SOURCE, str(count)], stdout=subprocess.PIPE) as writer:
            done = subprocess.run(command, stdin=writer.stdout, capture_output=True, timeout=600, check=True)
    read, early, highest = map(float, done.stdout.split())
    print(
        f"{count:,} records, {source or 'stdin'} -> {target}: {early:.1f} MB early, {highest:.1f} MB highest"
    )
    assert (read, done.stderr) == (count, b"")
    assert highest < CEILING
    assert highest - early < GROWTH


@pytest.mark.parametrize("target", ["out.jsonl", "out.npy"])
def test_twenty_thousand_records(tmp_path: Path, target: str) -> None:
    stream(20_000, None, tmp_path / target)
    if target == "out.npy":
        stream(20_000, tmp_path / target, tmp_path / "again.npy")


@pytest.mark.bench
def test_two_hundred_thousand_records(tmp_path: Path) -> None:
    stream(200_000, None, Path("/dev/null"))
    stream(200_000, None, tmp_path / "out.npy")
    stream(200_000, tmp_path / "out.npy", Path("/dev/null"))
