"""Judged hits written out by hand: what the tests of scores and fields read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmr.evaluate.judged import Judged

Query = Sequence[tuple[float, int | None]]


def judged(
    queries: Sequence[Query], fields: Mapping[str, Sequence[Any]] | None = None, **more: Any
) -> Judged:
    """Each query is its hits by rank, (score, judgement or None); everything judged is retrieved."""
    rows = [[(rank, rel) for rank, (_, rel) in enumerate(hits, 1) if rel is not None] for hits in queries]
    flat = [row for own in rows for row in own]
    starts = np.cumsum([0, *map(len, rows)])
    ranks = np.array([rank for rank, _ in flat], dtype=np.int64)
    return Judged(
        queries=[f"q{place}" for place in range(len(queries))],
        start=starts,
        rank=ranks,
        rel=np.array([rel for _, rel in flat], dtype=np.int64),
        first=ranks,
        last=ranks,
        retrieved=np.array([len(hits) for hits in queries], dtype=np.int64),
        pool_start=starts,
        pool=np.array(
            [rel for own in rows for rel in sorted((r for _, r in own), reverse=True)], dtype=np.int64
        ),
        hit_start=np.cumsum([0, *map(len, queries)]),
        scores=np.array([score for hits in queries for score, _ in hits], dtype=np.float64),
        fields=fields or {},
        **more,
    )


def by_score(scores: Sequence[float], labels: Sequence[int]) -> Query:
    """One query's hits in order of score, equal scores as they come; judgement 0 for every other item."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return [(scores[place], labels[place]) for place in order]
