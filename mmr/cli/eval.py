"""`mmr eval`: rankings and judgements in, measures out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.hits import on_terminal
from mmr.cli.report import Report

if TYPE_CHECKING:
    from mmr.evaluate.figures import Figure

MEASURES = "nDCG@10,AP,RR,R@10,hit@1,hit@10"
TIES = ("docid-desc", "docid-asc", "input", "average", "best", "worst")


@dataclass(frozen=True)
class Asked:
    """The command line: one field an option."""

    files: tuple[str, ...]
    measures: str | None
    ties: str | None
    score_precision: str
    over: str | None
    judged_only: bool
    gallery_size: int | None
    index: str | None
    ci: bool
    seed: int
    compare: bool
    test: str
    per_query: bool
    group_by: str | None
    groups: str | None
    train_queries: str | None
    test_queries: str | None
    similarity: float | None
    asserted: tuple[str, ...]
    protocol: str | None
    images: str | None
    exclude_reference: bool
    split: str
    write_queries: str | None
    write_gallery: str | None
    write_submission: str | None
    hubness: bool
    gap: bool
    shares: str | None
    top: int
    manifest: str | None
    plot: str | None
    format_: str | None
    output: str


def _list(what: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    """The callback of an option that lists a table and exits."""

    def listed(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if not value or ctx.resilient_parsing:
            return
        from mmr.evaluate.plugins import listed as measures
        from mmr.evaluate.protocols.table import PROTOCOLS

        rows: Sequence[tuple[str, str]] = (
            measures() if what == "measures"
            else [(row.name, row.summary) for row in PROTOCOLS]
        )  # fmt: skip
        width = max(len(form) for form, _ in rows)
        click.echo("\n".join(f"{form.ljust(width)}  {summary}" for form, summary in rows))
        ctx.exit()

    return listed


@click.command("eval")
@click.argument("files", metavar="[JUDGEMENTS] RUN...", nargs=-1)
@click.option("-m", "--measures", metavar="LIST", help="What to measure, such as 'nDCG@10,AP,hit@1' "
              f"(`mmr eval --list-measures`).  [default: {MEASURES}]")  # fmt: skip
@click.option("--ci", is_flag=True, help="95 % intervals: BCa bootstrap over queries, 10,000 resamples.")
@click.option("--compare", is_flag=True, help="Test each later run against the first.")
@click.option("--test", type=click.Choice(["randomization", "t", "wilcoxon"]), default="randomization",
              show_default=True, help="The paired test of --compare.")  # fmt: skip
@click.option("--per-query", is_flag=True, help="Write a record a query and measure.")
@click.option("--group-by", metavar="FIELD", help="Figures for each value of a field of the queries.")
@click.option("--groups", metavar="FILE", help="Figures for each group; lines of query, tab, group.")
@click.option("--train-queries", metavar="FILE", help="Vectors of training queries: figures for queries "
              "near them and far from them.")  # fmt: skip
@click.option("--test-queries", metavar="FILE", help="Vectors of the test queries, for --train-queries.  "
              "[default: those in the run]")  # fmt: skip
@click.option("--similarity", type=float, metavar="S", help="What is near: cosine at least S.  "
              "[default: the median]")  # fmt: skip
@click.option("--assert", "asserted", multiple=True, metavar="'nDCG@10>=0.42'", help="Exit with 1 unless it "
              "holds.")  # fmt: skip
@click.option("--ties", type=click.Choice(TIES), metavar="ORDER", help=f"Order of equal scores: "
              f"{', '.join(TIES)}.  [default: docid-desc for runs, input for hits]")  # fmt: skip
@click.option("--score-precision", type=click.Choice(["f32", "f64"]), default="f32", show_default=True,
              help="The precision in which scores can be equal.")  # fmt: skip
@click.option("--over", type=click.Choice(["qrels", "both", "nonempty"]), metavar="QUERIES", help="Mean over "
              "the queries of the qrels (missing ones count as empty), of both, or nonempty: those with "
              "something relevant.  [default: qrels]")  # fmt: skip
@click.option("--judged-only", is_flag=True, help="Take unjudged items out before counting places.")
@click.option("--gallery-size", type=click.IntRange(min=1), metavar="N", help="How many items there are to "
              "find, for MedR, MeanR and --hubness.")  # fmt: skip
@click.option("--index", metavar="INDEX", help="Take the size of the gallery from INDEX.")
@click.option("--protocol", metavar="NAME", help="Measure as a benchmark does; JUDGEMENTS are its "
              "annotation files (`mmr eval --list-protocols`).")  # fmt: skip
@click.option("--images", metavar="FOLDER", help="Where the benchmark's pictures are, for --write-queries.")
@click.option("--exclude-reference", is_flag=True, help="FashionIQ: take the reference out of the gallery.")
@click.option(
    "--split", default="test", show_default=True, metavar="NAME", help="Which qrels of a BEIR folder."
)
@click.option("--write-queries", metavar="FILE", help="Write the benchmark's queries, to start a pipe with.")
@click.option(
    "--write-gallery", metavar="FILE", help="Write the benchmark's items of words, to embed and index."
)
@click.option("--write-submission", metavar="FILE", help="Write what the benchmark's server takes.")
@click.option("--hubness", is_flag=True, help="Measure which items come up everywhere; FILE is a run.")
@click.option("--gap", is_flag=True, help="Measure how far apart two sets of vectors lie; two FILEs.")
@click.option("--shares", metavar="FIELD", help="Shares of a field's values in the first -k hits; "
              "`modality` is image or text.")  # fmt: skip
@click.option("-k", "top", type=click.IntRange(min=1), default=10, show_default=True, metavar="N",
              help="How many hits --hubness and --shares look at.")  # fmt: skip
@click.option("--manifest", metavar="FILE", help="Record files, models, conventions and versions; say what "
              "differs from the FILE that is there.")  # fmt: skip
@click.option("--plot", metavar="FILE", help="Draw what was measured: PNG, SVG, PDF, or its points as "
              "JSONL.")  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["table", "jsonl", "tsv", "markdown", "latex"]),
              metavar="NAME", help="table, jsonl, tsv, markdown or latex.  "
              "[default: table on a terminal, else jsonl]")  # fmt: skip
@options.seed
@click.option("--list-measures", is_flag=True, is_eager=True, expose_value=False,
              callback=_list("measures"),
              help="Show the measures and their parameters, and exit.")  # fmt: skip
@click.option("--list-protocols", is_flag=True, is_eager=True, expose_value=False,
              callback=_list("protocols"),
              help="Show the benchmarks and their conventions, and exit.")  # fmt: skip
@options.output
@options.reports("eval", items=False)
def command(report: Report, **given: Any) -> int | None:
    """Measure rankings against judgements.

    JUDGEMENTS are TREC qrels, a BEIR or M-BEIR file, or a benchmark's own. A RUN is a TREC run or hits of
    `mmr query`; `-` is standard input.

    \b
    Examples:
      mmr eval qrels.txt run.trec -m 'nDCG@10,AP@50,R@1,RR'
      mmr query pics.mmr --from queries.jsonl | mmr eval qrels.txt - -m 'hit@1,hit@10' --ci
      mmr eval qrels.txt run.trec run.jsonl --compare
      mmr eval qrels.txt run.trec -m nDCG@10 --assert 'nDCG@10>=0.1'
      mmr eval --hubness run.jsonl --index pics.mmr
    """
    asked = Asked(**given)
    _check(asked)
    if asked.hubness:
        _hubness(asked, report)
        return None
    if asked.gap:
        _gap(asked, report)
        return None
    if asked.shares is not None:
        _shares(asked)
        return None
    if asked.protocol is not None:
        from mmr.cli.benchmark import protocol

        return protocol(asked, report)
    from mmr.cli.scoring import measure

    return measure(asked, report)


ONE_OF = (
    ("hubness", "gap", "shares", "protocol"),
    ("per_query", "compare", "group_by", "groups", "train_queries"),
)
NEEDS = {
    "images": "protocol", "exclude_reference": "protocol", "write_queries": "protocol",
    "write_gallery": "protocol", "write_submission": "protocol", "test_queries": "train_queries",
    "similarity": "train_queries",
}  # fmt: skip
NOT_OF_A_RUN = ("measures", "ci", "asserted", "manifest", "plot", *ONE_OF[1])


def _check(asked: Asked) -> None:
    """Refuse options that do not belong together; raises `click.UsageError`."""

    def given(names: Iterable[str]) -> list[str]:
        found = [name for name in names if getattr(asked, name) not in (None, False, ())]
        return [f"--{name.replace('asserted', 'assert').replace('_', '-')}" for name in found]

    for group in ONE_OF:
        if len(given(group)) > 1:
            raise click.UsageError(f"{' and '.join(given(group))} ask for different things. Give one.")
    for name, other in NEEDS.items():
        if given([name]) and not given([other]):
            raise click.UsageError(f"{given([name])[0]} belongs to --{other.replace('_', '-')}.")
    asks = given(ONE_OF[0][:3])
    if asks and given(NOT_OF_A_RUN):
        raise click.UsageError(f"{given(NOT_OF_A_RUN)[0]} has no meaning with {asks[0]}.")


def _one_file(asked: Asked, option: str) -> str:
    """The file of a question that takes one; standard input where none is named."""
    if len(asked.files) > 1:
        raise click.UsageError(f"{option} reads one file of hits, not {len(asked.files)}.")
    return options.reads_stdin(asked.files, f"`mmr eval {option} FILE`")[0]


def gallery_size(asked: Asked) -> int | None:
    """How many items could be found: as said, or as many as the index holds."""
    if asked.index is None or asked.gallery_size is not None:
        return asked.gallery_size
    from mmr.index import open_any

    with open_any(asked.index) as index:
        return index.count()


def _hubness(asked: Asked, report: Report) -> None:
    """Which items come up everywhere: figures, the largest hubs, and what they mean."""
    from mmr.evaluate.hubness import hubness, meaning
    from mmr.evaluate.protocols.run import rankings

    gallery = gallery_size(asked)
    if gallery is None:
        raise click.UsageError("items that never come up count too: name --index INDEX or --gallery-size N.")
    run = _one_file(asked, "--hubness")
    found = hubness((ids for _, ids in rankings(run)), asked.top, gallery)
    figures = {**vars(found)}
    hubs = figures.pop("hubs")
    most = [{"measure": f"N({name})", "value": times, "id": name} for name, times in hubs]
    write([*({"measure": name, "value": value} for name, value in figures.items()), *most], asked)
    report.note(meaning(found))


def _gap(asked: Asked, report: Report) -> None:
    """How far apart two sets of vectors lie, and what that means."""
    from mmr.evaluate.gap import gap, meaning
    from mmr.evaluate.vectors import read_vectors, same_space

    if len(asked.files) != 2:
        raise click.UsageError("--gap compares two files of vectors, such as those of words and of pictures.")
    names = asked.files[0], asked.files[1]
    first, second = map(read_vectors, names)
    same_space(first, second, names)
    found = gap(first.rows, second.rows, names)
    write([{"measure": name, "value": value} for name, value in found._asdict().items()], asked)
    report.note(meaning(found))


def _shares(asked: Asked) -> None:
    """What the first hits are made of."""
    from mmr.errors import raise_item
    from mmr.evaluate.shares import shares
    from mmr.stream.read import read_records

    records = read_records([_one_file(asked, "--shares")], reject=raise_item, vectors=False)
    found = shares(records, asked.top, asked.shares or "modality")
    name = f"{{}}@{asked.top}"
    write([{"group": one.asked or "all", "measure": name.format(one.value or "none"), "value": one.share,
            "hits": one.hits, "queries": one.queries} for one in found], asked)  # fmt: skip


def write(figures: Iterable[Figure], asked: Asked) -> None:
    """Write records in the format that was asked for, whole or not at all."""
    from mmr.evaluate.output import lines
    from mmr.stream.write import opened

    format_ = asked.format_ or ("table" if on_terminal(asked.output) else "jsonl")
    with opened(asked.output) as file:
        for text in lines(figures, format_):
            file.write(text.encode())
