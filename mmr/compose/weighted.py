"""The default composition of a picture and words: their weighted sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.compose.apply import method
from mmr.compose.columns import Column
from mmr.compose.evaluate import ZeroVectorError, evaluate


def weighted(
    images: NDArray[np.float32], texts: NDArray[np.float32], model: str | None = None
) -> NDArray[np.float32]:
    """Compose u((1 - a) v + a t_m), one query a row: the preset `weighted`.

    images   (n, d) unit vectors v of the reference pictures
    texts    (n, d) unit vectors t_m of the modifications
    model    the encoder's spec: a is the preset's, 0.8 as in WeiMoCIR ("Training-free Zero-shot Composed
             Image Retrieval via Weighted Modality Fusion and Similarity") for CLIP, unless another one was
             measured for that model
    returns  (n, d) float32 unit rows; a sum that vanishes is zero

    >>> weighted(np.float32([[1, 0]]), np.float32([[0, 1]]), "builtin").round(4).tolist()
    [[0.5547, 0.8321]]
    """
    chosen = method("weighted").of_model(model)
    columns = {"v": Column(images), "t_m": Column(texts)}
    try:
        return evaluate(chosen.node, columns, chosen.params, len(images)).vectors
    except ZeroVectorError:
        return evaluate(chosen.node, columns, chosen.params, len(images), raw=True).vectors
