"""What an upsert takes, refuses, counts and stores."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.errors import BadDataError, BadItem, UsageError
from mmr.index import catalogue, create_index, delete, open_index, upsert
from mmr.index import intake as writing
from mmr.index import merge as merging
from mmr.index.check import check
from mmr.index.merge import Part, costly
from mmr.stream.records import Place, Record
from tests.index.made import DIM, fail, item, keep, unit, vector_of, version_of


class Bad(list):
    """A `Reject` that keeps what it is told."""

    def __call__(self, bad: BadItem) -> None:
        self.append(bad)


def stored(path):
    with open_index(path) as index:
        return {record["id"]: record for record in index.items()}


def test_new_changed_kept(tmp_path):
    path = tmp_path / "x.mmr"
    counts = upsert(path, [item("a"), item("b"), item("c"), item("x")], reject=fail)
    assert (counts.new, counts.changed, counts.kept) == (4, 0, 0)
    counts = upsert(path, [item("a"), item("b", 1), keep("c"), item("d")], reject=fail)
    assert (counts.new, counts.changed, counts.kept) == (1, 1, 2)
    same_vector = item("c", text="other words")
    assert upsert(path, [same_vector], reject=fail).changed == 1
    assert stored(path)["c"]["text"] == "other words"
    with open_index(path) as index:
        assert [segment.rows for segment in index.segments()] == [4, 2]
        assert [segment.live.tolist() for segment in index.segments()] == [[1, 0, 1, 1], [1, 1]]


def test_fields_come_back_as_they_were(tmp_path):
    record = Record({
        "id": "a#b", "image": "shard.tar#a.jpg", "base": "/p", "text": "日本", "year": 1999, "ratio": 0.1,
        "tags": ["x"], "size": 12, "mtime": 1700000000.123456, "digest": "00ff", "parent": "doc",
        "via": ["embed"], "deep": {"a": [1]}, "unit": True, "vector": unit(0, DIM), "model": "m#1",
        "none": None, "vectors": unit(1, 3, 4),
    })  # fmt: skip
    odd = Record({"id": "odd", "size": "large", "mtime": 2**63, "digest": 5, "base": "/nowhere",
                  "vector": unit(2, DIM), "model": "m#1"})  # fmt: skip
    upsert(tmp_path / "x.mmr", [record, odd], reject=fail)
    found = stored(tmp_path / "x.mmr")
    for original in (record, odd):
        back = found[original["id"]]
        assert set(back) == set(original)
        for name, value in original.items():
            if name == "vectors":
                assert len(back[name]) == 3
            elif isinstance(value, np.ndarray):
                assert np.array_equal(back[name], value)
            else:
                assert back[name] == value
    assert upsert(tmp_path / "y.mmr", list(found.values()), reject=fail).new == 2
    assert upsert(tmp_path / "x.mmr", [record, odd], reject=fail).kept == 2


@pytest.mark.parametrize("names", ["aab", "abab", "aaaa"])
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_the_later_of_two_with_one_id_is_taken(tmp_path, monkeypatch, names, batch):
    monkeypatch.setattr(writing, "BATCH_ITEMS", batch)
    stream = [item(name, version) for version, name in enumerate(names)]
    counts = upsert(tmp_path / "x.mmr", stream, reject=fail)
    assert counts.new == len(set(names))
    assert counts.again == len(names) - len(set(names))
    assert {n: version_of(r) for n, r in stored(tmp_path / "x.mmr").items()} == {
        name: names.rindex(name) for name in names
    }
    assert check(tmp_path / "x.mmr") == []


def test_keep_updates_size_and_time_and_never_makes_items(tmp_path):
    path = tmp_path / "x.mmr"
    assert upsert(path, [keep("a", size=5)], reject=fail).kept == 0
    assert not path.exists()
    upsert(path, [item("a"), item("b")], reject=fail)
    upsert(path, [keep("a", size=5, mtime=7.5), keep("b"), keep("zz", size=1)], reject=fail)
    found = stored(path)
    assert (found["a"]["size"], found["a"]["mtime"]) == (5, 7.5)
    assert (found["b"]["size"], found["b"]["mtime"]) == (100, 0.5)
    assert set(found) == {"a", "b"}
    upsert(path, [item("c"), keep("c", size=9)], reject=fail)
    assert stored(path)["c"]["size"] == 9
    upsert(path, [keep("c", size=1), item("c", 1)], reject=fail)
    assert stored(path)["c"]["size"] == 101


def test_vectors_become_unit_length_unless_they_say_otherwise(tmp_path):
    path = tmp_path / "x.mmr"
    v = vector_of("a", 0)
    nearly = (v * np.float32(1.0005)).astype(np.float32)
    upsert(
        path,
        [item("a", vector=v * 3), item("b", vector=v * 3, unit=False), item("c", vector=nearly)],
        reject=fail,
    )
    found = stored(path)
    assert np.allclose(found["a"]["vector"], v, atol=1e-7)
    assert np.array_equal(found["b"]["vector"], v * 3)
    assert np.array_equal(found["c"]["vector"], nearly)


def test_bad_vectors_are_reported_and_the_rest_comes_through(tmp_path):
    path = tmp_path / "x.mmr"
    nan, zero = vector_of("n", 0), np.zeros(DIM, np.float32)
    nan[2] = np.nan
    huge = np.full(DIM, 3e38, np.float32)
    stream = [
        item("wrong", dim=5), item("good"), item("nan", vector=nan), item("zero", vector=zero),
        Record({"id": "none"}), Record({"id": "", "vector": zero}), item("huge", vector=huge), item("fine"),
    ]  # fmt: skip
    for number, record in enumerate(stream, 1):
        record.place = Place("stdin", number)
    bad = Bad()
    counts = upsert(path, stream, reject=bad)
    assert counts.new == 3
    assert set(stored(path)) == {"good", "fine", "huge"}
    assert sorted(one.where for one in bad) == [f"stdin line {n}" for n in (1, 3, 4, 5, 6)]
    assert all(one.stage == "index" and one.record is not None for one in bad)
    half = tmp_path / "half.mmr"
    bad.clear()
    upsert(half, [item("loud", vector=huge, unit=False), item("good")], reject=bad, kind="flat:dtype=float16")
    assert set(stored(half)) == {"good"}
    assert len(bad) == 1
    bad.clear()
    upsert(tmp_path / "nothing.mmr", [item("zero", vector=zero)], reject=bad)
    assert len(bad) == 1
    assert not (tmp_path / "nothing.mmr").exists()


def test_strict_keeps_what_came_before(tmp_path):
    path = tmp_path / "x.mmr"
    with pytest.raises(BadItem):
        upsert(path, [item("a"), Record({"id": "none"}), item("b")], reject=fail)
    assert set(stored(path)) == {"a"}
    with pytest.raises(BadItem):
        upsert(path, [item("c"), item("d", vector=np.zeros(DIM, np.float32)), item("e")], reject=fail)
    assert set(stored(path)) == {"a", "c"}


def test_models_never_meet(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [item("a")], reject=fail)
    assert upsert(path, [item("b", model="other name#1")], reject=fail).new == 1
    with pytest.raises(BadDataError, match=r"m#1(.|\n)*m#2"):
        upsert(path, [item("c"), item("d", model="m#2")], reject=fail)
    assert set(stored(path)) == {"a", "b", "c"}
    bare = item("e")
    del bare["model"]
    with pytest.raises(BadDataError, match="names no model"):
        upsert(path, [bare], reject=fail)
    with pytest.raises(BadDataError, match=r"--model carries m#9"):
        upsert(path, [bare], reject=fail, model="m#9")
    assert upsert(path, [bare], reject=fail, model="m#1").new == 1
    with pytest.raises(BadDataError):
        upsert(tmp_path / "new.mmr", [item("a"), item("b", model="m#2")], reject=fail)
    with pytest.raises(BadDataError):
        upsert(tmp_path / "new2.mmr", [item("a"), bare], reject=fail)


def test_an_index_without_a_model(tmp_path):
    path = tmp_path / "x.mmr"

    def bare(name, dim=DIM):
        record = item(name, dim=dim)
        del record["model"]
        return record

    upsert(path, [bare("a")], reject=fail)
    with open_index(path) as index:
        assert index.meta.model is None
    with pytest.raises(BadDataError, match="name no model"):
        upsert(path, [item("b")], reject=fail)
    with pytest.raises(BadDataError, match="5 numbers"):
        upsert(path, [bare("b", 5)], reject=fail)
    bad = Bad()
    assert upsert(path, [bare("c"), bare("b", 5)], reject=bad).new == 1
    assert len(bad) == 1
    assert upsert(path, [item("d")], reject=fail, model="m#1").new == 1
    with open_index(path) as index:
        assert index.meta.model == "m#1"


def test_another_writer_that_made_the_index_meanwhile(tmp_path):
    path = tmp_path / "x.mmr"

    def stream():
        yield item("mine")
        upsert(path, [item("theirs", model="m#2")], reject=fail)

    with pytest.raises(BadDataError, match="m#2"):
        upsert(path, stream(), reject=fail)
    assert set(stored(path)) == {"theirs"}


def test_kinds(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [item(f"{i}") for i in range(20)], reject=fail, kind="hnsw:least=10,m=8")
    with open_index(path) as index:
        assert (index.meta.kind, index.meta.params["m"]) == ("hnsw", 8)
        assert [segment.structure for segment in index.segments()] == [path / "seg-1.hnsw"]
    upsert(path, [item("x"), item("y")], reject=fail, kind="hnsw:least=10,m=8")
    with open_index(path) as index:
        assert [segment.structure for segment in index.segments()] == [path / "seg-1.hnsw", None]
    with pytest.raises(UsageError, match="--convert"):
        upsert(path, [item("z")], reject=fail, kind="flat")
    with pytest.raises(UsageError, match="no kind"):
        upsert(tmp_path / "y.mmr", [item("z")], reject=fail, kind="round")
    assert not (tmp_path / "y.mmr").exists()
    half = tmp_path / "half.mmr"
    upsert(half, [item("a")], reject=fail, kind="flat:dtype=float16")
    with open_index(half) as index:
        assert index.segments()[0].vectors.dtype == np.float16
    assert upsert(half, [item("a")], reject=fail).kept == 1
    assert check(half) == check(path) == []


def test_dry_runs_write_nothing(tmp_path):
    path = tmp_path / "x.mmr"
    assert upsert(path, [item("a")], reject=fail, dry_run=True).new == 1
    assert not path.exists()
    upsert(path, [item("a"), item("b")], reject=fail)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    counts = upsert(path, [item("a"), item("b", 1), item("c"), keep("a")], reject=fail, dry_run=True)
    assert (counts.new, counts.changed, counts.kept) == (1, 1, 1)
    assert delete(path, ["a", "zz"], dry_run=True).gone == 1
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_create(tmp_path):
    create_index(tmp_path / "x.mmr", dim=4, model="m#1", kind="flat:dtype=float16")
    with open_index(tmp_path / "x.mmr") as index:
        assert (index.meta.dim, index.meta.dtype, index.meta.count) == (4, "float16", 0)
        assert index.segments() == []
        assert list(index.items()) == []
    with pytest.raises(UsageError):
        create_index(tmp_path / "x.mmr", dim=4)


def test_commits_come_while_the_stream_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "x.mmr"
    monkeypatch.setattr(writing, "BATCH_ITEMS", 3)

    def stream():
        for number in range(7):
            yield item(f"{number}")
            assert (len(stored(path)) if catalogue.exists(path) else 0) == (number + 1) // 3 * 3
        monkeypatch.setattr(writing, "BATCH_SECONDS", 0)
        yield item("late")
        assert len(stored(path)) == 8

    upsert(path, stream(), reject=fail)


def test_merging_is_rare_and_keeps_everything(tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "MANY", 4)
    monkeypatch.setattr(writing, "BATCH_ITEMS", 7)
    path = tmp_path / "x.mmr"
    for start in range(0, 200, 40):
        upsert(path, [item(f"{i}") for i in range(start, start + 40)], reject=fail)
        with open_index(path) as index:
            assert len(index.segments()) <= 12
    assert len(stored(path)) == 200
    assert delete(path, [f"{i}" for i in range(0, 200, 2)]).gone == 100
    with open_index(path) as index:
        rows = sum(segment.rows for segment in index.segments())
        assert rows - index.meta.count <= 0.3 * rows
    assert delete(path, [f"{i}" for i in range(200)]).gone == 100
    assert [file.name for file in path.glob("seg-*")] == []
    assert check(path) == []


def test_a_row_is_copied_a_few_times_in_its_life():
    """Runs of 10 items each: copies per item stay logarithmic, and segments few."""
    segments, copied, number = [], 0, 0
    for run in range(2000):
        number += 1
        segments.append(Part(number, 10, 10))
        chosen = costly(segments, merging.SEGMENTS)
        if chosen:
            moved = sum(part.live for part in segments if part.number in chosen)
            copied += moved
            number += 1
            segments = [part for part in segments if part.number not in chosen] + [Part(number, moved, moved)]
        assert len(segments) <= merging.SEGMENTS + 12, run
    assert copied / 20_000 < 8


def test_a_stream_of_one_id_is_committed_in_batches_too(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "BATCH_ITEMS", 4)
    path = tmp_path / "x.mmr"

    def stream():
        for version in range(9):
            yield item("same", version)
            if version >= 3:
                assert version_of(stored(path)["same"]) == version - (version + 1) % 4

    counts = upsert(path, stream(), reject=fail)
    assert (counts.new, counts.again) == (1, 8)
    assert version_of(stored(path)["same"]) == 8


def test_a_bad_record_does_not_take_a_good_one_of_its_id_with_it(tmp_path):
    bad = Bad()
    stream = [item("a", 1), item("a", vector=np.zeros(DIM, np.float32))]
    assert upsert(tmp_path / "x.mmr", stream, reject=bad).new == 1
    assert (version_of(stored(tmp_path / "x.mmr")["a"]), len(bad)) == (1, 1)
