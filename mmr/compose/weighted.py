"""The default composition of a picture and words: their weighted sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.compose.apply import method
from mmr.compose.columns import Column
from mmr.compose.evaluate import ZeroVectorError, evaluate


def weighted(
    images: NDArray[np.float32], texts: NDArray[np.float32], weight: float | None = None
) -> NDArray[np.float32]:
    """Compose u((1 - a) v + a t_m), one query a row: the preset `weighted`.

    images   (n, d) unit vectors v of the reference pictures
    texts    (n, d) unit vectors t_m of the modifications
    weight   a, 0 to 1; None for the preset's, 0.8 as in WeiMoCIR ("Training-free Zero-shot Composed Image
             Retrieval via Weighted Modality Fusion and Similarity") for CLIP
    returns  (n, d) float32 unit rows; a sum that vanishes is zero

    >>> weighted(np.float32([[1, 0]]), np.float32([[0, 1]]), .5).round(4).tolist()
    [[0.7071, 0.7071]]
    """
    chosen = method("weighted", {} if weight is None else {"a": weight})
    columns = {"v": Column(images), "t_m": Column(texts)}
    try:
        return evaluate(chosen.node, columns, chosen.params, len(images)).vectors
    except ZeroVectorError:
        return evaluate(chosen.node, columns, chosen.params, len(images), raw=True).vectors
