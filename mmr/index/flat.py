"""flat: nothing beside the vectors; the exact search reads them all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.table import Params


class Flat:
    """Every vector is compared, so a segment keeps no structure."""

    suffix: str | None = None

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path) -> bool:
        """Write nothing."""
        return False

    def candidates(
        self, file: Path, queries: NDArray[np.float32], k: int, params: Params
    ) -> NDArray[np.int64]:
        """Never called: a flat segment has no file to search."""
        raise NotImplementedError("a flat segment is searched exactly")
