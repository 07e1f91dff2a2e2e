"""An index in PostgreSQL: it does what a folder does, and says what it cannot."""

from __future__ import annotations

from urllib.parse import unquote

import numpy as np
import pytest

from mmr.errors import BadDataError, BadItem, MissingInputError, StreamError, UnavailableError, UsageError
from mmr.index import delete as delete_folder
from mmr.index import intake as writing
from mmr.index import open_index, upsert
from mmr.index.address import read
from mmr.index.remote import open_remote
from mmr.index.remote_write import build, delete, sync
from mmr.index.remote_write import upsert as put
from mmr.index.search import Wanted
from mmr.stream.records import Record
from tests.index.made import fail, item, keep, unit, whole
from tests.index.pg_server import server

WHERE = ("group", "odd")


@pytest.fixture(scope="module")
def postgres():
    with server() as running:
        yield running


@pytest.fixture
def address(postgres, request):
    return postgres.address(f"t_{abs(hash_of(request.node.name)):x}")


def hash_of(text):
    from zlib import crc32

    return crc32(text.encode())


def many(count=300, dim=16, **more):
    vectors = unit(5, count, dim)
    return [
        Record({
            "id": f"i{n:03}", "image": f"a/{n}.jpg", "base": "/pics", "text": f"t {n}", "size": n,
            "mtime": n + 0.5, "group": ["odd", "x"] if n % 2 else "even", "n": n, "flag": n % 3 == 0,
            "digest": f"d{n}",
            "parent": f"p{n % 4}", "vector": vectors[n], "model": "m#1", **more,
        }) for n in range(count)
    ]  # fmt: skip


def plain(record):
    return {k: v.tolist() if k == "vector" else v for k, v in sorted(record.items())}


def hits(index, queries, wanted):
    return [[(hit["id"], float(hit["score"])) for hit in answer] for answer in index.search(queries, wanted)]


@pytest.fixture(scope="module")
def both(postgres, tmp_path_factory):
    """The same items in a folder and in PostgreSQL."""
    path, address = tmp_path_factory.mktemp("both") / "x.mmr", postgres.address("both")
    records = many()
    same = [Record({**records[0], "id": f"same{n}", "image": f"s{n}.jpg"}) for n in range(40)]
    upsert(path, [*records, *same], reject=fail)
    put(address, [*records, *same], reject=fail)
    return path, address


QUESTIONS = [
    {}, {"k": 1}, {"k": 400}, {"where": (WHERE,)}, {"where": (("n", "7.0"),)},
    {"where": (("flag", "true"), WHERE)},
    {"where": (("parent", "p1"),)}, {"where": (("image", "/pics/a/9.jpg"),)}, {"where": (("size", "12"),)},
    {"where": (("id", "i010"),)}, {"where": (("nothing", "x"),)}, {"where": (("mtime", "nan"),)},
    {"min_score": 0.3}, {"exclude_self": True, "k": 5},
    {"fields": ("group", "image", "base", "parent", "model")},
]  # fmt: skip


@pytest.mark.parametrize("wanted", QUESTIONS, ids=lambda wanted: "-".join(map(str, wanted)) or "plain")
def test_the_hits_are_those_of_a_folder(both, wanted):
    path, address = both
    records = many()
    queries = [Record({"id": "q", "vector": vector}) for vector in unit(6, 4, 16)]
    queries += [
        Record(
            {"id": "i007", "vector": records[7]["vector"], "exclude": ["a/8.jpg", "d9", "/pics/a/11.jpg"]}
        ),
        Record({"id": "r", "vector": records[0]["vector"]}),
        Record({"id": "s", "vector": records[1]["vector"], "among": ["i001", "i002", "d3", "gone", "same1"]}),
        Record({"id": "t", "vector": records[1]["vector"], "exclude": [f"i{n:03}" for n in range(150)]}),
    ]
    with open_index(path) as folder, open_remote(address) as remote:
        ours = remote.search([Record(query) for query in queries], Wanted(**wanted))
        theirs = folder.search([Record(query) for query in queries], Wanted(**wanted))
    assert ours == theirs


def test_dump_get_and_known_files_are_those_of_a_folder(both):
    path, address = both
    with open_index(path) as folder, open_remote(address) as remote:
        ours = {record["id"]: plain(record) for record in remote.items()}
        assert ours == {record["id"]: plain(record) for record in folder.items()}
        assert remote.known_files() == folder.known_files()
        assert remote.count() == folder.count() == 340
        assert remote.children() == folder.children()
        assert list(remote.all_ids()) == sorted(folder.all_ids())
        assert plain(remote.get("i003")) == plain(folder.get("i003"))
        with pytest.raises(MissingInputError, match="no item 'gone'"):
            remote.get("gone")


@pytest.mark.parametrize("seed", range(3))
def test_any_changes_leave_what_a_folder_has(seed, address, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "BATCH_ITEMS", 7)
    rng, path = np.random.default_rng(seed), tmp_path / "x.mmr"
    for _ in range(6):
        names = [f"{n}.jpg" for n in rng.integers(0, 25, 12)]
        match rng.integers(0, 4):
            case 0:
                names = list(dict.fromkeys(names))
                counts = [delete(address, names), delete_folder(path, names)] if path.exists() else []
            case 1:
                stream = [keep(name, size=int(rng.integers(9))) for name in names]
                counts = [put(address, stream, reject=fail), upsert(path, stream, reject=fail)]
            case _:
                names = list(dict.fromkeys(names))
                stream = [item(name, int(rng.integers(2)), parent="p") for name in names]
                counts = [put(address, stream, reject=fail), upsert(path, stream, reject=fail)]
        assert not counts or counts[0] == counts[1]
        if path.exists():
            with open_index(path) as folder, open_remote(address) as remote:
                assert {one["id"]: plain(one) for one in remote.items()} == {
                    one["id"]: plain(one) for one in folder.items()
                }


def test_a_graph_never_costs_a_hit(address):
    pytest.importorskip("psycopg")
    records = many(600)
    put(address, records, reject=fail, kind="hnsw:m=4,efc=8,ef=10")
    queries = [Record({"id": f"q{n}", "vector": vector}) for n, vector in enumerate(unit(9, 5, 16))]
    with open_remote(address) as index:
        assert index.describe()["graph"] == "built"
        for k, allowed, more in (
            (10, 600, {}), (50, 300, {"where": (WHERE,)}), (10, 1, {"where": (("n", "7"),)}),
            (500, 600, {}), (1100, 600, {}), (20, 600, {"exact": True}),
        ):  # fmt: skip
            assert [len(one) for one in index.search(queries, Wanted(k, **more))] == [min(k, allowed)] * 5
        exact = hits(index, queries, Wanted(10, exact=True))
        build(address, "flat")
        index.refresh()
        assert hits(index, queries, Wanted(10)) == exact
        assert "graph" not in index.describe()


def test_kinds_are_checked_and_turned(address):
    with pytest.raises(UsageError, match="no kind of index called 'pq'"):
        put(address, many(3), reject=fail, kind="pq")
    with pytest.raises(UsageError, match="'size=3' is no parameter of hnsw"):
        put(address, many(3), reject=fail, kind="hnsw:size=3")
    put(address, many(3), reject=fail)
    with pytest.raises(UsageError, match="is of the kind flat"):
        put(address, many(3), reject=fail, kind="hnsw")
    build(address, "hnsw:m=8")
    assert build(address, "hnsw:ef=200").params == {"m": 8, "efc": 64, "ef": 200}
    put(address, many(4), reject=fail, kind="hnsw:m=8")


def test_a_graph_takes_2000_dimensions(address):
    wide = [Record({"id": "w", "vector": unit(1, 2001), "model": "m#1"})]
    with pytest.raises(UsageError, match="2,000"):
        put(address, wide, reject=fail, kind="hnsw")
    put(address, wide, reject=fail)
    with pytest.raises(UsageError, match="2,000"):
        build(address, "hnsw")
    with open_remote(address) as index:
        assert index.get("w")["vector"].tolist() == wide[0]["vector"].tolist()


def test_models_never_meet(address):
    put(address, many(3), reject=fail)
    with pytest.raises(BadDataError, match=r"(?s)m#1.*m#2"):
        put(address, [Record({**many(1)[0], "model": "m#2"})], reject=fail)
    with pytest.raises(BadDataError, match="names no model"):
        put(address, [Record({"id": "a", "vector": unit(1, 16)})], reject=fail)


def test_what_text_cannot_hold_is_a_bad_item(address):
    bad: list[BadItem] = []
    odd = ["it's", 'a"b', "tab\t", "\u2028", "é\U0001f600", "%", "\\u0000", "a\nb", "a" * 2600, " "]
    records = [Record({**many(1)[0], "id": name, "image": name}) for name in [*odd, "nul\0", "b" * 2601]]
    records.append(Record({**many(1)[0], "id": "field", "text": "nul\0"}))
    counts = put(address, records, reject=bad.append)
    assert counts.new == len(odd)
    assert [one.record["id"] for one in bad] == ["nul\0", "b" * 2601, "field"]
    with open_remote(address) as index:
        assert sorted(index.all_ids()) == sorted(odd)
        assert all(index.get(name)["image"] == name for name in odd)
        assert index.ids_named(["nul\0"]) == {"nul\0": set()}
        asked = [Record({"id": "q", "vector": many(1)[0]["vector"]})]
        for name in odd:
            assert [hit["id"] for hit in index.search(asked, Wanted(20, where=(("id", name),)))[0]] == [name]
        assert index.search(asked, Wanted(where=(("te\0xt", "nul\0"),))) == [[]]


def test_a_table_that_is_not_ours_is_let_be(postgres):
    import psycopg

    with psycopg.connect(postgres.uri, autocommit=True) as db:
        db.execute("CREATE TABLE mine (id text)")
    with pytest.raises(BadDataError, match="mmr did not make"):
        put(postgres.address("mine"), many(1), reject=fail)
    with pytest.raises(MissingInputError, match="there is no index"):
        open_remote(postgres.address("mine"))
    with pytest.raises(MissingInputError, match="there is no index"):
        delete(postgres.address("none"), ["a"])


def test_sync_refuses_what_a_folder_refuses(address):
    def run(stream, **more):
        return sync(address, lambda reject: stream, reject=fail, **more)

    put(address, [item(f"{n}.jpg") for n in range(10)], reject=fail)
    with pytest.raises(StreamError, match="no eof record"):
        run([keep("0.jpg")])
    with pytest.raises(BadDataError, match="named none of them"):
        run(whole([]))
    with pytest.raises(BadDataError, match="more than the share"):
        run(whole([keep(f"{n}.jpg") for n in range(3)]))
    told: list[str] = []
    kept = [keep(f"{n}.jpg") for n in range(8)]
    assert run(whole(kept), dry_run=True, going=told.append).gone == len(told) == 2
    with open_remote(address) as index:
        assert index.count() == 10
    assert run(whole([*kept, item("new.jpg")])).gone == 2
    with open_remote(address) as index:
        assert index.count() == 9


def test_a_dry_run_writes_nothing(address):
    assert put(address, many(5), reject=fail, dry_run=True).new == 5
    with pytest.raises(MissingInputError):
        open_remote(address)


def test_a_server_that_is_away_is_named_without_its_password():
    for where in ("127.0.0.1:1", "%2Fnowhere"):
        with pytest.raises(UnavailableError) as error:
            open_remote(f"postgresql://me:geheim@{where}/db?connect_timeout=2#pics")
        assert "geheim" not in str(error.value) and "does not answer" in str(error.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:pw@host:5432/db?sslmode=require#pics",
         "postgresql://me@host:5432/db?sslmode=require#pics"),
        ("postgresql://me:p@#w/?d@host/db#pics", "postgresql://me@host/db#pics"),
        ("postgresql://host/db?user=me&password=pw#pics", "postgresql://host/db?user=me#pics"),
        ("postgresql://host/db?PASSWORD=pw#pics", "postgresql://host/db#pics"),
        ("postgresql:///db?host=/run/pg#pics", "postgresql:///db?host=/run/pg#pics"),
    ],
)  # fmt: skip
def test_addresses_are_shown_without_passwords(address, shown):
    found = read(address)
    assert str(found) == shown and "pw" not in repr(found)
    assert unquote(found.server) == address.rpartition("#")[0]


def test_addresses_that_are_none():
    for text in ("postgresql://host/db", "postgresql://u:pw@host/db#", "postgresql://u:pw@host/db#a b"):
        with pytest.raises(UsageError) as error:
            read(text)
        assert "pw" not in str(error.value)
    with pytest.raises(UsageError, match="no engine has addresses that begin with mysql"):
        open_remote("mysql://host/db#pics")
    with pytest.raises(UsageError, match="this takes an index that is a folder"):
        open_index("postgresql://host/db#pics")


def test_a_second_writer_of_a_new_collection(address):
    """Both find none of the ids; the later batch replaces what the earlier one put."""
    from mmr.index.remote_write import RemoteWriter

    with RemoteWriter(read(address)) as one, RemoteWriter(read(address)) as other:
        for writer, version in ((one, 0), (other, 1)):
            writer.add(item("a.jpg", version))
            writer.add(item(f"{version}.jpg"))
        one.flush()
        other.flush()
    with open_remote(address) as index:
        assert sorted(index.all_ids()) == ["0.jpg", "1.jpg", "a.jpg"]
        assert index.get("a.jpg")["text"] == "version 1"


def test_a_second_maker_of_another_model_or_length_is_refused(address):
    """Both saw that there is none; the slower one takes what the faster one made, where that fits."""
    from mmr.index.remote_write import RemoteWriter

    put(address, [item("a.jpg")], reject=fail)
    for model, dim, what in (("m#2", 8, r"(?s)m#1.*m#2"), ("m#1", 9, "of 8 numbers, and this stream of 9")):
        with RemoteWriter(read(address)) as late, pytest.raises(BadDataError, match=what):
            late.make(model, dim)
    with RemoteWriter(read(address), kind="hnsw") as late:
        late.make("m#1", 8)
        assert late.meta.kind == "flat"


def test_items_of_several_vectors_are_sent_to_a_folder(address):
    bad: list[BadItem] = []
    put(address, [Record({"id": "a", "vectors": unit(1, 2, 8)})], reject=bad.append)
    assert "make a folder of them: --kind maxsim" in str(bad[0])


def test_the_library_takes_an_address_where_it_takes_a_folder(address):
    from mmr.index import create_index, open_any
    from mmr.index.sync import sync as follow

    assert upsert(address, [item("a.jpg"), item("b.jpg"), item("c.jpg")], reject=fail).new == 3
    assert delete_folder(address, ["c.jpg"]).gone == 1
    assert follow(address, lambda reject: whole([keep("a.jpg")]), reject=fail).gone == 1
    with open_any(address) as index:
        assert list(index.all_ids()) == ["a.jpg"]
    with pytest.raises(UsageError, match="no folder"):
        create_index(address, dim=3)
