"""k hits and an unchanged recall of every kind, whatever share of the rows is dead, filtered or excluded."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.index import delete, open_index, upsert
from mmr.index.check import rebuild
from mmr.index.search import Wanted, search
from mmr.stream.records import Record
from tests.index.made import fail
from tests.index.test_kinds import DIM, SPECS, clustered, recall

ROWS, K = 12_000, 10
KINDS = [spec for spec in SPECS if "dtype" not in spec]


def vectors():
    return clustered(5, ROWS)


def asked(count=50, **more):
    return [Record({"id": f"q{i}", "vector": v, **more}) for i, v in enumerate(clustered(98, count))]


@pytest.fixture(scope="module")
def indexes(tmp_path_factory):
    """The same items twice, half of the rows of the second dead."""
    folder = tmp_path_factory.mktemp("left")
    items = [
        Record({"id": f"i{i}", "vector": v, "half": str(i % 2), "tenth": str(i % 10), "rare": str(i % 1000)})
        for i, v in enumerate(vectors())
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmr.index.merge.DEAD_SHARE", 0.9)
        for name in ("whole", "dead"):
            upsert(folder / name, items, reject=fail)
            rebuild(folder / name, kind="sq8:least=100")  # one segment
        delete(folder / "dead", [f"i{i}" for i in range(0, ROWS, 2)])
        yield folder / "whole", folder / "dead"


@pytest.mark.parametrize("kind", KINDS)
def test_dead_filtered_and_excluded_rows_cost_no_hit_and_no_recall(indexes, kind, monkeypatch):
    monkeypatch.setattr("mmr.index.merge.DEAD_SHARE", 0.9)
    whole, dead = indexes
    for path in indexes:
        rebuild(path, kind=kind)
    with open_index(whole) as index:
        assert any(segment.structure is not None for segment in index.segments())
        before = recall(index, asked(), Wanted(K))
        for field, value, share in (("half", "1", 2), ("tenth", "3", 10), ("rare", "7", 1000)):
            wanted = Wanted(K, where=((field, value),))
            hits = search(index, asked(), wanted)
            assert all(len(found) == min(K, ROWS // share) for found in hits)
            assert recall(index, asked(), wanted) >= before - 0.02
        for left_out in (range(60), range(0, ROWS, 2), range(12, ROWS)):
            named = [f"i{i}" for i in left_out]
            assert recall(index, asked(4, exclude=named), Wanted(K)) >= before - 0.05
        among = [f"i{i}" for i in range(0, ROWS, 1000)]
        assert recall(index, asked(4, among=among), Wanted(K)) == 1
    with open_index(dead) as index:
        assert sum(int(segment.live.sum()) for segment in index.segments()) == ROWS // 2
        assert sum(segment.rows for segment in index.segments()) == ROWS
        assert recall(index, asked(), Wanted(K)) >= before - 0.02
        found = {hit["id"] for hits in search(index, asked(), Wanted(K)) for hit in hits}
        assert all(int(name[1:]) % 2 for name in found)


def test_where_few_rows_live_all_of_them_come(tmp_path, monkeypatch):
    """0.1 % live: more candidates are asked for till there are k, or every row is compared."""
    monkeypatch.setattr("mmr.index.merge.DEAD_SHARE", 1.0)
    path = tmp_path / "x.mmr"
    upsert(path, [Record({"id": f"i{i}", "vector": v}) for i, v in enumerate(vectors())], reject=fail)
    rebuild(path, kind="ivfpq:least=100,lists=32,probe=4")
    delete(path, [f"i{i}" for i in range(ROWS) if i % 1000])
    query = np.zeros(DIM, np.float32)
    query[0] = 1
    with open_index(path) as index:
        hits = search(index, [Record({"id": "q", "vector": query})], Wanted(50))[0]
    assert {hit["id"] for hit in hits} == {f"i{i}" for i in range(0, ROWS, 1000)}
