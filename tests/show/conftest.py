"""A page from hand-made records, drawn by a small thumbnail function of the tests."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from mmr.errors import BadItem
from mmr.show.page import write_page


def draw(path: str, side: int) -> bytes:
    """A JPEG whose colour and shape follow from the path; `missing` and `broken` have none."""
    from PIL import Image

    if "missing" in path:
        raise FileNotFoundError(2, "No such file or directory", path)
    if "broken" in path:
        raise BadItem(path, "truncated after 12 of 400 lines", "copy it again", stage="decode")
    key = sum(path.encode(errors="replace"))
    size = (side, max(8, side * (40 + key % 60) // 100))
    out = io.BytesIO()
    Image.new("RGB", size, (key * 37 % 256, key * 91 % 256, key * 53 % 256)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def page(tmp_path: Path):
    """Write a page; returns its path, its counts and the bad items."""

    def write(records, **options):
        bad = []
        path = tmp_path / "page.html"
        with open(path, "wb") as file:
            options = {"title": "Results", "thumbnail": draw, "folder": tmp_path, **options}
            counts = write_page(records, file, reject=bad.append, **options)
        return path, counts, bad

    return write
