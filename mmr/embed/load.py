"""Read and decode one picture, on any thread, down to what the encoder takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mmr.errors import BadItem, shown
from mmr.pictures.decode import open_picture
from mmr.pictures.read import Member, digest, read_contents


class Loaded(NamedTuple):
    """A picture ready for the encoder.

    picture      what the encoder takes; None of a file whose digest is the one that was expected
    held         bytes of memory that it holds
    size, mtime  of its file
    """

    picture: Any
    held: int
    size: int
    mtime: float
    digest: str


def load(
    path: str, place: Member | None, expected: str | None, prepare: Callable[[Any], Any] | None, pixels: int
) -> Loaded:
    """Read a picture once, and decode it unless its digest is the expected one.

    prepare  the encoder's own preprocessing, after which the whole picture is let go

    Raises `BadItem`.
    """
    contents = read_contents(path, place)
    found = digest(contents.data)
    facts = (contents.size, contents.mtime, found)
    if found == expected:
        return Loaded(None, 0, *facts)
    picture = open_picture(path, contents.data, pixels=pixels)
    if prepare is None:
        return Loaded(picture, picture.width * picture.height * 3, *facts)
    try:
        return Loaded(prepare(picture), 0, *facts)
    except Exception as error:
        what = f"the model cannot take it ({shown(str(error))})"
        raise BadItem(shown(path), what, stage="embed") from error
