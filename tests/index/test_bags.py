"""Items of several vectors each: stored, searched and looked after as single vectors are."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmr.arrays.unit import unit as lengthened
from mmr.errors import BadDataError, UsageError
from mmr.index import bags, delete, open_index, upsert
from mmr.index.answer import answer
from mmr.index.check import check, compact, describe, rebuild
from mmr.index.corrected import Correction, correct
from mmr.index.search import Wanted, search
from mmr.index.table import told
from mmr.index.tune import tune
from mmr.stream.read import read_records
from mmr.stream.records import Record
from mmr.stream.write import open_writer
from tests.index.made import fail, unit

DIM = 12


def bag(seed, count):
    return unit(seed, count, DIM)


def item(number, version=0, **more):
    count = 1 + (number * 7 + version) % 5
    return Record({
        "id": f"i{number}", "text": f"version {version}", "vectors": bag(1000 * version + number, count),
        "colour": "red" if number % 3 else "blue", "model": "m#1", **more,
    })  # fmt: skip


def query(seed, count=3, **more):
    return Record({"id": f"q{seed}", "vectors": bag(77_000 + seed, count), "model": "m#1", **more})


def naive(one, other):
    """MaxSim by a double loop."""
    total = 0.0
    for row in one.astype(np.float64):
        best = -np.inf
        for column in other.astype(np.float64):
            best = max(best, sum(a * b for a, b in zip(row.tolist(), column.tolist(), strict=True)))
        total += best
    return np.float32(total)


def best(items, asked, k, allowed=lambda item: True):
    found = [(naive(asked["vectors"], item["vectors"]), item["id"]) for item in items if allowed(item)]
    return sorted(found, key=lambda one: (one[0], one[1].encode()), reverse=True)[:k]


def pairs(hits):
    return [(hit["score"], hit["id"]) for hit in hits]


def close(found, expected):
    assert [name for _, name in found] == [name for _, name in expected]
    assert [score for score, _ in found] == pytest.approx([score for score, _ in expected], abs=1e-6)


def stored(path):
    with open_index(path) as index:
        return list(index.items())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**31), kind=st.sampled_from(["maxsim", "muvera:reps=2,ksim=2,dproj=4,under=flat"]),
    dtype=st.sampled_from(["float16", "int8", "float32"]),
    least=st.sampled_from([2, 1000]), where=st.sampled_from([None, "blue"]), data=st.data(),
)  # fmt: skip
def test_hits_are_those_of_a_double_loop(tmp_path_factory, seed, kind, dtype, least, where, data):
    path = tmp_path_factory.mktemp("bags") / "x.mmr"
    for start, stop, version in ((0, 12, seed), (12, 30, seed), (5, 15, seed + 1)):
        upsert(path, [item(i, version) for i in range(start, stop)], reject=fail,
               kind=f"{kind}{',' if ':' in kind else ':'}dtype={dtype},least={least}")  # fmt: skip
    gone = data.draw(st.lists(st.sampled_from([f"i{i}" for i in range(30)]), unique=True, max_size=10))
    delete(path, gone)
    exclude = data.draw(st.lists(st.sampled_from([f"i{i}" for i in range(30)]), unique=True, max_size=5))
    among = data.draw(st.none() | st.lists(st.sampled_from([f"i{i}" for i in range(30)]), unique=True))
    k = data.draw(st.integers(1, 40))
    asked = [query(0, exclude=exclude), query(1, 1, **({} if among is None else {"among": among})), query(2)]
    held = stored(path)
    assert len(held) == 30 - len(gone) and check(path) == []
    with open_index(path) as index:
        found = search(index, asked, Wanted(k, where=(("colour", where),) if where else ()))
    for one, hits in zip(asked, found, strict=True):
        close(pairs(hits), best(held, one, k, lambda item, one=one: (
            item["id"] not in one.get("exclude", ()) and item["id"] in one.get("among", [item["id"]])
            and (where is None or item["colour"] == where)
        )))  # fmt: skip


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """800 items of which a query compares 500 at least, chosen by their means."""
    path = tmp_path_factory.mktemp("pages") / "pages.mmr"
    upsert(path, (item(i) for i in range(800)), reject=fail, kind="maxsim:least=10")
    return path


def test_what_stands_beside_a_query_changes_nothing(pages):
    asked = [query(i, 1 + i % 4) for i in range(8)]
    asked[3]["exclude"] = ["i1", "i2"]
    for wanted in (Wanted(10), Wanted(10, exact=True)):
        with open_index(pages) as index:
            together = search(index, asked, wanted)
            assert together == [search(index, [one], wanted)[0] for one in asked]
            assert together[::-1] == search(index, asked[::-1], wanted)


def test_candidates_are_compared_exactly_and_all_of_them_find_all(pages):
    asked = [query(i) for i in range(5)]
    with open_index(pages) as index:
        some, every = search(index, asked, Wanted(10)), search(index, asked, Wanted(10, exact=True))
        assert search(index, asked, Wanted(10, refine=80)) == every
        whole = {hit["id"]: hit["score"] for hit in search(index, asked[:1], Wanted(800))[0]}
        assert len(whole) == 800
    assert all(whole[hit["id"]] == hit["score"] for hit in some[0])
    shared = [len({h["id"] for h in a} & {h["id"] for h in b}) for a, b in zip(some, every, strict=True)]
    assert all(len(hits) == 10 for hits in some) and sum(shared) > 35


def test_items_ask_for_their_neighbours(pages):
    with open_index(pages) as index:
        itself = list(index.items())[:3]
        found = search(index, itself, Wanted(1))
        others = search(index, itself, Wanted(1, exclude_self=True))
    for one, hits, more in zip(itself, found, others, strict=True):
        assert hits[0]["id"] == one["id"] and more[0]["id"] != one["id"]
        assert hits[0]["score"] == pytest.approx(len(one["vectors"]), abs=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "int8", "float32"])
def test_a_dump_makes_the_same_index(tmp_path, dtype):
    first, second = tmp_path / "a.mmr", tmp_path / "b.mmr"
    upsert(
        first, [item(i, boxes=[[0, 0, 1, 1]]) for i in range(20)], reject=fail, kind=f"maxsim:dtype={dtype}"
    )
    dumped = stored(first)
    assert all(set(one) == {"id", "text", "colour", "boxes", "vectors", "model"} for one in dumped)
    upsert(second, dumped, reject=fail, kind=f"maxsim:dtype={dtype}")
    for name in ("seg-1.npy", "seg-1-rows.npy", "seg-1-offsets.npy"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert upsert(first, dumped, reject=fail).kept == 20
    with open_index(first) as index:
        assert index.get("i3")["vectors"].tobytes() == dumped[3]["vectors"].tobytes()
        hit = search(index, [query(1)], Wanted(1, with_vectors=True))[0][0]
        assert "vector" not in hit and np.array_equal(hit["vectors"], index.get(hit["id"])["vectors"])


def test_new_changed_kept_and_gone(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [item(i) for i in range(10)], reject=fail, kind="maxsim")
    counts = upsert(path, [item(i, int(i in (3, 4))) for i in range(12)], reject=fail)
    assert (counts.new, counts.changed, counts.kept) == (2, 2, 8)
    longer = item(5)
    longer["vectors"] = np.concatenate([longer["vectors"], longer["vectors"][:1]])
    assert upsert(path, [longer], reject=fail).changed == 1
    assert upsert(path, [item(6, text="new words")], reject=fail).changed == 1
    delete(path, ["i0", "i1"])
    compact(path)
    assert check(path) == []
    names = sorted(file.name for file in path.glob("seg*"))
    assert len(names) == 3 and names[0].endswith("-offsets.npy") and names[1].endswith("-rows.npy")
    held = stored(path)
    with open_index(path) as index:
        facts = describe(index)
    counts = [len(one["vectors"]) for one in held]
    assert (facts["items"], facts["vectors"], facts["longest_item"]) == (10, sum(counts), max(counts))
    with open_index(path) as index:
        rows = index.segments()[0]
        means = [lengthened(one["vectors"].mean(axis=0, keepdims=True))[0] for one in held]
        assert np.asarray(rows.vectors, np.float32) == pytest.approx(np.stack(means), abs=1e-3)


def test_vectors_become_unit_length_unless_they_say_otherwise(tmp_path):
    path = tmp_path / "x.mmr"
    rows = 3 * bag(5, 2)
    upsert(path, [Record({"id": "a", "vectors": rows}), Record({"id": "b", "vectors": rows, "unit": False})],
           reject=fail, kind="maxsim:dtype=float32")  # fmt: skip
    unit_, long = (one["vectors"] for one in stored(path))
    assert unit_ == pytest.approx(rows / 3, abs=1e-6) and np.array_equal(long, rows)
    with open_index(path) as index:
        for asked in (Record({"id": "q", "vectors": bag(6, 2)}),
                      Record({"id": "q", "vectors": 9 * bag(6, 2), "unit": False})):  # fmt: skip
            (hits,) = search(index, [asked], Wanted(2))
            close(pairs(hits), best(stored(path), asked, 2))


NOT_STORED = [
    ({"vectors": np.zeros((2, DIM))}, "vector 0, counted from 0, is all zeros.*leave padding out"),
    ({"vectors": np.concatenate([bag(1, 2), np.zeros((1, DIM))])}, "vector 2, counted from 0"),
    ({"vectors": np.full((1, DIM), np.nan)}, "infinite, not a number"),
    ({"vectors": np.full((1, DIM), 1e38), "unit": False}, "infinite, not a number or too large"),
    ({"vectors": np.ones((2, DIM + 1))}, f"{DIM + 1} numbers, and x.mmr has vectors of {DIM}"),
    ({"vectors": np.ones((0, DIM))}, "no table of numbers"),
    ({"vectors": np.ones(DIM)}, "no table of numbers"),
    ({"vector": np.ones(DIM)}, "one vector and no vectors.*mmr embed --tokens"),
    ({"text": "words"}, "no vectors.*mmr embed --tokens"),
]


@pytest.mark.parametrize(("fields", "said"), NOT_STORED)
def test_bad_vectors_are_reported_and_the_rest_comes_through(tmp_path, fields, said):
    path, bad = tmp_path / "x.mmr", []
    fields = {name: np.asarray(value, np.float32) if name.startswith("vector") else value
              for name, value in fields.items()}  # fmt: skip
    stream = [item(0), Record({"id": "bad", "model": "m#1", **fields}), item(1)]
    counts = upsert(path, stream, reject=bad.append, kind="maxsim")
    assert counts.new == 2 and [one["id"] for one in stored(path)] == ["i0", "i1"]
    (one,) = bad
    assert re.search(said, str(one)), str(one)


def test_a_bag_that_adds_up_to_nothing_has_a_direction(tmp_path):
    rows = bag(3, 1)
    upsert(tmp_path / "x.mmr", [Record({"id": "a", "vectors": np.concatenate([rows, -rows])})], reject=fail,
           kind="maxsim:dtype=float32")  # fmt: skip
    with open_index(tmp_path / "x.mmr") as index:
        assert np.asarray(index.segments()[0].vectors[0]) == pytest.approx(rows[0], abs=1e-6)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"vector": bag(1, 1)[0]}, "has one vector, and pages.mmr compares several.*mmr embed --tokens"),
        ({"vectors": np.ones((2, 5), np.float32)}, f"5 dimensions, but pages.mmr has {DIM}"),
        ({"vectors": np.zeros((1, DIM), np.float32)}, "all zeros"),
        ({"recipe": {"score": "and"}}, "has a recipe"),
    ],
)
def test_a_query_that_does_not_fit_is_refused_with_what_to_run(pages, asked, said):
    bad = []
    with open_index(pages) as index:
        stream = [query(1), Record({"id": "bad", "model": "m#1", **asked}), query(2)]
        found = list(answer(index, stream, iter, Wanted(3), reject=bad.append))
    assert [one["id"] for one in found] == ["q1", "q2"] and all(len(one["hits"]) == 3 for one in found)
    assert len(bad) == 1 and re.search(said, str(bad[0])), str(bad[0])


def test_models_never_meet(pages):
    with open_index(pages) as index, pytest.raises(BadDataError, match="other#2"):
        list(answer(index, [query(1, model="other#2")], iter, Wanted(3), reject=fail))
    with pytest.raises(BadDataError, match="other#2"):
        upsert(pages, [item(1, model="other#2")], reject=fail)


def test_one_vector_an_item_and_several_are_different_indexes(pages, tmp_path):
    flat = tmp_path / "flat.mmr"
    upsert(flat, [Record({"id": "a", "vector": bag(1, 1)[0]})], reject=fail)
    with pytest.raises(UsageError, match=r"'vectors'.*'vector'"):
        rebuild(flat, kind="maxsim")
    copy = tmp_path / "copy.mmr"
    shutil.copytree(pages, copy)
    with pytest.raises(UsageError, match=r"'vector'.*'vectors'"):
        rebuild(copy, kind="hnsw")
    with pytest.raises(UsageError, match="maxsim, whose scores"):
        correct(copy, Correction("x", "", "m#1", DIM, {}), lambda file: None, lambda file: None)
    with pytest.raises(UsageError, match="maxsim builds nothing"):
        tune(copy, 0.9)
    with pytest.raises(UsageError, match="maxsim keeps no queries"):
        rebuild(copy, queries=[query(1)])
    with pytest.raises(UsageError, match="--convert"):
        upsert(copy, [item(1)], reject=fail, kind="flat")
    assert check(copy) == []


def test_another_type_keeps_every_item(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [item(i) for i in range(30)], reject=fail, kind="maxsim:dtype=float32")
    delete(path, ["i3"])
    before = stored(path)
    for dtype in ("float16", "int8", "float32"):
        rebuild(path, kind=f"maxsim:dtype={dtype}")
        assert check(path) == []
        with open_index(path) as index:
            assert index.meta.dtype == dtype and index.segments()[0].beside.rows.itemsize == {
                "float16": 2, "int8": 1, "float32": 4}[dtype]  # fmt: skip
        for one, other in zip(before, stored(path), strict=True):
            assert one["id"] == other["id"] and other["vectors"] == pytest.approx(one["vectors"], abs=0.01)


@pytest.mark.parametrize("name", ["seg-1-rows.npy", "seg-1-offsets.npy"])
def test_damage_is_found(tmp_path, name):
    path = tmp_path / "x.mmr"
    upsert(path, [item(i) for i in range(10)], reject=fail, kind="maxsim")
    file = path / name
    whole = file.read_bytes()
    file.write_bytes(whole[:130] + bytes([whole[130] ^ 255]) + whole[131:])
    assert any("another SHA-256" in one for one in check(path))
    file.write_bytes(whole[:-8])
    assert any("bytes, and" in one for one in check(path))
    with pytest.raises(BadDataError, match="bytes, and"):
        open_index(path)
    file.unlink()
    assert any("No such file" in one for one in check(path))
    with pytest.raises(BadDataError, match="is gone"):
        open_index(path)
    file.write_bytes(whole)
    assert check(path) == []


def test_offsets_that_lead_nowhere_are_refused(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [item(i) for i in range(10)], reject=fail, kind="maxsim")
    file = path / "seg-1-offsets.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:136] + (2**40).to_bytes(8, "little") + whole[144:])
    with open_index(path) as index, pytest.raises(BadDataError, match="does not say where"):
        index.segments()


def xtr_naive(items, asked, near):
    """XTR over the vectors of all items, by loops."""
    rows = [(item["id"], row.astype(np.float64)) for item in items for row in item["vectors"]]
    total = {}
    floors = []
    for one in asked["vectors"].astype(np.float64):
        hits = sorted(((float(one @ row), name) for name, row in rows), reverse=True)[:near]
        floors.append(hits[-1][0])
        own = {}
        for score, name in hits:
            own.setdefault(name, score)
        total[len(floors)] = own
    names = {name for own in total.values() for name in own}
    scores = {
        name: np.mean([own.get(name, floor) for own, floor in zip(total.values(), floors, strict=True)])
        for name in names
    }
    return sorted(((score, name) for name, score in scores.items()), reverse=True)


@pytest.mark.parametrize("near", [1, 7, 40, 100_000])
def test_xtr_counts_the_vectors_that_are_near(tmp_path, near):
    path = tmp_path / "x.mmr"
    upsert(path, [item(i) for i in range(20)], reject=fail, kind="maxsim")
    upsert(path, [item(i, 1) for i in range(10, 30)], reject=fail)
    delete(path, ["i0", "i12"])
    wanted = Wanted(50, knobs={"score": "xtr", "near": near})
    asked = [query(1), query(2, 1), query(3, 4, exclude=["i1"], among=[f"i{i}" for i in range(15)])]
    held = stored(path)
    with open_index(path) as index:
        found = search(index, asked, wanted)
        assert [search(index, [one], wanted)[0] for one in asked] == found
        means = search(index, asked[:1], Wanted(50))[0]
    for one, hits in zip(asked, found, strict=True):
        names = set(one.get("among", [item["id"] for item in held])) - set(one.get("exclude", ()))
        expected = xtr_naive([item for item in held if item["id"] in names], one, near)
        assert [name for _, name in pairs(hits)] == [name for _, name in expected]
        assert [score for score, _ in pairs(hits)] == pytest.approx([s for s, _ in expected], abs=1e-6)
    if near == 100_000:
        assert [hit["score"] * 3 for hit in found[0]] == pytest.approx(
            [hit["score"] for hit in means], abs=1e-5
        )


def test_what_a_search_is_told(pages):
    assert told("maxsim", ["score=xtr", "near=5"]) == {"score": "xtr", "near": 5}
    for wrong, said in (("ef=3", "nothing that a search of maxsim is told"), ("near", "gives no value"),
                        ("near=0", "whole number from 1"), ("dtype=int8", "nothing that")):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            told("maxsim", [wrong])


def test_a_reader_keeps_what_a_merge_takes_away(tmp_path):
    path = tmp_path / "x.mmr"
    for start in range(0, 30, 10):
        upsert(path, [item(i) for i in range(start, start + 10)], reject=fail, kind="maxsim")
    with open_index(path) as index:
        compact(path)
        assert not (path / "seg-1-rows.npy").exists()
        found = search(index, [query(1)], Wanted(30))[0]
        assert index.refresh() and len(index.segments()) == 1
        assert search(index, [query(1)], Wanted(30))[0] == found


@pytest.mark.parametrize("name", ["-rows.npy", "-offsets.npy"])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, name):
    path = tmp_path / "x.mmr"
    upsert(path, [item(i) for i in range(10)], reject=fail, kind="maxsim")
    before = stored(path)
    real = bags.write_vectors

    def full(*args):
        if args[-1].endswith(name):
            raise OSError(28, "No space left on device")
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(bags, "write_vectors", full)
        for change in (lambda: upsert(path, [item(i, 1) for i in range(20)], reject=fail),
                       lambda: (delete(path, ["i1"]), compact(path))):  # fmt: skip
            with pytest.raises(OSError, match="No space"):
                change()
            assert check(path) == []
    left = [one for one in before if one["id"] != "i1"]
    assert [one["id"] for one in stored(path)] == [one["id"] for one in left]
    assert upsert(path, [item(i, 1) for i in range(10)], reject=fail).changed == 9
    assert check(path) == []
    numbers = {file.name.split("-")[1].split(".")[0] for file in path.glob("seg*")}
    ends = (".npy", "-rows.npy", "-offsets.npy")
    named = {f"seg-{number}{end}" for number in numbers for end in ends}
    assert {file.name for file in path.glob("seg*")} == named, "nothing of what failed is left"


def test_rows_of_an_npy_pair_are_items(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_writer("x.npy", "npy") as out:
        for i in range(12):
            out.write(item(i))
    assert upsert("x.mmr", read_records(["x.npy"], reject=fail), reject=fail, kind="maxsim").new == 12
    assert all(
        np.allclose(one["vectors"], item(i)["vectors"], atol=1e-3)
        for i, one in enumerate(stored(tmp_path / "x.mmr"))
    )
