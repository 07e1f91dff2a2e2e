"""Everything that the gallery can draw: one row an object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from mmr.demo.palette import Colour
    from mmr.demo.pen import Pen


@dataclass(frozen=True)
class Row:
    """One object.

    name, plural  its nouns; `also` is another noun for it
    drawing       file and function that draw it
    colours       the hues it comes in, the most usual first
    base          the height on its sheet at which it touches the ground
    size          how large it is beside another thing
    floats        it hangs in the air and throws no shadow
    several       the noun is a plural already (grapes)
    """

    name: str
    plural: str
    also: str
    drawing: str
    colours: tuple[str, ...]
    base: float = 93
    size: float = 1.0
    floats: bool = False
    several: bool = False

    @property
    def category(self) -> str:
        """Return the family that the object belongs to: its drawing's file."""
        return self.drawing.partition(":")[0]

    def draw(self, pen: Pen, hue: Colour) -> None:
        """Draw the object with a pen, in a colour."""
        file, _, function = self.drawing.partition(":")
        cast("Callable[[Pen, Colour], None]", getattr(import_module(f"mmr.demo.{file}"), function))(pen, hue)


def _row(name: str, plural: str, also: str, drawing: str, colours: str, **more: float | bool) -> Row:
    return Row(name, plural, also, drawing, tuple(colours.split()), **more)  # type: ignore[arg-type]


ROWS: tuple[Row, ...] = (
    _row("apple", "apples", "apple fruit", "fruit:apple", "red green yellow", base=90, size=0.5),
    _row("pear", "pears", "pear fruit", "fruit:pear", "green yellow", size=0.55),
    _row("banana", "bananas", "banana fruit", "fruit:banana", "yellow green", base=87, size=0.6),
    _row(
        "cherries", "cherries", "cherry fruit", "fruit:cherry", "red purple", base=92, size=0.5, several=True
    ),
    _row("strawberry", "strawberries", "berry", "fruit:strawberry", "red pink", size=0.5),
    _row(
        "grapes", "grapes", "bunch of grapes", "fruit:grapes", "purple green", base=96, size=0.6, several=True
    ),
    _row("lemon", "lemons", "citrus fruit", "fruit:lemon", "yellow green", base=82, size=0.5),
    _row("ice cream", "ice creams", "ice cream cone", "fruit:ice", "pink white", base=95, size=0.65),
    _row("cake", "cakes", "birthday cake", "fruit:cake", "pink blue", size=0.8),
    _row("cat", "cats", "kitten", "animals:cat", "grey orange black white", base=94),
    _row("dog", "dogs", "puppy", "animals:dog", "brown white black", base=94),
    _row("rabbit", "rabbits", "bunny", "animals:rabbit", "white brown grey", base=94, size=0.9),
    _row("bear", "bears", "teddy bear", "animals:bear", "brown white", base=94),
    _row("fish", "fish", "little fish", "animals:fish", "orange blue red", base=84, size=0.7),
    _row("bird", "birds", "small bird", "animals:bird", "blue red yellow", size=0.65),
    _row("owl", "owls", "night owl", "animals:owl", "brown grey", base=94, size=0.85),
    _row("duck", "ducks", "rubber duck", "animals:duck", "yellow white", base=92, size=0.75),
    _row(
        "butterfly",
        "butterflies",
        "winged insect",
        "animals:butterfly",
        "blue orange purple",
        floats=True,
        size=0.55,
    ),
    _row("turtle", "turtles", "tortoise", "animals:turtle", "green brown", base=92, size=0.8),
    _row("penguin", "penguins", "penguin bird", "animals:penguin", "black blue", base=94),
    _row("house", "houses", "cottage", "buildings:house", "blue red yellow", size=1.25),
    _row("castle", "castles", "fortress", "buildings:castle", "grey pink", size=1.3),
    _row("lighthouse", "lighthouses", "light tower", "buildings:lighthouse", "red blue", size=1.3),
    _row("tent", "tents", "camping tent", "buildings:tent", "orange green", base=91, size=1.1),
    _row("windmill", "windmills", "mill", "buildings:windmill", "white red", size=1.25),
    _row("car", "cars", "automobile", "vehicles:car", "red blue yellow green", base=91, size=1.05),
    _row("bus", "buses", "coach", "vehicles:bus", "yellow red blue", base=92, size=1.2),
    _row("bicycle", "bicycles", "bike", "vehicles:bicycle", "blue red green", base=88, size=1.0),
    _row("boat", "boats", "sailing boat", "vehicles:boat", "red blue", base=93, size=1.1),
    _row("train", "trains", "steam train", "vehicles:train", "green red", size=1.2),
    _row("aeroplane", "aeroplanes", "plane", "vehicles:plane", "blue red", floats=True),
    _row("rocket", "rockets", "space rocket", "vehicles:rocket", "red blue", base=97),
    _row("lorry", "lorries", "truck", "vehicles:lorry", "orange green", base=92, size=1.2),
    _row("tree", "trees", "leafy tree", "nature:tree", "green orange", size=1.25),
    _row("fir", "firs", "fir tree", "nature:fir", "green blue", size=1.2),
    _row("flower", "flowers", "blossom", "nature:flower", "pink yellow purple", size=0.7),
    _row("tulip", "tulips", "tulip flower", "nature:tulip", "red yellow", size=0.7),
    _row("cactus", "cacti", "potted cactus", "nature:cactus", "green", base=94, size=0.75),
    _row("mushroom", "mushrooms", "toadstool", "nature:mushroom", "red brown", base=94, size=0.6),
    _row("sun", "suns", "shining sun", "nature:sun", "yellow orange", floats=True, size=0.7),
    _row("moon", "moons", "crescent moon", "nature:moon", "yellow white", floats=True, size=0.65),
    _row("star", "stars", "five-pointed star", "nature:star", "yellow red blue", floats=True, size=0.5),
    _row("cloud", "clouds", "fluffy cloud", "nature:cloud", "white grey", floats=True, size=0.7),
    _row("rain cloud", "rain clouds", "cloud with rain", "nature:rain", "grey white", floats=True, size=0.7),
    _row("rainbow", "rainbows", "rainbow with clouds", "nature:rainbow", "colourful", floats=True),
    _row("leaf", "leaves", "tree leaf", "nature:leaf", "green orange red", floats=True, size=0.5),
    _row("snowman", "snowmen", "snow figure", "nature:snowman", "white", base=94),
    _row("smiling face", "smiling faces", "happy face", "faces:smiling", "yellow green", floats=True),
    _row("laughing face", "laughing faces", "grinning face", "faces:laughing", "yellow orange", floats=True),
    _row("sad face", "sad faces", "crying face", "faces:sad", "yellow blue", floats=True),
    _row(
        "surprised face", "surprised faces", "astonished face", "faces:surprised", "yellow pink", floats=True
    ),
    _row("angry face", "angry faces", "furious face", "faces:angry", "red yellow", floats=True),
    _row("winking face", "winking faces", "face with a wink", "faces:winking", "yellow orange", floats=True),
    _row("sleeping face", "sleeping faces", "tired face", "faces:sleeping", "yellow blue", floats=True),
    _row("loving face", "loving faces", "face with heart eyes", "faces:love", "yellow pink", floats=True),
    _row("cup", "cups", "mug of coffee", "things:cup", "blue red green", size=0.55),
    _row("book", "books", "closed book", "things:book", "green red blue", base=95, size=0.6),
    _row("umbrella", "umbrellas", "parasol", "things:umbrella", "red blue purple", base=92, size=0.95),
    _row("balloon", "balloons", "party balloon", "things:balloon", "red blue yellow", floats=True, size=0.75),
    _row("guitar", "guitars", "acoustic guitar", "things:guitar", "orange brown", base=96, size=0.9),
    _row("clock", "clocks", "alarm clock", "things:clock", "red blue", size=0.6),
    _row("key", "keys", "door key", "things:key", "yellow grey", floats=True, size=0.5),
    _row("ball", "balls", "beach ball", "things:ball", "red blue yellow", size=0.5),
    _row("heart", "hearts", "love heart", "things:heart", "red pink purple", floats=True, size=0.5),
    _row("gift", "gifts", "present", "things:gift", "blue green red", size=0.65),
    _row("lamp", "lamps", "table lamp", "things:lamp", "yellow pink", size=0.85),
    _row("chair", "chairs", "wooden chair", "things:chair", "brown green", base=94, size=1.0),
    _row("hat", "hats", "sun hat", "things:hat", "brown yellow", base=81, size=0.55),
    _row("bell", "bells", "hand bell", "things:bell", "yellow grey", size=0.5),
    _row("camera", "cameras", "photo camera", "things:camera", "grey black", base=84, size=0.6),
    _row("pencil", "pencils", "writing pencil", "things:pencil", "yellow blue", floats=True, size=0.6),
    _row("kite", "kites", "flying kite", "things:kite", "red blue", floats=True, size=0.75),
    _row("anchor", "anchors", "ship's anchor", "things:anchor", "blue black", size=0.8),
)

TABLE: dict[str, Row] = {row.name: row for row in ROWS}
