"""`mmr fit calibrate`: judged hits in, a file that says what a score means out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mmr.cli import options
from mmr.cli.report import Report
from mmr.normalize.table import CALIBRATIONS

if TYPE_CHECKING:
    from mmr.normalize.calibration import Calibration

SUMMARY = "from a score to the chance of relevance, from judged hits"
FEW = 50  # relevant hits under which a calibration is said to be doubtful


@click.command(
    "calibrate",
    help=f"""Learn the chance of relevance that a score stands for, from the hits of judged queries.

    {" ".join(f"{row.name}: {row.summary}." for row in CALIBRATIONS)} None changes the order of a query's
    hits. The file is for `mmr query --min-prob`, `mmr index --calibrate` and `mmr normalize apply`.
    Give as many hits a query as will be asked for: a map knows the score and not the place.

    \b
    Examples:
      mmr query pics.mmr --from dev.jsonl > hits.jsonl
      mmr fit calibrate --qrels dev.tsv hits.jsonl -o cal.npz
      mmr query pics.mmr "a red apple" --calibrate cal.npz --min-prob .5
    """,
)
@click.argument("hits", metavar="[HITS]", required=False)
@click.option("--qrels", required=True, metavar="FILE", help="Judgements of the queries of HITS, in any "
              "form that `mmr eval` reads.")  # fmt: skip
@click.option("--method", type=click.Choice([row.name for row in CALIBRATIONS]), default="platt",
              show_default=True, metavar="NAME", help="platt, isotonic or query.")  # fmt: skip
@click.option("--rel", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="The least judgement that counts as relevant.")  # fmt: skip
@click.option("-o", "--output", required=True, metavar="FILE", help="The fitted file; it appears whole or "
              "not at all.")  # fmt: skip
@options.reports("fit", items=False)
def command(report: Report, hits: str | None, qrels: str, method: str, rel: int, output: str) -> None:
    from mmr.errors import UsageError
    from mmr.evaluate.qrels import read_qrels
    from mmr.normalize.calibration import fit_calibration, write_calibration

    (hits,) = options.reads_stdin(() if hits is None else (hits,), "HITS")
    if hits == qrels == "-":
        raise UsageError("standard input can be read once", "Name the judgements as a file.")
    calibration = fit_calibration(method, hits, read_qrels(qrels).of_query, rel)
    write_calibration(output, calibration)
    _say(calibration, report)


def _say(calibration: Calibration, report: Report) -> None:
    if calibration.relevant < FEW:
        report.note(
            f"{calibration.relevant:,} relevant hits are few: with {FEW} and more chances hold better."
        )
    report.note(f"{calibration.row.name} fitted to {calibration.source}.")
    if calibration.row.query and not calibration.arrays["head"].any():
        report.note("the queries' vectors told nothing in cross-validation: one map for all queries.")
