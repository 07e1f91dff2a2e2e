"""Words for colours, counts, places, times and styles, and sentences made of them."""

from __future__ import annotations

import random
from dataclasses import dataclass

COLOURS = {
    "red": (214, 40, 40), "orange": (240, 140, 30), "yellow": (246, 210, 50), "green": (60, 160, 70),
    "blue": (50, 100, 210), "purple": (130, 70, 170), "pink": (240, 130, 175), "brown": (130, 85, 50),
    "black": (30, 30, 32), "white": (246, 246, 246), "grey": (140, 143, 148),
}  # fmt: skip
PLACES = {
    "beach": ("on the beach", "at the beach", "on the sand", "by the sea", "beach"),
    "sea": ("at sea", "on the sea", "on the water", "in the ocean", "by the sea", "sea"),
    "meadow": ("in a meadow", "on the grass", "in a field", "in the countryside", "meadow"),
    "street": ("on a street", "in the street", "on the road", "in town", "street"),
    "city": ("in the city", "in front of buildings", "in front of skyscrapers", "city"),
    "forest": ("in the forest", "in the woods", "among trees", "forest"),
    "mountains": ("in the mountains", "in front of mountains", "mountains"),
    "snow": ("in the snow", "in winter", "on snow", "snow"),
    "desert": ("in the desert", "on a dune", "desert"),
    "room": ("in a room", "indoors", "inside a house", "in the kitchen", "room"),
    "table": ("on a table", "on a desk"),
    "sky": ("in the sky", "among clouds", "sky"),
    "space": ("in space", "among the stars", "outer space"),
    "lake": ("by a lake", "by the river", "at the lake", "lake"),
    "park": ("in a park", "in the garden", "park"),
}
TIMES = {
    "day": ("by day", "in daylight", "on a sunny day", "in the sunshine"),
    "night": ("at night", "by night", "in the dark", "in the moonlight"),
    "sunset": ("at sunset", "at dusk", "in the evening"),
}
STYLES = {
    "flat": (
        "a drawing of {}", "clip art of {}", "a picture of {}", "an illustration of {}", "an icon of {}",
    ),
    "outline": (
        "{} as an outline", "an outline of {}", "a line drawing of {}", "line art of {}", "{}, outline",
    ),
    "sketch": ("{} as a sketch", "a sketch of {}", "a pencil sketch of {}", "{}, as a sketch", "{}, sketch"),
}  # fmt: skip
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
PLURALS = {
    "mouse": "mice", "man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet",
    "tooth": "teeth", "goose": "geese", "fish": "fish", "sheep": "sheep", "deer": "deer", "leaf": "leaves",
    "wolf": "wolves", "knife": "knives", "loaf": "loaves", "shelf": "shelves", "scissors": "scissors",
    "glasses": "glasses", "trousers": "trousers", "shoes": "shoes", "potato": "potatoes",
    "tomato": "tomatoes",
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What a picture shows. An empty field is not known or not there."""

    subject: str
    count: int = 1
    colour: str = ""
    second: str = ""
    place: str = ""
    time: str = ""
    style: str = ""


def plural(name: str) -> str:
    """Put the last word of a name into the plural: `party hat` gives `party hats`."""
    *front, last = name.split()
    if last in PLURALS:
        last = PLURALS[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in set("aeiou"):
        last = last[:-1] + "ies"
    else:
        last += "s"
    return " ".join([*front, last])


def with_article(words: str) -> str:
    """Put `a` or `an` before a name."""
    return ("an " if words[:1] in set("aeiou") else "a ") + words


def caption(scene: Scene, rng: random.Random, thorough: float = 0.75) -> str:
    """Say what a scene shows; each known detail is named with probability `thorough`."""

    def named(detail: str) -> bool:
        return bool(detail) and rng.random() < thorough

    colour = f"{scene.colour} " if named(scene.colour) else ""
    if scene.count > 1:
        number = NUMBERS[scene.count] if rng.random() < thorough else rng.choice(("", "some", "several"))
        words = f"{number} {colour}{plural(scene.subject)}".strip()
    elif rng.random() < 0.25:
        words = colour + scene.subject
    else:
        words = (
            with_article(colour + scene.subject) if rng.random() < 0.85 else f"one {colour}{scene.subject}"
        )
    if scene.second:
        words += rng.choice((" and ", " and ", " with ", " next to ")) + with_article(scene.second)
    details = []
    if named(scene.place):
        details.append(rng.choice(PLACES[scene.place][:-1]))
    if named(scene.time) and (scene.time != "day" or rng.random() < 0.4):
        details.append(rng.choice(TIMES[scene.time]))
    words = " ".join([words, *details])
    if named(scene.style) and (scene.style != "flat" or rng.random() < 0.3):
        words = rng.choice(STYLES[scene.style]).format(words)
    return words


def changed(scene: Scene, rng: random.Random) -> Scene:
    """Change one known detail to another value: what the picture does not show."""
    fields = ["count"]
    fields += [name for name in ("colour", "place", "time", "style") if getattr(scene, name)]
    field = rng.choice(fields)
    values = dict(scene.__dict__)
    if field == "count":
        values["count"] = rng.choice([n for n in (1, 2, 3, 4) if n != scene.count])
    else:
        known = {"colour": list(COLOURS), "place": list(PLACES), "time": list(TIMES), "style": list(STYLES)}
        values[field] = rng.choice([name for name in known[field] if name != values[field]])
    return Scene(**values)


def random_scene(subjects: list[str], rng: random.Random) -> Scene:
    """Invent a scene for the text table: any subject, any details."""
    return Scene(
        subject=rng.choice(subjects),
        count=rng.choice((1, 1, 1, 1, 2, 3, 4)),
        colour=rng.choice(list(COLOURS)) if rng.random() < 0.45 else "",
        second=rng.choice(subjects) if rng.random() < 0.12 else "",
        place=rng.choice(list(PLACES)) if rng.random() < 0.45 else "",
        time=rng.choice(("day", "night", "night", "sunset")) if rng.random() < 0.4 else "",
        style=rng.choice(list(STYLES)) if rng.random() < 0.4 else "",
    )
