"""Search where one encoding an item proposes: what is proposed is compared by all of its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.arrays.maxsim import near
from mmr.arrays.ragged import Ragged, stacked

if TYPE_CHECKING:
    from mmr.arrays.topk import Floats, Rows
    from mmr.index import Segment
    from mmr.index.muvera import Encodings
    from mmr.index.table import Params

    Allowed = Sequence[Rows | None]
    Column = list[tuple[Rows, Rows, Floats]]

MORE = 10  # candidates beside those asked for, at least


def columns(
    kind: Encodings, segments: Sequence[Segment], allowed: Allowed, queries: Ragged, k: int, refine: int,
    params: Params, names: Any,
) -> list[Column]:  # fmt: skip
    """For each query what may be among its k best: (part, row, score) of each segment.

    Of a segment with encodings `refine` candidates a hit are compared; of one without, or of which hardly
    more are allowed, or where fewer than k are proposed, all that are allowed.
    """
    depth = max(k + MORE, refine * k)
    found: list[Column] = [[] for _ in range(len(queries))]
    encodings = kind.asked(queries, params)
    for part, (segment, rows) in enumerate(zip(segments, allowed, strict=True)):
        count = segment.rows if rows is None else len(rows)
        few = count <= depth or 20 * count < segment.rows
        proposed = None
        if segment.structure is not None and not few:

            def ids(_: Rows, row: Rows, part: int = part) -> Sequence[str]:
                return list(names(np.full(len(row), part), row))

            try:
                proposed = kind.proposed(segment.structure, segment.rows, encodings, rows, depth, params, ids)
            except FileNotFoundError:  # merged away since the index was opened
                proposed = None
        if proposed is None:
            answers = near(queries, segment.beside, k, rows)
        else:
            answers = [
                near(stacked([queries[i]]), segment.beside, k, rows if len(own) < k else np.sort(own))[0]
                for i, own in enumerate(proposed)
            ]
        for column, (row, score) in zip(found, answers, strict=True):
            column.append((np.full(len(row), part), row, score))
    return found
