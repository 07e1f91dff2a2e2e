"""The colours of the gallery: named hues, the light of each time of day, and the papers to draw on."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]

HUES: dict[str, Colour] = {
    "red": (226, 68, 66),
    "orange": (245, 146, 55),
    "yellow": (250, 203, 66),
    "green": (98, 176, 92),
    "blue": (66, 139, 214),
    "purple": (146, 98, 190),
    "pink": (244, 144, 172),
    "brown": (157, 106, 68),
    "grey": (150, 158, 170),
    "black": (62, 64, 76),
    "white": (250, 249, 246),
    "colourful": (250, 249, 246),
}

INK: Colour = (58, 56, 70)
WHITE: Colour = (255, 255, 255)
CREAM: Colour = (255, 246, 226)
LEAF: Colour = (110, 176, 96)
WOOD: Colour = (150, 104, 72)
STEEL: Colour = (196, 204, 214)
GLASS: Colour = (190, 224, 240)
BLUSH: Colour = (246, 150, 140)
RED: Colour = HUES["red"]
BLUE: Colour = HUES["blue"]
GOLD: Colour = (250, 200, 76)

PAPERS: tuple[Colour, ...] = (
    (253, 239, 216),
    (220, 237, 247),
    (226, 242, 226),
    (249, 228, 234),
    (234, 230, 248),
    (252, 245, 226),
)
DEEP_PAPERS: tuple[Colour, ...] = ((186, 214, 236), (206, 200, 236), (176, 216, 208))


@dataclass(frozen=True)
class Light:
    """What a time of day does to colours.

    sky     three colours, from the top to the horizon
    wash    the colour that everything takes on, and by how much: far things, near things
    gain    a factor for each channel, taken before the wash
    paper   what outlines and sketches are drawn on
    """

    sky: tuple[Colour, Colour, Colour]
    gain: tuple[float, float, float]
    wash: Colour
    far: float
    near: float
    paper: Colour
    dark: bool = False


LIGHTS: dict[str, Light] = {
    "day": Light(
        ((126, 194, 238), (176, 219, 245), (226, 242, 249)), (1, 1, 1), WHITE, 0, 0, (250, 250, 247)
    ),
    "sunset": Light(
        ((110, 96, 168), (240, 134, 122), (255, 206, 130)),
        (1.0, 0.88, 0.86),
        (226, 104, 122),
        0.27,
        0.06,
        (255, 229, 206),
    ),
    "night": Light(
        ((16, 22, 58), (32, 44, 94), (64, 80, 138)),
        (0.74, 0.79, 0.94),
        (26, 36, 88),
        0.5,
        0.06,
        (35, 44, 84),
        True,
    ),
}


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return the colour that lies `share` (0 to 1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float = 0.25) -> Colour:
    """Return a deeper colour; the shade leans towards a cool violet, as shadows outdoors do."""
    return mix(colour, (48, 34, 84), share)


def lighter(colour: Colour, share: float = 0.35) -> Colour:
    """Return a paler colour, leaning towards warm white."""
    return mix(colour, (255, 252, 244), share)


def lit(colour: Colour, light: Light, near: bool) -> Colour:
    """Return a colour as it looks in a light; near things keep more of their own colour than far ones."""
    strength, share = (light.near, 0.4) if near else (light.far, 1)
    red, green, blue = (round(c * (1 - share + share * g)) for c, g in zip(colour, light.gain, strict=True))
    return mix((red, green, blue), light.wash, strength)


def accent(hue: Colour) -> Colour:
    """Return red for a small part of something in cool colours, blue for a part of something in warm ones."""
    return RED if hue[0] < 200 else BLUE


def lightness(colour: Colour) -> float:
    """Return how light a colour looks, 0 (black) to 255 (white)."""
    red, green, blue = colour
    return 0.3 * red + 0.59 * green + 0.11 * blue
