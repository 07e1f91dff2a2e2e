"""A linear map from one model's space into another's, learned from the same things in both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.normalize.spaces import Array, Arrays, Values, unit_rows


class Map:
    """x W at length 1: W is orthogonal (Procrustes) or the ridge regression of target on source.

    orthogonal  W = U V^T of the singular value decomposition of X^T Y (Schönemann 1966); the narrower of two
                spaces of unequal dimensions counts as filled up with zeros
    ridge       W = (X^T X + ridge I)^-1 X^T Y
    auto        ridge where there are at least as many pairs as dimensions, else orthogonal
    """

    def learn(self, source: Array, target: Array, values: Values) -> dict[str, Array]:
        """The matrix (d of the target, d of the source) from rows (n, d) that belong together."""
        x, y = source.astype(np.float64), target.astype(np.float64)
        if form(len(x), x.shape[1], values) == "orthogonal":
            left, _, right = np.linalg.svd(x.T @ y, full_matrices=False)
            return {"matrix": (left @ right).T}
        gram = x.T @ x + float(values["ridge"]) * np.eye(x.shape[1])
        return {"matrix": np.linalg.solve(gram, x.T @ y).T}

    def apply(self, rows: Array, group: NDArray[np.int64], arrays: Arrays, values: Values) -> Array:
        """Change rows (n, d of the source) float64 into (n, d of the target)."""
        return unit_rows(rows @ arrays["matrix"].T)


def form(pairs: int, dim: int, values: Values) -> str:
    """Which of the two maps "auto" is for so many pairs of source vectors of length `dim`."""
    if values["form"] != "auto":
        return str(values["form"])
    return "ridge" if pairs >= dim else "orthogonal"
