"""How far a figure may be trusted: bootstrap intervals, paired tests, Holm's correction.

Random numbers come from PCG64 in one fixed order and sums are numpy's own, never a BLAS product, so that the
same values and seed give the same answer at any thread count. Formulas: Efron 1987 (BCa), Smucker, Allan and
Carterette 2007 (randomization in retrieval), Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from mmr.errors import UsageError
from mmr.evaluate.judged import Floats

EXACT_FLIPS = 20
EXACT_RANKS = 50
FLIPPED_RANKS = 13
BLOCK = 1 << 20
ROUNDING = 1e-12
NORMAL = NormalDist()
STATISTICS = ("mean", "median", "median_floor")


class Outcome(NamedTuple):
    """A paired test: its two-sided p (NaN where it cannot say anything), statistic, and how p was found."""

    p: float
    statistic: float
    how: str


def interval(
    values: Floats, *, resamples: int = 10_000, level: float = 0.95, seed: int = 0, statistic: str = "mean"
) -> tuple[float, float]:
    """Return the BCa bootstrap interval of one of STATISTICS of values (n,) without NaN.

    The bias counts resamples equal to the estimate half; the acceleration comes from the jackknife. Where
    every resample lies on one side of the estimate, the percentile interval stands in. Of fewer than two
    values the interval is (NaN, NaN); of equal values it has no width. That of "median_floor" is the
    median's, rounded down.

    >>> [round(end, 3) for end in interval(np.array([0.1, 0, 0.2, 0.2, -0.1, 0.2, 0.3, 0.1]))]
    [0.025, 0.2]
    """
    _check(statistic, level)
    if len(values) < 2:
        return math.nan, math.nan
    if (values == values[0]).all():
        return float(values[0]), float(values[0])
    rng = np.random.Generator(np.random.PCG64(seed))
    low, high = _ends(*_resampled(values, resamples, rng, statistic), level)
    return (math.floor(low), math.floor(high)) if statistic == "median_floor" else (low, high)


def unpaired_interval(
    values: Floats,
    others: Floats,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
    statistic: str = "mean",
) -> tuple[float, float]:
    """Return the BCa interval of statistic(values) - statistic(others), for two sets of different queries.

    Each set is resampled by itself; otherwise as `interval`, except that a difference of medians is not
    rounded. (NaN, NaN) where a set has fewer than two values.
    """
    _check(statistic, level)
    if min(len(values), len(others)) < 2:
        return math.nan, math.nan
    rng = np.random.Generator(np.random.PCG64(seed))
    left, right = (_resampled(side, resamples, rng, statistic) for side in (values, others))
    influence = np.concatenate([left.influence / len(values), -right.influence / len(others)])
    return _ends(left.drawn - right.drawn, left.estimate - right.estimate, influence, level)


class _Resampled(NamedTuple):
    """A statistic of resamples (resamples,), of the values themselves, and how each value (n,) moves it."""

    drawn: Floats
    estimate: float
    influence: Floats


def _check(statistic: str, level: float) -> None:
    if statistic not in STATISTICS:
        raise UsageError(f"no interval of the {statistic}", f"There are {', '.join(STATISTICS)}.")
    if not 0 < level < 1:
        raise UsageError(f"an interval of level {level:g} cannot be made", "The level lies between 0 and 1.")


def _resampled(values: Floats, resamples: int, rng: np.random.Generator, statistic: str) -> _Resampled:
    """Resample at least two values; the influences are those of the jackknife."""
    ordered = np.sort(values)
    n = len(ordered)
    if statistic == "mean":
        mean = float(ordered.sum() / n)
        return _Resampled(_means(ordered, resamples, rng), mean, ordered - mean)
    left_out = _medians_without_one(ordered)
    influence = (n - 1) * (left_out.sum() / n - left_out)
    return _Resampled(_medians(ordered, resamples, rng), float(np.median(ordered)), influence)


def _ends(resampled: Floats, estimate: float, influence: Floats, level: float) -> tuple[float, float]:
    """The interval's ends."""
    low, high = np.quantile(resampled, _shares(resampled, estimate, influence, level))
    return float(low), float(high)


def _shares(resampled: Floats, estimate: float, influence: Floats, level: float) -> tuple[float, float]:
    """The shares of the bootstrap distribution that bound the interval."""
    tail = (1 - level) / 2
    slack = ROUNDING * max(1.0, abs(estimate))
    below = np.count_nonzero(resampled < estimate - slack)
    equal = np.count_nonzero(resampled <= estimate + slack) - below
    share = (below + equal / 2) / len(resampled)
    if not 0 < share < 1:
        return tail, 1 - tail
    bias = NORMAL.inv_cdf(share)
    squares = float((influence**2).sum())
    skew = float((influence**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0
    shares = []
    for z in (NORMAL.inv_cdf(tail), NORMAL.inv_cdf(1 - tail)):
        shrink = 1 - skew * (bias + z)
        if shrink <= 0:
            return tail, 1 - tail
        shares.append(NORMAL.cdf(bias + (bias + z) / shrink))
    return shares[0], shares[1]


def _means(ordered: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples,): means of n values drawn with replacement.

    A measure with few distinct values (hit, RR) is drawn by how often each comes: the same distribution, and
    a million queries cost as little as a hundred.
    """
    n = len(ordered)
    distinct, counts = np.unique(ordered, return_counts=True)
    few = len(distinct) <= n // 32
    means = np.empty(resamples)
    rows = max(1, BLOCK // (len(distinct) if few else n))
    for at in range(0, resamples, rows):
        size = min(rows, resamples - at)
        if few:
            drawn = rng.multinomial(n, counts / n, size=size) * distinct
        else:
            drawn = ordered[rng.integers(0, n, (size, n))]
        means[at : at + size] = drawn.sum(axis=1)
    return means / n


def _medians(ordered: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples,): medians of n values drawn with replacement from the n ordered ones.

    The middle of n uniform draws has a beta distribution, so the n draws need not be made: order statistic i
    of n is Beta(i, n + 1 - i), and the next one is the least of the n - i draws above it.
    """
    n = len(ordered)
    middle = (n + 1) // 2
    lower: Floats = rng.beta(middle, n + 1 - middle, resamples)
    medians: Floats = ordered[np.minimum((lower * n).astype(np.int64), n - 1)]
    if n % 2:
        return medians
    upper = lower + (1 - lower) * rng.beta(1, n - middle, resamples)
    return (medians + ordered[np.minimum((upper * n).astype(np.int64), n - 1)]) / 2


def _medians_without_one(ordered: Floats) -> Floats:
    """(n,): the median of the ordered values without each one of them in turn."""
    n, half = len(ordered), len(ordered) // 2
    places = np.arange(n)
    without: Floats = np.where(places < half, ordered[half], ordered[half - 1])
    if n % 2:
        without = (without + np.where(places <= half, ordered[half + 1], ordered[half])) / 2
    return without


def differences(values: Floats, baseline: Floats) -> Floats:
    """Return values - baseline, rounded to 1e-12: equal differences are equal whatever they were made of."""
    return np.round(values - baseline, 12)


def randomization(d: Floats, *, resamples: int = 100_000, seed: int = 0) -> Outcome:
    """Test by flipping the signs of paired differences (n,): how often is |mean| as large as what was seen?

    Pairs without a difference have no sign to flip. Up to 20 others all flips are made and p is their share;
    beyond, p = (c + 1) / (resamples + 1), which is never 0.
    """
    if not len(d):
        return Outcome(math.nan, math.nan, "no pairs")
    mean = float(d.sum() / len(d))
    moved = d[d != 0]
    least = (abs(mean) - ROUNDING) * len(d)
    if len(moved) <= EXACT_FLIPS:
        sums = np.zeros(1)
        for value in moved:
            sums = np.concatenate([sums + value, sums - value])
        return Outcome(float((np.abs(sums) >= least).mean()), mean, f"all 2^{len(moved)} flips of the signs")
    sums = _flipped(moved, resamples, np.random.Generator(np.random.PCG64(seed)))
    as_large = int(np.count_nonzero(np.abs(sums) >= least))
    return Outcome((as_large + 1) / (resamples + 1), mean, f"{resamples:,} random flips of the signs")


def _flipped(d: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples,): sums of d under random signs, eight differences a random byte."""
    signs = ((np.arange(256)[:, None] >> np.arange(8)) & 1) * 2.0 - 1.0
    sums = np.zeros(resamples)
    for at in range(0, len(d), 8):
        eight = d[at : at + 8]
        sums += (signs[:, : len(eight)] * eight).sum(axis=1)[np.frombuffer(rng.bytes(resamples), np.uint8)]
    return sums


def t_test(d: Floats) -> Outcome:
    """Student's paired t, two-sided. p is NaN of fewer than two pairs and where nothing differs."""
    n = len(d)
    if n < 2:
        return Outcome(math.nan, math.nan, "fewer than two pairs")
    if (d == d[0]).all():
        if d[0] == 0:
            return Outcome(math.nan, math.nan, "no pair differs")
        return Outcome(0.0, math.copysign(math.inf, float(d[0])), "every pair differs by the same")
    from scipy.special import stdtr

    t = float(d.mean() / (spread(d) / math.sqrt(n)))
    return Outcome(float(2 * stdtr(n - 1, -abs(t))), t, f"t with {n - 1:,} degrees of freedom")


def wilcoxon(d: Floats, *, zeros: str = "wilcox", method: str = "auto") -> Outcome:
    """Wilcoxon's signed ranks, two-sided; the statistic is the smaller sum of ranks.

    zeros   "wilcox" drops pairs without a difference, "pratt" ranks them and then drops them
    method  "exact" is the distribution without ties, "flips" all flips of the signs (right with ties too),
            "normal" the approximation without continuity correction. "auto" is exact up to 50 pairs without
            ties, flips up to 13 pairs with ties or Pratt's zeros, and normal beyond.
    """
    from scipy.stats import rankdata, wilcoxon

    ranked = d if zeros == "pratt" else d[d != 0]
    size = np.abs(ranked)
    if not size.any():
        return Outcome(math.nan, math.nan, "no pair differs")
    if method == "auto":
        tied = len(np.unique(size)) < len(size) or not size.all()
        exact = len(size) <= (FLIPPED_RANKS if tied else EXACT_RANKS)
        method = ("flips" if tied else "exact") if exact else "normal"
    if method == "flips":
        ranks = np.sign(ranked) * rankdata(size)
        less = float(min(ranks[ranks > 0].sum(), abs(ranks[ranks < 0].sum())))
        return Outcome(randomization(ranks).p, less, f"all flips of the signs, zeros: {zeros}")
    found = wilcoxon(ranked, zero_method=zeros, method="exact" if method == "exact" else "approx")
    how = "exact" if method == "exact" else "normal approximation"
    return Outcome(float(found.pvalue), float(found.statistic), f"{how}, zeros: {zeros}")


TESTS: Mapping[str, Callable[[Floats, int], Outcome]] = {
    "randomization": lambda d, seed: randomization(d, seed=seed),
    "t": lambda d, _: t_test(d),
    "wilcoxon": lambda d, _: wilcoxon(d),
}


def holm(ps: Sequence[float]) -> list[float]:
    """Correct p-values for how many there are (Holm's step-down), in their order; NaN is no comparison.

    >>> holm([0.01, 0.04, 0.03, 0.005])
    [0.03, 0.06, 0.06, 0.02]
    """
    corrected = [math.nan] * len(ps)
    order = sorted((p, place) for place, p in enumerate(ps) if not math.isnan(p))
    largest = 0.0
    for done, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - done) * p))
        corrected[place] = largest
    return corrected


def spread(d: Floats) -> float:
    """The standard deviation with n - 1: NaN of fewer than two values, exactly 0 of equal ones."""
    if len(d) < 2:
        return math.nan
    return 0.0 if (d == d[0]).all() else float(d.std(ddof=1))


def detectable(d: Floats, *, power: float = 0.8, level: float = 0.05) -> float:
    """The smallest mean difference that so many pairs, as scattered as these, show with that power.

    (z(1 - level / 2) + z(power)) sd(d) / sqrt(n), sd with n - 1. NaN of fewer than two pairs.
    """
    return (NORMAL.inv_cdf(1 - level / 2) + NORMAL.inv_cdf(power)) * spread(d) / math.sqrt(max(len(d), 1))


def effect(d: Floats) -> float:
    """The effect size of paired differences: mean / sd (Cohen's d_z), NaN where nothing varies."""
    sd = spread(d)
    return float(d.mean()) / sd if sd > 0 else math.nan
