"""Milvus as an engine: what is put in comes back, whatever the ids are made of; errors say what to do."""

from __future__ import annotations

import json
from zlib import crc32

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, UnavailableError, UsageError
from mmr.index.address import read
from mmr.index.engine import About, Stored
from mmr.index.lookup import fits
from mmr.index.milvus_filter import ANY, TERMS, expression, pieces, quoted, terms

from .made import unit
from .milvus_server import Server, free_port, needed

FLAT = About("m#1", 8, "flat", {})
HNSW = About("m#1", 8, "hnsw", {"m": 8, "efc": 32, "ef": 64})
HOSTILE = [
    'a"b', "c'd", "e\\", 'f\\"', "g\nh", "i\r", "j\tk", "\u2028l", "\x00m", "日本", "é", "e\u0301", " ", "%",
    "_", '" or id != "', "n\x7f", "\U0001f34e", "${id}", "in [1]", "x" * 65_535,
]  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    texts | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.none()
    | st.floats(allow_nan=False, allow_infinity=False), lambda one: st.lists(one, max_size=4), max_leaves=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = Server(tmp_path_factory.mktemp("milvus") / "data")
    yield found
    found.kill()


@pytest.fixture
def engine(server, request):
    from mmr.index.milvus import Milvus

    made = Milvus(read(f"{server.url}#c_{crc32(request.node.name.encode())}"))
    yield made
    made.close()


def stored(name: str, **fields) -> Stored:
    path = fields.pop("path", None)
    image, digest, parent = (fields.get(one) for one in ("image", "digest", "parent"))
    return Stored(
        name, image, path, digest, parent, json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    )


def filled(engine, about=FLAT, names=HOSTILE):
    engine.create(about)
    items = [stored(name, n=n, tags=[name[:30], n % 3]) for n, name in enumerate(names)]
    vectors = unit(5, len(names), about.dim)
    engine.put(items, vectors, new=True)
    return items, vectors


# --- strings and filters, without a server ---


@settings(deadline=None)
@given(texts)
@example("\\")
@example('"\n\r\\n')
def test_a_quoted_string_is_read_as_what_it_was(text):
    needed()
    from milvus_lite.search.filter.tokens import tokenize

    first, end = tokenize(quoted(text))
    assert (first.value, end.kind.value) == (text, "EOF")


@given(st.dictionaries(texts, values, max_size=4), texts, texts)
@example({"n": 3}, "n", "3.0")
@example({"n": [[1, [2**63 - 1]]]}, "n", "9223372036854775807")
@example({"n": True}, "n", "true")
@example({"n": "true"}, "n", "true")
@example({"n": -0.0}, "n", "0")
def test_what_fits_has_a_term_that_the_filter_asks_for(fields, field, value):
    held = set(terms(stored("a", **fields)))
    for name, stored_value in [*fields.items(), (field, None)]:
        for wanted in {value, str(stored_value), json.dumps(stored_value)}:
            if fits(stored_value, wanted):
                asked = expression([(name, wanted)]).partition("[")[2].partition("]")[0]
                assert name == "id" or held & {int(one) for one in asked.split(",")}


def test_a_record_with_too_many_values_is_looked_at_in_every_search():
    assert terms(stored("a", a=list(range(TERMS + 1)))) == [ANY]
    assert f"[{ANY}," in expression([("b", "c")])
    assert len(terms(stored("a", a=list(range(TERMS))))) == TERMS


@given(st.lists(texts, max_size=40), st.integers(1, 9))
def test_pieces_hold_every_string_once(names, most):
    cut = list(pieces(names, most))
    assert [name for piece in cut for name in piece] == names
    assert all(1 <= len(piece) <= most for piece in cut)


# --- what a server keeps ---


def test_hostile_ids_are_found_paged_changed_and_deleted(engine):
    items, vectors = filled(engine)
    found = {one.item.id: one for one in engine.fetch(HOSTILE, vectors=True)}
    assert [found[name].item for name in HOSTILE] == items
    assert all(
        np.array_equal(found[name].vector, vector) for name, vector in zip(HOSTILE, vectors, strict=True)
    )
    order = sorted(HOSTILE, key=str.encode)
    paged, after = [], None
    while some := engine.page(after, 4, vectors=False):
        paged += [one.item.id for one in some]
        after = paged[-1]
    assert paged == order
    assert [one.item.id for one in engine.page(None, 100, vectors=True)] == order
    for name, vector in zip(HOSTILE, vectors, strict=True):
        [[hit]] = engine.search(vector[None], 1, [("id", name)], exact=False)
        assert hit.item.id == name
    engine.revise([items[3]._replace(fields='{"new":1}')])
    [again] = engine.fetch([HOSTILE[3]], vectors=True)
    assert (again.item.fields, again.vector.tolist()) == ('{"new":1}', vectors[3].tolist())
    assert engine.delete([*HOSTILE[:7], "not there"]) == 7
    assert engine.count() == len(HOSTILE) - 7
    assert {one.item.id for one in engine.fetch(HOSTILE, vectors=False)} == set(HOSTILE[7:])


def test_hostile_values_are_asked_for_as_they_are(engine):
    _, vectors = filled(engine)
    for name in HOSTILE:
        [hits] = engine.search(vectors[:1], len(HOSTILE), [("tags", name[:30])], exact=False)
        assert [hit.item.id for hit in hits] == [name]
    for field in ("id", "image", "digest", "n"):
        assert engine.search(vectors[:1], 5, [(field, "\udcff")], exact=False) == [[]]
    assert engine.fetch(["\udcff"], vectors=False) == engine.named(["\udcff"]) == []
    assert engine.delete(["\udcff"]) == 0
    [hits] = engine.search(vectors[:1], 50, [("tags", "2"), ("n", "5.0")], exact=False)
    assert [hit.item.id for hit in hits] == [HOSTILE[5]]


def test_pictures_digests_and_parents(engine):
    engine.create(FLAT)
    items = [
        stored(
            f"i{i}", image=f"p {i % 3}.jpg", base="/a", digest=f"d{i}", path=f"/a/p {i % 3}.jpg",
            **({"parent": "doc"} if i else {}),
        )
        for i in range(6)
    ]  # fmt: skip
    engine.put(items, unit(1, 6, 8), new=True)
    assert {one.item.id for one in engine.named(["p 1.jpg", "d2", "", "no"])} == {"i1", "i4", "i2"}
    assert {one.item.id for one in engine.named(["/a/p 0.jpg"])} == {"i0", "i3"}
    assert engine.children() == {"doc": 5}
    [hits] = engine.search(unit(1, 1, 8), 6, [("image", "/a/p 0.jpg")], exact=False)
    assert {hit.item.id for hit in hits} == {"i0", "i3"}
    assert engine.fetch(["i0"], vectors=False)[0].item == items[0]


@pytest.mark.parametrize("about", [FLAT, HNSW], ids=["flat", "hnsw"])
def test_the_nearest_by_naive_float64(engine, about):
    names = [f"i{i:03d}" for i in range(300)]
    _, vectors = filled(engine, about, names)
    engine.finish(300)
    queries = unit(9, 3, 8)
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    for exact in (False, True):
        for row, hits in zip(scores, engine.search(queries, 7, [], exact=exact), strict=True):
            assert [hit.item.id for hit in hits] == [names[i] for i in np.argsort(-row)[:7]]
            assert all(np.array_equal(hit.vector, vectors[int(hit.item.id[1:])]) for hit in hits)
    assert [len(hits) for hits in engine.search(queries, 400, [], exact=False)] == [300] * 3


def test_what_was_written_is_seen_at_once_also_by_another_process(server, engine):
    from mmr.index.milvus import Milvus

    other = Milvus(engine.address)
    assert other.about() is None
    items, vectors = filled(engine, names=["a", "b"])
    assert other.about() == FLAT
    assert other.count() == 2
    engine.put([items[0]], -vectors[:1], new=False)
    assert np.array_equal(other.fetch(["a"], vectors=True)[0].vector, -vectors[0])
    engine.delete(["b"])
    assert [hit.item.id for hit in other.search(vectors[1:], 5, [], exact=False)[0]] == ["a"]
    other.create(FLAT)
    assert other.count() == 1
    other.close()


def test_another_kind_is_built_and_noted(engine):
    _, vectors = filled(engine)
    engine.build(HNSW)
    assert engine.about() == HNSW
    assert engine.search(vectors[:1], 1, [], exact=False)[0][0].item.id == HOSTILE[0]
    assert engine.facts()["engine"].startswith("Milvus ")


def test_a_collection_of_another_program_is_left_alone(server, engine):
    from pymilvus import MilvusClient

    other = MilvusClient(server.url.removeprefix("milvus+"))
    other.create_collection(engine.address.collection, dimension=4)
    assert engine.about() is None
    with pytest.raises(BadDataError, match="did not make"):
        engine.create(FLAT)
    other.close()


def test_a_batch_that_is_too_large_for_a_message_is_cut(engine, monkeypatch):
    monkeypatch.setattr("mmr.index.milvus.BYTES", 400)
    filled(engine, names=[f"i{i}" for i in range(50)])
    assert engine.count() == 50
    assert len(engine.page(None, 50, vectors=True)) == 50


def test_what_does_not_fit_is_refused():
    needed()
    from mmr.index.milvus import Milvus

    engine = Milvus(read("milvus+http://h#pics"))
    assert engine.refuses(stored("é" * 32_767)) is None
    assert "id is longer than the 65,535 bytes" in engine.refuses(stored("é" * 32_768))
    assert "record is longer" in engine.refuses(stored("a", text="b" * 65_536))


# --- files, and servers that are away ---


def test_a_file_serves_one_process_at_a_time(tmp_path, sh):
    needed()
    from mmr.index.milvus import Milvus

    engine = Milvus(read(f"milvus+file://{tmp_path}/p.db#pics"))
    filled(engine)
    held = sh(f"mmr index milvus+file://{tmp_path}/p.db#pics --list")
    assert held.status == 75
    assert held.stderr.startswith(f"mmr index: another process has milvus+file://{tmp_path}/p.db#pics open")
    engine.close()
    assert engine.count() == len(HOSTILE)
    engine.close()


@pytest.mark.parametrize(
    "address",
    [
        "milvus+file:///no/such/folder/p.db#pics",
        "milvus+file:///dev/null/p.db#pics",
        "milvus+file:///etc.db/x.db#pics",
    ],
)
def test_a_file_that_cannot_be(address, capfd):
    needed()
    from mmr.index.milvus import Milvus

    with pytest.raises(UnavailableError, match="was not opened"):
        Milvus(read(address)).about()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "address",
    ["milvus+file:///a/b#pics", "milvus+http://#pics", "milvus+http://h:port#pics", "milvus+http://h?a=b#pics",
     "milvus+http://h:99999999#pics"],
)  # fmt: skip
def test_addresses_that_are_none(address):
    needed()
    from mmr.index.milvus import Milvus

    with pytest.raises(UsageError):
        Milvus(read(address))


def test_a_server_that_is_away(capfd):
    needed()
    from mmr.index.engine import Unsettled
    from mmr.index.milvus import Milvus

    engine = Milvus(read(f"milvus+http://me:sEcret@127.0.0.1:{free_port()}#pics"))
    for _ in range(2):
        with pytest.raises(Unsettled) as caught:
            engine.about()
        assert "sEcret" not in str(caught.value)
    assert capfd.readouterr().err == ""
