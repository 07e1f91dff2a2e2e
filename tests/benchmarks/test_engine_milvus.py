"""An index in Milvus beside the bare client: 50,000 x 128, CPU seconds of client and server together.

The bare client stores the same fields by hand, without asking what is there, and is told the ids and records
of the 10 nearest. A second peer stores ids and vectors alone.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from mmr.index.remote import open_remote
from mmr.index.remote_write import build, upsert
from mmr.index.search import Wanted
from mmr.stream.records import Record
from tests.benchmarks.measure import report
from tests.index.made import fail, unit
from tests.index.milvus_server import Server

ITEMS, DIM, K, BATCH, ROUNDS = 50_000, 128, 10, 4096, 2


def spent(server, function):
    """CPU seconds of one call in this process and the server's, wall seconds, and what it returned."""
    before, start, cpu = served(server), time.perf_counter(), time.process_time()
    found = function()
    wall = time.perf_counter() - start
    return time.process_time() - cpu + served(server) - before, wall, found


def served(server):
    parts = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(Path(tmp_path_factory.mktemp("milvus")) / "data")
    yield running
    running.kill()


def collection(client, name, whole):
    """A collection of ids and vectors, and of records and terms where it is `whole`."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=65_535)
    if whole:
        schema.add_field("record", DataType.JSON)
        schema.add_field("terms", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4096)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    structure = client.prepare_index_params()
    structure.add_index("vector", index_type="FLAT", metric_type="IP")
    client.create_collection(name, schema=schema, index_params=structure)


@pytest.mark.bench
def test_milvus(server):
    from pymilvus import MilvusClient

    client = MilvusClient(
        server.url.removeprefix("milvus+"), grpc_options={"grpc.keepalive_time_ms": 300_000}
    )
    put_beside(server, client)
    for kind, many, params in (("flat", 50, {}), ("hnsw", 400, {"params": {"ef": 100}})):
        if kind == "hnsw":
            build(server.address("pics0"), "hnsw:m=16,efc=64,ef=100")
            client.release_collection("bare0")
            client.drop_index("bare0", "vector")
            structure = client.prepare_index_params()
            structure.add_index("vector", index_type="HNSW", metric_type="IP",
                                params={"M": 16, "efConstruction": 64})  # fmt: skip
            client.create_index("bare0", structure)
            client.load_collection("bare0")
        search_beside(server, client, kind, many, params)
    client.close()


def put_beside(server, client):
    records = [Record({"id": f"i{row}", "vector": vector}) for row, vector in enumerate(unit(0, ITEMS, DIM))]

    def put(name, more):
        collection(client, name, bool(more))
        for start in range(0, ITEMS, BATCH):
            some = records[start : start + BATCH]
            client.upsert(name, [{"id": one["id"], "vector": one["vector"], **more} for one in some])
        client.flush(name)

    more = {"record": "{}", "terms": []}
    upsert(server.address("warm"), records[:10], reject=fail)
    rounds = [
        [
            spent(server, lambda n=n: upsert(server.address(f"pics{n}"), records, reject=fail))[:2],
            spent(server, lambda n=n: put(f"bare{n}", more))[:2],
            spent(server, lambda n=n: put(f"less{n}", {}))[:2],
        ]
        for n in range(ROUNDS)
    ]
    (ours, wall), (theirs, bare), (less, fewer) = np.min(rounds, axis=0)
    print(f"\n{ITEMS / wall:,.0f}, {ITEMS / bare:,.0f} and {ITEMS / fewer:,.0f} items a second")
    report("Milvus: upsert of 50,000 x 128, beside the bare client", ours, theirs, 1.25)
    report("Milvus: upsert of 50,000 x 128, beside ids and vectors alone", ours, less, 1.25)


def search_beside(server, client, kind, many, params):
    queries, wanted = unit(1, many, DIM), Wanted(K, fields=())
    asked = [Record({"id": f"q{row}", "vector": vector}) for row, vector in enumerate(queries)]

    def ask(step):
        return [hits for start in range(0, many, step)
                for hits in client.search("bare0", list(queries[start : start + step]), limit=K,
                                          output_fields=["record"], search_params=params)]  # fmt: skip

    with open_remote(server.address("pics0")) as index:
        calls = (
            lambda: [index.search([query], wanted)[0] for query in asked],
            lambda: ask(1),
            lambda: index.search(asked, wanted),
            lambda: ask(many),
        )
        rounds = [[spent(server, call) for call in calls] for _ in range(ROUNDS + 1)][1:]
    if kind == "flat":
        found, others = ([[hit["id"] for hit in hits] for hits in rounds[0][way][2]] for way in (0, 1))
        assert found == others
    cpu, wall = (1e3 / many * np.min([[one[i] for one in row] for row in rounds], axis=0) for i in (0, 1))
    print(f"\n{kind}, ms a query: one by one {wall[0]:.2f} and {wall[1]:.2f}, in a batch {wall[2]:.2f} and "
          f"{wall[3]:.2f}")  # fmt: skip
    name = f"Milvus: search of 50,000 x 128, {kind}"
    report(f"{name}, one by one, beside the bare client", cpu[0], cpu[1], 1.25, "ms")
    report(f"{name}, in a batch, beside the bare client", cpu[2], cpu[3], 1.25, "ms")
