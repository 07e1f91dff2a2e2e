"""What is embedded: one record each, and how it says what is to be made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mmr.embed.regions import Parts
from mmr.errors import BadItem, UsageError, shown
from mmr.pictures.decode import PIXELS
from mmr.stream.records import Record, normal_path

if TYPE_CHECKING:
    import numpy as np

    from mmr.pictures.read import Member

    Compose = Callable[[np.ndarray, np.ndarray, str], np.ndarray]

SLOT = "{}"


class Known(Protocol):
    """What an index knows of a picture: the item's id, bytes, seconds since 1970, digest."""

    @property
    def id(self) -> str: ...
    @property
    def size(self) -> int | float | None: ...
    @property
    def mtime(self) -> int | float | None: ...
    @property
    def digest(self) -> str | None: ...


class Item(NamedTuple):
    """One record that wants a vector.

    place  where a tar holds its picture
    known  what an index has of the same file, whose content has perhaps not changed
    named  it stays in the stream, as a record without a vector, also when its picture cannot be read
    """

    record: Record
    place: Member | None = None
    known: Known | None = None
    named: bool = False


class Bind(NamedTuple):
    """A named vector: the field `field`, a path of a picture or words, becomes `bindings[name]`."""

    name: str
    kind: str
    field: str

    def __str__(self) -> str:
        return f"{self.name}={self.kind}:{self.field}"


@dataclass(frozen=True)
class Wanted:
    """What to make of records.

    modality   of a record with picture and words: "image", "text", or "both" (the mean of both unit vectors)
    compose    if given, what makes one query of pictures (n, d), words (n, d) and the spec instead
    templates  words are put into each at {}; the mean of the unit vectors counts
    binds      fields to embed into `bindings`; then no `vector` is made
    parts      if given, which `vectors` are made instead of one `vector`
    facts      add the picture's base folder, size, time and digest to the record
    pixels     pictures with more are bad items
    """

    modality: str = "image"
    compose: Compose | None = None
    templates: tuple[str, ...] = ()
    binds: tuple[Bind, ...] = ()
    parts: Parts | None = None
    facts: bool = True
    pixels: int = PIXELS

    def __post_init__(self) -> None:
        for template in self.templates:
            if SLOT not in template:
                raise UsageError(
                    f"the template {shown(template)!r} has no {{}} for the words", "Put {} into it."
                )


class Plan(NamedTuple):
    """What is read and embedded for one record.

    images, texts  paths and words, in the order of their vectors
    how            "image", "text", "both", "composed" or "bind"
    """

    images: tuple[str, ...]
    texts: tuple[str, ...]
    how: str


def plan(record: Mapping[str, Any], wanted: Wanted, where: str) -> Plan:
    """Say what is to be embedded of a record. Raises `BadItem` when it has not what is wanted."""
    if wanted.binds:
        values: dict[str, list[str]] = {"image": [], "text": []}
        for bind in wanted.binds:
            values[bind.kind] += _bound(record, bind, where)
        return Plan(tuple(values["image"]), tuple(values["text"]), "bind")
    image, text = record.get("image"), record.get("text")
    if image is not None and text is not None and wanted.compose is not None:
        if wanted.parts is not None and not wanted.parts.whole:
            what = "has a picture and words, which do not become several vectors together"
            raise BadItem(where, what, "give it one of both", stage="embed", record=record)
        return Plan((image,), (text,), "composed")
    if image is not None and text is not None and wanted.modality == "both":
        return Plan((image,), (text,), "both")
    if image is not None and (text is None or wanted.modality != "text"):
        return Plan((image,), (), "image")
    if text is not None:
        return Plan((), (text,), "text")
    fix = 'give it "image" or "text"'
    raise BadItem(where, "has no picture and no words", fix, stage="embed", record=record)


def _bound(record: Mapping[str, Any], bind: Bind, where: str) -> list[str]:
    """The paths or words of a bound field, which may be a list."""
    value = record.get(bind.field)
    values: list[Any] = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) for one in values):
        what = f'--bind {bind} needs a string, or a list of strings, in "{bind.field}"'
        raise BadItem(where, what, stage="embed", record=record)
    return values


def step(how: str, wanted: Wanted, encoder: str, record: Mapping[str, Any]) -> str:
    """The line that `via` gets: the encoder, and what of the record and which options made the vector."""
    words = {"both": " image+text", "composed": " composed"}.get(how, "")
    if how == "text" and "image" in record:
        words = " text"
    if how == "bind":
        words = "".join(f" {bind}" for bind in wanted.binds)
    elif wanted.parts is not None:
        words += f" {wanted.parts}"
    templates = wanted.templates if how != "image" else ()
    return f"embed {encoder}{words}" + "".join(f' "{template}"' for template in templates)


def file_of(record: Mapping[str, Any], image: str) -> str:
    """Where a picture of a record lies: relative to its base folder, where it names one."""
    base = record.get("base")
    return image if base is None or os.path.isabs(image) else os.path.join(base, image)


def where_of(record: Mapping[str, Any]) -> str:
    """What a user can look up when the record is bad: its line, its picture."""
    place = getattr(record, "place", None)
    name = shown(str(record.get("image", record.get("id", "?"))))
    return name if place is None else f"{place} ({name})" if "image" in record else str(place)


def renamed(record: Record, rule: str) -> Record:
    """Return the record with the id that a rule gives: "path", "name", "stem" (of its picture), or a field.

    Raises `BadItem` when it has no such field, or one that holds no name.
    """
    image = record.get("image")
    if rule in ("path", "name", "stem"):
        if not isinstance(image, str):
            what = f"has no picture whose {rule} could be its id"
            raise BadItem(where_of(record), what, stage="embed", record=record)
        name = normal_path(image)
        if rule != "path":
            name = os.path.basename(name.rpartition("#")[2] if ".tar#" in name else name)
        value: Any = os.path.splitext(name)[0] if rule == "stem" else name
    else:
        value = record.get(rule)
        value = str(value) if type(value) is int else value
    if not isinstance(value, str) or not value:
        what = f'has no name in "{rule}" that could be its id'
        raise BadItem(where_of(record), what, stage="embed", record=record)
    return Record({**record, "id": value}, record.place)
