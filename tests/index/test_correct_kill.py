"""`kill -9` while a correction goes in or out, or while a corrected index grows: one state or the other."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import numpy as np
import pytest

from mmr.index import open_index, upsert
from mmr.index.check import check
from mmr.index.search import Wanted, search
from mmr.normalize.held import numbers_of
from mmr.normalize.state import read_state, write_state
from mmr.stream.records import Record
from tests.conftest import program_environment
from tests.index.made import fail
from tests.index.test_correct import DIM, hits, records, state
from tests.normalize.made import unit

ITEMS = 4000


def program(folder, *arguments, stdin=None):
    line = [sys.executable, "-m", "mmr", "index", "x.mmr", "-q", *arguments]
    with open(stdin or "/dev/null", "rb") as file:
        return subprocess.Popen(line, cwd=folder, env=program_environment(), stdin=file,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip


def sound(path, queries):
    """Whether the index holds the correction; its rankings are those of what it holds, its numbers right."""
    assert check(path) == []
    with open_index(path) as index:
        held = index.correction()
        segments = index.segments()
        plain = search(index, records(queries, "q"), Wanted(5, fields=(), raw=True))
        if held is None:
            assert all(segment.numbers is None for segment in segments)
        else:
            for segment in segments:
                affine = numbers_of(state(), segment.vectors)
                assert np.array_equal(segment.numbers, np.stack(affine, axis=1))
    found = hits(path, queries, Wanted(5))
    raw = [[(hit["id"], float(hit["score"])) for hit in one] for one in plain]
    assert (found == raw) == (held is None)
    return held is not None


def rounds(tmp_path, kills):
    dice = random.Random(8)
    path, queries = tmp_path / "x.mmr", unit(3, 10, DIM, dtype=np.float32)
    write_state(str(tmp_path / "hubs.npz"), state())
    upsert(path, records(unit(1, ITEMS, DIM, dtype=np.float32)), reject=fail)
    longest, killed = 2.0, 0
    for number in range(kills):
        new = unit(100 + number, 300, DIM, dtype=np.float32)
        stream = "".join(_line(f"n{dice.randrange(2000)}", vector) for vector in new)
        (tmp_path / "new.jsonl").write_text(stream)
        held = sound(path, queries)
        turn = number % 3
        if turn == 1 and held:
            process = program(tmp_path, stdin=tmp_path / "new.jsonl")
        else:
            process = program(
                tmp_path, *(["--no-correct"] if held and turn == 2 else ["--correct", "hubs.npz"])
            )
        begin = time.monotonic()
        try:
            process.communicate(timeout=dice.uniform(0.2, 1.1) * longest)
            longest = time.monotonic() - begin
            assert process.returncode == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
        sound(path, queries)
    last = program(tmp_path, "--correct", "hubs.npz")
    assert last.communicate()[1] == b"" and last.returncode == 0
    assert sound(path, queries)
    assert (
        len([file for file in path.iterdir() if "correct" in file.name and file.name.endswith(".npz")]) == 1
    )
    return killed


def _line(name, vector):
    from mmr.stream.records import dump

    return dump(Record({"id": name, "model": "toy#1", "vector": vector})).decode()


def test_a_killed_run_leaves_one_state_or_the_other(tmp_path):
    rounds(tmp_path, 9)
    assert read_state(str(tmp_path / "hubs.npz")).row.name == "nnn"


@pytest.mark.soak
def test_many_kills(tmp_path):
    assert rounds(tmp_path, 150) > 20
