"""`mmr rerank`: hits in, hits out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.hits import write_hits
from mmr.cli.methods import Methods, sentence
from mmr.cli.report import Report
from mmr.cli.scorers import OPTIONS as SCORER
from mmr.cli.scorers import scorer_of
from mmr.cli.words import OPTIONS as WORDS
from mmr.cli.words import with_words
from mmr.rerank.table import ALL, MANY, Param, Row, find, loaded, names, plugged

if TYPE_CHECKING:
    from mmr.index import AnyIndex
    from mmr.rerank.method import Stored, Tools
    from mmr.stream.records import Record

ACROSS = {
    "helps": "", "unknown": "",
    "hurts": " It warns where the query is of words and its hits are pictures, or the other way round.",
}  # fmt: skip

format_ = click.option("--format", "format_", type=click.Choice(["jsonl", "trec", "table", "ids"]),
                       metavar="NAME", help="jsonl, trec, table or ids.  [default: table on a terminal, else "
                       "jsonl]")  # fmt: skip
index = click.option("--index", metavar="INDEX", help="Where the vectors of the hits are.  [default: in the "
                     "hits, from `mmr query --with-vectors`]")  # fmt: skip
stored = click.option("--index", metavar="INDEX", help="Where the hits' stored fields are.  [default: in the "
                      "hits, from `mmr query --fields`]")  # fmt: skip
queries_from = click.option("--from", "queries_from", metavar="FILE", help="Queries by id: their vectors, "
                            "words, pictures, where the hits came without, as in a TREC run.")  # fmt: skip
explain = click.option("--explain", is_flag=True, help="Each hit says in `why` why it moved.")
keep = click.option("-k", "top", type=click.IntRange(min=1), metavar="N",
                    help="Hits per query that are kept.  [default: all]")  # fmt: skip


def _made(name: str) -> click.Command:
    """The subcommand of a method: its options come from its row."""
    row = find(name)
    assert row is not None
    if row.own:
        command: click.Command = loaded(row)
        return command

    def reranks(report: Report, **given: Any) -> None:
        _rerank(row, report, **given)

    decorated: Any = options.reports("rerank")(reranks)
    for add in reversed(_options(row)):
        decorated = add(decorated)
    return click.command(row.name, help=_help(row), short_help=sentence(row.summary))(decorated)


def _options(row: Row) -> list[Any]:
    default = "all" if row.depth == ALL else f"{row.depth:,}"
    depth = click.option("--depth", type=click.IntRange(min=0), metavar="N", help="How many first hits are "
                         "reranked; the others keep their order behind them.  "
                         f"[default: {default}]")  # fmt: skip
    shared = [click.argument("files", metavar="[FILE]...", nargs=-1), *map(option, row.params), depth]
    if {"query", "bags", "scorer", "words"} & set(row.needs):
        shared.append(queries_from)
    if {"vectors", "bags"} & set(row.needs):
        shared.append(index)
    if "fields" in row.needs:
        shared.append(stored)
    if "scorer" in row.needs:
        shared += SCORER
    if "words" in row.needs:
        shared += WORDS
    return [*shared, keep, explain, format_, options.vector_format, options.output]


def option(param: Param) -> Any:
    """The option of a parameter; also for methods that are commands of their own."""
    more: dict[str, Any] = {"default": param.default, "show_default": param.default is not None}
    kinds: dict[str, click.ParamType[Any]] = {
        "number": click.FLOAT if param.low <= -MANY else click.FloatRange(_end(param.low), _end(param.high)),
        "whole": click.IntRange(_end(param.low, whole=True), _end(param.high, whole=True)),
        "choice": click.Choice(param.choices),
        "text": click.STRING, "texts": click.STRING,
    }  # fmt: skip
    if param.kind == "flag":
        more = {"is_flag": True, "default": False}
    else:
        usual = {"number": "X", "whole": "N", "choice": "NAME"}.get(param.kind, "TEXT")
        more |= {"type": kinds[param.kind], "metavar": param.metavar or usual}
    if param.kind == "texts":
        more |= {"multiple": True, "default": (), "show_default": False}
    choices = f": {', '.join(param.choices[:-1])} or {param.choices[-1]}" if param.choices else ""
    return click.option(param.option, param.name, help=f"{param.note}{choices}.", **more)


def _end(value: float, whole: bool = False) -> Any:
    """An end of a range, None where it has none."""
    if abs(value) >= MANY:
        return None
    return int(value) if whole else value


def _help(row: Row) -> str:
    line = row.example or row.name
    piped = f"mmr query pics.mmr --from queries.jsonl -k 100 | mmr rerank {line}"
    source = f" ({row.source})" if row.source else ""
    return (
        f"{sentence(row.summary)}\n\n{row.safe}.{ACROSS[row.across]}{source}\n\n\b\nExamples:\n"
        f"  {line if line.startswith('mmr ') else piped}"
    )


@click.group("rerank", cls=Methods, methods=names(), made=_made, plugged=plugged)
def command() -> None:
    """Rerank hits: refine, fuse, cut, make diverse, assign, ask a model.

    Reads queries with hits (or a TREC run) and writes them with their hits in a new order.

    \b
    Examples:
      mmr query pics.mmr --image apple.png -k 400 | mmr rerank superglobal --index pics.mmr -k 10
    """


def _rerank(
    row: Row, report: Report, files: tuple[str, ...], depth: int | None, top: int | None, explain: bool,
    format_: str | None, vector_format: str, output: str, index: str | None = None,
    queries_from: str | None = None, **params: Any,
) -> None:  # fmt: skip
    from mmr.rerank.apply import reranked

    read_as = [queries_from, *(params[param.name] for param in row.params if param.metavar == "FILE")]
    if [*(files or ("-",)), *read_as].count("-") > 1:
        raise click.UsageError(
            "standard input can be read once; name the hits, or what else it is, as a file."
        )
    with ExitStack() as stack:
        tools = tools_of(index, report, stack)
        if "scorer" in row.needs:
            tools = replace(tools, scorer=scorer_of(params, report, stack))
        if "words" in row.needs:
            tools = with_words(tools, index, params, report, stack)
        if queries_from is not None:
            tools = replace(tools, queries=_queries(queries_from, report))
        records = read(files, report)
        found = reranked(
            records, row, params, reject=report, tools=tools, depth=depth, k=top, explain=explain
        )
        write_hits(found, format_, output, vector_format)


def _queries(path: str, report: Report) -> dict[str, Record]:
    """The queries of a file by id, all held."""
    from mmr.stream.read import read_records

    return {record["id"]: record for record in read_records([path], reject=report)}


def tools_of(index: str | None, report: Report, stack: ExitStack) -> Tools:
    """What methods are handed: the vectors of an index, and a voice."""
    from mmr.rerank.method import Tools

    def another(path: str) -> Stored:
        from mmr.cli.gathered import gather
        from mmr.cli.stored import entered

        return gather(entered(stack, path))

    if index is None:
        return Tools(note=report.note, opened=another)
    from mmr.cli.gathered import gather
    from mmr.cli.stored import children_of, entered, fields_of
    from mmr.errors import shown

    opened = entered(stack, index)
    stored = gather(opened)
    return Tools(
        opened=another, vectors_of=stored, bags_of=stored.bags, search=_searching(opened),
        fields_of=fields_of(opened), children_of=children_of(opened), note=report.note,
        model=opened.meta.model, gallery=shown(opened.path.name),
    )  # fmt: skip


def _searching(opened: AnyIndex) -> Any:
    """A function that searches the whole index with other vectors than the records have."""
    from mmr.index.search import Wanted
    from mmr.stream.records import Record

    def found(queries: Any, records: Sequence[Record], k: int) -> Any:
        opened.refresh()
        asked = [Record({**record, "vector": query}) for query, record in zip(queries, records, strict=True)]
        answers = opened.search(asked, Wanted(k))
        opened.rest()
        return answers

    return found


def read(files: Sequence[str], report: Report, vectors: bool = True) -> Iterable[Record]:
    """Queries with hits out of the named files, else stdin; each id once. What closes a pair stays."""
    from mmr.stream.pipe import once
    from mmr.stream.read import read_records

    named = options.reads_stdin(tuple(files), "`mmr rerank METHOD FILE`")
    eof = not all(name.endswith(".npy") for name in named)
    return once(read_records(named, reject=report, vectors=vectors, eof=eof), report, "rerank")
