"""Things people use. Each drawing takes a pen and a colour, and fills a sheet of 100 by 100."""

from __future__ import annotations

import math

from mmr.demo import curves
from mmr.demo.curves import path
from mmr.demo.palette import CREAM, GOLD, INK, RED, STEEL, WHITE, WOOD, Colour, accent, darker, lighter
from mmr.demo.pen import Pen


def cup(pen: Pen, hue: Colour) -> None:
    """A steaming cup on a saucer."""
    for x in (36, 50):
        pen.line([(x, 30), (x + 4, 23), (x - 2, 15), (x + 3, 7)], (190, 186, 192), 2.6, bend=True)
    pen.shape(curves.oval(46, 88, 42, 6), lighter(hue, 0.5))
    handle = curves.arc(72, 56, 17, 15, -80, 100)
    pen.line(handle, hue, 6)
    pen.blob(path("16,40 46,38 76,40 75,62 66,82 46,87 26,82 17,62"), hue)
    pen.oval(46, 41, 30, 6, (112, 72, 52))
    pen.shine(27, 60, 3.5, 11, 6)


def book(pen: Pen, hue: Colour) -> None:
    """A closed book, standing, with a ribbon."""
    pen.shape(path("24,80 84,80 84,92 24,92"), CREAM)
    for y in (84, 88):
        pen.line([(26, y), (83, y)], (210, 196, 170), 1)
    pen.box(18, 8, 84, 82, hue, 4)
    pen.box(18, 8, 29, 94, darker(hue, 0.28), 4)
    pen.line([(22, 92), (85, 93)], darker(hue, 0.28), 3.4)
    pen.box(40, 22, 74, 42, lighter(hue, 0.72), 3)
    for y in (29, 35):
        pen.line([(46, y), (68, y)], darker(hue, 0.3), 1.8)
    pen.shape(path("62,80 72,80 72,98 67,94 62,98"), accent(hue))


def umbrella(pen: Pen, hue: Colour) -> None:
    """An open umbrella."""
    pen.line(path("50,14 50,82 54,92 63,91 66,83"), WOOD, 4)
    pen.line([(50, 12), (50, 5)], INK, 3)
    rim = path("95,54 87,47 80,54 65,47 50,54 35,47 20,54 12,47 5,54")
    dome = [*curves.arc(50, 54, 45, 43, 180, 360, 40), *curves.smooth(rim, closed=False, steps=6)]
    pen.shape(dome, hue)
    with pen.inside(dome, hue):
        pen.blob(path("50,10 63,26 66,48 50,56 34,48 37,26"), lighter(hue, 0.42), "tint")
        for x in (20, 35, 65, 80):
            pen.line([(50, 11), (50 + (x - 50) * 0.78, 30), (x, 54)], darker(hue, 0.22), 1.6, bend=True)


def balloon(pen: Pen, hue: Colour) -> None:
    """A balloon on a string."""
    pen.line(path("50,70 54,78 47,86 51,97"), (150, 140, 150), 2, bend=True)
    pen.shape([(50, 64), (56, 73), (44, 73)], darker(hue, 0.15))
    pen.blob(path("50,4 70,10 80,30 74,52 60,65 50,68 40,65 26,52 20,30 30,10"), hue)
    pen.shine(36, 24, 5.5, 11, 24)


def guitar(pen: Pen, hue: Colour) -> None:
    """An acoustic guitar, leaning."""

    def lean(points: curves.Points) -> curves.Points:
        return curves.turned(points, 50, 50, 32)

    pen.shape(lean(curves.box(45.5, 0, 54.5, 60, 1)), darker(WOOD, 0.25))
    pen.shape(lean(path("43,-12 57,-12 55.5,4 44.5,4")), darker(WOOD, 0.45))
    for y in (-8, -3):
        for x in (42, 58):
            pen.shape(lean(curves.oval(x, y, 2, 1.6, steps=16)), GOLD, "mark")
    body = path("50,44 64,44 69,55 65,65 74,76 74,92 62,101 50,102 38,101 26,92 26,76 35,65 31,55 36,44")
    pen.shape(lean(curves.smooth(body)), hue)
    pen.shape(lean(curves.oval(50, 66, 9, 9)), darker(WOOD, 0.6), "mark")
    pen.shape(lean(curves.box(41, 86, 59, 90, 1)), darker(WOOD, 0.4))
    for string in (47.2, 49.1, 50.9, 52.8):
        pen.line(lean([(string, 2), (string, 87)]), CREAM, 0.7)


def clock(pen: Pen, hue: Colour) -> None:
    """An alarm clock that shows ten past ten."""
    for side in (-1, 1):
        pen.line([(50 + side * 24, 80), (50 + side * 34, 93)], darker(hue, 0.3), 6)
        pen.shape(
            curves.turned([*curves.arc(50, 12, 15, 11, 180, 360), (65, 15), (35, 15)], 50, 54, side * 38),
            darker(hue, 0.12),
        )
    pen.line([(50, 16), (50, 8)], darker(hue, 0.4), 5)
    pen.oval(50, 54, 39, 39, hue)
    pen.oval(50, 54, 30, 30, CREAM)
    for turn in range(0, 360, 30):
        dx, dy = math.sin(math.radians(turn)), -math.cos(math.radians(turn))
        pen.dot(50 + 25 * dx, 54 + 25 * dy, 2 if turn % 90 == 0 else 1.1, INK)
    pen.line([(36, 45), (50, 54), (64, 42)], INK, 3.2)
    pen.dot(50, 54, 3, RED)


def key(pen: Pen, hue: Colour) -> None:
    """A key with a round bow, lying aslant."""

    def lean(points: curves.Points) -> curves.Points:
        return curves.turned(points, 50, 50, -45)

    pen.shape(lean(path("42,44 98,44 98,66 91,66 91,56 85,56 85,63 78,63 78,56 42,56")), hue)
    pen.shape(lean(curves.oval(26, 50, 25, 25)), hue)
    pen.shape(lean(curves.oval(22, 50, 10, 10)), darker(hue, 0.55), shade=0)


def ball(pen: Pen, hue: Colour) -> None:
    """A beach ball with white panels."""
    disc = curves.oval(50, 50, 43, 43)
    pen.shape(disc, hue)
    with pen.inside(disc, hue):
        for start in (-70, 50, 170):
            fan = [(a, b) for a, b in curves.arc(44, 40, 70, 70, start, start + 60)]
            pen.shape([(44, 40), *fan], (252, 250, 244), "body", 0)
    pen.oval(44, 40, 7, 6, lighter(hue, 0.5))


def heart(pen: Pen, hue: Colour) -> None:
    """A heart."""
    turns = [math.radians(turn) for turn in range(0, 360, 6)]
    across = [50 + 43 * math.sin(t) ** 3 for t in turns]
    down = [
        46 - 2.7 * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
        for t in turns
    ]
    pen.shape(list(zip(across, down, strict=True)), hue)
    pen.shine(24, 29, 6, 9, 32)


def gift(pen: Pen, hue: Colour) -> None:
    """A wrapped present with a bow."""
    ribbon = GOLD if accent(hue) != RED else (240, 96, 100)
    pen.box(14, 46, 86, 93, hue, 3)
    pen.box(9, 34, 91, 50, lighter(hue, 0.12), 3)
    pen.box(43, 34, 57, 93, ribbon)
    for s in (-1, 1):
        pen.blob(
            [(50, 33), (50 + s * 12, 14), (50 + s * 28, 10), (50 + s * 30, 24), (50 + s * 14, 33)], ribbon
        )
    pen.oval(50, 30, 6.5, 6, darker(ribbon, 0.12))


def lamp(pen: Pen, hue: Colour) -> None:
    """A table lamp."""
    pen.box(46.5, 48, 53.5, 86, (196, 168, 120))
    pen.shape([*curves.arc(50, 91, 24, 9, 180, 360), (74, 93), (26, 93)], (176, 146, 100))
    pen.shape(path("35,10 65,10 86,54 14,54"), hue)
    pen.box(14, 50, 86, 55, lighter(hue, 0.4), 2)
    pen.line([(64, 56), (64, 68)], darker(STEEL, 0.4), 1.6)
    pen.dot(64, 70, 2.6, GOLD)


def chair(pen: Pen, hue: Colour) -> None:
    """A wooden chair with a cushion."""
    wood = darker(hue, 0.22)
    for x in (26, 66):
        pen.box(x, 8, x + 7, 92, wood, 2)
    for y in (14, 30):
        pen.box(28, y, 71, y + 9, hue, 2)
    for x in (16, 76):
        pen.box(x, 62, x + 7, 94, hue, 2)
    pen.blob(path("14,58 26,52 72,52 84,58 84,66 50,68 14,66"), lighter(hue, 0.3))


def hat(pen: Pen, hue: Colour) -> None:
    """A hat with a broad brim and a band."""
    crown = curves.smooth(path("24,66 27,40 38,24 50,27 62,24 73,40 76,66 50,72"))
    pen.shape(curves.oval(50, 68, 47, 13), hue)
    pen.shape(crown, lighter(hue, 0.1))
    with pen.inside(crown, hue):
        pen.blob(path("18,54 50,61 82,54 82,66 50,73 18,66"), darker(hue, 0.5))


def bell(pen: Pen, hue: Colour) -> None:
    """A bell."""
    pen.oval(50, 85, 9, 8, darker(hue, 0.35))
    pen.oval(50, 12, 7, 7, darker(hue, 0.2))
    pen.blob(path("50,14 66,20 74,40 78,62 90,80 70,84 50,85 30,84 10,80 22,62 26,40 34,20"), hue)
    pen.line([(17, 72), (50, 77), (83, 72)], darker(hue, 0.3), 2.6, bend=True)
    pen.shine(37, 40, 4, 12, 12)


def camera(pen: Pen, hue: Colour) -> None:
    """A camera."""
    pen.box(34, 20, 66, 40, darker(hue, 0.2), 4)
    pen.box(14, 26, 26, 36, darker(hue, 0.35), 2)
    pen.box(5, 32, 95, 84, hue, 8)
    pen.box(5, 46, 95, 72, darker(hue, 0.4), 0, "tint")
    pen.oval(50, 58, 22, 22, STEEL)
    pen.oval(50, 58, 16, 16, INK)
    pen.oval(50, 58, 8, 8, (92, 120, 176))
    pen.shine(44, 52, 4, 3, -35, 0.7)
    pen.box(75, 37, 88, 43, (255, 244, 200), 1.5)


def pencil(pen: Pen, hue: Colour) -> None:
    """A pencil, pointing down to the left."""

    def lean(points: curves.Points) -> curves.Points:
        return curves.turned(points, 50, 50, 45)

    pen.shape(lean(curves.box(40, -12, 60, 2, 4)), (244, 144, 150))
    pen.shape(lean(curves.box(40, 0, 60, 8)), STEEL)
    pen.shape(lean(curves.box(40, 8, 60, 86)), hue)
    pen.shape(lean(path("46.5,8 53.5,8 53.5,86 46.5,86")), lighter(hue, 0.3), "tint")
    pen.shape(lean([(40, 86), (60, 86), (50, 110)]), (246, 218, 174))
    pen.shape(lean([(46, 100), (54, 100), (50, 110)]), INK, "mark")


def kite(pen: Pen, hue: Colour) -> None:
    """A kite with a tail of bows."""
    pen.line(path("38,66 30,78 40,86 30,97"), (150, 140, 150), 2, bend=True)
    diamond = path("64,4 90,34 36,68 28,24")
    pen.shape(diamond, hue)
    pen.shape([(64, 4), (90, 34), (55, 31)], lighter(hue, 0.45), "tint")
    pen.shape([(36, 68), (28, 24), (55, 31)], lighter(hue, 0.45), "tint")
    pen.line([(64, 4), (36, 68)], WHITE if pen.style == "filled" else hue, 1.6)
    pen.line([(28, 24), (90, 34)], WHITE if pen.style == "filled" else hue, 1.6)
    for x, y in ((32, 77), (37, 87)):
        pen.shape([(x - 7, y - 4), (x, y), (x - 7, y + 4)], accent(hue))
        pen.shape([(x + 7, y - 4), (x, y), (x + 7, y + 4)], accent(hue))


def anchor(pen: Pen, hue: Colour) -> None:
    """An anchor."""
    ring = curves.oval(50, 14, 8, 8)
    pen.line([*ring, ring[0]], hue, 5)
    pen.line([(50, 22), (50, 88)], hue, 8)
    pen.line([(34, 34), (66, 34)], hue, 7)
    pen.line(path("14,60 20,78 34,88 50,91 66,88 80,78 86,60"), hue, 8, bend=True)
    for x, s in ((14, 1), (86, -1)):
        pen.shape([(x - 10 * s, 68), (x + 1 * s, 48), (x + 16 * s, 66)], hue, shade=0)
