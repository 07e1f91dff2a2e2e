"""How commands write hits: a table for people, records for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmr.stream.records import Record


def on_terminal(output: str) -> bool:
    """Whether what is written to `output` is looked at."""
    return output == "-" and sys.stdout is not None and sys.stdout.isatty()


def write_hits(
    records: Iterable[Record], format_: str | None, output: str, vector_format: str, explain: bool = False
) -> None:
    """Write records one by one, each as soon as it is there; None is a table on a terminal, else JSONL.

    explain  a table says why hits are there
    """
    if format_ is None:
        format_ = "table" if on_terminal(output) else "jsonl"
    if format_ == "table":
        from mmr.show.table import print_hits

        print_hits(records, output, explain)
        return
    from mmr.stream.write import open_writer

    with open_writer(output, format_, vector_format=vector_format) as writer:
        for record in records:
            writer.write(record)
            if format_ != "npy":
                writer.flush()
