"""sparse, sparse:bm25: inverted lists propose, what the items hold is scored exactly.

A list's bytes are off by a known amount, so that everything that may be among the best is proposed: the
answer is that of comparing all items. Counts of words are exact in the lists. N, the mean length and the
number of items that have a word are of the live items of the whole index, whatever segments it has and
whatever a query leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from mmr.arrays.bm25 import Saturated, idf, norms
from mmr.arrays.sparse import Inverted, Plain, proposed
from mmr.arrays.terms import LARGEST, Places, Wide, scores
from mmr.arrays.topk import Nearest, ranked
from mmr.errors import UsageError, shown
from mmr.index import search as plain
from mmr.index.coded import Coded, damaged
from mmr.index.sparse import Terms, of
from mmr.index.table import adapter
from mmr.index.termfile import map_lists, name_of, reading, write_lists

if TYPE_CHECKING:
    from mmr.arrays.topk import Floats, Rows
    from mmr.index import Index, Segment
    from mmr.index.search import Wanted
    from mmr.index.table import Params
    from mmr.stream.records import Record

SAID = 8  # terms that a line names
FEW = 20  # items are looked at one by one where fewer than one in so many may come


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
            found: Inverted = self._opened(segment.structure)
        except FileNotFoundError:
            return None
        held = of(segment)
        if (found.items, len(found.scales), len(found.rows)) != (
            len(held), len(held.vocabulary), len(held.terms)
        ):  # fmt: skip
            raise damaged(segment.structure)
        return found

    def map(self, file: Path) -> Inverted:
        """Open lists by mapping."""
        return map_lists(file)


class Query(NamedTuple):
    """The terms of a query that have a weight, ascending by UTF-8, and their weights."""

    names: list[bytes]
    weights: Wide


class Held:
    """A segment as it is compared: its bags, and its lists where it has some and they are wanted.

    norms  (n,) what the length of every item adds to its counts, and k1, of words; else None
    """

    def __init__(self, segment: Segment, lists: Inverted | None) -> None:
        self.segment, self.lists, self.bags = segment, lists, of(segment)
        self.norms: tuple[Wide, float] | None = None
        self._have: Places | None = None

    def reading(self) -> AbstractContextManager[None]:
        """What names the file of bags where it is found to be damaged."""
        return reading(self.segment.folder / name_of(self.segment.number))

    def proposing(self) -> AbstractContextManager[None]:
        """The same of the lists."""
        assert self.segment.structure is not None
        return reading(self.segment.structure)

    def have(self, name: bytes) -> int:
        """How many live items have a word."""
        with self.reading():
            place = self.bags.vocabulary.find([name])
            if place[0] < 0:
                return 0
            if self.lists is None:
                return int(self._counted()[place[0]])
        with self.proposing():
            return int(self.segment.live[self.lists.postings(place)[0]].sum())

    def _counted(self) -> Places:
        """How many live items have each word, by looking at all."""
        if self._have is None:
            self._have = np.zeros(len(self.bags.vocabulary), np.int64)
            for _, _, terms, _ in self.bags.blocks(np.flatnonzero(self.segment.live)):
                self._have += np.bincount(terms, minlength=len(self._have))
        return self._have

    def weighed(self, query: Query) -> tuple[Places, Plain | Saturated]:
        """The terms of a query that the segment has, ascending, and what each adds."""
        places = self.bags.vocabulary.find(query.names)
        known = np.flatnonzero(places >= 0)
        places, weights = places[known], query.weights[known]
        return places, Plain(weights) if self.norms is None else Saturated(weights, *self.norms)

    def best(self, query: Query, k: int, allowed: Rows | None) -> tuple[Rows, Floats]:
        """The items that may be among the k best, of those allowed, and their scores as float32."""
        with self.reading():
            places, adds = self.weighed(query)
            few = allowed is not None and FEW * len(allowed) < self.segment.rows
            if not len(places) or self.lists is None or few:
                rows = np.arange(self.segment.rows) if allowed is None else allowed
                rows = rows if len(places) else rows[:0]
                score, shares = scores(self.bags, places, adds, rows)
                return _first(rows[shares], score[shares], k)
        dead = None
        if allowed is not None:
            dead = np.ones(self.segment.rows, bool)
            dead[allowed] = False
        with self.proposing():
            rows, score = proposed(self.lists, places, adds, k, dead)
        if self.norms is None:
            with self.reading():
                score, _ = scores(self.bags, places, adds, rows)
        return _first(rows, score, k)

    def shares(self, query: Query, row: int) -> dict[str, float]:
        """What each term that a query and an item share adds to the score, the most first."""
        with self.reading():
            places, adds = self.weighed(query)
            (_, _, terms, weights), = self.bags.blocks(np.array([row]))  # fmt: skip
            shared = np.flatnonzero(np.isin(terms, places))
            which = np.searchsorted(places, terms[shared])
            values = adds(weights[shared].astype(np.float64), which, np.full(len(shared), row))
            found = zip(self.bags.vocabulary.words(terms[shared]), values.astype(np.float32), strict=True)
            return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))


class Asked:
    """What queries are compared with: the segments of one state of an index.

    parts  the segments; with `exact` every item is looked at, and not the lists
    """

    def __init__(self, content: Terms, index: Index, wanted: Wanted) -> None:
        self._content = content
        kind = cast("Lists", adapter(index.meta.kind))
        self.parts = [Held(one, None if wanted.exact else kind.of(one)) for one in index.segments()]
        self._holding: dict[bytes, int] = {}
        self._items = 0
        if content.field == "text":
            params = {**index.meta.params, **(wanted.knobs or {})}
            self._measure(float(params["k1"]), float(params["b"]))

    def _measure(self, k1: float, b: float) -> None:
        """Count the live texts, and take what the length of every text adds to its counts."""
        total, columns = 0.0, []
        for part in self.parts:
            columns.append(np.asarray(part.bags.lengths, np.float64))
            live = columns[-1][part.segment.live]
            self._items, total = self._items + len(live), total + float(live.sum())
        for part, column in zip(self.parts, columns, strict=True):
            part.norms = norms(column, total / max(self._items, 1), k1, b), k1

    def query(self, record: Record) -> Query:
        """The terms of a query; of words, how often each is asked for times what it weighs."""
        bag = sorted(self._content.bag(record, -LARGEST).items())
        names, weights = [name for name, _ in bag], np.array([weight for _, weight in bag], np.float64)
        if self._content.field == "text":
            for name in names:
                if name not in self._holding:
                    self._holding[name] = sum(part.have(name) for part in self.parts)
            weights = weights * idf(
                np.array([self._holding[name] for name in names], np.float64), self._items
            )
        return Query(names, weights)


def places(content: Terms, index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Nearest]:
    """Where the hits of queries are, and their scores, (hits,) a query, best first.

    Only items that share a term with a query are found. Raises `BadDataError` for a file that is damaged.
    """
    if wanted.with_vectors and content.field == "text":
        raise UsageError(
            f"--with-vectors: {shown(index.path.name)} holds words and no vectors.", "Leave it out."
        )
    segments = index.segments()
    allowed = plain.allowed_rows(index, segments, wanted.where)
    names = plain.names_of(index, segments)
    asked, found = Asked(content, index, wanted), []
    for record in queries:
        rows = allowed
        excluded = plain.rows_of(index, plain.excluded_names(record, wanted))
        if excluded or "among" in record:
            among = plain.rows_of(index, record["among"]) if "among" in record else None
            rows = plain.narrowed(segments, allowed, among, excluded)
        query = asked.query(record)
        columns = [part.best(query, wanted.k, mine) for part, mine in zip(asked.parts, rows, strict=True)]
        found.append(_merged(columns, wanted.k, names))
    return found


def whys(
    content: Terms, index: Index, queries: Sequence[Record], found: Sequence[Nearest], wanted: Wanted
) -> list[list[dict[str, Any]]]:
    """What each term that a hit shares with its query adds to its score, the most first."""
    asked = Asked(content, index, wanted)
    answers = []
    for record, one in zip(queries, found, strict=True):
        query = asked.query(record)
        pairs = zip(one.part.tolist(), one.row.tolist(), strict=True)
        shares = [asked.parts[part].shares(query, row) for part, row in pairs]
        answers.append([{"terms": share, "why": line(share)} for share in shares])
    return answers


def line(shares: Mapping[str, float]) -> str:
    """The terms of a hit in one line: the first 8, and how many more.

    >>> line({"red": 0.75, "car": 0.5})
    'red 0.7500, car 0.5000'
    """
    said = [f"{name} {share:.4f}" for name, share in list(shares.items())[:SAID]]
    more = len(shares) - len(said)
    return ", ".join([*said, f"{more} more"] if more else said)


def _first(rows: Rows, score: Wide, k: int) -> tuple[Rows, Floats]:
    """The k best, and those that tie with the k-th as float32."""
    found = score.astype(np.float32)
    if len(rows) > k > 0:
        good = found >= np.partition(found, len(found) - k)[len(found) - k]
        rows, found = rows[good], found[good]
    return rows, found


def _merged(columns: Sequence[tuple[Rows, Floats]], k: int, names: Any) -> Nearest:
    """The k best of what segments gave."""
    none = np.empty(0, np.int64)
    part = np.concatenate([none, *(np.full(len(rows), number) for number, (rows, _) in enumerate(columns))])
    row = np.concatenate([none, *(rows for rows, _ in columns)])
    score = np.concatenate([np.empty(0, np.float32), *(score for _, score in columns)])
    order, _ = ranked(np.zeros(len(score), np.int64), part, row, score, names)
    best = order[:k]
    return Nearest(part[best], row[best], score[best])
