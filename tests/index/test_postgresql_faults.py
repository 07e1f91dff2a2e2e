"""PostgreSQL that goes away, and writers that die: what was committed stays, a second run completes it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from mmr.errors import UnavailableError
from mmr.index import intake, remote
from mmr.index.engine import Unsettled
from mmr.index.remote import Patient, open_remote
from mmr.index.remote_write import upsert
from tests.conftest import ROOT, program_environment
from tests.index.made import fail, item, lines
from tests.index.pg_server import server

BATCH = 40
ITEMS = [item(f"{n}.jpg", dim=64) for n in range(400)]
PROGRAM = f"""
import sys
from mmr.index import intake
intake.BATCH_ITEMS = {BATCH}
from mmr.cli.main import main
sys.argv[0] = "mmr"
main()
"""


@pytest.fixture(scope="module")
def postgres():
    with server() as running:
        yield running


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(intake, "BATCH_ITEMS", BATCH)


def names(address):
    with open_remote(address) as index:
        return set(index.all_ids())


def stopping(place, stop):
    for number, one in enumerate(ITEMS):
        if number == place:
            stop()
        yield one


def test_a_server_that_is_killed_ends_the_run_and_a_second_one_completes_it(postgres, small, monkeypatch):
    monkeypatch.setattr(remote, "WAITS", (0.01, 0.02))
    address = postgres.address("killed")
    with pytest.raises(UnavailableError, match=r"(?s)does not answer: .*then run the same") as error:
        upsert(address.replace(":@", ":geheim@"), stopping(200, postgres.kill), reject=fail)
    assert "geheim" not in str(error.value)
    postgres.start()
    assert names(address) == {one["id"] for one in ITEMS[:200]}
    counts = upsert(address, ITEMS, reject=fail)
    assert (counts.new, counts.kept, counts.changed) == (200, 200, 0)
    assert names(address) == {one["id"] for one in ITEMS}


def test_a_server_that_comes_back_is_waited_for(postgres, small):
    def restart():
        postgres.kill()
        postgres.start()

    counts = upsert(postgres.address("restarted"), stopping(210, restart), reject=fail)
    assert counts.new == len(ITEMS)
    assert names(postgres.address("restarted")) == {one["id"] for one in ITEMS}


def test_a_reader_asks_again_after_a_restart(postgres, small):
    address = postgres.address("read")
    upsert(address, ITEMS[:50], reject=fail)
    with open_remote(address) as index:
        assert index.count() == 50
        postgres.kill()
        postgres.start()
        assert index.count() == 50
        assert len(list(index.items())) == 50


@pytest.mark.parametrize("least", [1, pytest.param(161, marks=pytest.mark.soak)])
def test_a_writer_that_is_killed_leaves_whole_batches(postgres, least):
    address = postgres.address(f"writer{least}")
    command = [sys.executable, "-c", PROGRAM, "index", address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=program_environment(), cwd=ROOT) as writer:
        assert writer.stdin is not None
        writer.stdin.write(lines(ITEMS[: least + 2 * BATCH]))
        writer.stdin.flush()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if len(names(address)) >= least:
                    break
            except Exception:
                time.sleep(0.02)
        writer.kill()
    there = names(address)
    assert len(there) >= least and len(there) % BATCH == 0
    assert there == {one["id"] for one in ITEMS[: len(there)]}
    counts = upsert(address, ITEMS, reject=fail)
    assert (counts.new, counts.kept) == (len(ITEMS) - len(there), len(there))


class Flaky:
    """An engine whose calls fail so many times."""

    def __init__(self, address, failures):
        self.address, self.failures, self.calls = address, failures, 0

    def count(self):
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise Unsettled("lost")
        return 7


def test_calls_are_repeated_with_a_limit(monkeypatch):
    waits = []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    flaky = Flaky("the address", 0)
    patient = Patient(flaky)
    assert patient.ask(lambda engine: engine.count()) == 7
    flaky.failures = len(remote.WAITS)
    assert patient.ask(lambda engine: engine.count()) == 7
    assert waits == list(remote.WAITS)
    flaky.failures, flaky.calls = 99, 0
    with pytest.raises(UnavailableError, match="the address does not answer: lost"):
        patient.ask(lambda engine: engine.count())
    assert flaky.calls == len(remote.WAITS) + 1


def test_a_server_that_is_away_at_the_start_is_not_waited_for(monkeypatch):
    waits = []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    with pytest.raises(UnavailableError, match="does not answer"):
        Patient(Flaky("the address", 1)).ask(lambda engine: engine.count())
    assert waits == []
