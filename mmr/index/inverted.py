"""sparse, sparse:bm25: inverted lists propose, what the items hold is scored exactly.

A list's bytes are off by a known amount, so that everything that may be among the best is proposed: the
answer is that of comparing all items. Counts of words are exact in the lists. N, the mean length and the
number of items that have a word are of the live items of the whole index, whatever segments it has and
whatever a query leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.arrays.bm25 import Saturated, idf, norms
from mmr.arrays.sparse import Inverted, Plain, proposed
from mmr.arrays.terms import LARGEST, Places, scores
from mmr.arrays.topk import Nearest, ranked
from mmr.index import search as plain
from mmr.index.coded import Coded, damaged
from mmr.index.sparse import Terms, sound
from mmr.index.table import adapter
from mmr.index.termfile import map_lists, name_of, write_lists

if TYPE_CHECKING:
    from mmr.arrays.topk import Rows
    from mmr.index import Index, Segment
    from mmr.index.search import Wanted
    from mmr.index.table import Params
    from mmr.stream.records import Record

Weighed = Plain | Saturated


class Lists(Coded):
    """Term by term the items that have it; nothing is trained, and nothing is guessed."""

    suffix: str | None = "lists"

    def size(self, dim: int, rows: int, params: Params) -> int:
        """0: what a file takes depends on its terms."""
        return 0

    def write(self, held: Any, params: Params, file: Path, trained: Path | None) -> None:
        """Invert the bags of a segment into `file`."""
        write_lists(held, file)

    def of(self, segment: Segment) -> Inverted | None:
        """The mapped lists of a segment; None where it has none, or a merge took them away."""
        if segment.structure is None:
            return None
        try:
            return map_lists(segment.structure, sound(segment))
        except FileNotFoundError:
            return None


class Query(NamedTuple):
    """The terms of a query that have a weight, ascending by UTF-8, and their weights."""

    names: list[bytes]
    weights: Any


class Asked:
    """What queries are compared with: the segments of one state of an index.

    Raises `BadDataError` where a file is found damaged while it is used.
    """

    def __init__(self, content: Terms, index: Index, exact: bool = False) -> None:
        self._content, self._counted, self._params = content, content.field == "text", index.meta.params
        self.segments = index.segments()
        kind: Any = adapter(index.meta.kind)
        self.lists = [None if exact else kind.of(segment) for segment in self.segments]
        self._holding: dict[bytes, int] = {}
        self._norms = self._of_lengths() if self._counted else []

    def _of_lengths(self) -> list[Any]:
        """What the length of every item adds to its counts, a segment each."""
        columns = [np.asarray(sound(segment).lengths, np.float64) for segment in self.segments]
        live = [column[segment.live] for column, segment in zip(columns, self.segments, strict=True)]
        self._items = sum(len(column) for column in live)
        mean = float(sum(column.sum() for column in live)) / max(self._items, 1)
        k1, b = (float(self._params[name]) for name in ("k1", "b"))
        return [norms(column, mean, k1, b) for column in columns]

    def query(self, record: Record) -> Query:
        """The terms of a query; of words, how often each is asked for times what it weighs."""
        bag = sorted(self._content.bag(record, -LARGEST).items())
        names = [name for name, _ in bag]
        weights = np.array([weight for _, weight in bag], np.float64)
        if self._counted and names:
            weights = weights * idf(np.array([self._have(name) for name in names], np.float64), self._items)
        return Query(names, weights)

    def _have(self, name: bytes) -> int:
        """How many live items have a word."""
        if name not in self._holding:
            self._holding[name] = sum(
                map(self._have_in, range(len(self.segments)), [name] * len(self.segments))
            )
        return self._holding[name]

    def _have_in(self, part: int, name: bytes) -> int:
        segment, lists = self.segments[part], self.lists[part]
        held = sound(segment)
        places = held.vocabulary.find([name])
        if places[0] < 0:
            return 0
        if lists is not None:
            return int(segment.live[lists.postings(places)[0]].sum())
        return sum(int(segment.live[part.start + item[terms == places[0]]].sum())
                   for part, item, terms, _ in held.blocks(np.arange(segment.rows)))  # fmt: skip

    def weighed(self, part: int, query: Query) -> tuple[Places, Weighed]:
        """The terms of a query that a segment has, ascending, and what each adds."""
        places = sound(self.segments[part]).vocabulary.find(query.names)
        known = np.flatnonzero(places >= 0)
        weights = query.weights[known]
        if self._counted:
            return places[known], Saturated(weights, self._norms[part], float(self._params["k1"]))
        return places[known], Plain(weights)

    def best(self, part: int, query: Query, k: int, allowed: Rows | None) -> tuple[Rows, Any]:
        """The items of a segment that may be among the k best, of those allowed, and their scores."""
        segment, lists, held = self.segments[part], self.lists[part], sound(self.segments[part])
        places, adds = self.weighed(part, query)
        if not len(places):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        few = allowed is not None and 20 * len(allowed) < segment.rows
        if lists is None or few:
            rows = np.arange(segment.rows) if allowed is None else allowed
            score, shares = scores(held, places, adds, rows)
            rows, score = rows[shares], score[shares]
        else:
            dead = None
            if allowed is not None:
                dead = np.ones(segment.rows, bool)
                dead[allowed] = False
            rows, score = proposed(lists, places, adds, k, dead)
            if not self._counted:
                score, _ = scores(held, places, adds, rows)
        found = score.astype(np.float32)
        if len(rows) > k > 0:
            good = found >= np.partition(found, len(found) - k)[len(found) - k]
            rows, found = rows[good], found[good]
        return rows, found

    def shares(self, part: int, query: Query, row: int) -> dict[str, float]:
        """What each term that a query and an item share adds to the score, the most first."""
        held = sound(self.segments[part])
        places, adds = self.weighed(part, query)
        (_, _, terms, weights), = held.blocks(np.array([row]))  # fmt: skip
        shared = np.flatnonzero(np.isin(terms, places))
        which = np.searchsorted(places, terms[shared])
        values = adds(weights[shared].astype(np.float64), which, np.full(len(shared), row))
        found = zip(held.vocabulary.words(terms[shared]), values.tolist(), strict=True)
        return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def places(content: Terms, index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Nearest]:
    """Where the hits of queries are, and their scores, (hits,) a query, best first.

    Only items that share a term with a query are found. Raises `BadDataError` for a file that is damaged.
    """
    segments = index.segments()
    allowed = plain.allowed_rows(index, segments, wanted.where)
    names = plain.names_of(index, segments)
    try:
        asked = Asked(content, index, wanted.exact)
        found = []
        for record in queries:
            rows = allowed
            excluded = plain.rows_of(index, plain.excluded_names(record, wanted))
            if excluded or "among" in record:
                among = plain.rows_of(index, record["among"]) if "among" in record else None
                rows = plain.narrowed(segments, allowed, among, excluded)
            query = asked.query(record)
            columns = [asked.best(part, query, wanted.k, mine) for part, mine in enumerate(rows)]
            found.append(_merged(columns, wanted.k, names))
    except ValueError as error:
        raise damaged(index.path / name_of(segments[0].number)) from error
    return found


def _merged(columns: Sequence[tuple[Rows, Any]], k: int, names: Any) -> Nearest:
    """The k best of what segments gave."""
    none = np.empty(0, np.int64)
    part = np.concatenate([none, *(np.full(len(rows), number) for number, (rows, _) in enumerate(columns))])
    row = np.concatenate([none, *(rows for rows, _ in columns)])
    score = np.concatenate([np.empty(0, np.float32), *(score for _, score in columns)])
    order, _ = ranked(np.zeros(len(score), np.int64), part, row, score, names)
    best = order[:k]
    return Nearest(part[best], row[best], score[best])
