"""An index in Milvus beside the bare client: 50,000 x 128, items a second, queries a second.

The bare client stores the same fields by hand, without asking what is there; it is told the ids and the records
of the 10 nearest. A second peer stores ids and vectors alone.
"""

from __future__ import annotations

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

ITEMS, DIM, K, BATCH, ROUNDS = 50_000, 128, 10, 4096, 3


def seconds(function):
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


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

    client = MilvusClient(server.url.removeprefix("milvus+"))
    vectors, queries = unit(0, ITEMS, DIM), unit(1, 1000, DIM)
    records = [Record({"id": f"i{row}", "vector": vector}) for row, vector in enumerate(vectors)]
    asked = [Record({"id": f"q{row}", "vector": vector}) for row, vector in enumerate(queries)]

    def put(name, more):
        collection(client, name, bool(more))
        for start in range(0, ITEMS, BATCH):
            some = records[start : start + BATCH]
            client.upsert(name, [{"id": one["id"], "vector": one["vector"], **more} for one in some])
        client.flush(name)

    more = {"record": "{}", "terms": []}
    rounds = [(seconds(lambda n=n: upsert(server.address(f"pics{n}"), records, reject=fail))[0],
               seconds(lambda n=n: put(f"bare{n}", more))[0],
               seconds(lambda n=n: put(f"less{n}", {}))[0]) for n in range(ROUNDS)]  # fmt: skip
    ours, theirs, less = np.min(rounds, axis=0)
    print(f"\n{ITEMS / ours:,.0f}, {ITEMS / theirs:,.0f} and {ITEMS / less:,.0f} items a second")
    report("Milvus: upsert of 50,000 x 128, beside the bare client", ours, theirs, 1.25)
    report("Milvus: upsert of 50,000 x 128, beside ids and vectors alone", ours, less, 1.25)

    for kind, many, params in (("flat", 50, {}), ("hnsw", 200, {"params": {"ef": 100}})):
        if kind == "hnsw":
            build(server.address("pics0"), "hnsw:m=16,efc=64,ef=100")
            client.release_collection("bare0")
            client.drop_index("bare0", "vector")
            structure = client.prepare_index_params()
            structure.add_index("vector", index_type="HNSW", metric_type="IP",
                                params={"M": 16, "efConstruction": 64})  # fmt: skip
            client.create_index("bare0", structure)
            client.load_collection("bare0")

        def ask(some, step, params=params):
            return [hits for start in range(0, len(some), step)
                    for hits in client.search("bare0", list(some[start : start + step]), limit=K,
                                              output_fields=["record"], search_params=params)]  # fmt: skip

        with open_remote(server.address("pics0")) as index:
            wanted = Wanted(K, fields=())
            rounds = [(seconds(lambda: [index.search([q], wanted) for q in asked[:many]]),
                       seconds(lambda: ask(queries[:many], 1)),
                       seconds(lambda: index.search(asked[:many], wanted)),
                       seconds(lambda: ask(queries[:many], many))) for _ in range(ROUNDS)]  # fmt: skip
        times = 1e3 / many * np.min([[time for time, _ in row] for row in rounds], axis=0)
        print(f"\n{kind}: ms a query: one by one {times[0]:.2f} and {times[1]:.2f}, in a batch {times[2]:.2f} "
              f"and {times[3]:.2f}")  # fmt: skip
        if kind == "flat":
            found = [[hit["id"] for [answer] in rounds[0][0][1] for hit in answer]]
            assert found == [[hit["id"] for hits in rounds[0][1][1] for hit in hits]]
        name = f"Milvus: search of 50,000 x 128, {kind}"
        report(f"{name}, one by one, beside the bare client", times[0], times[1], 1.25, "ms")
        report(f"{name}, in a batch, beside the bare client", times[2], times[3], 1.25, "ms")
    client.close()
