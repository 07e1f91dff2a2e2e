"""`mmr fit`: an index and a bank of queries in, a file that `mmr normalize apply` applies out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from mmr.cli import calibrate, change, options, quantizer
from mmr.cli.methods import Methods, sentence
from mmr.cli.models import full_name
from mmr.cli.report import Report
from mmr.cli.sweep import MEASURE, Dev, sweep
from mmr.normalize.table import MANY, METHODS, Param, Row, find, plugged


def _made(name: str) -> click.Command:
    """The subcommand of a method: its options come from its row."""
    if name in _OTHERS:
        return _OTHERS[name][0]
    if name in change.NAMES:
        return change.made(name)
    row = find(name)
    assert row is not None

    def command(report: Report, **given: Any) -> None:
        _fit(row, report, **given)

    decorated = options.reports("fit", items=False)(command)
    for add in reversed(_options(row)):
        decorated = add(decorated)
    return click.command(name, help=_help(row), short_help=sentence(row.summary))(decorated)


def _options(row: Row) -> list[Any]:
    shared = [
        click.option("--index", required=True, metavar="INDEX", help="The index to be corrected."),
        click.option("--bank", required=True, metavar="FILE", help="Vectors of queries like those to come: "
                     "of the same model and kind, none of the test; `-` is stdin. `words` are everyday "
                     "queries that ship with mmr, in ten languages, `words:en,de` those of some."),
    ]  # fmt: skip
    if row.banks == 2:
        shared.append(click.option("--gallery-bank", required=True, metavar="FILE", help="Vectors of items "
                                   "like those of the index, and none of them."))  # fmt: skip
    return [
        *shared, *map(_option, row.params), *_SWEEP,
        options.template,
        click.option("--model", metavar="SPEC", help="The encoder that a bank without a model is of."),
        click.option("--force", is_flag=True, help="Fit although a bank shares vectors with the index."),
        click.option("-o", "--output", required=True, metavar="FILE", help="The fitted file; it appears "
                     "whole or not at all."),
    ]  # fmt: skip


_SWEEP = (
    click.option("--sweep", "sweeps", multiple=True, metavar="NAME=X,X,...", help="Try these values of a "
                 "parameter, with those of every other --sweep, and keep what does best on the queries of "
                 "--from."),
    click.option("--from", "queries_from", metavar="FILE", help="With --sweep: queries of a development "
                 "split, none of the test."),
    click.option("--qrels", metavar="FILE", help="With --sweep: their judgements."),
    click.option("--measure", metavar="MEASURE", help=f"With --sweep: what to go by.  [default: {MEASURE}]"),
)  # fmt: skip


def _option(param: Param) -> Any:
    """The option of a parameter."""
    kind: click.ParamType[Any]
    if param.whole:
        kind = click.IntRange(int(param.low), None if param.high >= MANY else int(param.high))
    else:
        kind = click.FloatRange(param.low, param.high)
    default = int(param.default) if param.whole else param.default
    return click.option(param.option, param.name, type=kind, metavar="N" if param.whole else "X",
                        default=default, show_default=True, help=f"{param.note}.")  # fmt: skip


def _help(row: Row) -> str:
    gallery = " --gallery-bank others.npy" if row.banks == 2 else ""
    return (
        f"Learn {row.name} for an index: {row.summary}.\n\n{row.safe}. ({row.source})\n\n\b\nExamples:\n"
        f"  mmr fit {row.name} --index pics.mmr --bank bank.npy{gallery} -o hubs.npz"
    )


_OTHERS = {
    "calibrate": (calibrate.command, calibrate.SUMMARY),
    "quantizer": (quantizer.command, quantizer.SUMMARY),
}
_METHODS = [*((row.name, row.summary) for row in METHODS), *change.METHODS,
            *((name, summary) for name, (_, summary) in _OTHERS.items())]  # fmt: skip


@click.group("fit", cls=Methods, methods=_METHODS, made=_made, plugged=plugged)
def command() -> None:
    """Learn which items come up too often, a change of vectors, what a score means, or codes of an index.

    The file that it writes is applied by `mmr normalize apply`, and that of codes by `mmr index --convert`.

    \b
    Examples:
      mmr fit nnn --index pics.mmr --bank bank.npy -o hubs.npz
      mmr fit csls --index pics.mmr --bank bank.npy --neighbours 2 -o hubs.npz
      mmr fit calibrate --qrels dev.tsv hits.jsonl -o cal.npz
      mmr fit map --source new.npy --target old.npy -o up.npz
      mmr fit quantizer --index pics.mmr --from q.npy --kind ivfpq:m=32 -o ivfpq.npz
    """


def _fit(
    row: Row, report: Report, index: str, bank: str, output: str, model: str | None, force: bool,
    templates: tuple[str, ...], sweeps: tuple[str, ...], queries_from: str | None, qrels: str | None,
    measure: str | None, gallery_bank: str | None = None, **params: float,
) -> None:  # fmt: skip
    from mmr.cli import banks
    from mmr.cli.encoders import Encoders
    from mmr.cli.stored import gallery_of
    from mmr.errors import UsageError, shown
    from mmr.index import open_any
    from mmr.normalize.advice import advice
    from mmr.normalize.fit import fit
    from mmr.normalize.state import State, write_state

    if [bank, gallery_bank, queries_from, qrels].count("-") > 1:
        raise UsageError("standard input can be read once", "Name the others as files.")
    dev = _dev(sweeps, queries_from, qrels, measure)
    with open_any(index) as opened, ExitStack() as stack:
        stated = full_name(model, opened.meta.model)
        encoders = Encoders(opened, model, "auto", "auto", None, report, stack)
        embed = banks.embedder(encoders, templates)
        queries = banks.read(bank, opened, stated, embed, templates, report)
        items = None
        if gallery_bank:
            items = banks.read(gallery_bank, opened, stated, embed, templates, report)
        for one in (queries, items):
            if one is not None and not force:
                banks.check_apart(one, opened)
        gallery = gallery_of(opened)

        def fit_one(values: dict[str, float], advance: Any = None) -> State:
            return fit(row.name, values, gallery, queries, items, force=force, advance=advance)

        if dev is not None:
            state = sweep(row, params, sweeps, dev, opened, embed, fit_one, model=stated, force=force,
                          report=report)  # fmt: skip
        else:
            with report.progress("items", opened.count()) as advance:
                state = fit_one(params, advance)
        encoders.keep_tower()
    write_state(output, state)
    for line in advice(row, state.params, len(queries.rows), queries.shipped):
        report.note(line)
    used = " and ".join(one.source for one in (queries, items) if one is not None)
    report.note(f"{row.name} fitted to {len(state.ids):,} items of {shown(state.gallery)} with {used}.")


def _dev(sweeps: tuple[str, ...], queries: str | None, qrels: str | None, measure: str | None) -> Dev | None:
    """What a sweep is judged with; None without a sweep."""
    given = {"--from": queries, "--qrels": qrels, "--measure": measure}
    if not sweeps:
        useless = next((name for name, value in given.items() if value is not None), None)
        if useless is not None:
            raise click.UsageError(f"{useless} does nothing without --sweep.")
        return None
    if queries is None or qrels is None:
        raise click.UsageError("--sweep needs queries (--from FILE) and their judgements (--qrels FILE).")
    return Dev(queries, qrels, measure or MEASURE)
