"""The place of the first relevant item: its reciprocal, and the place itself."""

from __future__ import annotations

import numpy as np

from mmr.errors import BadDataError, shown
from mmr.evaluate.judged import Floats, Judged
from mmr.evaluate.measures.places import Tied, leading, tied


def reciprocal_rank(judged: Judged, k: int | None = None, *, rel: int = 1) -> Floats:
    """(q,): 1 / the place of the first relevant item if that is among the first k, else 0; MRR as a mean.

    trec_eval's recip_rank without k. Ties averaged: the first of c relevant items among n equal ones is the
    (j + 1)-th with chance C(n - j - 1, c - 1) / C(n, c).
    """
    first = _first(judged, rel)
    values = np.zeros(len(judged.retrieved))
    values[first.query] = np.where((first.first <= k) if k is not None else True, 1 / first.first, 0.0)
    for i in np.flatnonzero(first.size > 1) if judged.average else ():
        start, n, c = int(first.first[i]), int(first.size[i]), int(first.relevant[i])
        steps = n - c + 1 if k is None else min(n - c + 1, k - start + 1)
        j = np.arange(max(steps, 0))
        none_before = np.cumprod(np.concatenate([[1.0], (n - c - j[:-1]) / (n - j[:-1])])[: len(j)])
        values[first.query[i]] = np.sum(none_before * c / (n - j) / (start + j))
    return values


def first_rank(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): the place of the first relevant item, from 1; MeanR is their mean, MedR their median.

    A query that retrieves none counts as gallery + 1, the place after all items. MedR is the true median
    (VSE++ and its heirs round it down: MedR_floor). Ties averaged (MeanR): the first of c relevant items
    among n equal ones stands at (n + 1) / (c + 1) on average.

    Raises `BadDataError` when such a query needs a gallery whose size is not known, and when a ranking is
    longer than the gallery.
    """
    first = _first(judged, rel)
    places = np.full(len(judged.retrieved), np.nan)
    places[first.query] = first.first
    if judged.average:
        places[first.query] += (first.size + 1) / (first.relevant + 1) - 1
    lost = np.flatnonzero(np.isnan(places))
    if judged.gallery is not None:
        _check_gallery(judged, judged.gallery)
        places[lost] = judged.gallery + 1
    elif len(lost):
        raise BadDataError(
            f"{len(lost):,} of {len(places):,} queries retrieve nothing relevant"
            f" ({shown(judged.queries[lost[0]])} is the first), so the rank of their item is not known",
            "Name the size of the gallery with --gallery-size N or --index INDEX;"
            " such a query then counts as N + 1.",
        )
    return places


def _first(judged: Judged, rel: int) -> Tied:
    """The first group of each query that has a relevant item; of one place where orders are fixed."""
    mask = judged.rel >= rel
    if judged.average:
        groups = tied(judged, mask)
        heads = leading(groups.query)
        return Tied(*(column[heads] for column in groups))
    rows = np.flatnonzero(mask)
    query = judged.row[rows]
    heads = leading(query)
    one = np.ones(len(heads), dtype=np.int64)
    return Tied(query[heads], judged.rank[rows[heads]], one, one, one - 1)


def _check_gallery(judged: Judged, gallery: int) -> None:
    longest = int(judged.retrieved.max(initial=0))
    if longest > gallery:
        raise BadDataError(
            f"a query retrieved {longest:,} items, more than the gallery of {gallery:,}",
            "Name the size of the gallery that was searched.",
        )
