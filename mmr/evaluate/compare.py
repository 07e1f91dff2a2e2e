"""Compare runs on the queries they share: is the difference more than chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmr.errors import BadDataError, UsageError, shown
from mmr.evaluate.doubt import TESTS, detectable, differences, effect, holm, interval
from mmr.evaluate.grammar import parse
from mmr.evaluate.judged import Floats, Ints
from mmr.evaluate.scored import Scored


@dataclass(frozen=True)
class Comparison:
    """One run against the baseline by one measure, over the queries that both have a value for.

    queries     how many those are; left_out: queries that only one of the two has a value for
    missing     of the judged queries, how many the run (and the baseline) has no ranking for
    base, value mean of the baseline, of the run; difference = value - base
    low, high   95 % BCa interval of the difference
    p, holm     p of the test, and corrected for every comparison made at once; NaN where there is none
    effect      mean / sd of the differences
    detectable  the smallest difference that so many queries show with power 0.8 at level 0.05
    up, down    queries whose value rose, fell
    how         the test and how its p was found, or why there is none
    """

    run: str
    baseline: str
    measure: str
    queries: int
    left_out: int
    missing: tuple[int, int]
    base: float
    value: float
    difference: float
    low: float
    high: float
    p: float
    holm: float
    effect: float
    detectable: float
    up: int
    down: int
    how: str

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.holm < 0.05


def compare(
    runs: Sequence[Scored], measures: Sequence[str], *, test: str = "randomization", seed: int = 0
) -> list[Comparison]:
    """Compare each later run with the first by each measure, in that order.

    Every comparison is of the means over queries, whatever the measure's own total; `how` says so of a
    median. A pooled measure has no values to pair and so no p. Holm's correction is over all of them. Raises
    `UsageError` for fewer than two runs or an unknown test, `BadDataError` where two runs share no query.
    """
    if test not in TESTS:
        raise UsageError(f"no test is called {shown(test)}", f"There are: {', '.join(TESTS)}.")
    if len(runs) < 2:
        raise UsageError("a comparison needs at least two runs", "Name the baseline first, then the others.")
    for run in runs:
        _check(run)
    compared = [_compared(runs[0], run, measure, test, seed) for run in runs[1:] for measure in measures]
    corrected = holm([comparison.p for comparison in compared])
    return [replace(one, holm=p) for one, p in zip(compared, corrected, strict=True)]


def _check(run: Scored) -> None:
    """Refuse a run whose every value is the 0 of a missing ranking."""
    if not run.queries or run.counts.run <= run.counts.unknown:
        what = (
            f"its {run.counts.run:,} queries are not in the judgements" if run.counts.run else "it is empty"
        )
        raise BadDataError(
            f"{shown(run.name)} cannot be compared: {what}", "A difference from nothing means nothing."
        )


def _compared(base: Scored, run: Scored, measure: str, test: str, seed: int) -> Comparison:
    left, right = _shared(base, run)
    if not len(left):
        raise BadDataError(
            f"{shown(base.name)} and {shown(run.name)} have no query in common",
            "A paired test needs the same queries: were the runs made of the same query file?",
        )
    missing = run.counts.missing, base.counts.missing
    if measure not in run.values or measure not in base.values:
        return _pooled(base, run, measure, missing)
    old, new = base.values[measure], run.values[measure]
    defined = ~np.isnan(old[left]) & ~np.isnan(new[right])
    before, after = old[left][defined], new[right][defined]
    d = differences(after, before)
    p, _, how = TESTS[test](d, seed)
    low, high = interval(d, seed=seed)
    have = int((~np.isnan(old)).sum()) + int((~np.isnan(new)).sum())
    return Comparison(
        run.name, base.name, measure, len(d), have - 2 * len(d), missing,
        _mean(before), _mean(after), _mean(d), low, high, p, math.nan, effect(d), detectable(d),
        int((d > 0).sum()), int((d < 0).sum()), f"{test}: {how}{_means(measure)}",
    )  # fmt: skip


def _pooled(base: Scored, run: Scored, measure: str, missing: tuple[int, int]) -> Comparison:
    """A measure that is one figure over all queries."""
    nothing = math.nan
    before, after = base.totals.get(measure, nothing), run.totals.get(measure, nothing)
    return Comparison(
        run.name, base.name, measure, 0, 0, missing, before, after, after - before, nothing, nothing,
        nothing, nothing, nothing, nothing, 0, 0, "one figure over all queries: nothing to pair",
    )  # fmt: skip


def _shared(base: Scored, run: Scored) -> tuple[Ints, Ints]:
    """The places of the queries that both have, in each."""
    if list(base.queries) == list(run.queries):
        everywhere = np.arange(len(base.queries))
        return everywhere, everywhere
    places = {query: place for place, query in enumerate(base.queries)}
    pairs = [(places[query], place) for place, query in enumerate(run.queries) if query in places]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _means(measure: str) -> str:
    """What to say where the measure's own total is not a mean."""
    how = parse(measure)[0].row.total
    return "" if how == "mean" else f"; means are compared, where {measure} is a {how.partition('_')[0]}"


def _mean(values: Floats) -> float:
    return math.fsum(values.tolist()) / len(values) if len(values) else math.nan
