"""muvera: one encoding an item proposes what is compared; any kind of one vector holds the encodings."""

from __future__ import annotations

from functools import cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.arrays.muvera import CELLS, Muvera
from mmr.arrays.ragged import Ragged
from mmr.arrays.small import packed
from mmr.arrays.topk import Names, Part, nearest
from mmr.errors import BadDataError, UsageError
from mmr.index.coded import ADD_ROWS, damaged
from mmr.index.segments import as_stored, header, map_vectors
from mmr.index.table import Kind, Params, adapter, parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

LONGEST = 1 << 20  # numbers of an encoding
WORKING = 32  # bytes that a number of an encoding takes while it is made
SCALE_BYTES = 4


class Encoded:
    """Bags of vectors as encodings (n, length) in float32, made when rows are asked for."""

    def __init__(self, how: Muvera, bags: Ragged) -> None:
        self.how, self.bags = how, bags
        self.shape = (len(bags), how.length)

    def __len__(self) -> int:
        return len(self.bags)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        found = self.how.documents(self.bags, np.arange(*rows.indices(len(self))))
        found *= np.float32((self.how.reps * self.how.block) ** -0.5)  # about of length 1
        return found


class Encodings:
    """A kind that keeps one encoding an item (Dhulipala et al., 2024) in a structure of another kind.

    It is asked for what it proposes of the rows that are allowed, by encoded queries.
    """

    suffix: str | None = "fde"

    def needs(self, dim: int, params: Params) -> int:
        """Rows that training the kind underneath needs; `UsageError` for encodings that are too long."""
        length = how(dim, params).length
        under, told = _under(params)
        return 0 if under is None else under.needs(length, told)

    def takes(self, rows: int, params: Params) -> int:
        """Rows that training the kind underneath makes use of, when the index has `rows`."""
        under, told = _under(params)
        return 0 if under is None else under.takes(rows, told)

    def train(
        self, vectors: Any, queries: NDArray[np.float32] | None, rows: int, params: Params, file: Path
    ) -> None:
        """Train the kind underneath on the encodings of some items; `vectors` are their `Ragged` ones."""
        under, told = _under(params)
        assert under is not None
        sample = Encoded(how(vectors.rows.shape[1], params), vectors)
        under.train(sample[:], None, rows, told, file)

    def write(self, vectors: Any, params: Params, file: Path, trained: Path | None) -> None:
        """Write the encodings of `Ragged` vectors, as the kind underneath keeps them."""
        encoded = Encoded(how(vectors.rows.shape[1], params), vectors)
        under, told = _under(params)
        if under is not None:
            under.write(encoded, told, file, trained)  # type: ignore[arg-type]
            return
        (rows, length), dtype = encoded.shape, str(params["dtype"])
        with open(file, "wb") as out:
            out.write(header(rows, length + SCALE_BYTES * (dtype == "int8"), dtype))
            step = max(1, CELLS // length)
            for start in range(0, rows, step):
                block = encoded[start : start + step]
                out.write(packed(block).tobytes() if dtype == "int8" else as_stored(block, dtype).tobytes())

    def size(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of the structure's file."""
        length = how(dim, params).length
        under, told = _under(params)
        if under is not None:
            return under.size(length, rows, told)
        dtype = str(params["dtype"])
        return rows * (length * np.dtype(dtype).itemsize + SCALE_BYTES * (dtype == "int8"))

    def holds(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of memory that training and building take at most."""
        length = how(dim, params).length
        under, told = _under(params)
        made = WORKING * max(CELLS, length)
        return made if under is None else made + 4 * ADD_ROWS * length + under.holds(length, rows, told)

    def asked(self, queries: Ragged, params: Params) -> NDArray[np.float32]:
        """The encodings (q, length) of queries, of length 1."""
        maker = how(queries.rows.shape[1], params)
        found = np.stack([maker.query(queries[i]) for i in range(len(queries))]).astype(np.float64)
        length = np.sqrt(np.einsum("ij,ij->i", found, found))
        unit: NDArray[np.float32] = (found / np.where(length > 0, length, 1)[:, None]).astype(np.float32)
        return unit

    def proposed(
        self, file: Path, rows: int, queries: NDArray[np.float32], allowed: Rows | None, depth: int,
        params: Params, names: Names,
    ) -> list[Rows]:  # fmt: skip
        """For each encoded query, the rows that are probably the nearest of those allowed, `depth` at most.

        rows   of the segment
        names  ids of rows of the segment, which decide where scores tie
        Raises FileNotFoundError for a file that is gone, `BadDataError` for a damaged one.
        """
        under, told = _under(params)
        if under is None:
            with open(file, "rb") as source:
                try:
                    stored = map_vectors(source, rows, queries.shape[1], str(params["dtype"]))
                except BadDataError as error:
                    raise damaged(file) from error
            return list(nearest(queries, [Part(stored, allowed)], depth, names).row)
        share = 1.0 if allowed is None else len(allowed) / rows
        found = under.candidates(file, queries, min(ceil(depth / share), rows), told, share)
        if found.max(initial=-1) >= rows:
            raise damaged(file)
        good = found >= 0
        if allowed is not None:
            good &= np.isin(found, allowed)
        return [own[fits][:depth] for own, fits in zip(found, good, strict=True)]


def how(dim: int, params: Params) -> Muvera:
    """What makes the encodings of bags of vectors of `dim` numbers; `UsageError` where they are too long."""
    names = ("reps", "ksim", "dproj", "final", "seed")
    reps, ksim, dproj, final, seed = (int(params[name]) for name in names)
    whole = reps * min(dproj, dim) << ksim
    if whole > LONGEST or final > whole:
        made = f"encodings of reps {reps} × 2^ksim {1 << ksim} × dproj {min(dproj, dim)} = {whole:,} numbers"
        if whole > LONGEST:
            raise UsageError(
                f"muvera: {made} are above {LONGEST:,}.", "Take fewer reps or a smaller ksim or dproj."
            )
        raise UsageError(f"muvera: final={final} is more than the {made}.", "Leave final out.")
    return _how(dim, reps, ksim, dproj if dproj < dim else None, final or None, seed)


@cache
def _how(dim: int, reps: int, ksim: int, dproj: int | None, final: int | None, seed: int) -> Muvera:
    return Muvera(dim, reps, ksim, dproj, final=final, seed=seed)


def _under(params: Params) -> tuple[Kind | None, Params]:
    """The kind underneath and its parameters; None where the encodings are compared as they are."""
    name = str(params["under"])
    return (None, {}) if name == "flat" else (adapter(name), parse(name)[1])
