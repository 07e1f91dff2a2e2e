"""What an index holds, handed to stages that know no index: its vectors in order, and by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import ExitStack

    import numpy as np
    from numpy.typing import NDArray

    from mmr.index import AnyIndex
    from mmr.normalize.fit import Gallery

ROWS = 4096


def entered(stack: ExitStack, path: str) -> AnyIndex:
    """An index, a folder or an engine's, that is closed with the stack."""
    from mmr.index import open_any

    index = open_any(path)
    stack.callback(index.close)
    return index


def gallery_of(index: AnyIndex) -> Gallery:
    """The live items of an index, oldest segment first; their vectors stay mapped."""
    from mmr.index import Remote

    if isinstance(index, Remote):
        from mmr.cli.remote import gallery_of

        return gallery_of(index)
    import numpy as np

    from mmr.index.content import refuse_without_vectors
    from mmr.index.mapped import refuse_mixed
    from mmr.normalize.fit import Gallery

    refuse_without_vectors(index, "a correction")
    refuse_mixed(index, "a correction")
    live = [(segment, np.flatnonzero(segment.live)) for segment in index.segments()]
    ids = [name for segment, rows in live for name in index.ids(segment.number, rows)]

    def blocks() -> Iterator[NDArray[np.floating]]:
        for segment, rows in live:
            for start in range(0, len(rows), ROWS):
                yield np.asarray(segment.vectors[rows[start : start + ROWS]], np.float32)

    return Gallery(ids, blocks, index.meta.dim, index.meta.model, index.path.name)


def fields_of(index: AnyIndex) -> Callable[[Sequence[str], tuple[str, ...]], list[dict[str, Any] | None]]:
    """A function that returns stored fields of items by their ids; None for an item that is not there."""

    def found(names: Sequence[str], fields: tuple[str, ...]) -> list[dict[str, Any] | None]:
        from mmr.index import Remote

        if isinstance(index, Remote):
            from mmr.cli import remote

            return remote.fields_of(index, names, fields)
        index.refresh()
        places = index.places_of(names)
        known = dict(zip(places, index.records(list(places.values()), fields), strict=True))
        index.rest()
        return [known.get(name) for name in names]

    return found


def children_of(index: AnyIndex) -> Callable[[Sequence[str]], list[int]]:
    """A function that returns how many items of the index name each parent, counted once."""
    counted: dict[str, int] = {}

    def found(names: Sequence[str]) -> list[int]:
        if not counted:
            index.refresh()
            counted.update(index.children())
            index.rest()
        return [counted.get(name, 1) for name in names]

    return found
