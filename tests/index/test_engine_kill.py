"""A server killed midway: the run goes on after a retry or ends with 69, and a second one completes."""

from __future__ import annotations

import subprocess
import threading

import numpy as np
import pytest

from mmr.errors import UnavailableError, raise_item
from mmr.index import intake
from mmr.index.remote import WAITS, open_remote
from mmr.index.remote_write import delete, upsert
from mmr.index.search import Wanted
from tests.conftest import program_environment

from . import engine_server
from .made import eof, item, lines, vector_of

ITEMS = [f"p{i:03d}.jpg" for i in range(120)]


def servers(usual):
    """Both engines, those that are not `usual` in the long tests alone."""
    return pytest.mark.parametrize(
        "server",
        [
            pytest.param(name, marks=[] if name == usual else pytest.mark.soak)
            for name in ("postgresql", "milvus")
        ],
        indirect=True,
    )


@pytest.fixture(scope="module")
def server(request, tmp_path_factory):
    with engine_server.running(request.param, tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture
def batches(monkeypatch):
    monkeypatch.setattr(intake, "BATCH_ITEMS", 10)


def stream(server, at, act, version=0):
    """Records; before number `at` something is done to the server."""
    for number, name in enumerate(ITEMS):
        if number == at:
            act()
        yield item(name, version)


def held(address):
    with open_remote(address) as index:
        return {record["id"]: record for record in index.items()}


def is_whole(address, version=0):
    found = held(address)
    assert sorted(found) == ITEMS
    for name, record in found.items():
        assert record["text"] == f"version {version}"
        assert np.array_equal(record["vector"], vector_of(name, version))


@servers("milvus")
def test_a_server_that_comes_back_is_waited_for(server, batches):
    address = server.address("comes_back")

    def fall():
        server.kill()
        threading.Timer(0.3, server.start).start()

    assert sum(WAITS) > 5
    counts = upsert(address, stream(server, 55, fall), reject=raise_item)
    assert counts.new + counts.changed + counts.kept == len(ITEMS)
    is_whole(address)


@servers("milvus")
def test_a_server_that_stays_away_and_a_second_run(server, batches, monkeypatch):
    address = server.address("stays_away")
    monkeypatch.setattr("mmr.index.remote.WAITS", (0.05,))
    with pytest.raises(UnavailableError) as caught:
        upsert(address, stream(server, 55, server.kill), reject=raise_item)
    assert "does not answer" in caught.value.what
    server.start()
    found = held(address)
    assert 40 <= len(found) < len(ITEMS)
    assert set(found) <= set(ITEMS)
    counts = upsert(address, stream(server, 0, lambda: None), reject=raise_item)
    assert counts.kept == len(found)
    assert counts.new == len(ITEMS) - len(found)
    is_whole(address)


@servers("")
def test_killed_while_items_are_replaced(server, batches, monkeypatch):
    """Each item is then the old one or the new one, whole, and never gone."""
    address = server.address("replaced")
    upsert(address, stream(server, 0, lambda: None), reject=raise_item)
    monkeypatch.setattr("mmr.index.remote.WAITS", (0.05,))
    with pytest.raises(UnavailableError):
        upsert(address, stream(server, 75, server.kill, version=1), reject=raise_item)
    server.start()
    found = held(address)
    assert sorted(found) == ITEMS
    for name, record in found.items():
        version = int(record["text"].split()[-1])
        assert np.array_equal(record["vector"], vector_of(name, version))
    upsert(address, stream(server, 0, lambda: None, version=1), reject=raise_item)
    is_whole(address, version=1)


@servers("")
def test_killed_while_items_are_deleted(server, batches):
    address = server.address("deleted")
    upsert(address, stream(server, 0, lambda: None), reject=raise_item)

    def names():
        for number, name in enumerate(ITEMS[:60]):
            if number == 35:
                server.kill()
                threading.Timer(0.3, server.start).start()
            yield name

    assert delete(address, names()).gone >= 50  # a lost answer is asked for again, and finds fewer
    assert sorted(held(address)) == ITEMS[60:]


@servers("")
def test_a_reader_goes_on_where_the_server_comes_back(server):
    address = server.address("read")
    upsert(address, [item(name) for name in ITEMS[:20]], reject=raise_item)
    with open_remote(address) as index:
        [before] = index.search([item("q")], Wanted(3))
        server.kill()
        threading.Timer(0.3, server.start).start()
        [after] = index.search([item("q")], Wanted(3))
    assert [hit["id"] for hit in after] == [hit["id"] for hit in before]


@servers("milvus")
def test_the_program_ends_with_69_and_its_second_run_completes(server, tmp_path, sh):
    """The real program has read half of a stream when its server dies; what it stored is kept."""
    address = server.address("program")
    half = lines(item(name) for name in ITEMS[:60])
    whole = lines([*(item(name) for name in ITEMS), eof(len(ITEMS), "/pics")])
    (tmp_path / "half.jsonl").write_bytes(half)
    (tmp_path / "whole.jsonl").write_bytes(whole)
    assert sh(f"mmr index -q '{address}' half.jsonl").status == 0
    run = subprocess.Popen(
        ["mmr", "index", address, "--sync"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        env=program_environment(),
    )  # fmt: skip
    run.stdin.write(whole[: len(whole) // 2])
    run.stdin.flush()
    server.kill()
    told = run.communicate(whole[len(whole) // 2 :], timeout=60)[1].decode()
    assert (run.returncode, "Traceback" in told) == (69, False)
    assert "does not answer" in told
    server.start()
    again = sh(f"mmr index '{address}' --sync whole.jsonl")
    assert (again.status, again.stderr) == (
        0, "mmr index: 60 new, 0 changed, 60 kept, 0 gone, 0 failed\n"
    )  # fmt: skip
    is_whole(address)
