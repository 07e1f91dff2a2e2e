"""GeneCIS: focus on, or change, an attribute or an object; each question has a small gallery of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmr.errors import BadDataError, shown
from mmr.evaluate.protocols.files import expanded, field, load_json, numbers, placed, put, unknown_file
from mmr.evaluate.protocols.names import Pictures, number, stem
from mmr.evaluate.protocols.task import Figure, Options, Query, Task, across, by_part
from mmr.evaluate.scored import Scored

MEASURES = ("hit@1", "hit@2", "hit@3")
CROP = re.compile(r"\d+(_-?\d+){4}")


class Choice(NamedTuple):
    """One question: its id, its file, the reference, the condition, the target, all candidates."""

    id: str
    file: str
    reference: str
    condition: str
    target: str
    gallery: tuple[str, ...]


def read(paths: Sequence[str], options: Options) -> Task:
    """Read `{focus,change}_{attribute,object}.json`, one or more of the four.

    A list of `reference`, `target`, `gallery` (pictures), `condition` (words). A picture of an object file is
    {`val_image_id`}, a number of COCO 2017 val (`000000189213.jpg`); of an attribute file {`image_id`,
    `instance_bbox` [x, y, w, h]}, a crop of Visual Genome: a file of its own, named IMAGE_X_Y_W_H as here.

    The candidates are the target and the gallery. Equal scores count against the target: the authors list it
    first, where a stable sort of constant scores would find it every time. Ids are `focus_object/0`, by row.
    """
    choices: list[Choice] = []
    seen: dict[str, str] = {}
    for path in expanded(paths, ("focus_*.json", "change_*.json")):
        data = load_json(path)
        if not isinstance(data, list) or not data or not {"condition", "gallery"} <= set(data[0] or {}):
            raise unknown_file(path, "genecis", "{focus,change}_{attribute,object}.json")
        file = path.rpartition("/")[2].partition(".")[0]
        put(seen, file, path, shown(path))
        choices += [_choice(entry, file, row, where) for row, (where, entry) in enumerate(placed(path, data))]
    part = {choice.id: choice.file for choice in choices}
    return Task(
        said="gallery: the question's own candidates, target and distractors; equal scores count against"
        " the target; hit@1, hit@2, hit@3 a file, mean hit@1 over the files",
        qrels={choice.id: {choice.target: 1} for choice in choices},
        measures=MEASURES, part=part, fields={"file": part},
        figures=lambda scored: _figures(scored, part),
        queries=lambda: _queries(choices, options),
        among={choice.id: choice.gallery for choice in choices}, only=True, ties="worst", renamed=name_of,
    )  # fmt: skip


def name_of(hit: str) -> str:
    """The id of a candidate from its file: a crop's whole name, else COCO's number.

    >>> name_of("crops/2345_10_20_30_40.jpg"), name_of("val2017/000000189213.jpg")
    ('2345_10_20_30_40', '189213')
    """
    base = stem(hit)
    return base if CROP.fullmatch(base) else number(base)


def _choice(entry: Any, file: str, row: int, where: str) -> Choice:
    target = _picture(entry, "target", where)
    others = [_picture({"gallery": one}, "gallery", where) for one in field(entry, "gallery", list, where)]
    if not others:
        raise BadDataError(f"{where} has no gallery", "Is the file whole?")
    gallery = tuple(dict.fromkeys([target, *others]))
    condition = field(entry, "condition", str, where)
    return Choice(f"{file}/{row}", file, _picture(entry, "reference", where), condition, target, gallery)


def _picture(entry: Any, name: str, where: str) -> str:
    """The id of a picture: a number, or a number and its box."""
    picture = field(entry, name, dict, where)
    if "val_image_id" in picture:
        return str(field(picture, "val_image_id", int, f'{where} "{name}"'))
    box = numbers(picture, "instance_bbox", f'{where} "{name}"')
    return "_".join(map(str, [field(picture, "image_id", int, f'{where} "{name}"'), *box]))


def _figures(scored: Scored, part: Mapping[str, str]) -> list[Figure]:
    figures = by_part(scored, part, MEASURES)
    return figures + across([figure for figure in figures if figure.measure == MEASURES[0]])


def _queries(choices: Sequence[Choice], options: Options) -> Iterator[Query]:
    pictures = Pictures(options.images, name_of)

    def usual(name: str) -> str:
        return f"val2017/{int(name):012d}.jpg" if name.isdecimal() else f"{name}.jpg"

    for choice in choices:
        image = pictures.path(choice.reference, usual(choice.reference))
        among = [found for name in choice.gallery for found in pictures.both(name, usual(name))]
        yield {"id": choice.id, "image": image, "text": choice.condition, "among": among, "file": choice.file}
