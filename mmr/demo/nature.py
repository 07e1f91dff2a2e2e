"""Plants, sky and weather. Each drawing takes a pen and a colour, and fills a sheet of 100 by 100."""

from __future__ import annotations

from mmr.demo import curves
from mmr.demo.curves import path
from mmr.demo.palette import BLUSH, CREAM, GOLD, INK, LEAF, RED, WOOD, Colour, darker, lighter
from mmr.demo.pen import Pen


def tree(pen: Pen, hue: Colour) -> None:
    """A tree with a round crown."""
    pen.blob(path("45,56 55,56 56,78 63,93 50,92 37,93 44,78"), WOOD)
    pen.line([(51, 70), (64, 58)], WOOD, 3.6)
    crown = path("50,4 64,9 72,19 86,27 89,44 82,58 66,66 50,63 34,67 18,59 11,45 14,28 28,19 36,8")
    pen.blob(crown, hue)
    for x, y in ((34, 30), (56, 24), (46, 46), (68, 42), (28, 50), (60, 56)):
        pen.line([(x - 6, y), (x, y + 4), (x + 6, y)], darker(hue, 0.24), 2.2, bend=True)


def fir(pen: Pen, hue: Colour) -> None:
    """A fir tree of three tiers."""
    pen.box(44, 76, 56, 93, WOOD)
    for top, reach, low in ((46, 40, 82), (26, 33, 60), (5, 25, 38)):
        pen.blob(
            [
                (50, top),
                (50 + reach * 0.5, (top + low) / 2),
                (50 + reach, low - 2),
                (50 + reach * 0.5, low + 1),
                (50, low - 3),
                (50 - reach * 0.5, low + 1),
                (50 - reach, low - 2),
                (50 - reach * 0.5, (top + low) / 2),
            ],
            hue,
        )


def flower(pen: Pen, hue: Colour) -> None:
    """A flower on a stalk with two leaves."""
    pen.line([(50, 40), (52, 66), (50, 93)], darker(LEAF, 0.1), 4, bend=True)
    pen.blob(path("50,84 60,70 78,64 72,78 60,86"), LEAF)
    pen.blob(path("50,90 42,76 24,72 30,84 40,91"), LEAF)
    for turn in range(0, 360, 60):
        pen.shape(curves.turned(curves.oval(50, 17, 11, 14), 50, 35, turn), hue)
    pen.oval(50, 35, 11, 11, GOLD if hue[1] < 180 else (196, 120, 60))


def tulip(pen: Pen, hue: Colour) -> None:
    """A tulip."""
    pen.line([(50, 48), (50, 93)], darker(LEAF, 0.1), 4)
    pen.blob(path("50,92 58,74 74,56 72,74 60,90"), LEAF)
    pen.blob(path("50,92 42,78 27,62 30,80 42,91"), LEAF)
    pen.blob(path("34,26 30,8 42,16 48,30 46,50 34,44"), hue)
    pen.blob(path("66,26 70,8 58,16 52,30 54,50 66,44"), hue)
    pen.blob(path("50,6 60,20 64,36 58,50 50,53 42,50 36,36 40,20"), lighter(hue, 0.18))


def cactus(pen: Pen, hue: Colour) -> None:
    """A cactus in a pot, with a flower on its head."""
    for x, top, side in ((24, 36, -1), (76, 28, 1)):
        pen.line([(50 + side * 8, 58), (50 + side * 20, 58), (x, 52), (x, top)], hue, 12, bend=True)
    pen.box(37, 12, 63, 80, hue, 13)
    for x, y in ((44, 26), (55, 34), (45, 44), (56, 52), (46, 62), (24, 44), (76, 38)):
        pen.line([(x - 2, y - 2), (x + 2, y + 2)], lighter(hue, 0.6), 1.5)
        pen.line([(x + 2, y - 2), (x - 2, y + 2)], lighter(hue, 0.6), 1.5)
    for turn in range(0, 360, 72):
        pen.shape(curves.turned(curves.oval(50, 4, 4, 5), 50, 10, turn), (246, 130, 164))
    pen.shape(path("28,76 72,76 66,94 34,94"), (206, 116, 80))
    pen.box(25, 70, 75, 78, (220, 130, 92), 2)


def mushroom(pen: Pen, hue: Colour) -> None:
    """A toadstool with white spots."""
    pen.blob(path("40,50 60,50 62,72 68,88 58,94 42,94 32,88 38,72"), CREAM)
    cap = curves.smooth(path("6,54 10,34 26,16 50,9 74,16 90,34 94,54 74,60 50,58 26,60"))
    pen.shape(cap, hue)
    with pen.inside(cap, hue):
        for x, y, r in ((32, 32, 7), (58, 22, 6), (70, 42, 8), (46, 48, 6), (16, 48, 5), (84, 43, 4)):
            pen.oval(x, y, r, r * 0.9, (255, 252, 244))


def sun(pen: Pen, hue: Colour) -> None:
    """The sun with twelve rays."""
    for turn in range(0, 360, 30):
        long = 4 if turn % 60 == 0 else 11
        pen.shape(
            curves.turned([(44, 23), (50, long), (56, 23)], 50, 50, turn),
            darker(hue, 0.05) if hue[0] < 240 else (250, 176, 62),
        )
    pen.oval(50, 50, 27, 27, hue)
    pen.shine(40, 38, 6, 4, -36, 0.45)


def moon(pen: Pen, hue: Colour) -> None:
    """A crescent moon with two little stars."""
    outer = curves.arc(48, 50, 42, 42, 52, 308, 44)
    inner = curves.arc(63, 50, 34, 34, 290, 70, 36)
    pen.shape([*outer, *inner], hue)
    for x, y, r in ((28, 44, 4), (20, 58, 3), (38, 72, 4.4)):
        pen.oval(x, y, r, r, darker(hue, 0.1), "tint")
    for x, y, size in ((70, 42, 9), (84, 60, 6)):
        pen.shape(curves.star(x, y, size, size * 0.42, 4), lighter(hue, 0.2))


def star(pen: Pen, hue: Colour) -> None:
    """A star with five tips."""
    pen.shape(curves.star(50, 54, 47, 22), hue)
    pen.shine(37, 42, 4, 8, 28, 0.45)


def cloud(pen: Pen, hue: Colour) -> None:
    """A cloud."""
    pen.blob(path("6,62 12,48 26,46 34,30 54,25 70,36 74,46 90,48 96,62 88,75 60,77 36,77 14,75"), hue)


def rain(pen: Pen, hue: Colour) -> None:
    """A cloud with falling drops."""
    pen.blob(path("8,46 14,33 28,31 36,16 56,12 70,22 74,32 88,33 94,46 86,57 60,59 36,59 16,57"), hue)
    for x, y in ((24, 68), (50, 68), (76, 68), (37, 82), (63, 82)):
        pen.blob([(x + 2, y - 4), (x + 4, y + 5), (x, y + 9), (x - 4, y + 5)], (84, 160, 230))


def rainbow(pen: Pen, hue: Colour) -> None:
    """A rainbow between two clouds."""
    bands = (RED, (245, 146, 55), (250, 203, 66), (98, 176, 92), (66, 139, 214), (146, 98, 190))
    for i, band in enumerate(bands):
        reach = 45 - i * 5
        pen.shape(
            [
                *curves.arc(50, 68, reach, reach, 180, 360, 40),
                *reversed(curves.arc(50, 68, reach - 5, reach - 5, 180, 360, 40)),
            ],
            band,
            shade=0,
        )
    for x in (17, 83):
        pen.blob(
            [(x - 16, 74), (x - 10, 65), (x - 2, 60), (x + 8, 64), (x + 16, 74), (x + 8, 81), (x - 8, 81)],
            hue,
        )


def leaf(pen: Pen, hue: Colour) -> None:
    """A leaf with its veins."""
    pen.line([(38, 66), (24, 80), (14, 93)], darker(hue, 0.3), 4, bend=True)
    pen.blob(path("90,8 88,34 78,58 58,74 36,74 24,68 24,48 34,28 56,14 78,8"), hue)
    pen.line([(24, 78), (50, 48), (80, 18)], darker(hue, 0.3), 2.2, bend=True)
    for x, y in ((40, 59), (52, 46), (64, 34)):
        pen.line([(x, y), (x - 2, y - 15)], darker(hue, 0.25), 1.6)
        pen.line([(x, y), (x + 15, y + 2)], darker(hue, 0.25), 1.6)


def snowman(pen: Pen, hue: Colour) -> None:
    """A snowman with a hat and a red scarf."""
    scarf = RED
    for side in (-1, 1):
        pen.line([(50 + side * 20, 58), (50 + side * 40, 44)], WOOD, 2.6)
        pen.line([(50 + side * 33, 49), (50 + side * 36, 40)], WOOD, 2)
    pen.oval(50, 73, 26, 21, hue)
    pen.oval(50, 36, 18, 17, hue)
    pen.blob(path("33,46 50,51 67,46 68,53 50,58 32,53"), scarf)
    pen.shape(path("57,54 67,52 70,72 61,73"), scarf)
    pen.box(37, 2, 63, 20, INK, 2)
    pen.box(30, 18, 70, 23, INK, 2)
    pen.box(37, 13, 63, 18, scarf, 0, "tint")
    for x in (43, 57):
        pen.dot(x, 33, 2.4, INK)
    pen.shape([(49, 37), (63, 40), (49, 42)], (245, 146, 55))
    for y in (66, 75, 84):
        pen.dot(49, y, 2.2, INK)
    for x in (38, 62):
        pen.oval(x, 41, 3.4, 2.4, BLUSH, "tint")
