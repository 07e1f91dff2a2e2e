"""`mmr normalize` of a whole batch of queries by each other: only with --transductive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mmr.cli import change, options
from mmr.cli.hits import write_hits
from mmr.cli.methods import sentence
from mmr.cli.report import Report
from mmr.normalize.table import TOGETHER, TogetherRow

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = [(row.name, row.summary) for row in TOGETHER]
NAMES = dict(METHODS)
WHY = (
    "it looks at all queries of the batch at once and supposes that every item is wanted by one of them: "
    "with 250 queries on 50 of 538 items R@1 fell by 42 to 51 points, with every item wanted it rose by 3 to "
    "18"
)


def made(name: str, read: Callable[..., Any], format_: Any) -> click.Command:
    """The subcommand of a method.

    read     reads the records of files
    format_  the option --format of hits
    """
    row = next(row for row in TOGETHER if row.name == name)

    def command(
        report: Report, files: tuple[str, ...], transductive: bool, top: int | None, format_: str | None,
        vector_format: str, output: str, **values: Any,
    ) -> None:  # fmt: skip
        if not transductive:
            raise click.UsageError(f"{name} is transductive: {WHY}. Say --transductive if you mean it.")
        _run(row, values, read(files, report), report, (top, format_, output, vector_format))

    decorated: Any = options.reports("normalize")(command)
    shared = [
        click.argument("files", metavar="[FILE]...", nargs=-1), *map(change.parameter, row.params),
        click.option("--transductive", is_flag=True, help="Yes: let the queries of the batch change each "
                     "other's hits."),
        click.option("-k", "top", type=click.IntRange(min=1), metavar="N", help="Hits per query.  [default: "
                     "all]"),
        format_, options.vector_format, options.output,
    ]  # fmt: skip
    for add in reversed(shared):
        decorated = add(decorated)
    words = (
        f"{sentence(row.summary)}\n\nTransductive: {WHY}. The stream is held whole, and every query must "
        f"have the score of every item. ({row.source})\n\n\b\nExamples:\n"
        f"  mmr query pics.mmr --from queries.jsonl -k 1000 | mmr normalize {name} --transductive -k 10"
    )
    return click.command(name, help=words, short_help=sentence(row.summary))(decorated)


def _run(row: TogetherRow, values: dict[str, float], records: Any, report: Report, how: Any) -> None:
    from mmr.normalize.together import Together

    top, format_, output, vector_format = how
    method = Together(row, values, k=top)
    write_hits(method.of(records, report), format_, output, vector_format)
    if method.queries:
        report.note(
            f"transductive: the scores of {method.queries:,} queries with {method.items:,} items were "
            "changed by each other, as if every item were wanted; no query alone would get these hits."
        )
