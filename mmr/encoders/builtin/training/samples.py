"""Stage `samples`: pictures to learn from, each with a caption and a caption that does not fit.

More than half are single drawings with their name or a keyword, in pairs: the same thing by two
artists or in two styles. The others are composed: drawings in a colour, one to four times, in a
place, at a time of day, in a style. All of it is drawn here from the open sets; no picture of any
gallery or test set is read.
"""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmr.encoders.builtin.architecture import SIDE

from . import captions, corpus, pixels, scenery, sources
from .captions import Scene
from .pixels import Colour, Pixels

OUTLINE_SOURCES = ("tabler-outline", "lucide", "phosphor-light", "phosphor-regular", "fluent-regular")
PAIR_SHARE = 0.5  # of the pairs: single drawings
NAME_SHARE = 12  # a name is taken this many times as often as one keyword
MOST_USE = 8.0  # no common word is drawn more often than one of this weight
DAY_INK: tuple[Colour, ...] = ((20, 20, 24), (60, 60, 66), (95, 95, 100), (40, 50, 90))
PAPERS: tuple[Colour, ...] = ((255, 255, 255), (255, 255, 255), (250, 247, 238), (240, 240, 240))


@dataclass(frozen=True)
class Sample:
    """One picture (128, 128, 3) uint8, what it shows, and what it does not show (may be empty).

    Two samples of the same `thing` (a name, may be empty) show the same in two styles.
    """

    picture: Pixels
    caption: str
    wrong: str
    thing: str = ""


class Studio:
    """Holds the drawn sets and makes samples of them."""

    def __init__(self, work: Path, photographs: Path | None) -> None:
        folder = work / "drawn"
        self.coloured = np.load(folder / "coloured.npy", mmap_mode="r")
        self.plain = np.load(folder / "plain.npy", mmap_mode="r")
        lines = (folder / "drawings.jsonl").read_text(encoding="utf8").splitlines()
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
        counts = Counter(row["name"] for row in self.rows)
        self.named: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows:
            self.named.setdefault(row["name"], []).append(row)
        self.weights = list(
            accumulate((1 + row["coloured"]) * counts[row["name"]] ** -0.5 for row in self.rows)
        )
        wordnet = work / "debian/usr/share/wordnet"
        self.nouns = dict(zip(*corpus.weighted_words(wordnet, "noun", corpus.SUBJECT_FILES), strict=True))
        self.subjects = {
            kind: [row for row in self.rows if row["coloured"] is kind and self._subject_names(row)]
            for kind in (True, False)
        }
        self.subject_weights = {
            kind: list(accumulate(self._use(row) for row in rows)) for kind, rows in self.subjects.items()
        }
        self.photographs = read_photographs(photographs) if photographs else []

    def _subject_names(self, row: dict[str, Any]) -> list[str]:
        name = [word for word in row["name"].split() if word not in sources.COLOUR_WORDS]
        found = []
        if 1 <= len(name) <= 2 and name[-1] in self.nouns:
            found += NAME_SHARE * [" ".join(name)]
        if row["source"] == "openclipart" or not row["coloured"]:
            return found
        return found + [word for word in row["words"][:6] if word in self.nouns]

    def _use(self, row: dict[str, Any]) -> float:
        """Weigh a subject by how common its words are, so that cats come before cantles."""
        names = self._subject_names(row)
        uses = [self.nouns.get(word, 0.0) for name in names for word in (name, name.split()[-1])]
        return min(max(uses), MOST_USE)

    def _subject(self, coloured: bool, rng: random.Random) -> dict[str, Any]:
        return rng.choices(self.subjects[coloured], cum_weights=self.subject_weights[coloured])[0]

    def _pixels(self, row: dict[str, Any], colour: Colour) -> Pixels:
        if row["coloured"]:
            return np.array(self.coloured[row["row"]])
        return pixels.filled(np.array(self.plain[row["row"]]), colour)

    def pair(self, rng: random.Random) -> list[Sample]:
        """Make two samples of a kind drawn by lot; two single drawings show the same thing."""
        if rng.random() < PAIR_SHARE:
            return self._singles(rng)
        return [self.sample(rng), self.sample(rng)]

    def sample(self, rng: random.Random) -> Sample:
        """Make one sample that is no single drawing."""
        lot = rng.random()
        if lot < 0.08 and self.photographs:
            return self._photograph(rng)
        if lot < 0.17:
            return self._empty_place(rng)
        return self._composed(rng)

    def drawing(self, rng: random.Random) -> Pixels:
        """Make one picture that is no photograph."""
        sample = self._singles(rng)[0] if rng.random() < PAIR_SHARE else self._composed(rng)
        return sample.picture

    def _photograph(self, rng: random.Random) -> Sample:
        data, label = rng.choice(self.photographs)
        with Image.open(io.BytesIO(data)) as file:
            picture = file.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        picture = pixels.toned(pixels.moved(picture, rng, (255, 255, 255), mirror=True), rng)
        return Sample(np.asarray(picture), rng.choice((label, f"a photo of {label}")), "")

    def _empty_place(self, rng: random.Random) -> Sample:
        place, time = rng.choice(list(scenery.PAINTERS)), rng.choice(("day", "day", "night", "sunset"))
        picture = scenery.paint(place, time, SIDE, rng)
        name = captions.PLACES[place][-1].removeprefix("on a ")
        seed, style = rng.getrandbits(32), rng.choice(("flat", "flat", "outline", "sketch"))
        scene = Scene(name, time=time, style=style)
        return self._finish(picture, scene, seed, rng, (20, 20, 24))

    def _singles(self, rng: random.Random) -> list[Sample]:
        row = rng.choices(self.rows, cum_weights=self.weights)[0]
        others = self.named[row["name"]]
        other = rng.choice(others) if rng.random() < 0.8 else row
        return [self._single(row, rng, 0.12), self._single(other, rng, 0.5 if other is row else 0.12)]

    def _single_text(self, row: dict[str, Any], rng: random.Random) -> str:
        """Take a drawing's name or a keyword; of a face also the keyword with `face`."""
        name = str(row["name"])
        kept = 0.9 if row["source"] == "openclipart" else 0.65
        if rng.random() < kept or not row["words"]:
            return name
        word = str(rng.choice(row["words"]))
        if name.endswith(" face") and "face" not in word and rng.random() < 0.5:
            return f"{word} face"
        return word

    def _single(self, row: dict[str, Any], rng: random.Random, traced: float) -> Sample:
        text = self._single_text(row, rng)
        paper: Colour = (255, 255, 255)
        ink: Colour = (0, 0, 0)
        lot = rng.random()
        if row["coloured"]:
            if lot < 0.35:
                paper = pixels.near(rng.choice(list(captions.COLOURS.values())), rng)
                paper = tuple((value + 255 * 3) // 4 for value in paper)  # type: ignore[assignment]
        elif lot < (0.8 if row["source"].endswith("-line") else 0.45):
            ink = pixels.near((30, 30, 34), rng, 30)
        elif lot < 0.6:
            ink, paper = (255, 255, 255), pixels.near(rng.choice(list(captions.COLOURS.values())), rng)
        else:
            ink = pixels.near(rng.choice(list(captions.COLOURS.values())), rng)
        if _apart(ink, paper) < 150:
            ink = (255 - paper[0], 255 - paper[1], 255 - paper[2])
        sheet = Image.new("RGB", (SIDE, SIDE), paper)
        drawing = Image.fromarray(self._pixels(row, ink))
        edge = (SIDE - drawing.width) // 2
        sheet.paste(drawing, (edge, edge), drawing)
        if row["coloured"] and rng.random() < traced:
            style, trace = rng.choice((("outline", pixels.outlined), ("sketch", pixels.sketched)))
            sheet = trace(sheet, rng, rng.choice(DAY_INK), paper)
            if rng.random() < 0.5:
                text = rng.choice(captions.STYLES[style]).format(text)
        if rng.random() < 0.1:
            sheet = sheet.convert("L").convert("RGB")
        picture = pixels.toned(pixels.moved(sheet, rng, paper, mirror=row["coloured"]), rng)
        return Sample(np.asarray(picture), text, "", row["name"])

    def _composed(self, rng: random.Random) -> Sample:
        row = self._subject(rng.random() < 0.62, rng)
        name = rng.choice(self._subject_names(row))
        count = rng.choices((1, 2, 3, 4), (6, 2, 1.5, 1.5))[0]
        second_row = self._subject(True, rng) if count == 1 and rng.random() < 0.12 else None
        colour, drawing = self._in_colour(row, rng)
        place = rng.choice(list(scenery.PAINTERS)) if rng.random() < 0.55 else ""
        time = rng.choice(("day", "day", "night", "night", "sunset")) if place else ""
        style = rng.choices(("flat", "outline", "sketch"), (5, 2.5, 2.5))[0]
        second = rng.choice(self._subject_names(second_row)) if second_row else ""
        scene = Scene(name, count, colour, second, place, time, style)
        if place:
            sheet = scenery.paint(place, time, SIDE, rng)
        else:
            paper = self._paper(drawing, rng)
            sheet = Image.new("RGB", (SIDE, SIDE), paper)
            if rng.random() < 0.4:
                sheet = pixels.shaded(SIDE, paper, rng)
        others = [self._in_colour(second_row, rng)[1]] if second_row else []
        drawings = [drawing] * count + others
        if time == "night" and rng.random() < 0.6:
            drawings = [_dimmed(one, rng.uniform(0.45, 0.85)) for one in drawings]
        _place(sheet, drawings, bool(place), rng)
        ink = captions.COLOURS.get(colour, rng.choice(DAY_INK)) if rng.random() < 0.6 else rng.choice(DAY_INK)
        if row["source"] in OUTLINE_SOURCES and style == "flat":
            scene = Scene(**{**scene.__dict__, "style": ""})
        return self._finish(sheet, scene, rng.getrandbits(32), rng, ink)

    def _in_colour(self, row: dict[str, Any], rng: random.Random) -> tuple[str, Pixels]:
        colour = rng.choice(list(captions.COLOURS))
        value = pixels.near(captions.COLOURS[colour], rng)
        if not row["coloured"]:
            return colour, self._pixels(row, value)
        drawing = self._pixels(row, value)
        if rng.random() < 0.5:
            return pixels.main_colour(drawing), drawing
        return colour, pixels.tinted(drawing, value)

    def _paper(self, drawing: Pixels, rng: random.Random) -> Colour:
        seen = drawing[drawing[:, :, 3] > 128][:, :3]
        if len(seen) and float(seen.mean()) > 215:
            return pixels.near(
                rng.choice(((90, 110, 150), (60, 60, 66), (150, 170, 190), (120, 160, 120))), rng
            )
        if rng.random() < 0.6:
            return (255, 255, 255)
        return pixels.near(
            rng.choice(((245, 240, 230), (225, 235, 245), (240, 225, 230), (230, 240, 225))), rng, 12
        )

    def _finish(self, sheet: Image.Image, scene: Scene, seed: int, rng: random.Random, ink: Colour) -> Sample:
        paper = rng.choice(PAPERS)
        if scene.time == "night" and rng.random() < 0.5:
            ink, paper = (
                rng.choice(((235, 235, 240), (200, 210, 240))),
                rng.choice(((15, 18, 45), (25, 25, 30))),
            )
        elif _apart(ink, paper) < 150:
            ink = (40, 40, 46)
        if scene.style in {"outline", "sketch"}:
            trace = pixels.outlined if scene.style == "outline" else pixels.sketched
            own = rng.random() < 0.4 and sum(paper) > 600
            sheet = trace(sheet, rng, None if own else ink, paper)
            if not own and scene.colour and _apart(ink, captions.COLOURS[scene.colour]) > 60:
                scene = Scene(**{**scene.__dict__, "colour": ""})
        other = captions.changed(scene, random.Random(seed))
        text = captions.caption(scene, random.Random(seed))
        wrong = captions.caption(other, random.Random(seed))
        picture = pixels.toned(sheet, rng)
        if rng.random() < 0.4:
            picture = pixels.moved(
                picture, rng, paper if scene.style in {"outline", "sketch"} else None, True
            )
        return Sample(np.asarray(picture), text, "" if wrong == text else wrong)


def _apart(one: Colour, other: Colour) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _dimmed(drawing: Pixels, share: float) -> Pixels:
    out = drawing.copy()
    shares = np.array([share, share, min(1.0, share * 1.15)], np.float32)
    out[:, :, :3] = (out[:, :, :3] * shares).astype(np.uint8)
    return out


def _spots(count: int, low: bool, rng: random.Random) -> list[tuple[float, float, float]]:
    """Choose middles and a size, in shares of the side, for `count` drawings that hardly overlap."""
    if count == 1:
        size = rng.uniform(0.34, 0.72) if low else rng.uniform(0.5, 0.95)
        middle = 0.5 if rng.random() < 0.4 else rng.uniform(size / 2, 1 - size / 2)
        height = rng.uniform(0.5, 0.95 - size / 2) if low and size < 0.85 else 0.5
        return [(middle, height, size)]
    if (count == 4 and rng.random() < 0.6) or (count == 3 and rng.random() < 0.25):
        size, gap = rng.uniform(0.3, 0.46), rng.uniform(0.23, 0.27)
        grid = [(0.5 + x * gap, 0.5 + y * gap, size) for y in (-1, 1) for x in (-1, 1)]
        return grid[:count] if count == 4 else [(0.5, 0.5 - gap, size), *grid[2:]]
    size = rng.uniform(0.75, 1.0) / count
    line = rng.uniform(0.55, 0.75) if low else rng.uniform(0.4, 0.6)
    return [((i + 0.5) / count, line + rng.uniform(-0.05, 0.05), size) for i in range(count)]


def _place(sheet: Image.Image, drawings: list[Pixels], low: bool, rng: random.Random) -> None:
    for drawing, (x, y, size) in zip(drawings, _spots(len(drawings), low, rng), strict=True):
        side = max(8, int(size * sheet.width))
        small = Image.fromarray(drawing).resize((side, side), Image.Resampling.BICUBIC)
        sheet.paste(small, (int(x * sheet.width) - side // 2, int(y * sheet.width) - side // 2), small)


def read_photographs(folder: Path) -> list[tuple[bytes, str]]:
    """Read the photographs that may be trained on: (JPEG bytes, class name)."""
    found = []
    for name, field in (("grocery81_train", "class"), ("clothing10_train", "label")):
        labels = {}
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf8").splitlines():
            row = json.loads(line)
            labels[row["file"]] = sources.plain(row[field])
        with tarfile.open(folder / f"{name}.tar") as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file and member.name in labels:
                    found.append((file.read(), labels[member.name]))
    return found
