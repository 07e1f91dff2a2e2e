"""Tuning: walk what a search can be told, measure recall against time, keep the best for a recall asked."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.errors import UsageError, shown
from mmr.index.table import Params, knobs, parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index import Index
    from mmr.index.catalogue import Meta
    from mmr.stream.records import Record

K = 10
RECALL = 0.99
WHOLE = 0.9995  # what rounds to all; more work can find no more
SLOW = 3
QUICK = 0.1  # seconds; what takes less is measured a few times more, and the least counts
AGAIN = 2
GAIN = 0.0005  # a step that finds no more than this, twice in a row, leads nowhere


class Setting(NamedTuple):
    """What a search was told, the share of the 10 exact hits that it found, CPU seconds a query."""

    knobs: Params
    recall: float
    seconds: float


class Truth(NamedTuple):
    """The score of each query's last exact hit, how many hits there are, CPU seconds a query."""

    last: NDArray[np.float32]
    hits: int
    seconds: float


def truth(index: Index, queries: Sequence[Record]) -> Truth:
    """The exact answer of every query, its 10 hits or as many as there are."""
    from mmr.index.search import Wanted

    found, seconds = _timed(index, queries, Wanted(K, exact=True))
    import numpy as np

    last = np.asarray([one[-1] if len(one) else -np.inf for one in found], np.float32)
    return Truth(last, sum(map(len, found)), seconds)


def recall(index: Index, queries: Sequence[Record], exact: Truth, told: Params | None = None) -> Setting:
    """The share of the exact hits that the index finds, rounded to 4 places, and its CPU seconds a query.

    A hit counts when it scores no less than the last exact one, so that equal pictures cost nothing.
    """
    from mmr.index.search import Wanted

    found, seconds = _timed(index, queries, Wanted(K, knobs=told))
    right = sum(int((one >= last).sum()) for one, last in zip(found, exact.last, strict=True))
    return Setting(told or {}, round(right / exact.hits, 4), seconds)


def _timed(index: Index, queries: Sequence[Record], wanted: Any) -> tuple[list[NDArray[np.float32]], float]:
    """The scores of every query's hits, and the CPU seconds a query of the search itself.

    What a query leaves out is looked up by name, which is no part of it: where some do, the time is taken of
    the same vectors without that.
    """
    from mmr.index.search import places
    from mmr.stream.records import Record

    start = time.process_time()
    found = [one.score for one in places(index, queries, wanted)]
    spent = time.process_time() - start
    plain = [Record({name: query[name] for name in query if name != "exclude"}) for query in queries]
    spent = math.inf if any("exclude" in query for query in queries) else spent
    for _ in range(AGAIN):
        if QUICK < spent < math.inf:
            break
        start = time.process_time()
        places(index, plain, wanted)
        spent = min(spent, time.process_time() - start)
    return found, spent / len(queries)


def walk(index: Index, queries: Sequence[Record]) -> tuple[list[Setting], Truth]:
    """Measure the settings of the index's kind that are worth it, and the exact search beside them.

    From the least work upwards; a setting is left out where one of less work finds all already or takes
    three times as long as the exact search, and where two steps in a row have found no more.
    """
    exact = truth(index, queries)
    done: list[Setting] = []
    names = list(knobs(index.meta.kind))
    for told in _rising(knobs(index.meta.kind)):
        below = [one for one in done if all(one.knobs[name] <= told[name] for name in names)]  # type: ignore[operator]
        needless = any(one.recall >= WHOLE or one.seconds > SLOW * exact.seconds for one in below)
        if not needless and not _is_flat(below, told):
            done.append(recall(index, queries, exact, told))
    return done, exact


def _rising(values: dict[str, tuple[int, ...]]) -> Iterator[Params]:
    """All combinations; the first parameter changes fastest."""
    names = list(values)[::-1]
    for chosen in product(*(values[name] for name in names)):
        yield dict(zip(names, chosen, strict=True))


def _is_flat(below: Sequence[Setting], told: Params) -> bool:
    """Whether the last three settings that differ from this one in the fastest parameter found the same."""
    fastest = list(told)[-1]
    row = [one for one in below if all(one.knobs[n] == told[n] for n in told if n != fastest)]
    return len(row) > 2 and row[-1].recall - row[-3].recall <= GAIN and row[-1].recall > 0


def choose(settings: Sequence[Setting], wanted: float) -> Setting:
    """The fastest setting that finds what is wanted; where none does, the one that finds most.

    >>> slow, fast = Setting({"ef": 64}, 0.99, 2.0), Setting({"ef": 32}, 0.9, 1.0)
    >>> choose([fast, slow], 0.95).knobs, choose([fast, slow], 0.9).knobs, choose([fast, slow], 1.0).knobs
    ({'ef': 64}, {'ef': 32}, {'ef': 64})
    """
    enough = [one for one in settings if one.recall >= wanted]
    if enough:
        return min(enough, key=lambda one: one.seconds)
    return min(settings, key=lambda one: (-one.recall, one.seconds))


def front(settings: Sequence[Setting]) -> list[Setting]:
    """The settings that none beats in both recall and time, fastest first."""
    best: list[Setting] = []
    for one in sorted(settings, key=lambda one: (one.seconds, -one.recall)):
        if not best or one.recall > best[-1].recall:
            best.append(one)
    return best


def chosen_for(index: Index, wanted: float) -> Params | None:
    """What a search must be told to find the share `wanted` of the exact hits; None for nothing special.

    Raises `UsageError` where it was never measured, or where the kind did not reach it.
    """
    name = shown(str(index.path))
    if parse(index.meta.kind)[0].exact or all(segment.structure is None for segment in index.segments()):
        return None
    measured = index.noted("recall")
    table = [] if measured is None else [Setting(*row) for row in measured.get("table", ())]
    if not table:
        if measured is not None and _of(measured) >= wanted:
            return None
        known = "" if measured is None else f"; as it is set it finds {_of(measured):.2%}"
        raise UsageError(
            f"what {name} must be told for a recall of {wanted:g} was never measured{known}.",
            f"`mmr index {name} --tune --recall {wanted:g}` measures it.",
        )
    best, kind = choose(table, wanted), index.meta.kind
    if best.recall < wanted:
        raise UsageError(
            f"{kind} reaches a recall of {best.recall:g} at most in {name}, and {wanted:g} is asked.",
            f"Ask for less, search with --exact, or `mmr index {name} --convert` it to another kind.",
        )
    return best.knobs


def _of(measured: dict[str, Any]) -> float:
    return float(measured.get("of_queries", measured["of_rows"]))


def tuned(connection: sqlite3.Connection) -> tuple[float, Params] | None:
    """The recall that the index is tuned to and what was chosen for it; None where it is not tuned."""
    found = connection.execute("SELECT value FROM meta WHERE key = 'tuned'").fetchone()
    if found is None:
        return None
    stored = json.loads(found[0])
    return float(stored["recall"]), dict(stored["knobs"])


def keep(connection: sqlite3.Connection, wanted: float, chosen: Params) -> None:
    """Note what the index is tuned to, inside the transaction under way."""
    value = json.dumps({"recall": wanted, "knobs": chosen})
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('tuned', ?)", (value,))


def asked_same(connection: sqlite3.Connection, meta: Meta, params: Params) -> bool:
    """Whether parameters are the index's, but for those that tuning has chosen."""
    found = tuned(connection)
    own = set() if found is None else set(found[1])
    asked = {name: value for name, value in params.items() if value != "" and name not in own}
    return all(meta.params.get(name) == value for name, value in asked.items())
