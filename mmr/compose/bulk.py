"""Compose the rows of NPY files a block at a time, with no record for a query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from orjson import dumps

from mmr.compose.apply import Method
from mmr.compose.columns import Column
from mmr.compose.evaluate import WrongShapeError, ZeroVectorError, evaluate
from mmr.compose.files import File, blocks, place_of
from mmr.errors import BadDataError, BadItem, Reject, shown
from mmr.stream.write import opened


class Block(NamedTuple):
    """Composed queries: their row numbers (m,), vectors (m, d) float32, and lengths before they were 1."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    norms: NDArray[np.float64]


def composed(
    method: Method, files: Sequence[File], constants: Mapping[str, Column], *, raw: bool, on_zero: str,
    reject: Reject, length: bool = False,
) -> Iterator[Block]:  # fmt: skip
    """Yield the queries of bare files of as many rows, 512 at a time.

    on_zero  "fail" ends the run at vectors that cancel out, "skip" reports them

    Raises `BadDataError` for files of different lengths, and for vectors of different d.
    """
    lengths = {len(one.rows): one for one in files}
    if len(lengths) > 1:
        said = " and ".join(f"{shown(one.path)} {len(one.rows):,}" for one in files)
        raise BadDataError(f"files of different lengths: rows of {said}", "Row i of each is the i-th query.")
    for start, columns in blocks(files):
        n = len(columns[files[0].name])
        zeros = np.zeros(n, bool)
        try:
            outcome = evaluate(
                method.node, {**constants, **columns}, method.params, n, raw=raw, length=length
            )
        except WrongShapeError as error:
            raise BadDataError(str(error), "Embed all vectors of a query with one model.") from None
        except ZeroVectorError as error:
            bad = place_of(
                next(one for one in files if one.name == error.name), start + int(error.queries[0])
            )
            raise BadDataError(f"{bad}: {error}", "Embed it again.") from None
        zeros = outcome.zero | ~np.isfinite(outcome.norms)
        for row in np.flatnonzero(zeros).tolist():
            _refuse(method, files, start + row, bool(outcome.zero[row]), on_zero, reject)
        keep = np.flatnonzero(~zeros)
        vectors = outcome.vectors if len(keep) == n else outcome.vectors[keep]
        yield Block(start + keep, vectors, outcome.norms[keep])


def _refuse(
    method: Method, files: Sequence[File], row: int, zero: bool, on_zero: str, reject: Reject
) -> None:
    """Report a query that is left out, or end the run."""
    where = str(place_of(files[0], row))
    if not zero:
        record = {"id": str(row)}
        reject(BadItem(where, "a number is infinite or not a number", stage="compose", record=record))
        return
    what = f"{method.step}: the vectors of {row} cancel out; nothing is left to ask with"
    if on_zero == "fail":
        raise BadDataError(f"{where}: {what}", "Other weights help; --on-zero skip leaves the query out.")
    reject(BadItem(where, what, "give it other weights", stage="compose", record={"id": str(row)}))


def write(
    queries: Iterable[Block], method: Method, output: str, model: str | None, *, length: bool = False
) -> int:
    """Write composed queries: X.npy as a pair, else NPY blocks; returns how many.

    output  `-` is standard output
    model   the full name of the encoder, where it is known
    length  they are not of length 1, which the records then say
    """
    from mmr.stream.npy import our_header

    count = 0
    if output.endswith(".npy"):
        from mmr.stream.pair_write import open_pair

        with open_pair(output) as pair:
            for block in queries:
                pair.write_rows(block.vectors, _lines(block, method, model, length))
                count += len(block.rows)
        return count
    with opened(output) as file:
        for block in queries:
            file.write(our_header(*block.vectors.shape) + block.vectors.tobytes())
            count += len(block.rows)
        file.flush()
    return count


def _lines(block: Block, method: Method, model: str | None, length: bool) -> bytes:
    """The records of a block without their vectors, a line each."""
    named = b"" if model is None else b',"model":' + dumps(model)
    named += b',"unit":false' if length else b""
    step = dumps(f"compose {method.step} norm=")[:-1].decode()
    tail = named.decode()
    return "".join(
        f'{{"id":"{row}"{tail},"via":[{step}{norm:.4f}"]}}\n'
        for row, norm in zip(block.rows.tolist(), block.norms.tolist(), strict=True)
    ).encode()
