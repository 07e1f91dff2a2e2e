"""Which pictures the gallery holds: not every combination, but each that a question or an edit needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mmr.demo.pen import Style
from mmr.demo.table import ROWS, TABLE

COUNTS = {1: "one", 2: "two", 3: "three"}
TIMES = ("day", "sunset", "night")


@dataclass(frozen=True)
class Picture:
    """What one picture shows. A plain one has no time of day; `other` is a second thing beside the first."""

    object: str
    colour: str
    count: int = 1
    scene: str = "plain"
    time: str | None = None
    style: Style = "filled"
    other: str | None = None
    other_colour: str | None = None

    @property
    def name(self) -> str:
        """Return the speaking name: what is usual (one, plain, day, filled) goes without saying."""
        parts = [self.object, self.colour]
        if self.count > 1:
            parts.append(COUNTS[self.count])
        if self.other and self.other_colour:
            parts += ["with", self.other, self.other_colour]
        if self.scene != "plain":
            parts.append(self.scene)
        if self.time in ("sunset", "night"):
            parts.append(self.time)
        if self.style != "filled":
            parts.append(self.style)
        return "-".join(parts).replace(" ", "-")

    @property
    def id(self) -> str:
        """Return the picture's path below the gallery's folder."""
        return f"pictures/{self.name}.png"

    def things(self) -> list[tuple[str, str, int]]:
        """Return (object, colour, count) of what stands in the foreground."""
        first = [(self.object, self.colour, self.count)]
        return [*first, (self.other, self.other_colour, 1)] if self.other and self.other_colour else first

    def sky(self) -> tuple[str, ...]:
        """Return what else can be seen: the sun at sunset, the moon at night."""
        return {"sunset": ("sun",), "night": ("moon", "star")}.get(self.time or "", ())


BOTH_STYLES = """apple pear banana strawberry cat dog rabbit fish bird owl butterfly house castle car bicycle
boat train tree flower cactus mushroom sun moon star cup umbrella guitar clock key heart hat camera"""

COUNTED = """apple pear strawberry lemon cat dog rabbit fish bird duck penguin car boat tree tulip mushroom
star cup balloon ball heart book key"""

PLACES: tuple[tuple[str, str, str, bool], ...] = (
    ("cat", "grey", "meadow room snow", True),
    ("dog", "brown", "beach meadow street", True),
    ("rabbit", "white", "meadow snow", False),
    ("bear", "brown", "room mountains", False),
    ("owl", "brown", "mountains snow", False),
    ("duck", "yellow", "sea meadow", True),
    ("boat", "red", "sea", True),
    ("boat", "blue", "sea", True),
    ("house", "blue", "meadow mountains snow", True),
    ("castle", "grey", "mountains meadow", True),
    ("lighthouse", "red", "beach", True),
    ("tent", "orange", "mountains beach", True),
    ("car", "red", "street mountains", True),
    ("car", "blue", "street", False),
    ("bus", "yellow", "street", True),
    ("bicycle", "blue", "street beach", False),
    ("tree", "green", "meadow mountains", False),
    ("umbrella", "red", "beach street", False),
    ("snowman", "white", "snow", True),
    ("penguin", "black", "snow", True),
    ("windmill", "white", "meadow", True),
    ("kite", "red", "beach meadow", False),
    ("guitar", "orange", "room beach", False),
)

PAIRS: tuple[tuple[str, str, str, str, str], ...] = (
    ("cat", "grey", "ball", "red", "meadow"),
    ("cat", "grey", "book", "green", "room"),
    ("dog", "brown", "ball", "blue", "beach"),
    ("dog", "brown", "umbrella", "red", "street"),
    ("rabbit", "white", "tulip", "red", "meadow"),
    ("penguin", "black", "snowman", "white", "snow"),
    ("house", "blue", "tree", "green", "meadow"),
    ("car", "red", "tree", "green", "mountains"),
    ("tent", "orange", "fir", "green", "mountains"),
    ("bicycle", "blue", "balloon", "yellow", "street"),
    ("lighthouse", "red", "umbrella", "red", "beach"),
    ("bear", "brown", "balloon", "red", "plain"),
    ("guitar", "orange", "chair", "brown", "room"),
    ("apple", "red", "cup", "blue", "plain"),
    ("apple", "red", "banana", "yellow", "plain"),
    ("pear", "green", "cherries", "red", "plain"),
    ("owl", "brown", "moon", "yellow", "plain"),
    ("lamp", "yellow", "book", "red", "plain"),
    ("cake", "pink", "gift", "blue", "plain"),
    ("cat", "black", "hat", "brown", "plain"),
    ("hat", "brown", "umbrella", "red", "plain"),
    ("cat", "orange", "fish", "blue", "plain"),
)

EXTRAS: tuple[Picture, ...] = (
    *(Picture("cat", "grey", n, "meadow", "day") for n in (2, 3)),
    *(Picture("cat", "grey", 2, "meadow", time) for time in ("sunset", "night")),
    *(Picture("boat", "red", n, "sea", time) for n in (2, 3) for time in ("day", "night")),
    *(Picture("tree", "green", n, "meadow", "day") for n in (2, 3)),
    *(Picture("car", "red", 2, "street", time) for time in ("day", "night")),
    *(Picture("penguin", "black", n, "snow", "day") for n in (2, 3)),
    *(Picture("cat", colour, 1, "meadow", "day") for colour in ("orange", "black")),
    *(
        Picture("house", colour, 1, "meadow", time)
        for colour in ("red", "yellow")
        for time in ("day", "night")
    ),
    Picture("umbrella", "blue", 1, "beach", "day"),
    Picture("kite", "blue", 1, "meadow", "day"),
)

DRAWN: tuple[tuple[str, str, str], ...] = (
    ("cat", "grey", "meadow"),
    ("dog", "brown", "beach"),
    ("house", "blue", "mountains"),
    ("boat", "red", "sea"),
    ("car", "red", "street"),
    ("snowman", "white", "snow"),
    ("cat", "grey", "room"),
)


def pictures() -> list[Picture]:
    """Return every picture of the gallery once, in a fixed order."""
    return list(dict.fromkeys(_all()))


def _all() -> Iterator[Picture]:
    for row in ROWS:
        yield from (Picture(row.name, colour) for colour in row.colours)
    yield from _styled()
    for name in COUNTED.split():
        yield from (Picture(name, TABLE[name].colours[0], count) for count in (2, 3))
    for name in COUNTED.split()[::4]:
        yield Picture(name, TABLE[name].colours[1], 2)
    for name, colour, scenes, at_sunset in PLACES:
        for scene in scenes.split():
            yield from (Picture(name, colour, 1, scene, t) for t in TIMES if t != "sunset" or at_sunset)
    yield from EXTRAS
    for name, colour, scene in DRAWN:
        base = Picture(name, colour, 1, scene, "day")
        yield from (replace(base, style=style, time=time) for style in _drawn() for time in ("day", "night"))
    for first, hue, second, other, scene in PAIRS:
        both = Picture(first, hue, 1, scene, None if scene == "plain" else "day", "filled", second, other)
        yield from (both, first_alone(both), second_alone(both))


def _styled() -> Iterator[Picture]:
    both = BOTH_STYLES.split()
    for i, row in enumerate(ROWS):
        base = Picture(row.name, row.colours[0])
        for style in _drawn() if row.name in both else (_drawn()[i % 2],):
            yield replace(base, style=style)


def _drawn() -> tuple[Style, Style]:
    return "outline", "sketch"


def first_alone(picture: Picture) -> Picture:
    """Return the picture without its second thing."""
    return replace(picture, other=None, other_colour=None)


def second_alone(picture: Picture) -> Picture:
    """Return the picture without its first thing; it must have a second one."""
    if picture.other is None or picture.other_colour is None:
        raise ValueError(f"{picture.name} shows one thing only")
    return replace(
        picture, object=picture.other, colour=picture.other_colour, count=1, other=None, other_colour=None
    )
