"""FashionIQ: a garment and two captions of how another differs, in three categories."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmr.errors import BadDataError, shown
from mmr.evaluate.protocols.files import expanded, field, load_json, placed, put, texts, unknown_file
from mmr.evaluate.protocols.names import Pictures, stem
from mmr.evaluate.protocols.task import Figure, Options, Query, Task, across, by_part, shallow
from mmr.evaluate.scored import Scored

CATEGORY = re.compile(r"dress|shirt|toptee")
MEASURES = ("hit@10", "hit@50")
JOINED = " and "
AROUND = " .?,"


class Change(NamedTuple):
    """One question: id, category, reference, its captions joined in both orders, target (None: hidden)."""

    id: str
    category: str
    reference: str
    texts: tuple[str, str]
    target: str | None


def original(paths: Sequence[str], options: Options) -> Task:
    """Read FashionIQ with the galleries of the split files: see `_read`."""
    changes, splits = _read(paths, "fashioniq")
    absent = sorted({change.category for change in changes} - splits.keys())
    gallery = "gallery: the category's split"
    if absent:
        gallery += f", of {', '.join(absent)} all that was searched"
    return _task(changes, splits, gallery, options)


def union(paths: Sequence[str], options: Options) -> Task:
    """Read FashionIQ with the smaller galleries of many papers ("VAL"): see `_read`."""
    changes, _ = _read(paths, "fashioniq-union")
    galleries: dict[str, set[str]] = {}
    for change in changes:
        galleries.setdefault(change.category, set()).update(
            name for name in (change.reference, change.target) if name is not None
        )
    return _task(changes, galleries, "gallery: the category's references and targets", options)


def _read(paths: Sequence[str], protocol: str) -> tuple[list[Change], dict[str, set[str]]]:
    """The questions, and each category's split.

    cap.CATEGORY.SPLIT.json    a list of `candidate` (the reference), `target` (not in test), `captions` (two)
    split.CATEGORY.SPLIT.json  a list of ids

    `text` joins the captions in their order (CIReVL), `texts` in both orders (SEARLE, LinCIR: the mean of
    both vectors), without the stops and blanks around them. The category (dress, shirt, toptee) is in the
    file's name. A question's id is its category and its place in the file, from 0: `dress/0`.
    """
    changes: list[Change] = []
    splits: dict[str, set[str]] = {}
    seen: dict[str, str] = {}
    for path in expanded(paths, ("cap.*.val.json", "split.*.val.json")):
        data = load_json(path)
        category = _category(path)
        if not isinstance(data, list) or not data:
            raise unknown_file(path, protocol, "cap.*.json and split.*.json")
        if all(isinstance(name, str) for name in data):
            put(splits, category, set(data), shown(path))
            continue
        put(seen, category, path, shown(path))
        for row, (where, entry) in enumerate(placed(path, data)):
            changes.append(_change(entry, f"{category}/{row}", category, where))
    if not changes:
        raise BadDataError(
            "no captions of FashionIQ", "Name cap.dress.val.json, or the folder that holds it."
        )
    return changes, splits


def _category(path: str) -> str:
    found = CATEGORY.search(path.rpartition("/")[2])
    if found is None:
        raise BadDataError(
            f"{shown(path)} does not say its category", "Keep dress, shirt or toptee in the file's name."
        )
    return found[0]


def _change(entry: Any, name: str, category: str, where: str) -> Change:
    captions = texts(entry, "captions", where)
    if len(captions) != 2:
        raise BadDataError(f"{where}: {len(captions)} captions, not two", "Is the file whole?")
    target = field(entry, "target", str, where) if "target" in entry else None
    reference = field(entry, "candidate", str, where)
    one, two = (caption.strip(AROUND) for caption in captions)
    return Change(name, category, reference, (JOINED.join((one, two)), JOINED.join((two, one))), target)


def _task(changes: list[Change], galleries: Mapping[str, set[str]], gallery: str, options: Options) -> Task:
    part = {change.id: change.category for change in changes if change.target is not None}
    removed = {change.id: (change.reference,) for change in changes} if options.exclude_reference else None
    among = {one.id: galleries[one.category] for one in changes if one.category in galleries}
    return Task(
        said=f"{gallery}, {'without' if removed else 'with'} the reference; both captions joined by"
        f' "{JOINED}", in `texts` in both orders, which `mmr compose` averages; hit@10, hit@50, mean over'
        " categories",
        qrels={change.id: {change.target: 1} for change in changes if change.target is not None},
        measures=(*MEASURES, "NumRet"), part=part, fields={"category": part},
        figures=lambda scored: _figures(scored, part),
        queries=lambda: _queries(changes, options),
        removed=removed,
        among=among,
        only=True, short=shallow(50, among, "hit@50") if part.keys() <= among.keys() else None, renamed=stem,
    )  # fmt: skip


def _figures(scored: Scored, part: Mapping[str, str]) -> list[Figure]:
    figures = by_part(scored, part, MEASURES)
    return figures + (across(figures) if len(figures) > len(MEASURES) else [])


def _queries(changes: list[Change], options: Options) -> Iterator[Query]:
    pictures = Pictures(options.images, stem)
    for change in changes:
        usual = f"images/{change.reference}.png"
        image = pictures.path(change.reference, usual)
        query: Query = {"id": change.id, "image": image, "text": change.texts[0], "texts": list(change.texts),
                        "category": change.category}  # fmt: skip
        if options.exclude_reference:
            query["exclude"] = pictures.both(change.reference, usual)
        yield query
