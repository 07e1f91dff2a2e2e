"""What an engine's index holds, handed to stages that know no index; see `stored` and `gathered`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.arrays.ragged import Ragged
    from mmr.index import Remote
    from mmr.normalize.fit import Gallery

ROWS = 4096


class RemoteGather:
    """Call it with lists of ids: it gives each list's vectors (n, d) float32, or an id that is not there."""

    def __init__(self, index: Remote) -> None:
        self._index = index
        self.name, self.model = shown(index.path.name), index.meta.model

    def __call__(self, lists: Sequence[Sequence[str]]) -> list[NDArray[np.float32] | str]:
        """Gather the vectors of each list."""
        held = self._index.fetch(name for names in lists for name in names)
        missing = [next((name for name in names if name not in held), None) for names in lists]
        return [
            self._stacked([held[name].vector for name in names]) if lacking is None else lacking
            for names, lacking in zip(lists, missing, strict=True)
        ]

    def partly(self, names: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which of the ids are there (n,), and the vectors (m, d) of those."""
        import numpy as np

        held = self._index.fetch(names)
        there = [name in held for name in names]
        return np.array(there, np.bool_), self._stacked([held[name].vector for name in names if name in held])

    def bags(self, lists: Sequence[Sequence[str]]) -> list[Ragged | str]:
        """Raise `UsageError`: an engine keeps one vector an item."""
        raise UsageError(
            f"{self.name} is an engine's index, which does not keep several vectors an item.",
            "Name a folder of the kind maxsim or muvera, or give `vectors` to the hits.",
        )

    def _stacked(self, vectors: Sequence[Any]) -> NDArray[np.float32]:
        import numpy as np

        return np.array(vectors, np.float32).reshape(-1, self._index.meta.dim)


def gallery_of(index: Remote) -> Gallery:
    """The items of an index by id; their vectors are copied once, into a file that goes with the gallery."""
    import tempfile

    import numpy as np

    from mmr.normalize.fit import Gallery

    ids: list[str] = []
    file = tempfile.TemporaryFile(prefix="mmr-")  # noqa: SIM115 - lives as long as the gallery
    for page in index.pages(vectors=True):
        ids += [found.item.id for found in page]
        file.write(np.array([found.vector for found in page], np.float32).tobytes())
    file.flush()
    dim = index.meta.dim

    def blocks() -> Iterator[NDArray[np.floating]]:
        if ids:
            rows = np.memmap(file, np.float32, "r", shape=(len(ids), dim))
            for start in range(0, len(ids), ROWS):
                yield np.array(rows[start : start + ROWS])

    return Gallery(ids, blocks, dim, index.meta.model, index.path.name)


def fields_of(
    index: Remote, names: Sequence[str], fields: tuple[str, ...]
) -> list[dict[str, Any] | None]:  # fmt: skip
    """Stored fields of items by their ids; None for an item that is not there."""
    held, here = index.fetch(names, vectors=False), str(Path.cwd())
    return [index.fields(held[name], fields, here) if name in held else None for name in names]
