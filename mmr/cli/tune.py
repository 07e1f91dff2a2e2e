"""`mmr index --tune`, --memory, --recall: what is wanted of memory and recall, and what was measured."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from mmr.cli.report import Report
from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    from mmr.index import AnyIndex
    from mmr.index.plan import Asked
    from mmr.index.settings import Setting
    from mmr.index.table import Params
    from mmr.index.tune import Tuned
    from mmr.stream.records import Record

SHARE = click.FloatRange(0, 1, min_open=True)

memory = click.option(
    "--memory", metavar="SIZE", help="Memory that building graphs, lists or codes may take, 8G or 800M; auto "
    "chooses what fits.  [default: what is free; half of it for auto]",
)  # fmt: skip
recall = click.option(
    "--recall", type=SHARE, metavar="R", help="The share of the 10 best hits that searches shall find, as "
    "measured when graphs, lists or codes are built.  [default: 0.99 of --tune and auto]",
)  # fmt: skip
share = click.option(
    "--recall", type=SHARE, metavar="R", help="Search so that the share R of the 10 best hits is found, as "
    "`mmr index --tune` has measured it.",
)  # fmt: skip


def asked(memory: str | None, recall: float | None, report: Report) -> Asked:
    """What the user says, for the library."""
    from mmr.index.memory import read_size
    from mmr.index.plan import Asked

    return Asked(read_size(memory) if memory is not None else None, recall, report.note)


def knobs(index: AnyIndex, recall: float | None, exact: bool, refine: int | None) -> Params | None:
    """What a search must be told for a recall; refuses it beside what decides already how is searched."""
    if recall is None:
        return None
    if exact or refine is not None:
        raise click.UsageError(f"--recall and {'--exact' if exact else '--refine'}: one at a time.")
    from mmr.index import Remote
    from mmr.index.settings import chosen_for

    if isinstance(index, Remote):
        raise UsageError(
            f"{index.path} is an engine's index, of which no recall was measured",
            "Say how far to look when it is built: mmr index ADDRESS --convert hnsw:ef=200.",
        )
    return chosen_for(index, recall)


def say_recall(index: str, report: Report) -> None:
    """Say what was measured when graphs, lists or codes were built, where there are some."""
    from mmr.index import open_index

    with open_index(index) as opened:
        found = opened.recall()
    if found:
        report.note("{rows:,} of its rows find {of_rows:.2%} of their {k} nearest.".format(**found))
        if "queries" in found:
            report.note("{queries:,} queries find {of_queries:.2%} of their {k} nearest.".format(**found))


def tune(
    index: str, recall: float | None, queries: Iterable[Record] | None, model: str | None, wait: float,
    format_: str | None, report: Report,
) -> None:  # fmt: skip
    """Tune an index and print what was measured."""
    from mmr.index.content import content_of
    from mmr.index.settings import RECALL, Setting, choose, front
    from mmr.index.tune import tune as walk

    wanted = RECALL if recall is None else recall
    found = walk(index, wanted, queries=queries, wait=wait, reject=report, model=model)
    best = choose(found.settings, wanted)
    shown_ = front([*found.settings, best])
    if best not in shown_:
        shown_ = [*shown_, best]
    terminal = sys.stdout is not None and sys.stdout.isatty()
    rows = [*shown_, Setting({}, 1.0, found.exact)]
    if format_ == "json" or (format_ is None and not terminal):
        _lines(found, rows, best)
    else:
        _table(found, rows, best)
    single = content_of(found.meta.kind, found.meta.params).single
    who = f"{found.asked:,} queries" if found.by_queries else (
        f"{found.asked:,} rows that training did not use; queries of another kind may find less"
        + (": --tune-with" if single else "")
    )  # fmt: skip
    report.note(f"{shown(index)}: measured with {who}.")
    if best.recall < wanted:
        report.note(f"{found.meta.kind} finds {best.recall:.2%} at most; {wanted:.2%} was asked.")
    if best.seconds >= found.exact:
        exact = "flat" if single else "maxsim"
        report.note(f"the exact search takes no longer here: `mmr index {shown(index)} --convert {exact}`.")


def _lines(found: Tuned, rows: list[Setting], best: Setting) -> None:
    from mmr.stream.records import dump

    for one in rows:
        exact = not one.knobs
        click.echo(dump({
            **(one.knobs if not exact else {"exact": True}), "recall": one.recall,
            "ms": round(one.seconds * 1e3, 4), "queries_per_second": round(1 / max(one.seconds, 1e-9)),
            "bytes_a_vector": found.size["vectors"] + (0 if exact else found.size["structure"]),
            **({"chosen": True} if one is best else {}),
        }), nl=False)  # fmt: skip


def _table(found: Tuned, rows: list[Setting], best: Setting) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("setting", "recall", "ms a query", "queries a second", "bytes a vector", ""):
        table.add_column(name, justify="left" if name in ("setting", "") else "right")
    for one in rows:
        size = found.size["vectors"] + (found.size["structure"] if one.knobs else 0)
        setting = ",".join(f"{name}={value}" for name, value in one.knobs.items()) or "exact"
        table.add_row(setting, f"{one.recall:.4f}", f"{one.seconds * 1e3:.3f}",
                      f"{1 / max(one.seconds, 1e-9):,.0f}", f"{size:,.0f}", "kept" if one is best else "",
                      style="bold" if one is best else None)  # fmt: skip
    Console().print(table)
