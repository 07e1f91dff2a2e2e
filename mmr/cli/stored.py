"""What an index holds, handed to stages that know no index: its vectors in order, and by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mmr.errors import BadDataError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index import Index
    from mmr.normalize.fit import Gallery

ROWS = 4096


def gallery_of(index: Index) -> Gallery:
    """The live items of an index, oldest segment first; their vectors stay mapped."""
    import numpy as np

    from mmr.normalize.fit import Gallery

    live = [(segment, np.flatnonzero(segment.live)) for segment in index.segments()]
    ids = [name for segment, rows in live for name in index.ids(segment.number, rows)]

    def blocks() -> Iterator[NDArray[np.floating]]:
        for segment, rows in live:
            for start in range(0, len(rows), ROWS):
                yield np.asarray(segment.vectors[rows[start : start + ROWS]], np.float32)

    return Gallery(ids, blocks, index.meta.dim, index.meta.model, index.path.name)


def vectors_of(index: Index) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """A function that returns the vectors (n, d) of items by their ids."""
    import numpy as np

    def found(names: Sequence[str]) -> NDArray[np.float32]:
        vectors: dict[str, NDArray[np.floating]] = {}
        segments = {segment.number: segment.vectors for segment in index.segments()}
        for number, rows in index.rows_named(names).items():
            for name, row in zip(index.ids(number, rows), rows, strict=True):
                vectors[name] = segments[number][row]
        missing = next((name for name in names if name not in vectors), None)
        if missing is not None:
            raise BadDataError(
                f"the hit {shown(missing)} is not in {shown(index.path.name)}",
                "Name the index that the hits are from.",
            )
        return np.stack([np.asarray(vectors[name], np.float32) for name in names])

    return found


def fields_of(index: Index) -> Callable[[Sequence[str], tuple[str, ...]], list[dict[str, Any] | None]]:
    """A function that returns stored fields of items by their ids; None for an item that is not there."""

    def found(names: Sequence[str], fields: tuple[str, ...]) -> list[dict[str, Any] | None]:
        index.refresh()
        places = index.places_of(names)
        known = dict(zip(places, index.records(list(places.values()), fields), strict=True))
        index.rest()
        return [known.get(name) for name in names]

    return found


def children_of(index: Index) -> Callable[[Sequence[str]], list[int]]:
    """A function that returns how many items of the index name each parent, counted once."""
    counted: dict[str, int] = {}

    def found(names: Sequence[str]) -> list[int]:
        if not counted:
            index.refresh()
            counted.update(index.children())
            index.rest()
        return [counted.get(name, 1) for name in names]

    return found
