"""Composed queries: a picture, words that change it, and the picture that comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mmr.demo import words
from mmr.demo.plan import COUNTS, Picture, first_alone, second_alone
from mmr.demo.table import TABLE

TO_TIME = {
    "day": ("by day", "in bright daylight", "the same during the day"),
    "sunset": ("at sunset", "the same at sunset", "in the evening"),
    "night": ("the same at night", "at night", "but after dark"),
}
TO_STYLE = {
    "filled": ("in full colour", "coloured in", "painted in flat colours"),
    "outline": ("as an outline", "as a line drawing", "only the outlines"),
    "sketch": ("as a sketch", "drawn with a pencil", "as a pencil sketch"),
}
TO_SCENE = ("the same {}", "{} instead", "but {}")
TO_COLOUR = ("in {}", "make it {}", "the same but {}")
TO_COUNT = ("{} of them", "make it {}", "the same, but {}")
WITH = ("with {}", "add {}", "and {} too")
WITHOUT = ("without the {}", "remove the {}", "take away the {}")
LIMITS = {"colour": 44, "count": 44, "style": 56, "scene": 36, "time": 64}


@dataclass(frozen=True)
class Edit:
    """One composed query: from the reference, by the words, to the target."""

    kind: str
    reference: Picture
    text: str
    target: Picture


def edits(pictures: list[Picture]) -> list[Edit]:
    """Return the composed queries of a gallery; reference and target differ in the edited attribute alone."""
    known = set(pictures)
    result: list[Edit] = []
    for kind, limit in LIMITS.items():
        found = [(a, b) for a in pictures for b in _variants(a, kind) if b in known]
        chosen = [found[i * len(found) // limit] for i in range(limit)] if len(found) > limit else found
        result += [Edit(kind, a, _wording(kind, b, i), b) for i, (a, b) in enumerate(chosen)]
    return result + list(_pairs(pictures))


def _variants(picture: Picture, kind: str) -> Iterator[Picture]:
    """Yield the pictures that differ from this one in one attribute, whether or not they were drawn."""
    if kind == "colour" and picture.count == 1 and picture.style == "filled":
        yield from (replace(picture, colour=c) for c in TABLE[picture.object].colours if c != picture.colour)
    elif kind == "count":
        yield from (replace(picture, count=n) for n in COUNTS if n != picture.count)
    elif kind == "style":
        yield from (replace(picture, style=s) for s in ("filled", "outline", "sketch") if s != picture.style)
    elif kind == "scene" and picture.time:
        yield from (replace(picture, scene=s) for s in words.SCENES if s not in (picture.scene, "plain"))
    elif kind == "time" and picture.time:
        yield from (replace(picture, time=t) for t in TO_TIME if t != picture.time)


def _wording(kind: str, target: Picture, turn: int) -> str:
    """Return words that ask for the target's value of one attribute."""
    turn %= 3
    if kind == "time" and target.time:
        return TO_TIME[target.time][turn]
    if kind == "style":
        return TO_STYLE[target.style][turn]
    if kind == "colour":
        return TO_COLOUR[turn].format(target.colour)
    if kind == "count":
        return "only one of them" if target.count == 1 else TO_COUNT[turn].format(COUNTS[target.count])
    return TO_SCENE[turn].format(words.SCENES[target.scene][0])


def _pairs(pictures: list[Picture]) -> Iterator[Edit]:
    """Yield removals and additions: from two things to either of them, and back."""
    for turn, both in enumerate(picture for picture in pictures if picture.other):
        first, second = first_alone(both), second_alone(both)
        names = {
            first: words.noun(TABLE[first.object], first.colour),
            second: words.noun(TABLE[second.object], second.colour),
        }
        for alone, gone in ((first, second), (second, first)):
            yield Edit("removal", both, WITHOUT[turn % 3].format(gone.object), alone)
            yield Edit("addition", alone, WITH[turn % 3].format(names[gone]), both)
