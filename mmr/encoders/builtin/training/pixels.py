"""What the samples do to pixels: tint, trace outlines, scribble, tilt, shift and tone."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from .captions import COLOURS

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]


def tinted(drawing: Pixels, colour: Colour) -> Pixels:
    """Give a drawing (side, side, 4) one colour and keep its light and dark parts."""
    light = drawing[:, :, :3].astype(np.float32) @ np.array([0.3, 0.59, 0.11], np.float32) / 255
    seen = drawing[:, :, 3] > 128
    middle = float(np.median(light[seen])) if seen.any() else 0.5
    shade = np.clip(1 + (light - middle) * 0.9, 0.25, 1.6)[:, :, None]
    mixed = np.clip(np.array(colour, np.float32) * shade, 0, 255)
    highlight = np.clip((light - 0.85) * 4, 0, 0.6)[:, :, None]
    out = drawing.copy()
    out[:, :, :3] = (mixed + (255 - mixed) * highlight * (middle < 0.75)).astype(np.uint8)
    return out


def filled(alpha: Pixels, colour: Colour) -> Pixels:
    """Make a one-coloured drawing (side, side, 4) out of an icon's alpha (side, side)."""
    out = np.empty((*alpha.shape, 4), np.uint8)
    out[:, :, :3] = colour
    out[:, :, 3] = alpha
    return out


def main_colour(drawing: Pixels) -> str:
    """Name the colour that covers at least 60 % of a drawing, or give an empty text."""
    seen = drawing[drawing[:, :, 3] > 128][:, :3].astype(np.int32)
    if len(seen) < 50:
        return ""
    names = list(COLOURS)
    table = np.array([COLOURS[name] for name in names], np.int32)
    nearest = np.argmin(((seen[::7, None, :] - table[None]) ** 2).sum(2), axis=1)
    counts = np.bincount(nearest, minlength=len(names))
    best = int(counts.argmax())
    return names[best] if counts[best] >= 0.6 * counts.sum() else ""


def near(colour: Colour, rng: random.Random, spread: int = 26) -> Colour:
    """Vary a colour a little."""
    red, green, blue = (max(0, min(255, value + rng.randint(-spread, spread))) for value in colour)
    return red, green, blue


def outlined(picture: Image.Image, rng: random.Random, ink: Colour | None, paper: Colour) -> Image.Image:
    """Trace the edges of a flat picture on paper, in ink or, without one, in its own colours."""
    right = ImageChops.difference(picture, ImageChops.offset(picture, 1, 0))
    down = ImageChops.difference(picture, ImageChops.offset(picture, 0, 1))
    edges = ImageChops.lighter(right, down)
    red, green, blue = edges.split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    threshold = rng.choice((14, 20, 28))
    mask = strongest.point([0 if value < threshold else 255 for value in range(256)])
    if rng.random() < 0.5:
        mask = mask.filter(ImageFilter.MaxFilter(3))
    sheet = Image.new("RGB", picture.size, paper)
    if ink is None:
        smaller, amount = picture.filter(ImageFilter.MinFilter(3)), rng.uniform(0.55, 0.95)
        sheet.paste(smaller.point([int(amount * value) for value in range(256)] * 3), mask=mask)
    else:
        sheet.paste(Image.new("RGB", picture.size, ink), mask=mask)
    return sheet


def sketched(picture: Image.Image, rng: random.Random, ink: Colour | None, paper: Colour) -> Image.Image:
    """Scribble a flat picture: shaky double lines, hatching in the dark parts, paper grain.

    Without ink, lines and hatching have the picture's own colours, as by coloured pencils.
    """
    sheet = outlined(picture, rng, ink, paper)
    side = picture.width
    for _ in range(rng.choice((1, 1, 2))):
        shaken = sheet.rotate(rng.uniform(-2, 2), fillcolor=paper)
        moved = ImageChops.offset(shaken, rng.randint(-2, 2), rng.randint(-2, 2))
        dark_on_light = ink is None or sum(paper) > sum(ink)
        sheet = ImageChops.darker(sheet, moved) if dark_on_light else ImageChops.lighter(sheet, moved)
    values = np.asarray(sheet).astype(np.float32)
    if rng.random() < 0.6:
        y, x = np.mgrid[:side, :side]
        step = rng.choice((4, 5, 6, 8))
        lines = ((x + rng.choice((-1, 1)) * y) % step) == 0
        flat = np.asarray(picture).astype(np.float32)
        if ink is None:
            dark, colour = flat.min(2) < rng.randint(150, 225), flat
        else:
            dark = flat.mean(2) < rng.randint(90, 190)
            colour = np.broadcast_to(np.array(ink, np.float32), flat.shape)
        hatched = lines & dark
        values[hatched] = 0.4 * values[hatched] + 0.6 * colour[hatched]
    grain = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(0, 7), (side, side, 1))
    return Image.fromarray(np.clip(values + grain, 0, 255).astype(np.uint8))


def shaded(side: int, paper: Colour, rng: random.Random) -> Image.Image:
    """Make a sheet of paper that is lighter in the middle, or at one end."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    angle = rng.uniform(0, 6.28)
    far = np.hypot(x, y) * 1.4 if rng.random() < 0.6 else 0.5 + np.cos(angle) * x + np.sin(angle) * y
    share = np.clip(1 - far, 0, 1)[:, :, None] * rng.uniform(0.3, 0.9)
    values = np.array(paper) * (1 - share) + 255 * share
    return Image.fromarray(values.astype(np.uint8))


def moved(picture: Image.Image, rng: random.Random, fill: Any, mirror: bool) -> Image.Image:
    """Scale, stretch, shift and tilt a little; mirror half the time where that is harmless.

    Without a colour to fill bare edges with, the picture is only enlarged.
    """
    side = picture.width
    if mirror and rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale_x = rng.uniform(0.78, 1.3)
    scale_y = scale_x * rng.uniform(0.88, 1.13)
    tilt = rng.gauss(0, 0.08)
    shift_x, shift_y = rng.uniform(-0.08, 0.08) * side, rng.uniform(-0.08, 0.08) * side
    if fill is None:
        scale_x, scale_y, tilt, shift_x, shift_y = rng.uniform(0.85, 1), rng.uniform(0.85, 1), 0.0, 0.0, 0.0
    middle = side / 2
    a, b, d, e = scale_x, tilt, -tilt, scale_y
    c = middle - a * (middle + shift_x) - b * (middle + shift_y)
    f = middle - d * (middle + shift_x) - e * (middle + shift_y)
    return picture.transform(
        picture.size, Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR, fillcolor=fill
    )


def toned(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Change contrast, light and sharpness a little, as other artists and formats would."""
    if rng.random() < 0.3:
        picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.7, 1.25))
    if rng.random() < 0.3:
        picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.85, 1.12))
    if rng.random() < 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
    return picture
