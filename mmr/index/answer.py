"""Answer a stream of queries from an index: check, embed what has no vector yet, search, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mmr.errors import BadItem, Reject, shown
from mmr.index import mapped
from mmr.index.search import Wanted
from mmr.stream.pipe import batches, is_new
from mmr.stream.records import Record, add_step, apply_the_same, check_model

if TYPE_CHECKING:
    from mmr.index import AnyIndex

BATCH = 1024
INT8 = "-int8"  # ends the fingerprint of what an int8 text tower gave
OF_ITEMS = ("id", "image", "base", "text", "vector", "model", "size", "mtime")
Embed = Callable[[Iterable[Record]], Iterator[Record]]


def answer(
    index: AnyIndex, queries: Iterable[Record], embed: Embed, wanted: Wanted, *,
    reject: Reject, model: str | None = None, pinned: bool = False,
) -> Iterator[Record]:  # fmt: skip
    """Yield each query with its `hits`, in order; a bad query goes to `reject` and is left out.

    embed   gives vectors to records that have none (words, a picture, or both)
    model   the model of vectors that name none, or None
    pinned  stay with one state of the index; otherwise each batch sees the newest, and none is held while
            the next one is waited for

    Holds the ids of all queries, to find a second one of the same id.
    Raises `BadDataError` when a vector of another model, or of no stated model, meets the index.
    """
    seen: set[str] = set()
    for chunk in batches(queries, BATCH):
        if not pinned:
            index.refresh()
        held = index.correction()
        fresh = [query for query in chunk if is_new(query, seen, reject, "search")]
        ready = [
            query for query in _embedded(index, fresh, embed, model) if _fits(index, query, reject, model)
        ]
        for query, hits in zip(ready, index.search(ready, wanted), strict=True):
            recipe = f" recipe {query['recipe']['score']}" if "recipe" in query else ""
            add_step(query, f"query {shown(index.path.name)} k={wanted.k}{recipe}")
            if held is not None and held.is_for(query) and not wanted.raw:
                add_step(query, held.step)
            query["hits"] = hits
            yield query
        if not pinned:
            index.rest()


def items_as_queries(index: AnyIndex) -> Iterator[Record]:
    """Yield every live item as a query: its id, picture, words, vector, and its file's size and time."""
    names = (*OF_ITEMS, index.content.field)
    for item in index.items():
        yield Record({name: item[name] for name in names if name in item}, item.place)


def _embedded(
    index: AnyIndex, queries: Sequence[Record], embed: Embed, model: str | None
) -> Iterator[Record]:
    """The queries with vectors, in order; runs of those without one are embedded together."""
    waiting: list[Record] = []
    for query in queries:
        if index.content.answers(query):
            yield from _flushed(waiting, embed)
            check(index, query, model)
            yield query
        else:
            waiting.append(query)
    yield from _flushed(waiting, embed)


def _flushed(waiting: list[Record], embed: Embed) -> Iterator[Record]:
    if waiting:
        yield from embed(list(waiting))
        waiting.clear()


def check(index: AnyIndex, query: Record, model: str | None) -> None:
    """Raise `BadDataError` where a query is of another model than the index, or of none that is stated."""
    stated = index.content.model_of(query, index.meta.model) or model
    if stated and index.meta.model and stated.endswith(INT8) and is_of_own_tower(index):
        stated = stated.removesuffix(INT8)
    if mapped.takes(index, stated):
        return
    again = "Embed the queries with --model-of" if index.meta.dim else "Make their terms with the model of"
    check_model(
        index.meta.model, stated or ("no stated model" if index.meta.model else None),
        expected_by=index.path.name, found_by=str(query.place or shown(query["id"])),
        fix=apply_the_same(index.meta.model or "")
        or f"{again} {shown(str(index.path))}, or say --model if they are of it."
    )  # fmt: skip


def is_of_own_tower(index: AnyIndex) -> bool:
    """Whether vectors of an int8 tower may meet those of the index: its own text tower is one."""
    from mmr.index.check import tower_kind

    return tower_kind(index) == "int8"


def _fits(index: AnyIndex, query: Record, reject: Reject, model: str | None) -> bool:
    """Whether the query can be searched; what it is searched with is then of unit length."""
    if index.meta.query_map is None:
        problem = index.unfit(query)
    else:
        from mmr.index import Index, bridge

        assert isinstance(index, Index)
        problem = bridge.unfit(index, query, model)
    if problem is None:
        return True
    reject(BadItem(str(query.place or shown(query["id"])), *problem, stage="search", record=query))
    return False
