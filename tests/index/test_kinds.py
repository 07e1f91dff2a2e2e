"""Every kind against the exact search: recall, hits whatever is dead or left out, what it needs, files."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from mmr.errors import BadDataError, UsageError
from mmr.index import delete, open_index, upsert
from mmr.index.check import check, describe, rebuild
from mmr.index.content import content_of
from mmr.index.recall import measured
from mmr.index.search import Wanted, search
from mmr.index.table import KINDS, parse
from mmr.stream.records import Record
from tests.index.made import fail

DIM, ROWS, K = 32, 3000, 10
SPECS = {
    "hnsw:least=100": 0.97, "hnswsq8:least=100": 0.97, "sq8:least=100": 0.99, "pq:least=100": 0.97,
    "pq:least=100,opq=yes,m=8": 0.9, "rabitq:least=100": 0.97, "rabitq:least=100,bits=4": 0.99,
    "ivfflat:least=100,lists=32,probe=12": 0.95, "ivfpq:least=100,lists=32,probe=12": 0.93,
    "ivfpq:least=100,opq=yes,lists=32,probe=12": 0.93, "sq8:least=100,dtype=float16": 0.99,
    "binary:least=100": 0.95, "binary:least=100,code=planes,bits=128": 0.95,
    "binary:least=100,code=itq": 0.95, "bebr:least=100": 0.97, "bebr:least=100,bits=1": 0.87,
    "bebr:least=100,bits=4": 0.99, "svd:least=100,dims=16": 0.97,
    "sq8:least=100,dtype=int8": 0.99, "hnsw:least=100,dtype=int8": 0.97,
}  # fmt: skip


def clustered(seed: int, count: int):
    """Unit vectors around 60 centres that every seed shares."""
    centres = np.random.default_rng(1).standard_normal((60, DIM))
    rng = np.random.default_rng(seed)
    x = centres[rng.integers(0, 60, count)] + 0.6 * rng.standard_normal((count, DIM))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def records(vectors, start=0):
    return [
        Record({"id": f"i{start + i}", "vector": v, "half": str(i % 2), "rare": str(i % 1000)})
        for i, v in enumerate(vectors)
    ]


def queries(count=60, **more):
    return [Record({"id": f"q{i}", "vector": v, **more}) for i, v in enumerate(clustered(99, count))]


@pytest.fixture(scope="module", params=SPECS)
def made(request, tmp_path_factory):
    """An index of each kind, and the recall that it must reach."""
    path = tmp_path_factory.mktemp("kinds") / "x.mmr"
    upsert(path, records(clustered(2, ROWS)), reject=fail, kind=request.param)
    return path, SPECS[request.param]


def recall(index, asked, wanted):
    found = search(index, asked, wanted)
    truth = search(index, asked, wanted._replace(exact=True))
    assert [len(hits) for hits in found] == [len(hits) for hits in truth]
    shared = [len({h["id"] for h in a} & {h["id"] for h in b}) for a, b in zip(found, truth, strict=True)]
    return sum(shared) / sum(len(hits) for hits in truth)


def test_every_kind_of_the_table_is_tested():
    single = {row.name for row in KINDS if not row.exact and content_of(row.name, {}).single}
    assert {spec.partition(":")[0] for spec in SPECS} == single


def test_recall_and_exact_scores(made):
    path, least = made
    with open_index(path) as index:
        assert all(segment.structure is not None for segment in index.segments())
        assert recall(index, queries(), Wanted(K)) >= least
        exact = {h["id"]: h["score"] for h in search(index, queries(1), Wanted(ROWS, exact=True))[0]}
        assert all(exact[h["id"]] == h["score"] for h in search(index, queries(1), Wanted(K))[0])
    assert check(path) == []


def test_the_recall_that_the_index_states_is_the_one_that_it_has(made):
    path, _ = made
    with open_index(path) as index:
        stated = index.recall()
        assert stated is not None and (stated["k"], stated["rows"]) == (10, 200)
        asked = [
            Record({"id": f"i{row}", "vector": index.segments()[0].vectors[row]}) for row in range(0, ROWS, 7)
        ]
        others = recall(index, asked, Wanted(K, exclude_self=True))
        assert abs(others - stated["of_rows"]) < 0.04
        assert abs(recall(index, queries(), Wanted(K)) - measured(index, queries())) < 0.005
        assert describe(index)["recall"] == stated


def test_recall_is_measured_with_queries_too_and_they_are_kept(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="pq:least=100,m=8,refine=1", model="m#1")
    far = np.random.default_rng(7).standard_normal((80, DIM)).astype(np.float32)
    bad = []
    stream = [Record({"id": str(i), "vector": v}) for i, v in enumerate(far)]
    stream[3]["vector"] = np.ones(5, np.float32)
    del stream[4]["vector"]
    rebuild(path, queries=stream, reject=bad.append, model="m#1")
    with open_index(path) as index:
        stated = index.recall()
        assert stated is not None and stated["queries"] == 78 and len(bad) == 2
        expected = recall(index, list(stream[5:]), Wanted(K))
        assert abs(stated["of_queries"] - expected) < 0.02
    rebuild(path, kind="hnsw:least=100")
    with open_index(path) as index:
        assert index.recall()["queries"] == 78
    rebuild(path, queries=stream[5:10], model="m#1")
    names = sorted(file.name for file in path.glob("trained*"))
    with open_index(path) as index:
        assert index.recall()["queries"] == 5 and names == ["trained-queries-2.npy"]
    with pytest.raises(BadDataError, match="other#2"):
        rebuild(path, queries=[Record({**stream[0], "model": "other#2"})])
    assert check(path) == []


def test_a_recall_that_a_killed_run_did_not_state_is_stated_by_the_next(made, tmp_path):
    copy = tmp_path / "copy.mmr"
    shutil.copytree(made[0], copy)
    with closing(sqlite3.connect(copy / "catalogue.sqlite")) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'recall'")
        connection.commit()
    with open_index(copy) as index:
        assert index.recall() is None
    upsert(copy, records(clustered(2, ROWS)[:1]), reject=fail)
    with open_index(copy) as index, open_index(made[0]) as whole:
        assert index.recall() == whole.recall()
    rebuild(copy, kind="flat")
    with open_index(copy) as index:
        assert "recall" not in describe(index)


def test_what_is_left_out_costs_no_hit(made):
    path, least = made
    with open_index(path) as index:
        for wanted in (Wanted(K, where=(("half", "1"),)), Wanted(2, where=(("rare", "7"),))):
            assert recall(index, queries(), wanted) >= least - 0.02
        among = [f"i{i}" for i in range(0, ROWS, 3)]
        assert recall(index, queries(8, among=among), Wanted(K)) >= least - 0.03
        assert recall(index, queries(20, exclude=among[:50]), Wanted(K)) >= least - 0.03
        assert recall(index, queries(5), Wanted(ROWS)) == 1


def test_the_answer_does_not_depend_on_the_batch(made):
    path, _ = made
    with open_index(path) as index:
        together = search(index, queries(40), Wanted(K))
        assert together == [search(index, [query], Wanted(K))[0] for query in queries(40)]


def test_more_refining_finds_more(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, ROWS)), reject=fail, kind="pq:least=100,m=8,refine=1")
    with open_index(path) as index:
        few, many = (recall(index, queries(), Wanted(K, refine=n)) for n in (1, 40))
        assert few + 0.05 < many
        assert many > 0.98


@pytest.mark.parametrize("kind", ["pq:least=100", "ivfpq:least=100,lists=32,probe=12", "hnswsq8:least=100"])
def test_half_of_the_rows_dead_costs_no_hit(tmp_path, kind, monkeypatch):
    path = tmp_path / "x.mmr"
    monkeypatch.setattr("mmr.index.merge.DEAD_SHARE", 0.9)
    upsert(path, records(clustered(2, ROWS)), reject=fail, kind=kind)
    delete(path, [f"i{i}" for i in range(0, ROWS, 2)])
    with open_index(path) as index:
        assert [int(segment.live.sum()) for segment in index.segments()] == [ROWS // 2]
        assert recall(index, queries(), Wanted(K)) >= SPECS[kind] - 0.02


def test_quantisers_are_trained_once_and_again_when_the_index_has_grown(tmp_path, monkeypatch):
    path = tmp_path / "x.mmr"
    monkeypatch.setattr("mmr.index.merge.costly", lambda segments, many: [])
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="pq:least=100")
    trained = (path / "trained.pq").read_bytes()
    upsert(path, records(clustered(3, 1500), 1000), reject=fail)
    assert (path / "trained.pq").read_bytes() == trained
    assert sorted(file.name for file in path.glob("*.pq")) == ["seg-1.pq", "seg-2.pq", "trained.pq"]
    with open_index(path) as index:
        assert recall(index, queries(), Wanted(K)) > 0.95
    upsert(path, records(clustered(4, 3000), 2500), reject=fail)
    names = sorted(file.name for file in path.glob("*.pq"))
    assert names == ["seg-1-2.pq", "seg-2-2.pq", "seg-3.pq", "trained-2.pq"]
    assert check(path) == []


def test_too_few_rows_to_train_say_how_many_are_needed(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 500)), reject=fail, kind="ivfpq")
    assert not list(path.glob("*.ivfpq")), "a small index is exact"
    for kind, needed in (("pq:least=2", "624"), ("pq:bits=8,least=2", "9,984"), ("sq8:least=2", ""),
                         ("ivfflat:lists=100,least=2", "3,900")):  # fmt: skip
        if needed:
            with pytest.raises(BadDataError, match=f"needs {needed} vectors to train, and .* has 500"):
                rebuild(path, kind=kind)
            with open_index(path) as index:
                assert index.meta.kind == "ivfpq"
        else:
            rebuild(path, kind=kind)
            rebuild(path, kind="ivfpq")
    with pytest.raises(UsageError, match="cannot be cut into"):
        rebuild(path, kind="pq:m=7,least=2")
    for kind in ("binary:bits=16,least=2", "binary:code=itq,bits=64,least=2"):
        with pytest.raises(UsageError, match=r"bits (at most )?here"):
            rebuild(path, kind=kind)
    with pytest.raises(BadDataError, match="needs 624"):
        upsert(tmp_path / "y.mmr", records(clustered(2, 500)), reject=fail, kind="pq:least=2")
    with open_index(tmp_path / "y.mmr") as index:
        assert index.meta.count == 500


def test_from_kind_to_kind_and_back(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 1000)), reject=fail)
    with open_index(path) as index:
        exact = search(index, queries(5), Wanted(K))
    for kind in ("pq:least=100", "pq:least=100,m=8", "hnsw:least=100", "ivfflat:least=100", "flat"):
        rebuild(path, kind=kind)
        assert check(path) == []
        with open_index(path) as index:
            assert index.meta.kind == kind.partition(":")[0]
            assert search(index, queries(5), Wanted(K, exact=True)) == exact
    assert sorted(file.name for file in path.glob("[st]*")) == ["seg-1.npy"]


def test_damaged_structures_are_said_to_be_damaged(made, tmp_path):
    copy = tmp_path / "copy.mmr"
    shutil.copytree(made[0], copy)
    (structure,) = (file for file in copy.glob("seg-*") if file.suffix != ".npy")
    whole = structure.read_bytes()
    structure.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadDataError, match=r"has .* bytes, and .* were written"):
        open_index(copy)
    structure.write_bytes(b"\xff" * 40 + whole[40:])
    assert any("another SHA-256" in sentence for sentence in check(copy))
    with open_index(copy) as index, pytest.raises(BadDataError, match="is damaged"):
        search(index, queries(1), Wanted(K))
    rebuild(copy)
    assert check(copy) == []


@pytest.mark.parametrize(
    "spec", ["pq:bits=5", "pq:opq=maybe", "rabitq:bits=10", "ivfflat:probe=0", "sq8:refine=0"]
)
def test_parameters_have_ranges(spec):
    with pytest.raises(UsageError):
        parse(spec)


def test_a_parameter_without_a_value_is_said_to_have_none():
    with pytest.raises(UsageError, match="ivfpq:m gives no value"):
        parse("ivfpq:m")


def test_a_recall_of_structures_that_are_gone_is_not_stated(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="pq:least=800")
    with open_index(path) as index:
        assert index.recall() is not None
    delete(path, [f"i{i}" for i in range(500)])
    with open_index(path) as index:
        assert index.recall() is None and index.segments()[0].structure is None


def test_bits_are_cut_at_the_mean_of_each_modality(tmp_path):
    """Queries that lie beside the items, as words do beside pictures, find more when they are known."""
    path, rng = tmp_path / "x.mmr", np.random.default_rng(3)
    shift = 2 * rng.standard_normal(DIM).astype(np.float32) / DIM**0.5
    asked = [Record({"id": str(i), "vector": v + shift}) for i, v in enumerate(clustered(8, 300))]
    upsert(path, records(clustered(2, ROWS)), reject=fail, kind="binary:least=100,refine=2")
    with open_index(path) as index:
        before = recall(index, asked[:100], Wanted(K))
    rebuild(path, queries=asked[100:])
    with open_index(path) as index:
        assert recall(index, asked[:100], Wanted(K)) > before + 0.02
