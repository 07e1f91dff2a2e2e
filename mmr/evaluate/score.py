"""Score a run: values of each query, their totals, and how far another order of equal scores moves them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmr.errors import BadDataError, shown
from mmr.evaluate.grammar import Measure
from mmr.evaluate.join import NotGrouped, Reading, empty_block, judged_blocks
from mmr.evaluate.judged import Floats, Judged, concatenated
from mmr.evaluate.qrels import Qrels
from mmr.evaluate.scored import Counts, Scored
from mmr.evaluate.ties import reordered


@dataclass(frozen=True)
class Conventions:
    """What the field's tools do not agree on; a report names them.

    ties       how equal scores are ordered; None is by id descending, or by place in a list of hits
    precision  "f32" or "f64": what makes two scores equal
    over       "qrels" (a missing query counts as 0), "both" (it is left out), "nonempty" (as "qrels", without
               queries that have nothing relevant)
    judged_only  unjudged items are taken out before places are counted
    gallery    how many items could be retrieved
    removed    items a query must not retrieve: taken out before places are counted
    among, only  each query's own candidates; with `only` nothing else is ranked
    renamed    turns the id of a hit into the id of the judgements
    """

    ties: str | None = None
    precision: str = "f32"
    over: str = "qrels"
    judged_only: bool = False
    gallery: int | None = None
    removed: Mapping[str, Collection[str]] | None = None
    among: Mapping[str, Collection[str]] | None = None
    only: bool = False
    renamed: Callable[[str], str] | None = None


def score(
    run: str, qrels: Qrels, measures: Sequence[Measure], conventions: Conventions, fields: Sequence[str] = (),
    advance: Callable[[int], None] = lambda queries: None, name: str = "",
) -> Scored:  # fmt: skip
    """Score one run by every measure; `fields` of its query records are kept for breakdowns.

    name  what the run is called, where that is not its path

    The run streams: what is held is the judgements and one number a query and measure (every judged place
    too where a measure pools all queries). Raises `BadDataError` for a run that is empty or has no query of
    the judgements.
    """
    fields = list(
        dict.fromkeys([*fields, *(str(v) for m in measures for name, v in m.params if name == "of")])
    )
    try:
        table, reading = _read(run, name, qrels, measures, conventions, fields, advance, whole=False)
    except NotGrouped:
        table, reading = _read(run, name, qrels, measures, conventions, fields, lambda _: None, whole=True)
    name = name or ("stdin" if run == "-" else run)
    found, unknown = set(table.queries), reading.unknown
    _check_overlap(name, qrels, table, reading)
    missing = [query for query in qrels.queries if query not in found]
    if missing and conventions.over != "both":
        table.add(replace(empty_block(qrels, missing), gallery=conventions.gallery,
                          average=conventions.ties == "average"))  # fmt: skip
    if conventions.over == "nonempty":
        table.keep([any(rel >= 1 for rel in qrels.of_query(query).values()) for query in table.queries])
    counts = Counts(len(qrels), len(found) + unknown, len(table.queries), len(missing), unknown)
    ties = conventions.ties or ("input" if reading.listed else "docid-desc")
    return replace(table.scored(name, counts), ties_by=ties)


def _read(
    run: str, name: str, qrels: Qrels, measures: Sequence[Measure], conventions: Conventions,
    fields: Sequence[str], advance: Callable[[int], None], *, whole: bool,
) -> tuple[_Table, Reading]:  # fmt: skip
    """The values of the run's queries, block by block, and what else was found."""
    reading = judged_blocks(
        run, qrels, ties=conventions.ties, precision=conventions.precision,
        scores=any(measure.row.needs == "scores" for measure in measures), fields=fields,
        removed=conventions.removed, among=conventions.among, only=conventions.only,
        judged_only=conventions.judged_only, renamed=conventions.renamed, whole=whole,
        source=name,
    )  # fmt: skip
    table = _Table(measures, fields, ties=conventions.ties not in ("average", "best", "worst"))
    for block in reading:
        table.add(replace(block, gallery=conventions.gallery))
        advance(len(block.queries))
    return table, reading


def total(values: Floats, how: str) -> float:
    """One figure of many queries: the "mean", "median", "median_floor" (rounded down) or "sum" of those that
    are not NaN; NaN of none.

    Values are summed without rounding, so that no order of queries changes the last digit.
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return math.nan
    if how in ("median", "median_floor"):
        middle = float(np.median(defined))
        return middle if how == "median" else float(math.floor(middle))
    whole = math.fsum(defined.tolist())
    return whole if how == "sum" else whole / len(defined)


def _check_overlap(name: str, qrels: Qrels, table: _Table, reading: Reading) -> None:
    """Refuse a run that is empty, is of other queries, or ranks no item that is judged for any query."""
    where = shown(name)
    if not table.queries and not reading.unknown:
        raise BadDataError(
            f"{where} holds no rankings", "Was it cut off? `mmr query` writes one record a query."
        )
    if not table.queries:
        raise BadDataError(
            f"the judgements have none of the run's queries ({where}: {reading.unknown:,})",
            f"They name queries such as {shown(qrels.queries[0])}: are they of another collection?",
        )
    if not reading.familiar and reading.example is not None:
        judged = next(iter(qrels.of_query(table.queries[0])), "")
        raise BadDataError(
            f"no item of {where} has a judgement: its items are called like {shown(reading.example)}",
            f"The judged items are called like {shown(judged)}: do both name items in one way?",
        )


class _Table:
    """The values of each query so far, a list of blocks a measure."""

    def __init__(self, measures: Sequence[Measure], fields: Sequence[str], ties: bool) -> None:
        self.single = [measure for measure in measures if measure.row.total != "pooled"]
        self.pooled = [measure for measure in measures if measure.row.total == "pooled"]
        self.measures = measures
        self.ties = ties
        self.queries: list[str] = []
        self.values: dict[str, list[Floats]] = {str(measure): [] for measure in self.single}
        self.bounds: dict[str, list[tuple[Floats, Floats]]] = {str(measure): [] for measure in self.single}
        self.fields: dict[str, list[Any]] = {name: [] for name in fields}
        self.blocks: list[Judged] = []
        self.kept: Sequence[bool] | None = None

    def add(self, block: Judged) -> None:
        """Score a block of queries."""
        self.queries.extend(block.queries)
        for name, column in self.fields.items():
            column.extend(block.field(name))
        tied = self.ties and bool((block.last > block.first).any())
        orders = [reordered(block, "worst"), reordered(block, "best")] if tied else []
        for measure in self.single:
            values = measure.values(block)
            worst, best = (measure.values(order) for order in orders) if tied else (values, values)
            self.values[str(measure)].append(values)
            self.bounds[str(measure)].append((worst, best))
        if self.pooled:
            self.blocks.append(block)

    def keep(self, wanted: Sequence[bool]) -> None:
        """Leave out the queries that are not wanted."""
        self.kept = wanted

    def scored(self, name: str, counts: Counts) -> Scored:
        """The whole, queries in the order of their ids."""
        order = sorted(range(len(self.queries)), key=self.queries.__getitem__)
        if self.kept is not None:
            order = [place for place in order if self.kept[place]]
        places = np.asarray(order, dtype=np.int64)

        def joined(blocks: Iterable[Floats]) -> Floats:
            return np.concatenate([np.empty(0), *blocks])[places]

        values = {measure: joined(blocks) for measure, blocks in self.values.items()}
        pooled = concatenated(self.blocks) if self.blocks else None
        totals, ties = {}, {}
        warned: list[warnings.WarningMessage] = []
        for measure in self.measures:
            text, how = str(measure), measure.row.total
            if how == "pooled":
                assert pooled is not None
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    totals[text] = float(measure.values(pooled))
                warned += caught
                continue
            totals[text] = total(values[text], how)
            worst, best = (joined(side) for side in zip(*self.bounds[text], strict=True))
            ends = total(worst, how), total(best, how)
            if ends[0] != ends[1]:
                ties[text] = (min(ends), max(ends))
        return Scored(
            name, [self.queries[place] for place in order], values, totals,
            counts._replace(scored=len(order)), ties,
            {field: [column[place] for place in order] for field, column in self.fields.items()},
            pooled=pooled, warnings=[str(one.message) for one in warned],
        )  # fmt: skip
