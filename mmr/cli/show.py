"""`mmr show`: hits or items in, a table or an HTML page out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmr.stream.records import Record

TITLE = "Results"


@click.command("show")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--html", metavar="FILE", help="Write one HTML page that needs nothing else; `-` is standard "
              "output.")  # fmt: skip
@click.option("--title", metavar="TEXT", help=f"The page's title.  [default: {TITLE}]")
@click.option("--size", type=click.IntRange(32, 1024), metavar="PIXELS", help="The longer side of a "
              "picture; at 256 a photograph adds about 15 kB, 1,000 hits 15 MB.  [default: 256]")  # fmt: skip
@click.option("--explain", is_flag=True, help="Below each hit of the table, why it is there: what `query "
              "--explain` or `rerank --explain` wrote.")  # fmt: skip
@options.reports("show")
def command(
    report: Report, files: tuple[str, ...], html: str | None, title: str | None, size: int | None,
    explain: bool,
) -> None:  # fmt: skip
    """Read hits or items, show them as a table, or with --html as a page.

    The page holds its pictures, works without a network, on a phone and from the keyboard.

    \b
    Examples:
      mmr query pics.mmr "a red apple" | mmr show
      mmr query pics.mmr "sad face" -k 50 | mmr show --html out.html
      mmr show run.jsonl --html out.html --title "Before the change"
      mmr rerank fuse dense.jsonl lexical.trec --explain | mmr show --explain
    """
    if html is None and (title is not None or size is not None):
        raise click.UsageError("--title and --size belong to a page. Name it with --html FILE.")
    if html is not None and explain:
        raise click.UsageError("--explain is for the table; a page has no place for it.")
    from mmr.stream.read import read_records

    records = read_records(options.reads_stdin(files, "`mmr show FILE`"), reject=report, vectors=False)
    if html is not None:
        from mmr.show.page import SIDE

        _write_page(records, html, TITLE if title is None else title, size or SIDE, report)
        return
    from mmr.show.table import print_hits

    print_hits(records, explain=explain)


def _write_page(records: Iterator[Record], html: str, title: str, side: int, report: Report) -> None:
    """Write the page as a whole or not at all, and say what it holds and how big it is."""
    from pathlib import Path

    from mmr.pictures.thumbnails import thumbnail
    from mmr.show.page import write_page
    from mmr.stream.write import opened

    folder = None if html == "-" else Path(html).absolute().parent
    with opened(html) as file, report.progress("pictures") as advance:

        def counted(*of: Any) -> bytes:
            advance()
            return thumbnail(*of)

        counts = write_page(records, file, title=title, thumbnail=counted, reject=report, side=side,
                            folder=folder)  # fmt: skip
    size = "" if folder is None else f", {Path(html).stat().st_size / 1e6:.1f} MB"
    report.note(f"{counts}{size}" if html == "-" else f"{html}: {counts}{size}")
