"""The modality gap: how far apart two sets of vectors lie, such as pictures and their captions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, shown
from mmr.evaluate.judged import Floats

ROWS = 4096


class Gap(NamedTuple):
    """The gap between n and m vectors of unit length.

    distance  between the two means, 0 to 2
    within_first, within_second  mean cosine of two different vectors of the same set; NaN of one vector
    across    mean cosine of a vector of one set and one of the other
    """

    n: int
    m: int
    dim: int
    distance: float
    within_first: float
    within_second: float
    across: float


def gap(
    first: NDArray[Any], second: NDArray[Any], names: tuple[str, str] = ("the first file", "the second file")
) -> Gap:
    """Measure the gap between two sets of vectors (n, d) and (m, d), mapped or not; rows are made unit first.

    Liang et al., Mind the Gap, 2022: the means are not made unit again. Cosines come from the sums of the
    vectors, so all pairs count and none is listed. Raises `BadDataError` for vectors of different length, no
    vectors, and a row that is zero or not finite.
    """
    if first.shape[1] != second.shape[1]:
        raise BadDataError(
            f"{shown(names[0])} has {first.shape[1]} dimensions, {shown(names[1])} has {second.shape[1]}",
            "Vectors of one model are compared: embed both sets with the same one.",
        )
    x, y = _sum(first, names[0]), _sum(second, names[1])
    n, m = len(first), len(second)
    apart = x / n - y / m
    return Gap(
        n, m, first.shape[1],
        math.sqrt(_dot(apart, apart)),
        (_dot(x, x) - n) / (n * (n - 1)) if n > 1 else math.nan,
        (_dot(y, y) - m) / (m * (m - 1)) if m > 1 else math.nan,
        _dot(x, y) / (n * m),
    )  # fmt: skip


def _sum(vectors: NDArray[Any], name: str) -> Floats:
    """(d,): the sum of the rows, each brought to length 1, in float64 and in their order."""
    if not len(vectors):
        raise BadDataError(f"{shown(name)} has no vectors", "Was it cut off?")
    total = np.zeros(vectors.shape[1])
    for start in range(0, len(vectors), ROWS):
        block = np.asarray(vectors[start : start + ROWS], np.float64)
        length = np.sqrt((block**2).sum(axis=1))
        bad = ~np.isfinite(length) | (length == 0)
        if bad.any():
            raise BadDataError(
                f"{shown(name)}: row {start + int(np.argmax(bad))} is zero or not finite",
                "It has no direction: embed its item again, or leave it out.",
            )
        total += (block / length[:, None]).sum(axis=0)
    return total


def _dot(a: Floats, b: Floats) -> float:
    return float((a * b).sum())


def meaning(found: Gap) -> str:
    """Say in one sentence what the figures mean."""
    if min(found.n, found.m) < 2:
        return "One vector has no others of its set to be near to: a gap needs sets."
    within = min(found.within_first, found.within_second)
    if found.across >= within:
        return "The two sets lie in one place: scores across them compare with scores within them."
    return (
        f"Two vectors of different sets are {within - found.across:.3f} lower in cosine than two of the same:"
        " in a mixed index items of the query's own kind come first, and one threshold of scores does not"
        " serve both."
    )
