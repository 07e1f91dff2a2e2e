"""Pictures as they are sent to programs and servers: what a request says of them, and small JPEGs."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmr.errors import BadItem
from mmr.pictures.decode import PIXELS, open_picture
from mmr.pictures.read import digest, read_bytes, read_contents, split_member

SIDE = 768  # pixels of the longer side of a picture that is sent
QUALITY = 90


def facts(image: str, base: str | None = None, prefix: str = "") -> dict[str, str]:
    """What a request says of a picture: its absolute path as `image`, its `digest`, and of a tar's member
    its bytes as `image_data`; each name with `prefix`.

    Raises `BadItem` where it cannot be read.
    """
    path = str(Path(base or "", image).absolute())
    data = read_contents(path).data
    found = {f"{prefix}image": path, f"{prefix}digest": digest(data)}
    if split_member(path) is not None:
        found[f"{prefix}image_data"] = base64.b64encode(data).decode("ascii")
    return found


def jpeg(request: Mapping[str, Any], prefix: str = "") -> bytes:
    """The picture of a request, upright, on white, at most `SIDE` pixels long, as JPEG.

    Raises `ValueError` in words where it cannot be decoded.
    """
    data, path = request.get(f"{prefix}image_data"), request[f"{prefix}image"]
    try:
        raw = read_bytes(path) if data is None else base64.b64decode(data)
        image = open_picture(path, raw, pixels=PIXELS)
    except BadItem as error:
        raise ValueError(f"{error.where}: {error.what}") from error
    image.thumbnail((SIDE, SIDE))
    held = io.BytesIO()
    image.save(held, "JPEG", quality=QUALITY)
    return held.getvalue()
