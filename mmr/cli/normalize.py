"""`mmr normalize`: hits or vectors in, the same kind out, corrected."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import applied, export, options, together
from mmr.cli.hits import write_hits
from mmr.cli.methods import Methods, sentence
from mmr.cli.report import Report
from mmr.normalize.table import SCALES, ScaleRow

if TYPE_CHECKING:
    from mmr.stream.pipe import Records

APPLY = ("apply", "what `mmr fit` learned, on hits or vectors")
EXPORT = ("export", export.SUMMARY)
L2 = ("l2", "vectors at length 1")

_format = click.option("--format", "format_", type=click.Choice(["jsonl", "trec", "table", "ids"]),
                       metavar="NAME", help="jsonl, trec, table or ids.  [default: table on a terminal, else "
                       "jsonl]")  # fmt: skip


def _made(name: str) -> click.Command:
    if name in together.NAMES:
        return together.made(name, _read, _format)
    if name == "export":
        return export.made(_read)
    if name in ("apply", "l2"):
        return _apply if name == "apply" else _l2
    row = next(row for row in SCALES if row.name == name)
    return _scale(row)


_METHODS = [APPLY, EXPORT, L2, *((row.name, row.summary) for row in SCALES), *together.METHODS]


@click.group("normalize", cls=Methods, made=_made, methods=_METHODS)
def command() -> None:
    """Correct hits for hubs, turn scores into chances or put them on another scale, change vectors.

    \b
    Examples:
      mmr query pics.mmr --from queries.jsonl -k 100 | mmr normalize apply hubs.npz -k 10
      mmr query pics.mmr --from queries.jsonl | mmr normalize minmax
      mmr normalize l2 g.npy -o unit.npy
    """


@click.command(
    "apply",
    help="""Apply a file of `mmr fit`: a correction or a calibration to hits, a change to vectors.

    With a correction ask `mmr query` for more hits than you keep: an item that is not among them cannot
    come up. It says for which share of the queries the first hits are certain.

    \b
    Examples:
      mmr query pics.mmr --from queries.jsonl -k 100 | mmr normalize apply hubs.npz -k 10 --alpha .25
      mmr query pics.mmr --from queries.jsonl | mmr normalize apply cal.npz --min-prob .1
      mmr index pics.mmr --dump | mmr normalize apply centre.npz | mmr index centred.mmr
    """,
)
@click.argument("state", metavar="STATE")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--index", metavar="INDEX", help="Compute the numbers of the hits from its vectors and the "
              "bank: for items that came after the fit.")  # fmt: skip
@click.option("--alpha", type=click.FloatRange(0, 4), metavar="X", help="Another alpha than the fitted one; "
              "nnn and gc have one.")  # fmt: skip
@click.option("-k", "top", type=click.IntRange(min=1), metavar="N", help="Hits per query.  [default: all]")
@options.min_prob
@click.option("--as", "side", type=click.Choice(["items", "queries"]), metavar="SIDE", help="What the "
              "vectors are: items or queries, for invgc and localadj.")  # fmt: skip
@click.option("--force", is_flag=True, help="Go on with queries that are in the bank or of another kind, or "
              "whose scores were made in another way.")  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["jsonl", "trec", "table", "ids", "npy"]),
              metavar="NAME", help="jsonl, trec, table or ids; npy, blocks of bare vectors, for changes of "
              "vectors.  [default: table on a terminal, else jsonl]")  # fmt: skip
@options.vector_format
@options.output
@options.reports("normalize")
def _apply(
    report: Report, state: str, files: tuple[str, ...], index: str | None, alpha: float | None,
    top: int | None, min_prob: float | None, side: str | None, force: bool, format_: str | None,
    vector_format: str, output: str,
) -> None:  # fmt: skip
    from mmr.stream.archive import kind_of

    kind = kind_of(state)
    applied.refuse(kind, state, {
        "--index": index is not None, "--alpha": alpha is not None, "-k": top is not None,
        "--min-prob": min_prob is not None, "--as": side is not None, "--force": force,
        f"--format {format_}": format_ in applied.NOT_OF_VECTORS})  # fmt: skip
    if kind == "vectors":
        changed = applied.changed(state, _read(files, report), report, side, force)
        write_hits(changed, format_ or "jsonl", output, vector_format)
        return
    if kind == "calibration":
        calibrated = applied.calibrated(state, _queries(files, report), report, top, min_prob, force)
        write_hits(calibrated, format_, output, vector_format)
        return
    from mmr.normalize.apply import Correction, turned
    from mmr.normalize.state import read_state

    fitted = read_state(state)
    if alpha is not None:
        fitted = turned(fitted, {"alpha": alpha})
    with ExitStack() as stack:
        stored, whole = None, False
        if index is not None:
            from mmr.cli.gathered import gather
            from mmr.cli.stored import entered, gallery_of
            from mmr.normalize.held import affordable, refreshed
            from mmr.stream.records import check_model

            opened = entered(stack, index)
            check_model(fitted.model, opened.meta.model, expected_by=state, found_by=str(opened.path),
                        fix="Fit to this index.")  # fmt: skip
            stored = gather(opened).partly
            whole = affordable(fitted, opened.count())
            if whole:
                fitted = refreshed(fitted, gallery_of(opened))
        correction = Correction(fitted, k=top, name=state, vectors_of=stored, whole=whole, force=force)
        write_hits(correction.of(_queries(files, report), report), format_, output, vector_format)
    _say_how_certain(correction, report)


def _say_how_certain(correction: Any, report: Report) -> None:
    """Say for which share of the queries the first hits are those of the whole gallery."""
    if not correction.certifies or not correction.queries:
        return
    share, first = correction.certain / correction.queries, correction.first
    more = "" if share == 1 else "; more hits of `mmr query` (-k) make more of them certain"
    hits = "hit is" if first == 1 else f"{first:,} hits are"
    queries = "1 query" if correction.queries == 1 else f"{correction.queries:,} queries"
    report.note(f"the first {hits} certain for {share:.1%} of {queries}{more}.")


@click.command(
    "l2",
    help="""Bring vectors to length 1; a vector of zeros stays and is counted.

    \b
    Examples:
      mmr normalize l2 g.npy -o unit.npy
    """,
)
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--format", "format_", type=click.Choice(["jsonl", "npy"]), default="jsonl", show_default=True,
              metavar="NAME", help="jsonl, or npy: blocks of bare vectors.")  # fmt: skip
@options.vector_format
@options.output
@options.reports("normalize")
def _l2(report: Report, files: tuple[str, ...], format_: str, vector_format: str, output: str) -> None:
    from mmr.normalize.rescale import Units

    units = Units()
    write_hits(units.of(_read(files, report), report), format_, output, vector_format)
    if units.zeros:
        count = "vector of zeros has" if units.zeros == 1 else "vectors of zeros have"
        report.note(f"{units.zeros:,} {count} no direction and stayed.")


def _scale(row: ScaleRow) -> click.Command:
    """The subcommand of a scale; those with figures take --scope."""

    def scaled(
        report: Report, files: tuple[str, ...], format_: str | None, vector_format: str, output: str,
        scope: str = "query",
    ) -> None:  # fmt: skip
        from mmr.normalize.rescale import rescaled

        records = _queries(files, report, vectors=vector_format == "base64")
        write_hits(rescaled(records, row, scope == "stream", report), format_, output, vector_format)

    decorated: Any = options.reports("normalize")(scaled)
    shared = [click.argument("files", metavar="[FILE]...", nargs=-1)]
    if row.stream:
        shared.append(click.option("--scope", type=click.Choice(["query", "stream"]), default="query",
                                   show_default=True, help="Take its figures from each query's hits, or from "
                                   "all hits of the stream, which is then held."))  # fmt: skip
    for add in reversed([*shared, _format, options.vector_format, options.output]):
        decorated = add(decorated)
    words = (
        f"{sentence(row.summary)}\n\n{row.note}.\n\n\b\nExamples:\n"
        f"  mmr query pics.mmr --from queries.jsonl | mmr normalize {row.name}"
    )
    return click.command(row.name, help=words, short_help=sentence(row.summary))(decorated)


def _queries(files: tuple[str, ...], report: Report, vectors: bool = True) -> Records:
    """Queries with hits, each id once."""
    from mmr.stream.pipe import once

    return once(_read(files, report, vectors), report, "normalize")


def _read(files: tuple[str, ...], report: Report, vectors: bool = True) -> Records:
    from mmr.stream.read import read_records

    named = options.reads_stdin(files, "`mmr normalize METHOD FILE`")
    return read_records(named, reject=report, vectors=vectors, eof=True)
