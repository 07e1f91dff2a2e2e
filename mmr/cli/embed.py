"""`mmr embed`: pictures and words in, the same with vectors out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.embed_model import EmbedModel
from mmr.cli.report import Report
from mmr.errors import MissingInputError, UsageError, shown

if TYPE_CHECKING:
    from mmr.embed.item import Compose, Item, Wanted
    from mmr.embed.regions import Parts
    from mmr.embed.resume import Resumed
    from mmr.encoders import Encoder
    from mmr.pictures.walk import Walk
    from mmr.stream.write import Writer

PICTURE_IDS = ("path", "name", "stem")


@click.command("embed")
@click.argument("inputs", metavar="[PATH]...", nargs=-1)
@click.option("--text", "texts", multiple=True, metavar="WORDS", help="Embed WORDS (repeatable).")
@click.option("--files-from", metavar="FILE", help="Read paths from FILE, one a line; `-` is stdin.")
@click.option("-0", "--null", is_flag=True, help="Paths of --files-from end with a zero byte.")
@click.option("--include", multiple=True, metavar="GLOB",
              help="Only files that match, whatever their ending (repeatable).")  # fmt: skip
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files and folders that match.")
@click.option("--id", "named", metavar="path|name|stem|FIELD",
              help="What becomes the id.  [default: the record's own, else its path]")  # fmt: skip
@click.option("--skip-indexed", metavar="INDEX",
              help="Embed only what INDEX lacks or has changed, with its model; implies --eof.")  # fmt: skip
@click.option("--eof", is_flag=True, help="Close the stream with what was walked, for `mmr index --sync`.")
@click.option("--shard", metavar="I/N",
              help="Embed only shard I of N, counted from 1: the items whose ids hash to it.")  # fmt: skip
@click.option("--queries", is_flag=True, help="Records are queries: picture and words are composed.")
@click.option("--modality", type=click.Choice(["image", "text", "both"]), default="image", show_default=True,
              help="What is embedded of an item with picture and words.")  # fmt: skip
@click.option("--bind", "binds", multiple=True, metavar="NAME=image|text:FIELD",
              help="Embed a field into `bindings`, and nothing else (repeatable).")  # fmt: skip
@click.option("--tokens", is_flag=True, help="Several vectors an item: the patches of a picture, the tokens "
              "of words, from encoders that have them.")  # fmt: skip
@click.option("--grid", metavar="CxR[,CxR]", help="Several vectors a picture: one a cell of C columns and R "
              "rows; 1x1 is the whole. Words get one.")  # fmt: skip
@click.option("--box", metavar="FIELD", help="Several vectors a picture: one a box in FIELD, [left, top, "
              "right, bottom] in pixels or shares.")  # fmt: skip
@click.option("--invert", is_flag=True, help="Vectors of pictures come out of the text tower, from a token "
              "learned for each: for search of pictures by pictures.")  # fmt: skip
@click.option("--max-pixels", type=click.IntRange(min=1), default=178_956_970, show_default=True, metavar="N",
              help="Refuse pictures with more pixels.")  # fmt: skip
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
    report: Report, inputs: tuple[str, ...], texts: tuple[str, ...], files_from: str | None,
    list_models: bool, output: str, format_: str, vector_format: str, batch: int, **how: Any,
) -> None:  # fmt: skip
    """Turn pictures and words into vectors.

    PATH is a picture, a folder, a tar of pictures, or a file of records (JSONL, TSV with a header). Records
    come from stdin when nothing is named. Pictures are turned as their EXIF says, alpha becomes white, and of
    animations the first frame counts. A run with -o X.npy that was killed goes on where it was.

    \b
    Examples:
      mmr embed pics/ | mmr index pics.mmr
      mmr embed --text "a cat" --text "a dog" | mmr query pics.mmr
      mmr embed pics/ --model clip -o pics.npy
      mmr embed pics/ --skip-indexed pics.mmr | mmr index pics.mmr --sync
    """
    if list_models:
        _list_models()
        return
    options.check_words("--text", texts)
    if not (inputs or texts or files_from):
        inputs = options.reads_stdin((), "a path")
    names_all = bool(how["eof"] or how["skip_indexed"])
    if format_ == "npy" and names_all and not output.endswith(".npy"):
        raise click.UsageError("--format npy holds vectors only; --eof and --skip-indexed need records.")

    from mmr.embed.pipeline import Pipeline
    from mmr.embed.shard import Shard, Sharded, end_record, parse_shard

    shard = Shard() if how["shard"] is None else parse_shard(how["shard"])
    wanted = _wanted(how)
    with ExitStack() as stack:
        model = EmbedModel(how, report, stack)
        pipeline = Pipeline(model.load, wanted, batch=batch, reject=report)
        sources = _Sources(report, how, model, wanted, names_all)
        items, waits = sources.items(inputs, texts, files_from), sources.waits
        if shard.of > 1:
            items = part = Sharded(items, shard, waits)
            waits = part.waits
        with _writer(output, format_, vector_format) as writer, report.progress("embed") as advance:
            count, items = _resumed(writer, items, pipeline.encoder, wanted, report)
            for group in pipeline.batches(items, waits):
                for record in group:
                    writer.write(record)
                writer.flush()
                count += len(group)
                advance(len(group))
            if names_all:
                _close(writer, sources.walk, end_record(count, sources.walk.roots, shard), report)
        model.keep_tower()
        _say(report, sources.walk, pipeline.tally, words_only=not (inputs or files_from))
        model.doubt()


def _list_models() -> None:
    from mmr.encoders import list_models

    for model in list_models():
        size = f"{model.megabytes:,} MB" if model.megabytes else ""
        facts = f"{model.name:<11} {model.state:<17} {size:>9} {model.dim or '':>6}"
        click.echo(f"{facts}  {model.summary} [{model.spec}]")


def _wanted(how: Mapping[str, Any]) -> Wanted:
    """What the options say is to be made of records."""
    from mmr.embed.item import Bind, Wanted

    binds = []
    for text in how["binds"]:
        name, _, source = text.partition("=")
        kind, _, field = source.partition(":")
        if not name or kind not in ("image", "text") or not field:
            raise click.UsageError(f"--bind {shown(text)}: write NAME=image:FIELD or NAME=text:FIELD.")
        binds.append(Bind(name, kind, field))
    parts = _parts(how)
    compose: Compose | None = None
    if how["queries"]:
        from mmr.compose.weighted import weighted

        compose = weighted
    return Wanted(how["modality"], compose, how["templates"], tuple(binds), parts, facts=not how["queries"],
                  pixels=how["max_pixels"])  # fmt: skip


def _parts(how: Mapping[str, Any]) -> Parts | None:
    """Which `vectors` the options ask for instead of one `vector`."""
    from mmr.embed.regions import Parts, parse_grid

    said = [name for name in ("tokens", "grid", "box") if how[name] not in (False, None)]
    if not said:
        return None
    if len(said) > 1:
        raise UsageError(f"--{said[0]} and --{said[1]} both say which vectors an item gets", "Give one.")
    for other, idle in (("--bind", how["binds"]), ("--invert", how["invert"]),
                        ("--modality both", how["modality"] == "both")):  # fmt: skip
        if idle:
            what = f"{other} makes one vector, and --{said[0]} several"
            raise UsageError(what, "Leave one of both out.")
    if how["tokens"] and len(how["templates"]) > 1:
        raise UsageError("--tokens takes one --template: tokens of several are no mean", "Give one.")
    if how["box"] == "":
        raise UsageError("--box '' names no field", "Name the field that holds the boxes.")
    return Parts(parse_grid(how["grid"]) if how["grid"] is not None else (), how["box"] or "")


class _Sources:
    """What was named, one after the other, as items."""

    def __init__(
        self, report: Report, how: Mapping[str, Any], model: EmbedModel, wanted: Wanted, names_all: bool
    ) -> None:
        from mmr.pictures.walk import Walk

        self._report, self._how, self._model, self._wanted = report, how, model, wanted
        self._names_all = names_all
        self._waits: Callable[[], bool] | None = None
        skip = [str(Path(how["skip_indexed"]).absolute())] if how["skip_indexed"] else []
        self.walk: Walk = Walk(
            include=how["include"], exclude=how["exclude"], skip_folders=skip, reject=report
        )

    def waits(self) -> bool:
        """Whether the next item would have to be waited for."""
        return self._waits is not None and self._waits()

    def items(
        self, inputs: tuple[str, ...], texts: tuple[str, ...], files_from: str | None
    ) -> Iterator[Item | Mapping[str, Any]]:
        """Yield everything in the order in which it was named, the words first."""
        from mmr.embed.sources import check_any, holds_records, items_of_texts

        records = {path for path in inputs if holds_records(path)}
        rule = self._how["named"]
        pictures = files_from or len(records) < len(set(inputs))
        if pictures and rule is not None and rule not in PICTURE_IDS:
            raise UsageError(f"--id {shown(rule)}: pictures have no fields", "Use path, name or stem.")
        if not (records or texts or files_from):
            check_any(inputs)
        files = {path: self._records(path) for path in records}
        return self._chained(inputs, files, items_of_texts(texts), files_from)

    def _chained(
        self, inputs: tuple[str, ...], files: Mapping[str, Iterable[Any]], texts: Iterator[Item],
        files_from: str | None,
    ) -> Iterator[Item | Mapping[str, Any]]:  # fmt: skip
        yield from texts
        for path in inputs:
            if path in files:
                yield from self._from_records(files[path])
            else:
                yield from self._pictures([path])
        if files_from is not None:
            yield from self._pictures(self._listed(files_from))

    def _records(self, path: str) -> Iterable[Any]:
        from mmr.stream.read import read_records

        return read_records([path], reject=self._report)

    def _from_records(self, records: Iterable[Any]) -> Iterator[Item | Mapping[str, Any]]:
        from mmr.embed.sources import items_of_records

        self._waits = getattr(records, "waits", None)
        yield from items_of_records(records, self._model.name, self._wanted, self._report, self._how["named"])
        self._waits = None

    def _pictures(self, paths: Iterable[str]) -> Iterator[Item | Mapping[str, Any]]:
        from mmr.embed.item import renamed
        from mmr.embed.skip import items_of

        rule = self._how["named"]
        return items_of(
            self.walk.find(paths), self._model.known, str(Path.cwd()), named=self._names_all,
            rename=None if rule in (None, "path") else lambda record: renamed(record, rule),
        )  # fmt: skip

    def _listed(self, path: str) -> Iterator[str]:
        from mmr.embed.sources import listed

        end = b"\0" if self._how["null"] else b"\n"
        if path == "-":
            if sys.stdin is None:
                raise MissingInputError("standard input is closed", "Name a file, or pipe paths in.")
            yield from listed(sys.stdin.buffer, end)
            return
        with open(path, "rb") as file:
            yield from listed(file, end)


def _writer(output: str, format_: str, vector_format: str) -> AbstractContextManager[Any]:
    """Where records go; a pair is kept when the run is killed."""
    if output.endswith(".npy"):
        from mmr.stream.pair_write import open_pair

        return open_pair(output, vector_format=vector_format, resume=True)
    from mmr.stream.write import open_writer

    return open_writer(output, format_, vector_format=vector_format)


def _resumed(
    writer: Any, items: Iterator[Item | Mapping[str, Any]], encoder: Callable[[], Encoder], wanted: Wanted,
    report: Report,
) -> Resumed:  # fmt: skip
    """Go on after what a killed run of the same command wrote."""
    from mmr.embed.resume import Resumed, resumed

    if not hasattr(writer, "left"):
        return Resumed(0, items)
    done = resumed(items, writer.left(), encoder, wanted, report)
    writer.keep(done.kept)
    if done.kept:
        report.note(f"going on after {done.kept:,} records that an earlier run wrote.")
    return done


def _close(writer: Writer, walk: Walk, end: Mapping[str, Any], report: Report) -> None:
    """Write the eof record, unless the walk has not seen everything."""
    if walk.failed:
        report.note(
            "the walk met an error, so the stream has no eof record, and `index --sync` deletes nothing."
        )
        return
    writer.write(end)


def _say(report: Report, walk: Walk, tally: Mapping[str, int], words_only: bool) -> None:
    """Say what was done, unless it was a few words only."""
    if walk.left_out:
        endings = ", ".join(f"{count:,} {ending}" for ending, count in sorted(walk.left_out.items()))
        report.note(f"left out by their endings: {endings}; --include takes them.")
    if not words_only:
        report.summary(**{name: tally.get(name, 0) for name in ("new", "changed", "kept")})
