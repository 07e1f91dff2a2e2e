"""`mmr normalize export`: a correction as vectors with one more dimension, for indexes elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import click

from mmr.cli import options
from mmr.cli.hits import write_hits
from mmr.cli.report import Report
from mmr.errors import shown

SUMMARY = "a correction as vectors with one more dimension, for other indexes"
HELP = """Write the vectors of an index, or queries, so that their inner product is the corrected score.

    With --index the items, without it the queries of FILE or stdin. Both sides take the same STATE, --weight,
    --alpha and --lift. Never put the rows into an index that brings them to length 1. With --lift all items
    have one length, for an index of distances (L2): the nearest are then those of the highest score.

    \b
    Examples:
      mmr normalize export hubs.npz --index pics.mmr -o items.npy
      mmr normalize export hubs.npz q.npy -o asked.npy
    """


def made(read: Callable[..., Any]) -> click.Command:
    """The subcommand; `read` reads the records of files."""

    @click.command("export", help=HELP)
    @click.argument("state", metavar="STATE")
    @click.argument("files", metavar="[FILE]...", nargs=-1)
    @click.option("--index", metavar="INDEX", help="Write its items; without it queries are read.")
    @click.option("--alpha", type=click.FloatRange(0, 4), metavar="X", help="Another alpha than the fitted "
                  "one; nnn and gc have one.")  # fmt: skip
    @click.option("--weight", type=click.FloatRange(1e-6, 1e6), default=1.0, show_default=True, metavar="X",
                  help="What queries have in the added dimension.")  # fmt: skip
    @click.option("--lift", is_flag=True, help="One more dimension, for an index of distances (L2).")
    @click.option("--format", "format_", type=click.Choice(["jsonl", "npy"]), default="jsonl",
                  show_default=True, metavar="NAME", help="jsonl, or npy: blocks of bare "
                  "vectors.")  # fmt: skip
    @options.vector_format
    @options.output
    @options.reports("normalize")
    def command(
        report: Report, state: str, files: tuple[str, ...], index: str | None, alpha: float | None,
        weight: float, lift: bool, format_: str, vector_format: str, output: str,
    ) -> None:  # fmt: skip
        from mmr.normalize.apply import turned
        from mmr.normalize.export import Export
        from mmr.normalize.state import read_state

        if index is not None and files:
            raise click.UsageError("--index writes items, FILE queries: one at a time.")
        fitted = read_state(state)
        if alpha is not None:
            fitted = turned(fitted, {"alpha": alpha})
        export = Export(fitted, weight=weight, lift=lift, name=state)
        with ExitStack() as stack:
            if index is None:
                records = export.queries(read(files, report), report)
            else:
                records = _items(export, index, state, report, stack)
            write_hits(records, format_, output, vector_format)
        _say(export, report)

    return command


def _items(export: Any, index: str, state: str, report: Report, stack: ExitStack) -> Any:
    """The rows of an index's items; a lift looks at all of them first."""
    from mmr.cli.stored import entered, gallery_of
    from mmr.index.mapped import refuse_mixed
    from mmr.normalize.export import same_model

    opened = entered(stack, index)
    refuse_mixed(opened, "an export")
    same_model(export.state, opened.meta.model, opened.meta.dim, opened.path.name, state)
    if export.lift:
        export.measure(gallery_of(opened).blocks())
    return export.items(opened.items(), report)


def _say(export: Any, report: Report) -> None:
    report.note(f"vectors of {shown(export.model)}: compare them by inner product"
                f"{' or distance' if export.lift else ''}, and do not bring them to length 1.")  # fmt: skip
    even = export.even_weight()
    if even is not None:
        report.note(f"for an index of codes --weight {even:.2g}, on both sides, spreads the added dimension "
                    "like the others.")  # fmt: skip
    if export.bound is not None:
        report.note(f"all items have the length {export.bound:.4g}; one that comes later and is longer needs "
                    "another export.")  # fmt: skip
