"""Turn what was scored into records: a run and measure, a group, or a query each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.evaluate.groups import Group, macro, of_group

if TYPE_CHECKING:
    from mmr.evaluate.compare import Comparison
    from mmr.evaluate.grammar import Measure
    from mmr.evaluate.judged import Floats
    from mmr.evaluate.protocols.task import Figure as Published
    from mmr.evaluate.score import Conventions
    from mmr.evaluate.scored import Scored
    from mmr.evaluate.split import Split

Figure = dict[str, Any]
COMPARED = ("base", "value", "difference", "low", "high", "p", "holm", "effect", "detectable")


def overall(
    scored: Scored, measures: Sequence[Measure], conventions: Conventions, seed: int | None = None
) -> Iterator[Figure]:
    """Yield a record a measure: its total, the 95 % interval when `seed` is given, what it rests on.

    `worst` and `best` are there when the order of equal scores could change the total.
    """
    for measure in measures:
        text = str(measure)
        figure: Figure = {"run": scored.name, "measure": text, "value": _number(scored.totals[text])}
        figure |= _bounds(scored.values.get(text), measure.row.total, seed)
        if text in scored.ties:
            figure["worst"], figure["best"] = scored.ties[text]
        yield figure | {
            "queries": _defined(scored, text), "missing": scored.counts.missing,
            "ties": scored.ties_by, "precision": conventions.precision,
            "over": conventions.over,
        }  # fmt: skip


def by_group(
    scored: Scored, measures: Sequence[Measure], field: str, sets: Sequence[Group], seed: int | None = None
) -> Iterator[Figure]:
    """Yield a record a group and measure, then the mean of groups ("macro") and of all queries ("micro").

    With `seed` groups have 95 % intervals, and two groups of different queries their difference with its own.
    """
    single = [measure for measure in measures if str(measure) in scored.values]
    columns: dict[str, list[float]] = {str(measure): [] for measure in single}
    for group in sets:
        for measure in single:
            values = scored.values[str(measure)]
            value = of_group(values, group, measure.row.total)
            columns[str(measure)].append(value)
            figure: Figure = {"run": scored.name, "field": field, "group": group.name,
                              "measure": str(measure), "value": _number(value)}  # fmt: skip
            figure |= _bounds(values[np.asarray(group.places)], measure.row.total, seed)
            yield figure | {"queries": len(group.places)}
    several = Group("micro", sorted({place for group in sets for place in group.places}))
    for name in ("macro", "micro"):
        for measure in single:
            text = str(measure)
            value = macro(columns[text]) if name == "macro" else of_group(
                scored.values[text], several, measure.row.total)  # fmt: skip
            yield {"run": scored.name, "field": field, "group": name, "measure": text,
                   "value": _number(value), "queries": len(several.places)}  # fmt: skip
    if seed is not None and len(sets) == 2 and not set(sets[0].places) & set(sets[1].places):
        from mmr.evaluate.split import between

        for side in between(scored, single, sets[0].places, sets[1].places, seed):
            yield {"run": scored.name, "field": field, "group": f"{sets[0].name} - {sets[1].name}",
                   "measure": side.measure, "value": _number(side.gap), "low": _number(side.low),
                   "high": _number(side.high), "queries": len(several.places)}  # fmt: skip


def published(
    name: str, found: Sequence[Published], scored: Scored, seed: int | None = None
) -> Iterator[Figure]:
    """Yield a record a published figure of a protocol, with an interval where it is a mean over queries."""
    for one in found:
        figure: Figure = {"run": scored.name, "protocol": name, "group": one.part or "all",
                          "measure": one.measure, "value": _number(one.value)}  # fmt: skip
        if one.values is not None:
            figure |= _bounds(one.values, "mean", seed)
            figure["queries"] = int((~np.isnan(one.values)).sum())
        yield figure


def sides(scored: Scored, found: Split) -> Iterator[Figure]:
    """Yield the figures near the training queries, far from them, and their gap with its interval."""
    for side in found.sides:
        run: Figure = {"run": scored.name, "measure": side.measure}
        yield run | {"group": "near", "value": _number(side.near), "queries": side.near_queries}
        yield run | {"group": "far", "value": _number(side.far), "queries": side.far_queries}
        yield run | {"group": "gap", "value": _number(side.gap), "low": _number(side.low),
                     "high": _number(side.high), "queries": side.near_queries + side.far_queries}  # fmt: skip


def compared(comparisons: Iterable[Comparison]) -> Iterator[Figure]:
    """Yield a record a comparison, null where there is no figure."""
    for one in comparisons:
        run, baseline = one.missing
        numbers = {name: _number(getattr(one, name)) for name in COMPARED}
        yield {"run": one.run, "baseline": one.baseline, "measure": one.measure, **numbers, "up": one.up,
               "down": one.down, "queries": one.queries, "missing": run, "baseline_missing": baseline,
               "how": one.how}  # fmt: skip


def comparison_lines(comparisons: Iterable[Comparison]) -> Iterator[str]:
    """Say in words what each comparison means, and what could not have been seen."""
    for one in comparisons:
        if math.isnan(one.p):
            yield f"{one.run} - {one.baseline}, {one.measure}: {one.how}."
            continue
        if not one.up and not one.down:
            doubt = f"no query of {one.queries:,} differs"
        elif one.significant:
            doubt = f"more than chance (corrected p = {one.holm:.2g})"
        else:
            doubt = (f"may be chance (corrected p = {one.holm:.2g}); {one.queries:,} queries can show "
                     f"{one.detectable:.4f} or more")  # fmt: skip
        yield (f"{one.run} - {one.baseline}, {one.measure}: {one.difference:+.4f} "
               f"[{one.low:+.4f}, {one.high:+.4f}], {doubt}{_means(one)}.")  # fmt: skip


def _means(one: Comparison) -> str:
    """What `how` says after the test's own words, such as that means are compared and not medians."""
    _, semicolon, said = one.how.partition(";")
    return f"{semicolon}{said}"


def per_query(scored: Scored, *, named: bool) -> Iterator[Figure]:
    """Yield `{"query", "measure", "value"}`, with the run too when it is `named`; null where undefined."""
    run = {"run": scored.name} if named else {}
    for place, query in enumerate(scored.queries):
        for measure, values in scored.values.items():
            yield run | {"query": query, "measure": measure, "value": _number(float(values[place]))}


def counts_line(scored: Scored, over: str) -> str:
    """Say how many queries the figures rest on, and what became of the others."""
    counts = scored.counts
    noun = "query" if counts.scored == 1 else "queries"
    parts = [
        f"{counts.scored:,} {noun} scored of {counts.qrels:,} with judgements, {counts.run:,} in the run"
    ]
    if counts.missing:
        fate = "left out" if over == "both" else "counted as empty rankings"
        parts.append(f"{counts.missing:,} missing, {fate}")
    else:
        parts.append("none missing")
    if counts.unknown:
        parts.append(f"{counts.unknown:,} without judgements, left out")
    return f"{scored.name}: {'; '.join(parts)}."


def ties_lines(scored: Scored, measures: Sequence[Measure]) -> Iterator[str]:
    """Say how far the order of equal scores could move a figure, where four decimals show it."""
    for name in map(str, measures):
        worst, best = scored.ties.get(name, (0.0, 0.0))
        if f"{worst:.4f}" != f"{best:.4f}":
            value = scored.totals[name]
            yield (f"{scored.name}: {name} is {value:.4f}; equal scores in another order: {worst:.4f} to "
                   f"{best:.4f} (--ties).")  # fmt: skip


def _bounds(values: Floats | None, how: str, seed: int | None) -> Figure:
    """The ends of the interval; none without a seed, of a sum, a pooled measure or fewer than two values."""
    if seed is None or values is None:
        return {}
    from mmr.evaluate.doubt import STATISTICS, interval

    defined = values[~np.isnan(values)]
    if len(defined) < 2 or how not in STATISTICS:
        return {}
    low, high = interval(defined, seed=seed, statistic=how)
    return {"low": _number(low), "high": _number(high)}


def _defined(scored: Scored, measure: str) -> int:
    """How many queries have a value."""
    values = scored.values.get(measure)
    return len(scored.queries) if values is None else int((~np.isnan(values)).sum())


def _number(value: float) -> float | None:
    """NaN is no JSON: null."""
    return None if math.isnan(value) else value
