"""COCO 5K and 1K and Flickr30K: pictures by captions and captions by pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmr.errors import BadDataError, UsageError, shown
from mmr.evaluate.protocols.captions import Captioned, captioned, check_distinct, is_captions
from mmr.evaluate.protocols.files import expanded, load_json, unknown_file
from mmr.evaluate.protocols.names import Pictures, kind_and_number, number
from mmr.evaluate.protocols.task import Figure, Options, Query, Task, by_part, mean, means, places_of, shallow
from mmr.evaluate.scored import Scored
from mmr.stream.records import normal_path

TO_IMAGE, TO_TEXT = "text-to-image", "image-to-text"
KINDS = {TO_IMAGE: ("caption", "image"), TO_TEXT: ("image", "caption")}
HITS = ("hit@1", "hit@5", "hit@10")
MAPPED = (*HITS, "Rprec", "AP_R")
FOLDS = 5
BOTH_GALLERIES = "text -> image and image -> text, first five captions; hit@k of any relevant item"


def five_thousand(paths: Sequence[str], options: Options) -> Task:
    """Read the COCO 5K test split: see `_read`."""
    return _whole(*_read(paths, "coco-5k"), options)


def flickr(paths: Sequence[str], options: Options) -> Task:
    """Read the Flickr30K 1K test split: see `_read`."""
    return _whole(*_read(paths, "flickr30k"), options)


def one_thousand(paths: Sequence[str], options: Options) -> Task:
    """Read the COCO 5K test split as five folds in file order; figures are means over the folds.

    A query's gallery is its own fold: rankings of the whole split are cut down to it, which is exact only
    where a ranking holds ten of the fold (`--where fold=N` of the written records searches one fold).
    """
    pictures, maps = _read(paths, "coco-1k")
    if maps:
        raise UsageError("coco-1k has no maps of ECCV or CxC", "They belong to coco-5k.")
    if len(pictures) % FOLDS:
        raise BadDataError(f"{len(pictures):,} test pictures are not five equal folds", "Is the file whole?")
    size = len(pictures) // FOLDS
    qrels, part = _judgements(pictures)
    fold = {f"image/{picture.id}": str(place // size) for place, picture in enumerate(pictures)}
    fold |= {f"caption/{name}": fold[f"image/{one.id}"] for one in pictures for name, _ in one.captions}
    galleries: dict[tuple[str, str], set[str]] = {}
    for name, of in fold.items():
        galleries.setdefault((name.partition("/")[0], of), set()).add(name)
    among = {query: galleries[KINDS[part[query]][1], fold[query]] for query in qrels}
    return Task(
        said=f"{BOTH_GALLERIES} of the query's fold, 5 folds of {size:,} pictures; means over folds; rsum",
        qrels=qrels, measures=(*HITS, "NumRet"), part=part, fields={"direction": part, "fold": fold},
        figures=lambda scored: _fold_figures(scored, part, fold),
        queries=lambda: _queries(pictures, options, fold),
        among=among, only=True, short=shallow(10, among, "hit@10"), renamed=kind_and_number,
    )  # fmt: skip


def _read(paths: Sequence[str], protocol: str) -> tuple[list[Captioned], dict[str, dict[str, Any]]]:
    """The test pictures, and maps by direction.

    captions  `dataset_coco.json`, `dataset_flickr30k.json` (Karpathy) or a list: see `captions.captioned`
    maps      ECCV's, CxC's and the original `*_caption_to_image.json` and `*_image_to_caption.json`:
              {id: [ids]}, COCO ids as strings and numbers. They replace the judgements
    """
    pictures: list[Captioned] = []
    maps: dict[str, dict[str, Any]] = {}
    for path in expanded(
        paths, ("dataset_flickr30k.json" if protocol == "flickr30k" else "dataset_coco.json",)
    ):
        data = load_json(path)
        if is_captions(data):
            pictures += captioned(path, data)
            continue
        direction = _direction(path)
        if direction is None or not isinstance(data, dict):
            raise unknown_file(path, protocol, "Karpathy's dataset_*.json, lists of captions, and id maps")
        if direction in maps:
            raise BadDataError(f"{shown(path)} is a second map of {direction}", "Name the maps of one set.")
        maps[direction] = _map(path, data)
    check_distinct(pictures)
    if not pictures and not maps:
        raise BadDataError(f"no captions of {protocol}", "Name dataset_coco.json or dataset_flickr30k.json.")
    return pictures, maps


def _direction(path: str) -> str | None:
    if "caption_to_image" in path.rpartition("/")[2]:
        return TO_IMAGE
    return TO_TEXT if "image_to_caption" in path.rpartition("/")[2] else None


def _map(path: str, data: Mapping[str, Any]) -> dict[str, Any]:
    for name, items in data.items():
        good = isinstance(items, list) and items and all(type(item) is int for item in items)
        if not good or not name.isdecimal():
            raise BadDataError(
                f"{shown(path)}: {shown(name)} is not an id with a list of ids", "Is it whole?"
            )
    return dict(data)


def _judgements(pictures: Sequence[Captioned]) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """The judgements of both directions, and the direction of each query."""
    qrels: dict[str, dict[str, int]] = {}
    for picture in pictures:
        for name, _ in picture.captions:
            qrels[f"caption/{name}"] = {f"image/{picture.id}": 1}
    captions = dict.fromkeys(qrels, TO_IMAGE)
    for picture in pictures:
        qrels[f"image/{picture.id}"] = {f"caption/{name}": 1 for name, _ in picture.captions}
    return qrels, {query: captions.get(query, TO_TEXT) for query in qrels}


def _whole(pictures: list[Captioned], maps: dict[str, dict[str, Any]], options: Options) -> Task:
    if maps:
        qrels = {
            f"{KINDS[direction][0]}/{name}": {f"{KINDS[direction][1]}/{item}": 1 for item in items}
            for direction in (TO_IMAGE, TO_TEXT) if direction in maps
            for name, items in maps[direction].items()
        }  # fmt: skip
        part = {query: TO_IMAGE if query.startswith("caption/") else TO_TEXT for query in qrels}
        said = f"{BOTH_GALLERIES}; judgements of the maps; AP_R is mAP@R"
    else:
        qrels, part = _judgements(pictures)
        said = f"{BOTH_GALLERIES}; {len(pictures):,} pictures; rsum"
    measures = MAPPED if maps else HITS
    return Task(
        said=said, qrels=qrels, measures=measures, part=part, fields={"direction": part},
        figures=lambda scored: _with_sum(by_part(scored, part, measures)),
        queries=lambda: _queries(pictures, options, {}), renamed=kind_and_number,
    )  # fmt: skip


def _with_sum(figures: list[Figure]) -> list[Figure]:
    """The figures, and rsum where both directions are there: hit@1, 5, 10 in percent, unrounded, added."""
    hits = [figure.value for figure in figures if figure.measure in HITS]
    if len(hits) < 2 * len(HITS):
        return figures
    return [*figures, Figure("", "rsum", 100 * sum(hits))]


def _fold_figures(scored: Scored, part: Mapping[str, str], fold: Mapping[str, str]) -> list[Figure]:
    """The mean over folds of each direction's means."""
    figures: list[Figure] = []
    for direction, places in places_of(scored, part).items():
        folds: dict[str, list[int]] = {}
        for place in places:
            folds.setdefault(fold[scored.queries[place]], []).append(place)
        of_folds = [means(scored, HITS, direction, folds[name]) for name in sorted(folds)]
        figures += [
            Figure(direction, measure, mean([figures_[i].value for figures_ in of_folds]))
            for i, measure in enumerate(HITS)
        ]
    return _with_sum(figures)


def _queries(pictures: list[Captioned], options: Options, folds: Mapping[str, str]) -> Iterator[Query]:
    """Captions, then pictures: both are the gallery of the other direction as well."""
    if not pictures:
        raise UsageError("maps hold no captions", "Name dataset_coco.json as well to write queries.")
    files = Pictures(options.images, number)
    for picture in pictures:
        fold = {"fold": folds[f"image/{picture.id}"]} if folds else {}
        for name, text in picture.captions:
            yield {"id": f"caption/{name}", "text": text, "direction": TO_IMAGE, **fold}
    for picture in pictures:
        fold = {"fold": folds[f"image/{picture.id}"]} if folds else {}
        image = files.path(picture.id, normal_path(picture.path))
        yield {"id": f"image/{picture.id}", "image": image, "direction": TO_TEXT, **fold}
