"""`mmr embed`: pictures and words in, the same with vectors out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.report import Report
from mmr.errors import MissingInputError, shown

if TYPE_CHECKING:
    from mmr.embed.pipeline import Plan
    from mmr.pictures.walk import Walk
    from mmr.stream.records import Record

RECORDS = (".jsonl", ".ndjson", ".tsv", ".npy")


@click.command("embed")
@click.argument("inputs", metavar="[PATH]...", nargs=-1)
@click.option("--text", "texts", multiple=True, metavar="WORDS", help="Embed WORDS (repeatable).")
@click.option("--files-from", metavar="FILE", help="Read paths from FILE, one a line; `-` is stdin.")
@click.option("-0", "--null", is_flag=True, help="Paths of --files-from end with a zero byte.")
@click.option("--include", multiple=True, metavar="GLOB", help="Only files that match (repeatable).")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files and folders that match.")
@click.option("--id", "named", default="path", show_default=True, metavar="path|name|stem|FIELD",
              help="What becomes the id.")  # fmt: skip
@click.option(
    "--skip-indexed", metavar="INDEX", help="Embed only what INDEX does not have unchanged, with its model."
)
@click.option("--eof", is_flag=True, help="Close the stream with what was walked, for `mmr index --sync`.")
@click.option("--queries", is_flag=True, help="Records are queries: picture and words are composed.")
@click.option("--modality", type=click.Choice(["image", "text", "both"]), default="image", show_default=True,
              help="Of an item with picture and words, what is embedded.")  # fmt: skip
@click.option("--bind", "bindings", multiple=True, metavar="NAME=image|text:FIELD",
              help="Embed a field into `bindings` (repeatable).")  # fmt: skip
@click.option("--list-models", is_flag=True, help="List the encoders and what is at hand, and leave.")
@click.option("--format", "format_", type=click.Choice(["jsonl", "npy"]), default="jsonl", show_default=True,
              help="jsonl, or npy: bare blocks of vectors.")  # fmt: skip
@options.vector_format
@options.output
@options.model
@options.model_of
@options.template
@options.batch
@options.device
@options.precision
@options.threads
@options.reports("embed")
def command(
    report: Report, inputs: tuple[str, ...], texts: tuple[str, ...], files_from: str | None, null: bool,
    list_models: bool, output: str, format_: str, vector_format: str, **how: Any,
) -> None:  # fmt: skip
    """Turn pictures and words into vectors.

    PATH is a picture, a folder, a tar of pictures, or a file of records (.jsonl, .tsv). Records come from
    stdin when nothing is named.

    \b
    Examples:
      mmr embed pics/ | mmr index pics.mmr
      mmr embed --text "a cat" --text "a dog" | mmr query pics.mmr
      mmr embed pics/ -o pics.npy
      mmr embed pics/ --skip-indexed pics.mmr | mmr index pics.mmr --sync
    """
    if list_models:
        _list_models()
        return
    if not (inputs or texts or files_from):
        inputs = options.reads_stdin((), "a path")
    from mmr.encoders import Closes, load
    from mmr.stream.write import open_writer

    with ExitStack() as stack:
        known, model = _known(how["skip_indexed"] or None, how["model"], how["model_of"])
        named_by = "" if how["model"] else how["model_of"] or how["skip_indexed"] or ""
        encoder = load(model, device=how["device"], precision=how["precision"], threads=how["threads"],
                       named_by=named_by)  # fmt: skip
        _check_fingerprint(encoder, how)
        if isinstance(encoder, Closes):
            stack.callback(encoder.close)
        run = _Run(report, how, known, texts, inputs, _listed(files_from, null) if files_from else [])
        writer = stack.enter_context(open_writer(output, format_, vector_format=vector_format))
        run.write(encoder, writer)
    run.close()


def _list_models() -> None:
    from mmr.encoders import list_models

    for model in list_models():
        size = f"{model.megabytes:,} MB" if model.megabytes else ""
        click.echo(f"{model.name:<14} {model.state:<18} {size:>9}  {model.dim or '':>5}  {model.spec}")


def _known(skip: str | None, model: str | None, model_of: str | None) -> tuple[dict[str, Any], str]:
    """What an index knows of files, by absolute path, and the model to embed with."""
    from mmr.encoders import resolve
    from mmr.index import open_index

    if model and model_of:
        raise click.UsageError("--model and --model-of: name the model in one way.")
    named, known = model, {}
    for index in filter(None, (model_of, skip)):
        try:
            with open_index(index) as opened:
                if index == skip:
                    known = opened.known_files()
                if named is None and opened.meta.model is not None:
                    named = opened.meta.model.rpartition("#")[0]
        except MissingInputError:
            if index == model_of:
                raise
    return known, resolve(named)


def _check_fingerprint(encoder: Any, how: dict[str, Any]) -> None:
    """Refuse to embed for an index with another model than its own."""
    from mmr.encoders import model_name
    from mmr.index import open_index
    from mmr.stream.records import check_model

    for index in filter(None, (how["model_of"], how["skip_indexed"])):
        try:
            with open_index(index) as opened:
                expected = opened.meta.model
        except MissingInputError:
            continue
        check_model(expected, model_name(encoder), expected_by=shown(index), found_by="this run",
                    fix="Leave out --model, or index into a new folder.")  # fmt: skip


def _listed(path: str, null: bool) -> list[str]:
    """The paths in a file, one a line or ended by zero bytes."""
    import os

    if path == "-":
        data = sys.stdin.buffer.read()
    else:
        with open(path, "rb") as file:
            data = file.read()
    return [os.fsdecode(name) for name in data.split(b"\0" if null else b"\n") if name]


class _Run:
    """One run: what goes in, what is counted, and how the stream is closed."""

    def __init__(self, report: Report, how: dict[str, Any], known: dict[str, Any], texts: tuple[str, ...],
                 inputs: tuple[str, ...], listed: list[str]) -> None:  # fmt: skip
        self.report, self.how, self.known = report, how, known
        self.texts, self.inputs, self.listed = texts, inputs, listed
        self.walks: list[Walk] = []
        self.counts: Counter[str] = Counter()
        self.known_ids = {old.id for old in known.values()}
        self.names_all = bool(how["eof"] or how["skip_indexed"])

    def write(self, encoder: Any, writer: Any) -> None:
        from mmr.embed.pipeline import embed_records

        if encoder.spec == "builtin" and sys.stderr is not None and sys.stderr.isatty():
            self.report.note("the built-in encoder is for drawings and icons; photographs want --model clip.")
        with self.report.progress("embed") as advance:
            records = embed_records(
                self.records(), encoder, self.plan(), reject=self.report, name_failed=self.names_all
            )
            for record in records:
                self.count(record)
                writer.write(record)
                advance()
        if self.names_all and not any(walk.failed for walk in self.walks):
            roots = [root for walk in self.walks for root in walk.roots]
            writer.write({"eof": True, "items": self.counts.total(), "roots": roots})

    def count(self, record: Record) -> None:
        kept = "keep" in record
        self.counts["kept" if kept else "changed" if record.get("id") in self.known_ids else "new"] += 1

    def plan(self) -> Plan:
        from mmr.compose.weighted import weighted
        from mmr.embed.pipeline import Binding, Plan

        bindings = []
        for text in self.how["bindings"]:
            name, _, source = text.partition("=")
            kind, _, field = source.partition(":")
            if not name or kind not in ("image", "text") or not field:
                raise click.UsageError(f"--bind {shown(text)}: write NAME=image:FIELD or NAME=text:FIELD.")
            bindings.append(Binding(name, kind, field))
        return Plan(self.how["modality"], self.how["queries"], weighted, self.how["templates"],
                    tuple(bindings), self.how["batch"])  # fmt: skip

    def records(self) -> Iterator[Record]:
        """Everything that goes in, in the order in which it was named."""
        from mmr.stream.read import read_records
        from mmr.stream.records import Place, Record, default_id

        for text in self.texts:
            yield Record({"id": default_id({"text": text}), "text": text}, Place("--text", None))
        paths: list[str] = []
        for given in self.inputs:
            if given == "-" or given.lower().endswith(RECORDS):
                yield from self.pictures(paths)
                paths = []
                yield from read_records([given], reject=self.report)
            else:
                paths.append(given)
        yield from self.pictures(paths + self.listed)

    def pictures(self, paths: list[str]) -> Iterable[Record]:
        from mmr.embed.files import file_records
        from mmr.pictures.walk import Walk

        if not paths:
            return ()
        walk = Walk(paths, include=self.how["include"], exclude=self.how["exclude"], reject=self.report)
        self.walks.append(walk)
        return file_records(walk, self.known, self.how["named"])

    def close(self) -> None:
        """Say what was done, unless it was a few words only."""
        if not (self.inputs or self.listed):
            return
        counts = {name: self.counts[name] for name in ("new", "changed", "kept")}
        self.report.summary(**counts)
