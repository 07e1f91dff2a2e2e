"""Hits and items as aligned lines of text, for a terminal or a file."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from mmr.show.words import (
    asked,
    cells,
    cut_end,
    cut_middle,
    given_name,
    prose,
    score_words,
    visible,
    words_of,
)

NARROWEST = 20
LEAST_COLUMN = 16
ITEMS_AT_A_TIME = 200
STYLES = {"bold": "\x1b[1m", "faint": "\x1b[2m", "score": "\x1b[36m", "plain": ""}


class Look(NamedTuple):
    """How lines are drawn.

    width    in columns; None: nothing is cut
    colour   whether colours may be used
    explain  whether a line below a hit gives its `why`
    """

    width: int | None
    colour: bool
    explain: bool = False

    def styled(self, text: str, style: str) -> str:
        """The text in a style of `STYLES`; as it is without colours."""
        return f"{STYLES[style]}{text}\x1b[0m" if self.colour and STYLES[style] and text else text


def look_of(terminal: bool, explain: bool = False) -> Look:
    """The look for a terminal, or for a pipe or a file, as the environment asks.

    COLUMNS sets the width; a pipe or a file without it has none. NO_COLOR turns colours off, FORCE_COLOR on.
    """
    columns = os.environ.get("COLUMNS", "")
    width: int | None = None
    if terminal or (columns.isdecimal() and int(columns) > 0):
        width = max(NARROWEST, shutil.get_terminal_size().columns)
    forced = os.environ.get("FORCE_COLOR", "")
    able = terminal and os.environ.get("TERM") != "dumb"
    colour = forced != "0" if forced else able
    return Look(width, colour and not os.environ.get("NO_COLOR"), explain)


def print_hits(records: Iterable[Mapping[str, Any]], output: str = "-", explain: bool = False) -> None:
    """Write a table of each record's hits, or of the records themselves where they have none, to `output`.

    explain  a line below each hit says why it is there, where the hit does
    `-` is standard output; a file appears whole or not at all. A query's table is written as soon as it is
    there. Raises `OutputError` where the output cannot be made.
    """
    if output == "-":
        out = sys.stdout
        if out is None:
            from mmr.errors import OutputError

            raise OutputError("standard output is closed", "Name a file with -o.")
        _write(records, out.buffer, look_of(out.isatty(), explain), out.encoding or "utf-8")
        return
    from mmr.stream.files import whole_file

    with whole_file(output) as file:
        _write(records, file, look_of(False, explain), "utf-8")


def _write(records: Iterable[Mapping[str, Any]], file: BinaryIO, look: Look, encoding: str) -> None:
    for block in blocks(records, look):
        file.write("".join(f"{line}\n" for line in block).encode(encoding, "backslashreplace"))
        file.flush()


def blocks(records: Iterable[Mapping[str, Any]], look: Look) -> Iterator[list[str]]:
    """The lines of each query, or of each run of items, with a blank line between two blocks."""
    rest = iter(records)
    blank: list[str] = []
    widths: list[int] | None = None
    for record in rest:
        if "hits" in record:
            yield [*blank, *hit_lines(record, look)]
            widths = None
        else:
            run, after = _items(record, rest)
            rows = [_item_cells(item) for item in run]
            gap = [] if widths else blank
            widths = widths or _fitted(_natural(rows), look.width)
            yield gap + [_line(row, widths, ("plain", "faint", "faint"), look) for row in rows]
            if after is not None:
                yield ["", *hit_lines(after, look)]
                widths = None
        blank = [""]


def _items(
    first: Mapping[str, Any], rest: Iterator[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], Mapping[str, Any] | None]:
    """A run of at most `ITEMS_AT_A_TIME` items, and the query that ended it, if one did."""
    run: list[Mapping[str, Any]] = []
    for record in chain([first], islice(rest, ITEMS_AT_A_TIME - 1)):
        if "hits" in record:
            return run, record
        run.append(record)
    return run, None


def hit_lines(record: Mapping[str, Any], look: Look) -> list[str]:
    """The lines of one query: what was asked, then a line a hit: rank, score, id, picture and words."""
    name, question = given_name(record), asked(record)
    if look.width is not None:
        question = cut_end(question, look.width)
        name = cut_middle(name, max(0, look.width - cells(question) - 2))
    heading = look.styled(question, "bold") + (f"  {look.styled(name, 'faint')}" if name else "")
    hits: Sequence[Mapping[str, Any]] = record["hits"]
    if not hits:
        return [heading, look.styled("  no hits", "faint")]
    ranks = [str(rank) for rank in range(1, len(hits) + 1)]
    scores = [score_words(hit.get("score")) for hit in hits]
    rank_width, score_width = len(ranks[-1]) + 1, max(map(len, scores))
    left = None if look.width is None else look.width - rank_width - score_width - 4
    rows = [_item_cells(hit) for hit in hits]
    widths = _fitted(_natural(rows), left)
    lines = [heading]
    for rank, score, row, hit in zip(ranks, scores, rows, hits, strict=True):
        start = look.styled(rank.rjust(rank_width), "faint")
        number = look.styled(score.rjust(score_width), "score")
        lines.append(f"{start}  {number}  {_line(row, widths, ('plain', 'faint', 'faint'), look)}")
        why = prose(words_of(hit, "why"))
        if look.explain and why:
            cut = why if left is None else cut_end(why, left)
            lines.append(f"{' ' * (rank_width + score_width + 4)}{look.styled(cut, 'faint')}")
    return lines


def _item_cells(item: Mapping[str, Any]) -> list[str]:
    """Id, picture (where the id does not tell it) and words of one hit or item."""
    name, image = words_of(item, "id"), words_of(item, "image")
    told = image == name or image.endswith(f"/{name}")
    return [visible(name), "" if told else visible(image), prose(words_of(item, "text"))]


def _natural(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(cells(cell) for cell in column) for column in zip(*rows, strict=True)]


def _fitted(widths: list[int], room: int | None) -> list[int]:
    """Widths that fit into `room` with two blanks between columns: the widest give way first.

    A column that would get less than `LEAST_COLUMN` is left out (width 0), the last one first.
    """
    if room is None:
        return widths
    fitted = list(widths)
    while True:
        used = [i for i, width in enumerate(fitted) if width]
        left = room - 2 * (len(used) - 1)
        cap = next((cap for cap in range(max(fitted, default=0), 0, -1) if _sum(fitted, cap) <= left), 1)
        if len(used) < 2 or cap >= LEAST_COLUMN or _sum(fitted, max(fitted)) <= left:
            return [min(width, cap) for width in fitted]
        fitted[used[-1]] = 0


def _sum(widths: Sequence[int], cap: int) -> int:
    return sum(min(width, cap) for width in widths)


def _line(row: Sequence[str], widths: Sequence[int], styles: Sequence[str], look: Look) -> str:
    """One line of columns: ids and paths cut in the middle, words at their end."""
    parts = []
    for position, (cell, width, style) in enumerate(zip(row, widths, styles, strict=True)):
        if width:
            text = (cut_end if position == len(row) - 1 else cut_middle)(cell, width)
            parts.append((look.styled(text, style), " " * (width - cells(text))))
    line = "".join(f"{text}{pad}  " for text, pad in parts[:-1]) + "".join(text for text, _ in parts[-1:])
    return line.rstrip()
