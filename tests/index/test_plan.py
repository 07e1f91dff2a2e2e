"""Kind auto: what is chosen, when it is thought over; memory that is known, planned and refused."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.errors import OutputError, UsageError
from mmr.index import delete, memory, open_index, plan, upsert
from mmr.index.check import check, describe, rebuild
from mmr.index.plan import Asked, choose
from mmr.index.search import Wanted, search
from mmr.index.table import KINDS, adapter, parse, spelled
from tests.index.made import fail
from tests.index.test_kinds import DIM, ROWS, SPECS, clustered, queries, records


@pytest.mark.parametrize(
    ("text", "size"),
    [("8G", 8 << 30), ("1.5GiB", 3 << 29), ("800m", 800 << 20), ("4096", 4096), ("2 KB", 2048)],
)
def test_amounts_of_memory(text, size):
    assert memory.read_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "8X", "1e9", "0", "nan", "9999999T"])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(UsageError, match="no amount of memory"):
        memory.read_size(text)


@given(st.integers(1, (1 << 50) - 1))
def test_amounts_are_said_to_three_figures(size):
    number, unit = memory.words(size).split()
    units = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
    assert abs(float(number.replace(",", "")) * units[unit] - size) <= 0.005 * size


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 4 GiB free, of which a test may say more."""
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    (proc / "self").mkdir(parents=True)
    groups.mkdir()
    (proc / "meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")
    (proc / "self" / "statm").write_text("1000 500 0 0 0 0 0\n")
    monkeypatch.setattr(memory, "PROC", proc)
    monkeypatch.setattr(memory, "CGROUPS", groups)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return groups


def test_memory_is_what_the_machine_has_free(machine):
    assert memory.available() == 4 << 30


def test_a_container_has_what_its_group_leaves(machine):
    (machine / "memory.max").write_text(f"{1 << 30}\n")
    (machine / "memory.current").write_text(f"{700 << 20}\n")
    (machine / "memory.stat").write_text(f"anon 1\ninactive_file {100 << 20}\nactive_file 7\n")
    assert memory.available() == (1024 - 700 + 100) << 20
    (machine / "memory.max").write_text("max\n")
    assert memory.available() == 4 << 30


def test_an_older_container_too(machine):
    (machine / "memory").mkdir()
    for name, text in (("limit_in_bytes", 1 << 30), ("usage_in_bytes", 1 << 29)):
        (machine / "memory" / f"memory.{name}").write_text(f"{text}\n")
    (machine / "memory" / "memory.stat").write_text("inactive_file 5\ntotal_inactive_file 4096\n")
    assert memory.available() == (1 << 29) + 4096


def test_a_limit_of_the_address_space_counts(machine, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, 1 << 30))
    assert memory.available() == (1 << 30) - 1000 * resource.getpagesize()


@pytest.mark.parametrize("spec", SPECS)
def test_a_kind_knows_the_bytes_of_its_structure(spec, tmp_path):
    row, params = parse(spec)
    kind, x = adapter(row.name), clustered(2, ROWS)
    trained = tmp_path / "trained" if kind.needs(DIM, params) else None
    if trained is not None:
        kind.train(x[: kind.takes(ROWS, params)], None, ROWS, params, trained)
    kind.write(x, params, tmp_path / "made", trained)
    found, said = (tmp_path / "made").stat().st_size, kind.size(DIM, ROWS, params)
    padded = 64 * 32 * 24 if row.name == "ivfpq" else 0  # lists of 4-bit codes end in blocks of 32 rows
    assert said * 0.95 <= found <= said * 1.1 + 20_000 + padded
    assert kind.holds(DIM, ROWS, params) > 0


def test_flat_takes_nothing_beside_the_vectors():
    row, params = parse("flat")
    assert adapter(row.name).size(DIM, ROWS, params) == 0


@pytest.mark.parametrize(
    ("rows", "dim", "dtype", "budget", "kind"),
    [
        (19_999, 4096, "float32", 1, "flat"),
        (100_000, 512, "float32", 8 << 30, "flat"),
        (100_000, 512, "float16", 8 << 30, "pq"),
        (1_000_000, 128, "float32", 8 << 30, "pq"),
        (1_000_000, 768, "float32", 8 << 30, "ivfpq"),
        (10_000_000, 128, "float32", 8 << 30, "ivfpq"),
        (100_000, 512, "float32", 100 << 20, "pq"),
        (1_000_000, 128, "float32", 40 << 20, "pq:m=32,opq=yes"),
        (1_000_000, 128, "float32", 20 << 20, "pq:m=16,opq=yes"),
        (1_000_000, 128, "float32", 1 << 20, "flat"),
        (1_000_000, 127, "float32", 1 << 20, "flat"),
    ],
)
def test_what_auto_chooses(rows, dim, dtype, budget, kind):
    found = choose(rows, dim, dtype, budget)
    assert spelled(found.kind, {**found.params, "dtype": "float32"}) == kind
    assert found.params["dtype"] == dtype


@given(
    st.integers(1, 50_000_000), st.integers(1, 300).map(lambda n: 4 * n), st.sampled_from([*plan.SCANNED]),
    st.integers(1 << 18, 1 << 40),
)  # fmt: skip
def test_what_is_built_fits(rows, dim, dtype, budget):
    found = choose(rows, dim, dtype, budget)
    assert found.build <= budget
    assert found.seconds >= 0 and found.search > 0 and found.reason
    parse(spelled(found.kind, found.params))
    assert len(list(plan.lines(found, 0.9))) == 2


def test_every_kind_has_a_time():
    for row in KINDS:
        few, many = (plan.seconds(row.name, rows, 128, parse(row.name)[1]) for rows in (10_000, 1_000_000))
        assert 0 <= few < many < 3600


@pytest.fixture
def small(monkeypatch):
    """Sizes at which auto thinks of structures for what a test can make."""
    monkeypatch.setattr(plan, "FEW", 500)
    monkeypatch.setattr(plan, "SCANNED", {"float32": 900 * DIM, "float16": 900 * DIM})
    monkeypatch.setattr(memory, "available", lambda: 8 << 30)


def kind_of(path):
    with open_index(path) as index:
        return index.meta.kind, index.noted("auto"), index.noted("tuned")


def test_auto_grows_with_the_index_and_is_thought_over_when_it_has_doubled(tmp_path, small):
    path, said = tmp_path / "x.mmr", []
    asked = Asked(recall=0.95, say=said.append)

    def put(start, count):
        upsert(path, records(clustered(start, count), start), reject=fail, kind="auto", asked=asked)

    put(0, 400)
    kind, auto, tuned = kind_of(path)
    assert (kind, tuned) == ("flat", None) and auto["rows"] == 400 and len(said) == 2
    assert said[0].startswith("plan for 400 vectors of 32 numbers: flat; fewer than 500")
    put(400, 350)
    assert kind_of(path)[1]["rows"] == 400 and len(said) == 2, "not twice as many yet"
    put(800, 600)
    kind, auto, tuned = kind_of(path)
    assert kind == "pq" and auto["rows"] == 1350 and tuned["recall"] == 0.95 and " pq:" in said[2]
    assert "tuned to a recall of 0.95" in said[3]
    with open_index(path) as index:
        facts = describe(index)
        assert facts["auto"]["build_bytes"] > 0 and index.recall()["of_rows"] >= 0.95
        assert all(segment.structure is not None for segment in index.segments())
        exact = search(index, queries(20), Wanted(10, exact=True))
        found = search(index, queries(20), Wanted(10))
        shared = [len({h["id"] for h in a} & {h["id"] for h in b}) for a, b in zip(found, exact, strict=True)]
        assert sum(shared) >= 0.9 * 200
    delete(path, [f"i{i}" for i in range(1000, 1400)] + [f"i{i}" for i in range(750)])
    assert kind_of(path)[0] == "flat" and check(path) == []


def test_a_conversion_that_was_killed_is_done_by_the_next_run(tmp_path, small, monkeypatch):
    path = tmp_path / "x.mmr"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("mmr.index.merge.convert", killed)
        upsert(path, records(clustered(2, 1000)), reject=fail, kind="auto")
    assert kind_of(path)[0] == "flat" and check(path) == []
    upsert(path, records(clustered(2, 1), 5000), reject=fail)
    assert kind_of(path)[0] == "pq"


def test_another_memory_gives_other_codes(tmp_path, small, monkeypatch):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="auto")
    whole = choose(1000, DIM)
    monkeypatch.setattr(plan, "choose", lambda *_: whole._replace(params={**whole.params, "m": 8}))
    upsert(path, records(clustered(2, 1), 5000), reject=fail, asked=Asked(1 << 29))
    with open_index(path) as index:
        assert index.meta.params["m"] == 8


def test_auto_and_the_kinds_that_a_user_names(tmp_path, small):
    auto, plain = tmp_path / "auto.mmr", tmp_path / "plain.mmr"
    upsert(auto, records(clustered(2, 1000)), reject=fail, kind="auto")
    upsert(plain, records(clustered(2, 100)), reject=fail)
    upsert(auto, records(clustered(3, 10), 5000), reject=fail, kind="auto")
    upsert(auto, records(clustered(4, 10), 6000), reject=fail)
    for path, kind in ((auto, "pq"), (auto, "pq:least=500"), (plain, "auto"), (auto, "auto:dtype=float16")):
        with pytest.raises(UsageError, match="is of the kind"):
            upsert(path, records(clustered(5, 10)), reject=fail, kind=kind)
    rebuild(auto, kind="flat")
    assert kind_of(auto) == ("flat", None, None)
    upsert(auto, records(clustered(2, 2000), 9000), reject=fail)
    assert kind_of(auto) == ("flat", None, None), "what the user chose stays"
    rebuild(auto, kind="auto")
    assert kind_of(auto)[0] == "pq"
    rebuild(auto)
    assert kind_of(auto)[1] is not None and kind_of(auto)[2] is not None


def test_auto_keeps_the_type_unless_another_is_named(tmp_path, small):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="auto:dtype=float16")
    with open_index(path) as index:
        assert (index.meta.kind, index.meta.dtype) == ("pq", "float16")
    rebuild(path, kind="auto")
    with open_index(path) as index:
        assert index.meta.dtype == "float16"
    rebuild(path, kind="auto:dtype=float32")
    with open_index(path) as index:
        assert index.meta.dtype == "float32"


def test_the_memory_that_was_named_is_remembered_until_another_is(tmp_path, small):
    path, said = tmp_path / "x.mmr", []
    upsert(path, records(clustered(2, 600)), reject=fail, kind="auto", asked=Asked(50_000, say=said.append))
    assert kind_of(path)[0] == "flat" and "more than the 48.8 KiB of memory" in said[0]
    assert "the disk is read" in said[0]
    upsert(path, records(clustered(3, 5), 900), reject=fail, asked=Asked(say=said.append))
    assert kind_of(path)[1]["memory"] == 50_000 and len(said) == 2
    upsert(path, records(clustered(3, 5), 900), reject=fail, asked=Asked(1 << 30, say=said.append))
    assert kind_of(path)[1]["memory"] == 1 << 30 and "compares them all" in said[2]
    upsert(path, records(clustered(3, 5), 900), reject=fail, kind="auto", asked=Asked(1 << 30, 0.9))
    assert kind_of(path)[1]["recall"] == 0.9
    rebuild(path, kind="auto", asked=Asked(2 << 30))
    with closing(sqlite3.connect(path / "catalogue.sqlite", isolation_level=None)) as connection:
        plan.aim(connection, 0.7)
    assert kind_of(path)[1]["recall"] == 0.7
    rebuild(path, kind="auto", asked=Asked(2 << 30))
    assert (kind_of(path)[1]["memory"], kind_of(path)[1]["recall"]) == (2 << 30, None)


def test_what_does_not_fit_is_refused_and_nothing_is_lost(tmp_path):
    path = tmp_path / "x.mmr"
    with pytest.raises(
        OutputError, match=r"hnsw over 1,000 vectors of 32 numbers takes 781 KiB.*--memory al"
    ):
        upsert(path, records(clustered(2, 1000)), reject=fail, kind="hnsw:least=100", asked=Asked(100_000))
    with open_index(path) as index:
        assert (index.meta.kind, index.meta.count) == ("hnsw", 1000)
        assert search(index, queries(3), Wanted()) == search(index, queries(3), Wanted(exact=True))
    assert check(path) == []
    rebuild(path, kind="pq:least=100", asked=Asked(1 << 20))
    with pytest.raises(OutputError, match="takes"):
        rebuild(path, kind="hnsw:least=100", asked=Asked(100_000))
    with open_index(path) as index:
        assert index.meta.kind == "pq" and index.segments()[0].structure is not None
    assert check(path) == []


def test_what_takes_long_says_so_before_it_works(tmp_path, monkeypatch):
    path, said = tmp_path / "x.mmr", []
    upsert(path, records(clustered(2, 1000)), reject=fail, asked=Asked(say=said.append))
    rebuild(path, kind="hnsw:least=100", asked=Asked(say=said.append))
    assert said == []
    monkeypatch.setattr(plan, "LARGE", 1000)
    rebuild(path, kind="hnsw:least=100,m=16", asked=Asked(say=said.append))
    expected = (
        "building hnsw:m=16,least=100 over 1,000 vectors of 32 numbers takes about 1 s and 531 KiB of memory."
    )
    assert said == [expected]


@pytest.mark.parametrize("step", ["train", "write"])
def test_memory_that_runs_out_while_it_builds_is_a_sentence(tmp_path, monkeypatch, step):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="hnsw:least=100")

    def out(*_):
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr(adapter("pq"), step, out)
    with pytest.raises(OutputError, match="memory ran out while pq was built"):
        rebuild(path, kind="pq:least=100")
    assert kind_of(path)[0] == "hnsw" and check(path) == []


def test_a_refused_conversion_leaves_what_auto_and_tuning_chose(tmp_path, small):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="auto")
    before = kind_of(path)
    with pytest.raises(OutputError):
        rebuild(path, kind="hnsw:least=100", asked=Asked(1000))
    assert kind_of(path) == before and before[2]["knobs"]
    rebuild(path, kind="hnsw:least=100")
    assert kind_of(path) == ("hnsw", None, None)


def test_the_memory_of_the_machine_is_the_limit_without_another(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(OutputError, match="and this machine allows 1,000 bytes"):
        upsert(tmp_path / "x.mmr", records(clustered(2, 700)), reject=fail, kind="pq:least=100")
    upsert(tmp_path / "y.mmr", records(clustered(2, 700)), reject=fail, kind="pq")
