"""`mmr rerank assign` and `mmr rerank duplicates`: methods that need the whole stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mmr.cli import options
from mmr.cli.hits import write_hits
from mmr.cli.report import Report
from mmr.cli.rerank import explain, format_, option, read
from mmr.errors import shown
from mmr.rerank.table import find


def _with_params(name: str) -> Callable[[options.F], options.F]:
    """A decorator that adds the options of a row."""
    row = find(name)

    def decorate(function: options.F) -> options.F:
        for param in reversed(row.params if row else ()):
            function = option(param)(function)
        return function

    return decorate


@click.command("assign", short_help="Each query gets one item, so that the scores add up to the most.")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@_with_params("assign")
@explain
@format_
@options.vector_format
@options.output
@options.reports("rerank")
def assign(
    report: Report, files: tuple[str, ...], one_to_one: bool, capacity: int | None,
    capacity_field: str | None, no_match: float | None, explain: bool, format_: str | None,
    vector_format: str, output: str,
) -> None:  # fmt: skip
    """Assign items to queries so that the scores add up to the most: match a catalogue.

    Each query gets one item or none, an item no more queries than its capacity. An item that is no hit of a
    query is never assigned to it, so ask for enough hits. The whole stream is held; it says how much. (Kuhn
    1955; Jonker and Volgenant 1987)

    \b
    Examples:
      mmr rerank assign --one-to-one scores.jsonl
      mmr query pics.mmr --from queries.jsonl -k 50 | mmr rerank assign --one-to-one --no-match .25
    """
    from mmr.rerank.assign_hits import Wanted, assigned_hits

    ways = (one_to_one, capacity is not None, capacity_field is not None)
    if sum(ways) != 1:
        raise click.UsageError(
            "say how many queries an item may have, in one way: --one-to-one, --capacity N, or "
            "--capacity-field NAME."
        )

    silent = said = 0

    def may_have(hit: Any) -> Any:
        nonlocal silent, said
        size = hit.get(capacity_field) if capacity_field is not None else capacity
        silent, said = silent + (size is None), said + (size is not None)
        return size

    step = "one-to-one" if one_to_one else f"capacity={capacity or capacity_field}"
    floor = "" if no_match is None else f" no_match={no_match:g}"
    wanted = Wanted(may_have, no_match, f"rerank assign {step}{floor}", explain)
    found = assigned_hits(read(files, report, vector_format == "base64"), wanted, report, report.note)
    write_hits(found, format_, output, vector_format)
    if capacity_field is not None and silent and not said:
        field = shown(capacity_field)
        report.note(f"no hit has the field {field!r}, so that each item went to one query at most. Ask for "
                    f"it: `mmr query --fields image,text,{field}`.")  # fmt: skip


@click.command("duplicates", short_help="Groups of items that are near each other, and the one to keep.")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@_with_params("duplicates")
@explain
@format_
@options.output
@options.reports("rerank")
def duplicates(
    report: Report, files: tuple[str, ...], keep: str, min_score: float | None, explain: bool,
    format_: str | None, output: str,
) -> None:  # fmt: skip
    """Find groups of items that are near each other; write the one to keep, the others as its hits.

    Reads items with their neighbours as hits. Two items are in one group where one is a hit of the other, or
    a chain of such links joins them; `through` names the last link of a chain, whose weakest link is the
    score. The ids of the whole stream are held.

    \b
    Examples:
      mmr query pics.mmr --all-items -k 10 --min-score .97 | mmr rerank duplicates
      mmr query pics.mmr --all-items --min-score .99 | mmr rerank duplicates | jq -r '.hits[].id'
    """
    from mmr.rerank.duplicates import Wanted
    from mmr.rerank.duplicates import duplicates as found

    bound = "" if min_score is None else f" min_score={min_score:g}"
    wanted = Wanted(keep, min_score, f"rerank duplicates keep={keep}{bound}", explain)
    write_hits(found(read(files, report, False), wanted, report, report.note), format_, output, "list")
