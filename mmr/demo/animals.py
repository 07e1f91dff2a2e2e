"""Animals. Each drawing takes a pen and the colour of the coat, and fills a sheet of 100 by 100."""

from __future__ import annotations

from mmr.demo import curves
from mmr.demo.curves import path
from mmr.demo.palette import BLUSH, CREAM, INK, Colour, accent, darker, lighter, lightness, mix
from mmr.demo.pen import Pen

BEAK: Colour = (246, 160, 58)


def _feature(pen: Pen, hue: Colour) -> Colour:
    """Return the colour of eyes and mouths: dark, but light on a coat that is painted black."""
    return INK if lightness(hue) > 90 or pen.style != "filled" else (250, 236, 190)


def _muzzle(hue: Colour) -> Colour:
    return lighter(hue, 0.72) if lightness(hue) < 225 else (236, 232, 228)


def cat(pen: Pen, hue: Colour) -> None:
    """A sitting cat, seen from the front, its tail to the right."""
    dark = _feature(pen, hue)
    pen.line(path("70,86 88,84 92,66 84,54"), darker(hue, 0.12), 8, bend=True)
    pen.blob(path("50,50 66,58 74,78 72,92 50,94 28,92 26,78 34,58"), hue)
    pen.blob(path("50,66 58,74 58,92 50,94 42,92 42,74"), _muzzle(hue), "tint")
    for x in (40, 60):
        pen.oval(x, 91, 8, 4.5, lighter(hue, 0.12))
    for tip, inner, outer in ((24, 44, 22), (76, 56, 78)):
        pen.shape([(outer, 38), (tip, 6), (inner, 20)], hue, shade=0)
        pen.shape(
            [
                (outer + (tip - outer) * 0.4, 29),
                (tip + (inner - tip) * 0.12, 13),
                (inner - (inner - tip) * 0.25, 21),
            ],
            BLUSH,
            "tint",
        )
    pen.oval(50, 38, 29, 24, hue)
    pen.oval(50, 47, 11, 8, _muzzle(hue), "tint")
    for x in (38, 62):
        pen.eye(x, 36, 4.4, dark)
    pen.shape([(46, 43), (54, 43), (50, 47.5)], BLUSH if lightness(hue) < 225 else (236, 120, 120), "mark")
    pen.line(path("43,51 47,52 50,48 53,52 57,51"), dark, 1.6, bend=True)
    for side in (-1, 1):
        pen.line([(50 + side * 17, 46), (50 + side * 33, 42)], dark, 1)
        pen.line([(50 + side * 17, 49), (50 + side * 33, 51)], dark, 1)


def dog(pen: Pen, hue: Colour) -> None:
    """A sitting dog with hanging ears and its tongue out."""
    ear = darker(hue, 0.3) if lightness(hue) > 90 else lighter(hue, 0.2)
    dark = _feature(pen, hue)
    pen.line([(72, 84), (86, 76), (90, 60)], hue, 7, bend=True)
    pen.blob(path("50,52 68,60 76,80 73,93 50,94 27,93 24,80 32,60"), hue)
    pen.oval(50, 76, 12, 15, _muzzle(hue), "tint")
    for x in (38, 62):
        pen.oval(x, 91.5, 9, 4.5, lighter(hue, 0.12))
    pen.blob(path("50,10 68,15 76,34 70,54 50,62 30,54 24,34 32,15"), hue)
    pen.blob(path("32,15 20,16 12,32 14,50 22,54 28,40 34,24"), ear)
    pen.blob(path("68,15 80,16 88,32 86,50 78,54 72,40 66,24"), ear)
    pen.shape(curves.oval(50, 48, 15, 12), _muzzle(hue), shade=0.05)
    for x in (39, 61):
        pen.eye(x, 33, 4.2, dark)
    pen.blob(path("46,56 54,56 55,65 50,68 45,65"), (242, 120, 130))
    pen.blob(path("43,41 50,39 57,41 54,47 50,49 46,47"), INK, "mark")
    pen.line(path("40,54 45,57 50,54 55,57 60,54"), INK, 1.8, bend=True)
    pen.line(
        [(30, 66), (50, 72), (70, 66)],
        accent(hue),
        4.5,
        bend=True,
    )


def rabbit(pen: Pen, hue: Colour) -> None:
    """A sitting rabbit with long ears."""
    dark = _feature(pen, hue)
    pen.oval(76, 82, 9, 9, lighter(hue, 0.6))
    for x, turn in ((37, -10), (63, 10)):
        pen.oval(x, 24, 9, 23, hue, turn=turn)
        pen.oval(x, 25, 4.5, 16, BLUSH, "tint", turn)
    pen.blob(path("50,58 68,66 76,84 66,93 50,94 34,93 24,84 32,66"), hue)
    pen.oval(50, 80, 12, 12, _muzzle(hue), "tint")
    pen.oval(50, 50, 25, 20, hue)
    for x in (38, 62):
        pen.oval(x, 92, 9, 4.5, lighter(hue, 0.2))
        pen.shape(curves.oval(x - 3 if x < 50 else x + 3, 57, 4.5, 3), BLUSH, "tint")
        pen.eye(x + 1 if x < 50 else x - 1, 47, 4, dark)
    pen.shape([(46.5, 54), (53.5, 54), (50, 58)], (236, 120, 130), "mark")
    pen.line(path("44,61 48,62 50,58 52,62 56,61"), dark, 1.6, bend=True)


def bear(pen: Pen, hue: Colour) -> None:
    """A sitting teddy bear."""
    dark = _feature(pen, hue)
    for x in (27, 73):
        pen.oval(x, 17, 11, 11, hue)
        pen.oval(x, 17, 6, 6, _muzzle(hue), "tint")
    for side in (-1, 1):
        pen.oval(50 + side * 27, 66, 9, 15, hue, turn=-side * 28)
    pen.oval(50, 73, 25, 21, hue)
    pen.oval(50, 75, 15, 14, _muzzle(hue), "tint")
    for x in (30, 70):
        pen.oval(x, 87, 12, 8, hue)
        pen.oval(x, 88, 6, 4, _muzzle(hue), "tint")
    pen.oval(50, 34, 30, 25, hue)
    pen.oval(50, 43, 13, 10, _muzzle(hue))
    for x in (37, 63):
        pen.eye(x, 31, 3.8, dark)
    pen.shape(curves.oval(50, 39, 5, 3.6), INK, "mark")
    pen.line([(44, 46), (50, 49), (56, 46)], INK, 1.8, bend=True)


def fish(pen: Pen, hue: Colour) -> None:
    """A fish swimming to the left."""
    pen.blob(path("70,50 84,34 96,26 92,50 96,74 84,66"), darker(hue, 0.14))
    pen.blob(path("34,30 46,14 66,16 64,32"), darker(hue, 0.14))
    pen.blob(path("42,70 48,84 60,82 58,68"), darker(hue, 0.14))
    body = curves.smooth(path("6,50 18,34 40,25 62,32 80,50 62,68 40,75 18,66"))
    pen.shape(body, hue)
    with pen.inside(body, hue):
        for x in (46, 61):
            pen.blob(
                [(x, 20), (x + 8, 20), (x + 11, 50), (x + 8, 80), (x, 80), (x + 3, 50)],
                lighter(hue, 0.55),
                "tint",
            )
    pen.line([(33, 34), (38, 50), (33, 66)], darker(hue, 0.3), 2, bend=True)
    pen.eye(22, 45, 4.6, INK)
    pen.line([(8, 55), (14, 58), (20, 56)], darker(hue, 0.5), 1.8, bend=True)
    pen.blob([(46, 48), (60, 50), (48, 60)], darker(hue, 0.14))


def bird(pen: Pen, hue: Colour) -> None:
    """A small bird standing, looking to the left."""
    for x in (46, 56):
        pen.line([(x, 78), (x, 91), (x - 6, 93)], darker(BEAK), 2.4)
    pen.blob(path("70,56 84,50 97,36 96,50 84,66 72,72"), darker(hue, 0.22))
    pen.blob(path("16,34 26,18 44,16 56,30 70,42 82,58 72,76 50,84 30,76 20,56"), hue)
    pen.blob(path("22,56 34,50 46,60 50,82 32,76"), lighter(hue, 0.62), "tint")
    pen.blob(path("46,44 62,44 78,58 74,68 58,68 47,58"), darker(hue, 0.16))
    pen.shape([(18, 30), (3, 38), (18, 43)], BEAK)
    pen.eye(31, 31, 4.2, _feature(pen, hue))


def owl(pen: Pen, hue: Colour) -> None:
    """An owl with large eyes."""
    body = curves.smooth(path("18,12 34,18 50,16 66,18 82,12 83,40 84,66 72,88 50,93 28,88 16,66 17,40"))
    for x in (40, 60):
        pen.line([(x - 4, 91), (x - 4, 95)], BEAK, 3)
        pen.line([(x + 3, 91), (x + 3, 95)], BEAK, 3)
    pen.shape(body, hue)
    pen.oval(50, 70, 20, 20, _muzzle(hue))
    for x, y in ((40, 64), (50, 64), (60, 64), (45, 73), (55, 73), (50, 82)):
        pen.line([(x - 3, y), (x, y + 3), (x + 3, y)], darker(hue, 0.1), 1.8, bend=True)
    for sign in (-1, 1):
        pen.blob(
            [(50 + sign * 32, 48), (50 + sign * 37, 66), (50 + sign * 26, 86), (50 + sign * 23, 64)],
            darker(hue, 0.22),
        )
        pen.oval(50 + sign * 15, 38, 16, 16, CREAM)
        pen.eye(50 + sign * 13, 38, 8, INK)
    pen.shape([(44, 46), (56, 46), (50, 57)], BEAK)


def duck(pen: Pen, hue: Colour) -> None:
    """A duck swimming to the left."""
    neck = path("14,60 20,46 16,32 22,18 36,14 50,22 52,38 48,54")
    rump = path("62,60 80,54 95,42 95,60 86,82 64,92 36,92 14,84 8,72")
    pen.blob([*neck, *rump], hue)
    pen.blob(path("14,36 4,38 2,44 10,47 20,45"), BEAK)
    pen.blob(path("44,68 60,64 80,66 74,80 56,84 46,78"), darker(hue, 0.15))
    pen.eye(27, 32, 4, _feature(pen, hue))
    pen.shape(curves.oval(36, 42, 4, 3), BLUSH, "tint")


def butterfly(pen: Pen, hue: Colour) -> None:
    """A butterfly with spread wings."""
    for s in (-1, 1):
        pen.blob(
            [
                (50 + s * 3, 46),
                (50 + s * 16, 16),
                (50 + s * 38, 8),
                (50 + s * 46, 24),
                (50 + s * 38, 46),
                (50 + s * 18, 54),
            ],
            hue,
        )
        pen.blob(
            [
                (50 + s * 3, 52),
                (50 + s * 22, 54),
                (50 + s * 38, 64),
                (50 + s * 34, 84),
                (50 + s * 20, 88),
                (50 + s * 8, 72),
            ],
            mix(hue, CREAM, 0.25),
        )
        pen.oval(50 + s * 32, 26, 7.5, 8.5, lighter(hue, 0.75))
        pen.oval(50 + s * 22, 72, 6, 7, darker(hue, 0.3))
        pen.line([(50, 28), (50 + s * 5, 14), (50 + s * 13, 6)], INK, 1.8, bend=True)
        pen.dot(50 + s * 13, 6, 2.4, INK)
    pen.shape(curves.oval(50, 52, 4.4, 27), INK, "mark")


def turtle(pen: Pen, hue: Colour) -> None:
    """A turtle walking to the left."""
    skin = (168, 200, 108) if hue != (98, 176, 92) else (206, 206, 120)
    pen.blob([(84, 74), (96, 80), (84, 84)], skin)
    for x in (34, 72):
        pen.box(x - 8, 72, x + 8, 92, skin, 6)
    pen.blob(path("30,62 24,46 12,42 3,52 8,66 22,74 34,78"), skin)
    shell = curves.smooth(path("22,76 28,52 44,34 64,32 82,48 90,76 56,82"))
    pen.shape(shell, hue)
    with pen.inside(shell, hue):
        pen.shape(path("46,46 64,44 72,58 58,68 42,60"), darker(hue, 0.2))
        for start, stop in (
            ((46, 46), (38, 34)),
            ((64, 44), (70, 30)),
            ((72, 58), (88, 56)),
            ((58, 68), (60, 84)),
            ((42, 60), (24, 66)),
        ):
            pen.line([start, stop], darker(hue, 0.3), 2)
    pen.eye(12, 52, 3.2, INK)
    pen.line([(5, 60), (10, 62), (15, 60)], INK, 1.6, bend=True)


def penguin(pen: Pen, hue: Colour) -> None:
    """A penguin with a white belly."""
    for x in (38, 62):
        pen.oval(x, 91, 11, 4.5, BEAK)
    for s in (-1, 1):
        pen.blob(
            [(50 + s * 26, 44), (50 + s * 40, 58), (50 + s * 42, 74), (50 + s * 28, 68)], darker(hue, 0.2)
        )
    pen.blob(path("50,8 70,16 76,40 78,66 70,86 50,91 30,86 22,66 24,40 30,16"), hue)
    pen.blob(
        path("50,30 60,22 68,32 66,50 70,68 62,84 50,87 38,84 30,68 34,50 32,32 40,22"),
        (250, 248, 244),
        shade=0.05,
    )
    for x in (41, 59):
        pen.eye(x, 33, 3.8, INK)
    pen.shape([(43, 40), (57, 40), (50, 49)], BEAK)
    for x in (36, 64):
        pen.shape(curves.oval(x, 42, 4, 2.8), BLUSH, "tint")
