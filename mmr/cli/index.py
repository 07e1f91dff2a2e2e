"""`mmr index`: vectors in, an index kept up to date; inspect, check, dump."""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import chances, corrections, engines, maps, options, status, towers, tune
from mmr.cli.models import full_name
from mmr.cli.report import Report
from mmr.errors import BadDataError, BadItem, MissingInputError, shown
from mmr.index.address import is_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mmr.errors import Reject
    from mmr.index.catalogue import Meta
    from mmr.index.changer import Counts
    from mmr.index.plan import Asked
    from mmr.stream.records import Record

MAX_DELETE = 0.5
WRITES = ("delete", "rebuild", "convert", "tune", "correct", "no-correct", "calibrate", "no-calibrate",
          "query-map", "no-query-map", "compact", "export-tower")  # fmt: skip
LOOKS = ("info", "list", "get", "dump")
PUT_IN = {"correct": corrections.correct, "calibrate": chances.hold, "query-map": maps.hold}
TAKE_OUT = {"no-correct": corrections.uncorrect, "no-calibrate": chances.drop, "no-query-map": maps.drop}


@click.command("index")
@click.argument("index", metavar="INDEX")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--kind", metavar="KIND", help="Of a new index, or with --rebuild of this one: "
              "auto, flat:dtype=float16, hnsw:m=32, ivfpq:probe=64.  [default: flat]")  # fmt: skip
@tune.memory
@click.option("--model", metavar="SPEC", help="The encoder that vectors without a model are of.")
@click.option(
    "--delete", "do_delete", is_flag=True, help="Delete the items named: ids, one a line, or records."
)
@click.option("--sync", "do_sync", is_flag=True, help="After the stream's end delete what it did not name.")
@click.option(
    "--dry-run", is_flag=True, help="Write nothing; say what would be done, and print ids that would go."
)
@click.option("--max-delete", type=click.FloatRange(0, 1), metavar="SHARE", help="With --sync, the share of "
              f"the items under the roots that may go.  [default: {MAX_DELETE:g}]")  # fmt: skip
@click.option("--info", "do_info", is_flag=True, help="Say what the index is.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), metavar="NAME",
              help="Of --info and --tune: table or json.  [default: table on a terminal, else "
              "json]")  # fmt: skip
@click.option("--list", "do_list", is_flag=True, help="Print the ids of all items.")
@click.option("--get", "names", multiple=True, metavar="ID", help="Print an item as a record (repeatable).")
@click.option(
    "--check", "do_check", is_flag=True, help="Read every byte; status 1 where something is damaged."
)
@click.option("--rebuild", "do_rebuild", is_flag=True, help="Build all but the vectors anew from them.")
@click.option("--convert", "converted", metavar="KIND", help="Turn the index into another kind, or give it "
              "other parameters: auto, pq, hnsw:m=16.")  # fmt: skip
@click.option("--tune", "do_tune", is_flag=True, help="Measure what a search can be told, print recall "
              "against time and size, and keep the fastest that gives --recall.")  # fmt: skip
@tune.recall
@click.option("--tune-with", metavar="FILE", help="Queries with vectors that stand for those to come: the "
              "index keeps 1,000 of them, and is measured and tuned with them.")  # fmt: skip
@click.option("--correct", "fitted", metavar="FILE", help="Hold what `mmr fit` learned, so that every "
              "later query and upsert is corrected.")  # fmt: skip
@click.option("--no-correct", "do_uncorrect", is_flag=True, help="Take the correction out again.")
@click.option("--calibrate", "calibration", metavar="FILE", help="Hold what `mmr fit calibrate` learned, for "
              "`mmr query --min-prob`.")  # fmt: skip
@click.option("--no-calibrate", "do_uncalibrate", is_flag=True, help="Take the calibration out again.")
@click.option("--query-map", metavar="FILE", help="Hold what `mmr fit map` learned, so that queries of a new "
              "model are answered, and its items taken.")  # fmt: skip
@click.option("--no-query-map", "do_unmap", is_flag=True, help="Take the map out again.")
@click.option("--compact", "do_compact", is_flag=True, help="Merge all into one segment without dead rows.")
@click.option("--export-tower", "tower", type=click.Choice(["fp32", "int8"]), metavar="TYPE",
              help="Put the model's text tower beside the vectors, fp32 or int8, so that queries with words "
              "need no torch.")  # fmt: skip
@click.option("--dump", "do_dump", is_flag=True, help="Write all items as records that an index takes back.")
@click.option("--wait", type=click.FloatRange(min=0), default=0.0, show_default=True, metavar="SECONDS",
              help="How long to wait while another process writes the index.")  # fmt: skip
@options.vector_format
@options.output
@options.reports("index")
def command(
    report: Report, index: str, files: tuple[str, ...], kind: str | None, model: str | None, do_delete: bool,
    do_sync: bool, dry_run: bool, max_delete: float | None, do_info: bool, format_: str | None, do_list: bool,
    names: tuple[str, ...], do_check: bool, do_rebuild: bool, converted: str | None, tune_with: str | None,
    fitted: str | None, do_uncorrect: bool, calibration: str | None, do_uncalibrate: bool,
    query_map: str | None, do_unmap: bool, do_compact: bool, tower: str | None, do_dump: bool, wait: float,
    memory: str | None, do_tune: bool, recall: float | None, vector_format: str, output: str,
) -> int | None:  # fmt: skip
    """Put vectors into an index, and look after it.

    Reads records with vectors from the files named, else from stdin, and stores them in the folder INDEX.
    A record whose id is there already replaces its item.

    \b
    Examples:
      mmr embed pics/ | mmr index pics.mmr
      mmr embed pics/ --skip-indexed pics.mmr | mmr index pics.mmr --sync
      mmr query pics.mmr "blurred" --format ids | mmr index pics.mmr --delete
      mmr index a.mmr --dump | mmr index b.mmr
    """
    verb = _one_of({"delete": do_delete, "sync": do_sync, "info": do_info, "list": do_list,
                    "get": bool(names), "check": do_check, "rebuild": do_rebuild, "tune": do_tune,
                    "convert": converted is not None, "correct": fitted is not None,
                    "no-correct": do_uncorrect, "calibrate": calibration is not None,
                    "no-calibrate": do_uncalibrate, "query-map": query_map is not None,
                    "no-query-map": do_unmap, "compact": do_compact, "export-tower": tower is not None,
                    "dump": do_dump})  # fmt: skip
    _check_together(verb, files, kind, model, dry_run, max_delete, format_, wait, output, vector_format,
                    tune_with, memory, recall)  # fmt: skip
    share = MAX_DELETE if max_delete is None else max_delete
    becomes = kind if converted is None else converted
    if is_address(index) and verb not in LOOKS:
        useless = {"--memory": memory, "--recall": recall, "--tune-with": tune_with, "--wait": wait or None}
        counts = engines.run(verb, index, files, becomes, model, dry_run, share, useless, report)
        if counts is not None:
            _close(counts, dry_run, report)
        return None
    asked = tune.asked(memory, recall, report)
    if verb in (*LOOKS, "check"):
        return _looked(str(verb), index, names, output, vector_format, format_, report)
    if verb in ("rebuild", "convert"):
        _rebuild(index, becomes, tune_with, model, wait, asked, report)
    elif verb == "tune":
        queries, model = _queries(index, tune_with, model, report)
        tune.tune(index, recall, queries if tune_with else None, model, wait, format_, report)
    elif file := fitted or calibration or query_map:
        PUT_IN[str(verb)](index, file, wait, report)
    elif verb in TAKE_OUT:
        TAKE_OUT[verb](index, wait, report)
    elif verb == "compact":
        _compact(index, wait, report)
    elif tower is not None:
        towers.export(index, tower, wait, report)
    elif verb == "delete":
        _delete(index, options.reads_stdin(files, "FILE"), wait, dry_run, asked, report)
    else:
        sources = options.reads_stdin(files, "FILE")
        asked = _with_queries(asked, index, tune_with, model, report)
        _take(index, sources, kind, model, wait, dry_run, report, share if verb == "sync" else None, asked)
    return None


def _looked(
    verb: str, index: str, names: tuple[str, ...], output: str, vector_format: str, format_: str | None,
    report: Report,
) -> int | None:  # fmt: skip
    """Do what changes nothing; returns the status that --check ends with."""
    if verb == "check":
        return _check(index, report)
    if verb == "info":
        _info(index, format_)
    elif verb == "list":
        _list(index, report)
    else:
        _records_out(index, names, output, vector_format)
    return None


def _one_of(verbs: Mapping[str, bool]) -> str | None:
    """The option that says what to do, where there is one; several are refused."""
    given = [name for name, wanted in verbs.items() if wanted]
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]}: one at a time.")
    return given[0] if given else None


def _with_queries(
    asked: Asked, index: str, tune_with: str | None, model: str | None, report: Report
) -> Asked:
    """What is asked of the kind, with the queries of --tune-with where there are some."""
    if tune_with is None:
        return asked
    queries, of = _queries(index, tune_with, model, report)
    return asked._replace(queries=queries, model=of, reject=report)


def _check_together(
    verb: str | None, files: tuple[str, ...], kind: str | None, model: str | None, dry_run: bool,
    max_delete: float | None, format_: str | None, wait: float, output: str, vector_format: str,
    tune_with: str | None, memory: str | None, recall: float | None,
) -> None:  # fmt: skip
    """Refuse options that would do nothing beside the one that says what to do."""
    upserts = verb in (None, "sync")
    writes_records = verb in ("get", "dump")
    builds = upserts or verb in ("rebuild", "convert")
    useless = {
        "FILE": bool(files) and not (upserts or verb == "delete"),
        "--kind": kind is not None and not (upserts or verb == "rebuild"),
        "--model": model is not None and not (upserts or tune_with),
        "--tune-with": tune_with is not None and not (builds or verb == "tune"),
        "--memory": memory is not None and not builds,
        "--recall": recall is not None and not (builds or verb == "tune"),
        "--dry-run": dry_run and not (upserts or verb == "delete"),
        "--max-delete": max_delete is not None and verb != "sync",
        "--format": format_ is not None and verb not in ("info", "tune"),
        "--wait": wait > 0 and not (upserts or verb in WRITES),
        "--output": output != "-" and not writes_records,
        "--vector-format": vector_format != "list" and not writes_records,
    }
    for name, is_useless in useless.items():
        if is_useless:
            beside = f"with --{verb}" if verb else "without --sync" if name == "--max-delete" else "here"
            raise click.UsageError(f"{name} does nothing {beside}.")


def _take(
    index: str, sources: tuple[str, ...], kind: str | None, model: str | None, wait: float, dry_run: bool,
    report: Report, max_delete: float | None, asked: Asked,
) -> None:  # fmt: skip
    """Upsert a stream; with `max_delete` also make the index follow it."""
    from pathlib import Path

    from mmr.index import catalogue, upsert
    from mmr.stream.read import read_records

    before = _before(index)
    declared = full_name(model, _known(before))
    with report.progress("items") as advance:
        if max_delete is None:
            counts = upsert(index, read_records(sources, reject=report), reject=report, model=declared,
                            kind=kind, wait=wait, dry_run=dry_run, tick=advance,
                            corrector=corrections.corrector, asked=asked)  # fmt: skip
        else:
            from mmr.index.sync import sync

            def read(reject: Reject) -> Iterable[Record]:
                return read_records(sources, reject=reject, eof=True)

            going = click.echo if dry_run else None
            counts = sync(index, read, reject=report, model=declared, kind=kind, wait=wait,
                          dry_run=dry_run, max_delete=max_delete, going=going, tick=advance,
                          corrector=corrections.corrector, asked=asked)  # fmt: skip
    if not dry_run:
        if catalogue.exists(Path(index)):
            maps.say(index, before, report)
            towers.take(index, report)
        else:
            report.note(f"nothing to store came in, so {shown(index)} was not made.")
    if not dry_run and (counts.new or counts.changed) and (asked.recall or (kind or "").startswith("auto")):
        tune.say_recall(index, report)
    _close(counts, dry_run, report)


def _before(index: str) -> Meta | None:
    """What the index is, where there is one already."""
    from mmr.index import open_index

    with suppress(MissingInputError), open_index(index) as opened:
        return opened.meta
    return None


def _known(before: Meta | None) -> str | None:
    """The model of an index, where there is one already."""
    return None if before is None else before.model


def _delete(
    index: str, sources: tuple[str, ...], wait: float, dry_run: bool, asked: Asked, report: Report
) -> None:
    from mmr.index import delete
    from mmr.index.names import read_ids

    before = _before(index)
    counts = delete(index, read_ids(sources, reject=report), wait=wait, dry_run=dry_run, asked=asked,
                    going=click.echo if dry_run else None)  # fmt: skip
    if counts.unknown:
        report.note(f"{counts.unknown:,} of the ids named are not in {shown(index)}.")
    maps.say(index, before, report)
    _close(counts, dry_run, report)


def _close(counts: Counts, dry_run: bool, report: Report) -> None:
    """Say what was done, in the one line with which long work ends."""
    if counts.again:
        report.note(f"{counts.again:,} items came more than once; the last of each was taken.")
    if dry_run:
        report.note("a dry run: nothing was written. It would be:")
    report.summary(new=counts.new, changed=counts.changed, kept=counts.kept, gone=counts.gone)


def _check(index: str, report: Report) -> int:
    from mmr.index.check import check

    damage = check(index)
    for sentence in damage:
        report.say(f"{shown(index)}: {sentence}")
    if not damage:
        report.note(f"{shown(index)} is sound.")
    return status.NO if damage else status.DONE


def _rebuild(
    index: str, kind: str | None, tune_with: str | None, model: str | None, wait: float, asked: Asked,
    report: Report,
) -> None:  # fmt: skip
    from mmr.index.check import rebuild

    queries, model = _queries(index, tune_with, model, report)
    meta = rebuild(index, kind=kind, wait=wait, queries=queries, reject=report, model=model,
                   corrector=corrections.corrector, asked=asked)  # fmt: skip
    params = ",".join(f"{name}={value}" for name, value in meta.params.items())
    report.note(f"{shown(index)} is of the kind {meta.kind}:{params}, {meta.count:,} items.")
    tune.say_recall(index, report)


def _queries(
    index: str, file: str | None, model: str | None, report: Report
) -> tuple[Iterable[Record], str | None]:
    """The queries of --tune-with, and the model of those that name none."""
    from mmr.stream.read import read_records

    if file is None:
        return (), model
    return _some(read_records((file,), reject=report), file), full_name(model, _known(_before(index)))


def _some(queries: Iterable[Record], file: str) -> Iterable[Record]:
    """The queries of a file, which must not be none."""
    left = iter(queries)
    first = next(left, None)
    if first is None:
        raise BadDataError(f"{shown(file)} holds no queries", "Leave --tune-with out, or name another file.")
    return chain((first,), left)


def _compact(index: str, wait: float, report: Report) -> None:
    from mmr.index.check import compact

    before, after = compact(index, wait=wait)
    report.note(f"{shown(index)} had {before:,} bytes and has {after:,}.")


def _list(index: str, report: Report) -> None:
    from mmr.index import open_any
    from mmr.stream.write import opened as opened_output

    with open_any(index) as opened, opened_output("-") as out:
        for name in opened.all_ids():
            if "\n" in name or name.endswith("\r"):
                what = "the id holds a line break, and --list writes one id a line"
                report(BadItem(shown(name), what, "use --dump", stage="read", record={"id": name}))
            else:
                out.write(name.encode() + b"\n")
        out.flush()


def _records_out(index: str, names: tuple[str, ...], output: str, vector_format: str) -> None:
    """Write the items named, or all, as records with their vectors."""
    from mmr.index import open_any
    from mmr.stream.write import open_writer

    with open_any(index) as opened:
        items = [opened.get(name) for name in names] if names else opened.items()
        with open_writer(output, "jsonl", vector_format=vector_format) as writer:
            for item in items:
                writer.write(item)


def _info(index: str, format_: str | None) -> None:
    from mmr.index import Remote, open_any
    from mmr.index.check import describe

    with open_any(index) as opened:
        facts = opened.describe() if isinstance(opened, Remote) else describe(opened)
    terminal = sys.stdout is not None and sys.stdout.isatty()
    if format_ == "json" or (format_ is None and not terminal):
        from mmr.stream.records import dump

        click.echo(dump(facts), nl=False)
    else:
        _table(facts)


def _table(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key}={one}" for key, one in value.items())
        elif isinstance(value, list):
            value = "\n".join(value)
        elif isinstance(value, int | float):
            value = f"{value:,}"
        table.add_row(Text(name.replace("_", " "), style="bold"), Text("unknown" if value is None else value))
    Console().print(table)
