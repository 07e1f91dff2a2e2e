"""One vector against the frames of a video, or the parts of anything: pooled first, or compared each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.ragged import Ragged

Wide = NDArray[np.float64]

POOLS = ("mean", "max", "top", "softmax")


def frames(query: NDArray[Any], documents: Ragged, pool: str = "mean", top: int = 3,
           temperature: float = 0.07) -> Wide:  # fmt: skip
    """Score documents (m) by their frames against a query (d,); frames count at length 1.

    pool     mean: cosine of the mean of the frames; max: of the best frame; top: mean of the best `top`
             cosines, all where there are fewer; softmax: cosine of the mean of the frames weighted by
             softmax(cosine / temperature)
    returns  (m,) float64, NaN for a document without frames; each depends on its own frames alone

    Raises `ValueError` for another pool, `top` below 1, a temperature of 0 or less, or other lengths.
    """
    if pool not in POOLS or top < 1 or not temperature > 0:
        raise ValueError(f"pool one of {', '.join(POOLS)}, top from 1, a temperature above 0")
    if len(documents.rows) and documents.rows.shape[1] != len(query):
        raise ValueError(f"vectors of {len(query)} numbers and of {documents.rows.shape[1]}")
    asked = lengthened(np.asarray(query)[None])[0]
    found = np.full(len(documents), np.nan)
    for number in np.flatnonzero(documents.counts()).tolist():
        found[number] = _score(asked, lengthened(documents[number]), pool, top, temperature)
    return found


def lengthened(rows: NDArray[Any]) -> Wide:
    """Rows (n, d) at length 1 in float64; a row of zeros stays."""
    wide = rows.astype(np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    found: Wide = wide / np.where(length > 0, length, 1)[:, None]
    return found


def _score(query: Wide, own: Wide, pool: str, top: int, temperature: float) -> float:
    cosines = np.einsum("ij,j->i", own, query)
    if pool == "max":
        return float(cosines.max())
    if pool == "top":
        return float(np.sort(cosines)[::-1][:top].mean())
    if pool == "mean":
        pooled = own.mean(axis=0)
    else:
        weights = np.exp((cosines - cosines.max()) / temperature)
        pooled = np.einsum("i,ij->j", weights / weights.sum(), own)
    length = float(np.sqrt(np.einsum("i,i", pooled, pooled)))
    return float(np.einsum("i,i", pooled, query)) / length if length > 1e-12 else 0.0
