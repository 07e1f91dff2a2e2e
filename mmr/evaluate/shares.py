"""What the first hits are made of: the share of each modality, or of each value of any field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mmr.errors import BadDataError, UsageError, shown


class Share(NamedTuple):
    """Of the first k hits of some queries, the share that has one value.

    asked    the queries' own value; None for all queries together
    value    the hits' value; None for hits without one
    share    hits with that value / hits, 0 to 1
    """

    asked: str | None
    value: str | None
    share: float
    hits: int
    queries: int


def shares(records: Iterable[Mapping[str, Any]], k: int, field: str = "modality") -> list[Share]:
    """Count the values of a field among the first k hits of each record, by the query's own value.

    `modality` is the stored field, else "image", "text" or "image,text" by which of those a query or a hit
    has. The shares of all queries come first; those by the query's value follow where there are several.
    Raises `BadDataError` when there are no hits or none has a value.
    """
    if k < 1:
        raise UsageError(f"the first {k} hits are none", "Use -k 1 or more.")
    counts: dict[str | None, Counter[str | None]] = {}
    queries: Counter[str | None] = Counter()
    for record in records:
        asked = value_of(record, field)
        queries[asked] += 1
        own = counts.setdefault(asked, Counter())
        own.update(value_of(hit, field) for hit in record.get("hits", ())[:k])
    together = sum(counts.values(), Counter[str | None]())
    if not together:
        raise BadDataError("no query has hits", "`mmr query` writes records with hits.")
    if set(together) == {None}:
        raise BadDataError(
            f"no hit has the field {shown(field)}", f"Ask for it: mmr query --fields {shown(field)}."
        )
    found = list(_of(None, together, queries.total()))
    if len(counts) > 1:
        for asked in sorted(counts, key=_order):
            found.extend(_of(_named(asked), counts[asked], queries[asked]))
    return found


def value_of(record: Mapping[str, Any], field: str) -> str | None:
    """The field's value as text; of `modality` also where it is not stored."""
    value = record.get(field)
    if value is None and field == "modality":
        return ",".join(name for name in ("image", "text") if record.get(name)) or None
    return None if value is None else str(value)


def _of(asked: str | None, counts: Counter[str | None], queries: int) -> Iterable[Share]:
    """Shares of one set of queries, the commonest value first, no value last."""
    total = counts.total()
    for value in sorted(counts, key=lambda value: (value is None, -counts[value], value or "")):
        yield Share(asked, value, counts[value] / total, counts[value], queries)


def _order(value: str | None) -> tuple[bool, str]:
    return value is None, value or ""


def _named(value: str | None) -> str:
    """Queries without a value, among others that have one."""
    return "none" if value is None else value
