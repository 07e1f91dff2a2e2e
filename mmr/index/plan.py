"""`--kind auto`: which kind an index gets, what it will take, and when it is thought over again."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.errors import Reject, raise_item
from mmr.index import memory, settings
from mmr.index.catalogue import Meta, change
from mmr.index.memory import words
from mmr.index.settings import RECALL
from mmr.index.table import AUTO, LEAST, Params, Row, adapter, knobs, parse, spelled

if TYPE_CHECKING:
    from mmr.index.changer import Changer
    from mmr.stream.records import Record

FEW = int(LEAST.default)
SCANNED = {"float32": 100_000_000, "float16": 20_000_000}  # numbers that a query compares in about 30 ms
SLOW = 20_000_000  # the same of other types
CODES = 500_000_000  # numbers whose codes a query reads in about 5 ms
BYTES = {"float32": 4, "float16": 2}  # others take one
GROWTH = 2  # the plan is thought over when there are so many times more rows, or so many times fewer
LONG, LARGE = 60, 1 << 30  # seconds and bytes; what takes as much says so before it works
BUDGET = 0.5  # of the memory that is free


class Plan(NamedTuple):
    """A kind for so many vectors, and what it takes.

    kind       its name; params all its parameters
    reason     why this one
    seconds    of one core to build it, about
    build      bytes of memory that building takes at most
    search     bytes that a search reads of, and is fastest when they stay in memory
    structure  bytes of the structure
    """

    kind: str
    params: Params
    rows: int
    dim: int
    reason: str
    seconds: float
    build: int
    search: int
    structure: int


class Asked(NamedTuple):
    """What the user says of memory and recall, and who is told what is done.

    memory   bytes, or None for what the machine has
    recall   the share of the exact hits that searches are tuned to; None for as it was, and the usual of auto
    say      is told plans, one line each
    queries  that stand for those to come, for the index to keep and to be tuned with
    model    what queries without a model are of; those that cannot be used go to `reject`
    """

    memory: int | None = None
    recall: float | None = None
    say: Callable[[str], None] = lambda _: None
    queries: Iterable[Record] | None = None
    model: str | None = None
    reject: Reject = raise_item


def choose(rows: int, dim: int, dtype: str = "float32", budget: float = math.inf) -> Plan:
    """The kind for `rows` vectors of `dim` numbers that are stored as `dtype`.

    budget  bytes of memory that building takes, and that what every search reads should stay in

    Exact while that takes milliseconds; then codes of 4 bits, all read while that takes milliseconds, in
    lists above. Codes become shorter until they fit. Graphs and sign bits lose to these, on real vectors and
    on clustered ones: tests/benchmarks/test_plan.py measures it, mmr-results(7) has the figures.
    """
    flat = _plan("flat", rows, dim, dtype, f"fewer than {FEW:,} vectors are compared at once")
    if rows < FEW:
        return flat
    fits = flat.search <= budget
    if fits and rows * dim <= SCANNED.get(dtype, SLOW):
        return flat._replace(reason="a query compares them all in milliseconds")
    why = "comparing all would take long" if fits else f"they are more than the {words(budget)} of memory"
    kind = "pq" if rows * dim <= CODES else "ivfpq"
    found = _plan(kind, rows, dim, dtype, why)
    for pieces in (dim // 4, dim // 8):
        if max(found.build, found.search) <= budget or not pieces or dim % pieces:
            break
        shorter = f"{why}, and so are codes of {found.structure / rows:,.0f} bytes"
        found = _plan(f"{kind}:m={pieces},opq=yes", rows, dim, dtype, shorter)
    if found.build > budget:
        return flat._replace(reason=f"{why}, and building takes {words(found.build)}: the disk is read")
    return found


def _plan(spec: str, rows: int, dim: int, dtype: str, reason: str) -> Plan:
    row, params = parse(spec)
    params |= {"dtype": dtype} | ({"least": FEW} if "least" in params else {})
    found = adapter(row.name)
    structure = found.size(dim, rows, params)
    build = found.holds(dim, rows, params) if structure else 0
    search = structure or rows * dim * BYTES.get(dtype, 1)
    took = seconds(row.name, rows, dim, params)
    return Plan(row.name, params, rows, dim, reason, took, build, search, structure)


def seconds(kind: str, rows: int, dim: int, params: Params) -> float:
    """About how long building takes, on one core of the machine that mmr-results(7) names.

    Fitted to what tests/benchmarks/test_plan.py measures at 10,000 to 1,000,000 vectors of 128 and 512.
    """

    def fill(fixed: float, each: float) -> float:
        return rows * (fixed + each * dim) * 1e-6

    if kind == "muvera":
        return rows * 2e-3  # of 40 vectors each, kept as codes
    turned = 4e-5 * dim * dim if params.get("opq") == "yes" else 0
    if kind in ("hnsw", "hnswsq8"):
        deeper = max(0.3, 1 + 0.37 * math.log10(max(rows, 1) / 1e5)) * int(params["efc"]) / 40
        return deeper * (fill(55, 0.23) if kind == "hnsw" else fill(67, 0.12))
    if kind in ("ivfflat", "ivfpq"):
        from mmr.index.lists import how_many

        lists = how_many(rows, params)
        trained = adapter(kind).takes(rows, params)
        return turned + (2.5e-10 * trained + 2.5e-11 * rows) * lists * dim + fill(1, 0.02)
    return (0.004 * dim if kind == "pq" else 0) + turned + fill(0.2, 0.02 if kind != "sq8" else 0.002)


def start(changer: Changer, meta: Meta, rows: list[int]) -> None:
    """Before structures are built: refuse what cannot fit, and say what takes minutes or gigabytes.

    rows  of each segment that gets one
    Raises `OutputError` with the figures where it does not fit. A plan of auto is said already.
    """
    memory.check(changer.path, meta, rows, changer.asked.memory)
    took = sum(seconds(meta.kind, count, meta.dim, meta.params) for count in rows)
    need = memory.needed(meta, rows)
    if (took >= LONG or need >= LARGE) and stored(changer.connection) is None:
        kind, over = spelled(meta.kind, meta.params), f"{sum(rows):,} vectors of {meta.dim:,} numbers"
        changer.asked.say(
            f"building {kind} over {over} takes about {_duration(took)} and {words(need)} of memory."
        )


def lines(plan: Plan, recall: float) -> Iterator[str]:
    """The plan in two lines, for people: what and why; what it takes."""
    kind = spelled(plan.kind, plan.params)
    yield f"plan for {plan.rows:,} vectors of {plan.dim:,} numbers: {kind}; {plan.reason}."
    if plan.structure:
        each = plan.structure / plan.rows
        yield (
            f"building takes about {_duration(plan.seconds)} and {words(plan.build)} of memory; a search "
            f"reads {words(plan.search)}, {each:,.0f} bytes a vector; it is tuned to a recall of {recall:g}."
        )
    else:
        yield f"nothing is built; a search reads {words(plan.search)}; its recall is 1."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def stored(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """What the catalogue notes of auto: `memory`, `recall`, `rows`, ...; None where it does not choose."""
    found = connection.execute("SELECT value FROM meta WHERE key = 'auto'").fetchone()
    return None if found is None else dict(json.loads(found[0]))


def facts(tuned: dict[str, Any] | None, auto: dict[str, Any] | None) -> dict[str, Any]:
    """What `--info` shows of what the catalogue notes of tuning and of auto."""
    found = {}
    if tuned is not None:
        found["tuned"] = {"recall": tuned["recall"], **tuned["knobs"]}
    if auto is not None:
        found["auto"] = {name: value for name, value in auto.items() if value is not None}
    return found


def begin(connection: sqlite3.Connection, asked: Asked) -> None:
    """Note, inside the transaction under way, that auto chooses the kind from now on."""
    _keep(connection, {"memory": asked.memory, "recall": asked.recall})


def _keep(connection: sqlite3.Connection, value: dict[str, Any]) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('auto', ?)", (json.dumps(value),))


def aim(connection: sqlite3.Connection, recall: float) -> None:
    """Note the recall that what auto chooses from now on is tuned to, where it chooses."""
    auto = stored(connection)
    if auto is not None:
        with change(connection):
            _keep(connection, {**auto, "recall": recall})


def decided(changer: Changer, rows: int) -> Meta | None:
    """What the index shall become where auto chooses its kind and finds another; None where it stays.

    Thought over when there are twice as many live rows as the last time, or half, when another memory or
    recall is named, and when what was decided was not done.
    """
    auto, asked, meta = stored(changer.connection), changer.asked, changer.meta
    if auto is None or meta is None or rows == 0:
        return None
    other = asked.memory not in (None, auto["memory"]) or asked.recall not in (None, auto["recall"])
    done = auto.get("kind") == meta.kind  # else a run was killed while it converted
    if done and auto["rows"] / GROWTH < rows < auto["rows"] * GROWTH and not other:
        return None
    found = _thought(changer, auto, rows, meta.dtype)
    told = knobs(found.kind)
    same = all(meta.params.get(name) == value for name, value in found.params.items() if name not in told)
    return None if found.kind == meta.kind and same else replace(meta, kind=found.kind, params=found.params)


def _thought(changer: Changer, auto: dict[str, Any], rows: int, dtype: str) -> Plan:
    """Make the plan, say it, and note it in the catalogue with the recall that a structure is tuned to."""
    assert changer.meta is not None
    asked = changer.asked
    budget, wanted = asked.memory or auto["memory"], asked.recall or auto["recall"]
    recall = wanted or RECALL
    found = choose(rows, changer.meta.dim, dtype, budget or BUDGET * memory.available())
    for line in lines(found, recall):
        asked.say(line)
    with change(changer.connection):
        _keep(changer.connection, {
            "memory": budget, "recall": wanted, "rows": rows, "kind": found.kind,
            "reason": found.reason,
            "seconds": round(found.seconds, 1), "build_bytes": found.build, "search_bytes": found.search,
        })  # fmt: skip
        if found.structure:
            settings.keep(changer.connection, recall, {})
    return found


def converted(changer: Changer, row: Row, params: Params) -> tuple[Meta, tuple[str, ...]]:
    """What an index becomes when the user names another kind, or auto; the notes that do not hold then."""
    meta = changer.meta
    assert meta is not None
    if row is not AUTO:
        return replace(meta, kind=row.name, params=params), ("auto", "tuned")
    with change(changer.connection):
        begin(changer.connection, changer.asked)
    auto = stored(changer.connection)
    assert auto is not None
    found = _thought(changer, auto, meta.count, str(params["dtype"]) or meta.dtype)
    return replace(meta, kind=found.kind, params=found.params), () if found.structure else ("tuned",)
