"""Fruit and other things to eat. Each drawing takes a pen and a colour, and fills a sheet of 100 by 100."""

from __future__ import annotations

from mmr.demo import curves
from mmr.demo.curves import path
from mmr.demo.palette import CREAM, GOLD, LEAF, WOOD, Colour, accent, darker, lighter
from mmr.demo.pen import Pen


def _leaf(pen: Pen, x: float, y: float, length: float, turn: float) -> None:
    shape = curves.smooth(
        [(x, y), (x + length * 0.5, y - length * 0.28), (x + length, y), (x + length * 0.5, y + 7)]
    )
    pen.shape(curves.turned(shape, x, y, turn), LEAF)
    pen.line(curves.turned([(x + 3, y), (x + length * 0.75, y - 1)], x, y, turn), darker(LEAF), 1.2)


def apple(pen: Pen, hue: Colour) -> None:
    """An apple with a stalk and a leaf."""
    pen.blob(
        path("50,30 64,24 82,30 90,50 84,74 68,91 50,88 32,91 16,74 10,50 18,30 36,24"),
        hue,
    )
    pen.line([(50, 34), (50, 24), (55, 12)], WOOD, 4, bend=True)
    _leaf(pen, 54, 20, 26, -18)
    pen.shine(28, 45, 6, 12, 20)


def pear(pen: Pen, hue: Colour) -> None:
    """A pear."""
    pen.blob(
        path("50,20 61,25 65,40 76,55 82,72 72,89 50,93 28,89 18,72 24,55 35,40 39,25"),
        hue,
    )
    pen.line([(50, 23), (50, 14), (46, 6)], WOOD, 4, bend=True)
    _leaf(pen, 50, 16, 24, -10)
    pen.shine(34, 65, 6, 12, 18)


def banana(pen: Pen, hue: Colour) -> None:
    """A bent banana with dark tips."""
    pen.blob(
        path("77,12 84,12 85,24 88,44 80,68 60,84 34,87 14,80 12,72 34,70 54,62 67,46 74,26"),
        hue,
    )
    pen.line(path("78,26 74,48 60,66 38,76 20,77"), darker(hue, 0.22), 1.8, bend=True)
    pen.shape(curves.turned(curves.box(76, 7, 85, 17, 2), 80, 12, 4), darker(hue, 0.55), "mark")
    pen.blob(path("11,70 17,73 17,81 11,80"), darker(hue, 0.55), "mark")


def cherry(pen: Pen, hue: Colour) -> None:
    """Two cherries on one stalk."""
    pen.line([(30, 62), (38, 36), (60, 12)], darker(LEAF), 3, bend=True)
    pen.line([(70, 66), (68, 38), (60, 12)], darker(LEAF), 3, bend=True)
    pen.oval(29, 72, 20, 19, hue)
    pen.oval(71, 74, 20, 19, hue)
    _leaf(pen, 60, 13, 32, 12)
    pen.shine(22, 66, 4, 6, 25)
    pen.shine(64, 68, 4, 6, 25)


def strawberry(pen: Pen, hue: Colour) -> None:
    """A strawberry with seeds."""
    pen.blob(path("50,26 72,22 88,36 82,60 66,82 50,93 34,82 18,60 12,36 28,22"), hue)
    for x, y in (
        (30, 40),
        (50, 44),
        (70, 40),
        (38, 57),
        (62, 57),
        (27, 53),
        (73, 53),
        (50, 63),
        (42, 74),
        (58, 74),
    ):
        pen.shape(curves.oval(x, y, 1.8, 2.8), lighter(GOLD), "mark")
    crown = path("50,34 40,28 26,34 30,22 22,14 40,16 50,8 60,16 78,14 70,22 74,34 60,28")
    pen.shape(crown, LEAF)


def grapes(pen: Pen, hue: Colour) -> None:
    """A bunch of grapes."""
    pen.line([(50, 24), (50, 12), (56, 5)], WOOD, 3.5, bend=True)
    for row, count in enumerate((4, 3, 4, 3, 2, 1)):
        for i in range(count):
            x, y = 50 + (i - (count - 1) / 2) * 18, 30 + row * 11.5
            pen.oval(x, y, 10, 10, hue)
            pen.shine(x - 3.5, y - 4, 2.2, 2.8, 30)
    _leaf(pen, 51, 17, 30, 6)


def lemon(pen: Pen, hue: Colour) -> None:
    """A lemon, or an unripe lime, lying on its side."""
    pen.blob(path("8,56 17,48 32,33 54,30 74,38 86,50 94,58 85,66 68,80 46,83 25,74 15,63"), hue)
    for x, y in ((46, 62), (58, 52), (64, 66), (38, 50), (52, 73)):
        pen.shape(curves.oval(x, y, 1.3, 1.3, steps=16), darker(hue, 0.2), "tint")
    pen.line([(16, 52), (10, 44)], WOOD, 3.4)
    _leaf(pen, 14, 46, 26, -44)
    pen.shine(40, 44, 10, 4.5, -18)


def ice(pen: Pen, hue: Colour) -> None:
    """An ice cream in a cone."""
    cone = path("28,46 72,46 52,95 48,95")
    pen.shape(cone, (230, 172, 104))
    with pen.inside(cone, (230, 172, 104)):
        for shift in (-36, -22, -8, 6, 20, 34):
            pen.line([(50 + shift, 44), (70 + shift, 94)], (200, 138, 76), 1.5)
            pen.line([(50 - shift, 44), (30 - shift, 94)], (200, 138, 76), 1.5)
    pen.blob(path("24,42 28,22 50,10 72,22 76,42 78,50 68,52 60,48 50,54 40,48 32,53 22,50"), hue)
    pen.oval(56, 10, 7.5, 7.5, accent(hue))
    pen.shine(37, 27, 5, 8, 35)


def cake(pen: Pen, hue: Colour) -> None:
    """A round cake with icing and three candles."""
    for x in (32, 50, 68):
        pen.box(x - 2.5, 18, x + 2.5, 38, lighter(hue, 0.6), 1)
        pen.blob([(x, 5), (x + 3.6, 12), (x, 17), (x - 3.6, 12)], (252, 176, 64))
    pen.box(14, 40, 86, 88, CREAM, 8)
    pen.box(14, 62, 86, 70, lighter(hue, 0.2), 0, "tint")
    top, drips = (
        "14,44 20,35 50,33 80,35 86,44",
        "86,54 80,60 74,53 66,52 60,63 53,62 48,52 40,53 34,60 27,58",
    )
    pen.blob(path(f"{top} {drips} 22,53 15,57"), hue)
    pen.shape(curves.oval(50, 90, 46, 4.5), (214, 220, 230))
