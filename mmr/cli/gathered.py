"""Vectors of hits out of an index, for many queries at once; only the rows that are asked for are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.arrays.ragged import Ragged
    from mmr.cli.remote import RemoteGather
    from mmr.index import AnyIndex, Index, Segment

HELD = 1 << 20  # ids whose places are remembered


def gather(index: AnyIndex) -> Gather | RemoteGather:
    """What gathers the vectors of an index, a folder or an engine's."""
    from mmr.index import Index

    if isinstance(index, Index):
        return Gather(index)
    from mmr.cli.remote import RemoteGather

    return RemoteGather(index)


class Gather:
    """Call it with lists of ids: it gives each list's vectors (n, d) float32, or an id that is not there.

    Each call sees the newest committed state of the index, and nothing is held between calls but the places
    of up to a million ids.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._places: dict[str, tuple[int, int]] = {}
        self._segments: list[Segment] | None = None
        self.name, self.model = shown(index.path.name), index.meta.model

    def __call__(self, lists: Sequence[Sequence[str]]) -> list[NDArray[np.float32] | str]:
        """Gather the vectors of each list."""
        segments = self._look([name for names in lists for name in names])
        found = [_rows(names, self._places, segments, self._index.meta.dim) for names in lists]
        self._index.rest()
        return found

    def partly(self, names: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which of the ids are there (n,), and the vectors (m, d) of those."""
        import numpy as np

        segments = self._look(names)
        held = [name in self._places for name in names]
        there = [name for name in names if name in self._places]
        found = _rows(there, self._places, segments, self._index.meta.dim)
        self._index.rest()
        assert not isinstance(found, str)
        return np.array(held, np.bool_), found

    def bags(self, lists: Sequence[Sequence[str]]) -> list[Ragged | str]:
        """Gather the several vectors of each list's items. Raises `UsageError` where items have one."""
        if self._index.content.field != "vectors":
            name, kind = shown(str(self._index.path)), self._index.meta.kind
            raise UsageError(
                f"{name} is of the kind {kind}, which does not keep several vectors an item.",
                "Name an index of the kind maxsim or muvera, or give `vectors` to the hits.",
            )
        self._look([name for names in lists for name in names])
        held = {segment.number: segment.beside for segment in self._segments or ()}
        found = [_bags(names, self._places, held) for names in lists]
        self._index.rest()
        return found

    def _look(self, names: Sequence[str]) -> dict[int, NDArray[np.floating]]:
        """Find where the ids are in the newest state; returns the vectors of its segments."""
        from mmr.index.content import refuse_without_vectors
        from mmr.index.mapped import refuse_mixed

        self._index.refresh()
        refuse_without_vectors(self._index, "--index")
        refuse_mixed(self._index, "--index")
        segments = self._index.segments()  # another list where anybody found another state
        if segments is not self._segments or len(self._places) > HELD:
            self._places.clear()
            self._segments = segments
        self._places.update(self._index.places_of([name for name in names if name not in self._places]))
        return {segment.number: segment.vectors for segment in segments}


def _rows(
    names: Sequence[str], places: dict[str, tuple[int, int]], segments: dict[int, NDArray[np.floating]],
    dim: int,
) -> NDArray[np.float32] | str:  # fmt: skip
    import numpy as np

    missing = next((name for name in names if name not in places), None)
    if missing is not None:
        return missing
    found = np.empty((len(names), dim), np.float32)
    where = np.array([places[name] for name in names], np.int64).reshape(-1, 2)
    for number in np.unique(where[:, 0]).tolist():
        mine = where[:, 0] == number
        found[mine] = segments[number][where[mine, 1]]
    return found


def _bags(names: Sequence[str], places: dict[str, tuple[int, int]], held: dict[int, Ragged]) -> Ragged | str:
    from mmr.arrays.ragged import stacked

    missing = next((name for name in names if name not in places), None)
    if missing is not None:
        return missing
    return stacked([held[number][row] for number, row in (places[name] for name in names)])
