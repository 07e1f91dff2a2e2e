"""Outlines as lists of points: ovals, boxes, arcs, stars, and smooth curves through a few points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

Point = tuple[float, float]
Points = list[Point]


@cache
def path(text: str) -> Points:
    """Return the points of a text such as "10,20 30,45.5"."""
    return [(float(x), float(y)) for x, _, y in (pair.partition(",") for pair in text.split())]


def oval(x: float, y: float, across: float, down: float, turn: float = 0, steps: int = 56) -> Points:
    """Return an ellipse around (x, y) with the given radii, turned by degrees clockwise."""
    return turned(
        [(x + across * math.cos(a), y + down * math.sin(a)) for a in _angles(0, 360, steps)], x, y, turn
    )


def arc(x: float, y: float, across: float, down: float, start: float, stop: float, steps: int = 28) -> Points:
    """Return part of an ellipse, in degrees clockwise from three o'clock, both ends included."""
    return [
        (x + across * math.cos(a), y + down * math.sin(a)) for a in _angles(start, stop, steps, closed=False)
    ]


def box(left: float, top: float, right: float, bottom: float, radius: float = 0) -> Points:
    """Return a rectangle, its corners rounded by `radius`."""
    if radius <= 0:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    corners = (
        (right - radius, top + radius, -90),
        (right - radius, bottom - radius, 0),
        (left + radius, bottom - radius, 90),
        (left + radius, top + radius, 180),
    )
    return [p for x, y, start in corners for p in arc(x, y, radius, radius, start, start + 90, 8)]


def star(x: float, y: float, outer: float, inner: float, tips: int = 5, turn: float = 0) -> Points:
    """Return a star with its first tip straight up."""
    radii = (outer, inner)
    angles = [math.radians(-90 + turn + 180 * i / tips) for i in range(2 * tips)]
    return [(x + radii[i % 2] * math.cos(a), y + radii[i % 2] * math.sin(a)) for i, a in enumerate(angles)]


def smooth(points: Sequence[Point], closed: bool = True, steps: int = 9) -> Points:
    """Return a Catmull-Rom curve through the points; an open one keeps its two ends."""
    count = len(points)
    result: Points = []
    for i in range(count if closed else count - 1):
        around = [points[_index(i + shift, count, closed)] for shift in (-1, 0, 1, 2)]
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = around
        for p, q, r, s in _weights(steps):
            result.append((p * ax + q * bx + r * cx + s * dx, p * ay + q * by + r * cy + s * dy))
    return result if closed else [*result, points[-1]]


def turned(points: Sequence[Point], x: float, y: float, degrees: float) -> Points:
    """Return the points turned clockwise around (x, y)."""
    if degrees == 0:
        return list(points)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x + (a - x) * cosine - (b - y) * sine, y + (a - x) * sine + (b - y) * cosine) for a, b in points]


def _angles(start: float, stop: float, steps: int, closed: bool = True) -> list[float]:
    last = steps if closed else steps - 1
    return [math.radians(start + (stop - start) * i / last) for i in range(steps)]


def _index(i: int, count: int, closed: bool) -> int:
    return i % count if closed else min(max(i, 0), count - 1)


@cache
def _weights(steps: int) -> list[tuple[float, float, float, float]]:
    """Return how much each of four neighbouring points counts, for each step from the second to the third."""
    shares = [step / steps for step in range(steps)]
    return [
        (
            (-t + 2 * t**2 - t**3) / 2,
            (2 - 5 * t**2 + 3 * t**3) / 2,
            (t + 4 * t**2 - 3 * t**3) / 2,
            (t**3 - t**2) / 2,
        )
        for t in shares
    ]
