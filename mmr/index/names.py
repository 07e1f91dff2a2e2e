"""Ids from files and pipes: one a line, or the `id` of each record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmr.errors import BadItem, MissingInputError, Reject, shown


def read_ids(sources: Sequence[str], *, reject: Reject) -> Iterator[str]:
    """Yield ids from text with one id a line, or from JSONL, which is told line by line by its `{`.

    sources  file names; "-" is stdin

    Empty lines and eof records are passed over; a line that is no UTF-8 or no record goes to `reject`.
    """
    for source in sources:
        name = "stdin" if source == "-" else shown(source)
        try:
            file = open(0 if source == "-" else source, "rb", closefd=source != "-")  # noqa: SIM115 - used by `with` below
        except OSError as error:
            raise MissingInputError(f"{name}: {error.strerror}") from error
        with file:
            for number, line in enumerate(file, 1):
                try:
                    found = _id(line.rstrip(b"\r\n"), name, number)
                except BadItem as item:
                    reject(item)
                    continue
                if found:
                    yield found


def _id(line: bytes, source: str, number: int) -> str | None:
    from mmr.stream.records import Place

    where = Place(source, number)
    if line.startswith(b"{"):
        from mmr.stream.fields import completed
        from mmr.stream.text import parsed

        record = completed(parsed(line, where), where, vectors=False)
        name: str | None = record.get("id")
        return name
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise BadItem(
            str(where), "the line is not UTF-8, and ids are", "write the ids as UTF-8", stage="read",
            record={"raw": line.decode(errors="replace")},
        ) from None  # fmt: skip
