"""Hostile ids, fields and questions: an engine has, finds and deletes what a folder does, or refuses."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.errors import MissingInputError, raise_item
from mmr.index import open_any, remote_write
from mmr.index import upsert as put_into_folder
from mmr.index.search import Wanted
from mmr.stream.records import Record

from . import engine_server, pg_server
from .made import unit

WORDS = [
    "a", 'a"b', "c'd", "e\\", 'f\\"', "g\nh", "i\r\n", "j\tk", "\u2028l", "日本", "é", "e\u0301", " ", "%",
    "_", "*", '" or id != "', "'; DROP TABLE pics; --", "$1", "%s", "{0}", "n\x7f", "\U0001f34e", "in [1]",
    "$.a", "@", "\x00", "\x01", "true", "null", "3", "3.0", "-0", "1e3", "NaN", "inf", "y" * 2_000, "\ufeff",
    "..", "a/../b", "/",
]  # fmt: skip
VALUES = [
    3, 3.5, -0.0, True, False, None, 2**63 - 1, -(2**63), 1e300, [], {}, [1, "3", [2, [True]]], ["x", None],
    {"a": "b"},
]  # fmt: skip


@pytest.fixture(scope="module", params=["postgresql", "milvus"])
def server(request, tmp_path_factory):
    with engine_server.running(request.param, tmp_path_factory.mktemp("server") / "data") as server:
        yield server


def records():
    vectors = unit(3, len(WORDS), 8)
    for n, (word, vector) in enumerate(zip(WORDS, vectors, strict=True)):
        yield Record({
            "id": word, "image": f"{n % 7}/{word}.jpg", "base": "/tmp", "text": WORDS[-n],
            "digest": f"d{n % 9}", word: VALUES[n % len(VALUES)], "tag": [word, VALUES[n % 11]], "n": n % 5,
            "size": n, "mtime": n + 0.5, **({"parent": WORDS[n % 3]} if n % 2 else {}), "model": "m#1",
            "vector": vector,
        })  # fmt: skip


def has_nul(record):
    return any("\0" in word for word in (record["id"], record["text"]))


def plain(record):
    return {**record, "vector": np.asarray(record["vector"]).tolist()}


@pytest.fixture(scope="module")
def both(server, tmp_path_factory):
    """A folder and a collection with the same items, and those that the engine refused."""
    folder, address, refused = tmp_path_factory.mktemp("folder") / "pics.mmr", server.address("hostile"), []
    remote_write.upsert(address, records(), reject=refused.append)
    bad = {item.record["id"] for item in refused}
    put_into_folder(folder, (one for one in records() if one["id"] not in bad), reject=raise_item)
    with open_any(folder) as one, open_any(address) as other:
        yield one, other, bad


def test_only_what_the_engine_cannot_hold_is_refused(both, server):
    nul = {one["id"] for one in records() if has_nul(one)}
    assert len(nul) == 2
    assert both[2] == (nul if isinstance(server, pg_server.Server) else set())


def test_every_item_comes_back_as_it_went(both):
    folder, engine, _ = both
    assert engine.count() == folder.count()
    assert {one["id"]: plain(one) for one in engine.items()} == {
        one["id"]: plain(one) for one in folder.items()
    }
    assert list(engine.all_ids()) == sorted(folder.all_ids(), key=str.encode)
    assert engine.known_files() == folder.known_files()
    assert engine.children() == folder.children()
    for name in folder.all_ids():
        assert plain(engine.get(name)) == plain(folder.get(name))
    with pytest.raises(MissingInputError):
        engine.get("no such")


def test_every_question_finds_the_same(both, monkeypatch):
    folder, engine, _ = both
    monkeypatch.chdir("/")
    fields = ["id", "image", "digest", "parent", "text", "tag", "n", "size", *WORDS]
    asked = [Record({"id": "q", "vector": unit(4, 8), "model": "m#1"})]
    values = [*WORDS, "0/a.jpg", "/tmp/0/a.jpg", "9223372036854775807", "1e300", "d3", "2", "\udcff"]
    found = 0
    for n, value in enumerate(values):
        for field in {"id", "tag", fields[n % len(fields)], fields[3 * n % 8], value.replace("\udcff", "u")}:
            wanted = Wanted(50, where=((field, value),))
            hits = engine.search(asked, wanted)
            assert hits == folder.search(asked, wanted), (field, value)
            found += len(hits[0])
    assert found > 100
    seen = Wanted(50, where=(("image", "tmp/0/a.jpg"),))
    assert len(engine.search(asked, seen)[0]) == len(folder.search(asked, seen)[0]) == 1


def test_names_are_left_out_and_searched_alone(both):
    folder, engine, bad = both
    vector = unit(4, 8)
    for names in ([one] for one in WORDS if one not in bad):
        some = [*names, f"0/{names[0]}.jpg", f"/tmp/1/{names[0]}.jpg", "d4", "no such"]
        for kind in ("exclude", "among"):
            asked = [Record({"id": "q", "vector": vector, "model": "m#1", kind: some})]
            wanted = Wanted(60, fields=())
            assert engine.search(asked, wanted) == folder.search(asked, wanted), names


def test_hostile_ids_are_deleted_alone(server):
    address = server.address("deleted")
    held = [one for one in records() if not has_nul(one)]
    remote_write.upsert(address, held, reject=raise_item)
    gone = [one["id"] for one in held[::2]]
    counts = remote_write.delete(address, [*gone, "no such", "\0"])
    assert (counts.gone, counts.unknown) == (len(gone), 2)
    with open_any(address) as left:
        assert set(left.all_ids()) == {one["id"] for one in held[1::2]}
