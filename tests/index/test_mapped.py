"""An index that holds a map: queries of the new model, rows of both while it is embedded anew, the end."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, UsageError
from mmr.index import catalogue, open_index, upsert
from mmr.index.answer import answer, items_as_queries
from mmr.index.bridge import LEAST
from mmr.index.check import check, compact, describe, rebuild
from mmr.index.mapped import QueryMap, rows_of
from mmr.index.search import Wanted
from mmr.index.upgrade import PAIRS, drop, hold
from mmr.index.write import Upserter, delete
from mmr.stream.records import Record
from tests.index.made import fail

OLD, NEW = "old#1", "new#2"
N, D_OLD, D_NEW = 120, 6, 9


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def seen(seed=0, n=N):
    """What two models see of the same items, (n, 6) and (n, 9), and the maps between them."""
    generator = np.random.default_rng(seed)
    things = generator.standard_normal((n, D_NEW))
    new, old = unit(things), unit(things @ generator.standard_normal((D_NEW, D_OLD)))
    there = np.linalg.lstsq(new.astype(float), old.astype(float), rcond=None)[0].T
    back = np.linalg.lstsq(old.astype(float), new.astype(float), rcond=None)[0].T
    return old, new, there, back


VECTORS = seen()


def records(rows, model, which=None, **more):
    chosen = range(len(rows)) if which is None else which
    return [Record({"id": f"i{i:03}", "image": f"i{i:03}", "base": "/pics", "size": i, "mtime": 0.5,
                    "label": f"l{i % 3}", "vector": rows[i], "model": model, **more})
            for i in chosen]  # fmt: skip


def made(path, *, kind=None, vectors=VECTORS, new=(), step="normalize map"):
    """An index of the old model that holds the map, with the items `new` embedded anew."""
    old, fresh, there, back = vectors
    upsert(path, records(old, OLD), reject=fail, kind=kind)
    hold(path, QueryMap(NEW, fresh.shape[1], step, {"from": NEW}), OLD, there, back)
    if len(new):
        upsert(path, records(fresh, NEW, new), reject=fail)
    return path


def ask(path, vectors, model, wanted=None, reject=fail, declared=None, **more):
    named = {} if model is None else {"model": model}
    queries = [Record({"id": f"q{i}", "vector": row, **named, **more}) for i, row in enumerate(vectors)]
    with open_index(path) as index:
        return list(answer(index, queries, no_words, wanted or Wanted(5), reject=reject, model=declared))


def no_words(queries):
    raise AssertionError("nothing is to be embedded")


def hits(answers):
    return [[(hit["id"], float(hit["score"])) for hit in one["hits"]] for one in answers]


def mapped(matrix, row):
    found = matrix @ row.astype(np.float64)
    return (found / np.linalg.norm(found)).astype(np.float32).astype(np.float64)


def naive(query, of_new, new, vectors=VECTORS, k=5):
    """The k best of rows of both models by the formula, in float64: ids and scores."""
    old, fresh, there, back = (rows.astype(np.float64) for rows in vectors)
    raw, crossed = query.astype(np.float64), mapped(there if of_new else back, query)
    if not len(new):
        crossed_scores = old @ (crossed if of_new else raw)
        order = sorted(range(len(old)), key=lambda i: (-np.float32(crossed_scores[i]), -i))[:k]
        return [(f"i{i:03}", crossed_scores[i]) for i in order]
    pairs = list(new)[:PAIRS]
    own, other = (fresh, old) if of_new else (old, fresh)
    mine, theirs = own[pairs] @ raw, other[pairs] @ crossed
    factor = mine.std() / theirs.std() if len(pairs) >= LEAST else 1.0
    shift = mine.mean() - factor * theirs.mean() if len(pairs) >= LEAST else 0.0
    done = np.isin(np.arange(len(old)), list(new))
    scores = np.where(done == of_new, own @ raw, factor * (other @ crossed) + shift)
    order = sorted(range(len(old)), key=lambda i: (-np.float32(scores[i]), -i))[:k]
    return [(f"i{i:03}", scores[i]) for i in order]


def same(found, expected):
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert np.abs(np.array([s for _, s in found]) - np.array([s for _, s in expected])).max() < 1e-6


def models_of(path):
    with open_index(path) as index:
        return [segment.model for segment in index.segments()]


def test_queries_of_the_new_model_are_mapped(tmp_path):
    path = made(tmp_path / "x.mmr")
    found = ask(path, VECTORS[1][:10], NEW)
    for one, query, row in zip(hits(found), VECTORS[1][:10], found, strict=True):
        same(one, naive(query, True, ()))
        assert row["model"] == OLD
        assert row["via"] == ["normalize map", "query x.mmr k=5"]
        assert np.array_equal(row["vector"], mapped(VECTORS[2], query).astype(np.float32))
    own = ask(path, VECTORS[0][:10], OLD)
    assert all(row["via"] == ["query x.mmr k=5"] for row in own)
    for one, query in zip(hits(own), VECTORS[0][:10], strict=True):
        same(one, naive(query, False, ()))


def test_bare_vectors_are_mapped_where_the_user_names_their_model(tmp_path):
    path = made(tmp_path / "x.mmr")
    bare = ask(path, VECTORS[1][:3], None, declared=NEW)
    assert hits(bare) == hits(ask(path, VECTORS[1][:3], NEW))


@pytest.mark.parametrize("model", ["third#3", None])
def test_vectors_of_a_third_model_never_meet_it(tmp_path, model):
    path = made(tmp_path / "x.mmr", new=range(40))
    with pytest.raises(BadDataError):
        ask(path, VECTORS[0][:1], model)
    with pytest.raises(BadDataError):
        upsert(path, [Record({"id": "a", "vector": VECTORS[0][0], "model": "third#3"})], reject=fail)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 100), done=st.integers(0, N - 1), of_new=st.booleans(), shuffled=st.booleans())
def test_rows_of_both_models_score_by_the_formula(tmp_path_factory, seed, done, of_new, shuffled):
    vectors = seen(seed)
    order = np.random.default_rng(seed).permutation(N) if shuffled else np.arange(N)
    path = made(tmp_path_factory.mktemp("mixed") / "x.mmr", vectors=vectors, new=order[:done].tolist())
    queries = vectors[1 if of_new else 0][:6]
    for one, query in zip(hits(ask(path, queries, NEW if of_new else OLD)), queries, strict=True):
        same(one, naive(query, of_new, order[:done].tolist(), vectors))


def test_a_batch_does_not_show(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(50))
    for side, model in ((1, NEW), (0, OLD)):
        together = hits(ask(path, VECTORS[side][40:60], model))
        assert together == [hits(ask(path, row[None], model))[0] for row in VECTORS[side][40:60]]
    both = [Record({"id": f"{model}{i}", "vector": VECTORS[side][i], "model": model})
            for i in range(4) for side, model in ((1, NEW), (0, OLD))]  # fmt: skip
    with open_index(path) as index:
        found = hits(answer(index, both, no_words, Wanted(5), reject=fail))
    assert found[::2] == hits(ask(path, VECTORS[1][:4], NEW))
    assert found[1::2] == hits(ask(path, VECTORS[0][:4], OLD))


def test_a_query_keeps_its_vector_where_rows_are_of_both(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(50))
    for side, model in ((1, NEW), (0, OLD)):
        (row,) = ask(path, VECTORS[side][:1], model)
        assert row["model"] == model
        assert np.array_equal(row["vector"], VECTORS[side][0])
        assert row["via"] == ["normalize map", "query x.mmr k=5"]


def test_what_a_query_leaves_out_costs_no_hit_where_rows_are_of_both(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(50))
    whole = [name for name, _ in hits(ask(path, VECTORS[1][:1], NEW, Wanted(N)))[0]]
    assert sorted(whole) == [f"i{i:03}" for i in range(N)]
    without = hits(ask(path, VECTORS[1][:1], NEW, Wanted(5), exclude=whole[:3]))[0]
    assert [name for name, _ in without] == whole[3:8]
    among = hits(ask(path, VECTORS[1][:1], NEW, Wanted(5), among=["i001", "i100", "i110"]))[0]
    assert [name for name, _ in among] == [name for name in whole if name in ("i001", "i100", "i110")]
    labelled = hits(ask(path, VECTORS[1][:1], NEW, Wanted(5, where=(("label", "l1"),))))[0]
    assert [name for name, _ in labelled] == [name for name in whole if int(name[1:]) % 3 == 1][:5]
    delete(path, [whole[0], whole[2]])
    assert [name for name, _ in hits(ask(path, VECTORS[1][:1], NEW))[0]][:2] == [whole[1], whole[3]]


@pytest.mark.parametrize(
    "kind", ["hnsw:least=2", "ivfflat:lists=1,least=2", "flat:dtype=float16", "flat:dtype=int8"]
)
def test_every_kind_goes_the_way(tmp_path, kind):
    vectors = seen(0, 160)
    path = made(tmp_path / "x.mmr", kind=kind, vectors=vectors, new=range(60))
    assert check(path) == []
    whole = hits(ask(path, vectors[1][:3], NEW, Wanted(160, exact=True)))
    assert all(len(one) == 160 for one in whole)
    ask(path, vectors[0][:3], OLD)
    upsert(path, records(vectors[1], NEW), reject=fail)
    assert check(path) == []
    with open_index(path) as index:
        assert (index.meta.model, index.meta.dim, index.meta.query_map) == (NEW, D_NEW, None)
        assert all(segment.structure is not None for segment in index.segments()) == (
            not kind.startswith("flat")
        )
    assert [one[0][0] for one in hits(ask(path, vectors[1][:3], NEW))] == ["i000", "i001", "i002"]


def test_merges_never_mix_models(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(30))
    for i in range(30, 42):
        upsert(path, records(VECTORS[1], NEW, [i]), reject=fail)
    assert set(models_of(path)) == {OLD, NEW}
    before = hits(ask(path, VECTORS[1][:5], NEW))
    compact(path)
    assert sorted(models_of(path)) == [NEW, OLD]
    assert check(path) == []
    assert hits(ask(path, VECTORS[1][:5], NEW)) == before
    rebuild(path, kind="hnsw:least=2")
    assert hits(ask(path, VECTORS[1][:5], NEW, Wanted(5, exact=True))) == before


def test_the_index_becomes_one_of_the_new_model(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(N - 1))
    with open_index(path) as index:
        assert rows_of(index) == (N - 1, 1)
        assert describe(index)["items_of"] == {NEW: N - 1, OLD: 1}
        assert describe(index)["query_map"] == {"from": NEW}
    upsert(path, records(VECTORS[1], NEW, [N - 1]), reject=fail)
    with open_index(path) as index:
        assert (index.meta.model, index.meta.dim, index.meta.query_map) == (NEW, D_NEW, None)
        assert {record["model"] for record in index.items()} == {NEW}
        assert "query_map" not in describe(index)
    assert not [file for file in path.iterdir() if file.name.startswith("map-")]
    assert check(path) == []
    with pytest.raises(BadDataError, match="has vectors of new#2"):
        ask(path, VECTORS[0][:1], OLD)


def test_the_last_old_item_may_be_deleted(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(N - 2))
    delete(path, [f"i{N - 2:03}"])
    assert OLD in models_of(path)
    delete(path, [f"i{N - 1:03}"])
    assert set(models_of(path)) == {NEW}


def test_an_index_of_no_rows_keeps_its_map(tmp_path):
    path = made(tmp_path / "x.mmr")
    delete(path, [f"i{i:03}" for i in range(N)])
    with open_index(path) as index:
        assert index.meta.query_map is not None and index.meta.model == OLD


def test_the_same_again_changes_nothing(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(50))
    counts = upsert(path, records(VECTORS[1], NEW, range(60)), reject=fail)
    assert (counts.new, counts.changed, counts.kept) == (0, 10, 50)
    back = upsert(path, records(VECTORS[0], OLD, range(5)), reject=fail)
    assert (back.changed, back.kept) == (5, 0)
    with open_index(path) as index:
        assert rows_of(index) == (55, N - 55)
    assert check(path) == []


def test_a_stream_may_have_items_of_both(tmp_path):
    path = made(tmp_path / "x.mmr")
    old, new = records(VECTORS[0], OLD), records(VECTORS[1], NEW)
    stream = [record for pair in zip(old[:6], new[20:26], strict=True) for record in pair]
    counts = upsert(path, stream, reject=fail)
    assert (counts.changed, counts.kept) == (6, 6)
    with open_index(path) as index:
        assert rows_of(index) == (6, N - 6)


def test_bare_items_are_taken_where_the_user_names_their_model(tmp_path):
    path = made(tmp_path / "x.mmr")
    bare = [
        Record({"id": record["id"], "vector": record["vector"]})
        for record in records(VECTORS[1], NEW, range(9))
    ]
    seen_again = Record({"id": "i050", "keep": True, "size": 7, "mtime": 8.0})
    counts = upsert(path, [seen_again, *bare], reject=fail, model=NEW)
    assert (counts.changed, counts.kept) == (9, 1)
    with open_index(path) as index:
        assert rows_of(index) == (9, N - 9)
        assert index.get("i050")["size"] == 7


def test_a_dry_run_writes_nothing(tmp_path):
    path = made(tmp_path / "x.mmr")
    counts = upsert(path, records(VECTORS[1], NEW, range(9)), reject=fail, dry_run=True)
    with open_index(path) as index:
        assert rows_of(index) == (0, N)
    assert counts.changed == 9


def test_each_item_says_its_model(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(30))
    with open_index(path) as index:
        dumped = {record["id"]: record for record in index.items()}
        assert [len(dumped[name]["vector"]) for name in ("i000", "i100")] == [D_NEW, D_OLD]
        assert [dumped[name]["model"] for name in ("i000", "i100")] == [NEW, OLD]
        assert index.get("i001")["model"] == NEW
        found = list(answer(index, items_as_queries(index), no_words, Wanted(1), reject=fail, pinned=True))
    assert [row["hits"][0]["id"] for row in found] == [row["id"] for row in found]


def test_skipping_goes_by_what_the_new_model_has_seen(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(30))
    with open_index(path) as index:
        assert len(index.known_files()) == len(index.known_files(OLD)) == N
        assert sorted(index.known_files(NEW)) == [f"/pics/i{i:03}" for i in range(30)]


def test_pairs_are_kept_of_items_that_both_have_seen(tmp_path):
    vectors = seen(1, PAIRS + 40)
    path = made(tmp_path / "x.mmr", vectors=vectors, new=range(10))
    upsert(path, [Record({"id": "fresh", "vector": vectors[1][0], "model": NEW})], reject=fail)
    upsert(path, records(vectors[1], NEW, range(PAIRS + 20)), reject=fail)
    with open_index(path) as index:
        across = index.bridge()
    assert np.array_equal(across.old, vectors[0][:PAIRS])
    assert np.array_equal(across.new, vectors[1][:PAIRS])


def test_recipes_are_mapped_and_wait_while_rows_are_of_both(tmp_path):
    path = made(tmp_path / "x.mmr")
    recipe = {"score": "product", "of": ["a", "b"]}
    bindings = {"a": VECTORS[1][0], "b": VECTORS[1][1]}

    def asked(model, named, reject=fail):
        query = Record({"id": "q", "model": model, "recipe": recipe, "bindings": named})
        with open_index(path) as index:
            return list(answer(index, [query], no_words, Wanted(5), reject=reject))

    crossed = {name: mapped(VECTORS[2], row).astype(np.float32) for name, row in bindings.items()}
    assert hits(asked(NEW, bindings)) == hits(asked(OLD, crossed))
    told = []
    assert asked(NEW, {"a": VECTORS[1][0], "b": VECTORS[0][0]}, told.append) == []
    upsert(path, records(VECTORS[1], NEW, range(3)), reject=fail)
    assert asked(NEW, bindings, told.append) == asked(OLD, crossed, told.append) == []
    assert [("recipe" in item.what, item.stage) for item in told[1:]] == [(True, "search")] * 2


def test_what_needs_one_model_is_refused(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(30))
    with pytest.raises(BadDataError, match=r"30 items of x\.mmr are of new#2, and only the map"):
        drop(path)
    with pytest.raises(BadDataError, match=r"30 of 120 items are done"):
        rebuild(path, kind="flat:dtype=float16")
    with pytest.raises(BadDataError, match="is being embedded anew with new#2"):
        hold(path, QueryMap("other#5", D_NEW, "s", {}), OLD, *VECTORS[2:])
    with pytest.raises(BadDataError, match="--with-vectors needs vectors of one model"):
        ask(path, VECTORS[1][:1], NEW, Wanted(5, with_vectors=True))
    assert check(path) == []


def test_a_better_map_may_come_while_rows_are_of_both(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(40))
    before = hits(ask(path, VECTORS[1][:3], NEW))
    hold(path, QueryMap("renamed#2", D_NEW, "s", {"from": "better"}), OLD, 2 * VECTORS[2], VECTORS[3])
    assert hits(ask(path, VECTORS[1][:3], NEW)) == before
    with open_index(path) as index:
        assert rows_of(index) == (40, N - 40)
        assert index.meta.query_map.pairs == 40
    assert check(path) == []


def test_a_map_goes_out_again(tmp_path):
    path = made(tmp_path / "x.mmr")
    assert drop(path) and not drop(path)
    assert not [file for file in path.iterdir() if file.name.startswith("map-")]
    with pytest.raises(BadDataError, match="has vectors of old#1"):
        ask(path, VECTORS[1][:1], NEW)
    with pytest.raises(BadDataError, match="has vectors of old#1"):
        upsert(path, records(VECTORS[1], NEW, [0]), reject=fail)


@pytest.mark.parametrize(("to", "model", "dims"), [
    ("third#3", NEW, (D_OLD, D_NEW)), (None, NEW, (D_OLD, D_NEW)), (OLD, OLD, (D_OLD, D_NEW)),
    (OLD, NEW, (D_OLD + 1, D_NEW)),
])  # fmt: skip
def test_maps_that_lead_elsewhere_are_refused(tmp_path, to, model, dims):
    path = tmp_path / "x.mmr"
    upsert(path, records(VECTORS[0], OLD), reject=fail)
    with pytest.raises(BadDataError):
        hold(path, QueryMap(model, D_NEW, "s", {}), to, np.zeros(dims), np.zeros(dims[::-1]))
    with open_index(path) as index:
        assert index.meta.query_map is None
    assert check(path) == []


def test_another_writer_may_take_the_map_out_meanwhile(tmp_path):
    path = made(tmp_path / "x.mmr")
    with Upserter(path, fail) as changer:
        changer.add(records(VECTORS[1], NEW, [0])[0])
        drop(path)
        with pytest.raises(BadDataError, match="has vectors of old#1"):
            changer.flush()
    with open_index(path) as index:
        assert {record["model"] for record in index.items()} == {OLD}


def test_another_writer_may_end_the_upgrade_meanwhile(tmp_path):
    path = made(tmp_path / "x.mmr", new=range(N - 1))
    with Upserter(path, fail) as changer:
        changer.add(records(VECTORS[1], NEW, [3], label="seen again")[0])
        upsert(path, records(VECTORS[1], NEW, [N - 1]), reject=fail)
        changer.flush()
        changer.settle()
    with open_index(path) as index:
        assert (index.meta.model, index.get("i003")["label"]) == (NEW, "seen again")
    assert check(path) == []


@pytest.mark.parametrize("name", ["map-there.npy", "map-old.npy"])
def test_a_damaged_file_of_the_map_is_named(tmp_path, name):
    path = made(tmp_path / "x.mmr", new=range(40))
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[:-1])
    with pytest.raises(BadDataError, match=name):
        open_index(path)
    nan = np.array([np.nan], "f8" if name == "map-there.npy" else "f4").tobytes()
    (path / name).write_bytes(data[: -len(nan)] + nan)
    with pytest.raises(BadDataError, match="not finite"):
        ask(path, VECTORS[1][:1], NEW)
    assert any(name in sentence and "--query-map" in sentence for sentence in check(path))
    (path / name).write_bytes(data[:128].replace(b"(", b"[") + data[128:])
    with pytest.raises(BadDataError):
        ask(path, VECTORS[1][:1], NEW)


def test_a_catalogue_that_lies_of_its_map_is_an_error(tmp_path):
    path = made(tmp_path / "x.mmr")
    with sqlite3.connect(path / "catalogue.sqlite") as connection:
        (text,) = connection.execute("SELECT value FROM meta WHERE key = 'query_map'").fetchone()
        for wrong in ("{}", "7", json.dumps({**json.loads(text), "dim": "x"}), "{"):
            connection.execute("UPDATE meta SET value = ? WHERE key = 'query_map'", (wrong,))
            connection.commit()
            with pytest.raises(BadDataError):
                ask(path, VECTORS[1][:1], NEW)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'query_map'",
                           (json.dumps({**json.loads(text), "files": {}}),))  # fmt: skip
    connection.close()
    with pytest.raises(BadDataError, match="lacks a file of its map"):
        ask(path, VECTORS[1][:1], NEW)


def test_bad_queries_of_the_new_model_are_bad_items(tmp_path):
    path = made(tmp_path / "x.mmr")
    for rows in (np.zeros((1, D_NEW), np.float32), VECTORS[0][:1]):
        for done in ((), range(3)):
            if len(done):
                upsert(path, records(VECTORS[1], NEW, done), reject=fail)
            told = []
            assert ask(path, rows, NEW, reject=told.append) == []
            assert len(told) == 1
    assert catalogue.exists(path)


def test_a_corrected_index_is_not_embedded_anew(tmp_path, monkeypatch):
    path = made(tmp_path / "x.mmr")
    monkeypatch.setattr("mmr.index.corrected.stated", lambda changer: object())
    with pytest.raises(BadDataError, match="holds a correction"):
        upsert(path, records(VECTORS[1], NEW, [0]), reject=fail)
    monkeypatch.undo()
    with open_index(path) as index:
        assert rows_of(index) == (0, N)


def test_an_index_of_another_content_holds_no_map(tmp_path):
    path = tmp_path / "x.mmr"
    bags = [Record({"id": "a", "vectors": VECTORS[0][:3], "model": OLD})]
    upsert(path, bags, reject=fail, kind="maxsim")
    with pytest.raises(UsageError, match="of the kind maxsim"):
        hold(path, QueryMap(NEW, D_NEW, "s", {}), OLD, *VECTORS[2:])
