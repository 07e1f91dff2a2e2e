"""Pictures with captions: Karpathy's splits, BLIP's lists, and lines of the same fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from mmr.errors import BadDataError, shown
from mmr.evaluate.protocols.files import field, numbers, placed, texts
from mmr.evaluate.protocols.names import number

CAPTIONS = 5


class Captioned(NamedTuple):
    """A picture of a test split: its number, usual path and captions as (number, text), in file order."""

    id: str
    path: str
    captions: tuple[tuple[str, str], ...]


def is_captions(data: Any) -> bool:
    """Whether parsed JSON is one of the forms that `captioned` reads."""
    if isinstance(data, dict):
        return isinstance(data.get("images"), list)
    one = data[0] if isinstance(data, list) and data else None
    return isinstance(one, dict) and bool(one.keys() & {"caption", "captions"}) and "pairid" not in one


def captioned(path: str, data: Any) -> list[Captioned]:
    """The test pictures of one file, with their first five captions.

    Karpathy   {"images": [{`filename`, `filepath` (COCO), `cocoid` (COCO; `imgid` is a row number), `split`:
               only "test" counts, "restval" is train, `sentids`, `sentences` [{`raw`, `sentid`}]}]}
    lists      [{`image` or `filename` or `image_id`, `caption` or `captions` [texts], `sentids`}], or a line
               each; without `sentids` a caption's id is its place in the file, five to a picture

    Some pictures have more captions than five; the published figures use the first five.
    Raises `BadDataError` naming the entry for a field that is missing.
    """
    karpathy = isinstance(data, dict)
    found = [
        _karpathy(entry, where) if karpathy else _listed(entry, where, row)
        for row, (where, entry) in enumerate(placed(path, data["images"] if karpathy else data))
        if not karpathy or field(entry, "split", str, where) == "test"
    ]
    if not found:
        raise BadDataError(f'{shown(path)} has no picture whose "split" is "test"', "Is it the right file?")
    return found


def check_distinct(pictures: Sequence[Captioned]) -> None:
    """Raise `BadDataError` for two pictures or two captions of one id."""
    names = [f"picture {picture.id}" for picture in pictures]
    names += [f"caption {name}" for picture in pictures for name, _ in picture.captions]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise BadDataError(f"{twice} is there twice", "Name the files of one split, each once.")


def _karpathy(entry: Any, where: str) -> Captioned:
    file = field(entry, "filename", str, where)
    name = str(field(entry, "cocoid", int, where)) if "cocoid" in entry else number(file)
    folder = entry.get("filepath")
    sentences = field(entry, "sentences", list, where)[:CAPTIONS]
    captions = [(str(field(one, "sentid", int, where)), field(one, "raw", str, where)) for one in sentences]
    return _checked(Captioned(name, f"{folder}/{file}" if folder else file, tuple(captions)), where)


def _listed(entry: Any, where: str, row: int) -> Captioned:
    if not isinstance(entry, dict):
        field(entry, "captions", list, where)
    words = texts(entry, "caption" if "caption" in entry else "captions", where)[:CAPTIONS]
    if "image_id" in entry:
        file = str(field(entry, "image_id", int, where))
    else:
        file = field(entry, "image" if "image" in entry else "filename", str, where)
    usual = range(row * CAPTIONS, row * CAPTIONS + len(words))
    ids: Sequence[int] = numbers(entry, "sentids", where)[:CAPTIONS] if "sentids" in entry else usual
    if len(ids) != len(words):
        raise BadDataError(f'{where}: {len(words)} captions, but {len(ids)} "sentids"', "Is the file whole?")
    name, path = number(file), file if "image_id" not in entry else f"COCO_val2014_{int(file):012d}.jpg"
    return _checked(Captioned(name, path, tuple(zip(map(str, ids), words, strict=True))), where)


def _checked(picture: Captioned, where: str) -> Captioned:
    if not picture.captions:
        raise BadDataError(f"{where} has no captions", "Is the file whole?")
    return picture
