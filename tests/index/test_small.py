"""Vectors stored in bytes: a quarter of the space, nearly the same answers, and nothing drifts."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.index import delete, open_index, upsert
from mmr.index.check import check, compact, rebuild
from mmr.index.search import Wanted, search
from mmr.stream.records import Record
from tests.index.made import fail
from tests.index.test_kinds import DIM, ROWS, clustered, queries, records


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, ROWS)), reject=fail, kind="flat:dtype=int8", model="m#1")
    return path


def answers(path):
    with open_index(path) as index:
        return search(index, queries(), Wanted(10, fields=()))


def test_a_quarter_of_the_space_and_nearly_the_same_answers(small, tmp_path):
    upsert(tmp_path / "y.mmr", records(clustered(2, ROWS)), reject=fail, model="m#1")
    pairs = list(zip(answers(small), answers(tmp_path / "y.mmr"), strict=True))
    assert np.mean([len({h["id"] for h in a} & {h["id"] for h in b}) / 10 for a, b in pairs]) > 0.95
    assert (
        max(abs(a["score"] - b["score"]) for left, right in pairs for a, b in zip(left, right, strict=True))
        < 0.01
    )
    compact(small)
    assert [file.stat().st_size for file in small.glob("seg-*.npy")] == [128 + ROWS * (DIM + 4)]
    assert check(small) == []


def test_what_came_before_is_kept_and_merges_change_no_bit(small):
    with open_index(small) as index:
        before = {item["id"]: item["vector"] for item in index.items()}
    counts = upsert(small, records(clustered(2, ROWS)), reject=fail, model="m#1")
    assert (counts.kept, counts.changed) == (ROWS, 0)
    found = answers(small)
    upsert(small, records(clustered(4, 50), ROWS), reject=fail, model="m#1")
    delete(small, [f"i{ROWS + i}" for i in range(50)])
    compact(small)
    with open_index(small) as index:
        for item in index.items():
            assert np.array_equal(item["vector"], before[item["id"]])
        counts = upsert(small, list(index.items()), reject=fail)
    assert (counts.kept, counts.changed) == (ROWS, 0), "a dump goes back as it came"
    assert answers(small) == found


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_to_bytes_and_back(tmp_path, dtype):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 500)), reject=fail, kind=f"flat:dtype={dtype}", model="m#1")
    rebuild(path, kind="flat:dtype=int8")
    found = answers(path)
    rebuild(path, kind="flat:dtype=float32")
    assert answers(path) == found
    rebuild(path, kind="hnsw:dtype=int8,least=100")
    rebuild(path, kind="pq:least=1000")
    assert check(path) == []
    with open_index(path) as index:
        assert index.meta.dtype == "int8"
        exact = search(index, queries(), Wanted(10, exact=True, fields=()))
    assert exact == found


def test_vectors_that_are_no_numbers_are_refused_and_long_ones_taken(tmp_path):
    bad = []
    items = [
        Record({"id": "nan", "vector": np.full(4, np.nan, np.float32)}),
        Record({"id": "zeros", "vector": np.zeros(4, np.float32)}),
        Record({"id": "long", "vector": np.float32([3e38, 1, 0, 0]), "unit": False}),
        Record({"id": "a", "vector": np.float32([1, 0, 0, 0])}),
    ]
    upsert(tmp_path / "x.mmr", items, reject=bad.append, kind="flat:dtype=int8")
    with open_index(tmp_path / "x.mmr") as index:
        assert sorted(index.all_ids()) == ["a", "long"] and len(bad) == 2
        assert np.allclose(index.get("a")["vector"], [1, 0, 0, 0], atol=2e-4)
