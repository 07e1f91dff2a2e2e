"""What the kinds that FAISS serves have in common: train, fill block by block, map, search."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from mmr.errors import BadDataError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.table import Params

ADD_ROWS = 8192
CENTROID_ROWS = 39  # a centroid; below it FAISS's k-means warns and recall falls (.964 to .924 of IVF1024)
TRAIN_ROWS = 16_384
SAMPLES = 3  # the sample is held as it was read, shuffled, and turned
TABLE_BYTES = 2 << 30  # FAISS makes tables of at most so many bytes beside what it reads


class Mapped(NamedTuple):
    """An open file: FAISS's index, the rotation (d, m) that queries go through first, and what owns both."""

    index: Any
    turn: NDArray[np.float64] | None
    owner: Any


class Coded:
    """A kind that keeps one FAISS index a segment; those below say which and how it is searched.

    Trained quantisers are an index of FAISS without rows; each segment's file is a copy of it, filled.
    """

    suffix: str | None

    def __init__(self) -> None:
        self._open: dict[Path, tuple[tuple[int, int, int], Any]] = {}

    def needs(self, dim: int, params: Params) -> int:
        """Rows that training needs; 0 where nothing is trained. `UsageError` for what does not fit d."""
        return 0

    def takes(self, rows: int, params: Params) -> int:
        """Rows that training makes use of, when the index has `rows`."""
        return min(rows, TRAIN_ROWS)

    def size(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of the structure's file over `rows` vectors: codes, and a rotation if there is one."""
        if self.suffix is None:
            return 0
        faiss: Any = import_module("faiss")
        found = self.empty(dim, rows, params)
        turn = 4 * dim * dim if isinstance(found, faiss.IndexPreTransform) else 0
        return rows * self.width(found, params) + turn

    def width(self, found: Any, params: Params) -> int:
        """Bytes of a vector in an index that `empty` made."""
        return int(found.sa_code_size())

    def holds(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of memory that training for and building a structure of `rows` vectors take at most.

        Twice its file, since FAISS's arrays grow by doubling, or what it trains on, whichever is more.
        """
        sample = self.takes(rows, params) if self.needs(dim, params) else 0
        return max(2 * self.size(dim, rows, params), SAMPLES * 4 * dim * sample)

    def empty(self, dim: int, rows: int, params: Params) -> Any:
        """The FAISS index without rows, not trained yet; `rows` is what the index has or will have."""
        raise NotImplementedError

    def looks(self, found: Any, depth: int, params: Params, share: float) -> Any:
        """FAISS's search parameters for `depth` rows, where `share` of all rows may come; None for none."""
        return None

    def fit(self, found: Any, vectors: NDArray[np.float32], params: Params) -> None:
        """Train an index that `empty` made."""
        found.train(vectors)

    def train(
        self, vectors: NDArray[np.float32], queries: NDArray[np.float32] | None, rows: int, params: Params,
        file: Path,
    ) -> None:  # fmt: skip
        """Fit the quantisers to (m, d) rows of an index that has `rows`, and write them to `file`."""
        faiss: Any = import_module("faiss")
        trained = self.empty(vectors.shape[1], rows, params)
        self.fit(trained, vectors, params)
        faiss.write_index(trained, str(file))

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path, trained: Path | None) -> None:
        """Build the structure over (n, d) vectors into `file`, with the quantisers of the index."""
        faiss: Any = import_module("faiss")
        import numpy as np

        shape = vectors.shape
        filled = self.empty(shape[1], shape[0], params) if trained is None else _read(trained, 0)
        for start in range(0, len(vectors), ADD_ROWS):
            filled.add(np.ascontiguousarray(vectors[start : start + ADD_ROWS], np.float32))
        faiss.write_index(filled, str(file))

    def candidates(
        self, file: Path, queries: NDArray[np.float32], depth: int, params: Params, share: float
    ) -> NDArray[np.int64]:
        """Row numbers (q, depth) that are probably the nearest; -1 where there is none.

        share  of the rows that the caller will keep; what reads a part of the rows reads more then
        Raises `BadDataError` for a file that FAISS cannot read, FileNotFoundError for one that is gone.
        """
        index, turn, _ = self._opened(file)
        looks = self.looks(index, depth, params, share)
        asked = queries if turn is None else projected(queries, turn)
        _, rows = index.search(asked, depth, **({} if looks is None else {"params": looks}))
        answer: NDArray[np.int64] = rows
        return answer

    def _opened(self, file: Path) -> Any:
        """The mapped index of a file, kept for the next search; files that are gone are let go of."""
        about = file.stat()
        stamp = (about.st_ino, about.st_size, about.st_mtime_ns)
        if file not in self._open or self._open[file][0] != stamp:
            self._open = {path: kept for path, kept in self._open.items() if path.exists()}
            self._open[file] = (stamp, self.map(file))
        return self._open[file][1]

    def map(self, file: Path) -> Any:
        """Open an index by mapping; the kernel is told to read it, since FAISS maps without read-ahead."""
        faiss: Any = import_module("faiss")

        handle = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(handle)
        found = _read(file, faiss.IO_FLAG_MMAP_IFC)
        if not isinstance(found, faiss.IndexPreTransform):
            return Mapped(found, None, found)
        turn = faiss.downcast_VectorTransform(found.chain.at(0))
        matrix = faiss.vector_to_array(turn.A).astype("f8").reshape(turn.d_out, -1).T
        return Mapped(faiss.downcast_index(found.index), matrix, found)


def _read(file: Path, flags: int) -> Any:
    faiss: Any = import_module("faiss")

    faiss.set_deserialization_vector_byte_limit(2 * file.stat().st_size + TABLE_BYTES)
    try:
        return faiss.read_index(str(file), flags)
    except (RuntimeError, MemoryError) as error:
        raise damaged(file) from error


def projected(rows: NDArray[np.floating], matrix: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, d) times (d, m) in float64, rounded: the same for a row whatever stands beside it."""
    import numpy as np

    wide = rows.astype(np.float64) @ matrix.astype(np.float64, copy=False)
    found: NDArray[np.float32] = wide.astype(np.float32)
    return found


def write_arrays(out: BinaryIO, *arrays: NDArray[np.floating]) -> None:
    """Write arrays one after the other, in NPY form."""
    import numpy as np

    for array in arrays:
        np.save(out, np.ascontiguousarray(array), allow_pickle=False)


def read_arrays(source: BinaryIO, file: Path, count: int) -> list[NDArray[np.float32]]:
    """Read what `write_arrays` wrote to `file`; raises `BadDataError` where it is something else."""
    import numpy as np

    try:
        return [np.load(source, allow_pickle=False) for _ in range(count)]
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError) as error:
        raise damaged(file) from error


def damaged(file: Path) -> BadDataError:
    """What to say of a structure that is not what was written."""
    name = shown(str(file.parent))
    return BadDataError(
        f"{shown(str(file))} is damaged",
        f"`mmr index {name} --rebuild` makes it anew; --check says what else is damaged.",
    )
