"""Judgements of many queries, in flat arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import lt

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, shown
from mmr.evaluate.judged import Ints
from mmr.stream.compressed import open_input
from mmr.stream.qrels import Judgements, parse_json, parse_lines
from mmr.stream.spans import Hashes, Lookup, Spans, changes, hashed, joint, repeated
from mmr.stream.text import BOM

Rels = NDArray[np.int32]


@dataclass(frozen=True)
class Qrels:
    """Judged items of q queries.

    names  (q,) ids of the queries, ascending
    start  (q + 1,): judgements start[i]:start[i + 1] belong to query i, by judgement descending
    items  (j,) ids of the judged items
    rel    (j,) int32 judgements
    hash   (j,) hashes of the items

    About 40 bytes a judgement and what the ids take.
    """

    names: Spans
    start: Ints
    items: Spans
    rel: Rels
    hash: Hashes

    @staticmethod
    def of(judgements: Mapping[str, Mapping[str, int]]) -> Qrels:
        """Make them of a mapping, query -> item -> judgement."""
        count = sum(map(len, judgements.values()))
        queries = (query.encode() for query, judged in judgements.items() for _ in judged)
        items = (item.encode() for judged in judgements.values() for item in judged)
        values = (rel for judged in judgements.values() for rel in judged.values())
        return gathered(Spans.of(queries), Spans.of(items), np.fromiter(values, np.int32, count), _impossible)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def queries(self) -> list[str]:
        """The ids of the queries, ascending."""
        return self.names.texts()

    def of_query(self, query: str) -> dict[str, int]:
        """Item -> judgement of one query; empty for a query without judgements."""
        place = int(self.find(Spans.of([query.encode()]))[0])
        if place < 0:
            return {}
        rows = range(int(self.start[place]), int(self.start[place + 1]))
        return {self.items[row].decode(): int(self.rel[row]) for row in rows}

    def find(self, names: Spans) -> Ints:
        """The place of each query in `queries`, -1 where it has no judgements."""
        places = np.full(len(names), -1, np.int64)
        found, which = self._lookup.find(names, hashed(names))
        places[found] = which
        return places

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.names, hashed(self.names))


def gathered(queries: Spans, items: Spans, rel: Rels, twice: Callable[[int, int], BadDataError]) -> Qrels:
    """Put judgements in order: (j,) queries, items and values, in any order.

    twice  makes the error of a judgement (a place) of the pair that an earlier one judged
    """
    groups = changes(queries)
    names = queries.take(groups).strings()
    if all(map(lt, names, islice(names, 1, None))):
        ascending, numbers = names, np.arange(len(names))
    else:
        ascending = sorted(set(names))
        place = {name: number for number, name in enumerate(ascending)}
        numbers = np.fromiter((place[name] for name in names), np.int64, len(names))
    query = np.repeat(numbers, np.diff(np.append(groups, len(queries))))
    hashes = hashed(items)
    again = repeated(items, joint(hashes, query))
    if again is not None:
        raise twice(*again)
    order = _order(query, rel)
    counts = np.bincount(query, minlength=len(ascending))
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Qrels(Spans.of(ascending), start, items.take(order), rel[order], hashes[order])


def _order(query: Ints, rel: Rels) -> Ints | slice:
    """The order by query, then by judgement descending; nothing is moved where it holds already."""
    step = np.diff(query)
    if bool((step >= 0).all()) and bool(((step > 0) | (rel[1:] <= rel[:-1])).all()):
        return slice(None)
    return np.argsort((query << 33) - rel, kind="stable")


def _impossible(place: int, before: int) -> BadDataError:
    raise AssertionError("a mapping has no key twice")


def read_qrels(path: str) -> Qrels:
    """Read judgements; `-` is standard input, gzip is unpacked.

    TREC      query, iteration (ignored), item, judgement; between blanks or tabs. Between tabs alone, ids may
              hold blanks
    BEIR      query, item, judgement between tabs, with the header `query-id corpus-id score` or without one
    M-BEIR    query, 0, item, judgement, task; only judgements above 0 count
    JSON      {query: [items]}, all relevant, or {query: {item: judgement}}

    Lines that start with `#` and blank ones are passed over. Raises `BadDataError` naming line and column for
    anything else, for a pair judged twice, and for a file without judgements.
    """
    source = "stdin" if path == "-" else shown(path)
    found = _parsed(path, source)

    def twice(place: int, before: int) -> BadDataError:
        query, item = shown(found.query[place].decode()), shown(found.item[place].decode())
        return found.error(place, f"{item} was judged before for query {query} ({found.where(before)})")

    if not len(found.query):
        raise BadDataError(
            f"{source} holds no judgements", "Are runs and judgements swapped, or is it cut off?"
        )
    return gathered(found.query, found.item, found.rel, twice)


def _parsed(path: str, source: str) -> Judgements:
    """The judgements of a file in its order."""
    with open_input(path) as file:
        data = file.read().removeprefix(BOM)
    return (parse_json if data.lstrip()[:1] == b"{" else parse_lines)(data, source)
