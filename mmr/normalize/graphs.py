"""InvGC and LocalAdj: items pushed away from what a bank of queries and a bank of items have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.normalize.bank import SAME
from mmr.normalize.method import cut
from mmr.normalize.spaces import Array, Arrays, Values, unit_rows

BANKS = ("gallery", "query")


class InvGc:
    """L2(f(g; items, rate) + f(g; queries, query_rate)), where f(g; H, r) = L2(g - r/|H| sum of (g·h) h).

    "InvGC: Robust Cross-Modal Retrieval by Inverse Graph Convolution", Jian and Wang 2023. Their code takes
    the block's mean of g·h off each g·h, so that a vector depends on its neighbours in the block; here it is
    left out. Queries stay as they are.
    """

    def learn(self, queries: Array, items: Array, values: Values) -> dict[str, Array]:
        """H^T H / |H| (d, d) of each bank: the whole sum is one product with it."""
        banks = zip(BANKS, (items, queries), strict=True)
        wide = {name: bank.astype(np.float64) for name, bank in banks}
        return {name: bank.T @ bank / len(bank) for name, bank in wide.items()}

    def apply(self, rows: Array, group: NDArray[np.int64], arrays: Arrays, values: Values) -> Array:
        """Change items (n, d) float64."""
        rates = (float(values["rate"]), float(values["query_rate"]))
        parts = [
            unit_rows(rows - rate * (rows @ arrays[name])) for name, rate in zip(BANKS, rates, strict=True)
        ]
        return unit_rows((parts[0] + parts[1]) / 2)

    def shared(self, rows: Array, arrays: Arrays) -> int:
        """How many items of (n, d) are in the bank of items, where that would push those items down alone."""
        return 0


class LocalAdj(InvGc):
    """As InvGC, each sum over the share `pool` of the bank that is nearest to the item, one at least."""

    def learn(self, queries: Array, items: Array, values: Values) -> dict[str, Array]:
        """The banks themselves (m, d)."""
        return {"gallery": items, "query": queries}

    def apply(self, rows: Array, group: NDArray[np.int64], arrays: Arrays, values: Values) -> Array:
        """Change items (n, d) float64."""
        rates = (float(values["rate"]), float(values["query_rate"]))
        parts = [
            _pushed(rows, arrays[name].astype(np.float64), rate, float(values["pool"]))
            for name, rate in zip(BANKS, rates, strict=True)
        ]
        return unit_rows((parts[0] + parts[1]) / 2)

    def shared(self, rows: Array, arrays: Arrays) -> int:
        """An item that is in the bank is its own nearest."""
        bank = arrays["gallery"].astype(np.float64)
        return sum(int((block @ bank.T > SAME).any(axis=1).sum()) for block in cut([rows], len(bank)))


def _pushed(rows: Array, bank: Array, rate: float, pool: float) -> Array:
    """L2(g - rate / k * sum over its k nearest of (g·h) h)."""
    k = max(1, int(pool * len(bank)))
    out: list[Array] = [np.empty((0, rows.shape[1]))]
    for block in cut([rows], len(bank)):
        scores = block @ bank.T
        near = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
        kept = np.zeros_like(scores)
        np.put_along_axis(kept, near, np.take_along_axis(scores, near, 1), 1)
        out.append(unit_rows(block - rate / k * (kept @ bank)))
    return np.concatenate(out)
