"""`kill -9` at random moments: the index opens, is sound, has what was committed, and lost nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mmr.errors import MissingInputError
from mmr.index import catalogue, open_index, upsert
from mmr.index.check import check, rebuild
from mmr.index.search import Wanted, search
from mmr.index.sync import sync
from mmr.stream.records import Record
from tests.conftest import program_environment
from tests.index.made import eof, fail, item, lines, vector_of, version_of

ITEMS = 1200
BATCH = 60
ROOT = "/pics"
# The real program with small batches, so that a short run has many commits to die between.
PROGRAM = f"""
import sys
from mmr.index import intake, write, merge
intake.BATCH_ITEMS = {BATCH}
merge.MANY = 6
from mmr.cli.main import main
sys.argv[0] = "mmr"
main()
"""


def start(index: Path, stream: Path, *options: str) -> subprocess.Popen[bytes]:
    with open(stream, "rb") as file:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "index", str(index), "-q", *options],
            stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=program_environment(),
        )  # fmt: skip


def versions(index: Path) -> dict[str, int]:
    """What a reader finds after the kill; also that every vector is the one of its item's version."""
    if not catalogue.exists(index):
        return {}
    assert check(index) == []
    with open_index(index) as opened:
        found = {record["id"]: record for record in opened.items()}
        assert opened.meta.count == len(found)
    for name, record in found.items():
        assert np.array_equal(record["vector"], vector_of(name, version_of(record)))
    return {name: version_of(record) for name, record in found.items()}


def rounds(tmp_path: Path, kills: int) -> int:
    """Kill upserts and syncs in turn; returns how many were really killed."""
    dice = random.Random(4)
    longest = 2.0
    index, stream = tmp_path / "x.mmr", tmp_path / "stream.jsonl"
    names = [f"{i}.jpg" for i in range(ITEMS)]
    killed = 0
    for version in range(kills):
        before = versions(index)
        syncs = version % 2 == 1
        order = dice.sample(names, ITEMS * 3 // 4) if syncs else dice.sample(names, ITEMS)
        records = [item(name, version) for name in order]
        ends = dice.random() < 0.7
        stream.write_bytes(lines([*records, *([eof(len(records), ROOT)] if syncs and ends else [])]))
        options = ("--sync", "--max-delete", "1") if syncs else ()
        process = start(index, stream, *options)
        begin = time.monotonic()
        try:
            process.wait(dice.uniform(longest * 0.2, longest))
            longest = (longest + time.monotonic() - begin) / 2
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        _, said = process.communicate()
        assert process.returncode in (0, 74 if syncs and not ends else 0, -signal.SIGKILL), said.decode()
        after = versions(index)
        done = [after.get(name) == version for name in order]
        committed = sum(done)
        assert all(done[:committed]), "what was committed is a beginning of the stream"
        assert committed % BATCH == 0 or committed == len(order)
        rest = set(before) - set(order[:committed])
        lost = {name for name in rest if name not in after}
        assert all(after[name] == before[name] for name in rest - lost)
        if lost:
            assert syncs and ends and committed == len(order), "only the last transaction deletes"
            assert lost == set(before) - set(order), "and it deletes all at once"
    return killed


def test_twenty_kills_lose_nothing_and_delete_nothing(tmp_path):
    assert rounds(tmp_path, 20) >= 5


@pytest.mark.soak
def test_two_hundred_kills_lose_nothing_and_delete_nothing(tmp_path):
    assert rounds(tmp_path, 200) >= 50


def test_the_next_writer_removes_what_a_dead_one_left(tmp_path):
    index = tmp_path / "x.mmr"
    upsert(index, [item("a.jpg")], reject=fail)
    for name in ("seg-99.npy", ".seg-99.npy.abc.tmp", "seg-1.hnsw"):
        (index / name).write_bytes(b"half")
    upsert(index, [item("b.jpg")], reject=fail)
    assert sorted(file.name for file in index.iterdir() if "seg" in file.name) == ["seg-1.npy", "seg-2.npy"]
    assert check(index) == []


def test_a_killed_sync_goes_on_where_it_was(tmp_path):
    index = tmp_path / "x.mmr"
    upsert(index, [item(f"{i}.jpg") for i in range(10)], reject=fail)
    half = [item(f"{i}.jpg", 1) for i in range(4)]
    with pytest.raises(Exception, match="broke off"):
        sync(index, lambda reject: half, reject=fail)
    again = [*(item(f"{i}.jpg", 1) for i in range(6)), eof(6, ROOT)]
    counts = sync(index, lambda reject: again, reject=fail)
    assert (counts.kept, counts.changed, counts.gone) == (4, 2, 4)


KINDS = (
    "hnsw:efc=100,least=100", "hnswsq8:efc=100,least=100", "sq8:least=100", "pq:least=100",
    "pq:opq=yes,m=8,least=100", "rabitq:least=100", "rabitq:bits=4,least=100", "binary:code=itq,least=100",
    "bebr:least=100", "svd:least=100", "ivfflat:lists=16,least=100", "ivfpq:lists=16,least=100",
)  # fmt: skip
OTHER = "flat"


def kills_of_a_kind(tmp_path: Path, kind: str, kills: int) -> int:
    """Kill conversions to a kind, upserts into one and first builds of one in turn; returns how many died."""
    index, stream, dice = tmp_path / "x.mmr", tmp_path / "stream.jsonl", random.Random(5)
    upsert(index, [item(f"{i}.jpg", dim=32) for i in range(2500)], reject=fail, kind=OTHER)
    stream.write_bytes(lines(item(f"{i}.jpg", 1, dim=32) for i in range(1500, 3500)))
    longest, killed = {"convert": 1.5, "upsert": 1.5, "build": 1.5}, 0
    for turn in range(kills):
        what = ("convert", "upsert", "build")[turn % 3]
        target = tmp_path / "new.mmr" if what == "build" else index
        if what == "build":
            shutil.rmtree(target, ignore_errors=True)
        elif what == "upsert":
            rebuild(index, kind=kind)
        before = kind_and_versions(target)
        options = {"convert": ("--convert", kind), "upsert": (), "build": ("--kind", kind)}[what]
        command = [sys.executable, "-m", "mmr", "index", str(target), "-q", *options]
        begin = time.monotonic()
        with open(os.devnull if what == "convert" else stream, "rb") as source:
            process = subprocess.Popen(command, stdin=source, env=program_environment())
        try:
            process.wait(dice.uniform(longest[what] * 0.3, longest[what]))
            longest[what] = (longest[what] + time.monotonic() - begin) / 2
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        assert process.wait() in (0, -signal.SIGKILL)
        after = kind_and_versions(target)
        if what == "convert":
            assert after[1] == before[1] and after[0] in (before[0], kind.partition(":")[0])
            if after[0] != OTHER:
                rebuild(index, kind=OTHER)
        else:
            assert set(before[1]) <= set(after[1]), "what was there is there still"
            assert after[0] in (before[0], kind.partition(":")[0])
    return killed


def kind_and_versions(index: Path) -> tuple[str | None, dict[str, int]]:
    """The kind of a sound index and the version of every item; nothing of one that is not made yet."""
    try:
        assert check(index) == []
    except MissingInputError:
        return None, {}
    with open_index(index) as opened:
        found = {record["id"]: version_of(record) for record in opened.items()}
        assert opened.meta.count == len(found)
        query = Record({"id": "q", "vector": vector_of("5.jpg", 0, 32)})
        assert len(search(opened, [query], Wanted(10))[0]) == min(10, len(found))
        return opened.meta.kind, found


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_while_a_kind_is_built_leaves_the_old_index_whole(tmp_path, kind):
    kills_of_a_kind(tmp_path, kind, 3)
    rebuild(tmp_path / "x.mmr", kind=kind)
    with closing(catalogue.open_reader(tmp_path / "x.mmr")) as opened:
        named = {row[0] for row in opened.connection.execute("SELECT name FROM files")}
    left = {file.name for file in (tmp_path / "x.mmr").iterdir() if not file.name.startswith("catalogue")}
    assert left == named | {".lock"}, "a new writer removes what a dead one left"


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_thirty_kills_while_a_kind_is_built(tmp_path, kind):
    assert kills_of_a_kind(tmp_path, kind, 30) >= 8
