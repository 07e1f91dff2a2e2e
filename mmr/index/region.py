"""Which of an item's several vectors a query found, and where in the picture that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index import Segment
    from mmr.stream.records import Record

BOXES = "boxes"  # of an item: what each of its vectors shows, left, top, right, bottom


def region(segment: Segment, row: int, query: Record, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the best row of an item for a query: its number from 0, the product, and its box if it has one.

    It is the row with the greatest product with any row of the query, in float64; of equal ones the first.
    """
    rows: NDArray[np.float32] = segment.beside[row]
    asked = np.asarray(query["vectors"], np.float64)
    products = np.einsum("qd,nd->qn", asked, rows.astype(np.float64))
    best = int(np.argmax(products.max(axis=0)))
    found = {"row": best, "similarity": np.float32(products[:, best].max())}
    boxes = item.get(BOXES)
    if isinstance(boxes, list) and len(boxes) == len(rows):
        found["box"] = boxes[best]
    return found
