"""Pictures of every kind become upright RGB of 8 bits, or one sentence that says why not."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from mmr.errors import BadItem
from mmr.pictures import open_picture, thumbnail
from mmr.pictures.decode import PIXELS, quiet

ORIENTATION = 0x0112


def data_of(image: Image.Image, format: str, **more) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **more)
    return buffer.getvalue()


def decoded(data: bytes, name: str = "x.jpg", **more) -> np.ndarray:
    image = open_picture(name, data, **more)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def corners() -> Image.Image:
    """A picture of 3 x 2 blocks of 16 pixels, each of another colour."""
    small = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14
    return Image.fromarray(small.repeat(16, axis=0).repeat(16, axis=1))


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "PCX", "JPEG", "AVIF"])
def test_formats(format):
    more = {"lossless": True} if format == "WEBP" else {"quality": 100} if format in ("JPEG", "AVIF") else {}
    found = decoded(data_of(corners(), format, **more), f"x.{format.lower()}")
    assert np.abs(found - np.asarray(corners())).max() <= (12 if format in ("JPEG", "AVIF") else 0)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(format, orientation):
    stored = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
              5: lambda a: a.transpose(1, 0, 2), 6: np.rot90,
              7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: lambda a: np.rot90(a, 3)}  # fmt: skip
    upright = np.asarray(corners())
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored[orientation](upright)))
    more = (
        {"quality": 100, "subsampling": 0}
        if format == "JPEG"
        else {"lossless": True}
        if format == "WEBP"
        else {}
    )
    found = decoded(data_of(image, format, exif=exif, **more))
    assert found.shape == upright.shape
    assert np.abs(found - upright).max() <= (6 if format == "JPEG" else 0)


def test_damaged_exif_turns_nothing():
    data = data_of(corners(), "JPEG", quality=100, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decoded(data).shape == (32, 48, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_becomes_white(mode):
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    image.paste((0, 0, 0, 255), (0, 0, 2, 4))
    more = {}
    if mode in ("RGB", "L"):
        image = Image.new(mode, (4, 4), 0)
        image.paste(200 if mode == "L" else (200, 0, 0), (2, 0, 4, 4))
        more = {"transparency": 200 if mode == "L" else (200, 0, 0)}
    elif mode == "P":
        image = image.quantize(4)
    else:
        image = image.convert(mode)
    found = decoded(data_of(image, "PNG", **more))
    assert (found[:, :2] == 0).all() and (found[:, 2:] == 255).all()


def test_half_transparent_is_mixed_with_white():
    found = decoded(data_of(Image.new("RGBA", (2, 2), (0, 0, 0, 128)), "PNG"))
    assert (found == 127).all()


def test_palette_without_transparency():
    assert np.abs(decoded(data_of(corners().quantize(16), "PNG")) - np.asarray(corners())).max() == 0


def test_sixteen_bits_are_scaled_and_not_clipped():
    deep = np.array([[0, 257, 1000, 32768, 65535]], np.uint16)
    for format in ("PNG", "TIFF", "PPM"):
        found = decoded(data_of(Image.fromarray(deep), format))
        assert found[0, :, 0].tolist() == [0, 1, 4, 128, 255], format


def test_fractions_and_large_numbers_are_scaled():
    for values, expected in (
        ([0, 0.5, 1], [0, 128, 255]),
        ([-1, 0, 1], [0, 128, 255]),
        ([0, 100, 255], [0, 100, 255]),
    ):
        found = decoded(data_of(Image.fromarray(np.float32([values])), "TIFF"))
        assert found[0, :, 0].tolist() == expected
    assert decoded(data_of(Image.fromarray(np.float32([[np.nan, 1]])), "TIFF")).shape == (1, 2, 3)


def test_cmyk_with_and_without_adobes_marker():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    data = data_of(red, "JPEG", quality=100)
    at = data.index(b"\xff\xee")
    assert data[at + 4 : at + 9] == b"Adobe"
    length = int.from_bytes(data[at + 2 : at + 4])
    assert np.abs(decoded(data) - [255, 0, 0]).max() < 4
    inverted = data_of(ImageChops.invert(red), "JPEG", quality=100)
    plain = inverted[:at] + inverted[at + 2 + length :]
    assert np.abs(decoded(plain) - [255, 0, 0]).max() < 4
    assert np.abs(decoded(data_of(red, "TIFF")) - [255, 0, 0]).max() == 0


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(format):
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    data = data_of(first, format, save_all=True, append_images=[second])
    assert np.abs(decoded(data) - [255, 0, 0]).max() < 8


def test_one_pixel_and_a_very_long_one():
    assert decoded(data_of(Image.new("RGB", (1, 1), "red"), "PNG")).shape == (1, 1, 3)
    assert decoded(data_of(Image.new("L", (30_000, 2)), "PNG")).shape == (2, 30_000, 3)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_what_is_cut_off_is_said_to_be(format, share):
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    data = data_of(Image.fromarray(noise), format)
    with pytest.raises(BadItem) as caught:
        open_picture("x.jpg", data[: int(len(data) * share)])
    assert "\n" not in str(caught.value) and caught.value.stage == "decode"


def test_a_copy_whose_end_is_still_zeros():
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    data = data_of(Image.fromarray(noise), "JPEG")
    with pytest.raises(BadItem, match="all zeros"):
        open_picture("x.jpg", data[: len(data) // 2] + bytes(len(data) // 2))
    assert open_picture("x.jpg", data + bytes(1000)).size == (200, 200)


def png_start(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and then breaks off."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(10)))


def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded():
    with pytest.raises(BadItem, match="has 900,000,000 pixels, and the limit is 178,956,970"):
        open_picture("x.png", png_start(30_000, 30_000))
    with pytest.raises(BadItem, match="has 4 × 4 = 16 pixels, and the limit is 15"):
        open_picture("x.png", data_of(Image.new("L", (4, 4)), "PNG"), pixels=15)


def test_the_limit_can_be_lifted_and_comes_back():
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(BadItem, match=r"cut off|cannot be decoded"):
        open_picture("x.png", png_start(15_000, 15_000), pixels=225_000_000)
    assert before == Image.MAX_IMAGE_PIXELS and 2 * before == PIXELS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello, this is no picture", "not a picture"),
        (b"<svg xmlns='x'/>", "SVG"),
        (b"<?xml version='1.0'?>\n<!-- c --><svg/>", "SVG"),
        (b"\xef\xbb\xbf <!DOCTYPE html><html>", "web page"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04....", "zip"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\0\0\0 ftypisom" + bytes(20), "video"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (b"\xff\xd8\xff\xe0", "cut off or damaged"),
        (b"\x89PNG\r\n\x1a\n", "cut off or damaged"),
    ],
)
def test_what_is_no_picture_is_named(data, words):
    with pytest.raises(BadItem, match=words) as caught:
        open_picture("a\nb.jpg", data)
    assert caught.value.where == "a\\nb.jpg" and "\n" not in str(caught.value)


def test_heic_without_its_package_names_the_extra():
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        with pytest.raises(BadItem, match=r"HEIC.*mmr\[heif\]"):
            open_picture("x.heic", b"\0\0\0 ftypheic" + bytes(20))
    else:
        pytest.skip("pillow_heif is installed here")


def test_heic_with_its_package():
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(corners()).save(buffer, quality=95)
    assert np.abs(decoded(buffer.getvalue()) - np.asarray(corners())).mean() < 10


def test_pillows_warnings_do_not_leak_from_any_number_of_threads():
    noisy = data_of(
        Image.new("RGB", (9, 9)), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\xff\xff\0\0"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            sizes = list(pool.map(lambda _: open_picture("x.jpg", noisy).size, range(200)))
        assert sizes == [(9, 9)] * 200 and warnings.filters == before
        with quiet():
            warnings.warn("nobody hears this", stacklevel=1)
        with pytest.raises(UserWarning):
            warnings.warn("heard again", stacklevel=1)


def test_the_whole_picture_is_decoded_unless_a_fraction_is_asked_for():
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (512, 512, 3), np.uint8))
    data = data_of(noise, "JPEG")
    assert open_picture("x.jpg", data).size == (512, 512)
    assert open_picture("x.jpg", data, smallest=100).size == (128, 128)


def test_thumbnails(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (400, 100), (255, 0, 0, 255)).save(path)
    made = Image.open(io.BytesIO(thumbnail(str(path), 64)))
    assert (made.format, made.size) == ("JPEG", (64, 16))
    assert np.abs(np.asarray(made).astype(int) - [255, 0, 0]).max() < 4
    Image.new("L", (5, 5)).save(path)
    assert Image.open(io.BytesIO(thumbnail(str(path), 64))).size == (5, 5)
    with pytest.raises(BadItem):
        thumbnail(str(tmp_path / "nothing.png"), 64)


def test_a_frame_is_drawn_around_a_box_and_nowhere_else(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.new("RGB", (400, 300), (128, 128, 128)).save(path)
    plain = np.asarray(Image.open(io.BytesIO(thumbnail(str(path), 200)))).astype(int)
    made = np.asarray(Image.open(io.BytesIO(thumbnail(str(path), 200, (0.25, 0.5, 0.75, 1))))).astype(int)
    changed = np.abs(made - plain).max(axis=2) > 60
    assert changed[75:150, 50].all() and changed[75:150, 149].all() and changed[75, 50:150].all()
    y, x = np.nonzero(changed)
    assert (x.min(), x.max(), y.min(), y.max()) == (50, 149, 75, 149)
    assert not changed[80:145, 56:144].any()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (40, 400)])
@pytest.mark.parametrize("box", [(0.99, 0.99, 1, 1), (0, 0, 0.001, 0.001), (0, 0, 1, 0.5)])
def test_frames_of_the_smallest_pictures_and_boxes(tmp_path: Path, size, box):
    path = tmp_path / "a.png"
    Image.new("RGB", size, (128, 128, 128)).save(path)
    plain, made = (np.asarray(Image.open(io.BytesIO(thumbnail(str(path), 200, *of)))) for of in ((), (box,)))
    assert made.shape == plain.shape and (made != plain).any()
