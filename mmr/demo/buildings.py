"""Buildings. Each drawing takes a pen and the colour of walls or cloth, and fills a sheet of 100 by 100."""

from __future__ import annotations

from mmr.demo import curves
from mmr.demo.curves import path
from mmr.demo.palette import CREAM, GLASS, GOLD, RED, STEEL, WOOD, Colour, accent, darker, lighter
from mmr.demo.pen import Pen


def _window(pen: Pen, left: float, top: float, right: float, bottom: float) -> None:
    """Draw a window with a cross; at night there is light behind it."""
    (pen.bright() if pen.light.dark else pen).box(left, top, right, bottom, _glow(pen), 1.5)
    pen.line([((left + right) / 2, top), ((left + right) / 2, bottom)], CREAM, 1.6)
    pen.line([(left, (top + bottom) / 2), (right, (top + bottom) / 2)], CREAM, 1.6)


def _glow(pen: Pen) -> Colour:
    return (255, 238, 150) if pen.light.dark else GLASS


def house(pen: Pen, hue: Colour) -> None:
    """A house with a gable, a chimney, a door and two windows."""
    pen.box(68, 12, 79, 40, (176, 112, 92))
    pen.box(66, 10, 81, 16, (150, 92, 78), 1)
    pen.box(16, 44, 84, 93, hue)
    pen.shape(
        path("50,8 95,46 88,52 12,52 5,46"),
        darker((190, 92, 76), 0.1) if hue != RED else (112, 84, 96),
    )
    pen.box(42, 62, 58, 93, WOOD, 3)
    pen.dot(54.5, 78, 1.5, GOLD)
    _window(pen, 22, 60, 36, 76)
    _window(pen, 64, 60, 78, 76)
    pen.oval(50, 35, 6, 6, _glow(pen))


def castle(pen: Pen, hue: Colour) -> None:
    """A castle with two towers, battlements, a gate and flags."""
    roof = accent(hue)
    pen.shape(_battlement(24, 50, 76, 92, 5), darker(hue, 0.1))
    pen.shape(_battlement(36, 28, 64, 62, 3), hue)
    for x in (50,):
        pen.line([(x, 30), (x, 6)], darker(STEEL, 0.4), 2)
        pen.shape([(x + 1, 6), (x + 17, 11), (x + 1, 16)], roof)
    for x in (20, 80):
        pen.box(x - 12, 42, x + 12, 93, hue)
        pen.shape([(x, 14), (x + 16, 44), (x - 16, 44)], roof)
        pen.shape(
            [*curves.arc(x, 59, 4, 5, 180, 360), (x + 4, 69), (x - 4, 69)],
            _glow(pen) if pen.light.dark else darker(hue, 0.5),
        )
    pen.shape([*curves.arc(50, 74, 11, 12, 180, 360), (61, 93), (39, 93)], WOOD)
    pen.line([(50, 63), (50, 92)], darker(WOOD, 0.3), 1.5)
    pen.shape(
        [*curves.arc(50, 43, 4, 5, 180, 360), (54, 52), (46, 52)],
        _glow(pen) if pen.light.dark else darker(hue, 0.5),
    )


def _battlement(left: float, top: float, right: float, bottom: float, teeth: int) -> curves.Points:
    step = (right - left) / (2 * teeth - 1)
    points: curves.Points = [(left, bottom)]
    for i in range(2 * teeth - 1):
        level = top if i % 2 == 0 else top + 6
        points += [(left + i * step, level), (left + (i + 1) * step, level)]
    return [*points, (right, bottom)]


def lighthouse(pen: Pen, hue: Colour) -> None:
    """A lighthouse with coloured bands, on a rock."""
    tower = path("40,34 60,34 68,88 32,88")
    pen.shape(tower, (250, 248, 242))
    with pen.inside(tower, (250, 248, 242)):
        for top in (36, 58, 80):
            pen.shape([(20, top), (80, top), (80, top + 11), (20, top + 11)], hue)
    (pen.bright() if pen.light.dark else pen).box(42, 18, 58, 32, (255, 236, 140), 1)
    pen.line([(50, 18), (50, 32)], darker(STEEL, 0.5), 1.6)
    pen.box(36, 31, 64, 36, darker(hue, 0.35), 1)
    pen.shape([(50, 5), (62, 18), (38, 18)], hue)
    pen.shape([*curves.arc(50, 62, 3.4, 4, 180, 360), (53.4, 70), (46.6, 70)], _glow(pen))
    pen.blob(path("12,93 20,84 36,86 52,82 68,86 82,83 89,93"), (146, 140, 150))


def tent(pen: Pen, hue: Colour) -> None:
    """A camping tent, its door open."""
    pen.line([(50, 22), (46, 12)], WOOD, 3)
    pen.line([(50, 22), (54, 12)], WOOD, 3)
    pen.shape([(50, 18), (96, 90), (4, 90)], hue)
    pen.shape([(50, 18), (67, 90), (33, 90)], (255, 226, 140) if pen.light.dark else darker(hue, 0.55))
    pen.blob(path("50,20 54,50 72,90 62,90 56,70"), lighter(hue, 0.4))
    pen.blob(path("50,20 46,50 28,90 38,90 44,70"), lighter(hue, 0.4))
    for x in (2, 98):
        pen.line([(x, 93), (x + (8 if x < 50 else -8), 84)], darker(STEEL, 0.4), 2)


def windmill(pen: Pen, hue: Colour) -> None:
    """A windmill with four sails."""
    pen.shape(path("38,40 62,40 72,93 28,93"), hue)
    pen.shape(
        [*curves.arc(50, 40, 15, 15, 180, 360), (65, 43), (35, 43)],
        (190, 92, 76) if hue[0] < 200 or hue[1] > 200 else (112, 84, 96),
    )
    pen.shape([*curves.arc(50, 80, 6, 6, 180, 360), (56, 93), (44, 93)], WOOD)
    _window(pen, 45, 56, 55, 66)
    for turn in (20, 110, 200, 290):
        pen.shape(curves.turned(path("51,28 51,-6 62,-6 62,22"), 50, 34, turn), CREAM)
        pen.line(curves.turned([(50, 34), (50, -7)], 50, 34, turn), WOOD, 2.4)
        for level in (4, 13):
            pen.line(curves.turned([(51, level), (62, level)], 50, 34, turn), (206, 180, 150), 1.2)
    pen.dot(50, 34, 3.4, WOOD)
