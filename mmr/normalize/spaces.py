"""Changes of vectors learned from the moments of a set: centring, all-but-the-top, PCA, whitening."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError

Array = NDArray[np.floating[Any]]
Arrays = Mapping[str, NDArray[Any]]
Values = Mapping[str, float | str]

LEAST = 1e-12  # a variance below this share of the largest is none


class Moments:
    """Count, sum and products of the vectors (n, d) of one modality, added block by block in float64."""

    def __init__(self, dim: int) -> None:
        self.count = 0
        self.total = np.zeros(dim)
        self.squares = np.zeros((dim, dim))

    def add(self, rows: Array) -> None:
        """Add a block (n, d)."""
        wide = rows.astype(np.float64)
        self.count += len(wide)
        self.total += wide.sum(axis=0)
        self.squares += wide.T @ wide


class Learned(NamedTuple):
    """What a set gave: means (g, d), a row a group, and the products of what is left, (d, d) a vector."""

    means: Array
    covariance: Array


def learned(groups: Iterable[Moments], mean: str) -> Learned:
    """Means and covariance about them: "modality" has a mean a group, "overall" one, "none" zeros.

    The one mean is that of the groups' means, however many vectors each has. The covariance is that of all
    vectors together, each about its own group's mean.
    """
    held = list(groups)
    count = sum(one.count for one in held)
    if mean == "modality":
        means = np.stack([one.total / one.count for one in held])
    elif mean == "overall":
        means = np.tile(np.mean([one.total / one.count for one in held], axis=0), (len(held), 1))
    else:
        means = np.zeros((len(held), len(held[0].total)))
    products = np.sum([one.squares for one in held], axis=0)
    for one, own in zip(held, means, strict=True):
        products = products - np.outer(one.total, own) - np.outer(own, one.total)
        products = products + one.count * np.outer(own, own)
    return Learned(means, products / count)


def axes(covariance: Array) -> tuple[Array, Array]:
    """Variances (d,), largest first, and directions (d, d), a row each, its largest number above 0."""
    values, columns = np.linalg.eigh(covariance)
    rows = columns.T[::-1]
    signs = np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])
    return np.maximum(values[::-1], 0), rows * signs[:, None]


def unit_rows(rows: Array) -> Array:
    """Rows (n, d) at length 1 in float64; one of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Array = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return found


class Centre:
    """x - mean, at length 1: a mean a modality, or one for all."""

    def learn(self, groups: list[Moments], values: Values) -> dict[str, Array]:
        """The means (g, d)."""
        return {"means": learned(groups, str(values["mean"])).means}

    def apply(self, rows: Array, group: NDArray[np.int64], arrays: Arrays, values: Values) -> Array:
        """Change rows (n, d) float64, `group` (n,) telling whose mean is whose."""
        return unit_rows(rows - arrays["means"][group])


class Abtt(Centre):
    """x - mean - its part in the few directions of most variance, at length 1.

    "All-but-the-Top", Mu and Viswanath 2018.
    """

    def learn(self, groups: list[Moments], values: Values) -> dict[str, Array]:
        """The means and the directions (D, d)."""
        found = learned(groups, str(values["mean"]))
        return {"means": found.means, "directions": axes(found.covariance)[1][: int(values["directions"])]}

    def apply(self, rows: Array, group: NDArray[np.int64], arrays: Arrays, values: Values) -> Array:
        """As `Centre.apply`."""
        left = rows - arrays["means"][group]
        directions = arrays["directions"]
        return unit_rows(left - (left @ directions.T) @ directions)


class Pca(Centre):
    """The `dims` directions of most variance: P (x - mean). Without a mean inner products are kept best."""

    def learn(self, groups: list[Moments], values: Values) -> dict[str, Array]:
        """The means, the matrix (dims, d) and the share of the variance that is kept (1,)."""
        found = learned(groups, str(values["mean"]))
        dims = int(values["dims"])
        if dims > len(found.covariance):
            raise BadDataError(
                f"{dims:,} dimensions are more than the {len(found.covariance):,} of the vectors",
                "Ask for fewer with --dims.",
            )
        variances, directions = axes(found.covariance)
        kept = variances[:dims].sum() / variances.sum()
        return {"means": found.means, "matrix": directions[:dims], "kept": np.array([kept])}

    def apply(self, rows: Array, group: NDArray[np.int64], arrays: Arrays, values: Values) -> Array:
        """As `Centre.apply`; the length stays as it comes with "keep"."""
        found: Array = (rows - arrays["means"][group]) @ arrays["matrix"].T
        return found if values["length"] == "keep" else unit_rows(found)


class Whiten(Centre):
    """The variance made alike in all directions, as far as shrinkage lets it; at length 1.

    C' = (1 - shrink) C + shrink (trace C / d) I; "zca" is C'^-1/2 (x - mean), "pca" turns that to the axes.
    """

    def learn(self, groups: list[Moments], values: Values) -> dict[str, Array]:
        """The means and the matrix (d, d)."""
        found = learned(groups, str(values["mean"]))
        shrink, d = float(values["shrink"]), len(found.covariance)
        spread = np.trace(found.covariance) / d
        variances, directions = axes((1 - shrink) * found.covariance + shrink * spread * np.eye(d))
        if variances[-1] <= LEAST * variances[0]:
            raise BadDataError(
                "the vectors of the set do not vary in all directions, so that they cannot be whitened",
                "Fit with ten times as many vectors as dimensions, or with a --shrink above 0.",
            )
        matrix = directions / np.sqrt(variances)[:, None]
        return {"means": found.means, "matrix": directions.T @ matrix if values["form"] == "zca" else matrix}

    def apply(self, rows: Array, group: NDArray[np.int64], arrays: Arrays, values: Values) -> Array:
        """As `Centre.apply`."""
        return unit_rows((rows - arrays["means"][group]) @ arrays["matrix"].T)
