"""`mmr fit quantizer`: an index and queries in, the quantiser that keeps the ranking of its items out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from mmr.cli import options
from mmr.cli.report import Report
from mmr.errors import BadDataError, UsageError, shown

if TYPE_CHECKING:
    from mmr.index.quantizer_fit import Gain

SUMMARY = "codes of an index that keep the ranking of queries, not the vectors"
ROUNDS = 40
PIECES = 32  # that a vector is cut into, unless told


@click.command("quantizer")
@click.option("--index", required=True, metavar="INDEX", help="The index whose vectors are to be coded.")
@click.option("--from", "queries_from", required=True, metavar="FILE", help="Vectors of queries like those "
              "to come, thousands if you can, none of the test; `-` is stdin. `words` are everyday queries "
              "that ship with mmr.")  # fmt: skip
@click.option("--kind", metavar="KIND", help="What is fitted: pq or ivfpq, with m, bits and lists.  "
              "[default: ivfpq:m=32, ivfpq where 32 do not divide the vectors]")  # fmt: skip
@click.option("--rounds", type=click.IntRange(0, 1000), default=ROUNDS, show_default=True, metavar="N",
              help="Rounds over the queries at most; 0 is the closed form alone.")  # fmt: skip
@click.option("--model", metavar="SPEC", help="The encoder that queries without a model are of.")
@options.template
@click.option("--force", is_flag=True, help="Write the file although the queries kept out gain nothing.")
@click.option("-o", "--output", required=True, metavar="FILE", help="The fitted file; it appears whole or "
              "not at all.")  # fmt: skip
@options.reports("fit", items=False)
def command(
    report: Report, index: str, queries_from: str, kind: str | None, rounds: int, model: str | None,
    templates: tuple[str, ...], force: bool, output: str,
) -> None:  # fmt: skip
    """Fit the centroids of pq or ivfpq, a turn of the vectors and a map of the queries to queries, so that
    the ranking is kept and not the vectors. The vectors of the index stay as they are.

    A fifth of the queries says when to stop; another fifth, which the fit does not look at, what was gained
    over codes of as many bytes that are fitted to none.

    \b
    Examples:
      mmr fit quantizer --index pics.mmr --from q.npy --kind ivfpq:m=32 -o ivfpq.npz
      mmr index pics.mmr --convert ivfpq:m=32,fitted=ivfpq.npz
    """
    from mmr.cli import banks
    from mmr.cli.encoders import Encoders
    from mmr.cli.models import full_name
    from mmr.index import open_index
    from mmr.index.mapped import refuse_mixed
    from mmr.index.quantizer import write_quantizer
    from mmr.index.quantizer_fit import asked_kind, fit
    from mmr.stream.records import check_model

    if kind is not None:
        asked_kind(kind)
    with open_index(index) as opened, ExitStack() as stack:
        if not opened.content.single:
            raise UsageError(f"{shown(index)} is searched by more than one vector an item.",
                             "Quantisers are for kinds of one vector.")  # fmt: skip
        refuse_mixed(opened, "a quantiser")
        kind = kind or ("ivfpq" if opened.meta.dim % PIECES else f"ivfpq:m={PIECES}")
        stated = full_name(model, opened.meta.model)
        encoders = Encoders(opened, model, "auto", "auto", None, report, stack)
        embed = banks.embedder(encoders, templates)
        bank = banks.read(queries_from, opened, stated, embed, templates, report)
        check_model(opened.meta.model, bank.model, expected_by=opened.path.name, found_by=queries_from,
                    fix=f"Embed the queries with --model-of {shown(index)}, or say --model.")  # fmt: skip
        if bank.rows.shape[1] != opened.meta.dim:
            raise BadDataError(
                f"{shown(queries_from)} has vectors of {bank.rows.shape[1]:,} numbers, and {shown(index)} of "
                f"{opened.meta.dim:,}",
                f"Embed the queries with --model-of {shown(index)}.",
            )
        with report.progress("rounds", rounds) as advance:
            fitted, gain = fit(opened, bank.rows, kind, name=bank.source, rounds=rounds,
                               model=opened.meta.model, advance=advance)  # fmt: skip
        encoders.keep_tower()
    _say(gain, report)
    if gain.after <= gain.before and not force:
        raise BadDataError(
            "the queries kept out gain nothing by it, and the file was not written",
            "Give more queries, like those to come; or keep the codes that are fitted to none (opq=yes).",
        )
    write_quantizer(output, fitted)
    pieces = ",".join(f"{name}={value}" for name, value in fitted.params.items() if value)
    report.note(f"{fitted.of}:{pieces} fitted to {bank.source} over {gain.rows:,} items of {shown(index)}.")


def _say(gain: Gain, report: Report) -> None:
    """What the queries kept out found before and after."""
    report.note(
        f"{gain.queries:,} queries kept out find {gain.before:.1%} of the ten nearest by plain codes of as "
        f"many bytes, {gain.after:.1%} by these: {100 * (gain.after - gain.before):+.1f} points (95 %: "
        f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f})."
    )
    before, after = gain.refined
    report.note(f"with the candidates of `refine` compared exactly: {before:.1%} before, {after:.1%} after.")
    if after < before:
        report.note("so compared, plain codes find more: give more queries, or keep those (opq=yes).")
    if gain.low <= 0 < gain.after - gain.before:
        report.note("the interval holds nothing gained: give more queries to be sure.")
