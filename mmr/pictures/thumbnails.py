"""Small JPEGs of pictures, to look at."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mmr.pictures.decode import open_picture, quiet

if TYPE_CHECKING:
    from PIL import Image

QUALITY = 80


Box = tuple[float, float, float, float]
FRAMES = (((0, 0, 0), 3), ((255, 255, 255), 1))  # colours and widths, one inside the other


def thumbnail(path: str, side: int, box: Box | None = None) -> bytes:
    """Return the picture as a JPEG with no side longer than `side` pixels; a small one is not enlarged.

    path  a file, or a member of a tar (`shard.tar#cat.jpg`)
    box   what is framed in it: left, top, right and bottom, shares of width and height

    Raises `BadItem` as `open_picture` does.
    """
    from PIL import Image

    with quiet():
        picture = open_picture(path, smallest=2 * side)
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        if box is not None:
            _frame(picture, box)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()


def _frame(picture: Image.Image, box: Box) -> None:
    """Draw a frame that shows on bright and on dark pictures."""
    from PIL import ImageDraw

    width, height = picture.size
    left, top = min(int(box[0] * width), width - 1), min(int(box[1] * height), height - 1)
    right, bottom = max(left, round(box[2] * width) - 1), max(top, round(box[3] * height) - 1)
    for inset, (colour, wide) in enumerate(FRAMES):
        corners = (
            left + inset,
            top + inset,
            max(left + inset, right - inset),
            max(top + inset, bottom - inset),
        )
        ImageDraw.Draw(picture).rectangle(corners, outline=colour, width=wide)
