"""Decode a picture to upright RGB, whatever its format, depth, alpha or colour model."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

from mmr.errors import shown
from mmr.pictures.read import read_bytes, unreadable

if TYPE_CHECKING:
    from PIL import Image, ImageFile

PIXELS = 178_956_970  # Pillow's own limit: half a gigabyte of RGB
BIG = 32_000_000  # pictures with more pixels are decoded one at a time, so that threads share the memory
COMMON = (
    (b"\xff\xd8", "JPEG"), (b"\x89PNG", "PNG"), (b"GIF8", "GIF"), (b"BM", "BMP"),
    *((b"P%d" % kind, "PPM") for kind in range(1, 7)),
)  # fmt: skip
RARE = ("WEBP", "AVIF", "HEIF", "TIFF", "JPEG2000", "ICO", "QOI", "PCX", "PSD", "DIB")
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
UNSUITABLE = (
    (b"%PDF", "is a PDF document", "`pdftoppm -png` makes pictures of its pages"),
    (b"<!doctype html", "is a web page", "the download may have failed"),
    (b"<html", "is a web page", "the download may have failed"),
    (b"\x1f\x8b", "is gzip data", "unpack it first"),
    (b"pk\x03\x04", "is a zip archive", "unpack it first"),
    (b"\x1ae\xdf\xa3", "is a video", "`ffmpeg` makes pictures of its frames"),
)
CUT_OFF = ("truncated", "broken", "end of file", "eof", "not enough data", "incomplete")
ORIENTATION = 0x0112  # the EXIF tag

_lock = threading.Lock()
_one_big = threading.Lock()
_users = 0
_restore = ExitStack()


def open_picture(
    path: str, data: bytes | None = None, *, pixels: int = PIXELS, smallest: int | None = None
) -> Image.Image:
    """Return a picture as RGB: the first frame, upright by its EXIF orientation, alpha on white.

    data      the file's bytes, when they are read already
    pixels    a picture with more is refused before it is decoded
    smallest  a JPEG may come at half, a quarter or an eighth of its size, no side below this: quick, and good
              to look at, but other pixels than the whole picture's

    16-bit and float pictures are scaled to 8 bits, not clipped. Raises `BadItem` for what is no picture, is
    cut off, empty, or too large. Safe in any number of threads at once.
    """
    data = read_bytes(path) if data is None else data
    _refuse(path, data)
    with quiet(pixels):
        image = _opened(path, data, pixels)
        with _one_big if image.width * image.height > BIG else nullcontext():
            try:
                if smallest is not None:
                    image.draft("RGB", (smallest, smallest))
                image.load()
                return _upright(image, _rgb(image))
            except MemoryError:
                raise unreadable(path, "does not fit into memory") from None
            except Exception as error:
                raise unreadable(path, *_broken(error)) from None


@contextmanager
def quiet(pixels: int = PIXELS) -> Iterator[None]:
    """Silence Pillow's warnings, and lift its limit to `pixels`, as long as any such block runs.

    Warnings are one list for all threads, so blocks that overlap share one change of it.
    """
    global _users, _restore
    with _lock:
        if _users == 0:
            _restore = ExitStack()
            _restore.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            _restore.enter_context(_limit(pixels))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _restore.close()


@contextmanager
def _limit(pixels: int) -> Iterator[None]:
    """Let Pillow open pictures of `pixels`; it warns from its limit on and refuses from twice that."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max(pixels, PIXELS) // 2 + 1
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _opened(path: str, data: bytes, pixels: int) -> ImageFile.ImageFile:
    """Read a picture's header and hold its size against the limit."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(data), formats=_formats(path, data))
    except UnidentifiedImageError:
        raise unreadable(path, *_unknown(data)) from None
    except Image.DecompressionBombError as error:
        size = next((word.lstrip("(") for word in str(error).split() if word.startswith("(")), "0")
        raise unreadable(path, *_too_large(f"{int(size):,}", pixels)) from None
    except Exception as error:
        raise unreadable(path, *_broken(error)) from None
    width, height = image.size
    if width * height > pixels:
        raise unreadable(path, *_too_large(f"{width:,} × {height:,} = {width * height:,}", pixels))
    return image


def _too_large(size: str, pixels: int) -> tuple[str, str]:
    return f"has {size} pixels, and the limit is {pixels:,}", "--max-pixels lifts it"


def _refuse(path: str, data: bytes) -> None:
    """Raise `BadItem` for what Pillow should not even see, with words of our own."""
    if not data:
        raise unreadable(path, "is empty (0 bytes)")
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<svg") or (
        head.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in head
    ):
        raise unreadable(path, "is an SVG drawing, which has no pixels", "`rsvg-convert` makes a PNG of it")
    for start, what, fix in UNSUITABLE:
        if head.startswith(start):
            raise unreadable(path, what, fix)
    if data[4:8] == b"ftyp":
        _refuse_video(path, data[8:12])
    zeros = data.startswith(b"\xff\xd8") and data.endswith(bytes(512))
    if zeros and not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise unreadable(path, "is cut off: its end is all zeros", "copy it again")


def _refuse_video(path: str, brand: bytes) -> None:
    """Tell HEIC, AVIF and JPEG from what else has the same beginning, which are videos."""
    from PIL import features

    if brand in HEIC:
        if not _heif():
            what = "is HEIC, and this installation cannot read that"
            raise unreadable(path, what, "`pip install 'mmr[heif]'` adds it")
    elif brand in (b"avif", b"avis"):
        if not features.check("avif"):
            raise unreadable(path, "is AVIF, which this Pillow cannot read", "`pip install -U pillow` helps")
    else:
        raise unreadable(path, "is a video", "`ffmpeg` makes pictures of its frames")


def _heif() -> bool:
    """Whether Pillow can read HEIC with the package of the extra `heif`, which is then switched on."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _formats(path: str, data: bytes) -> list[str]:
    """The formats that a picture may be of; one that would start another program (EPS) is not among them."""
    from PIL import Image

    common = [name for start, name in COMMON if data.startswith(start)]
    if common:
        return common
    Image.init()
    rare = (*RARE, "TGA") if path.lower().endswith(".tga") else RARE
    return [name for name in rare if name in Image.OPEN]


def _unknown(data: bytes) -> tuple[str, str]:
    for start, name in COMMON:
        if data.startswith(start):
            return f"is a {name} file that is cut off or damaged", "copy it again"
    return f"is not a picture (it starts with {shown(repr(data[:8])[1:])})", ""


def _broken(error: Exception) -> tuple[str, str]:
    """Say what a decoder's error means."""
    words = shown(str(error)) or type(error).__name__
    if any(sign in words.lower() for sign in CUT_OFF):
        return f"is cut off or damaged ({words})", "copy it again"
    return f"cannot be decoded ({words})", ""


def _rgb(image: Image.Image) -> Image.Image:
    """Return a loaded picture as RGB of 8 bits."""
    from PIL import Image, ImageChops

    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(image)
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Pillow inverts every CMYK JPEG, but only those with Adobe's marker are stored inverted.
        return ImageChops.invert(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """Scale deep grey to 8 bits: 16 bits by 257, fractions by 255, anything beyond from least to most."""
    import numpy as np
    from PIL import Image

    grey = np.nan_to_num(np.asarray(image).astype(np.float64))
    low, high = float(grey.min()), float(grey.max())
    sixteen = image.mode.startswith("I;16") or image.format in ("PNG", "PPM")
    if low >= 0 and (sixteen or 255 < high <= 65535):
        grey /= 257
    elif image.mode == "F" and low >= 0 and high <= 1:
        grey *= 255
    elif low < 0 or high > 255:
        grey = (grey - low) * (255 / (high - low or 1))
    return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")


def _upright(image: Image.Image, pixels: Image.Image) -> Image.Image:
    """Turn the pixels of a picture as its EXIF orientation says; damaged EXIF turns nothing."""
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:
        orientation = 1
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    turn = turns.get(orientation)
    return pixels if turn is None else pixels.transpose(turn)
