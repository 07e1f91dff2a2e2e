"""An index in PostgreSQL beside the bare client: 50,000 x 128, seconds of a run."""

from __future__ import annotations

import time
from contextlib import contextmanager

import numpy as np
import pytest

from mmr.index.remote import open_remote
from mmr.index.remote_write import build, upsert
from mmr.index.search import Wanted
from mmr.stream.records import Record
from tests.benchmarks.measure import report
from tests.index.made import fail, unit
from tests.index.pg_server import server

ITEMS, DIM, K = 50_000, 128, 10


def spent(function):
    """Wall seconds of one call, and what it returned."""
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


@pytest.fixture(scope="module")
def running():
    with server() as one:
        yield one


@contextmanager
def bare(address):
    """The client with the wire form of vectors, which is the fastest way in and out."""
    import psycopg

    from mmr.index.pgvector import register

    with psycopg.connect(address.partition("#")[0], autocommit=True) as db:
        db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register(db)
        yield db


@pytest.mark.bench
def test_postgresql(running):
    with bare(running.address("pics")) as db:
        insert(running, db)
        search(running, db)


def records():
    return [Record({"id": f"i{row}", "vector": vector}) for row, vector in enumerate(unit(0, ITEMS, DIM))]


def insert(running, db):
    items = records()

    def put(number):
        db.execute(f"CREATE TABLE bare{number} (id text PRIMARY KEY, vector vector({DIM}))")
        with db.cursor() as cursor:
            for start in range(0, ITEMS, 4096):
                with cursor.copy(f"COPY bare{number} FROM STDIN (FORMAT binary)") as copy:
                    copy.set_types(["text", "vector"])
                    for one in items[start : start + 4096]:
                        copy.write_row((one["id"], one["vector"]))

    insert = "INSERT INTO some{} VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET vector = excluded.vector"

    def replace(number):
        db.execute(f"CREATE TABLE some{number} (id text PRIMARY KEY, vector vector({DIM}))")
        with db.cursor() as cursor:
            for start in range(0, ITEMS, 4096):
                rows = [(one["id"], one["vector"]) for one in items[start : start + 4096]]
                with db.transaction():
                    cursor.executemany(insert.format(number), rows)

    rounds = []
    for number in range(2):
        other = running.address(f"pics{number}")
        rounds.append([spent(lambda other=other: upsert(other, items, reject=fail))[0],
                       spent(lambda number=number: put(number))[0],
                       spent(lambda number=number: replace(number))[0]])  # fmt: skip
    ours, copied, replaced = np.min(rounds, axis=0).tolist()
    print(f"\n{ITEMS / ours:,.0f}, {ITEMS / copied:,.0f} and {ITEMS / replaced:,.0f} items a second")
    name = "PostgreSQL: upsert of 50,000 x 128, beside the bare client's"
    report(f"{name} upsert of ids and vectors", ours, replaced, 1.25)
    report(f"{name} COPY of ids and vectors", ours, copied, 1.25)


def search(running, db):
    queries = unit(1, 1000, DIM)
    asked = [Record({"id": f"q{row}", "vector": vector}) for row, vector in enumerate(queries)]
    select = "SELECT id, -(vector <#> %s) AS score FROM bare0 ORDER BY vector <#> %s LIMIT 10"
    one = running.address("pics0")
    for kind, many in (("flat", 100), ("hnsw:ef=100", 1000)):
        if kind != "flat":
            print(f"\na graph in {spent(lambda: build(one, 'hnsw:ef=100'))[0]:.1f} s")
            db.execute("CREATE INDEX ON bare0 USING hnsw (vector vector_ip_ops)")
            db.execute("SET hnsw.ef_search = 100")
        with open_remote(one) as index:
            ours, batch, theirs, found, others = measured(index, db, select, asked[:many])
        if kind == "flat":
            assert found == others
        print(
            f"\n{kind}: {many / ours:,.0f} one by one, {many / batch:,.0f} at once, {many / theirs:,.0f} bare"
        )
        name = f"PostgreSQL: a search of 50,000 x 128, {kind}"
        for how, mine in (("one by one", ours), ("many at once", batch)):
            report(
                f"{name}, {how}, beside the bare client", 1e3 * mine / many, 1e3 * theirs / many, 1.25, "ms"
            )


def measured(index, db, select, asked):
    """Seconds of ours one by one, many at once, and of the bare client; ids of ours and of theirs."""
    wanted = Wanted(K, fields=())
    rounds = [
        (
            spent(lambda: [index.search([query], wanted)[0] for query in asked]),
            spent(lambda: index.search(asked, wanted)),
            spent(lambda: [db.execute(select, (q["vector"], q["vector"])).fetchall() for q in asked]),
        )
        for _ in range(2)
    ]
    times = np.min([[time for time, _ in row] for row in rounds], axis=0).tolist()
    found = [[hit["id"] for hit in answer] for answer in rounds[0][0][1]]
    return *times, found, [[name for name, _ in rows] for rows in rounds[0][2][1]]
