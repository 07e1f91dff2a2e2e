"""The table of commands. `mmr --help` reads this file and imports none of the commands."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One command: its name, where its click command lives, and one line for `mmr --help`."""

    name: str
    loads: str
    summary: str


COMMANDS = (
    Row("embed", "mmr.cli.embed:command", "Pictures and words in, the same with vectors out."),
    Row("index", "mmr.cli.index:command", "Vectors in, an index kept up to date; inspect, check, dump."),
    Row("query", "mmr.cli.query:command", "Queries in, the same with hits out."),
    Row("compose", "mmr.cli.compose:command", "Pictures, words and vectors in, one query each out."),
    Row("rerank", "mmr.cli.rerank:command", "Hits in, hits out: refined, fused, cut, made diverse."),
    Row("normalize", "mmr.cli.normalize:command", "Hits or vectors in, the same kind out, corrected."),
    Row("fit", "mmr.cli.fit:command", "Vectors, hits and judgements in, what normalize applies out."),
    Row("eval", "mmr.cli.eval:command", "Rankings and judgements in, measures out, with their doubt."),
    Row("show", "mmr.cli.show:command", "Hits or items in, a table or an HTML page out."),
)
