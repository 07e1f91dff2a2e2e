"""Hits and items as one self-contained HTML page, written query by query."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from mmr import __version__
from mmr.errors import BadItem, MmrError, Reject
from mmr.show.words import (
    asked,
    count,
    cut_end,
    cut_middle,
    given_name,
    picture_path,
    prose,
    score_words,
    visible,
    words_of,
)

Box = tuple[float, float, float, float]
Thumbnail = Callable[..., bytes]

SIDE = 256
MOST_THREADS = 4
AHEAD = 32
REMEMBERED = 256
NAME_WIDTH = 34
LONGEST_TEXT = 2000
SHAPES = (50, 220, 10)
HIDDEN = frozenset(
    {"id", "image", "base", "text", "score", "vector", "vectors", "boxes", "sparse", "bindings", "hits"}
)
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="mmr {version}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#results">Skip to the results</a>
<header class="top">
<h1 dir="auto">{title}</h1>
<p class="keys" hidden><kbd>&larr;</kbd> <kbd>&rarr;</kbd> move &ensp; <kbd>Enter</kbd> looks closer
<span class="many" hidden>&ensp; <kbd>n</kbd> <kbd>p</kbd> next, previous query</span></p>
<details class="contents" hidden><summary></summary><nav aria-label="Queries"><ol></ol></nav></details>
</header>
<main id="results" tabindex="-1">
"""
FOOT = """</main>
<footer><p>{summary}</p><p>Made by mmr {version}</p></footer>
<dialog aria-labelledby="closer">
<div class="stage"></div>
<div class="facts"><h2 id="closer" tabindex="-1"></h2><p class="soft asked" dir="auto"></p>
<div class="about"></div></div>
<p class="turn"><button type="button" data-turn="-1">Previous</button>
<button type="button" data-turn="1">Next</button><button type="button" data-turn="0">Close</button></p>
</dialog>
<script>{script}</script>
</body>
</html>
"""


class Counts(NamedTuple):
    """What a page holds: queries, hits, items without hits, and pictures that could not be read."""

    queries: int
    hits: int
    items: int
    unreadable: int

    def __str__(self) -> str:
        parts = [
            count(self.queries, "query", "queries") if self.queries else "",
            count(self.hits, "hit") if self.queries else "",
            count(self.items, "item") if self.items else "",
            f"{count(self.unreadable, 'picture')} unreadable" if self.unreadable else "",
        ]
        return ", ".join(part for part in parts if part) or "nothing to show"


class Tile(NamedTuple):
    """One hit or item on its way to the page: its fields, where its picture is ("" without one), its rank.

    box  what is framed in its picture, as shares of it
    """

    fields: Mapping[str, Any]
    path: str
    rank: int | None
    box: Box | None = None


class Asked(NamedTuple):
    """The head of a query on its way to the page."""

    record: Mapping[str, Any]
    path: str
    number: int


Piece = str | Tile | Asked


class Picture(NamedTuple):
    """A thumbnail as it stands in the page, or why there is none."""

    source: str
    width: int
    height: int
    problem: str = ""


def write_page(
    records: Iterable[Mapping[str, Any]], file: BinaryIO, *, title: str, thumbnail: Thumbnail, reject: Reject,
    side: int = SIDE, folder: Path | None = None,
) -> Counts:  # fmt: skip
    """Write the page of `records` into `file`, one query after the other.

    thumbnail  makes a JPEG of the picture at a path, at most `side` pixels high and wide, with a frame around
               the box of a hit's `region`, where there is one, as its third argument; runs on threads
    reject     gets each picture that cannot be read; the page has a placeholder with the reason
    folder     where the page will lie: links to the pictures are relative to it; None leaves links out

    Holds one record and at most `AHEAD + REMEMBERED` thumbnails at a time.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_source(style)}'; script-src '{_source(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    name = escape(prose(title))
    file.write(HEAD.format(policy=policy, version=__version__, title=name, style=style).encode())
    draw = lru_cache(REMEMBERED)(lambda *of: _picture(thumbnail(of[0], side, *of[1:])))
    tally = {"queries": 0, "hits": 0, "items": 0, "unreadable": 0}
    waiting: deque[tuple[Piece, Future[Picture] | None]] = deque()

    def write_first() -> None:
        piece, future = waiting.popleft()
        if isinstance(piece, str):
            file.write(piece.encode())
            return
        picture = _result(future, piece, reject) if future is not None else None
        tally["unreadable"] += bool(picture and picture.problem)
        html = _tile(piece, picture, folder) if isinstance(piece, Tile) else _question(piece, picture)
        file.write(html.encode())

    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), "thumbnail") as pool:
        try:
            for piece in _pieces(records, tally):
                path = "" if isinstance(piece, str) else piece.path
                of = (path, piece.box) if isinstance(piece, Tile) and piece.box else (path,)
                waiting.append((piece, pool.submit(draw, *of) if path else None))
                while len(waiting) > AHEAD:
                    write_first()
            while waiting:
                write_first()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    counts = Counts(**tally)
    summary = escape(str(counts))
    file.write(FOOT.format(summary=summary, version=__version__, script=script).encode())
    return counts


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """How a content security policy names the one inline style or script that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _pieces(records: Iterable[Mapping[str, Any]], tally: dict[str, int]) -> Iterator[Piece]:
    """The page's middle in order: text as it is, tiles and questions still without their pictures."""
    among_items = False
    for record in records:
        if "hits" not in record:
            if not among_items:
                yield '<section class="items" aria-label="Items"><ol class="grid">\n'
            among_items = True
            tally["items"] += 1
            yield Tile(record, picture_path(record), None)
            continue
        if among_items:
            yield "</ol></section>\n"
        among_items = False
        tally["queries"] += 1
        tally["hits"] += len(record["hits"])
        yield Asked(record, picture_path(record), tally["queries"])
        for rank, hit in enumerate(record["hits"], 1):
            yield Tile(hit, picture_path(hit), rank, box_of(hit))
        yield "</ol></section>\n" if record["hits"] else "</section>\n"
    if among_items:
        yield "</ol></section>\n"
    if not tally["queries"] and not tally["items"]:
        yield '<p class="none">Nothing to show: the stream was empty.</p>\n'


def box_of(hit: Mapping[str, Any]) -> Box | None:
    """What of its picture a hit names in `region`; None for the whole, and for what is no box."""
    region = hit.get("region")
    box = region.get("box") if isinstance(region, Mapping) else None
    if not isinstance(box, list) or len(box) != 4 or not all(type(one) in (int, float) for one in box):
        return None
    left, top, right, bottom = box
    inside = 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    return (left, top, right, bottom) if inside and box != [0, 0, 1, 1] else None


def _picture(jpeg: bytes) -> Picture:
    width, height = jpeg_size(jpeg)
    return Picture("data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"), width, height)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG in pixels, from its frame header; (1, 1) where there is none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (5, 7))
            return width or 1, height or 1
        at += 2 + length
    return 1, 1


def _result(future: Any, piece: Tile | Asked, reject: Reject) -> Picture:
    """The picture, or the reason why there is none, which `reject` is told."""
    try:
        picture: Picture = future.result()
        return picture
    except (MmrError, OSError) as error:
        reason = error.what if isinstance(error, MmrError) else error.strerror or str(error)
        fields = piece.fields if isinstance(piece, Tile) else piece.record
        fix = error.fix if isinstance(error, MmrError) else ""
        reject(BadItem(visible(piece.path), reason, fix, stage="decode", record=_named(fields)))
        return Picture("", 1, 1, prose(reason))


def _named(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in ("id", "image", "base", "text") if name in fields}


def _question(piece: Asked, picture: Picture | None) -> str:
    """The head of a query's section: its picture, its words, how many hits, what was done to it."""
    record, number = piece.record, piece.number
    image, text = visible(words_of(record, "image")), prose(words_of(record, "text"))
    heading = cut_end(text, 400) or cut_middle(image, 80) or asked(record)
    name = given_name(record)
    facts = [
        count(len(record["hits"]), "hit") if record["hits"] else "no hits",
        f"query {name}" if name else "",
        image if text else "",
    ]
    steps = [step for step in record.get("via", []) if isinstance(step, str)]
    how = [words_of(record, "model"), *steps]
    shown = _shown(picture, f"the query's picture, {image}") if picture else ""
    lines = [
        f'<section class="query" id="r{number}" aria-labelledby="q{number}">',
        f"<header>{shown}<div>",
        f'<h2 id="q{number}" dir="auto">{escape(heading)}</h2>',
        f'<p class="soft">{_listed(facts)}</p>',
        f'<p class="soft how">{_listed(how)}</p>' if any(how) else "",
        "</div></header>\n",
        '<ol class="grid">\n' if record["hits"] else "",
    ]
    return "".join(lines)


def _listed(facts: Iterable[str]) -> str:
    """Short facts beside each other, each in its own direction of writing."""
    return " · ".join(f"<bdi>{escape(cut_middle(prose(fact), 120))}</bdi>" for fact in facts if fact)


def _shown(picture: Picture, words: str) -> str:
    """A picture, or the placeholder that says why there is none."""
    if picture.problem:
        return (
            '<span class="picture broken"><span aria-hidden="true">&#x25A8;</span>'
            f"<span>{escape(cut_end(picture.problem, 160))}</span></span>"
        )
    size = f'width="{picture.width}" height="{picture.height}"'
    alt = escape(cut_end(words, 200))
    return f'<img class="picture" src="{picture.source}" {size} alt="{alt}" loading="lazy" decoding="async">'


def _tile(piece: Tile, picture: Picture | None, folder: Path | None) -> str:
    """One hit or item: its picture or its words, its score and name, and hidden, all that is known."""
    fields = piece.fields
    name, text = visible(words_of(fields, "id")), prose(words_of(fields, "text"))
    image = visible(words_of(fields, "image"))
    score = score_words(fields.get("score")) if piece.rank is not None else ""
    if picture is None:
        words = escape(cut_end(text or name, 220))
        body, shape, text = f'<span class="picture words" dir="auto"><span>{words}</span></span>', 100, ""
    else:
        body, shape = _shown(picture, text or image), _shape(picture)
    rank = f'<span class="rank">{piece.rank}</span>' if piece.rank is not None else ""
    number = f'<span class="score">{score}</span>' if score else ""
    line = f'<span class="line">{rank}{number}</span>' if rank else ""
    short = escape(cut_middle(name.rsplit("/", 1)[-1] if name and image.endswith(name) else name, NAME_WIDTH))
    words = f'<span class="text" dir="auto">{escape(cut_end(text, 160))}</span>' if text else ""
    return (
        f'<li class="s{shape}"><button type="button" class="hit" aria-haspopup="dialog">{body}{line}'
        f'<bdi class="name">{short}</bdi>{words}</button>{_facts(piece, folder)}</li>\n'
    )


def _shape(picture: Picture) -> int:
    """Width over height in hundredths, in the steps that the style sheet knows."""
    least, most, step = SHAPES
    return min(most, max(least, round(100 * picture.width / picture.height / step) * step))


def _facts(piece: Tile, folder: Path | None) -> str:
    """All that is known of a tile as a list that the closer view shows."""
    fields = piece.fields
    name, image = visible(words_of(fields, "id")), visible(words_of(fields, "image"))
    text = cut_end(prose(words_of(fields, "text")), LONGEST_TEXT)
    rows = [("score", score_words(fields.get("score")))] if piece.rank is not None else []
    rows += [(field, value) for field, value in (("text", text), ("id", name)) if value and value != image]
    for field, value in fields.items():
        if field not in HIDDEN and value is not None:
            rows.append((visible(field), cut_end(_value(value), LONGEST_TEXT)))
    html = "".join(f'<dt>{escape(a)}</dt><dd dir="auto">{escape(b)}</dd>' for a, b in rows)
    if image:
        link = _link(piece.path, folder)
        shown = f'<a href="{escape(link)}" rel="noreferrer">{escape(image)}</a>' if link else escape(image)
        html += f"<dt>file</dt><dd>{shown}</dd>"
    return f"<dl hidden>{html}</dl>"


def _value(value: Any) -> str:
    """A field's value on one line: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return prose(value)
    import json

    return prose(json.dumps(value, ensure_ascii=False, default=str))


def _link(path: str, folder: Path | None) -> str:
    """The address of a picture's file from where the page lies; never anything but a path."""
    if folder is None:
        return ""
    file = path.split("#", 1)[0] if ".tar#" in path else path
    relative = os.path.relpath(os.path.abspath(file), folder)  # noqa: PTH100 - links are not followed
    return quote(relative if relative.startswith("../") else f"./{relative}", safe="/.,-_~", errors="replace")
