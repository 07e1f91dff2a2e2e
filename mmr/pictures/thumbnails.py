"""Small JPEGs of pictures, to look at."""

from __future__ import annotations

import io

from mmr.pictures.decode import open_picture, quiet

QUALITY = 80


def thumbnail(path: str, side: int) -> bytes:
    """Return the picture as a JPEG with no side longer than `side` pixels; a small one is not enlarged.

    path  a file, or a member of a tar (`shard.tar#cat.jpg`)

    Raises `BadItem` as `open_picture` does.
    """
    from PIL import Image

    with quiet():
        picture = open_picture(path, smallest=2 * side)
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()
