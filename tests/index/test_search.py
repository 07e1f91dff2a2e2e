"""Search through a real index on disk against the obvious answer, whatever is dead, excluded or filtered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, UsageError
from mmr.index import delete, open_index, upsert
from mmr.index.answer import answer
from mmr.index.search import Wanted, search
from mmr.index.table import parse
from mmr.stream.records import Record


def fail(item):
    raise item


def unit(rng, *shape):
    x = rng.standard_normal(shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def records(vectors, start=0):
    return [
        Record({"id": f"i{start + i}", "vector": v, "colour": "red" if i % 3 else "blue", "text": f"t{i}"})
        for i, v in enumerate(vectors)
    ]


def naive(items, query, k, *, where=None, exclude=(), among=None):
    """Every item that may come, by float64 score rounded to float32, then by id descending."""
    found = []
    for item in items.values():
        allowed = item["id"] not in exclude and (among is None or item["id"] in among)
        if allowed and (where is None or item["colour"] == where):
            score = np.float32(np.sum(item["vector"].astype(np.float64) * query.astype(np.float64)))
            found.append((score, item["id"]))
    return sorted(found, key=lambda one: (one[0], one[1].encode()), reverse=True)[:k]


def pairs(hits):
    return [(hit["score"], hit["id"]) for hit in hits]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(["flat", "hnsw:least=8", "hnsw:m=4,ef=8,least=8"]),
       where=st.sampled_from([None, "blue"]), data=st.data())  # fmt: skip
def test_filters_never_cost_a_hit(tmp_path_factory, seed, kind, where, data):
    path = tmp_path_factory.mktemp("index") / "x.mmr"
    rng = np.random.default_rng(seed)
    vectors = unit(rng, 60, 12)
    vectors[40:50] = vectors[:10]
    items = {}
    for start, stop in ((0, 25), (25, 60), (5, 15)):
        chunk = records(vectors[start:stop], start)
        upsert(path, chunk, reject=fail, kind=kind)
        items.update({record["id"]: record for record in chunk})
    gone = data.draw(st.lists(st.sampled_from(sorted(items)), unique=True, max_size=20))
    delete(path, gone)
    for name in gone:
        del items[name]
    exclude = data.draw(st.lists(st.sampled_from(sorted(items)), unique=True, max_size=8))
    among = data.draw(st.none() | st.lists(st.sampled_from(sorted(items)), unique=True))
    k = data.draw(st.integers(1, 70))
    queries = [Record({"id": f"q{i}", "vector": v}) for i, v in enumerate(unit(rng, 3, 12))]
    queries[0]["exclude"] = exclude
    if among is not None:
        queries[1]["among"] = among
    wanted = Wanted(k, where=(("colour", where),) if where else (), exact="m=4" not in kind)
    with open_index(path) as index:
        found = search(index, queries, wanted)
    expected = [
        naive(items, queries[0]["vector"], k, where=where, exclude=exclude),
        naive(items, queries[1]["vector"], k, where=where, among=among),
        naive(items, queries[2]["vector"], k, where=where),
    ]
    if wanted.exact:
        assert [pairs(hits) for hits in found] == expected
    else:
        assert [len(hits) for hits in found] == [len(hits) for hits in expected]
        for hits, truth, query in zip(found, expected, queries, strict=True):
            allowed = {name for _, name in naive(items, query["vector"], 99, where=where,
                       exclude=query.get("exclude", ()), among=query.get("among"))}  # fmt: skip
            assert {hit["id"] for hit in hits} <= allowed
            assert pairs(hits) == sorted(pairs(hits), key=lambda one: (one[0], one[1]), reverse=True)
            assert all(pair in naive(items, query["vector"], 99) for pair in pairs(hits)) and len(truth) <= k


@pytest.fixture
def graph(tmp_path):
    """A graph index of 3,000 vectors around 60 centres, and queries near them."""
    rng = np.random.default_rng(5)
    centres = unit(rng, 60, 32)
    vectors = centres[rng.integers(0, 60, 3000)] + 0.5 * unit(rng, 3000, 32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    upsert(tmp_path / "g.mmr", records(vectors), reject=fail, kind="hnsw:least=100")
    queries = centres + 0.3 * unit(rng, 60, 32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return tmp_path / "g.mmr", [Record({"id": str(i), "vector": v}) for i, v in enumerate(queries)]


def test_a_graph_finds_what_the_exact_search_finds(graph):
    path, queries = graph
    with open_index(path) as index:
        assert any(segment.structure is not None for segment in index.segments())
        walked = search(index, queries, Wanted(10))
        exact = search(index, queries, Wanted(10, exact=True))
    same = [len({h["id"] for h in a} & {h["id"] for h in b}) for a, b in zip(walked, exact, strict=True)]
    assert np.mean(same) / 10 > 0.95


def test_a_graph_answers_the_same_whatever_stands_beside_the_query(tmp_path):
    rng = np.random.default_rng(3)
    upsert(
        tmp_path / "w.mmr", records(unit(rng, 4000, 24)), reject=fail, kind="hnsw:m=4,efc=8,ef=8,least=100"
    )
    queries = [Record({"id": str(i), "vector": v}) for i, v in enumerate(unit(rng, 30, 24))]
    queries[7]["exclude"] = [f"i{i}" for i in range(90)]
    with open_index(tmp_path / "w.mmr") as index:
        together = search(index, queries, Wanted(10))
        alone = [search(index, [query], Wanted(10))[0] for query in queries]
    assert together == alone


def test_a_graph_that_a_merge_took_away_is_done_without(graph):
    path, queries = graph
    with open_index(path) as index:
        for segment in index.segments():
            if segment.structure is not None:
                segment.structure.unlink()
        assert search(index, queries, Wanted(10)) == search(index, queries, Wanted(10, exact=True))


def test_min_score_fields_and_vectors(graph):
    path, queries = graph
    with open_index(path) as index:
        wanted = Wanted(5, min_score=0.5, fields=("colour",), with_vectors=True)
        hits = search(index, queries[:1], wanted)[0]
        assert hits and all(
            hit["score"] >= 0.5 and set(hit) == {"id", "score", "colour", "vector"} for hit in hits
        )
        assert np.float32(np.dot(hits[0]["vector"], queries[0]["vector"])) == pytest.approx(
            hits[0]["score"], abs=1e-6
        )
        assert search(index, queries[:1], Wanted(5, min_score=1.1)) == [[]]


def test_answer_rejects_what_cannot_be_searched_and_goes_on(graph):
    path, queries = graph
    bad = []
    stream = [
        queries[0], Record({"id": "0", "vector": queries[1]["vector"]}),
        Record({"id": "zero", "vector": np.zeros(32, "f4")}),
        Record({"id": "short", "vector": np.ones(3, "f4")}), queries[2],
    ]  # fmt: skip
    with open_index(path) as index:
        done = list(answer(index, stream, lambda waiting: iter(waiting), Wanted(2), reject=bad.append))
    assert [record["id"] for record in done] == ["0", "2"]
    assert all(len(record["hits"]) == 2 and record["via"] for record in done)
    words = " ".join(str(item) for item in bad)
    assert len(bad) == 3 and "second query" in words and "direction" in words and "3 dimensions" in words


def test_another_model_is_refused(tmp_path):
    vectors = np.eye(4, dtype=np.float32)
    upsert(tmp_path / "m.mmr", records(vectors), reject=fail, model="builtin#aaaa")
    with open_index(tmp_path / "m.mmr") as index:
        for model in ("open_clip:x#bbbb", None):
            query = Record({"id": "q", "vector": vectors[0], **({"model": model} if model else {})})
            with pytest.raises(BadDataError, match="builtin#aaaa"):
                list(answer(index, [query], iter, Wanted(1), reject=fail))
        query = Record({"id": "q", "vector": vectors[0]})
        assert len(list(answer(index, [query], iter, Wanted(1), reject=fail, model="builtin#aaaa"))) == 1


@pytest.mark.parametrize("spec", ["flatt", "hnsw:m=2", "hnsw:m", "flat:dtype=int3", "hnsw:x=1", "hnsw:m=1e3"])
def test_a_wrong_kind_is_a_usage_error(spec):
    with pytest.raises(UsageError):
        parse(spec)
