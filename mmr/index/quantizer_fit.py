"""`mmr fit quantizer`: FAISS's codes of an index, fitted to the ranking of queries, and what that gains."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.distill import Student, encoded
from mmr.arrays.truncate import roots
from mmr.errors import BadDataError, UsageError, shown
from mmr.index.quantizer import KINDS, Quantizer, given, taken, write_quantizer
from mmr.index.quantizer_learn import K, Pool, learn, nearest, shares
from mmr.index.table import FITTED, Params, adapter, parse

if TYPE_CHECKING:
    from mmr.index import Index

Floats = NDArray[np.float32]
POOL = 32_768  # rows that are looked at
QUERIES = 20_000
LEAST = 100  # queries; a fifth of them says when to stop, another what was gained
FLOOR = 2.33  # of the queries' power, added to every direction alike, so that no query to come is lost on it
RESAMPLED = 2000
SEED = 0


class Gain(NamedTuple):
    """What the codes find of the exact ten before and after, over queries that the fit did not look at.

    before, after  by the codes alone; low, high the 95 % interval of the gain
    refined        (before, after) with the candidates of the index's `refine`, compared exactly
    queries, rows  how many asked, among how many
    """

    before: float
    after: float
    low: float
    high: float
    refined: tuple[float, float]
    queries: int
    rows: int


def fit(
    index: Index, queries: Floats, spec: str, *, name: str, rounds: int, model: str | None = None,
    advance: Callable[[int], None] = lambda rounds: None,
) -> tuple[Quantizer, Gain]:  # fmt: skip
    """Fit the quantiser of `spec`, pq or ivfpq with their parameters, to an index and to queries (p, d).

    name    of the queries, for people; model of what they are
    rounds  over the queries at most
    advance is told of each round

    Raises `UsageError` for another kind or what does not fit d, `BadDataError` for too few queries or items.
    """
    kind, params = asked_kind(spec)
    coder: Any = adapter(kind)
    rows = _pool(index)
    needs = coder.needs(index.meta.dim, params)
    if len(rows) < needs:
        raise BadDataError(
            f"{kind} needs {needs:,} vectors to train, and {shown(index.path.name)} has {len(rows):,}",
            "Give it more vectors, or ask for fewer lists or bits.",
        )
    if len(queries) < LEAST:
        raise BadDataError(
            f"{len(queries):,} queries are too few to fit a quantiser to: it takes {LEAST}, better thousands",
            "`mmr embed --queries FILE -o q.npy` makes their vectors; `words` are those that ship with mmr.",
        )
    rng = np.random.default_rng(SEED)
    queries = queries[rng.permutation(len(queries))[:QUERIES]]
    fifth = len(queries) // 5
    kept, judges, used = queries[:fifth], queries[fifth : 2 * fifth], queries[2 * fifth :]
    if kind == "ivfpq":
        params["lists"] = _lists(len(rows), index.meta.count, params)
    found = fit_rows(kind, params, rows, used, kept, rounds, advance)
    gain = measured(found, params, rows, judges)
    about = {"queries": name, "queries_used": len(used), "gallery": index.path.name, **gain._asdict()}
    return replace(found, model=model, about=about), gain


def fit_rows(
    kind: str, params: Params, rows: Floats, queries: Floats, kept: Floats, rounds: int,
    advance: Callable[[int], None] = lambda rounds: None,
) -> Quantizer:  # fmt: skip
    """Fit to rows (n, d) and queries (p, d); the queries `kept` (q, d) say when to stop.

    kind    "pq" or "ivfpq"; params all its parameters, with `opq=yes`
    """
    start, turn = _start(kind, params, rows, queries)
    coded = encoded(rows @ turn, start.books, start.centroids)
    student = learn(start, Pool(rows, coded, queries, kept), rounds, SEED, advance)
    lists = len(start.centroids) if kind == "ivfpq" else 0
    pieces = {"m": len(start.books), "bits": int(params["bits"]), "lists": lists}
    return Quantizer(kind, pieces, None, turn, student.asked, start.books, student.books,
                     start.centroids[:lists], student.centroids[:lists], {})  # fmt: skip


def asked_kind(spec: str) -> tuple[str, Params]:
    """The kind to be fitted and its parameters, with a rotation. Raises `UsageError` for another kind."""
    row, params = parse(spec)
    if row.name not in KINDS:
        raise UsageError(f"{row.name} has no centroids to fit.", f"There are: {', '.join(KINDS)}.")
    said = given(spec)
    if said.get("opq") == "no" or FITTED in said:
        wrong = "opq=no" if said.get("opq") == "no" else FITTED
        raise UsageError(
            f"{wrong} means nothing here: what is fitted has a rotation of its own.", "Leave it out."
        )
    return row.name, {**params, "opq": "yes"}


def _lists(pool: int, count: int, params: Params) -> int:
    """How many lists: those of so large an index, as many as the pool can train."""
    from mmr.index.coded import CENTROID_ROWS
    from mmr.index.lists import how_many

    wanted = how_many(count, params)
    while not params["lists"] and wanted * CENTROID_ROWS > pool:
        wanted //= 2
    return max(wanted, 1)


def _pool(index: Index) -> Floats:
    """Live rows (n, d), drawn from all where there are many."""
    parts = [(segment.vectors, np.flatnonzero(segment.live)) for segment in index.segments()]
    count = sum(len(live) for _, live in parts)
    chosen = np.ones(count, bool)
    if count > POOL:
        chosen[:] = False
        chosen[np.random.default_rng(SEED).choice(count, POOL, replace=False)] = True
    found, start = [np.empty((0, index.meta.dim), np.float32)], 0
    for vectors, live in parts:
        mine = live[chosen[start : start + len(live)]]
        found.append(np.asarray(vectors[mine], np.float32))
        start += len(live)
    return np.concatenate(found)


def _start(kind: str, params: Params, rows: Floats, queries: Floats) -> tuple[Student, Floats]:
    """FAISS's quantiser of rows, stretched where queries look, and the turn (d, d) of rows that goes with it.

    The mean square error of a score is that of the vector under the queries' second moment (Guo et al. 2020
    weigh it so by the item): rows times its root and queries times the inverse have the same products, and
    there the plain error is the error of scores.
    """
    faiss: Any = import_module("faiss")
    root, back = roots(queries, FLOOR)
    length = np.sqrt(np.mean(np.square(rows @ root).sum(axis=1)))  # FAISS's centroids of lists have length 1
    root, back = root / length, back * length
    trained = trained_plain(kind, params, np.asarray(rows @ root, np.float32))
    linear, inner = faiss.downcast_VectorTransform(trained.chain.at(0)), faiss.downcast_index(trained.index)
    dim, pieces = rows.shape[1], inner.pq.M
    rotation = faiss.vector_to_array(linear.A).reshape(dim, dim).T.astype(np.float64)
    books = faiss.vector_to_array(inner.pq.centroids).reshape(pieces, -1, dim // pieces)
    lists = np.zeros((1, dim), np.float32)
    if kind == "ivfpq":
        lists = faiss.downcast_index(inner.quantizer).reconstruct_n(0, inner.nlist)
    start = Student(books, lists, np.asarray(back @ rotation, np.float32))
    return start, np.asarray(root @ rotation, np.float32)


def trained_plain(kind: str, params: Params, rows: Floats) -> Any:
    """FAISS's own training of what the kind keeps, over rows (n, d)."""
    coder: Any = adapter(kind)
    count = coder.takes(len(rows), params)
    sample = np.random.default_rng(SEED).permutation(len(rows))[:count]
    trained = coder.empty(rows.shape[1], len(rows), params)
    coder.fit(trained, np.ascontiguousarray(rows[sample]), params)
    return trained


def measured(fitted: Quantizer, params: Params, rows: Floats, queries: Floats) -> Gain:
    """What plain codes and fitted ones of as many bytes find, over queries that neither has seen."""
    faiss: Any = import_module("faiss")
    coder, right = adapter(fitted.of), nearest(queries, rows, K)
    refine = int(params["refine"])
    found = []
    with tempfile.TemporaryDirectory() as folder:
        plain, file = Path(folder, "plain"), Path(folder, "fitted.npz")
        faiss.write_index(trained_plain(fitted.of, params, rows), str(plain))
        write_quantizer(str(file), fitted)
        own = taken(fitted, fitted.of, params, "", file.name)
        for trained, told in ((plain, params), (file, own)):
            codes = Path(folder, f"{trained.stem}.codes")
            coder.write(rows, told, codes, trained)
            for depth in (K, refine * K):
                near = coder.candidates(codes, queries, min(depth, len(rows)), told, 1.0)
                found.append(shares(near, right))
    before, before_refined, after, after_refined = found
    low, high = interval(after - before)
    both = (float(before_refined.mean()), float(after_refined.mean()))
    return Gain(float(before.mean()), float(after.mean()), low, high, both, len(queries), len(rows))


def interval(gains: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval (percentiles of the bootstrap) of the mean of gains (q,)."""
    rng = np.random.default_rng(SEED)
    means = gains[rng.integers(0, len(gains), (RESAMPLED, len(gains)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
