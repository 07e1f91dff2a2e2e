"""What requests say of pictures, and the small JPEGs that servers get."""

from __future__ import annotations

import base64
import io
import tarfile

import pytest
from PIL import Image

from mmr.errors import BadItem
from mmr.pictures.read import digest
from mmr.pictures.sent import SIDE, facts, jpeg


@pytest.fixture
def picture(tmp_path):
    """A wide transparent picture with a red half."""
    image = Image.new("RGBA", (2 * SIDE, SIDE), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, SIDE, SIDE))
    image.save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_file_is_named_by_path_and_content(picture, monkeypatch):
    monkeypatch.chdir(picture.parent)
    expected = {"image": str(picture), "digest": digest(picture.read_bytes())}
    assert facts("a.png") == facts("a.png", str(picture.parent)) == expected
    assert facts("a.png", prefix="query_") == {f"query_{name}": value for name, value in expected.items()}


def test_a_member_of_a_tar_is_sent_whole(picture):
    shard = picture.parent / "s.tar"
    with tarfile.open(shard, "w") as tar:
        tar.add(picture, "a.png")
    found = facts(f"{shard}#a.png")
    assert base64.b64decode(found["image_data"]) == picture.read_bytes()
    assert jpeg(found) == jpeg(facts(str(picture)))


def test_a_small_jpeg_on_white(picture):
    with Image.open(io.BytesIO(jpeg({"query_image": str(picture)}, "query_"))) as image:
        assert (image.format, image.size) == ("JPEG", (SIDE, SIDE // 2))
        red, white = image.getpixel((20, 20)), image.getpixel((SIDE - 20, 20))
    assert red[0] > 240 and red[1] < 20
    assert min(white) > 240


def test_what_cannot_be_read(tmp_path):
    for name in ("none.png", "zero\0byte.png", "s.tar#zero\0byte.png"):
        with pytest.raises(BadItem):
            facts(str(tmp_path / name))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="picture"):
        jpeg({"image": str(tmp_path / "bad.png")})
    with pytest.raises(ValueError, match=r"none\.png: does not exist"):
        jpeg({"image": str(tmp_path / "none.png")})
