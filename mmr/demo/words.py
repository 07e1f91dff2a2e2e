"""Captions and other wordings for what a picture shows."""

from __future__ import annotations

from mmr.demo.plan import COUNTS, Picture
from mmr.demo.table import TABLE, Row

SCENES: dict[str, tuple[str, str, str]] = {
    "plain": ("", "", ""),
    "meadow": ("in a meadow", "on the green grass", "in the countryside"),
    "beach": ("on the beach", "by the seaside", "on the sand"),
    "street": ("in the street", "in a town", "on a city road"),
    "mountains": ("in the mountains", "in front of high peaks", "below snowy peaks"),
    "room": ("in a room", "indoors by a window", "at home"),
    "snow": ("in the snow", "on snowy ground", "in winter"),
    "sea": ("on the sea", "on the water", "out at sea"),
}
TIMES: dict[str, tuple[str, str, str]] = {
    "day": ("", "by day", "in daylight"),
    "sunset": ("at sunset", "in the evening light", "as the sun goes down"),
    "night": ("at night", "after dark", "in the moonlight"),
}
STYLES: dict[str, tuple[str, str, str]] = {
    "filled": ("{}", "a picture of {}", "{}, in flat colours"),
    "outline": ("an outline of {}", "a line drawing of {}", "{}, drawn as an outline"),
    "sketch": ("a sketch of {}", "a pencil drawing of {}", "{}, sketched by hand"),
}
BESIDE = ("with", "and", "beside")


def captions(picture: Picture) -> list[str]:
    """Return three captions of different wording for a picture."""
    return [phrase(picture, wording) for wording in range(3)]


def phrase(picture: Picture, wording: int = 0) -> str:
    """Return what a picture shows, in one of three wordings."""
    first = noun(TABLE[picture.object], picture.colour, picture.count, also=wording == 1)
    if picture.other and picture.other_colour:
        first = f"{first} {BESIDE[wording]} {noun(TABLE[picture.other], picture.other_colour)}"
    where = SCENES[picture.scene][wording]
    when = TIMES[picture.time][wording] if picture.time else ""
    return STYLES[picture.style][wording].format(" ".join(part for part in (first, where, when) if part))


def noun(row: Row, colour: str | None = None, count: int = 1, also: bool = False) -> str:
    """Return an object with its number or article and its colour: "a red apple", "two grey cats"."""
    if count > 1:
        return " ".join(part for part in (COUNTS[count], colour, row.plural) if part)
    words = " ".join(part for part in (colour, row.also if also else row.name) if part)
    return words if row.several and not also else f"{article(words)} {words}"


def article(words: str) -> str:
    """Return the article that goes before the words, by their first letter."""
    return "an" if words[0] in "aeiou" else "a"
