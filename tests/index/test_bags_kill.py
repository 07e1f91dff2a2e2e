"""`kill -9` while items of several vectors are written and merged: what was committed is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from mmr.index import catalogue, open_index, upsert
from mmr.index.check import check
from mmr.index.search import Wanted, search
from mmr.stream.records import Record, dump
from tests.index.made import fail, vector_of
from tests.index.test_kill import BATCH, start

ITEMS = 600


def bag_of(name: str, version: int):
    """The vectors that belong to one version of an item: one to four."""
    return np.stack([vector_of(f"{name}/{i}", version) for i in range(1 + (len(name) + version) % 4)])


def item(name: str, version: int) -> Record:
    return Record({"id": name, "text": str(version), "vectors": bag_of(name, version), "model": "m#1"})


def versions(index: Path) -> dict[str, int]:
    """What a reader finds after the kill; also that every item has the vectors of its own version."""
    if not catalogue.exists(index):
        return {}
    assert check(index) == []
    with open_index(index) as opened:
        found = {record["id"]: record for record in opened.items()}
    for name, record in found.items():
        assert np.array_equal(record["vectors"], bag_of(name, int(record["text"])))
    return {name: int(record["text"]) for name, record in found.items()}


def rounds(tmp_path: Path, kills: int, kind: str = "maxsim:dtype=float32") -> int:
    """Kill upserts of all items; returns how many were really killed."""
    dice = random.Random(7)
    index, stream = tmp_path / "x.mmr", tmp_path / "stream.jsonl"
    upsert(index, [item("0.jpg", 0)], reject=fail, kind=kind)
    names, longest, killed = [f"{i}.jpg" for i in range(ITEMS)], 1.5, 0
    for version in range(1, kills + 1):
        before, order = versions(index), dice.sample(names, ITEMS)
        stream.write_bytes(b"".join(dump(item(name, version), "base64") for name in order))
        process = start(index, stream)
        begin = time.monotonic()
        try:
            process.wait(dice.uniform(longest * 0.3, longest))
            longest = (longest + time.monotonic() - begin) / 2
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said.decode()
        after = versions(index)
        done = [after.get(name) == version for name in order]
        committed = sum(done)
        assert all(done[:committed]), "what was committed is a beginning of the stream"
        assert committed % BATCH == 0 or committed == len(order)
        assert all(after[name] == before[name] for name in set(before) - set(order[:committed]))
    upsert(index, [item("last", 0)], reject=fail)
    asked = Record({"id": "q", "vectors": bag_of("last", 0)})
    with open_index(index) as opened:
        assert search(opened, [asked], Wanted(1))[0][0]["id"] == "last"
    return killed


def test_kills_lose_nothing(tmp_path):
    rounds(tmp_path, 4)


def test_kills_lose_nothing_of_encodings(tmp_path):
    rounds(tmp_path, 2, "muvera:dtype=float32,least=50,reps=4,under=flat")


@pytest.mark.soak
def test_a_hundred_kills_lose_nothing(tmp_path):
    assert rounds(tmp_path, 100) > 50
