"""The table of measures: a row each. Nothing here imports more than the standard library."""

from __future__ import annotations

from typing import NamedTuple

Value = int | float | str


class Param(NamedTuple):
    """A parameter of a measure: a number from `low` to `high`, or one word of `choices`.

    `default` None means that the user must write it.
    """

    name: str
    default: Value | None
    note: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()


class Row(NamedTuple):
    """One measure.

    loads   "module:function": f(judged, k, **params) -> (q,) float64, or a float where total is "pooled"
    cutoff  "no", "may" or "must": whether it is written with @k
    total   how values of queries become one: "mean", "median", "sum" or "pooled"
    needs   "", "scores" (of every hit), "gallery" (its size), "among" (candidates a query)
    average whether it is defined for `--ties average`
    """

    name: str
    summary: str
    loads: str
    params: tuple[Param, ...] = ()
    cutoff: str = "may"
    total: str = "mean"
    needs: str = ""
    average: bool = False
    lower_is_better: bool = False
    source: str = ""


REL = Param("rel", 1, "what counts as relevant: at least this judgement", 1, 1_000_000)

MEASURES: tuple[Row, ...] = (
    Row("P", "share of the first k that is relevant", "mmr.evaluate.measures.precision:precision", (REL,),
        average=True, source="trec_eval P; divides by k however short the ranking"),
)  # fmt: skip
