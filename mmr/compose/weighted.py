"""The default composition of a picture and words: their weighted sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.unit import unit

WEIGHT = 0.8


def weighted(
    images: NDArray[np.float32], texts: NDArray[np.float32], weight: float = WEIGHT
) -> NDArray[np.float32]:
    """Compose u((1 - a) v + a t_m), one query a row.

    images   (n, d) unit vectors v of the reference pictures
    texts    (n, d) unit vectors t_m of the modifications
    weight   a, 0 to 1; 0.8 as in WeiMoCIR ("Training-free Zero-shot Composed Image Retrieval via Weighted
             Modality Fusion and Similarity") for CLIP
    returns  (n, d) float32 unit rows; a sum that vanishes stays zero

    >>> weighted(np.float32([[1, 0]]), np.float32([[0, 1]]), .5).round(4).tolist()
    [[0.7071, 0.7071]]
    """
    mixed = (1 - weight) * images.astype(np.float64) + weight * texts.astype(np.float64)
    return unit(mixed)
