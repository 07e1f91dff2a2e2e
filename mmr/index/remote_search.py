"""Search in an engine: its candidates, scored again as a folder's are, in the one order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson

from mmr.arrays.topk import MARGIN, Floats
from mmr.errors import UsageError
from mmr.index.bases import absolute
from mmr.index.engine import Found, Where
from mmr.index.lookup import fits
from mmr.index.search import excluded_names

if TYPE_CHECKING:
    from mmr.index.remote import Remote
    from mmr.index.search import Answer, Wanted
    from mmr.stream.records import Record

NONE = np.empty(0, np.float32)
MORE = 4  # candidates beyond those asked for, so that near scores are told apart here
HELD = 32 << 20  # bytes of vectors that one call may bring


class Scored(NamedTuple):
    """A candidate and its score, as float32."""

    score: np.float32
    found: Found


class Asked(NamedTuple):
    """One query: its vector, and the ids that must not come back and those that alone may."""

    vector: Floats
    excluded: frozenset[str]
    among: frozenset[str] | None


def search(index: Remote, queries: Sequence[Record], wanted: Wanted) -> list[Answer]:
    """The hits of each query, best first, as `mmr.index.search.search` gives them.

    Every candidate is scored in float64 from its stored vector and rounded to float32. An engine that
    compares every vector gives the hits of a folder; a graph gives what it finds.
    """
    asked = _asked(index, queries, wanted)
    _check_most(index, asked, wanted)
    found: dict[int, Answer] = {}
    together: dict[int, list[int]] = {}
    for i, (query, one) in enumerate(zip(queries, asked, strict=True)):
        if "recipe" in query:
            from mmr.index.remote_recipes import hits

            found[i] = _hits(index, hits(index, query, one, wanted), wanted)
        elif one.among is not None:
            found[i] = _hits(index, _among(index, one, wanted), wanted)
        else:
            together.setdefault(len(one.excluded), []).append(i)
    for extra, members in together.items():
        count = max(wanted.k + extra + MORE, (wanted.refine or 1) * wanted.k)
        _near(index, {i: asked[i] for i in members}, count, wanted, found)
    return [found[i] for i in range(len(asked))]


def _check_most(index: Remote, asked: Sequence[Asked], wanted: Wanted) -> None:
    """Raise `UsageError` for more hits than the engine can give at a time."""
    most = index.ask(lambda engine: engine.most)
    extra = max((len(one.excluded) for one in asked if one.among is None), default=0)
    if wanted.k + extra > most:
        what = f"{index.path} gives {most:,} candidates at a time, and -k {wanted.k:,} asks for more"
        raise UsageError(f"{what}{f', with {extra:,} that are excluded' if extra else ''}", "Ask for fewer.")


def _hits(index: Remote, best: Sequence[Scored], wanted: Wanted) -> Answer:
    """The hits of one query as they are given out; vectors are let go of unless they are wanted."""
    here, answer = str(Path.cwd()), []
    for one in best:
        if wanted.min_score is None or one.score >= wanted.min_score:
            item = index.fields(one.found, wanted.fields, here)
            hit = {"id": item.pop("id"), "score": one.score, **item}
            answer.append({**hit, "vector": one.found.vector} if wanted.with_vectors else hit)
    return answer


def _asked(index: Remote, queries: Sequence[Record], wanted: Wanted) -> list[Asked]:
    """What is asked, with every name looked up at once."""
    left_out = [excluded_names(query, wanted) for query in queries]
    names = [name for one in left_out for name in one]
    names += [name for query in queries for name in query.get("among", ())]
    ids = index.ids_named(names) if names else {}

    def of(some: Sequence[str]) -> frozenset[str]:
        return frozenset().union(*(ids[name] for name in some))

    return [
        Asked(query.get("vector", NONE), of(one), of(query["among"]) if "among" in query else None)
        for query, one in zip(queries, left_out, strict=True)
    ]


def _among(index: Remote, one: Asked, wanted: Wanted) -> list[Scored]:
    """The best of the items that alone may come back: all of them are scored."""
    assert one.among is not None
    items = list(index.fetch(sorted(one.among - one.excluded)).values())
    return _best([one], [items], wanted)[0]


def _near(
    index: Remote, asked: dict[int, Asked], count: int, wanted: Wanted, found: dict[int, Answer]
) -> None:
    """Put the hits of queries into `found`; those that got too few candidates are asked again, deeper."""
    most, dim = index.ask(lambda engine: engine.most), index.meta.dim
    exact = wanted.exact or index.meta.kind == "flat"
    while asked:
        count = min(count, most)
        size = max(1, HELD // (count * 4 * dim))
        again: dict[int, Asked] = {}
        pending = list(asked)
        for start in range(0, len(pending), size):
            members = pending[start : start + size]
            some = [asked[i] for i in members]
            vectors = np.stack([one.vector for one in some]).astype(np.float32, copy=False)
            got = candidates(index, vectors, count, wanted)
            for i, all_, best in zip(members, got, _best(some, got, wanted), strict=True):
                found[i] = _hits(index, best, wanted)
                if len(all_) == count < most and _wants_more(asked[i], all_, best, wanted, exact):
                    again[i] = asked[i]
        asked, count = again, 4 * count


def candidates(index: Remote, vectors: Floats, count: int, wanted: Wanted) -> list[list[Found]]:
    """The `count` nearest items of each vector, as the engine gives them."""
    return index.ask(lambda engine: engine.search(vectors, count, wanted.where, exact=wanted.exact))


def _wants_more(
    one: Asked, all_: Sequence[Found], best: Sequence[Scored], wanted: Wanted, exact: bool
) -> bool:
    """Whether a deeper look may change the hits: too few are left, or the last candidate is near a hit."""
    if len(best) < wanted.k:
        return True
    if not exact:
        return False
    last = all_[-1].vector
    assert last is not None
    kth = float(best[-1].score)
    return float(last.astype(np.float64) @ one.vector.astype(np.float64)) >= kth - MARGIN * max(1.0, abs(kth))


def _best(asked: Sequence[Asked], got: Sequence[Sequence[Found]], wanted: Wanted) -> list[list[Scored]]:
    """The k best candidates of each query that it may find, in the one order."""
    answers = []
    for one, some in zip(asked, got, strict=True):
        left = left_of(some, one, wanted)
        answers.append(in_order(list(map(Scored, scores(one.vector, left), left)))[: wanted.k])
    return answers


def scores(query: Floats, items: Sequence[Found]) -> Floats:
    """Inner products of a query (d,) and items (m,), in float64 and rounded, as `exact_scores` has them."""
    if not items:
        return NONE
    vectors = np.array([found.vector for found in items], np.float64)
    found: Floats = np.einsum("ijk,ik->ij", vectors[None], query.astype(np.float64)[None])[0].astype(
        np.float32
    )
    return found


def left_of(items: Sequence[Found], one: Asked, wanted: Wanted) -> list[Found]:
    """The items that a query may find."""
    here = str(Path.cwd())
    return [
        found for found in items if found.item.id not in one.excluded and holds(found, wanted.where, here)
    ]


def in_order(scored: list[Scored]) -> list[Scored]:
    """Scores descending, then ids descending by their bytes."""
    by_id = sorted(scored, key=lambda one: one.found.item.id.encode("utf-8", "surrogateescape"), reverse=True)
    return sorted(by_id, key=lambda one: one.score, reverse=True)


def holds(found: Found, where: Where, here: str) -> bool:
    """Whether an item has every value that the user asked for, as `mmr.index.lookup.fits` compares them."""
    item = found.item
    for field, value in where:
        if field in ("id", "digest", "parent"):
            if getattr(item, field) != value:
                return False
        elif field == "image":
            if item.image != value and item.path not in (value, absolute(here, value)):
                return False
        elif not fits(orjson.loads(item.fields).get(field), value):
            return False
    return True
