"""From what a picture shows to its pixels."""

from __future__ import annotations

import random
from functools import lru_cache

from PIL import Image

from mmr.demo import scenes
from mmr.demo.palette import DEEP_PAPERS, HUES, LIGHTS, PAPERS, Colour, Light
from mmr.demo.pen import Pen, Style
from mmr.demo.plan import Picture
from mmr.demo.table import ROWS, TABLE, Row

SIDE = 256
LARGE = 4 * SIDE
Spot = tuple[float, float, float]

PLAIN_SPOTS: dict[int, tuple[Spot, ...]] = {
    1: ((50, 84, 70),),
    2: ((27, 72, 44), (73, 78, 44)),
    3: ((50, 53, 42), (26, 87, 42), (74, 87, 42)),
}
SCENE_SPOTS: dict[int, tuple[Spot, ...]] = {
    1: ((50, 86, 53),),
    2: ((28, 82, 38), (72, 88, 39)),
    3: ((50, 78, 32), (21, 88, 34), (79, 88, 34)),
}


def render(picture: Picture) -> Image.Image:
    """Return the picture, 256 by 256, RGB: drawn four times as large, then made smaller."""
    light = LIGHTS[picture.time or "day"]
    paper = _paper(picture, light)
    canvas = _scene(picture.scene, picture.time or "day", picture.style, paper).copy()
    pen = Pen(canvas, picture.style, light, paper, random.Random(picture.name), scale=LARGE / 100)
    things = [(TABLE[name], HUES[colour]) for name, colour, count in picture.things() for _ in range(count)]
    for i, ((row, hue), spot) in enumerate(zip(things, _spots(picture), strict=True)):
        _put(pen, row, hue, spot, picture.scene, mirror=picture.count > 1 and i == 1)
    if picture.scene == "sea":
        scenes.front_of_sea(_far(pen))
    return canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _paper(picture: Picture, light: Light) -> Colour:
    if picture.scene == "plain" and picture.style == "filled":
        papers = DEEP_PAPERS if picture.colour == "white" else PAPERS
        return papers[(ROWS.index(TABLE[picture.object]) + len(picture.colour)) % len(papers)]
    return light.paper


@lru_cache(maxsize=12)
def _scene(scene: str, time: str, style: Style, paper: Colour) -> Image.Image:
    canvas = Image.new("RGB", (LARGE, LARGE), paper)
    pen = Pen(canvas, style, LIGHTS[time], paper, random.Random(f"{scene} {time}"), scale=LARGE / 100)
    scenes.SCENES[scene](_far(pen))
    return canvas


def _far(pen: Pen) -> Pen:
    return pen.at(0, 0, 100, near=False)


def _spots(picture: Picture) -> list[Spot]:
    """Return for each thing its middle, its ground and its size, in hundredths of the picture."""
    if picture.other is None:
        return list((PLAIN_SPOTS if picture.scene == "plain" else SCENE_SPOTS)[picture.count])
    first, second = TABLE[picture.object].size, TABLE[picture.other].size
    share = (92 if picture.scene == "plain" else 80) / (first + second)
    left, right = min(58, share * first), min(58, share * second)
    start = (100 - left - right) / 2
    ground = 80 if picture.scene == "plain" else 85
    return [(start + left / 2, ground - 1, left * 1.04), (start + left + right / 2, ground + 3, right * 1.04)]


def _put(pen: Pen, row: Row, hue: Colour, spot: Spot, scene: str, mirror: bool) -> None:
    middle, ground, size = spot
    ground = min(ground, 85) if scene == "sea" else ground
    left, top = middle - size / 2, ground - row.base / 100 * size
    if row.floats:
        top = ground - size * (0.97 if scene == "plain" else 1.2)
        top = max(2, 50 - size / 2 if scene == "plain" and size > 60 else top)
    elif scene == "plain" and size > 60:
        top -= max(0, 93 - row.base) / 100 * size / 2
    sheet = pen.at(left, top, size, mirror)
    if not row.floats and scene != "sea":
        sheet.shadow(50, row.base + 0.5, 40)
    row.draw(sheet, hue)
