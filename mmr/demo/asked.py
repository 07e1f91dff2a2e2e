"""Questions in words, and which pictures answer them, by rule."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

from mmr.demo import words
from mmr.demo.plan import Picture
from mmr.demo.table import ROWS, TABLE

Asked = Mapping[str, str | int]

LANDSCAPES = {
    "meadow": "green hills with flowers",
    "beach": "a sandy beach",
    "street": "a street in a town",
    "mountains": "mountains with snow on top",
    "room": "a cosy room with a window",
    "snow": "a snowy winter landscape",
    "sea": "waves on the sea",
}


@dataclass(frozen=True)
class Question:
    """A text query: its words, its kind, and the attributes that it asks for."""

    text: str
    kind: str
    asked: dict[str, str | int] = field(hash=False)


def questions(pictures: list[Picture]) -> list[Question]:
    """Return the text queries of a gallery, each text once; every one has an answer among the pictures.

    The kinds take turns and the objects are mixed, so that the first dozen already shows all there is.
    """
    kinds: dict[str, list[Question]] = {}
    for question in {question.text: question for question in _all(pictures)}.values():
        if any(grade(question.asked, picture) == 2 for picture in pictures):
            kinds.setdefault(question.kind, []).append(question)
    for kind, alike in kinds.items():
        random.Random(kind).shuffle(alike)
    turns = zip_longest(*kinds.values())
    return [question for turn in turns for question in turn if question is not None]


def grade(asked: Asked, picture: Picture) -> int:
    """Return how well a picture answers.

    2 when everything that was asked for is right; 1 when the object is right (or the scene, where no object
    was asked for) and something else is wrong, or the sky shows the object; 0 otherwise.
    """
    right = _circumstances(asked, picture)
    if "object" not in asked:
        return 2 if right else int("scene" in asked and asked["scene"] == picture.scene)
    alike = [thing for thing in picture.things() if thing[0] == asked["object"]]
    if not alike:
        return int(len(asked) == 1 and asked["object"] in picture.sky())
    fits = any(
        asked.get("colour", colour) == colour and asked.get("count", count) == count
        for _, colour, count in alike
    )
    return 2 if fits and right else 1


def _circumstances(asked: Asked, picture: Picture) -> bool:
    names = {name for name, _, _ in picture.things()}
    given = {"scene": picture.scene, "time": picture.time, "style": picture.style}
    return (
        all(asked.get(key, value) == value for key, value in given.items())
        and asked.get("with", picture.object) in names
    )


def _all(pictures: list[Picture]) -> Iterator[Question]:
    yield from _about_objects()
    for picture in pictures:
        yield from _about(picture)
    for scene, text in LANDSCAPES.items():
        yield Question(text, "scene", {"scene": scene})
        yield Question(f"{text} at night", "time", {"scene": scene, "time": "night"})
    for style, text in (("outline", "a line drawing"), ("sketch", "a pencil sketch")):
        yield Question(text, "style", {"style": style})


def _about_objects() -> Iterator[Question]:
    for i, row in enumerate(ROWS):
        yield Question(words.noun(row, also=i % 3 == 2), "object", {"object": row.name})
        for colour in row.colours[:2] if len(row.colours) > 1 else ():
            yield Question(words.noun(row, colour), "colour", {"object": row.name, "colour": colour})


def _about(picture: Picture) -> Iterator[Question]:
    """Yield what a picture makes one ask: the one thing that is particular to it, or all of it."""
    row, asked = TABLE[picture.object], {"object": picture.object}
    kind = _kind(picture)
    if kind == "count":
        text = words.noun(row, None, picture.count)
        yield Question(text, kind, {**asked, "count": picture.count})
    elif kind == "style":
        pattern = words.STYLES[picture.style][len(row.name) % 2]
        yield Question(pattern.format(words.noun(row)), kind, {**asked, "style": picture.style})
    elif kind == "with" and picture.other:
        text = f"{words.noun(row)} and {words.noun(TABLE[picture.other])}"
        yield Question(text, kind, {**asked, "with": picture.other})
    elif kind == "scene":
        text = f"{words.noun(row)} {words.SCENES[picture.scene][len(row.name) % 2]}"
        yield Question(text, kind, {**asked, "scene": picture.scene})
    elif kind == "time" and picture.time:
        text = f"{words.noun(row)} {words.TIMES[picture.time][0]}"
        yield Question(text, kind, {**asked, "time": picture.time})
    elif kind == "combination":
        yield Question(words.phrase(picture), kind, _everything(picture))


def _kind(picture: Picture) -> str:
    """Return which kind of question a picture is good for."""
    if picture.other:
        return "with"
    if picture.scene == "plain":
        if picture.count > 1:
            return "count" if picture.style == "filled" else "combination"
        return "style" if picture.style != "filled" else ""
    if picture.count > 1 or picture.style != "filled" or picture.colour != TABLE[picture.object].colours[0]:
        return "combination"
    return "scene" if picture.time == "day" else "time"


def _everything(picture: Picture) -> dict[str, str | int]:
    asked: dict[str, str | int] = {"object": picture.object, "colour": picture.colour, "scene": picture.scene}
    if picture.count > 1:
        asked["count"] = picture.count
    if picture.time and picture.time != "day":
        asked["time"] = picture.time
    if picture.style != "filled":
        asked["style"] = picture.style
    return asked
