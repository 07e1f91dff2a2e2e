"""Round faces and what they feel. Each drawing takes a pen and a colour, and fills a sheet of 100 by 100."""

from __future__ import annotations

from mmr.demo import curves
from mmr.demo.curves import path
from mmr.demo.palette import BLUSH, INK, RED, WHITE, Colour
from mmr.demo.pen import Pen

MOUTH: Colour = (132, 44, 66)
TEAR: Colour = (96, 178, 236)


def _head(pen: Pen, hue: Colour) -> None:
    pen.oval(50, 50, 44, 44, hue)
    pen.shine(30, 24, 10, 6, -32, 0.38)


def _eyes(pen: Pen, y: float = 42, radius: float = 6) -> None:
    for x in (34, 66):
        pen.eye(x, y, radius, INK)


def _cheeks(pen: Pen) -> None:
    for x in (22, 78):
        pen.oval(x, 58, 7, 5, BLUSH, "tint")


def smiling(pen: Pen, hue: Colour) -> None:
    """A smile."""
    _head(pen, hue)
    _cheeks(pen)
    _eyes(pen)
    pen.line(path("28,62 38,72 50,75 62,72 72,62"), INK, 4, bend=True)


def laughing(pen: Pen, hue: Colour) -> None:
    """A laugh: eyes pressed shut, mouth wide open."""
    _head(pen, hue)
    _cheeks(pen)
    for x in (33, 67):
        pen.line([(x - 9, 45), (x, 36), (x + 9, 45)], INK, 4, bend=True)
    mouth = [*curves.arc(50, 58, 26, 26, 0, 180), (24, 58)]
    pen.shape(mouth, MOUTH)
    with pen.inside(mouth, MOUTH):
        pen.oval(50, 82, 15, 9, (240, 112, 122))
        pen.box(24, 56, 76, 64, WHITE)


def sad(pen: Pen, hue: Colour) -> None:
    """A sad look: brows up in the middle, mouth turned down, a tear."""
    _head(pen, hue)
    _eyes(pen, 46)
    for s in (-1, 1):
        pen.line([(50 + s * 25, 34), (50 + s * 10, 28)], INK, 3.6)
    pen.line(path("32,76 40,68 50,65 60,68 68,76"), INK, 4, bend=True)
    pen.blob(path("72,54 77,62 76,70 69,70 67,63"), TEAR)


def surprised(pen: Pen, hue: Colour) -> None:
    """Surprise: brows high, mouth a round O."""
    _head(pen, hue)
    _eyes(pen, 42, 7)
    for x in (34, 66):
        pen.line([(x - 9, 28), (x, 23), (x + 9, 28)], INK, 3.4, bend=True)
    pen.oval(50, 72, 9, 12, MOUTH, "mark")


def angry(pen: Pen, hue: Colour) -> None:
    """Anger: brows down in the middle, mouth turned down."""
    _head(pen, hue)
    _eyes(pen, 48)
    for s in (-1, 1):
        pen.line([(50 + s * 27, 30), (50 + s * 8, 40)], INK, 5)
    pen.line(path("32,76 41,69 50,67 59,69 68,76"), INK, 4.4, bend=True)


def winking(pen: Pen, hue: Colour) -> None:
    """A wink with a lopsided smile."""
    _head(pen, hue)
    _cheeks(pen)
    pen.eye(34, 42, 6, INK)
    pen.line([(57, 44), (66, 39), (75, 44)], INK, 4, bend=True)
    pen.line(path("30,64 44,73 58,73 72,60"), INK, 4, bend=True)


def sleeping(pen: Pen, hue: Colour) -> None:
    """Sleep: eyes closed, a small mouth, two letters z made of lines."""
    _head(pen, hue)
    _cheeks(pen)
    for x in (33, 67):
        pen.line([(x - 9, 46), (x, 51), (x + 9, 46)], INK, 4, bend=True)
    pen.oval(50, 70, 6, 6.5, MOUTH, "mark")
    for x, y, size in ((72, 22, 14), (86, 2, 10)):
        pen.line([(x, y), (x + size, y), (x, y + size), (x + size, y + size)], (84, 120, 190), 3)


def love(pen: Pen, hue: Colour) -> None:
    """A smile with hearts for eyes."""
    _head(pen, hue)
    for x in (32, 68):
        heart = path("0,-4 5,-9 11,-7 12,0 6,7 0,12 -6,7 -12,0 -11,-7 -5,-9")
        pen.blob([(x + dx, 41 + dy) for dx, dy in heart], RED)
    mouth = [*curves.arc(50, 62, 21, 19, 0, 180), (29, 62)]
    pen.shape(mouth, MOUTH)
    with pen.inside(mouth, MOUTH):
        pen.oval(50, 80, 11, 7, (240, 112, 122))
