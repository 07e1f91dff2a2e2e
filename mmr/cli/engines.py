"""`mmr index` where INDEX is an address of an engine: the same verbs, and what to do for those it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.report import Report
from mmr.errors import MissingInputError, UsageError

if TYPE_CHECKING:
    from mmr.errors import Reject
    from mmr.index.address import Address
    from mmr.index.changer import Counts
    from mmr.index.engine import About
    from mmr.stream.records import Record

REFUSED = {
    "check": "The server checks its own files.",
    "tune": "Measure with queries of yours: mmr query {address} --exact beside mmr query {address}; "
            "--convert hnsw:ef=200 looks further.",
    "correct": "Correct the hits: mmr query {address} -k 100 | mmr normalize apply FILE --index {address}.",
    "no-correct": "It holds no correction.",
    "calibrate": "Name the file when you ask: mmr query {address} --calibrate FILE --min-prob P.",
    "no-calibrate": "It holds no calibration.",
    "query-map": "Map the queries: mmr normalize apply FILE q.jsonl | mmr query {address}.",
    "no-query-map": "It holds no map.",
    "compact": "The server does that by itself; PostgreSQL at once with VACUUM.",
    "export-tower": "The tower that `mmr embed` leaves in the cache answers words without torch.",
}  # fmt: skip


def run(
    verb: str | None, index: str, files: tuple[str, ...], kind: str | None, model: str | None, dry_run: bool,
    max_delete: float, useless: Mapping[str, Any], report: Report,
) -> Counts | None:  # fmt: skip
    """Do what changes an index; returns what was done to items, None where nothing was.

    useless  options that an engine does not have, and what they were given
    """
    from mmr.index.address import read

    address = read(index)
    _refuse(verb, address, useless)
    if verb == "delete":
        return _delete(address, options.reads_stdin(files, "FILE"), dry_run, report)
    if verb in ("rebuild", "convert"):
        _build(address, kind, report)
        return None
    share = max_delete if verb == "sync" else None
    counts = _take(address, options.reads_stdin(files, "FILE"), kind, model, dry_run, report, share)
    if not (dry_run or counts.new or counts.changed or counts.kept or _is_there(address)):
        report.note(f"nothing to store came in, so {address} was not made.")
    return counts


def _refuse(verb: str | None, address: Address, useless: Mapping[str, Any]) -> None:
    """Raise `UsageError` for a verb or an option that an engine's index does not have, saying what to do."""
    if verb in REFUSED:
        what = f"--{verb} is of an index that is a folder, and {address} is an engine's"
        raise UsageError(what, REFUSED[verb].format(address=address))
    for option, value in useless.items():
        if value is not None:
            what = f"{option} is of an index that is a folder, and {address} is an engine's"
            raise UsageError(what, "Leave it out; the server has settings of its own.")


def _take(
    index: Address, sources: tuple[str, ...], kind: str | None, model: str | None, dry_run: bool,
    report: Report, max_delete: float | None,
) -> Counts:  # fmt: skip
    """Upsert a stream; with `max_delete` also make the index follow it."""
    from mmr.cli.models import full_name
    from mmr.index.remote_write import upsert
    from mmr.stream.read import read_records

    declared = full_name(model, _known(index)) if model is not None else None
    with report.progress("items") as advance:
        if max_delete is None:
            return upsert(index, read_records(sources, reject=report), reject=report, model=declared,
                          kind=kind, dry_run=dry_run, tick=advance)  # fmt: skip
        from mmr.index.remote_write import sync

        def read(reject: Reject) -> Iterable[Record]:
            return read_records(sources, reject=reject, eof=True)

        going = click.echo if dry_run else None
        return sync(index, read, reject=report, model=declared, kind=kind, dry_run=dry_run,
                    max_delete=max_delete, going=going, tick=advance)  # fmt: skip


def _known(index: Address) -> str | None:
    """The model of the index, where there is one already."""
    from mmr.index.remote import open_remote

    with suppress(MissingInputError), open_remote(index) as opened:
        return opened.meta.model
    return None


def _is_there(index: Address) -> bool:
    from mmr.index.remote import open_remote

    with suppress(MissingInputError), open_remote(index):
        return True
    return False


def _delete(index: Address, sources: tuple[str, ...], dry_run: bool, report: Report) -> Counts:
    """Delete the items named."""
    from mmr.index.names import read_ids
    from mmr.index.remote_write import delete

    counts = delete(index, read_ids(sources, reject=report), dry_run=dry_run,
                    going=click.echo if dry_run else None)  # fmt: skip
    if counts.unknown:
        report.note(f"{counts.unknown:,} of the ids named are not in {index}.")
    return counts


def _build(index: Address, kind: str | None, report: Report) -> None:
    """Build the kind's structure anew, of another kind or with other parameters where one is named."""
    from mmr.index.engines import spelled
    from mmr.index.remote_write import build

    about: About = build(index, kind)
    report.note(f"{index} is of the kind {spelled(about)}.")
