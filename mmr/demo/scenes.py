"""Where things are: meadow, beach, street, mountains, room, snow, sea; by day, at sunset and at night.

A scene is a function of a pen whose sheet is the whole picture.
Colours are those of full day; the light does the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image

from mmr.demo import curves, nature
from mmr.demo.curves import path
from mmr.demo.palette import GLASS, Colour, darker, lighter, mix
from mmr.demo.pen import Pen


def _sky(pen: Pen, horizon: float) -> None:
    """Fill the sky down to the horizon, and put clouds, the sun or the moon with its stars in it."""
    if pen.style == "filled":
        _gradient(pen, horizon, pen.light.sky)
    if pen.light.dark:
        _stars(pen, horizon)
        for reach, strength in ((16, 0.04), (12.5, 0.07)):
            pen.shine(82, 14, reach, reach, strength=strength)
        disc = pen.bright().at(73, 5, 18)
        disc.oval(50, 50, 44, 44, (252, 240, 190))
        disc.oval(36, 42, 9, 9, (236, 220, 164), "tint")
        disc.oval(58, 66, 6, 6, (236, 220, 164), "tint")
    elif pen.light.far:
        for reach, strength in ((27, 0.1), (21, 0.14), (15.5, 0.2)):
            pen.shine(25, horizon - 10, reach, reach, strength=strength)
        pen.bright().oval(25, horizon - 10, 10, 10, (255, 226, 134))
        _cloud(pen, 44, 10, 20)
        _cloud(pen, 74, 20, 22)
    else:
        _cloud(pen, 7, 8, 24)
        _cloud(pen, 68, 4, 26)
        _cloud(pen, 44, 22, 15)


def _cloud(pen: Pen, x: float, y: float, size: float) -> None:
    nature.cloud(pen.at(x, y, size), (255, 253, 250))


def _stars(pen: Pen, horizon: float) -> None:
    spots = (
        (8, 10),
        (18, 27),
        (27, 7),
        (38, 19),
        (48, 6),
        (57, 24),
        (64, 9),
        (94, 30),
        (12, 42),
        (45, 36),
        (84, 38),
        (30, 38),
    )
    for i, (x, y) in enumerate(spots):
        if y < horizon - 4:
            size = 1.5 if i % 3 == 0 else 0.9
            pen.bright().shape(curves.star(x, y, size, size * 0.42, 4), (255, 246, 216), "mark")


def _gradient(pen: Pen, bottom: float, stops: tuple[Colour, Colour, Colour]) -> None:
    height = max(1, round(bottom * pen.scale))
    column = Image.new("RGB", (1, 3))
    column.putdata(stops)
    steps = max(3, round(bottom * 0.64))
    strip = column.resize((1, steps * 2), Image.Resampling.BICUBIC)
    pen.canvas.paste(strip.resize((pen.canvas.width, height), Image.Resampling.BILINEAR), (0, 0))


def _hill(pen: Pen, heights: tuple[float, ...], colour: Colour, shade: float = 0) -> None:
    """Draw ground up to a soft ridge whose heights are given from left to right."""
    step = 112 / (len(heights) - 1)
    ridge = curves.smooth([(-6 + i * step, y) for i, y in enumerate(heights)], closed=False)
    pen.shape([(-8, 106), *ridge, (108, 106)], colour, shade=shade)


def meadow(pen: Pen) -> None:
    """Green hills with flowers."""
    _sky(pen, 60)
    _hill(pen, (56, 47, 52, 58, 48, 51), (160, 206, 142))
    _hill(pen, (60, 63, 54, 57, 64, 58), (134, 192, 116))
    for x, size in ((7, 15), (18, 11), (86, 13)):
        nature.tree(pen.at(x - size / 2, 60 - size * 0.93, size), (92, 160, 96))
    _hill(pen, (70, 67, 69, 72, 68, 67), (112, 178, 98))
    for i, (x, y) in enumerate(
        ((6, 78), (16, 91), (28, 76), (88, 79), (94, 92), (76, 95), (38, 96), (70, 75), (58, 97))
    ):
        hue = ((250, 246, 236), (250, 203, 66), (244, 144, 172))[i % 3]
        pen.line([(x, y), (x, y + 4)], (76, 140, 80), 0.7)
        pen.oval(x, y, 1.5, 1.5, hue)
    for x, y in ((10, 85), (24, 84), (80, 86), (90, 86), (48, 94), (33, 90), (66, 92)):
        pen.line([(x - 1.5, y - 3), (x, y), (x + 1.5, y - 3)], (88, 152, 84), 0.8)


def beach(pen: Pen) -> None:
    """Sand, the sea behind it, and a starfish."""
    _sky(pen, 50)
    pen.shape(path("-4,48 104,48 104,80 -4,80"), (84, 172, 208), shade=0)
    _glitter(pen, 48, 60)
    _hill(pen, (63, 64.5, 62, 64, 63, 65), (244, 250, 250))
    _hill(pen, (65.5, 67, 64.5, 66.5, 65, 67.5), (240, 216, 166))
    for x, y, reach in ((12, 78, 7), (84, 74, 8), (24, 92, 9), (72, 95, 8), (48, 97, 5)):
        pen.line(
            [(x - reach, y), (x - reach / 2, y - 1), (x, y), (x + reach / 2, y + 1), (x + reach, y)],
            (222, 192, 138),
            1,
            bend=True,
        )
    pen.shape(curves.star(90, 88, 4.6, 2, 5, 14), (240, 140, 110))
    pen.blob(path("8,90 11,86 15,88 15,91 11,93"), (250, 232, 226))


def _glitter(pen: Pen, top: float, bottom: float) -> None:
    """Draw short light strokes on water."""
    for i in range(16):
        x, y = (i * 37 + 8) % 100, top + 3 + (bottom - top - 3) * ((i * 5) % 16) / 16
        pen.line([(x - 3, y), (x + 3, y)], lighter((120, 196, 224), 0.4), 0.7)


def street(pen: Pen) -> None:
    """A row of tall houses, a pavement and a road."""
    _sky(pen, 70)
    for i, (left, right, top) in enumerate(
        ((-2, 15, 34), (13, 31, 46), (31, 46, 30), (46, 64, 44), (64, 81, 33), (81, 103, 42))
    ):
        colour = (
            (214, 178, 164),
            (176, 196, 208),
            (226, 204, 168),
            (190, 182, 206),
            (200, 206, 180),
            (220, 184, 176),
        )[i]
        pen.box(left, top, right, 76, colour)
        pen.box(left - 0.6, top, right + 0.6, top + 2.4, darker(colour, 0.2))
        _panes(pen, left, right, top, i)
    pen.shape(path("-4,71 104,71 104,80 -4,80"), (214, 210, 206), shade=0)
    pen.line([(-4, 80), (104, 80)], (178, 176, 178), 1)
    pen.shape(path("-4,81 104,81 104,106 -4,106"), (132, 136, 150), shade=0)
    for x in (2, 24, 46, 68, 90):
        pen.shape([(x, 93), (x + 11, 93), (x + 9, 95.5), (x - 2, 95.5)], (240, 236, 226), shade=0)


def _panes(pen: Pen, left: float, right: float, top: float, turn: int) -> None:
    for row in range(4):
        for column in range(3):
            x, y = left + (right - left) * (column + 0.5) / 3, top + 6.5 + row * 7.6
            if y > 66:
                continue
            bright = pen.light.far > 0 and (row * 3 + column + turn) % (2 if pen.light.dark else 3) != 0
            glass = (255, 222, 128) if bright else GLASS
            shape = curves.box(x - 1.6, y - 2, x + 1.6, y + 2)
            (pen.bright() if bright else pen).shape(shape, glass, shade=0)


def mountains(pen: Pen) -> None:
    """Peaks with snow on them, firs and a meadow at their feet."""
    _sky(pen, 62)
    for points, colour in (
        (((-10, 70), (14, 30), (26, 44), (38, 27), (66, 70)), (178, 190, 214)),
        (((34, 72), (52, 46), (62, 54), (80, 21), (112, 72)), (150, 164, 196)),
        (((-20, 76), (6, 45), (30, 76)), (132, 148, 184)),
    ):
        pen.shape(points, colour, shade=0)
    for x, y, size in ((38, 27, 8), (14, 30, 7), (80, 21, 11)):
        cap = [
            (x, y),
            (x + size * 0.72, y + size),
            (x + size * 0.3, y + size * 0.78),
            (x, y + size * 1.2),
            (x - size * 0.25, y + size * 0.8),
            (x - size * 0.66, y + size),
        ]
        pen.shape(cap, (250, 251, 255), shade=0)
    _hill(pen, (68, 63, 66, 70, 64, 62), (128, 172, 132))
    for x, y, size in ((5, 71, 17), (14, 73, 13), (23, 70, 10), (95, 70, 16), (86, 72, 12)):
        nature.fir(pen.at(x - size / 2, y - size * 0.93, size), (74, 132, 106))
    _hill(pen, (74, 70, 72, 74, 71, 70), (140, 188, 124))
    for x, y, r in ((10, 88, 4), (90, 82, 3), (82, 94, 4.4), (20, 96, 3)):
        pen.blob(
            [
                (x - r, y),
                (x - r * 0.5, y - r * 0.8),
                (x + r * 0.5, y - r * 0.7),
                (x + r, y),
                (x, y + r * 0.3),
            ],
            (178, 178, 190),
        )


def room(pen: Pen) -> None:
    """A room with a window, a picture, a plant and a rug."""
    wall = (246, 226, 204)
    pen.shape(path("-4,-4 104,-4 104,74 -4,74"), wall, shade=0)
    for x in range(4, 104, 12):
        pen.box(x, -4, x + 5, 70, mix(wall, (240, 206, 180), 0.4), 0, "tint")
    _view(pen)
    pen.box(74, 18, 90, 36, (182, 136, 100), 1)
    pen.box(76, 20, 88, 34, (236, 244, 240), 0.5)
    pen.shape([(77, 33), (82, 25), (87, 33)], (134, 180, 150), shade=0)
    pen.shape(path("-4,72 104,72 104,106 -4,106"), (206, 158, 112), shade=0)
    pen.box(-4, 69, 104, 72.5, (252, 246, 238))
    for y in (80, 90):
        pen.line([(-4, y), (104, y)], (184, 136, 94), 0.7)
    for x, y in ((16, 73), (62, 73), (36, 80), (86, 80), (10, 90), (60, 90)):
        pen.line([(x, y), (x, y + 8)], (184, 136, 94), 0.7)
    pen.oval(50, 87, 42, 9.5, (120, 158, 190))
    pen.oval(50, 87, 36, 7.4, (150, 186, 210))
    for turn in (-34, -12, 12, 34):
        pen.shape(
            curves.turned(curves.smooth(path("93,60 95,50 93,40 91,50")), 93, 62, turn), (104, 168, 108)
        )
    pen.shape(path("87,60 99,60 97,72 89,72"), (214, 122, 88))


def _view(pen: Pen) -> None:
    """Draw the window and the sky of the hour in it."""
    pen.box(12, 10, 48, 48, (252, 248, 242), 1)
    top, middle, low = pen.light.sky
    frame = curves.box(15, 13, 45, 45)
    outside = pen.bright()
    pen.shape(frame, GLASS, shade=0)
    if pen.style == "filled":
        for i in range(8):
            band = mix(top, middle, i / 4) if i < 4 else mix(middle, low, (i - 4) / 4)
            pen.bright().shape(curves.box(15, 13 + i * 4, 45, 17 + i * 4), band, "tint")
    if pen.light.dark:
        outside.oval(37, 21, 4.4, 4.4, (252, 240, 190))
        for x, y in ((20, 20), (26, 33), (22, 40), (40, 36)):
            outside.shape(curves.star(x, y, 1.3, 0.5, 4), (255, 244, 210), "mark")
    elif pen.light.far:
        outside.oval(36, 37, 5, 5, (255, 224, 130))
    else:
        _cloud(outside, 18, 17, 11)
        _cloud(outside, 33, 24, 9)
    pen.line([(30, 13), (30, 45)], (252, 248, 242), 1.6)
    pen.line([(15, 29), (45, 29)], (252, 248, 242), 1.6)
    pen.box(10, 47, 50, 50.5, (252, 248, 242), 1)
    for x, s in ((9, 1), (51, -1)):
        pen.blob(
            [(x - 3 * s, 7), (x + 8 * s, 7), (x + 5 * s, 30), (x + 1 * s, 46), (x - 3 * s, 54)],
            (222, 132, 118),
        )
    pen.line([(3, 7), (57, 7)], (160, 112, 80), 1.6)


def snow(pen: Pen) -> None:
    """White hills, firs and falling flakes."""
    _sky(pen, 62)
    _hill(pen, (58, 50, 54, 60, 52, 55), (214, 228, 242))
    for x, y, size in ((8, 63, 20), (20, 64, 15), (92, 62, 19), (81, 64, 13)):
        nature.fir(pen.at(x - size / 2, y - size * 0.93, size), (118, 158, 156))
    _hill(pen, (62, 65, 60, 62, 66, 62), (232, 240, 250))
    _hill(pen, (72, 69, 71, 74, 70, 69), (248, 251, 255))
    for i in range(30):
        radius = 0.7 + 0.25 * (i % 3)
        pen.oval((i * 75.4878 + 7) % 100, (i * 56.984 + 3) % 96, radius, radius, (255, 255, 255), "mark")


def sea(pen: Pen) -> None:
    """Open water under the sky."""
    _sky(pen, 54)
    for i, colour in enumerate(((118, 190, 220), (88, 170, 210), (64, 148, 196), (48, 126, 178))):
        _wave(pen, 52 + i * 10, i * 1.7, colour)
    _glitter(pen, 53, 62)


def _wave(pen: Pen, level: float, phase: float, colour: Colour) -> None:
    ridge = [(x, level + 0.9 * math.sin(x / 5.2 + phase)) for x in range(-6, 108, 2)]
    pen.shape([(-8, 106), *ridge, (110, 106)], colour, shade=0)


def front_of_sea(pen: Pen) -> None:
    """Draw the wave that a floating thing lies behind."""
    _wave(pen, 82, 2.4, (48, 126, 178))
    _wave(pen, 91, 4.4, (38, 108, 162))
    for x, y in ((14, 87), (40, 86), (66, 88), (88, 86), (26, 96), (78, 96)):
        pen.line([(x - 4, y), (x, y - 1), (x + 4, y)], (120, 184, 216), 0.8, bend=True)


def plain(pen: Pen) -> None:
    """Paper, with a soft round light on it when filled."""
    for step in range(6):
        pen.shine(50, 52, 47 - step * 2.6, 47 - step * 2.6, strength=0.1)


SCENES: dict[str, Callable[[Pen], None]] = {
    "plain": plain,
    "meadow": meadow,
    "beach": beach,
    "street": street,
    "mountains": mountains,
    "room": room,
    "snow": snow,
    "sea": sea,
}
