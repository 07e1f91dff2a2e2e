"""Simple drawn backgrounds: places by day, at night and at sunset, never twice the same."""

from __future__ import annotations

import random
from collections.abc import Callable

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
SKIES = {
    "day": ((120, 190, 240), (200, 228, 250)),
    "night": ((8, 12, 40), (35, 40, 95)),
    "sunset": ((240, 120, 70), (255, 190, 120)),
}
DIM = {"day": 1.0, "night": 0.42, "sunset": 0.8}


class Canvas:
    """A square picture being drawn: its pen, side, time of day and source of chance."""

    def __init__(self, side: int, time: str, rng: random.Random) -> None:
        self.picture = Image.new("RGB", (side, side))
        self.pen = ImageDraw.Draw(self.picture)
        self.side, self.time, self.rng = side, time, rng

    def at(self, share: float) -> int:
        """Turn a share of the side into pixels."""
        return int(share * self.side)

    def near(self, colour: Colour, spread: int = 22) -> Colour:
        """Vary a colour, and dim it by the time of day."""
        dim = DIM[self.time]
        red, green, blue = (
            max(0, min(255, int(dim * (value + self.rng.randint(-spread, spread))))) for value in colour
        )
        return red, green, blue

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle given in shares of the side."""
        self.pen.rectangle((self.at(left), self.at(top), self.at(right), self.at(bottom)), fill=colour)

    def oval(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Fill an ellipse around a centre."""
        spots = (self.at(x - width), self.at(y - height), self.at(x + width), self.at(y + height))
        self.pen.ellipse(spots, fill=colour)

    def shape(self, corners: list[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        self.pen.polygon([(self.at(x), self.at(y)) for x, y in corners], fill=colour)


def sky(canvas: Canvas, lights: bool = True) -> None:
    """Fill the whole picture with sky: sun and clouds, or moon and stars."""
    rng, (top, bottom) = canvas.rng, SKIES[canvas.time]
    shift = [rng.randint(-18, 18) for _ in range(3)]
    flat = rng.random() < 0.4
    for y in range(canvas.side):
        part = 0.5 if flat else y / canvas.side
        mixed = [int(a + (b - a) * part) + s for a, b, s in zip(top, bottom, shift, strict=True)]
        canvas.pen.line((0, y, canvas.side, y), fill=(mixed[0], mixed[1], mixed[2]))
    x, y_share, size = rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.25), rng.uniform(0.05, 0.11)
    if canvas.time == "night":
        for _ in range(rng.randint(0, 30)):
            star = rng.choice((0.004, 0.008, 0.012))
            canvas.oval(rng.random(), rng.uniform(0, 0.55), star, star, (250, 250, 215))
        if lights and rng.random() < 0.75:
            canvas.oval(x, y_share, size, size, (245, 240, 205))
            if rng.random() < 0.6:
                canvas.oval(
                    x + size * 0.55, y_share - size * 0.2, size * 0.9, size * 0.9, (top[0], top[1], top[2])
                )
    elif lights:
        if rng.random() < 0.6:
            height = y_share if canvas.time == "day" else rng.uniform(0.3, 0.5)
            canvas.oval(x, height, size, size, (255, 225, 80) if canvas.time == "day" else (255, 235, 160))
        for _ in range(rng.randint(0, 3)):
            cloud(canvas, rng.random(), rng.uniform(0.08, 0.3), rng.uniform(0.04, 0.1))


def cloud(canvas: Canvas, x: float, y: float, size: float) -> None:
    """Draw one cloud of three ovals."""
    white = canvas.near((245, 247, 250), 8)
    for step in (-1.0, 0.0, 1.0):
        canvas.oval(x + step * size, y, size * 1.1, size * (0.8 if step else 1.1) * 0.7, white)


def ground(canvas: Canvas, colour: Colour, top: float | None = None) -> float:
    """Fill the lower part, flat or hilly, and say where it starts."""
    start = canvas.rng.uniform(0.5, 0.72) if top is None else top
    filled = canvas.near(colour)
    canvas.box(0, start, 1, 1, filled)
    if top is None and canvas.rng.random() < 0.5:
        canvas.oval(canvas.rng.random(), start, canvas.rng.uniform(0.4, 0.9), 0.1, filled)
    return start


def tree(canvas: Canvas, x: float, foot: float, size: float) -> None:
    """Draw a round or a pointed tree."""
    canvas.box(x - size * 0.08, foot - size * 0.5, x + size * 0.08, foot, canvas.near((110, 75, 45)))
    green = canvas.near((45, 125, 60), 30)
    if canvas.rng.random() < 0.5:
        canvas.oval(x, foot - size * 0.75, size * 0.35, size * 0.4, green)
    else:
        canvas.shape(
            [
                (x - size * 0.32, foot - size * 0.3),
                (x + size * 0.32, foot - size * 0.3),
                (x, foot - size * 1.3),
            ],
            green,
        )


def buildings(canvas: Canvas, foot: float) -> None:
    """Draw a row of houses or towers with windows."""
    x, rng = -0.05, canvas.rng
    while x < 1:
        width, height = rng.uniform(0.12, 0.28), rng.uniform(0.15, 0.45)
        wall = canvas.near(
            rng.choice(((170, 150, 140), (150, 160, 175), (200, 170, 130), (120, 120, 130))), 25
        )
        canvas.box(x, foot - height, x + width, foot, wall)
        lit = (250, 225, 120) if canvas.time == "night" else canvas.near((215, 232, 245))
        for row in range(int(height / 0.08)):
            for column in range(int(width / 0.07)):
                left, top = x + 0.02 + column * 0.07, foot - height + 0.025 + row * 0.08
                canvas.box(left, top, left + 0.03, top + 0.04, lit)
        x += width + rng.choice((0.0, 0.02, 0.06))


def beach(canvas: Canvas) -> None:
    """Sand below, sea above it; sometimes a palm or a sunshade."""
    sky(canvas)
    line = canvas.rng.uniform(0.35, 0.55)
    canvas.box(0, line, 1, 1, canvas.near((50, 140, 200)))
    sand = canvas.rng.uniform(line + 0.1, 0.78)
    canvas.box(0, sand, 1, 1, canvas.near((238, 214, 160), 14))
    if canvas.rng.random() < 0.5:
        canvas.oval(canvas.rng.random(), sand, 0.6, 0.06, canvas.near((238, 214, 160), 14))


def sea(canvas: Canvas) -> None:
    """Water over the lower half, with waves."""
    sky(canvas)
    line = canvas.rng.uniform(0.35, 0.65)
    canvas.box(0, line, 1, 1, canvas.near((40, 120, 195)))
    for _ in range(canvas.rng.randint(3, 10)):
        x, y = canvas.rng.random(), canvas.rng.uniform(line, 1)
        spots = (canvas.at(x - 0.06), canvas.at(y), canvas.at(x + 0.06), canvas.at(y + 0.05))
        canvas.pen.arc(spots, 180, 360, fill=canvas.near((190, 220, 245)))


def meadow(canvas: Canvas) -> None:
    """Green ground, sometimes hills and flowers."""
    sky(canvas)
    if canvas.rng.random() < 0.4:
        canvas.oval(canvas.rng.random(), 0.7, 0.5, canvas.rng.uniform(0.1, 0.25), canvas.near((110, 175, 90)))
    start = ground(canvas, (105, 185, 75))
    for _ in range(canvas.rng.choice((0, 0, 6, 12))):
        x, y = canvas.rng.random(), canvas.rng.uniform(start, 1)
        canvas.oval(x, y, 0.012, 0.012, canvas.near(canvas.rng.choice(((250, 240, 120), (240, 130, 160)))))


def street(canvas: Canvas) -> None:
    """A grey road with a dashed line, houses behind it."""
    sky(canvas)
    start = canvas.rng.uniform(0.55, 0.7)
    if canvas.rng.random() < 0.75:
        buildings(canvas, start)
    canvas.box(0, start, 1, 1, canvas.near((95, 97, 102), 12))
    if canvas.rng.random() < 0.5:
        canvas.box(0, start, 1, start + 0.05, canvas.near((180, 178, 172), 12))
    middle = (start + 1) / 2 + 0.03
    for step in range(6):
        canvas.box(step * 0.2, middle, step * 0.2 + 0.1, middle + 0.02, canvas.near((235, 230, 200), 12))


def city(canvas: Canvas) -> None:
    """Buildings from side to side."""
    sky(canvas)
    foot = canvas.rng.uniform(0.65, 0.9)
    buildings(canvas, foot)
    canvas.box(0, foot, 1, 1, canvas.near((135, 135, 138)))


def forest(canvas: Canvas) -> None:
    """Many trees on dark green ground."""
    sky(canvas)
    start = ground(canvas, (75, 130, 65))
    for _ in range(canvas.rng.randint(5, 11)):
        tree(canvas, canvas.rng.random(), start + canvas.rng.uniform(0, 0.12), canvas.rng.uniform(0.3, 0.6))


def mountains(canvas: Canvas) -> None:
    """Peaks, some with snow on top."""
    sky(canvas)
    for _ in range(canvas.rng.randint(2, 4)):
        x, top, wide = canvas.rng.random(), canvas.rng.uniform(0.2, 0.4), canvas.rng.uniform(0.25, 0.5)
        canvas.shape([(x - wide, 0.75), (x + wide, 0.75), (x, top)], canvas.near((125, 125, 140), 25))
        if canvas.rng.random() < 0.7:
            part = 0.3
            tip = [(x - wide * part, top + (0.75 - top) * part), (x + wide * part, top + (0.75 - top) * part)]
            canvas.shape([*tip, (x, top)], canvas.near((245, 247, 250), 8))
    ground(canvas, canvas.rng.choice(((110, 170, 90), (140, 130, 115))), canvas.rng.uniform(0.68, 0.75))


def snow(canvas: Canvas) -> None:
    """White ground, falling flakes, bare or pointed trees."""
    sky(canvas)
    start = ground(canvas, (238, 242, 248))
    for _ in range(canvas.rng.choice((0, 1, 3))):
        tree(canvas, canvas.rng.random(), start + 0.05, canvas.rng.uniform(0.2, 0.4))
    for _ in range(canvas.rng.choice((0, 20, 40))):
        canvas.oval(canvas.rng.random(), canvas.rng.random(), 0.009, 0.009, (250, 250, 252))


def desert(canvas: Canvas) -> None:
    """Dunes, sometimes a cactus."""
    sky(canvas)
    start = ground(canvas, (228, 180, 105))
    canvas.oval(canvas.rng.random(), start + 0.2, 0.6, 0.12, canvas.near((215, 165, 95)))
    if canvas.rng.random() < 0.5:
        x, green = canvas.rng.random(), canvas.near((70, 140, 70))
        canvas.box(x - 0.02, start - 0.15, x + 0.02, start + 0.1, green)
        canvas.box(x - 0.08, start - 0.08, x, start - 0.05, green)


def room(canvas: Canvas) -> None:
    """A wall, a floor, sometimes a window."""
    rng = canvas.rng
    canvas.box(0, 0, 1, 1, canvas.near(rng.choice(((235, 220, 190), (200, 215, 225), (230, 200, 200))), 20))
    if rng.random() < 0.6:
        left, top = rng.uniform(0.05, 0.65), rng.uniform(0.08, 0.2)
        canvas.box(left - 0.02, top - 0.02, left + 0.3, top + 0.3, canvas.near((250, 250, 245), 6))
        pane = SKIES[canvas.time][0]
        canvas.box(left, top, left + 0.13, top + 0.28, pane)
        canvas.box(left + 0.15, top, left + 0.28, top + 0.28, pane)
    canvas.box(0, rng.uniform(0.65, 0.8), 1, 1, canvas.near((165, 115, 75), 25))


def table(canvas: Canvas) -> None:
    """A table top seen from the front, with or without legs."""
    canvas.box(0, 0, 1, 1, canvas.near(canvas.rng.choice(((240, 232, 215), (210, 222, 230))), 16))
    top, wood = canvas.rng.uniform(0.62, 0.78), canvas.near((150, 95, 55), 25)
    if canvas.rng.random() < 0.5:
        canvas.box(0, top, 1, 1, wood)
    else:
        canvas.box(0.04, top, 0.96, top + 0.07, wood)
        canvas.box(0.1, top, 0.16, 1, wood)
        canvas.box(0.84, top, 0.9, 1, wood)


def clouds(canvas: Canvas) -> None:
    """Nothing but sky and clouds."""
    sky(canvas)
    for _ in range(canvas.rng.randint(1, 5)):
        cloud(canvas, canvas.rng.random(), canvas.rng.random(), canvas.rng.uniform(0.06, 0.14))


def space(canvas: Canvas) -> None:
    """Black sky, stars, sometimes a planet."""
    canvas.box(0, 0, 1, 1, (canvas.rng.randint(0, 20), canvas.rng.randint(0, 16), canvas.rng.randint(10, 50)))
    for _ in range(canvas.rng.randint(15, 50)):
        canvas.oval(canvas.rng.random(), canvas.rng.random(), 0.007, 0.007, (250, 250, 225))
    if canvas.rng.random() < 0.5:
        size = canvas.rng.uniform(0.06, 0.16)
        canvas.oval(
            canvas.rng.random(), canvas.rng.random(), size, size, (200, 130, canvas.rng.randint(60, 220))
        )


def lake(canvas: Canvas) -> None:
    """Grass with an oval of water, or a band of it."""
    sky(canvas)
    start = ground(canvas, (110, 175, 85))
    blue = canvas.near((70, 150, 210))
    if canvas.rng.random() < 0.6:
        canvas.oval(canvas.rng.uniform(0.3, 0.7), (start + 1) / 2, canvas.rng.uniform(0.3, 0.5), 0.12, blue)
    else:
        canvas.box(0, start + 0.06, 1, start + 0.2, blue)


def park(canvas: Canvas) -> None:
    """Grass, one to three trees, a path."""
    sky(canvas)
    start = ground(canvas, (115, 190, 85))
    if canvas.rng.random() < 0.6:
        canvas.shape([(0.35, 1), (0.65, 1), (0.55, start), (0.48, start)], canvas.near((215, 195, 160)))
    for _ in range(canvas.rng.randint(1, 3)):
        tree(canvas, canvas.rng.random(), start + canvas.rng.uniform(0, 0.1), canvas.rng.uniform(0.3, 0.55))


PAINTERS: dict[str, Callable[[Canvas], None]] = {
    "beach": beach, "sea": sea, "meadow": meadow, "street": street, "city": city, "forest": forest,
    "mountains": mountains, "snow": snow, "desert": desert, "room": room, "table": table, "sky": clouds,
    "space": space, "lake": lake, "park": park,
}  # fmt: skip


def paint(place: str, time: str, side: int, rng: random.Random) -> Image.Image:
    """Draw one place (a key of PAINTERS) at one time of day as an RGB square."""
    canvas = Canvas(side, time, rng)
    PAINTERS[place](canvas)
    return canvas.picture
