"""Read and decode one picture, on any thread, down to what the encoder takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.embed.regions import cropped
from mmr.errors import BadItem, shown
from mmr.pictures.decode import open_picture
from mmr.pictures.read import Member, digest, read_contents

if TYPE_CHECKING:
    import numpy as np


class Loaded(NamedTuple):
    """A picture ready for the encoder.

    parts        what the encoder takes, one a region; none of a file whose digest is the one expected
    held         bytes of memory that they hold
    size, mtime  of its file
    frame        width and height of the picture
    boxes        (n, 4) of its regions, where it was cut into some
    """

    parts: list[Any]
    held: int
    size: int
    mtime: float
    digest: str
    frame: tuple[int, int] = (0, 0)
    boxes: np.ndarray | None = None


def load(
    path: str, place: Member | None, expected: str | None, prepare: Callable[[Any], Any] | None, pixels: int,
    regions: Callable[[tuple[int, int]], np.ndarray] | None = None,
) -> Loaded:  # fmt: skip
    """Read a picture once, and decode it unless its digest is the expected one.

    prepare  the encoder's own preprocessing, after which the whole picture is let go
    regions  gives for width and height the boxes of the parts that are embedded; None for the whole

    Raises `BadItem`.
    """
    contents = read_contents(path, place)
    found = digest(contents.data)
    facts = (contents.size, contents.mtime, found)
    if found == expected:
        return Loaded([], 0, *facts)
    picture = open_picture(path, contents.data, pixels=pixels)
    boxes = None if regions is None else regions(picture.size)
    parts = [picture] if boxes is None else cropped(picture, boxes)
    if prepare is None:
        held = sum(part.width * part.height * 3 for part in parts)
        return Loaded(parts, held, *facts, picture.size, boxes)
    try:
        return Loaded([prepare(part) for part in parts], 0, *facts, picture.size, boxes)
    except Exception as error:
        what = f"the model cannot take it ({shown(str(error))})"
        raise BadItem(shown(path), what, stage="embed") from error
