"""Several vectors an item: tokens of the encoder, cells of a grid, or boxes that the record names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.encoders.protocol import grid_boxes
from mmr.errors import BadItem, UsageError, shown

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from mmr.encoders import Many

MOST = 4096  # regions of one picture
DIGITS = 5  # of a share in `boxes`


class Parts(NamedTuple):
    """Which vectors an item gets.

    grid   columns and rows of each grid whose cells are embedded, in order; empty for none
    field  the field that holds boxes, "" for none; without grid and field: the encoder's own tokens
    """

    grid: tuple[tuple[int, int], ...] = ()
    field: str = ""

    @property
    def tokens(self) -> bool:
        """Whether they are the encoder's own."""
        return not (self.grid or self.field)

    @property
    def whole(self) -> bool:
        """Whether it is the one vector of the whole."""
        return self.grid == ((1, 1),)

    def __str__(self) -> str:
        if self.grid:
            return "grid " + ",".join(f"{columns}x{rows}" for columns, rows in self.grid)
        return f"box {self.field}" if self.field else "tokens"


WHOLE = Parts(((1, 1),))


def parse_grid(text: str) -> tuple[tuple[int, int], ...]:
    """Read grids, COLUMNSxROWS with commas between. Raises `UsageError` for anything else.

    >>> parse_grid("1x1,3x2")
    ((1, 1), (3, 2))
    """
    found = [re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", part) for part in text.split(",")]
    grids = [(int(one[1]), int(one[2])) for one in found if one is not None]
    cells = sum(columns * rows for columns, rows in grids)
    if len(grids) < len(found) or not all(columns and rows for columns, rows in grids):
        fix = (
            "Write COLUMNSxROWS: --grid 3x3, or several: --grid 1x1,3x3 (the whole picture, then nine cells)."
        )
        raise UsageError(f"--grid {shown(text)!r} is no grid", fix)
    if cells > MOST:
        raise UsageError(f"--grid {shown(text)} has {cells:,} cells", f"At most {MOST:,} go into one item.")
    return tuple(grids)


def regions(parts: Parts, record: Mapping[str, Any], size: tuple[int, int], where: str) -> np.ndarray:
    """Return the boxes (n, 4) of a picture's regions, left, top, right and bottom as shares of its size.

    size  width and height of the upright picture

    Raises `BadItem` for a record whose field holds no boxes in the picture.
    """
    import numpy as np

    if parts.grid:
        return np.concatenate([grid_boxes(*grid) for grid in parts.grid])
    return _named(record.get(parts.field), parts.field, size, record, where)


def cutter(
    parts: Parts | None, record: Mapping[str, Any], where: str
) -> Callable[[tuple[int, int]], np.ndarray] | None:
    """What gives the boxes of a record's picture for its size; None where it is not cut into regions."""
    if parts is None or parts.tokens:
        return None
    return lambda size: regions(parts, record, size, where)


def _named(
    value: Any, field: str, size: tuple[int, int], record: Mapping[str, Any], where: str
) -> np.ndarray:
    """The boxes of a field: shares where no number is above 1, else pixels."""
    import numpy as np

    given = [value] if isinstance(value, list) and value and not isinstance(value[0], list) else value
    what = ""
    if not isinstance(given, list) or not given or len(given) > MOST:
        what = f'has no boxes in "{shown(field)}"'
    elif not all(isinstance(box, list) and len(box) == 4 and _numbers(box) for box in given):
        what = f'"{shown(field)}" is not [left, top, right, bottom], or a list of such'
    else:
        boxes = np.array(given, np.float64)
        boxes /= 1 if boxes.max() <= 1 else np.array([*size, *size], np.float64)
        boxes = np.clip(boxes, 0, 1)
        empty = np.flatnonzero((boxes[:, 2:] <= boxes[:, :2]).any(axis=1))
        if not len(empty):
            return boxes
        what = f'box {empty[0] + 1} of "{shown(field)}" shows nothing of {size[0]} x {size[1]} pixels'
    fix = "give pixels of the upright picture, or shares from 0 to 1: [left, top, right, bottom]"
    raise BadItem(where, what, fix, stage="embed", record=dict(record))


def _numbers(box: Sequence[Any]) -> bool:
    return all(type(one) in (int, float) and abs(one) < 1e9 for one in box)


def cropped(picture: Image.Image, boxes: np.ndarray) -> list[Image.Image]:
    """Cut regions out of a picture, each of at least one pixel."""
    width, height = picture.size
    found = []
    for left, top, right, bottom in (boxes * [width, height, width, height]).round().astype(int).tolist():
        left, top = min(left, width - 1), min(top, height - 1)
        found.append(picture.crop((left, top, max(right, left + 1), max(bottom, top + 1))))
    return found


def fields(rows: np.ndarray, boxes: np.ndarray | None) -> dict[str, Any]:
    """The fields of a record: `vectors`, and `boxes` beside them where they are of a picture."""
    if boxes is None:
        return {"vectors": rows}
    return {"vectors": rows, "boxes": [[round(one, DIGITS) for one in box] for box in boxes.tolist()]}


def of_item(many: Many, number: int) -> dict[str, Any]:
    """The fields of one item of an encoder's answer."""
    return fields(many.rows[number], many.boxes[number])
