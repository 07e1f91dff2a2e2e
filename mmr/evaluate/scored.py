"""What an evaluation gives: values a query, totals, and how many queries they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mmr.evaluate.judged import Floats, Judged


class Counts(NamedTuple):
    """Queries: with judgements, in the run, scored, without a ranking, without judgements (ignored)."""

    qrels: int
    run: int
    scored: int
    missing: int
    unknown: int


@dataclass(frozen=True)
class Scored:
    """One run's values.

    name     the run, as the user named it
    queries  the n scored query ids, ascending by code point
    values   measure (as written) -> (n,) float64; NaN where the measure is not defined for a query and
             leaves it out. Pooled measures have none.
    totals   measure -> its mean, median, sum or pooled value
    ties     measure -> (worst, best) total over all orders of equal scores, where these differ
    fields   of each query, for breakdowns: name -> n values
    ties_by  how equal scores were ordered
    pooled   every judged place, kept where a measure pools the queries
    warnings  what the measures want to be known
    """

    name: str
    queries: Sequence[str]
    values: Mapping[str, Floats]
    totals: Mapping[str, float]
    counts: Counts
    ties: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fields: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    ties_by: str = "docid-desc"
    pooled: Judged | None = None
    warnings: Sequence[str] = ()
