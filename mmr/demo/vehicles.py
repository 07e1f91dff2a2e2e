"""Vehicles. Each drawing takes a pen and the colour of the coachwork, and fills a sheet of 100 by 100."""

from __future__ import annotations

import math

from mmr.demo import curves
from mmr.demo.curves import path
from mmr.demo.palette import CREAM, GLASS, GOLD, INK, STEEL, WOOD, Colour, accent, darker, lighter, mix
from mmr.demo.pen import Pen


def _wheel(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.oval(x, y, radius, radius, INK)
    pen.oval(x, y, radius * 0.5, radius * 0.5, STEEL)


def _pane(pen: Pen) -> Colour:
    return (255, 236, 150) if pen.light.dark else GLASS


def car(pen: Pen, hue: Colour) -> None:
    """A small car, driving to the left."""
    pen.blob(path("22,52 30,36 40,29 60,29 72,36 82,53 60,58 36,58"), hue)
    pen.blob(path("29,51 34,40 41,35 49,35 49,52 38,52"), _pane(pen))
    pen.blob(path("54,35 62,35 69,40 75,51 66,52 54,52"), _pane(pen))
    pen.blob(path("4,66 8,55 22,51 50,50 80,50 94,56 97,68 95,78 80,80 50,80 18,80 5,78"), hue)
    pen.line([(51, 56), (51, 76)], darker(hue, 0.3), 1.4)
    pen.line([(56, 60), (61, 60)], darker(hue, 0.4), 2)
    pen.oval(9, 62, 4, 4.5, (255, 240, 170))
    pen.oval(94, 63, 2.6, 4, accent(hue))
    for x in (26, 76):
        _wheel(pen, x, 79, 12)


def bus(pen: Pen, hue: Colour) -> None:
    """A long bus with a row of windows."""
    pen.box(4, 24, 96, 82, hue, 9)
    pen.box(4, 60, 96, 66, lighter(hue, 0.6), 0, "tint")
    for x in (10, 28, 46):
        pen.box(x, 33, x + 15, 54, _pane(pen), 3)
    pen.box(64, 33, 77, 79, lighter(hue, 0.5), 2)
    pen.line([(70.5, 34), (70.5, 78)], darker(hue, 0.3), 1.5)
    pen.box(81, 33, 93, 56, _pane(pen), 3)
    pen.oval(93, 73, 2.8, 3.4, (255, 240, 170))
    for x in (24, 52):
        _wheel(pen, x, 82, 10.5)
    _wheel(pen, 84, 82, 9.5)


def bicycle(pen: Pen, hue: Colour) -> None:
    """A bicycle, seen from the side."""
    for x in (23, 77):
        ring = curves.oval(x, 68, 19.5, 19.5)
        for turn in range(0, 180, 36):
            dx, dy = 19 * math.cos(math.radians(turn)), 19 * math.sin(math.radians(turn))
            pen.line([(x - dx, 68 - dy), (x + dx, 68 + dy)], (176, 184, 196), 0.9)
        pen.line([*ring, ring[0]], INK, 3.6)
    for points in (
        ((23, 68), (38, 38), (66, 36), (77, 68)),
        ((38, 38), (50, 70), (66, 42)),
        ((23, 68), (50, 70)),
        ((66, 36), (63, 27)),
    ):
        pen.line(points, hue, 4)
    pen.line([(38, 38), (35, 29)], hue, 4)
    pen.blob(path("25,27 34,25 45,27 40,31 30,31"), WOOD)
    pen.line([(52, 26), (64, 25), (70, 30)], INK, 3.4, bend=True)
    pen.oval(50, 70, 5.5, 5.5, STEEL)
    pen.line([(45, 63), (55, 77)], INK, 2.4)


def boat(pen: Pen, hue: Colour) -> None:
    """A sailing boat."""
    pen.line([(50, 6), (50, 76)], WOOD, 3)
    pen.blob(path("53,10 66,28 78,48 84,62 66,65 53,65 52,36"), CREAM)
    pen.blob(path("46,16 36,34 24,50 16,61 32,64 46,64"), lighter(hue, 0.35))
    hull = curves.smooth(path("6,72 30,75 50,75 72,75 95,70 88,82 78,92 50,94 24,92 14,84"))
    pen.shape(hull, hue)
    with pen.inside(hull, hue):
        pen.box(0, 76, 100, 80, lighter(hue, 0.75), 0, "tint")
    pen.shape([(51, 4), (62, 8), (51, 12)], accent(hue))


def train(pen: Pen, hue: Colour) -> None:
    """A steam engine, going to the left."""
    pen.line([(2, 93), (98, 93)], (140, 130, 140), 2.4)
    if pen.style != "outline":
        for x, y, r in ((30, 10, 6), (41, 6, 8), (55, 7, 7)):
            pen.oval(x, y, r, r, (240, 240, 244))
    pen.box(58, 28, 92, 74, hue, 3)
    pen.box(53, 21, 97, 30, darker(hue, 0.35), 3)
    pen.box(65, 36, 85, 54, _pane(pen), 2)
    pen.box(12, 44, 60, 74, mix(hue, INK, 0.18), 8)
    for x in (26, 42):
        pen.line([(x, 45), (x, 73)], GOLD, 2)
    pen.shape(path("19,20 37,20 33,45 23,45"), darker(hue, 0.45))
    pen.shape(curves.arc(49, 44, 7, 8, 180, 360), GOLD)
    pen.box(8, 73, 94, 80, darker(hue, 0.45), 2)
    pen.shape([(8, 76), (8, 92), (1, 92)], accent(hue))
    for x, r in ((20, 8), (39, 8), (76, 12)):
        _wheel(pen, x, 92 - r, r)


def plane(pen: Pen, hue: Colour) -> None:
    """An aeroplane, flying up to the left."""

    def lean(points: curves.Points) -> curves.Points:
        return curves.turned(points, 50, 50, 14)

    pen.shape(lean(path("84,44 94,20 99,20 96,48")), hue)
    pen.shape(lean(path("46,46 62,22 70,22 64,46")), darker(hue, 0.2))
    pen.shape(
        lean(curves.smooth(path("3,54 12,44 30,41 70,42 97,46 94,54 70,62 30,65 12,62"))), (248, 248, 250)
    )
    pen.shape(lean(curves.smooth(path("9,49 14,45 22,44 22,51 12,52"))), GLASS)
    for x in range(32, 80, 8):
        pen.shape(lean(curves.oval(x, 49, 2.3, 2.8)), darker(GLASS, 0.45), "mark")
    pen.shape(lean(path("40,56 62,56 86,86 76,86")), hue)
    pen.shape(lean(path("84,50 96,50 100,62 94,62")), darker(hue, 0.2))


def rocket(pen: Pen, hue: Colour) -> None:
    """A rocket with its engine burning."""
    pen.blob(path("40,78 60,78 58,90 50,100 42,90"), (252, 176, 64))
    pen.blob(path("45,78 55,78 53,87 50,92 47,87"), (255, 232, 130), "tint")
    for s in (-1, 1):
        pen.blob([(50 + s * 16, 52), (50 + s * 32, 68), (50 + s * 32, 86), (50 + s * 14, 74)], hue)
    body = curves.smooth(path("50,2 62,14 69,34 68,58 60,79 40,79 32,58 31,34 38,14"))
    pen.shape(body, (247, 247, 250))
    with pen.inside(body, (247, 247, 250)):
        pen.shape(path("20,-4 80,-4 80,22 20,22"), hue)
        pen.shape(path("20,70 80,70 80,76 20,76"), hue, "tint")
    pen.oval(50, 40, 11, 11, darker(STEEL, 0.25))
    pen.oval(50, 40, 7.5, 7.5, GLASS)


def lorry(pen: Pen, hue: Colour) -> None:
    """A lorry with a box behind the cab, driving to the right."""
    pen.box(4, 26, 62, 78, lighter(hue, 0.72), 4)
    pen.box(4, 44, 62, 56, hue, 0, "tint")
    pen.blob(path("64,40 70,38 82,39 89,48 94,58 97,66 96,79 80,80 65,79 63,60"), hue)
    pen.blob(path("71,45 80,45 88,58 80,60 71,59"), _pane(pen))
    pen.oval(94, 69, 2.6, 3.4, (255, 240, 170))
    pen.box(3, 76, 64, 82, darker(STEEL, 0.5), 2)
    for x in (20, 40, 80):
        _wheel(pen, x, 82, 10)
