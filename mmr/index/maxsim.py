"""maxsim: several vectors an item, compared as they are; nothing is built beside them."""

from __future__ import annotations

from mmr.index.flat import Flat


class MaxSim(Flat):
    """Every vector of every item is compared, or those of the items whose mean is near the query's."""
