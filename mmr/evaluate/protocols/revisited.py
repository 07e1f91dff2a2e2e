"""Revisited Oxford and Paris: 70 buildings, easy, medium and hard, with junk that takes no place."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

from mmr.errors import BadDataError, shown
from mmr.evaluate.protocols.files import expanded, field, load_bytes, numbers, parse_json, texts
from mmr.evaluate.protocols.names import Pictures, stem
from mmr.evaluate.protocols.task import Options, Query, Task, means, shallow

MEASURES = ("AP(norm=trapezoid)", "mP@1", "mP@5", "mP@10")
# What is right and what is junk, in each setup.
SETUPS = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}


class Building(NamedTuple):
    """One question: its picture, the box to cut out of it, and places in the list of pictures."""

    name: str
    box: list[float]
    places: Mapping[str, Sequence[int]]


def read(setup: str, paths: Sequence[str], options: Options) -> Task:
    """Read `gnd_roxford5k.pkl` or `gnd_rparis6k.pkl`, or JSON of the same shape.

    `imlist` names of the gallery, `qimlist` names of the queries, `gnd` for each query `bbx` [x1, y1, x2, y2]
    (the authors cut the query out of its picture), `easy`, `hard`, `junk`: places in `imlist`, from 0

    A pickle is read without running anything: it may hold lists, objects, text and numbers alone.
    The pictures of queries lie in the same folder and are no part of the gallery. Queries without positives
    are left out. AP needs whole rankings: of one cut short it is a lower bound.
    """
    files = expanded(paths, ("gnd_*.pkl", "gnd_*.json"))
    if len(files) != 1:
        raise BadDataError(
            f"{len(files)} files of judgements", "Name one: gnd_roxford5k.pkl or gnd_rparis6k.pkl."
        )
    names, buildings = _read(files[0])
    good, bad = SETUPS[setup]
    qrels: dict[str, dict[str, int]] = {}
    for building in buildings:
        right = {names[place]: 1 for kind in good for place in building.places[kind]}
        junk = {names[place]: -1 for kind in bad for place in building.places[kind]}
        if right:
            qrels[building.name] = {**junk, **right}
    without = len(buildings) - len(qrels)
    among = dict.fromkeys(qrels, frozenset(names))
    return Task(
        said=f"gallery: the {len(names):,} listed pictures; positive: {' and '.join(good)}, junk:"
        f" {' and '.join(bad)}; junk takes no place; AP(norm=trapezoid) (mAP) and mP@1, 5, 10"
        + (f"; {without} queries without positives are left out" if without else ""),
        qrels=qrels, measures=(*MEASURES, "NumRet"), figures=lambda scored: means(scored, MEASURES),
        queries=lambda: _queries(buildings, options),
        among=among, only=True, short=shallow(len(names), among), renamed=stem,
    )  # fmt: skip


easy, medium, hard = (partial(read, setup) for setup in SETUPS)


class _Plain(pickle.Unpickler):
    """Reads a pickle of builtin values and refuses every name that would be imported."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _unpickled(data: bytes, path: str) -> Any:
    try:
        return _Plain(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise BadDataError(
            f"{shown(path)} is no pickle of plain values: {shown(str(error))}", "Is the download complete?"
        ) from None


def _read(path: str) -> tuple[list[str], list[Building]]:
    data = load_bytes(path)
    text = data.lstrip().startswith(b"{")
    loaded: Callable[[bytes, str], Any] = parse_json if text else _unpickled
    whole, where = loaded(data, path), shown(path)
    names = [stem(name) for name in texts(whole, "imlist", where)]
    asked = [stem(name) for name in texts(whole, "qimlist", where)]
    truths = field(whole, "gnd", list, where)
    if len(truths) != len(asked):
        raise BadDataError(f"{where}: {len(asked)} queries, but {len(truths)} in gnd", "Is the file whole?")
    if len({*names, *asked}) < len(names) + len(asked):
        raise BadDataError(f"{where}: a picture is listed twice", "Is the file whole?")
    buildings = []
    for row, (name, truth) in enumerate(zip(asked, truths, strict=True)):
        place = f"{where} gnd {row}"
        places = {kind: numbers(truth, kind, place) for kind in ("easy", "hard", "junk")}
        if not all(0 <= number < len(names) for found in places.values() for number in found):
            raise BadDataError(f"{place} names a place outside imlist", "Is the file whole?")
        buildings.append(Building(name, field(truth, "bbx", list, place), places))
    return names, buildings


def _queries(buildings: Sequence[Building], options: Options) -> Iterator[Query]:
    pictures = Pictures(options.images, stem)
    exclude = [name for one in buildings for name in pictures.both(one.name, f"jpg/{one.name}.jpg")]
    for one in buildings:
        image = pictures.path(one.name, f"jpg/{one.name}.jpg")
        yield {"id": one.name, "image": image, "bbx": one.box, "exclude": exclude}
