"""`fitted=FILE`: an index whose codes are made by a quantiser that `mmr fit quantizer` fitted to queries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmr.index.catalogue import KEPT
from mmr.index.segments import write_structure
from mmr.index.table import FITTED, NOT_FITTED, parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.catalogue import Meta
    from mmr.index.changer import Changer
    from mmr.index.quantizer import Quantizer
    from mmr.index.segments import Written
    from mmr.index.table import Params, Row


def is_fitted(params: Mapping[str, Any]) -> bool:
    """Tell whether parameters of a kind name a fitted quantiser."""
    return bool(params.get(FITTED, NOT_FITTED) != NOT_FITTED)


def parsed(spec: str, meta: Meta | None = None) -> tuple[Row, Params, Quantizer | None]:
    """Read a kind as the user writes it, and the fitted file that it names.

    meta  of an index whose own quantiser may be named as `--info` does
    Raises `UsageError` as `parse` does and where spec and file disagree; `MissingInputError`, `BadDataError`
    for a file that is not there, or is no fitted quantiser.
    """
    row, params = parse(spec)
    if not is_fitted(params) or (meta is not None and meta.params.get(FITTED) == params[FITTED]):
        return row, params, None
    from mmr.index.quantizer import read_quantizer, taken

    file = str(params[FITTED])
    quantizer = read_quantizer(file)
    return row, taken(quantizer, row.name, params, spec, file), quantizer


def kept(changer: Changer, meta: Meta) -> tuple[list[tuple[int, Written]], list[str], Path | None]:
    """What an index that becomes `meta` keeps of fitted files: new ones, names that go, the one in use."""
    old = _names(changer)
    if not is_fitted(meta.params):
        return [], old, None
    quantizer = changer.fitted
    if quantizer is None or quantizer.name != meta.params[FITTED]:
        return [], [], changer.path / old[0]
    written = write(changer, quantizer, meta)
    return [(KEPT, written)], old, changer.path / written.name


def write(changer: Changer, quantizer: Quantizer, meta: Meta) -> Written:
    """Put a fitted file into the folder of an index; the caller names it in the catalogue.

    Raises `BadDataError` where it is of another model or length than the vectors.
    """
    from mmr.index.quantizer import check_fits, write_quantizer

    check_fits(quantizer, meta, changer.path.name, "the fitted quantiser")
    return write_structure(changer.path, FITTED, "npz", lambda path: write_quantizer(str(path), quantizer))


def file_of(changer: Changer) -> Path | None:
    """The fitted file that the index keeps."""
    names = _names(changer)
    return changer.path / names[0] if names else None


def _names(changer: Changer) -> list[str]:
    rows = changer.connection.execute("SELECT name FROM files WHERE segment = ?", (KEPT,))
    return [name for (name,) in rows if name.startswith(FITTED)]


def code(empty: Any, vectors: NDArray[np.floating], trained: Path, file: Path, block: int) -> None:
    """Write the codes of (n, d) vectors by the fitted file `trained` into `file`, as FAISS keeps them."""
    from importlib import import_module

    from mmr.index.quantizer import fill, read_quantizer

    faiss: Any = import_module("faiss")
    faiss.write_index(fill(empty, read_quantizer(str(trained)), vectors, block), str(file))
