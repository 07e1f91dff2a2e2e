"""Which items come first for some query of a bank: the gate of DIS and DualDIS."""

from __future__ import annotations

import numpy as np

from mmr.normalize.method import Array, Blocks, cut

SLACK = 1e-6  # how far two float32 products of the same vectors may lie apart


def thresholds(blocks: Blocks, bank: Array, hubs: int) -> Array:
    """The score (m,) that an item needs to be among the first `hubs` items of each row of the bank (m, d)."""
    best = np.full((0, len(bank)), -np.inf)
    for block in cut(blocks(), len(bank)):
        both = np.vstack([best, block @ bank.T])
        kept = min(hubs, len(both))
        best = np.partition(both, len(both) - kept, axis=0)[len(both) - kept :]
    least: Array = best.min(axis=0, initial=np.inf)
    return least


def is_hub(scores: Array, least: Array) -> Array:
    """Tell of items whose scores with the bank are (n, m) whether one reaches `least` (m,); (n,) 0.0 or 1.0.

    Items that tie for the last place all count.
    """
    reached = (scores >= least - SLACK).any(axis=1)
    return np.asarray(reached, np.float64)
