"""Which hits are among a query's own candidates, or among the items that it must not retrieve."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from mmr.evaluate.judged import Ints
from mmr.stream.spans import Bools, Hashes, Lookup, Spans, hashed, joint

Members = Sequence[Collection[str] | None]


class Candidates:
    """Sets of items ready to be searched; a set that many queries share is prepared once."""

    def __init__(self) -> None:
        self._ready: dict[int, tuple[Collection[str], Lookup]] = {}

    def lookup(self, items: Collection[str]) -> Lookup:
        """The set, ready to find strings by their hash."""
        if id(items) not in self._ready:
            spans = Spans.of(item.encode() for item in items)
            self._ready[id(items)] = items, Lookup(spans, hashed(spans))
        return self._ready[id(items)][1]


def of_groups(ready: Candidates, sets: Members, group: Ints, item: Spans, hashes: Hashes) -> Bools:
    """Tell of each hit (n,) whether it is in the set of its query; False where the query has none.

    sets           of each of g queries its items, or None; one object may serve many queries
    group          (n,) ascending: the query of each hit
    item, hashes   (n,)
    """
    inside = np.zeros(len(group), np.bool_)
    users: dict[int, list[int]] = {}
    for query, members in enumerate(sets):
        if members is not None:
            users.setdefault(id(members), []).append(query)
    alone = [queries[0] for queries in users.values() if len(queries) == 1]
    if alone:
        inside[_own(sets, alone, group, item, hashes)] = True
    for queries in users.values():
        if len(queries) > 1:
            members = sets[queries[0]]
            shares = np.zeros(len(sets), np.bool_)
            shares[queries] = True
            hits = np.flatnonzero(shares[group])
            found, _ = ready.lookup(members or ()).find(item.take(hits), hashes[hits])
            inside[hits[found]] = True
    return inside


def _own(sets: Members, queries: Sequence[int], group: Ints, item: Spans, hashes: Hashes) -> Ints:
    """The hits that are in the set of their query, of queries whose set is theirs alone."""
    strings = [name.encode() for query in queries for name in sets[query] or ()]
    owner = np.repeat(np.array(queries), [len(sets[query] or ()) for query in queries])
    spans = Spans.of(strings)
    lookup = Lookup(spans, joint(hashed(spans), owner))
    return lookup.find(item, joint(hashes, group))[0]
