"""What a reader finds: fields, paths, names, files; and what it costs."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from mmr.errors import MissingInputError
from mmr.index import Known, delete, open_index, upsert
from mmr.index.reader import FEW_ROWS
from tests.conftest import program_environment
from tests.index.made import DIM, fail, item, unit

LIGHT = """
import json, sys
from mmr.index import open_index
with open_index("x.mmr") as index:
    index.known_files()
print(json.dumps([name for name in ("numpy", "faiss", "PIL", "torch", "click") if name in sys.modules]))
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    """An index beside a folder of pictures, and the current directory there."""
    monkeypatch.chdir(tmp_path)
    base = str(tmp_path)
    items = [
        item("p/a.jpg", base=base, digest="d1", year=1999, tags=["cat", "dog"], good=True, parent="doc"),
        item("p/b.jpg", base=base, digest="d2", year=2000.5, tags=["cat"], good=False),
        item("named", base=str(tmp_path / "p"), image="c.jpg", digest="d1", note="year: 1999"),
        item("/far/d.jpg", base=None, digest="d4"),
        item("loose.jpg", base=None),
    ]
    upsert("x.mmr", items, reject=fail)
    return tmp_path / "x.mmr"


def found(index, rows):
    return sorted(name for number, chosen in rows.items() for name in index.ids(number, chosen))


def test_records_show_paths_from_here(path, tmp_path, monkeypatch):
    places = [(1, row) for row in range(5)]
    with open_index("x.mmr") as index:
        assert [r["image"] for r in index.records(places)] == [
            "p/a.jpg", "p/b.jpg", "p/c.jpg", "/far/d.jpg", "loose.jpg",
        ]  # fmt: skip
        monkeypatch.chdir(tmp_path / "x.mmr")
        assert index.records(places[:1])[0]["image"] == str(tmp_path / "p" / "a.jpg")
    with open_index(path) as index:
        assert index.records([(1, 2), (1, 0), (1, 2)], ("text", "year")) == [
            {"id": "named", "text": "version 0"}, {"id": "p/a.jpg", "text": "version 0", "year": 1999},
            {"id": "named", "text": "version 0"},
        ]  # fmt: skip
        whole = index.records([(1, 0)], ("base", "model", "digest", "parent", "size", "nothing"))[0]
        stored = {"id": "p/a.jpg", "digest": "d1", "size": 100, "parent": "doc", "model": "m#1"}
        assert whole == {**stored, "base": str(tmp_path)}


def test_rows_by_name(path, tmp_path):
    with open_index(path) as index:
        for name, expected in (
            ("named", ["named"]), ("p/a.jpg", ["p/a.jpg"]), (str(tmp_path / "p/a.jpg"), ["p/a.jpg"]),
            ("p/c.jpg", ["named"]), ("c.jpg", ["named"]), ("./p/../p/b.jpg", ["p/b.jpg"]),
            ("d1", ["named", "p/a.jpg"]), ("/far/d.jpg", ["/far/d.jpg"]), ("loose.jpg", ["loose.jpg"]),
            ("nobody", []), ("", []),
        ):  # fmt: skip
            assert found(index, index.rows_named([name])) == expected, name
        assert found(index, index.rows_named(["named", "d1", "x"] * 700)) == ["named", "p/a.jpg"]
    delete(path, ["named"])
    with open_index(path) as index:
        assert found(index, index.rows_named(["d1"])) == ["p/a.jpg"]


def test_rows_by_value(path):
    with open_index(path) as index:
        for field, value, expected in (
            ("year", "1999", ["p/a.jpg"]), ("year", "1999.0", ["p/a.jpg"]), ("year", "2000.5", ["p/b.jpg"]),
            ("tags", "cat", ["p/a.jpg", "p/b.jpg"]), ("tags", "dog", ["p/a.jpg"]), ("good", "1", []),
            ("good", "true", ["p/a.jpg"]), ("good", "false", ["p/b.jpg"]), ("parent", "doc", ["p/a.jpg"]),
            ("id", "named", ["named"]), ("digest", "d1", ["named", "p/a.jpg"]), ("nothing", "x", []),
            ("image", "p/c.jpg", ["named"]), ("year", "word", []), ("note", "year: 1999", ["named"]),
            ("mtime", "0.5", sorted(index.all_ids())),
        ):  # fmt: skip
            assert found(index, index.rows_where(field, value)) == expected, (field, value)


def test_known_files(path, tmp_path):
    with open_index(path) as index:
        assert index.known_files() == {
            str(tmp_path / "p/a.jpg"): Known("p/a.jpg", 100, 0.5, "d1"),
            str(tmp_path / "p/b.jpg"): Known("p/b.jpg", 100, 0.5, "d2"),
            str(tmp_path / "p/c.jpg"): Known("named", 100, 0.5, "d1"),
            "/far/d.jpg": Known("/far/d.jpg", 100, 0.5, "d4"),
        }


def test_ids_of_many_rows_and_of_dead_ones(tmp_path):
    path = tmp_path / "x.mmr"
    count = FEW_ROWS + 50
    vectors = unit(0, count, DIM)
    upsert(path, [item(f"é{i}", vector=vectors[i]) for i in range(count)], reject=fail)
    delete(path, ["é3"])
    with open_index(path) as index:
        assert index.ids(1, np.array([5, 1, 5])) == ["é5", "é1", "é5"]
        assert index.ids(1, [3]) == ["é3"]
        assert index.ids(1, np.arange(count)) == [f"é{i}" for i in range(count)]
        assert index.meta.count == count - 1
        segment = index.segments()[0]
        assert (segment.name, segment.rows, segment.live.sum()) == ("seg-1.npy", count, count - 1)
        assert not segment.vectors.flags.writeable
        assert np.array_equal(segment.vectors, vectors)
    assert np.array_equal(np.load(path / "seg-1.npy", allow_pickle=False), vectors)


def test_get(path):
    with open_index(path) as index:
        assert index.get("named")["image"] == "c.jpg"
        with pytest.raises(MissingInputError):
            index.get("c.jpg")


def test_known_files_need_no_numpy(path):
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, env=program_environment(), check=True
    )
    assert json.loads(done.stdout) == []


def test_hits_are_read_without_a_scan(path):
    """No statement that a query runs may read the whole table."""
    with open_index(path) as index:
        plans = []
        index._connection.set_trace_callback(plans.append)
        index.records([(1, 0), (1, 1)], ("image", "text"))
        index.ids(1, [0, 1])
        index.rows_named(["d1", "p/a.jpg"])
        index.get("named")
        index._connection.set_trace_callback(None)
        statements = [statement for statement in plans if " items " in statement]
        assert len(statements) > 5
        for statement in statements:
            for row in index._connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
                assert row[3].startswith("SEARCH items"), (statement, row[3])
