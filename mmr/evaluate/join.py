"""Rankings meet judgements: a run becomes blocks of `Judged`, with memory for a block of it and the qrels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmr.errors import BadDataError, shown
from mmr.evaluate.candidates import Candidates, of_groups
from mmr.evaluate.judged import Floats, Ints, Judged
from mmr.evaluate.qrels import Qrels
from mmr.evaluate.runs import Rankings, read_rankings
from mmr.evaluate.ties import equal_to_previous, reordered
from mmr.stream.compressed import is_regular, open_input
from mmr.stream.ranking import order_by_score
from mmr.stream.spans import Bools, Hashes, Lookup, Spans, hashed, joint, ranges, repeated

Sets = Mapping[str, Collection[str]]


class NotGrouped(BadDataError):  # noqa: N818 - a reader of a file may start again with `whole`
    """The lines of a query do not stand together in a file that can be read again as a whole."""


@dataclass(frozen=True)
class Joining:
    """How rankings are judged; see `judged_blocks`."""

    ties: str | None = None
    precision: str = "f32"
    scores: bool = False
    fields: Sequence[str] = ()
    removed: Sets | None = None
    among: Sets | None = None
    only: bool = False
    judged_only: bool = False


def judged_blocks(
    run: str, qrels: Qrels, *, ties: str | None = None, precision: str = "f32", scores: bool = False,
    fields: Sequence[str] = (), removed: Sets | None = None, among: Sets | None = None, only: bool = False,
    judged_only: bool = False, renamed: Callable[[str], str] | None = None, whole: bool = False,
    source: str = "",
) -> Reading:  # fmt: skip
    """Judge a run, block by block, in the order of its queries; `-` is standard input, gzip is unpacked.

    ties       "docid-desc", "docid-asc", "input", "average", "best" or "worst"; None is docid-desc for a TREC
               run and the order of the list for hits, which the last three start from as well
    precision  "f32" or "f64": what makes two scores equal
    scores     keep the score of every hit, as it was written (float64, not rounded to `precision`)
    fields     of the query records, to be kept
    removed    query -> items that are taken out before places are counted
    among      query -> its candidates, before those that its record names: `Judged.among` ranks nothing else.
               With `only` the ranking itself is cut to them. A query without any stays whole
    judged_only  unjudged items are taken out before places are counted
    renamed    turns the id of each hit into the id of the judgements
    whole      read a TREC run as one block, whatever the order of its lines
    source     what messages call the run, where that is not its path

    Raises `NotGrouped` in the middle where a file needs `whole`, `BadDataError` naming file, line and column
    for bad lines, for an item twice in a ranking and for hits of a query that had some before.
    """
    joining = Joining(ties, precision, scores, tuple(fields), removed, among, only, judged_only)
    return Reading(run, qrels, joining, renamed, whole, source)


class Reading(Iterator[Judged]):
    """The blocks of a run, and what was found as far as it was read.

    unknown  how many of its queries have no judgements
    listed   whether it is hits, in an order of their own
    example  the id of some item that it ranks
    familiar  whether it ranks an item that is judged, for whatever query
    """

    def __init__(
        self, run: str, qrels: Qrels, joining: Joining, renamed: Callable[[str], str] | None, whole: bool,
        source: str,
    ) -> None:  # fmt: skip
        self._run = run
        self._source = source or ("stdin" if run == "-" else shown(run))
        self._qrels = qrels
        self._joining = joining
        self._renamed = renamed
        self._whole = whole
        self._seen = np.zeros(len(qrels), np.bool_)
        self._strangers: set[bytes] = set()
        self.listed = False
        self.example: str | None = None
        self.familiar = False
        self._judged_items: Hashes | None = None
        self._blocks = self._all()

    @property
    def unknown(self) -> int:
        return len(self._strangers)

    def __next__(self) -> Judged:
        return next(self._blocks)

    def _all(self) -> Iterator[Judged]:
        join = _Join(self._qrels, self._joining)
        with open_input(self._run) as file:
            found = read_rankings(
                file, self._source, fields=self._joining.fields, renamed=self._renamed, whole=self._whole
            )
            for rankings in found:
                self.listed = rankings.listed
                if len(rankings.items) and self.example is None:
                    self.example = rankings.items[0].decode()
                place = self._qrels.find(rankings.queries)
                self._check_new(rankings, place)
                if (place >= 0).any():
                    judged = join.judged(rankings, place)
                    self.familiar = self.familiar or len(judged.rank) > 0
                    yield judged
                else:
                    join.check(rankings)
                self.familiar = self.familiar or self._is_familiar(rankings.items)

    def _is_familiar(self, items: Spans) -> bool:
        """Whether any item has a judgement, of whatever query."""
        if self._judged_items is None:
            self._judged_items = np.sort(self._qrels.hash)
        found = hashed(items)
        at = np.searchsorted(self._judged_items, found)
        inside = at < len(self._judged_items)
        return bool((self._judged_items[at[inside]] == found[inside]).any())

    def _check_new(self, rankings: Rankings, place: Ints) -> None:
        """Raise unless each query comes for the first time. `place` is its place in the qrels, or -1."""
        known = np.flatnonzero(place >= 0)
        order = np.argsort(place[known], kind="stable")
        later = np.zeros(len(known), np.bool_)
        later[order[1:]] = np.diff(place[known][order]) == 0
        again = known[later | self._seen[place[known]]]
        if len(again):
            raise self._twice(rankings, int(again[0]))
        self._seen[place[known]] = True
        for group in np.flatnonzero(place < 0).tolist():
            name = rankings.queries[group]
            if rankings.listed and name in self._strangers:
                raise self._twice(rankings, group)
            self._strangers.add(name)

    def _twice(self, rankings: Rankings, group: int) -> BadDataError:
        name = shown(rankings.queries[group].decode())
        where = f"{rankings.source} line {rankings.query_line[group]}"
        if rankings.listed:
            return BadDataError(f"{where}: query {name} came before", "Give each query one record.")
        what = f"{where}, column 1: the lines of query {name} do not stand together"
        kind = NotGrouped if is_regular(self._run) else BadDataError
        return kind(what, "Sort the run by its first column: `sort -s -k1,1`.")


@dataclass(frozen=True)
class _Lines:
    """Hits of all queries of a block, those of a query together, and which of them are judged.

    group, item, score, hash  (n,)
    hit, rel                  (m,) the judged ones among the n, ascending, and their judgements
    """

    group: Ints
    item: Spans
    score: Floats
    hash: Hashes
    hit: Ints
    rel: Ints

    def cut(self, keep: Bools) -> _Lines:
        """Without the hits that are not kept; the others move up."""
        stays = keep[self.hit]
        moved = np.cumsum(keep) - 1
        return _Lines(
            self.group[keep], self.item.take(keep), self.score[keep], self.hash[keep],
            moved[self.hit[stays]], self.rel[stays],
        )  # fmt: skip


class _Join:
    """Judges rankings by one set of judgements, in one way."""

    def __init__(self, qrels: Qrels, joining: Joining) -> None:
        self._qrels = qrels
        self._how = joining
        self._candidates = Candidates()

    def check(self, rankings: Rankings) -> Hashes:
        """The hashes of items; raises `BadDataError` where one query has one twice."""
        group = _owners(rankings.start)
        hashes = hashed(rankings.items)
        again = repeated(rankings.items, joint(hashes, group))
        if again is not None:
            raise rankings.twice(*again)
        return hashes

    def judged(self, rankings: Rankings, place: Ints) -> Judged:
        """Judge the queries of a block that have judgements; `place` is where, -1 of the others."""
        hashes = self.check(rankings)
        self._check_scores(rankings, place)
        lines = self._matched(rankings, hashes, place)
        known = np.flatnonzero(place >= 0)
        queries = rankings.queries.take(known).texts()
        if len(known) < len(place):
            lines = lines.cut((place >= 0)[lines.group])
            number = np.cumsum(place >= 0) - 1
            lines = replace(lines, group=number[lines.group])
        if self._how.removed:
            sets = [self._how.removed.get(query) for query in queries]
            inside = of_groups(self._candidates, sets, lines.group, lines.item, lines.hash)
            lines = lines.cut(~inside)
        if self._how.judged_only:
            kept = np.zeros(len(lines.group), np.bool_)
            kept[lines.hit] = True
            lines = lines.cut(kept)
        among = None
        sets = self._sets(rankings, queries, known)
        if self._how.among or any(one is not None for one in sets):
            inside = of_groups(self._candidates, sets, lines.group, lines.item, lines.hash)
            inside |= np.array([one is None for one in sets])[lines.group]
            among = lines.cut(inside)
        if self._how.only:
            lines, among = among or lines, None
        fields = {
            name: [values[group] for group in known.tolist()] for name, values in rankings.fields.items()
        }
        for name in self._how.fields:
            fields.setdefault(name, [None] * len(known))
        pool = _pool(self._qrels, place[known])
        found = self._placed(lines, queries, pool, rankings.listed)
        inner = self._placed(among, queries, pool, rankings.listed) if among is not None else None
        found = replace(found, fields=fields, among=inner)
        return reordered(found, self._how.ties) if self._how.ties in ("best", "worst") else found

    def _check_scores(self, rankings: Rankings, place: Ints) -> None:
        """Raise where hits of judged queries lack the scores that the order or a measure needs."""
        sorts = self._how.ties in ("docid-desc", "docid-asc")
        if not (self._how.scores or sorts):
            return
        lacking = np.flatnonzero(np.isnan(rankings.score) & (place >= 0)[_owners(rankings.start)])
        if len(lacking):
            hit = int(lacking[0])
            group = int(np.searchsorted(rankings.start, hit, side="right")) - 1
            why = f"--ties {self._how.ties} sorts by it" if sorts else "a measure needs it"
            where = f"{rankings.source} line {rankings.line[hit]}"
            number = hit - int(rankings.start[group]) + 1
            raise BadDataError(f"{where}: hit {number} has no score, and {why}", "`mmr query` writes scores.")

    def _matched(self, rankings: Rankings, hashes: Hashes, place: Ints) -> _Lines:
        """The hits with their judgements, those of unknown queries included."""
        group = _owners(rankings.start)
        known = np.flatnonzero(place >= 0)
        begin = self._qrels.start[place[known]]
        count = self._qrels.start[place[known] + 1] - begin
        rows = ranges(begin, count)
        keys = joint(self._qrels.hash[rows], np.repeat(known, count))
        lookup = Lookup(self._qrels.items.take(rows), keys)
        hit, which = lookup.find(rankings.items, joint(hashes, group))
        rel = self._qrels.rel[rows[which]].astype(np.int64)
        return _Lines(group, rankings.items, rankings.score, hashes, hit, rel)

    def _sets(self, rankings: Rankings, queries: Sequence[str], known: Ints) -> list[Collection[str] | None]:
        """Of each query its candidates: those that were given, else those of its record."""
        own = rankings.among or [None] * len(rankings.queries)
        given = self._how.among or {}
        return [given.get(query, own[group]) for query, group in zip(queries, known.tolist(), strict=True)]

    def _placed(self, lines: _Lines, queries: Sequence[str], pool: tuple[Ints, Ints], listed: bool) -> Judged:
        """Put hits in order and number them."""
        score = lines.score
        if self._how.precision == "f32":
            with np.errstate(over="ignore"):
                score = score.astype(np.float32)
        ties = self._how.ties or ("input" if listed else "docid-desc")
        if listed:
            order = None if ties not in ("docid-desc", "docid-asc") else (
                order_by_score(score, lines.group, lines.item, ties)
            )  # fmt: skip
        else:
            order = order_by_score(score, lines.group, lines.item, ties)
        retrieved = np.bincount(lines.group, minlength=len(queries))
        start = np.concatenate([[0], np.cumsum(retrieved)]).astype(np.int64)
        place, rel = lines.hit, lines.rel
        if order is not None:
            where = np.empty(len(order), np.int64)
            where[order] = np.arange(len(order))
            by_place = np.argsort(where[place], kind="stable")
            place, rel, score = where[place][by_place], rel[by_place], score[order]
        begin = start[lines.group[place]]
        first, last = _equal_places(equal_to_previous(score, lines.group), place)
        scores = np.empty(0, np.float64)
        if self._how.scores:
            scores = lines.score if order is None else lines.score[order]
        bounds = np.searchsorted(place, start)
        return Judged(
            queries, bounds, place - begin + 1, rel, first - begin + 1, last - begin + 1, retrieved,
            pool[0], pool[1], start, scores, average=self._how.ties == "average",
        )  # fmt: skip


def _equal_places(same: Bools, place: Ints) -> tuple[Ints, Ints]:
    """Of some places the first and the last place of equal scores around them."""
    if not same.any():
        return place, place
    begins = np.flatnonzero(~same)
    run = np.searchsorted(begins, place, side="right") - 1
    return begins[run], np.append(begins, len(same))[run + 1] - 1


def _owners(start: Ints) -> Ints:
    """(n,): the number of the query that each hit belongs to."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start))


def _pool(qrels: Qrels, place: Ints) -> tuple[Ints, Ints]:
    """Bounds and values of all judgements of some queries."""
    count = qrels.start[place + 1] - qrels.start[place]
    rows = ranges(qrels.start[place], count)
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int64), qrels.rel[rows].astype(np.int64)


def empty_block(qrels: Qrels, queries: Sequence[str]) -> Judged:
    """Queries of the judgements without any ranking, of the whole gallery or of their own candidates."""
    place = qrels.find(Spans.of(query.encode() for query in queries))
    pool_start, pool = _pool(qrels, place)
    none, zeros = np.empty(0, np.int64), np.zeros(len(queries), np.int64)
    bounds = np.zeros(len(queries) + 1, np.int64)
    block = Judged(
        queries, bounds, none, none, none, none, zeros, pool_start, pool, bounds, np.empty(0, np.float64)
    )
    return replace(block, among=block)
