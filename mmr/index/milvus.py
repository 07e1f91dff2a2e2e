"""Milvus as an engine: one collection of items, and a small one beside it that says what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from mmr.errors import BadDataError, BusyError, UnavailableError
from mmr.index.bases import absolute
from mmr.index.engine import About, Found, Stored, Where
from mmr.index.milvus_client import Client, NoCollection, NotLoaded, TooLarge
from mmr.index.milvus_filter import TERMS, expression, naming, pieces, quoted, terms, with_parent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.address import Address

    Floats = NDArray[np.float32]

MOST = 16_384  # rows that one answer may have, hits or items
LONGEST = 65_535  # bytes of a string or of a record
BESIDE = "mmr_collections"  # the collection that says what the others are
BYTES = 8 << 20  # of vectors and records in one message
PUT, FLUSH, LOAD = 120.0, 20.0, 300.0  # seconds
FIELDS = ["id", "record"]


class Milvus:
    """A collection of Milvus or milvus-lite: `id`, `vector`, `record`, and `terms`, which find items.

    Reads see what was written before them (consistency "Strong"). Writes are no transactions: each batch
    stands by itself, and a batch that is sent twice changes nothing.
    """

    most = MOST

    def __init__(self, address: Address) -> None:
        self.address = address
        self._name = address.collection
        self._call = Client(address)
        self._about: About | None = None

    def about(self) -> About | None:
        """What the collection is; None where there is none of that name that mmr made."""
        self._about = self._noted() if self._call("has_collection", self._name) else None
        return self._about

    def _noted(self) -> About | None:
        import orjson

        try:
            rows = self._read("query", BESIDE, filter=f"id == {quoted(self._name)}", output_fields=["about"])
        except NoCollection:
            return None
        if not rows:
            return None
        found = rows[0]["about"]
        about = found if isinstance(found, dict) else orjson.loads(found)
        return About(about["model"], about["dim"], about["kind"], about["params"])

    def create(self, about: About) -> None:
        """Make the collection and note what it is, which is noted first; see `Engine`."""
        if self._call("has_collection", self._name):
            if self._noted() is None:
                raise BadDataError(
                    f"{self.address} is a collection that mmr did not make", "Name another: ADDRESS#NAME."
                )
            return
        self.note(about)
        types, schema = self._schema()
        schema.add_field("id", types.VARCHAR, is_primary=True, max_length=LONGEST)
        schema.add_field("record", types.JSON)
        schema.add_field("terms", types.ARRAY, element_type=types.INT64, max_capacity=TERMS)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=about.dim)
        self._make(self._name, schema, self._structure(about))

    def note(self, about: About) -> None:
        """Note what the collection is now."""
        if not self._call("has_collection", BESIDE):
            types, schema = self._schema()
            schema.add_field("id", types.VARCHAR, is_primary=True, max_length=LONGEST)
            schema.add_field("about", types.JSON)
            schema.add_field("vector", types.FLOAT_VECTOR, dim=2)  # Milvus wants one in each collection
            self._make(BESIDE, schema, self._structure(About(None, 2, "flat", {})))
        noted = {"model": about.model, "dim": about.dim, "kind": about.kind, "params": about.params}
        self._call("upsert", BESIDE, [{"id": self._name, "about": noted, "vector": [0.0, 0.0]}], timeout=PUT)
        self._about = about

    def _schema(self) -> tuple[Any, Any]:
        from pymilvus import DataType, MilvusClient

        return DataType, MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)

    def _structure(self, about: About) -> Any:
        from pymilvus import MilvusClient

        structure = MilvusClient.prepare_index_params()
        graph = {"M": about.params.get("m"), "efConstruction": about.params.get("efc")}
        params = graph if about.kind == "hnsw" else {}
        structure.add_index("vector", index_type=about.kind.upper(), metric_type="IP", params=params)
        return structure

    def _make(self, name: str, schema: Any, structure: Any) -> None:
        try:
            self._call("create_collection", name, schema=schema, index_params=structure,
                       consistency_level="Strong", timeout=LOAD)  # fmt: skip
        except UnavailableError:
            if not self._call("has_collection", name):  # else another writer just made it
                raise

    def count(self) -> int:
        """How many items there are."""
        return int(self._read("query", self._name, output_fields=["count(*)"])[0]["count(*)"])

    def refuses(self, item: Stored) -> str | None:
        """Why Milvus cannot hold an item, or None."""
        for name, text in (("id", item.id), ("record", item.fields)):
            if len(text.encode()) > LONGEST:
                return f"its {name} is longer than the {LONGEST:,} bytes that Milvus takes"
        return None

    def put(self, items: Sequence[Stored], vectors: Floats, *, new: bool) -> None:
        """Upsert items in messages of a few megabytes; see `Engine`."""
        rows = [
            {"id": item.id, "record": item.fields, "terms": terms(item), "vector": vector}
            for item, vector in zip(items, vectors, strict=True)
        ]
        size = 0
        start = 0
        for end, item in enumerate(items):
            size += vectors.shape[1] * 4 + len(item.fields) + 2 * len(item.id) + 64
            if size >= BYTES:
                self._upsert(rows[start : end + 1])
                start, size = end + 1, 0
        self._upsert(rows[start:])

    def _upsert(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        try:
            self._call("upsert", self._name, rows, timeout=PUT)
        except TooLarge:
            if len(rows) == 1:
                raise UnavailableError(
                    f"{self.address} takes no message of the size of one item", "See the server's limits."
                ) from None
            self._upsert(rows[: len(rows) // 2])
            self._upsert(rows[len(rows) // 2 :])

    def revise(self, items: Sequence[Stored]) -> None:
        """Put items in the place of those of the same id, whose vectors are read and sent again."""
        import numpy as np

        held = {
            found.item.id: found.vector for found in self.fetch([item.id for item in items], vectors=True)
        }
        left = [item for item in items if item.id in held]
        if left:
            self.put(left, np.stack([np.asarray(held[item.id]) for item in left]), new=False)

    def delete(self, ids: Sequence[str]) -> int:
        """Delete items by id; returns how many there were."""
        gone = 0
        for piece in pieces(ids):
            among = f"id in [{','.join(map(quoted, piece))}]"
            there = [row["id"] for row in self._read("query", self._name, filter=among, output_fields=["id"])]
            if there:
                among = f"id in [{','.join(map(quoted, there))}]"
                self._call("delete", self._name, filter=among, timeout=PUT)
                gone += len(there)
        return gone

    def fetch(self, ids: Sequence[str], *, vectors: bool) -> list[Found]:
        """The items with these ids, in any order; those that are not there are left out."""
        return [
            found
            for piece in pieces(ids, self._fit(vectors))
            for found in self._query(f"id in [{','.join(map(quoted, piece))}]", vectors)
        ]

    def named(self, names: Sequence[str]) -> list[Found]:
        """The items whose `image`, `path` or `digest` is one of these, each once, without vectors."""
        found: dict[str, Found] = {}
        for piece in pieces(names, 2_048):
            for one in self._paged(naming(piece), None, None, False):
                if not {one.item.image, one.item.path, one.item.digest}.isdisjoint(piece):
                    found[one.item.id] = one
        return list(found.values())

    def page(self, after: str | None, count: int, *, vectors: bool) -> list[Found]:
        """The next `count` items behind the id `after`, in the order of the ids' UTF-8 bytes."""
        return list(self._paged("", after, count, vectors))

    def children(self) -> dict[str, int]:
        """How many items name each parent."""
        parents = (one.item.parent for one in self._paged(with_parent(), None, None, False))
        return dict(Counter(parent for parent in parents if parent is not None))

    def search(self, queries: Floats, count: int, where: Where, *, exact: bool) -> list[list[Found]]:
        """The nearest items of each query; see `Engine`."""
        about = self._about or self.about()
        if about is None:
            return [[] for _ in queries]
        if exact and about.kind != "flat":
            return self._compared(queries, count, where)
        ef = {"ef": max(int(about.params["ef"]), count)} if about.kind == "hnsw" else {}
        step = max(1, min(1024, 4 * BYTES // (count * (about.dim * 4 + 512))))
        found: list[list[Found]] = []
        for start in range(0, len(queries), step):
            answers = self._read(
                "search", self._name, data=list(queries[start : start + step]), anns_field="vector",
                limit=min(count, MOST), filter=expression(where), output_fields=[*FIELDS, "vector"],
                search_params={"metric_type": "IP", "params": ef},
            )  # fmt: skip
            found += [[_found(hit["entity"], True) for hit in hits] for hits in answers]
        return found

    def _compared(self, queries: Floats, count: int, where: Where) -> list[list[Found]]:
        """The same, from every vector, which Milvus itself does not compare where it has a graph."""
        import numpy as np

        best: list[list[tuple[float, Found]]] = [[] for _ in queries]
        for some in _together(self._paged(expression(where), None, None, True), self._fit(True)):
            scores = np.stack([np.asarray(one.vector) for one in some]) @ queries.T
            for mine, column in zip(best, scores.T, strict=True):
                mine += [(float(score), one) for score, one in zip(column, some, strict=True)]
                mine.sort(key=lambda pair: -pair[0])
                del mine[count:]
        return [[one for _, one in mine] for mine in best]

    def finish(self, changed: int) -> None:
        """Flush what a run wrote, so that searches find it in the structure, and load it."""
        if changed:
            with suppress(BusyError):  # flushes are rationed; what was written is safe without
                self._call("flush", self._name, timeout=FLUSH)
            self._call("load_collection", self._name, timeout=LOAD)

    def build(self, about: About) -> None:
        """Build the kind's structure anew and note it."""
        with suppress(NotLoaded):
            self._call("release_collection", self._name, timeout=LOAD)
        for name in self._call("list_indexes", self._name):
            self._call("drop_index", self._name, name, timeout=LOAD)
        self._call("create_index", self._name, self._structure(about), timeout=LOAD)
        self._call("load_collection", self._name, timeout=LOAD)
        self.note(about)

    def facts(self) -> dict[str, Any]:
        """More that `--info` says."""
        return {"engine": f"Milvus {self._call('get_server_version')}"}

    def close(self) -> None:
        """Let go of the connection."""
        self._call.close()

    def _read(self, method: str, name: str, **options: Any) -> Any:
        """Read from a collection, which is loaded if the server has not loaded it."""
        try:
            return self._call(method, name, **options)
        except NotLoaded:
            self._call("load_collection", name, timeout=LOAD)
            return self._call(method, name, **options)

    def _fit(self, vectors: bool) -> int:
        """How many items one answer may have."""
        about = self._about or (self.about() if vectors else None)
        return max(1, min(MOST, 4 * BYTES // (4 * about.dim + 512))) if vectors and about else 4_096

    def _query(self, among: str, vectors: bool) -> list[Found]:
        fields = [*FIELDS, "vector"] if vectors else FIELDS
        rows = self._read("query", self._name, filter=among, output_fields=fields)
        return [_found(row, vectors) for row in rows]

    def _next(self, among: str, after: str | None, count: int, fields: Sequence[str]) -> list[Any]:
        """Rows in the order of their ids; the client's own iterator stumbles over quotes in ids."""
        behind = "" if after is None else f"id > {quoted(after)}"
        both = f"({behind}) and ({among})" if behind and among else behind or among
        rows = self._read("query", self._name, filter=both, output_fields=list(fields), limit=count,
                          iterator="True", reduce_stop_for_best="True")  # fmt: skip
        return list(rows)

    def _paged(self, among: str, after: str | None, count: int | None, vectors: bool) -> Iterator[Found]:
        fields = [*FIELDS, "vector"] if vectors else FIELDS
        most = self._fit(vectors)
        while count is None or count > 0:
            step = most if count is None else min(most, count)
            rows = self._next(among, after, step, fields)
            yield from (_found(row, vectors) for row in rows)
            if len(rows) < step:
                return
            after = rows[-1]["id"]
            count = None if count is None else count - len(rows)


def _found(row: Any, vectors: bool) -> Found:
    """An item from a row of an answer."""
    import numpy as np
    import orjson

    record = row["record"]
    texts = (record.get(name) for name in ("image", "base", "digest", "parent"))
    image, base, digest, parent = (text if isinstance(text, str) else None for text in texts)
    path = None if image is None else absolute(base, image)
    item = Stored(row["id"], image, path, digest, parent, orjson.dumps(record).decode())
    return Found(item, np.asarray(row["vector"], np.float32) if vectors else None)


def _together(found: Iterator[Found], count: int) -> Iterator[list[Found]]:
    while some := list(islice(found, count)):
        yield some
