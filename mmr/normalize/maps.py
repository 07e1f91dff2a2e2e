"""A linear map from one model's space into another's, learned from the same things in both, and judged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError
from mmr.normalize.spaces import Array, Arrays, Values, unit_rows

LEAST = 0.9  # mean cosine of pairs held out, or share of many that find their own, of a map that serves
MANY = 100  # pairs held out, of which the share that find their own tells something
FEW = 20  # pairs: fewer tell nothing of a map
SHARE, MOST = 5, 1024  # one pair in five is held out, so many at most
SEED = 0


class Judged(NamedTuple):
    """What pairs that a map was not learned from say of it.

    pairs   how many
    cosine  mean cosine of a mapped source and its target, -1 to 1
    recall  share of the mapped sources whose nearest of these targets is their own, 0 to 1
    """

    pairs: int
    cosine: float
    recall: float

    @property
    def serves(self) -> bool:
        """Whether mapped vectors may stand for those of the other model: they are near to them, or, where the
        two models see things a little differently, nearer to their own than to those of many others."""
        return self.cosine >= LEAST or (self.pairs >= MANY and self.recall >= LEAST)


class Map:
    """x W at length 1, and the same back: W is orthogonal, a ridge regression, or of low rank.

    orthogonal  W = U V^T of the singular value decomposition of X^T Y (Schönemann 1966); the narrower of two
                spaces of unequal dimensions counts as filled up with zeros
    ridge       W = (X^T X + ridge I)^-1 X^T Y
    low-rank    the ridge regression W followed by the projection on the `rank` first right singular vectors
                of [X; sqrt(ridge) I] W: the best map of that rank (Izenman 1975)

    Of all sets that were measured the orthogonal map found the most, although the others' cosines are higher.
    """

    def learn(self, source: Array, target: Array, values: Values) -> dict[str, Array]:
        """From rows (n, d) that belong together the matrix (d of target, d of source), and the way back.

        Raises `BadDataError` for a rank above the smaller of the two dimensions.
        """
        x, y = source.astype(np.float64), target.astype(np.float64)
        return {"matrix": _learned(x, y, values), "back": _learned(y, x, values)}

    def apply(self, rows: Array, group: NDArray[np.int64], arrays: Arrays, values: Values) -> Array:
        """Change rows (n, d of the source) float64 into (n, d of the target)."""
        return unit_rows(rows @ arrays["matrix"].T)


def _learned(x: Array, y: Array, values: Values) -> Array:
    if values["form"] == "orthogonal":
        left, _, right = np.linalg.svd(x.T @ y, full_matrices=False)
        return np.asarray((left @ right).T)
    weight = float(values["ridge"])
    found = np.linalg.solve(x.T @ x + weight * np.eye(x.shape[1]), x.T @ y)
    if values["form"] == "low-rank":
        rank, most = int(values["rank"]), min(found.shape)
        if rank > most:
            what = f"a map between {found.shape[0]:,} and {found.shape[1]:,} dimensions"
            raise BadDataError(f"{what} has a rank of {most:,} at most", "Ask for less with --rank.")
        fitted = x @ found
        products = fitted.T @ fitted + weight * (found.T @ found)
        kept = np.linalg.eigh(products)[1][:, -rank:]
        found = found @ kept @ kept.T
    return np.asarray(found.T)


def used(values: Values) -> Values:
    """The parameters that a map of its form looks at."""
    names = {"orthogonal": ("form",), "ridge": ("form", "ridge")}.get(str(values["form"]), tuple(values))
    return {name: values[name] for name in names}


def judged(source: Array, target: Array, values: Values) -> Judged:
    """Learn from four pairs of five and look at the fifth, 1,024 at most; rows (n, d) of length 1.

    Which pairs are held out depends on their number alone. A source whose target is there twice has found
    it. Two pairs at least.
    """
    order = np.random.default_rng(SEED).permutation(len(source))
    held = order[: min(MOST, max(1, len(order) // SHARE))]
    learnt = order[len(held) :]
    method = Map()
    matrix = _learned(source[learnt].astype(np.float64), target[learnt].astype(np.float64), values)
    rows = source[held].astype(np.float64)
    mapped = method.apply(rows, np.zeros(len(held), np.int64), {"matrix": matrix}, values)
    scores = mapped @ target[held].astype(np.float64).T
    own = np.diagonal(scores)
    return Judged(len(held), float(own.mean()), float((scores <= own[:, None] + 1e-9).all(axis=1).mean()))
