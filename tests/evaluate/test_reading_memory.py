"""A run streams: memory is that of the judgements and of a block, however long the run is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# The child reads a run from stdin; it prints how many judged hits it found and the most memory held, in MB.
CHILD = """
import re, sys
from pathlib import Path
from mmr.evaluate.join import judged_blocks
from mmr.evaluate.qrels import read_qrels

status = lambda: Path("/proc/self/status").read_text()
found = sum(len(block.rank) for block in judged_blocks("-", read_qrels(sys.argv[1])))
print(found, (int(re.search(r"VmHWM:\\s+(\\d+)", status())[1])) / 1024)
"""
WRITER = """
import sys
queries, hits, form = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for q in range(queries):
    if form == "trec":
        sys.stdout.writelines(f"q{q:07d} Q0 d{(q * 7919 + h) % 1000003:07d} {h} {1 / (h + 1):.6f} x\\n" for h in range(hits))
    else:
        named = ",".join('{"id":"d%07d","score":%.6f}' % ((q * 7919 + h) % 1000003, 1 / (h + 1)) for h in range(hits))
        sys.stdout.write('{"id":"q%07d","hits":[%s]}\\n' % (q, named))
"""  # noqa: E501 - a program
GROWTH = 40  # MB (14 measured); a run that is held whole takes 110 more


def peak(qrels: Path, queries: int, hits: int, form: str) -> float:
    """Judge a run through a pipe; the most memory in MB."""
    command = [sys.executable, "-c", WRITER, str(queries), str(hits), form]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(qrels)], stdin=writer.stdout, capture_output=True, check=True
        )
    found, highest = done.stdout.split()
    print(f"{queries:,} queries of {hits} hits, {form}: {float(highest):.0f} MB")
    assert int(found) == queries
    return float(highest)


def judged(folder: Path, queries: int) -> Path:
    path = folder / "qrels"
    path.write_text("".join(f"q{q:07d} 0 d{q * 7919 % 1000003:07d} 1\n" for q in range(queries)))
    return path


@pytest.mark.parametrize("form", ["trec", "jsonl"])
def test_six_times_the_hits_take_no_more_memory(tmp_path: Path, form: str) -> None:
    qrels = judged(tmp_path, 3_000)
    assert peak(qrels, 3_000, 600, form) < peak(qrels, 3_000, 100, form) + GROWTH


@pytest.mark.bench
def test_a_million_queries(tmp_path: Path) -> None:
    qrels = judged(tmp_path, 1_000_000)
    assert peak(qrels, 1_000_000, 10, "trec") < 450  # 324 measured, most of it a million judgements
