"""Write the gallery: pictures, items, questions, edits and judgements."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from mmr.demo.asked import Question, grade, questions
from mmr.demo.edits import Edit, edits
from mmr.demo.plan import Picture, pictures
from mmr.demo.render import render
from mmr.demo.table import TABLE
from mmr.demo.words import captions


def draw(directory: Path) -> int:
    """Draw the gallery into a folder, made where it is missing, and return the number of pictures.

    Files of the same names are replaced, each at once: a reader sees the old one or the new one.
    Raises OSError where the folder cannot be written, or where `pictures` in it leads somewhere else.
    """
    plan = pictures()
    if (directory / "pictures").is_symlink():
        raise OSError(errno.EEXIST, "its pictures folder is a link, and what it leads to is not ours")
    (directory / "pictures").mkdir(parents=True, exist_ok=True)
    for picture in sorted(plan, key=lambda p: (p.scene, p.time or "", p.style)):
        _write(directory / picture.id, encoded(render(picture)))
    asked = {f"t{i:03}": question for i, question in enumerate(questions(plan), 1)}
    edited = {f"e{i:03}": edit for i, edit in enumerate(edits(plan), 1)}
    _lines(directory / "items.jsonl", (_json(item(picture)) for picture in plan))
    _lines(directory / "queries.jsonl", (_json(_query(key, question)) for key, question in asked.items()))
    _lines(directory / "edits.jsonl", (_json(_edit(key, edit)) for key, edit in edited.items()))
    grades = ((key, picture.id, grade(q.asked, picture)) for key, q in asked.items() for picture in plan)
    _lines(directory / "qrels.tsv", (_judgement(key, name, value) for key, name, value in grades if value))
    _lines(directory / "edits.qrels", (_judgement(key, edit.target.id, 1) for key, edit in edited.items()))
    return len(plan)


def encoded(image: Image.Image) -> bytes:
    """Return a picture as PNG with the 256 colours that serve it best."""
    stream = io.BytesIO()
    small = image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def item(picture: Picture) -> dict[str, object]:
    """Return the record of a picture. It has captions but no text: an item is embedded by its picture."""
    record: dict[str, object] = {"id": picture.id, "image": picture.id, "captions": captions(picture)}
    record |= {"object": picture.object, "colour": picture.colour, "count": picture.count}
    record |= {"scene": picture.scene, "time": picture.time, "style": picture.style}
    record["category"] = TABLE[picture.object].category
    if picture.other:
        record |= {"with": picture.other, "with_colour": picture.other_colour}
    return record


def _query(key: str, question: Question) -> dict[str, object]:
    return {"id": key, "text": question.text, "kind": question.kind, "asked": question.asked}


def _edit(key: str, edit: Edit) -> dict[str, object]:
    reference, target = edit.reference.id, edit.target.id
    record: dict[str, object] = {"id": key, "image": reference, "text": edit.text, "exclude": [reference]}
    record |= {"target": target, "edit": edit.kind}
    return record | {"caption": captions(edit.reference)[0], "target_caption": captions(edit.target)[0]}


def _judgement(key: str, name: str, value: int) -> str:
    return f"{key}\t0\t{name}\t{value}"


def _json(record: dict[str, object]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def _lines(path: Path, lines: Iterable[str]) -> None:
    _write(path, "".join(f"{line}\n" for line in lines).encode())


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
