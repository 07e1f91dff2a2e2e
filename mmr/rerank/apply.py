"""Rerank a stream of queries with hits: gather, score, order, and note what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadItem, Reject, UsageError, shown
from mmr.rerank.method import Answer, Floats, Given, Hit, Tools
from mmr.rerank.modality import Across
from mmr.rerank.order import below, falling, in_order
from mmr.rerank.table import ALL, Row, checked, method
from mmr.rerank.whole import unfit
from mmr.stream.order import ranked
from mmr.stream.pipe import batches
from mmr.stream.records import Record, add_step, check_model

SAID = 3  # hits without a score that a message names


def reranked(
    records: Iterable[Record], row: Row, values: Mapping[str, Any], *, reject: Reject,
    tools: Tools | None = None, depth: int | None = None, k: int | None = None, explain: bool = False,
) -> Iterator[Record]:  # fmt: skip
    """Yield queries with their hits in the order of a method, in the order in which they came.

    values   parameters of the row; the others take their defaults
    reject   gets what cannot be reranked, and each hit that got no score
    depth    how many first hits are reranked, 0 for none; None is the row's. Those behind keep their order,
             and their scores are moved down where they must be
    k        how many hits of a query to keep; None keeps all
    explain  each hit says in `why` why it moved

    Each hit gets `score` (float32), `prev_score` and `prev_rank`; `via` gets a line. What a query gets does
    not depend on the others. Raises `UsageError` for wrong parameters, and where the row needs vectors that
    nobody hands in; `BadDataError` where the models of query and index differ.
    """
    params = checked(row, values)
    tools = tools or Tools()
    many = row.depth if depth is None else depth
    step = described(row, params, many)
    across = Across(row, tools)
    working = method(row)(params, tools)
    try:
        for batch in batches(records, working.BATCH):
            yield from _batch(batch, row, working, across, reject, tools, many, k, explain, step)
    finally:
        working.close()


def described(row: Row, params: Mapping[str, Any], depth: int = ALL) -> str:
    """The line of `via`: "rerank superglobal depth=400 neighbours=9 beta=0.15"."""
    words = [f"depth={depth}"] if depth != ALL else []
    for name, value in params.items():
        if value is not None and value is not False and value != ():
            written = f"{value:g}" if isinstance(value, float) else shown(str(value), 60)
            words.append(name if value is True else f"{name}={written}")
    return " ".join(["rerank", row.name, *words])


def _batch(
    batch: Sequence[Record], row: Row, working: Any, across: Across, reject: Reject, tools: Tools,
    depth: int, k: int | None, explain: bool, step: str,
) -> Iterator[Record]:  # fmt: skip
    """The records of a batch, reranked; what every one of them needs is gathered at once."""
    ready: list[Any] = []
    for record in batch:
        try:
            ready.append(record if record.get("eof") is True else _ready(record, row, depth, tools, explain))
        except BadItem as item:
            ready.append(item)
    gathered = _gathered(ready, row, tools)
    asked = [one for one in gathered if isinstance(one, Given)]
    answers = iter(working.rerank_all(asked))
    for record, one in zip(batch, gathered, strict=True):
        found = next(answers) if isinstance(one, Given) else one
        if isinstance(found, BadItem):
            reject(found)
            continue
        if isinstance(found, Answer):
            across.meets({**tools.queries.get(record["id"], {}), **record}, one.hits, one.where)
            _write(record, one, found, reject, k, step)
        yield record


def _ready(record: Record, row: Row, depth: int, tools: Tools, explain: bool) -> Given:
    """A query with its first hits, without their vectors; its `hits` are put in order."""
    where = str(record.place or shown(record["id"]))

    def bad(what: str, fix: str = "") -> BadItem:
        return BadItem(where, what, fix, stage="rerank", record=record)

    problem = unfit(record)
    if problem is not None:
        raise bad(*problem)
    hits = record["hits"] = ranked(record["hits"])
    query = None
    if "query" in row.needs:
        own = record if "vector" in record else tools.queries.get(record["id"], record)
        check_model(tools.model, own.get("model"), expected_by=tools.gallery, found_by=where,
                    fix="Name the index that the hits are from.")  # fmt: skip
        query = own.get("vector")
        if query is None or not len(query) or not np.any(query):
            fix = "leave it in the records, or name the queries with --from"
            raise bad(f"has no vector, and {row.name} needs the query's", fix)
        query = _unit(np.asarray(query)) if own.get("unit", True) else np.asarray(query, np.float32)
    first = hits[:depth]
    scores = np.array([hit["score"] for hit in first], np.float64)
    rows = _rows(record, tools, where) if "bags" in row.needs else None
    return Given(record, first, scores, query, None, where, explain, rows)


def _rows(record: Record, tools: Tools, where: str) -> NDArray[np.float32] | None:
    """The several vectors of a query, at length 1 where the hits' come out of an index; None without."""
    own = record if "vectors" in record else tools.queries.get(record["id"], record)
    rows: NDArray[np.float32] | None = own.get("vectors")
    if rows is None or tools.bags_of is None:
        return rows
    check_model(tools.model, own.get("model"), expected_by=tools.gallery, found_by=where,
                fix="Name the index that the hits are from.")  # fmt: skip
    if not own.get("unit", True):
        return rows
    return np.stack([_unit(one) if one.any() else one for one in rows])


def _unit(vector: NDArray[Any]) -> NDArray[np.float32]:
    """A vector at length 1; one that has it already stays as it is."""
    wide = vector.astype(np.float64)
    length = float(np.sqrt(wide @ wide))
    return vector.astype(np.float32) if abs(length - 1) < 1e-6 else (wide / length).astype(np.float32)


def _gathered(ready: Sequence[Any], row: Row, tools: Tools) -> list[Any]:
    """The same with the vectors of the hits, where the row needs them; a `BadItem` where one is not there."""
    found = list(ready)
    if "bags" in row.needs and tools.bags_of is not None:
        return _with_bags(found, tools)
    if "vectors" not in row.needs:
        return found
    places = [place for place, one in enumerate(ready) if isinstance(one, Given)]
    if tools.vectors_of is not None:
        held = tools.vectors_of([[hit["id"] for hit in ready[place].hits] for place in places])
    else:
        held = [_own_vectors(ready[place].hits, row) for place in places]
    for place, vectors in zip(places, held, strict=True):
        given: Given = ready[place]
        if isinstance(vectors, str):
            what = f"the hit {shown(vectors)} is not in {tools.gallery}"
        elif given.query is not None and len(vectors) and len(given.query) != vectors.shape[1]:
            what = f"a vector of {len(given.query)} numbers, and its hits have {vectors.shape[1]}"
        else:
            found[place] = given._replace(vectors=vectors)
            continue
        fix = "name the index that the hits are from"
        found[place] = BadItem(given.where, what, fix, stage="rerank", record=given.record)
    return found


def _with_bags(ready: list[Any], tools: Tools) -> list[Any]:
    """The same with the several vectors of the hits; a `BadItem` where one is not in the index."""
    assert tools.bags_of is not None
    places = [place for place, one in enumerate(ready) if isinstance(one, Given)]
    held = tools.bags_of([[hit["id"] for hit in ready[place].hits] for place in places])
    for place, bags in zip(places, held, strict=True):
        given: Given = ready[place]
        if isinstance(bags, str):
            what, fix = (
                f"the hit {shown(bags)} is not in {tools.gallery}",
                "name the index that the hits are from",
            )
            ready[place] = BadItem(given.where, what, fix, stage="rerank", record=given.record)
        else:
            ready[place] = given._replace(bags=bags)
    return ready


def _own_vectors(hits: Sequence[Hit], row: Row) -> NDArray[np.float32]:
    """The vectors that hits carry themselves. Raises `UsageError` where one has none."""
    if any("vector" not in hit for hit in hits):
        raise UsageError(
            f"{row.name} needs the vectors of the hits.", "Name the index that they are from with --index."
        )
    if len({len(hit["vector"]) for hit in hits}) > 1:
        raise UsageError("the hits carry vectors of several lengths.", "Name the index with --index.")
    return np.stack([hit["vector"] for hit in hits]) if hits else np.empty((0, 0), np.float32)


def _write(record: Record, given: Given, answer: Answer, reject: Reject, k: int | None, step: str) -> None:
    """Put the new order into the record."""
    scores: Floats = np.asarray(answer.scores, np.float64)
    chosen = given.hits if answer.hits is None else answer.hits
    assert len(scores) == len(chosen)
    before = {hit["id"]: (hit["score"], rank) for rank, hit in enumerate(record["hits"], 1)}
    failed = dict(answer.failed)
    for place in np.flatnonzero(~np.isfinite(scores)).tolist():
        failed.setdefault(place, "its new score is not a number")
    scores[list(failed)] = np.nan
    if failed:
        reject(
            _unscored(given.where, {chosen[place]["id"]: failed[place] for place in sorted(failed)}, record)
        )
    ids = [hit["id"] for hit in chosen]
    order = in_order(ids, scores, failed)
    if answer.kept is not None:
        order = [place for place in order if answer.kept[place]]
    tail = record["hits"][len(given.hits) :] if answer.tail else []
    new = falling([ids[place] for place in order], scores[order])
    if tail:
        lowest = float(new[-1]) if len(new) else np.inf
        moved = below(np.array([hit["score"] for hit in tail], np.float64), lowest)
        new = falling([*(ids[place] for place in order), *(hit["id"] for hit in tail)],
                      np.concatenate([new, moved]))  # fmt: skip
    hits = [_hit(chosen[place], before, _more(answer, place, given.explain)) for place in order]
    hits += [_hit(hit, before, {}) for hit in tail]
    for hit, score in zip(hits, new, strict=True):
        hit["score"] = score
    record["hits"] = hits[:k]
    record.update(answer.record)
    add_step(record, f"{step} {answer.step}".rstrip())


def _unscored(where: str, problems: Mapping[str, str], record: Record) -> BadItem:
    """What is said of the hits of one query that got no score, with the query as it came."""
    if len(problems) == 1:
        ((name, what),) = problems.items()
        fix = "it keeps its place"
        return BadItem(f"{where}, hit {shown(name)}", what, fix, stage="rerank", record=record)
    said = [f"{shown(name)}: {what}" for name, what in problems.items()]
    more = f"; and {len(said) - SAID:,} more" if len(said) > SAID else ""
    what = f"{len(said):,} hits got no score: {'; '.join(said[:SAID])}{more}"
    return BadItem(where, what, "they keep their places", stage="rerank", record=record)


def _hit(hit: Hit, before: Mapping[str, tuple[Any, int]], more: Mapping[str, Any]) -> dict[str, Any]:
    """A hit that knows where it was; one that was not there knows nothing of it."""
    found = {**hit, "score": None}
    for name in ("prev_score", "prev_rank", "why"):
        found.pop(name, None)
    if hit["id"] in before:
        found["prev_score"], found["prev_rank"] = before[hit["id"]]
    found.update(more)
    return found


def _more(answer: Answer, place: int, explain: bool) -> dict[str, Any]:
    found = {name: values[place] for name, values in answer.fields.items() if values[place] is not None}
    if explain and answer.why is not None:
        found["why"] = answer.why[place]
    return found
