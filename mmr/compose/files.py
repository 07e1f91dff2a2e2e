"""Named vectors from NPY files: beside records, or as the queries themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.compose import expr
from mmr.compose.columns import Column
from mmr.errors import BadDataError, BadItem, MissingInputError, Reject, UsageError, shown
from mmr.stream import pair
from mmr.stream.npy import finite_rows, mapped_blocks
from mmr.stream.read import read_records
from mmr.stream.records import Place, Record, check_model

BLOCK = 512


class File(NamedTuple):
    """An NPY file under a name.

    rows  (n, d) float32 or float16, mapped
    pair  whether an X.jsonl beside it names the rows
    """

    name: str
    path: str
    rows: NDArray[np.floating[Any]]
    pair: bool


class Files:
    """The files of --bind: those that hold one thing for all queries, and those with something for each.

    whole  the names of a mean or a basis, of as many rows as there are
    alone  there are no other queries: files of one row each are one

    constants  a mean, a basis, weights, or one vector: by name
    each       files with vectors of single queries
    model      the model that the records of constants name, None where they name none

    Raises `UsageError` for what is no NAME=FILE, `MissingInputError` for a file that is not there.
    """

    def __init__(self, binds: Sequence[str], whole: Iterable[str] = (), alone: bool = False) -> None:
        found = [_opened(text) for text in binds]
        names = [one.name for one in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(
                f"--bind {shown(twice)}: the name is bound twice", "Give each file its own name."
            )
        for_all = frozenset(whole)
        self.constants: dict[str, Column] = {}
        self.each: list[File] = []
        self.model: str | None = None
        single = all(len(one.rows) == 1 for one in found if one.name not in for_all)
        for one in found:
            if one.name in for_all or (len(one.rows) == 1 and not (alone and single)):
                bad = np.flatnonzero(~finite_rows(one.rows))
                if len(bad):
                    where = place_of(one, int(bad[0]))
                    raise BadDataError(f"{where}: a number is not finite", "Write it again.")
                self.constants[one.name] = Column(np.asarray(one.rows, np.float32))
                self._take_model(one)
            else:
                self.each.append(one)

    def _take_model(self, one: File) -> None:
        """Note the model of a pair, and compare it with those before. Raises `BadDataError` for another."""
        for record in read_records([one.path], reject=_refuse, vectors=False) if one.pair else ():
            check_model(self.model, record.get("model"), expected_by="the files before",
                        found_by=shown(one.path))  # fmt: skip
            self.model = record.get("model", self.model)

    @property
    def names(self) -> list[str]:
        """All names."""
        return [*self.constants, *(one.name for one in self.each)]

    def queries(self, reject: Reject) -> Iterator[Record]:
        """Yield the rows of the files as queries: row i of each is the i-th.

        Of pairs the records of the first are taken, and their models compared. Raises `BadDataError` for
        files of different lengths.
        """
        first, *others = [self._records(one, reject) for one in self.each]
        self._same_length()
        for count, rows in enumerate(zip_longest(first, *others)):
            short = next((one for one, row in zip(self.each, rows, strict=True) if row is None), None)
            if short is not None:
                long = next(one for one, row in zip(self.each, rows, strict=True) if row is not None)
                what = f"{shown(short.path)} ends after {count:,} records, and {shown(long.path)} goes on"
                raise BadDataError(f"files of different lengths: {what}", "Row i of each is the i-th query.")
            yield self._joined(rows[0], rows)

    def _same_length(self) -> None:
        counts = {one.path: len(one.rows) for one in self.each if not one.pair}
        if len(set(counts.values())) > 1:
            said = " and ".join(f"{shown(path)} {count:,}" for path, count in counts.items())
            what = f"files of different lengths: rows of {said}"
            raise BadDataError(what, "Row i of each is the i-th query.")

    def _joined(self, record: Record, rows: Sequence[Record]) -> Record:
        bindings = {}
        for file, own in zip(self.each, rows, strict=True):
            check_model(record.get("model"), own.get("model"), expected_by=shown(self.each[0].path),
                        found_by=shown(file.path))  # fmt: skip
            bindings[file.name] = _vectors(own, file)
        kept = {name: value for name, value in record.items() if name not in ("vector", "vectors", "rows")}
        return Record({**kept, "bindings": {**record.get("bindings", {}), **bindings}}, record.place)

    def _records(self, file: File, reject: Reject) -> Iterable[Record]:
        def refuse(item: BadItem) -> None:
            if len(self.each) > 1:
                raise BadDataError(str(item), "Rows of several files belong together by their order.")
            reject(item)

        return read_records([file.path], reject=refuse)

    def beside(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield records with their rows of the files in `bindings`: of a pair by id, else in order.

        A record whose id a pair lacks comes through without. Raises `BadDataError` where the records are
        not as many as the rows.
        """
        named = [(one, _by_id(one)) for one in self.each if one.pair]
        ordered = [one for one in self.each if not one.pair]
        count = -1
        for count, record in enumerate(records):
            bindings = dict(record.get("bindings", {}))
            for one in ordered:
                if count >= len(one.rows):
                    self._uneven(one, f"more than {count:,}")
                bindings[one.name] = np.asarray(one.rows[count], np.float32)
                if not np.isfinite(bindings[one.name]).all():
                    raise BadDataError(f"{place_of(one, count)}: a number is not finite", "Write it again.")
            for file, rows in named:
                own = rows.get(record["id"])
                if own is not None:
                    check_model(record.get("model"), own.get("model"), expected_by=str(record.place),
                                found_by=shown(file.path))  # fmt: skip
                    bindings[file.name] = _vectors(own, file)
                    if own.get("model") is not None:
                        record["model"] = own["model"]
            record["bindings"] = bindings
            yield record
        for one in ordered:
            if count + 1 != len(one.rows):
                self._uneven(one, f"{count + 1:,}")

    def _uneven(self, file: File, found: str) -> None:
        what = f"{shown(file.path)} has {len(file.rows):,} rows, and there are {found} queries"
        raise BadDataError(what, "Row i belongs to the i-th query; the rows of a pair go by their ids.")


def whole_names(node: expr.Node) -> frozenset[str]:
    """The names of an expression that are one thing for all queries: a mean and a basis."""
    return frozenset(
        one.arguments[1].name
        for one in expr.walk(node)
        if isinstance(one, expr.Call) and one.function in ("centre", "proj")
        and isinstance(one.arguments[1], expr.Name)
    )  # fmt: skip


def _opened(text: str) -> File:
    name, equals, path = text.partition("=")
    if not equals or not name.isidentifier() or not path.endswith(".npy"):
        raise UsageError(f"--bind {shown(text)}: write NAME=FILE.npy.")
    place = pair.vectors_path(path)
    if not place.is_file():
        raise MissingInputError(f"{shown(path)} does not exist", "Check the name.")
    blocks = mapped_blocks(str(place))
    if len(blocks) != 1:
        raise BadDataError(
            f"{shown(path)} holds {len(blocks)} blocks, and --bind takes one", "Save one array."
        )
    return File(name, path, blocks[0], pair.records_path(path).is_file())


def _by_id(file: File) -> dict[str, Record]:
    return {record["id"]: record for record in read_records([file.path], reject=_refuse)}


def _refuse(item: BadItem) -> None:
    raise BadDataError(str(item), "Write the pair again.")


def _vectors(record: Mapping[str, Any], file: File) -> NDArray[np.float32]:
    """What a record of a pair owns: (d,) or (k, d)."""
    found = record.get("vector")
    if found is None:
        found = record.get("vectors")
    if found is None:
        raise BadDataError(f"{shown(file.path)}: {shown(record['id'])} has no vector", "Embed it again.")
    rows: NDArray[np.float32] = found
    return rows


def blocks(files: Sequence[File]) -> Iterator[tuple[int, dict[str, Column]]]:
    """Yield the first row's number and the columns of bare files, 512 rows at a time."""
    for start in range(0, len(files[0].rows), BLOCK):
        yield (
            start,
            {one.name: Column(np.asarray(one.rows[start : start + BLOCK], np.float32)) for one in files},
        )


def place_of(file: File, row: int) -> Place:
    """Where a row stands."""
    return Place(shown(file.path), row, "row")
