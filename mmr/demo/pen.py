"""The pen that draws every picture: the same strokes come out filled, as an outline, or as a sketch.

A drawing is a function of a pen and a colour, on a sheet of 100 by 100 with y downwards.
It says which shapes there are; the pen's style says how they look.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image, ImageChops, ImageDraw

from mmr.demo import curves
from mmr.demo.curves import Point, Points
from mmr.demo.palette import WHITE, Colour, Light, darker, lighter, lightness, lit, mix

Style = Literal["filled", "outline", "sketch"]
Kind = Literal["body", "mark", "tint"]


@dataclass(frozen=True)
class Pen:
    """A place on a canvas, a style, and a light.

    canvas  RGB, drawn at several times its final size
    x, y    where the sheet's upper left corner lies on the canvas, in pixels
    scale   pixels per unit of the sheet
    """

    canvas: Image.Image
    style: Style
    light: Light
    paper: Colour
    chance: random.Random
    x: float = 0
    y: float = 0
    scale: float = 1
    mirror: bool = False
    near: bool = True
    glows: bool = False

    def at(self, x: float, y: float, size: float, mirror: bool = False, near: bool | None = None) -> Pen:
        """Return a pen for a smaller sheet, whose corner and width are given in units of this one."""
        (px, py) = self._place([(x, y)])[0]
        near = self.near if near is None else near
        return replace(self, x=px, y=py, scale=self.scale * size / 100, mirror=mirror, near=near)

    def bright(self) -> Pen:
        """Return a pen for what shines by itself: the moon, a lit window."""
        return replace(self, near=True, glows=True)

    def shape(
        self, points: Sequence[Point], colour: Colour, kind: Kind = "body", shade: float = 0.16
    ) -> None:
        """Draw a closed shape.

        A body has a line around it when outlined; a mark is solid in every style; a tint is seen when filled.
        """
        if kind == "tint" and self.style != "filled":
            return
        place = self._place(points)
        if self.style == "filled" or kind == "mark":
            ImageDraw.Draw(self.canvas).polygon(place, fill=self._seen(colour, kind))
            if kind == "body" and self.style == "filled":
                self._shade(place, colour, shade)
            return
        ImageDraw.Draw(self.canvas).polygon(place, fill=self._ground())
        if self.style == "sketch":
            self._hatch(place, colour)
        self._stroke([*place, place[0]], self._ink(colour), 2.1)

    def blob(self, points: Sequence[Point], colour: Colour, kind: Kind = "body", shade: float = 0.16) -> None:
        """Draw a closed shape with a smooth edge through the points."""
        self.shape(curves.smooth(points), colour, kind, shade)

    def oval(
        self,
        x: float,
        y: float,
        across: float,
        down: float,
        colour: Colour,
        kind: Kind = "body",
        turn: float = 0,
    ) -> None:
        """Draw an ellipse by its middle and its two radii."""
        self.shape(curves.oval(x, y, across, down, turn), colour, kind)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        colour: Colour,
        radius: float = 0,
        kind: Kind = "body",
    ) -> None:
        """Draw a rectangle, its corners rounded by `radius`."""
        self.shape(curves.box(left, top, right, bottom, radius), colour, kind)

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a round mark: an eye, a button."""
        self.shape(curves.oval(x, y, radius, radius, steps=28), colour, "mark")

    def eye(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a dark round eye with a glint in it."""
        self.dot(x, y, radius, colour)
        glint = WHITE if self.style == "filled" else self._ground()
        place = self._place(
            curves.oval(x - radius * 0.3, y - radius * 0.35, radius * 0.34, radius * 0.34, steps=20)
        )
        ImageDraw.Draw(self.canvas).polygon(place, fill=glint)

    def shine(
        self, x: float, y: float, across: float, down: float, turn: float = 0, strength: float = 0.5
    ) -> None:
        """Brighten an ellipse, as light on a smooth surface does; only when filled."""
        if self.style == "filled":
            self._veil(self._place(curves.oval(x, y, across, down, turn)), WHITE, strength)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 2.4, bend: bool = False) -> None:
        """Draw an open line with round ends, in every style; `bend` makes it a smooth curve."""
        place = self._place(curves.smooth(points, closed=False) if bend else points)
        if self.style == "filled":
            self._plain_stroke(place, self._seen(colour, "body"), max(1, round(width * self.scale)))
        else:
            self._tube(place, colour, width)

    def edge(self, points: Sequence[Point], colour: Colour) -> None:
        """Draw the edge of a body again, or its shade when filled, over what was drawn on it."""
        place = self._place(points)
        if self.style == "filled":
            self._shade(place, colour, 0.16)
        else:
            self._stroke([*place, place[0]], self._ink(colour), 2.1)

    @contextmanager
    def inside(self, points: Sequence[Point], edge: Colour | None = None) -> Iterator[None]:
        """Keep what is drawn meanwhile within a shape (stripes on a ball), then draw its edge again."""
        before = self.canvas.copy()
        yield
        outside = Image.new("L", self.canvas.size, 255)
        ImageDraw.Draw(outside).polygon(self._place(points), fill=0)
        self.canvas.paste(before, mask=outside)
        if edge is not None:
            self.edge(points, edge)

    def shadow(self, x: float, y: float, across: float) -> None:
        """Draw the soft shadow under a thing that stands at (x, y)."""
        if self.style == "outline":
            return
        if self.style == "sketch":
            ink = self._ink((150, 150, 165))
            for row in range(3):
                reach = across * (1 - 0.2 * row)
                self._stroke(
                    self._place([(x - reach, y + row * 2.2), (x + reach, y + 0.7 + row * 2.2)]), ink, 1.1
                )
            return
        for step in range(9):
            share = 1 - 0.065 * step
            self._veil(
                self._place(curves.oval(x, y, across * share, across * 0.16 * share)), (44, 34, 72), 0.028
            )

    def _place(self, points: Sequence[Point]) -> Points:
        sign, start = (-1, self.x + 100 * self.scale) if self.mirror else (1, self.x)
        return [(start + sign * a * self.scale, self.y + b * self.scale) for a, b in points]

    def _seen(self, colour: Colour, kind: Kind) -> Colour:
        if self.style == "filled":
            return colour if self.glows else lit(colour, self.light, self.near)
        return self._ink(colour) if kind == "mark" else colour

    def _ground(self) -> Colour:
        return mix(self.paper, WHITE, 0.06 if self.light.dark else 0.55)

    def _ink(self, colour: Colour) -> Colour:
        if self.light.dark:
            ink = lighter(colour, 0.78 if lightness(colour) < 110 else 0.28)
            return ink if self.near else mix(ink, self.paper, 0.5)
        depth = 0.3 if lightness(colour) < 180 else 0.42
        ink = darker(colour, depth if self.style == "outline" else depth + 0.06)
        return mix(ink, self.paper, 0.45) if not self.near else ink

    def _shade(self, place: Points, colour: Colour, strength: float) -> None:
        left, top, right, bottom = _bounds(place)
        reach = 0.13 * min(right - left, bottom - top)
        if reach < 3 or strength <= 0:
            return
        area = (int(left) - 1, int(top) - 1, int(right) + 2, int(bottom) + 2)
        whole = _mask(place, area, round(255 * strength * 1.6))
        bright = _mask([(a - reach, b - reach * 0.7) for a, b in place], area, 255)
        self.canvas.paste(self._seen(darker(colour, 0.6), "body"), area, ImageChops.subtract(whole, bright))

    def _veil(self, place: Points, colour: Colour, strength: float) -> None:
        left, top, right, bottom = _bounds(place)
        area = (int(left) - 1, int(top) - 1, int(right) + 2, int(bottom) + 2)
        self.canvas.paste(colour, area, _mask(place, area, round(255 * strength)))

    def _hatch(self, place: Points, colour: Colour) -> None:
        left, top, right, bottom = _bounds(place)
        area = (int(left) - 1, int(top) - 1, int(right) + 2, int(bottom) + 2)
        width, height = area[2] - area[0], area[3] - area[1]
        if min(width, height) < 12:
            return
        lines = Image.new("L", (width, height), 0)
        draw = ImageDraw.Draw(lines)
        step, offset = self._unit(1.0) * 15, self.chance.uniform(0, 14)
        while offset < width + height:
            wobble = self.chance.uniform(-5, 5)
            draw.line(
                [(offset + wobble, 0), (offset - height - wobble, height)], fill=190, width=round(step * 0.42)
            )
            offset += step * self.chance.uniform(0.8, 1.2)
        pencil = lighter(colour, 0.1) if self.light.dark else mix(colour, (120, 120, 130), 0.08)
        pencil = pencil if self.near else mix(pencil, self.paper, 0.6 if self.light.dark else 0.3)
        self.canvas.paste(pencil, area, ImageChops.multiply(lines, _mask(place, area, 255)))

    def _unit(self, width: float) -> float:
        """Return a line's width in pixels; it shrinks with the thing, but more slowly."""
        width = width if self.near else width * 0.62
        return width * (self.canvas.width / 1024) * math.sqrt(self.scale * 100 / 620)

    def _stroke(self, place: Points, ink: Colour, width: float) -> None:
        if self.style == "outline":
            self._plain_stroke(place, ink, max(2, round(self._unit(width) * 6)))
            return
        for _ in range(2):
            self._plain_stroke(self._rough(place), ink, max(2, round(self._unit(width) * 2.6)))

    def _tube(self, place: Points, colour: Colour, width: float) -> None:
        """Draw a line; a broad one, such as a tail, gets an edge on both sides."""
        edge = self._unit(2.1) * (6 if self.style == "outline" else 2.6)
        if width < 5.5:
            self._stroke(place, self._ink(colour), min(width, 2.4))
            return
        self._plain_stroke(place, self._ink(colour), round(width * self.scale + edge))
        within = self._ground() if self.style == "outline" else mix(self._ground(), colour, 0.4)
        self._plain_stroke(place, within, max(1, round(width * self.scale - edge)))

    def _rough(self, place: Points) -> Points:
        """Return the line as a quick hand draws it: a little off, never the same twice."""
        reach, dx, dy = self._unit(4.4), 0.0, 0.0
        result: Points = []
        for a, b in _spaced(place, self._unit(46)):
            dx = dx * 0.6 + self.chance.uniform(-reach, reach) * 0.7
            dy = dy * 0.6 + self.chance.uniform(-reach, reach) * 0.7
            result.append((a + dx, b + dy))
        return result

    def _plain_stroke(self, place: Points, ink: Colour, width: int) -> None:
        draw = ImageDraw.Draw(self.canvas)
        draw.line(place, fill=ink, width=width, joint="curve")
        if width > 3:
            for a, b in (place[0], place[-1]):
                draw.ellipse((a - width / 2, b - width / 2, a + width / 2, b + width / 2), fill=ink)


def _bounds(place: Points) -> tuple[float, float, float, float]:
    across, down = [a for a, _ in place], [b for _, b in place]
    return min(across), min(down), max(across), max(down)


def _mask(place: Points, area: tuple[int, int, int, int], level: int) -> Image.Image:
    mask = Image.new("L", (area[2] - area[0], area[3] - area[1]), 0)
    ImageDraw.Draw(mask).polygon([(a - area[0], b - area[1]) for a, b in place], fill=level)
    return mask


def _spaced(place: Points, step: float) -> Points:
    """Return points along the line, a step apart at most, both ends kept; close ones are thinned out."""
    result = [place[0]]
    for a, b in place[1:]:
        x, y = result[-1]
        length = ((a - x) ** 2 + (b - y) ** 2) ** 0.5
        if length < step * 0.5:
            continue
        parts = max(1, round(length / step))
        result += [(x + (a - x) * i / parts, y + (b - y) * i / parts) for i in range(1, parts + 1)]
    return [*result, place[-1]]
