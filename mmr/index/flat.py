"""flat: nothing beside the vectors; the exact search reads them all."""

from __future__ import annotations

from mmr.index.coded import Coded


class Flat(Coded):
    """Every vector is compared, so a segment keeps no structure and is never asked for candidates."""

    suffix: str | None = None
