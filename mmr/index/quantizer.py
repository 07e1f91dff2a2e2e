"""A quantiser fitted to queries: the file that `mmr fit quantizer` writes, and codes made by it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmr import __version__
from mmr.errors import BadDataError, UsageError, shown
from mmr.index.table import FITTED
from mmr.stream import archive
from mmr.stream.archive import Damaged
from mmr.stream.records import check_model

if TYPE_CHECKING:
    from mmr.index.catalogue import Meta
    from mmr.index.table import Params

FORMAT = 1
KIND = "quantizer"
KINDS = ("pq", "ivfpq")
MOST = 1 << 16  # dimensions
ARRAYS = ("turn", "asked", "codes", "books", "lists", "centroids")


@dataclass(frozen=True)
class Quantizer:
    """What codes of a kind are made with, and what they stand for in a search.

    of         "pq" or "ivfpq"; params its `m`, `bits` and `lists` (0 of pq)
    model      of the vectors that it was fitted to, None when unknown
    turn       (d, d) float32, what items go through before they are coded; asked (d, d) what queries do
    codes      (m, 2^bits, d / m) what items are coded by; books, of the same shape, what a code stands for
    lists      (lists, d) the centroids that choose an item's list; centroids, what these stand for
    about      for people: queries, gallery, what it gained
    """

    of: str
    params: dict[str, int]
    model: str | None
    turn: NDArray[np.float32]
    asked: NDArray[np.float32]
    codes: NDArray[np.float32]
    books: NDArray[np.float32]
    lists: NDArray[np.float32]
    centroids: NDArray[np.float32]
    about: dict[str, Any]

    @property
    def dim(self) -> int:
        """The length of the vectors that it is for."""
        return len(self.turn)

    @property
    def name(self) -> str:
        """Sixteen hex digits that change with what it does to vectors."""
        found = blake2b(f"{self.of} {sorted(self.params.items())}".encode(), digest_size=8)
        for array in ARRAYS:
            found.update(np.ascontiguousarray(getattr(self, array), "<f4").tobytes())
        return found.hexdigest()


def write_quantizer(path: str, quantizer: Quantizer) -> None:
    """Write the file; the same quantiser gives the same bytes. Raises `OutputError` where it cannot."""
    about = {
        "format": FORMAT, "kind": KIND, "of": quantizer.of, "params": quantizer.params,
        "model": quantizer.model, "dim": quantizer.dim, "about": quantizer.about,
        "versions": {"mmr": __version__, "numpy": np.__version__},
    }  # fmt: skip
    arrays = {name: np.asarray(getattr(quantizer, name), np.float32) for name in ARRAYS}
    archive.write(path, {archive.ABOUT: archive.as_bytes(about), **arrays})


def read_quantizer(path: str) -> Quantizer:
    """Read such a file. Nothing in it is unpickled, and nothing is believed.

    Raises `MissingInputError` where there is none, `BadDataError` for another kind of file and for one that
    is damaged, cut short, or of a later version of mmr.
    """
    with archive.fitted(path, KIND, FORMAT) as (about, arrays):
        return _checked(about, arrays)


def _checked(about: dict[str, Any], arrays: archive.Arrays) -> Quantizer:
    """The quantiser of a file whose every number and shape is what it says it is."""
    of, model, dim, params = about["of"], about["model"], about["dim"], about["params"]
    whole = {"m": params["m"], "bits": params["bits"], "lists": params["lists"]}
    if of not in KINDS or not (model is None or type(model) is str) or type(about["about"]) is not dict:
        raise Damaged("it does not say what it is for")
    if any(type(value) is not int for value in (dim, *whole.values())) or not 0 < dim <= MOST:
        raise Damaged("it does not say how it cuts vectors")
    pieces, bits, lists = whole["m"], whole["bits"], whole["lists"]
    if bits not in (4, 8) or pieces < 1 or dim % pieces or (lists > 0) != (of == "ivfpq"):
        raise Damaged("it cuts vectors as no kind does")
    book = (pieces, 1 << bits, dim // pieces)
    shapes = {"turn": (dim, dim), "asked": (dim, dim), "codes": book, "books": book,
              "lists": (lists, dim), "centroids": (lists, dim)}  # fmt: skip
    held = {name: arrays[name] for name in ARRAYS}
    if any(values.shape != shapes[name] or values.dtype != np.float32 for name, values in held.items()):
        raise Damaged("its arrays have not the shapes that it says")
    if not all(np.isfinite(values).all() for values in held.values()):
        raise Damaged("it holds numbers that are not finite")
    return Quantizer(of, whole, model, **held, about=about["about"])


def given(spec: str) -> dict[str, str]:
    """The parameters that a spec of a kind names itself, as they are written.

    >>> given("ivfpq:m=32,fitted=a.npz")
    {'m': '32', 'fitted': 'a.npz'}
    """
    pairs = (pair.partition("=") for pair in spec.partition(":")[2].split(",") if pair)
    return {name: value for name, _, value in pairs}


def taken(quantizer: Quantizer, kind: str, params: Params, spec: str, file: str) -> Params:
    """The parameters of a kind that codes with a fitted quantiser: what the spec leaves open is the file's.

    Raises `UsageError` where the spec says otherwise than the file.
    """
    own: dict[str, int | str] = {
        "m": quantizer.params["m"],
        "bits": str(quantizer.params["bits"]),
        "opq": "yes",
    }
    if quantizer.of == "ivfpq":
        own["lists"] = quantizer.params["lists"]
    said = given(spec)
    if kind != quantizer.of:
        raise UsageError(
            f"{shown(file)} is fitted for {quantizer.of}, and {kind} is asked for.",
            f"Say {quantizer.of}:fitted=..., or `mmr fit quantizer --kind {kind}`.",
        )
    for name, value in own.items():
        if name in said and said[name] not in (str(value), "0" if name in ("m", "lists") else str(value)):
            anew = "" if name == "opq" else f", or fit with `--kind {kind}:{name}={shown(said[name])}`"
            raise UsageError(
                f"{name}={shown(said[name])}: {shown(file)} is fitted with {name}={value}.",
                f"Leave {name} out{anew}.",
            )
    return {**params, **own, FITTED: quantizer.name}


def check_fits(quantizer: Quantizer, meta: Meta, index: str, file: str) -> None:
    """Raise `BadDataError` where a quantiser is of another model or length than the vectors of an index."""
    check_model(meta.model, quantizer.model, expected_by=index, found_by=file,
                fix="Fit to this index: `mmr fit quantizer --index`.")  # fmt: skip
    if quantizer.dim != meta.dim:
        raise BadDataError(
            f"{shown(file)} is of {quantizer.dim} dimensions, and {shown(index)} has {meta.dim}",
            "Fit to this index: `mmr fit quantizer --index`.",
        )


def fill(empty: Any, quantizer: Quantizer, vectors: NDArray[np.floating], block: int) -> Any:
    """Code (n, d) vectors into FAISS's index without rows, and let it search by what the codes stand for.

    empty  an `IndexPreTransform` over lists or codes of the quantiser's parameters, not trained
    """
    faiss: Any = import_module("faiss")
    turn, inner = faiss.downcast_VectorTransform(empty.chain.at(0)), faiss.downcast_index(empty.index)
    lists = faiss.downcast_index(inner.quantizer) if quantizer.of == "ivfpq" else None
    faiss.copy_array_to_vector(np.ascontiguousarray(quantizer.turn.T).ravel(), turn.A)
    _code_by(faiss, inner, lists, quantizer.codes, quantizer.lists)
    for one in (turn, inner, empty):
        one.is_trained = True
    for start in range(0, len(vectors), block):
        empty.add(np.ascontiguousarray(vectors[start : start + block], np.float32))
    faiss.copy_array_to_vector(np.ascontiguousarray(quantizer.asked.T).ravel(), turn.A)
    _code_by(faiss, inner, lists, quantizer.books, quantizer.centroids)
    return empty


def _code_by(
    faiss: Any, inner: Any, lists: Any, books: NDArray[np.float32], centroids: NDArray[np.float32]
) -> None:
    faiss.copy_array_to_vector(np.ascontiguousarray(books).ravel(), inner.pq.centroids)
    if lists is not None:
        lists.reset()
        lists.add(np.ascontiguousarray(centroids))
