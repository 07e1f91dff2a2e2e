"""What several vectors a picture find that one does not: small things in scenes; and what they cost."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections import defaultdict

import numpy as np
import pytest
from PIL import Image

from mmr.arrays.maxsim import maxsim
from mmr.arrays.ragged import stacked
from mmr.demo.palette import HUES, LIGHTS
from mmr.demo.pen import Pen
from mmr.demo.plan import pictures
from mmr.demo.render import _scene, render
from mmr.demo.table import ROWS
from mmr.demo.words import noun, phrase
from mmr.embed.regions import Parts, cropped, parse_grid, regions
from mmr.encoders import load
from mmr.evaluate.doubt import interval
from tests.conftest import ROOT, SHARED

FIGURES = ROOT / "man" / "regions.jsonl"
PHOTOS = SHARED / "data" / "pictures"
GRIDS = ("1x1", "2x2", "3x3", "4x4")
WAYS = {
    "one vector": ("1x1",),
    "--grid 2x2": ("2x2",),
    "--grid 3x3": ("3x3",),
    "--grid 4x4": ("4x4",),
    "--grid 1x1,2x2": ("1x1", "2x2"),
    "--grid 1x1,3x3": ("1x1", "3x3"),
    "--grid 1x1,2x2,3x3": ("1x1", "2x2", "3x3"),
    "--grid 1x1,2x2,3x3,4x4": GRIDS,
}
ADDED = ", and one vector, added up"
SIDE, THINGS, SCENES = 512, 3, 300


def boxes_of(grid):
    return regions(Parts(parse_grid(grid)), {}, (SIDE, SIDE), "")


class Set:
    """Pictures, the words that ask, which pictures are right, and where (shares) it is known."""

    def __init__(self, name, images, words, right, where=None):
        self.name, self.images, self.words, self.right, self.where = name, images, words, right, where


def composed():
    """Scenes of 512 pixels with three small things each, 14 to 24 hundredths wide, nowhere overlapping."""
    chance = random.Random(17)
    kinds = [(row, colour) for row in ROWS for colour in row.colours if colour in HUES]
    images, right, where = [], defaultdict(set), {}
    for number in range(SCENES):
        scene = chance.choice(["meadow", "beach", "street", "mountains", "room", "snow"])
        time = chance.choice(["day", "day", "sunset"])
        light = LIGHTS[time]
        canvas = _scene(scene, time, "filled", light.paper).copy()
        pen = Pen(canvas, "filled", light, light.paper, random.Random(number), scale=canvas.width / 100)
        placed = []
        for row, colour in chance.sample(kinds, THINGS):
            while True:
                size = chance.uniform(14, 24)
                left, top = chance.uniform(0, 100 - size), chance.uniform(0, 100 - size)
                apart = all(
                    left >= x + s or x >= left + size or top >= y + s or y >= top + size for x, y, s in placed
                )
                if apart:
                    break
            placed.append((left, top, size))
            row.draw(pen.at(left, top, size), HUES[colour])
            asked = noun(row, colour)
            right[asked].add(number)
            box = np.array([left, top, left + size, top + size]) / 100
            where.setdefault((asked, number), []).append(box)
        images.append(canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0))
    words = sorted(right)
    return Set(
        f"{SCENES} drawn scenes with three small things each, {len(words)} words that name one",
        images, words, [right[one] for one in words], where,
    )  # fmt: skip


def gallery():
    """The drawn gallery, whose things are large: each picture's first caption asks for its picture."""
    plan = pictures()[::2]
    words = [phrase(one) for one in plan]
    return Set(f"every second picture of the drawn gallery, {len(plan)}, and its captions",
               [render(one) for one in plan], words, [{place} for place in range(len(plan))])  # fmt: skip


def photographs(count=300):
    """The first photographs of the Flickr8k test split, of which the encoder knows little."""
    if not PHOTOS.is_dir():
        pytest.skip("needs the photographs of `shared`")
    rows = [json.loads(line) for line in (PHOTOS / "flickr8k_test.jsonl").read_text().splitlines()][:count]
    with tarfile.open(PHOTOS / "flickr8k_test.tar") as archive:
        files = [archive.extractfile(row["file"]).read() for row in rows]
    images = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
    words = [row["captions"][0] for row in rows]
    return Set(f"{count} photographs of Flickr8k and their first captions", images, words,
               [{place} for place in range(count)])  # fmt: skip


def percent(values):
    return round(100 * float(np.mean(values)), 1)


def precision(scores, right):
    """Average precision of each query (n,), and whether its first picture is right (n,)."""
    order = np.argsort(-scores, axis=1, kind="stable")
    found, first = [], []
    for ranking, wanted in zip(order, right, strict=True):
        places = np.flatnonzero(np.isin(ranking, list(wanted)))
        found.append(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
        first.append(ranking[0] in wanted)
    return np.array(found), np.array(first), order[:, 0]


def located(some, rows, boxes, words, first, order):
    """The share of the right first pictures whose best row shows the thing's middle."""
    hit = []
    for number in np.flatnonzero(first):
        best = boxes[int(np.argmax(rows[order[number]] @ words[number]))]
        things = some.where[some.words[number], int(order[number])]
        middles = [((box[:2] + box[2:]) / 2) for box in things]
        hit.append(any((best[:2] <= m).all() and (m <= best[2:]).all() for m in middles))
    return float(np.mean(hit))


@pytest.mark.bench
@pytest.mark.parametrize("make", [composed, gallery, photographs], ids=lambda one: one.__name__)
def test_regions(make):
    some, encoder = make(), load("builtin", threads=1)
    boxes = {grid: boxes_of(grid) for grid in GRIDS}
    every = np.concatenate([boxes[grid] for grid in GRIDS])
    rows = [encoder.encode_images(cropped(image, every)) for image in some.images]
    starts = dict(zip(GRIDS, np.cumsum([0, 1, 4, 9]), strict=True))
    picks = {
        way: np.concatenate([starts[grid] + np.arange(len(boxes[grid])) for grid in grids])
        for way, grids in WAYS.items()
    }
    bags = {way: ([one[pick] for one in rows], every[pick]) for way, pick in picks.items()}
    found = encoder.encode_tokens([encoder.prepare(one) for one in some.images], [(1, 1)] * len(rows))
    bags["--tokens"] = found.rows, found.boxes[0]
    if some.where is not None:
        bags["--box, the things' own"] = own_boxes(some, encoder), None
    words = encoder.encode_texts(some.words)
    apart = [encoder.encode_texts(text.split()) for text in some.words]
    base, plain, lines = None, None, []
    for way, (of_pictures, shown) in bags.items():
        for form, asked in (("", [one[None] for one in words]), (", word by word", apart), (ADDED, None)):
            if form and way not in ("--tokens", "--grid 1x1,2x2,3x3"):
                continue
            held = stacked([np.asarray(one, np.float32) for one in of_pictures])
            scores = maxsim(stacked([one[None] for one in words] if asked is None else asked), held)
            plain = scores if plain is None else plain
            average, first, order = precision(scores + plain if asked is None else scores, some.right)
            base = average if base is None else base
            low, high = interval(average - base)
            line = {"set": some.name, "way": way + form, "rows": held.counts().mean().item(),
                    "map": percent(average), "first": percent(first),
                    "gain": percent(average - base), "low": round(100 * low, 1),
                    "high": round(100 * high, 1)}  # fmt: skip
            if some.where is not None and shown is not None and not form:
                line["where"] = round(100 * located(some, of_pictures, shown, words, first, order), 1)
                line["chance"] = round(100 * float(np.prod(shown[-1][2:] - shown[-1][:2])), 1)
            lines.append(line)
            print(line)
    others = FIGURES.read_text().splitlines() if FIGURES.exists() else []
    kept = [line for line in others if json.loads(line)["set"] != some.name]
    FIGURES.write_text("".join(f"{line}\n" for line in [*kept, *map(json.dumps, lines)]))
    by_way = {line["way"]: line for line in lines}
    if make is composed:
        assert by_way["--grid 1x1,2x2,3x3"]["low"] > 0


def own_boxes(some, encoder):
    """Each scene's rows where a detector had named its things: the most that regions could give."""
    things = defaultdict(list)
    for (_, number), found in some.where.items():
        things[number] += found
    return [
        encoder.encode_images(cropped(image, np.array(things[number])))
        for number, image in enumerate(some.images)
    ]
