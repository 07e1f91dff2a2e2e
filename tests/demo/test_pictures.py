"""The pictures themselves: something is on each, no two are alike, and styles, times and colours show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image, ImageChops, ImageStat

from mmr.demo.palette import HUES
from mmr.demo.plan import Picture, pictures
from mmr.demo.render import SIDE, render
from mmr.demo.table import ROWS, TABLE, Row


@pytest.fixture(scope="module")
def every() -> Iterator[dict[Picture, Image.Image]]:
    yield {
        picture: render(picture)
        for picture in sorted(pictures(), key=lambda p: (p.scene, p.time or "", p.style))
    }


def spread(image: Image.Image) -> float:
    """Return how much the picture varies: the mean deviation of its channels."""
    return sum(ImageStat.Stat(image).stddev) / 3


def difference(first: Image.Image, second: Image.Image) -> float:
    """Return the mean difference of two pictures, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(first, second)).mean) / 3


def test_none_is_blank_and_all_are_of_one_size(every: dict[Picture, Image.Image]) -> None:
    assert {(image.size, image.mode) for image in every.values()} == {((SIDE, SIDE), "RGB")}
    assert [picture.name for picture, image in every.items() if spread(image) < 4] == []


def test_no_two_are_alike(every: dict[Picture, Image.Image]) -> None:
    small = {picture: image.reduce(8).tobytes() for picture, image in every.items()}
    assert len(set(small.values())) == len(every) == len(pictures())


def test_styles_differ(every: dict[Picture, Image.Image]) -> None:
    styled = [picture for picture in every if picture.style != "filled"]
    assert {picture.object for picture in styled} == set(TABLE)
    for picture in styled:
        filled = every[replace(picture, style="filled")]
        assert difference(every[picture], filled) > 2, picture.name


def test_night_is_darker_than_day(every: dict[Picture, Image.Image]) -> None:
    nights = [picture for picture in every if picture.time == "night"]
    assert nights
    for picture in nights:
        day = ImageStat.Stat(every[replace(picture, time="day")].convert("L")).mean[0]
        assert ImageStat.Stat(every[picture].convert("L")).mean[0] < day - 30, picture.name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_a_row_is_whole(row: Row) -> None:
    assert row.colours
    assert set(row.colours) <= set(HUES)
    assert row.category in ("fruit", "animals", "buildings", "vehicles", "nature", "faces", "things")
    assert row.name != row.also
    assert 80 <= row.base <= 100


def test_every_object_has_a_portrait_in_each_colour(every: dict[Picture, Image.Image]) -> None:
    assert {Picture(row.name, colour) for row in ROWS for colour in row.colours} <= set(every)
