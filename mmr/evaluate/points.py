"""The numbers behind a plot: points of curves over k, of ROC curves and of reliability diagrams."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmr.evaluate.grammar import Measure
from mmr.evaluate.judged import Judged
from mmr.evaluate.measures.calibration import reliability
from mmr.evaluate.measures.roc import curve
from mmr.evaluate.scored import Scored

Point = dict[str, Any]


def points(
    runs: Sequence[Scored], families: Mapping[str, Sequence[Measure]], measures: Sequence[Measure]
) -> Iterator[Point]:
    """Yield a record a point, with its run and the curve that it belongs to.

    families  a curve over k: its name -> the same measure at several cut-offs

    Curves over k have `k` and `value`; ROC curves `threshold` (null: nothing is accepted), `far` and `tar`;
    reliability diagrams `confidence`, `accuracy` and `hits` of each bin that is not empty.
    """
    for run in runs:
        for name, family in families.items():
            for measure in family:
                yield _point(run, name, k=measure.cutoff, value=run.totals[str(measure)])
        for measure in measures:
            if run.pooled is not None and measure.row.name == "AUC":
                yield from _roc(run, measure, run.pooled)
            if run.pooled is not None and measure.row.name == "ECE":
                yield from _reliability(run, measure, run.pooled)


def _roc(run: Scored, measure: Measure, judged: Judged) -> Iterator[Point]:
    params: dict[str, Any] = dict(measure.params)
    found = curve(judged, rel=params["rel"])
    for far, tar, threshold in zip(*(column.tolist() for column in found), strict=True):
        at = threshold if math.isfinite(threshold) else None
        yield _point(run, str(measure), threshold=at, far=far, tar=tar)


def _reliability(run: Scored, measure: Measure, judged: Judged) -> Iterator[Point]:
    params: dict[str, Any] = dict(measure.params)
    found = reliability(judged, measure.cutoff, **params)
    for hits, confidence, accuracy in zip(*(column.tolist() for column in found), strict=True):
        if hits:
            yield _point(run, str(measure), confidence=confidence, accuracy=accuracy, hits=int(hits))


def _point(run: Scored, name: str, **values: float | None) -> Point:
    return {"run": run.name, "curve": name, **values}
