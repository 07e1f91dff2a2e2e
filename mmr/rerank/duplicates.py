"""Groups of items that are near each other, and the one of each group to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from mmr.errors import Reject, UsageError, shown
from mmr.rerank.method import Note
from mmr.rerank.whole import held
from mmr.stream.order import ranked
from mmr.stream.records import Record, add_step

SHOWN = ("image", "base", "text", "size", "mtime")
NEEDLESS = ("vector", "vectors", "bindings", "sparse", "recipe", "model", "unit")
Links = dict[str, dict[str, float]]


class Member(NamedTuple):
    """How a member of a group hangs on the one that is kept: its score, and through whom where not directly.

    Without a direct link the score is that of the weakest link of the best chain.
    """

    score: float
    through: str | None


def groups(links: Links) -> list[list[str]]:
    """The connected components of items by their links, each in the order of `links`, lone items left out.

    >>> groups({"a": {"b": .9}, "b": {"a": .9, "c": .8}, "c": {"b": .8}, "d": {}})
    [['a', 'b', 'c']]
    """
    found: list[list[str]] = []
    seen: set[str] = set()
    for start in links:
        if start in seen:
            continue
        seen.add(start)
        members, waiting = {start}, [start]
        while waiting:
            for name in links[waiting.pop()]:
                if name not in seen:
                    seen.add(name)
                    members.add(name)
                    waiting.append(name)
        if len(members) > 1:
            found.append(list(members))
    place = {name: number for number, name in enumerate(links)}
    return [sorted(members, key=place.__getitem__) for members in found]


def hangs_on(kept: str, links: Links) -> dict[str, Member]:
    """How each other member of the group of `kept` hangs on it, by its strongest chain."""
    found: dict[str, Member] = {}
    waiting: list[tuple[float, str, str]] = [(-np.inf, kept, kept)]
    while waiting:
        less, name, last = heappop(waiting)
        if name in found:
            continue
        found[name] = Member(-less, last)
        for other, score in links[name].items():
            if other not in found:
                heappush(waiting, (max(less, -score), other, name))
    del found[kept]
    direct = links[kept]
    return {name: Member(direct[name], None) if name in direct else member for name, member in found.items()}


def number(value: Any, none: float) -> float:
    """A number of an item, `none` where it has none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else none


Key = Callable[[Mapping[str, Any]], Any]
BY: dict[str, Key] = {
    "largest": lambda item: -number(item.get("size"), -1),
    "oldest": lambda item: number(item.get("mtime"), np.inf),
    "newest": lambda item: -number(item.get("mtime"), -np.inf),
    "shortest": lambda item: len(item["id"]),
    "first": lambda item: item["place"],
}
"""What sorts the one to keep to the front."""
NEEDS = {"largest": "size", "oldest": "mtime", "newest": "mtime"}
THEN = {
    "largest": "oldest",
    "oldest": "largest",
    "newest": "largest",
    "shortest": "largest",
    "first": "first",
}


def order_of(keep: str) -> Callable[[Mapping[str, Any]], Any]:
    """A key that sorts items, the one to keep first: by `keep`, by what follows it, by the id."""
    first, second = BY[keep], BY[THEN[keep]]
    return lambda item: (first(item), second(item), len(item["id"]), item["id"])


class Wanted(NamedTuple):
    """What counts as near, which one of a group is kept, the line of `via`, and whether hits say why."""

    keep: str
    min_score: float | None
    step: str
    explain: bool = False


def duplicates(
    records: Iterable[Record], wanted: Wanted, reject: Reject, note: Note = print
) -> Iterator[Record]:
    """Yield a record a group: the item to keep, and the others as its hits, best first.

    records  items with the items near them as hits, as `mmr query --all-items --min-score` gives them. That
             one of two items has the other among its hits is enough; an item that has none is in no group

    Holds the ids, links and some fields of the whole stream. Raises `UsageError` for an unknown `keep`.
    """
    if wanted.keep not in BY:
        raise UsageError(f"no rule to keep is called {shown(wanted.keep)!r}", f"There are: {', '.join(BY)}.")
    stream = held(records, reject, NEEDLESS)
    links, items = _linked(stream.records, wanted.min_score)
    found = groups(links)
    _say_unknown(found, items, wanted.keep, note)
    vias = {record["id"]: record.get("via", ()) for record in stream.records}
    sort = order_of(wanted.keep)
    for members in found:
        kept, *_ = sorted((items[name] for name in members), key=sort)
        yield _group(kept, members, items, hangs_on(kept["id"], links), vias.get(kept["id"], ()), wanted)
    yield from stream.eof
    many = sum(map(len, found))
    what = "1 group" if len(found) == 1 else f"{len(found):,} groups"
    note(f"{what} of {many:,} items, {many - len(found):,} more than one a group; "
         f"{len(stream.records):,} items looked at.")  # fmt: skip


def _linked(records: Sequence[Record], least: float | None) -> tuple[Links, dict[str, dict[str, Any]]]:
    """Links both ways, at the higher score of the two, and what is known of every item."""
    links: Links = {}
    items: dict[str, dict[str, Any]] = {}
    for record in records:
        name = record["id"]
        links.setdefault(name, {})
        _know(items, record)
        for hit in record["hits"]:
            score = float(hit["score"])
            if least is not None and score < least:
                continue
            _know(items, hit)
            if hit["id"] == name:
                continue
            for one, other in ((name, hit["id"]), (hit["id"], name)):
                mine = links.setdefault(one, {})
                mine[other] = max(score, mine.get(other, -np.inf))
    return links, items


def _know(items: dict[str, dict[str, Any]], source: Mapping[str, Any]) -> None:
    """Add what a record or a hit says of an item; a hit's path is one that the reader can open."""
    item = items.setdefault(source["id"], {"id": source["id"], "place": len(items)})
    is_hit = "score" in source
    for field in SHOWN:
        if field in source and (field not in item or (is_hit and field == "image")):
            item[field] = source[field]
    if is_hit and "image" in source and "base" not in source:
        item.pop("base", None)


def _say_unknown(
    found: Sequence[Sequence[str]], items: Mapping[str, Mapping[str, Any]], keep: str, note: Note
) -> None:
    """Say where the rule had nothing to go by."""
    known = {field for group in found for name in group for field in items[name]}
    unknown = [NEEDS[rule] for rule in (keep, THEN[keep]) if NEEDS.get(rule, "id") not in known]
    if found and NEEDS.get(keep) in unknown:
        instead = "the shorter id" if len(unknown) == 2 else f"the {THEN[keep]}"
        note(
            f"no item has a {' or a '.join(unknown).replace('mtime', 'time')}: {instead} of a group is kept."
        )


def _group(
    kept: Mapping[str, Any], members: Sequence[str], items: Mapping[str, Mapping[str, Any]],
    hanging: Mapping[str, Member], via: Sequence[str], wanted: Wanted,
) -> Record:  # fmt: skip
    hits = []
    for name in members:
        if name == kept["id"]:
            continue
        member = hanging[name]
        hit = {**_public(items[name]), "score": np.float32(member.score)}
        if member.through is not None:
            hit["through"] = member.through
        if wanted.explain:
            hit["why"] = "near it" if member.through is None else f"near {member.through}, by a chain"
        hits.append(hit)
    record = Record({**_public(kept), "hits": ranked(hits)})
    record["duplicates"] = {"items": len(members), "keep": wanted.keep}
    record["via"] = list(via)
    add_step(record, wanted.step)
    return record


def _public(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "place"}
