"""Where a ranking ends: how many first hits of a query to keep, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadItem, UsageError
from mmr.rerank.method import Answer, Given, Method, Tools

Array = NDArray[np.floating[Any]]

FLOOR = 1e-6  # of a variance
STEPS = 200
APART = 2.5  # how many times the sum of their spreads two means must be apart: see `gmm`
STEEPEST = 700.0  # of the logarithm of a ratio of chances
ALONE = 1.5  # a group of fewer scores has no spread of its own


class Kept(NamedTuple):
    """How many first hits a method would keep, and why; None is "it found no place to cut"."""

    size: int | None
    reason: str


class Mixtures(NamedTuple):
    """Two Gaussians over each of B lists of n scores, the lower one first: `means`, standard deviations
    `spreads` and `weights` are (B, 2), `upper` (B, n) is the chance that each score is of the upper one."""

    means: Array
    spreads: Array
    weights: Array
    upper: Array


def mixtures(scores: Array) -> Mixtures:
    """Fit two Gaussians to each list of scores (B, n), n > 0, by expectation and maximisation.

    It starts at the lowest and the highest score with the variance of all and equal weights, takes 200 steps,
    and lets no variance fall below 1e-6 (ViDoRAG fits the same model from a random start). What a list gets
    does not depend on the others.
    """
    x = np.ascontiguousarray(scores, np.float64)
    n = x.shape[1]
    means = np.stack([x.min(axis=1), x.max(axis=1)])
    variances = np.repeat(np.maximum(x.var(axis=1), FLOOR)[None], 2, axis=0)
    weights = np.full(means.shape, 0.5)
    for _ in range(STEPS):
        low, high = _shares(x, means, variances, weights)
        sizes = np.stack([low.sum(axis=1), high.sum(axis=1)])
        before = means
        means = np.stack([(low * x).sum(axis=1), (high * x).sum(axis=1)]) / sizes
        away = (x[None] - means[..., None]) ** 2
        variances = np.stack([(low * away[0]).sum(axis=1), (high * away[1]).sum(axis=1)]) / sizes
        variances = np.maximum(variances, FLOOR)
        weights = sizes / n
        if np.array_equal(before, means):
            break
    order = np.argsort(means, axis=0, kind="stable")
    means, variances, weights = (np.take_along_axis(a, order, 0) for a in (means, variances, weights))
    _, high = _shares(x, means, variances, weights)
    return Mixtures(means.T, np.sqrt(variances).T, weights.T, high)


def _shares(x: Array, means: Array, variances: Array, weights: Array) -> tuple[Array, Array]:
    """The shares (B, n) of the first and of the second Gaussian in each score; neither is ever 0."""
    with np.errstate(divide="ignore"):
        height = np.log(weights) - 0.5 * np.log(variances)
    logs = height[..., None] - 0.5 * (x[None] - means[..., None]) ** 2 / variances[..., None]
    ratio = np.exp(np.clip(logs[0] - logs[1], -STEEPEST, STEEPEST))
    second = 1 / (1 + ratio)
    return ratio * second, second


def gmm(lists: Sequence[Array], depth: int = 20) -> list[Kept]:
    """Keep of each list the upper one of two Gaussians over its first `depth` scores (n,), best first.

    None where the scores have not two groups, else a list of one hump would be cut in its middle: the means
    must be more than 2.5 times the sum of the standard deviations apart (one score alone has that of the
    others). 20 scores of one normal distribution are then cut in 5 % of lists, with 2 times in 20 %. What is
    kept is a prefix: a wide lower Gaussian that claims the extreme top does not tear a hole.
    ViDoRAG, Wang et al. 2025.
    """
    found: list[Kept] = [Kept(None, "all scores are equal")] * len(lists)
    alike: dict[int, list[int]] = {}
    for place, scores in enumerate(lists):
        first = scores[:depth]
        if len(first) < 2:
            found[place] = Kept(None, "one hit has no groups")
        elif first[0] != first[-1]:
            alike.setdefault(len(first), []).append(place)
    for size, places in alike.items():
        x = np.array([lists[place][:size] for place in places], np.float64)
        for place, kept in zip(places, _upper(x), strict=True):
            found[place] = kept
    return found


def _upper(x: Array) -> Iterator[Kept]:
    """What is kept of each list of scores (B, n)."""
    for scores, means, spreads, weights, upper in zip(x, *mixtures(x), strict=True):
        low, high = (means.round(12) + 0.0).tolist()
        alone = weights * len(scores) < ALONE
        wide, narrow = np.where(alone, spreads.max(), spreads).tolist()
        said = f"means {high:.4g} and {low:.4g}, spreads {narrow:.2g} and {wide:.2g}"
        own = np.flatnonzero((upper > 0.5) & (scores > low))
        if high - low > APART * (wide + narrow) and len(own):
            yield Kept(int(own[-1]) + 1, f"two groups of scores: {said}")
        else:
            yield Kept(None, f"one group of scores: {said}")


def gap(scores: Array, depth: int = 20, z: float = 1.5, least: int = 1, most: int = 10) -> Kept:
    """Keep what is above the largest gap between neighbours of the first `depth` scores (n,), best first.

    The gap lies after one of the hits `least` to `most` - 1, the first of equal ones, and counts where it is
    at least `z` standard deviations of those scores: the head of every list has wide gaps. Else None.
    """
    x = np.asarray(scores[:depth], np.float64)
    low, high = max(least, 1), min(most, len(x))
    if high - low < 1:
        return Kept(None, f"no gap lies between hit {low} and hit {high}")
    spread = float(x.std())
    gaps = x[:-1] - x[1:]
    place = int(np.argmax(gaps[low - 1 : high - 1])) + low
    width = float(gaps[place - 1])
    if spread == 0 or x[0] == x[-1]:
        return Kept(None, "all scores are equal")
    said = f"the largest gap, {width:.4g} after hit {place}, is {width / spread:.2f} standard deviations"
    return Kept(place if width >= z * spread else None, said)


def threshold(scores: Array, least: float | None = None, ratio: float | None = None) -> Kept:
    """Keep scores (n,), best first, that are at least `least`, and at least `ratio` times the first one.

    Raises `ValueError` for a ratio where the first score is not above 0: no share of it is a bound.
    """
    x = np.asarray(scores, np.float64)
    bound, said = -np.inf, ""
    if ratio is not None and len(x):
        if not x[0] > 0:
            raise ValueError(f"the highest score is {x[0]:g}, and a ratio needs one above 0")
        bound, said = ratio * float(x[0]), f"{ratio:g} of the highest, {x[0]:.4g}"
    if least is not None and least >= bound:
        bound, said = least, f"{least:g}"
    count = int((x >= np.float64(bound)).sum())
    return Kept(count, f"at least {said}" if said else "no bound")


def mass(scores: Array, share: float = 0.9, temperature: float = 0.01) -> Kept:
    """Keep the first scores (n,), best first, until softmax(score / temperature) adds up to `share`."""
    x = np.asarray(scores, np.float64)
    if not len(x):
        return Kept(0, "no hits")
    parts = np.exp((x - x[0]) / temperature)
    total = np.cumsum(parts / parts.sum())
    count = min(int(np.searchsorted(total, share - 1e-12)) + 1, len(x))
    return Kept(count, f"softmax mass {total[count - 1]:.4f} at temperature {temperature:g}")


def calibrated(scores: Array, slope: float, offset: float, least: float = 0.5) -> Kept:
    """Keep scores (n,), best first, whose chance 1 / (1 + exp(-(slope s + offset))) is at least `least`.

    slope and offset are Platt's, fitted on labelled pairs; slope is above 0, so that a prefix is kept.
    """
    x = np.asarray(scores, np.float64)
    chances = chance(x, slope, offset)
    count = int((chances >= least).sum())
    best = f"; the best has {chances[0]:.4f}" if len(x) else ""
    return Kept(count, f"a chance of at least {least:g}{best}")


def chance(scores: Array, slope: float, offset: float) -> Array:
    """1 / (1 + exp(-(slope s + offset))) of scores (n,), without overflow. Platt 1999."""
    z = slope * np.asarray(scores, np.float64) + offset
    small = np.exp(-np.abs(z))
    found: Array = np.where(z >= 0, 1 / (1 + small), small / (1 + small))
    return found


def bounded(kept: Kept, given: int, least: int, most: int) -> Kept:
    """Bring what a method found to at least `least` and at most `most` of the `given` hits.

    A method that found no place to cut keeps `most`. The reason says where a bound decided.

    >>> bounded(Kept(None, "one group of scores"), 40, 1, 10)
    Kept(size=10, reason='one group of scores; 10 at most')
    """
    wanted = most if kept.size is None else kept.size
    if wanted < least and wanted < given:
        return Kept(min(least, given), f"{kept.reason}; {least} at least")
    if min(wanted, given) > most or (kept.size is None and given > most):
        return Kept(most, f"{kept.reason}; {most} at most")
    return Kept(min(wanted, given), kept.reason)


OWN: dict[str, dict[str, float]] = {
    "gmm": {"first": 20},
    "gap": {"first": 20, "z": 1.5},
    "threshold": {},
    "probability": {"mass": 0.9, "temperature": 0.01, "min_prob": 0.5},
}
"""The options of each way to cut that have a default, beside --min, --max and --min-score."""
SHARED = ("min", "max", "min_score", "method")
MORE = {"threshold": ("ratio",), "probability": ("slope", "offset")}


class Cut(Method):
    """Keeps the first hits; the record's `cut` says how many of how many, and why."""

    def __init__(self, params: Mapping[str, Any], tools: Tools) -> None:
        super().__init__(params, tools)
        self.way = params["method"]
        given = {name: value for name, value in params.items() if value is not None}
        known = {*SHARED, *OWN[self.way], *MORE.get(self.way, ())}
        wrong = next((name for name in given if name not in known), None)
        if wrong is not None:
            ways = [way for way in OWN if wrong in OWN[way] or wrong in MORE.get(way, ())]
            fix = f"Leave it out, or use --method {' or '.join(ways)}."
            raise UsageError(f"--{wrong.replace('_', '-')} means nothing to --method {self.way}", fix)
        if params["min"] > params["max"]:
            raise UsageError(
                f"--min {params['min']} is more than --max {params['max']}", "Give the smaller to --min."
            )
        if self.way == "threshold" and not {"min_score", "ratio"} & set(given):
            raise UsageError("--method threshold needs a bound", "Say --min-score S, --ratio R, or both.")
        self._check_probability(given)
        self.own = {**OWN[self.way], **given}

    def _check_probability(self, given: Mapping[str, Any]) -> None:
        calibrated_by = {"slope", "offset", "min_prob"} & set(given)
        if calibrated_by and not {"slope", "offset"} <= set(given):
            raise UsageError("--slope and --offset belong together", "Both come from a fit to judged pairs.")
        if calibrated_by and {"mass", "temperature"} & set(given):
            raise UsageError(
                "--mass and --temperature are of uncalibrated scores, not --slope", "Leave them out."
            )

    def rerank_all(self, given: Sequence[Given]) -> Sequence[Answer | Exception]:
        """A `BadItem` for a ratio of a score that is not above 0."""
        groups = gmm([one.scores for one in given], self.own["first"]) if self.way == "gmm" else None
        found: list[Answer | Exception] = []
        for place, one in enumerate(given):
            try:
                kept = self._found(one.scores) if groups is None else groups[place]
            except ValueError as error:
                fix = "use --min-score"
                found.append(BadItem(one.where, str(error), fix, stage="rerank", record=one.record))
                continue
            found.append(self._answer(one, kept if len(one.scores) else Kept(0, "no hits")))
        return found

    def _answer(self, given: Given, kept: Kept) -> Answer:
        if self.way != "threshold" and self.own.get("min_score") is not None:
            kept = _above(kept, given.scores, self.own["min_score"])
        kept = bounded(kept, len(given.scores), self.own["min"], self.own["max"])
        assert kept.size is not None
        said = {"method": self.way, "kept": kept.size, "of": len(given.scores), "reason": kept.reason}
        return Answer(given.scores, kept=np.arange(len(given.scores)) < kept.size, tail=False,
                      record={"cut": said}, why=[kept.reason] * len(given.scores),
                      step=f"kept {kept.size} of {len(given.scores)}")  # fmt: skip

    def _found(self, scores: Array) -> Kept:
        own = self.own
        if self.way == "gap":
            return gap(scores, own["first"], own["z"], own["min"], own["max"])
        if self.way == "threshold":
            return threshold(scores, own.get("min_score"), own.get("ratio"))
        if "slope" in own:
            return calibrated(scores, own["slope"], own["offset"], own["min_prob"])
        return mass(scores, own["mass"], own["temperature"])


def _above(kept: Kept, scores: Array, least: float) -> Kept:
    """The same without scores under `least`."""
    count = int((scores >= least).sum())
    if kept.size is not None and kept.size <= count:
        return kept
    if kept.size is None and count == len(scores):
        return kept
    return Kept(count, f"{kept.reason}; {count} at least {least:g}")
