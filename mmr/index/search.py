"""Search: every segment exactly or by its structure, rescored, merged in the one order, made into hits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.arrays.refine import near
from mmr.arrays.topk import Floats, Nearest, Part, Rows, corrected, exact_scores, nearest, ranked
from mmr.index.coded import damaged
from mmr.index.region import BOXES, region
from mmr.index.table import adapter

if TYPE_CHECKING:
    from mmr.index import Index, Segment
    from mmr.index.table import Params
    from mmr.stream.records import Record

FEW = 100
CORRECTED = (4, 60)  # candidates a hit, and more, of a corrected index: what comes up may lie deep
HIT_FIELDS = ("image", "text")


class Wanted(NamedTuple):
    """What a search shall give.

    k             hits a query
    min_score     lowest score of a hit, or None
    where         (field, value) pairs that an item must have
    fields        stored fields that a hit carries
    with_vectors  whether hits carry their vectors
    exact         compare every vector, whatever the kind
    exclude_self  leave out the item that the query is (same id, path or digest)
    refine        candidates a hit that are compared exactly; None for what the index says
    knobs         parameters of the kind that a search alone uses, in the place of the index's
    raw           leave out the correction that the index holds
    regions       whether hits say which of their several vectors was found
    explain       whether hits say what their score is made of
    """

    k: int = 10
    min_score: float | None = None
    where: tuple[tuple[str, str], ...] = ()
    fields: tuple[str, ...] = HIT_FIELDS
    with_vectors: bool = False
    exact: bool = False
    exclude_self: bool = False
    refine: int | None = None
    knobs: Params | None = None
    raw: bool = False
    regions: bool = False
    explain: bool = False


Answer = list[dict[str, Any]]
Places = dict[int, Rows]


def search(index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Answer]:
    """Find the hits of each query, best first.

    queries  records with a unit `vector` (d,), or with a `recipe` over unit `bindings`, and, if they like,
             `exclude` and `among`
    returns  a list of hits a query: `id`, `score` (float32) and the stored fields asked for

    Scores are corrected where the index holds a correction and its bank was of the query's modality.
    Dead rows, `where`, `exclude` and `among` never cost a hit: there are min(k, allowed items) of them
    unless `min_score` cuts.
    """
    return _hits(index, index.segments(), queries, places(index, queries, wanted), wanted)


def places(index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Nearest]:
    """Where the hits of each query are, and their scores: what `search` looks up, (hits,) a query."""
    if index.is_mixed():
        from mmr.index import bridge

        return bridge.places(index, queries, wanted, _search)
    return index.content.places(index, queries, wanted)


def by_vectors(index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Nearest]:
    """The same of items that have one vector each."""
    segments, held = index.segments(), index.correction()
    joined = [i for i, query in enumerate(queries) if "recipe" in query]
    if joined:
        return _with_recipes(index, queries, wanted, joined)
    raw = [
        i for i, query in enumerate(queries) if held is not None and (wanted.raw or not held.is_for(query))
    ]
    if not raw:
        return _search(index, segments, queries, wanted)
    plain = [segment._replace(numbers=None) for segment in segments]
    found: dict[int, Nearest] = {}
    for members, over in ((raw, plain), (sorted(set(range(len(queries))) - set(raw)), segments)):
        answers = _search(index, over, [queries[i] for i in members], wanted)
        found.update(zip(members, answers, strict=True))
    return [found[i] for i in range(len(queries))]


def _with_recipes(
    index: Index, queries: Sequence[Record], wanted: Wanted, joined: Sequence[int]
) -> list[Nearest]:
    """The same where some queries have a recipe; these are scored by cosines, not corrected."""
    from mmr.index import recipes

    others = sorted(set(range(len(queries))) - set(joined))
    found = dict(zip(others, by_vectors(index, [queries[i] for i in others], wanted), strict=True))
    cosines = [segment._replace(numbers=None) for segment in index.segments()]
    mine = recipes.places(index, cosines, [queries[i] for i in joined], wanted)
    found.update(zip(joined, mine, strict=True))
    return [found[i] for i in range(len(queries))]


def _search(
    index: Index, segments: Sequence[Segment], queries: Sequence[Record], wanted: Wanted
) -> list[Nearest]:
    allowed = allowed_rows(index, segments, wanted.where)
    names = names_of(index, segments)
    excluded = [rows_of(index, excluded_names(query, wanted)) for query in queries]
    alone = [i for i, query in enumerate(queries) if "among" in query or _count(excluded[i]) > FEW]
    together = sorted(set(range(len(queries))) - set(alone))
    found: dict[int, Nearest] = {}
    for members in _alike(together, excluded, segments, wanted.exact):
        extra = max(_count(excluded[i]) for i in members)
        vectors = np.stack([queries[i]["vector"] for i in members]).astype(np.float32, copy=False)
        answer = find(segments, allowed, vectors, wanted.k + extra, names, index, wanted)
        for place, i in enumerate(members):
            found[i] = _without(answer, place, segments, excluded[i], wanted.k)
    for i in alone:
        among = rows_of(index, queries[i]["among"]) if "among" in queries[i] else None
        rows = narrowed(segments, allowed, among, excluded[i])
        vector = np.asarray(queries[i]["vector"], np.float32)[None]
        answer = find(segments, rows, vector, wanted.k, names, index, wanted)
        found[i] = _without(answer, 0, segments, {}, wanted.k)
    return [found[i] for i in range(len(queries))]


def _alike(
    queries: Sequence[int], excluded: Sequence[Places], segments: Sequence[Segment], exact: bool
) -> list[list[int]]:
    """The queries that may be searched as one batch; how far a graph is walked depends on nothing else."""
    walks = not exact and any(segment.structure is not None for segment in segments)
    groups: dict[int, list[int]] = {}
    for i in queries:
        groups.setdefault(_count(excluded[i]) if walks else 0, []).append(i)
    return list(groups.values())


def allowed_rows(
    index: Index, segments: Sequence[Segment], where: Sequence[tuple[str, str]]
) -> list[Rows | None]:
    """The rows of each segment that live and fit `where`; None for all."""
    masks = [segment.live.copy() for segment in segments]
    for field, value in where:
        fitting = index.rows_where(field, value)
        for mask, segment in zip(masks, segments, strict=True):
            chosen = np.zeros(len(mask), bool)
            chosen[fitting.get(segment.number, np.empty(0, np.int64))] = True
            mask &= chosen
    return [None if mask.all() else np.flatnonzero(mask) for mask in masks]


def narrowed(
    segments: Sequence[Segment], allowed: Sequence[Rows | None], among: Places | None, excluded: Places
) -> list[Rows | None]:
    """The allowed rows of each segment that are `among` those, where that is given, and not excluded."""
    narrowed: list[Rows | None] = []
    none = np.empty(0, np.int64)
    for segment, rows in zip(segments, allowed, strict=True):
        left = np.arange(segment.rows) if rows is None else rows
        if among is not None:
            left = np.intersect1d(left, among.get(segment.number, none))
        narrowed.append(np.setdiff1d(left, excluded.get(segment.number, none)))
    return narrowed


def names_of(index: Index, segments: Sequence[Segment]) -> Any:
    """What gives the ids of rows: (part numbers, rows) -> ids."""

    def names(part: Rows, row: Rows) -> list[str]:
        found = np.empty(len(part), object)
        for number in np.unique(part):
            mine = part == number
            found[mine] = index.ids(segments[number].number, row[mine])
        return list(found)

    return names


def excluded_names(query: Record, wanted: Wanted) -> list[str]:
    """The ids, paths and digests that a query must not find."""
    names = list(query.get("exclude", ()))
    if wanted.exclude_self:
        names += [query[name] for name in ("id", "image", "digest") if isinstance(query.get(name), str)]
    return names


def rows_of(index: Index, names: Sequence[str]) -> Places:
    """The rows of items by id, path or digest, a segment each."""
    return index.rows_named(names) if names else {}


def _count(places: Places) -> int:
    return sum(len(rows) for rows in places.values())


def find(
    segments: Sequence[Segment], allowed: Sequence[Rows | None], queries: Floats, k: int, names: Any,
    index: Index, wanted: Wanted,
) -> Nearest:  # fmt: skip
    """The k nearest over all segments: structures propose where there are some, the rest is compared.

    A structure that a merge took away since the index was opened is done without.
    """
    walked = [i for i, segment in enumerate(segments) if segment.structure is not None and not wanted.exact]
    walked = [i for i in walked if not _is_few(segments[i], allowed[i], k)]
    parts = [
        Part(segment.vectors, np.empty(0, np.int64) if i in walked else rows, segment.numbers)
        for i, (segment, rows) in enumerate(zip(segments, allowed, strict=True))
    ]
    answer = nearest(queries, parts, k, names)
    if not walked:
        return answer
    columns = [_flat(answer)]
    for i in walked:
        rows, vectors, numbers = allowed[i], segments[i].vectors, segments[i].numbers
        try:
            query, row, missed = _proposed(segments[i], rows, queries, k, index, wanted)
        except FileNotFoundError:
            query, row, missed = np.empty(0, np.int64), np.empty(0, np.int64), np.arange(len(queries))
        score = corrected(exact_scores(queries, query, vectors, row), row, numbers)
        columns.append((query, np.full(len(query), i), row, score))
        if len(missed):
            columns.append(_flat(nearest(queries[missed], _only(segments, i, rows), k, names), missed))
    return _merged(columns, len(queries), k, names)


def _is_few(segment: Segment, rows: Rows | None, k: int) -> bool:
    """Whether so few rows are allowed that comparing them all costs less than walking past the others."""
    return rows is not None and (len(rows) * 20 < segment.rows or len(rows) <= 4 * k)


def _only(segments: Sequence[Segment], chosen: int, rows: Rows | None) -> list[Part]:
    none = np.empty(0, np.int64)
    return [
        Part(segment.vectors, rows if i == chosen else none, segment.numbers)
        for i, segment in enumerate(segments)
    ]


def _proposed(
    segment: Segment, allowed: Rows | None, queries: Floats, k: int, index: Index, wanted: Wanted
) -> tuple[Rows, Rows, Rows]:
    """(query, row) of the candidates worth scoring, and the queries that the structure found too few for.

    As many candidates are asked for as `refine` says, more by as much as fewer rows are allowed, so that
    as many of these are compared whatever is dead or left out.
    """
    meta, structure = index.meta, segment.structure
    assert structure is not None
    kind, mask, share = adapter(meta.kind), None, 1.0
    params = {**meta.params, **(wanted.knobs or {})}
    refine = wanted.refine or int(params["refine"])
    if allowed is not None:
        mask = np.zeros(segment.rows, bool)
        mask[allowed] = True
        share = len(allowed) / segment.rows
    count = min(k, segment.rows if allowed is None else len(allowed))
    least = k + 10 if segment.numbers is None else CORRECTED[0] * k + CORRECTED[1]
    depth = ceil(max(least, refine * k) / share)
    pending = np.arange(len(queries))
    query, row = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for _ in range(3 if mask is not None else 1):
        rows = kind.candidates(structure, queries[pending], min(depth, segment.rows), params, share)
        if rows.max(initial=-1) >= segment.rows:
            raise damaged(structure)
        good = rows >= 0
        if mask is not None:
            good &= mask[rows]
        enough = good.sum(axis=1) >= count
        chosen = pending[enough]
        if segment.numbers is None:
            place, found = near(queries[chosen], segment.vectors, rows[enough], good[enough], count)
        else:
            place, column = np.nonzero(good[enough])
            found = rows[enough][place, column]
        query.append(chosen[place])
        row.append(found)
        pending, depth = pending[~enough], depth * 4
        if not len(pending):
            break
    return np.concatenate(query), np.concatenate(row), pending


def _flat(answer: Nearest, queries: Rows | None = None) -> tuple[Rows, Rows, Rows, Floats]:
    numbers = np.arange(len(answer.part)) if queries is None else queries
    width = answer.part.shape[1]
    return np.repeat(numbers, width), answer.part.ravel(), answer.row.ravel(), answer.score.ravel()


def _merged(columns: list[tuple[Rows, Rows, Rows, Floats]], queries: int, k: int, names: Any) -> Nearest:
    query, part, row, score = (np.concatenate(column) for column in zip(*columns, strict=True))
    order, place = ranked(query, part, row, score, names)
    best = order[place < k]
    shape = (queries, len(best) // max(queries, 1))
    return Nearest(part[best].reshape(shape), row[best].reshape(shape), score[best].reshape(shape))


def _without(answer: Nearest, query: int, segments: Sequence[Segment], excluded: Places, k: int) -> Nearest:
    """One query's hits without the excluded ones, k at most."""
    part, row, score = answer.part[query], answer.row[query], answer.score[query]
    if excluded:
        keep = np.ones(len(part), bool)
        for number, segment in enumerate(segments):
            if segment.number in excluded:
                keep &= ~((part == number) & np.isin(row, excluded[segment.number]))
        part, row, score = part[keep], row[keep], score[keep]
    return Nearest(part[:k], row[:k], score[:k])


def _hits(
    index: Index, segments: Sequence[Segment], queries: Sequence[Record], found: Sequence[Nearest],
    wanted: Wanted,
) -> list[Answer]:  # fmt: skip
    """Look the items of all hits up at once and put them beside their scores."""
    places = [
        (segments[p].number, r)
        for one in found
        for p, r in zip(one.part.tolist(), one.row.tolist(), strict=True)
    ]
    unique, content = list(dict.fromkeys(places)), index.content
    fields = (*wanted.fields, BOXES) if wanted.regions else wanted.fields
    items = dict(zip(unique, index.records(unique, fields), strict=True))
    looked_up: Iterator[tuple[int, int]] = iter(places)
    whys = content.whys(index, queries, found, wanted) if wanted.explain else None
    answers: list[Answer] = []
    for number, (query, one) in enumerate(zip(queries, found, strict=True)):
        answer: Answer = []
        for rank, (part, row, score) in enumerate(zip(one.part, one.row, one.score, strict=True)):
            item = items[next(looked_up)]
            if wanted.min_score is not None and score < wanted.min_score:
                continue
            hit = {"id": item["id"], "score": score, **{k: v for k, v in item.items() if k != "id"}}
            if wanted.regions:
                if BOXES not in wanted.fields:
                    hit.pop(BOXES, None)
                hit["region"] = region(segments[part], row, query, item)
            if wanted.with_vectors:
                hit |= content.of_row(segments[part], row)
            if whys is not None:
                hit |= whys[number][rank]
            answer.append(hit)
        answers.append(answer)
    return answers
