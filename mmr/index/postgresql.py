"""An index in PostgreSQL with pgvector: a table of items, and a row of `mmr_indexes` that says what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors as refused
from psycopg import sql

from mmr.errors import BadDataError, UnavailableError, UsageError
from mmr.index.engine import About, Found, Stored, Unsettled, Where
from mmr.index.pg_where import fits, is_text
from mmr.index.pgvector import register

if TYPE_CHECKING:
    from mmr.index.address import Address
    from mmr.index.engine import Floats

FORMAT = 1
SIDE = "mmr_indexes"
LOCK = 0x6D6D7231  # of whoever makes a collection
LONGEST_ID = 2_600  # bytes that fit into a page of a B-tree beside others
GRAPH_DIMS = 2_000  # what pgvector's graph takes
MOST = 1_000_000
GRAPH_MOST = 1_000  # the largest hnsw.ef_search
PARTS = ("id", "image", "path", "digest", "parent", "fields")
OPTIONS = {"connect_timeout": "10", "application_name": "mmr", "client_encoding": "utf8"}
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

TABLE = """
CREATE TABLE {table} (
    id text COLLATE "C" PRIMARY KEY, image text, path text, digest text, parent text,
    fields json NOT NULL, vector vector({dim}) NOT NULL)
"""
LOOKUPS = """
CREATE INDEX ON {table} USING hash (image) WHERE image <> id;
CREATE INDEX ON {table} USING hash (path) WHERE path IS NOT NULL;
CREATE INDEX ON {table} USING hash (digest) WHERE digest IS NOT NULL
"""
SIDE_TABLE = f"""
CREATE TABLE IF NOT EXISTS {SIDE} (
    name text PRIMARY KEY, format integer NOT NULL, model text, dim integer NOT NULL, kind text NOT NULL,
    params json NOT NULL)
"""
NOTE = f"""
INSERT INTO {SIDE} (name, format, model, dim, kind, params) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET format = excluded.format, model = excluded.model, dim = excluded.dim,
    kind = excluded.kind, params = excluded.params
"""


class PostgreSQL:
    """An `mmr.index.engine.Engine` over psycopg; one connection, made at the first call."""

    most = MOST

    def __init__(self, address: Address) -> None:
        self.address = address
        self._held: psycopg.Connection[Any] | None = None
        self._known: About | None = None
        self._graph = False
        self._width = 0  # how far this connection looks in a graph, as it was told last
        self._table = sql.Identifier(address.collection)
        self._index = sql.Identifier(f"{address.collection}_hnsw")

    # --- what it is ---

    def about(self) -> About | None:
        """What the collection is; None where there is none of that name that mmr made."""
        with self._asking() as db:
            if db.execute("SELECT to_regclass(%s)", (SIDE,)).fetchone() == (None,):
                return None
            found = db.execute(
                f"SELECT format, model, dim, kind, params, to_regclass(%s) IS NOT NULL,"
                f" to_regclass(%s) IS NOT NULL FROM {SIDE} WHERE name = %s",
                (self._quoted(self._table), self._quoted(self._index), self.address.collection),
            ).fetchone()
        if found is None or not found[5]:
            return None
        if found[0] > FORMAT:
            what = f"{self.address} has format {found[0]}, and this mmr reads up to {FORMAT}"
            raise BadDataError(what, "Use a newer mmr.")
        self._known, self._graph = About(*found[1:5]), found[6]
        return self._known

    def create(self, about: About) -> None:
        """Make the table and note what it is, in one transaction."""
        self._check_graph(about)
        with self._asking() as db, db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            db.execute(SIDE_TABLE)
            there = db.execute("SELECT to_regclass(%s)", (self._quoted(self._table),)).fetchone()
            noted = db.execute(f"SELECT 1 FROM {SIDE} WHERE name = %s", (self.address.collection,)).fetchone()
            if there != (None,):
                if noted:
                    return
                what = f"{self.address}: the database has a table of that name, which mmr did not make"
                raise BadDataError(what, "Name another after the #.")
            dim = sql.Literal(about.dim)
            db.execute(sql.SQL(TABLE).format(table=self._table, dim=dim))
            db.execute(sql.SQL(LOOKUPS).format(table=self._table))
            db.execute(NOTE, self._row(about))

    def note(self, about: About) -> None:
        """Note what the collection is now."""
        with self._asking() as db:
            db.execute(NOTE, self._row(about))

    def count(self) -> int:
        """How many items there are."""
        with self._asking() as db:
            found = db.execute(self._sql("SELECT count(*) FROM {table}")).fetchone()
        assert found is not None
        return int(found[0])

    def _row(self, about: About) -> tuple[Any, ...]:
        return (self.address.collection, FORMAT, about.model, about.dim, about.kind, json.dumps(about.params))

    # --- items ---

    def refuses(self, item: Stored) -> str | None:
        """Why PostgreSQL cannot hold an item, or None."""
        if 4 * len(item.id) > LONGEST_ID and len(item.id.encode()) > LONGEST_ID:
            return f"its id is longer than {LONGEST_ID:,} bytes, which PostgreSQL cannot index"
        if "\0" in item.id or ("\\u0000" in item.fields and NUL.search(item.fields)):
            return "it holds a NUL character, which PostgreSQL's text cannot"
        return None

    def put(self, items: Sequence[Stored], vectors: Floats, *, new: bool) -> None:
        """Put items in one transaction: copied into the table, or by way of a temporary one."""
        with self._asking() as db:
            if new:
                with suppress(refused.UniqueViolation), db.transaction():
                    self._copy(db, self._table, items, vectors)
                    return
            fresh = sql.Identifier("mmr_fresh")
            with db.transaction():
                db.execute(self._sql("CREATE TEMPORARY TABLE mmr_fresh (LIKE {table}) ON COMMIT DROP"))
                self._copy(db, fresh, items, vectors)
                sets = sql.SQL(", ").join(
                    sql.SQL("{0} = excluded.{0}").format(sql.Identifier(one))
                    for one in (*PARTS[1:], "vector")
                )
                db.execute(
                    sql.SQL(
                        "INSERT INTO {} SELECT * FROM mmr_fresh ORDER BY id ON CONFLICT (id) DO UPDATE SET {}"
                    ).format(self._table, sets)
                )

    def _copy(
        self, db: psycopg.Connection[Any], table: sql.Identifier, items: Sequence[Stored], vectors: Floats
    ) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, (*PARTS, "vector")))
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, names)
        with db.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types([*["text"] * len(PARTS), "vector"])
            for item, vector in zip(items, vectors, strict=True):
                copy.write_row((*item, vector))

    def revise(self, items: Sequence[Stored]) -> None:
        """Put items in the place of those of the same id, whose vectors stay, in one transaction."""
        sets = ", ".join(f"{name} = new.{name}" for name in PARTS[1:-1])
        given = ", ".join(["%s::text[]"] * len(PARTS))
        statement = (
            f"UPDATE {{table}} SET {sets}, fields = new.fields::json FROM unnest({given})"
            f" AS new ({', '.join(PARTS)}) WHERE {{table}}.id = new.id"
        )
        columns = [list(column) for column in zip(*items, strict=True)]
        with self._asking() as db, db.transaction():
            db.execute(self._sql(statement), columns)

    def delete(self, ids: Sequence[str]) -> int:
        """Delete items by id in one transaction."""
        with self._asking() as db:
            statement = self._sql("DELETE FROM {table} WHERE id = ANY(%s)")
            return db.execute(statement, (_held(ids),)).rowcount

    def fetch(self, ids: Sequence[str], *, vectors: bool) -> list[Found]:
        """The items with these ids, in any order."""
        return self._found("WHERE id = ANY(%s)", (_held(ids),), vectors)

    def named(self, names: Sequence[str]) -> list[Found]:
        """The items whose picture or digest is one of these, in any order."""
        where = (
            "WHERE (image <> id AND image = ANY(%s)) OR (image = id AND id = ANY(%s)) OR path = ANY(%s)"
            " OR digest = ANY(%s)"
        )
        return self._found(where, (_held(names),) * 4, False)

    def page(self, after: str | None, count: int, *, vectors: bool) -> list[Found]:
        """The next items behind an id, in the order of the ids' bytes."""
        if after is None:
            return self._found("ORDER BY id LIMIT %s", (count,), vectors)
        return self._found("WHERE id > %s ORDER BY id LIMIT %s", (after, count), vectors)

    def children(self) -> dict[str, int]:
        """How many items name each parent."""
        with self._asking() as db:
            statement = "SELECT parent, count(*) FROM {table} WHERE parent IS NOT NULL GROUP BY parent"
            return dict(db.execute(self._sql(statement)).fetchall())

    def _found(self, rest: str, values: Sequence[Any], vectors: bool) -> list[Found]:
        with self._asking() as db:
            statement = self._sql(f"SELECT {_columns(vectors)} FROM {{table}} {rest}")
            return _items(db.execute(statement, values, binary=True).fetchall())

    # --- search ---

    def search(self, queries: Floats, count: int, where: Where, *, exact: bool) -> list[list[Found]]:
        """The nearest items of each query: by the graph where there is one, else of all that fit."""
        fitting, values = fits(where)
        statement = self._sql(
            f"SELECT {_columns(True)} FROM {{table}} {fitting} ORDER BY vector <#> %s LIMIT {int(count)}"
        )
        walks = self._graph and not exact and count <= GRAPH_MOST
        with self._asking() as db:
            if walks:
                assert self._known is not None
                width = min(GRAPH_MOST, max(count, int(self._known.params.get("ef", 0))))
                if width != self._width:
                    db.execute("SELECT set_config('hnsw.ef_search', %s, false)", (str(width),))
                    self._width = width
            found = _asked(db, statement, values, queries, exact=self._graph and not walks)
            few = [i for i, one in enumerate(found) if walks and len(one) < count]
            if few:
                again = _asked(db, statement, values, queries[few], exact=True)
                for i, one in zip(few, again, strict=True):
                    found[i] = one
        return found

    def finish(self, changed: int) -> None:
        """Build the graph where the kind has one that is not there, and let the planner look at the table."""
        if self._known is None:
            self.about()
        assert self._known is not None
        if self._known.kind == "hnsw" and not self._graph:
            self._make_graph(self._known)
        if changed:
            with self._asking() as db:
                db.execute(self._sql("ANALYZE {table}"))

    def build(self, about: About) -> None:
        """Drop the graph, and build the one of `about`."""
        self._check_graph(about)
        with self._asking() as db, db.transaction():
            db.execute(self._sql("DROP INDEX IF EXISTS {index}"))
            self._graph = False
            if about.kind == "hnsw":
                self._make_graph(about)
            db.execute(NOTE, self._row(about))
        self._known = about

    def _check_graph(self, about: About) -> None:
        if about.kind == "hnsw" and about.dim > GRAPH_DIMS:
            most = f"a graph of pgvector takes up to {GRAPH_DIMS:,} dimensions, not {about.dim:,}"
            what = f"{self.address}: {most}"
            raise UsageError(what, "Use --kind flat, or fewer dimensions: mmr fit pca --dims 1024.")

    def _make_graph(self, about: About) -> None:
        with self._asking() as db:
            m, efc = sql.Literal(about.params["m"]), sql.Literal(about.params["efc"])
            statement = (
                "CREATE INDEX IF NOT EXISTS {index} ON {table} USING hnsw (vector vector_ip_ops)"
                " WITH (m = {m}, ef_construction = {efc})"
            )
            db.execute(sql.SQL(statement).format(table=self._table, index=self._index, m=m, efc=efc))
        self._graph = True

    def facts(self) -> dict[str, Any]:
        """The server's version, the bytes of the table with its indexes, and whether the graph is built."""
        with self._asking() as db:
            found = db.execute(
                "SELECT current_setting('server_version'),"
                " (SELECT extversion FROM pg_extension WHERE extname = 'vector'), pg_total_relation_size(%s)",
                (self._quoted(self._table),),
            ).fetchone()
        assert found is not None
        assert self._known is not None
        graph = {"graph": "built" if self._graph else "not built"} if self._known.kind == "hnsw" else {}
        return {"engine": f"PostgreSQL {found[0]}, pgvector {found[1]}", **graph, "bytes": found[2]}

    # --- the connection ---

    def close(self) -> None:
        """Let go of the connection."""
        if self._held is not None:
            with suppress(psycopg.Error):
                self._held.close()
            self._held = None

    def _sql(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(table=self._table, index=self._index)

    def _quoted(self, name: sql.Identifier) -> str:
        return name.as_string(None)

    @contextmanager
    def _asking(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection, made where there is none; the client's errors become those of this program."""
        try:
            yield self._connection()
        except (refused.SerializationFailure, refused.DeadlockDetected, refused.LockNotAvailable) as error:
            raise Unsettled(self._words(error)) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            if isinstance(error, (refused.DiskFull, refused.OutOfMemory)):
                raise UnavailableError(
                    f"{self.address}: {self._words(error)}", "Make room on the server."
                ) from error
            raise Unsettled(self._words(error)) from error
        except psycopg.Error as error:
            raise UnavailableError(f"{self.address} refused: {self._words(error)}", _fix(error)) from error

    def _words(self, error: psycopg.Error) -> str:
        said = error.diag.message_primary or str(error)
        return self.address.clean(said)

    def _connection(self) -> psycopg.Connection[Any]:
        if self._held is None or self._held.closed:
            self._held, self._width = self._connected(), 0
        return self._held

    def _connected(self) -> psycopg.Connection[Any]:
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        try:
            given = conninfo_to_dict(self.address.server)
        except psycopg.ProgrammingError as error:
            what = f"{self.address} is no address of PostgreSQL: {self._words(error)}"
            raise UsageError(what, "Write what is odd in a name or a password as %40, %23, ...") from error
        usual = {name: value for name, value in OPTIONS.items() if name not in given}
        db: psycopg.Connection[Any] = psycopg.connect(
            make_conninfo(self.address.server, **usual), autocommit=True
        )
        try:
            if not register(db):
                self._extend(db)
        except BaseException:
            db.close()
            raise
        return db

    def _extend(self, db: psycopg.Connection[Any]) -> None:
        """Make the extension known to the database, where the server has it."""
        try:
            db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.Error as error:
            raise UnavailableError(
                f"{self.address}: the database has no pgvector: {self._words(error)}",
                "Install pgvector on the server; then its owner says CREATE EXTENSION vector.",
            ) from error
        register(db)


def _held(texts: Sequence[str]) -> list[str]:
    """The texts that PostgreSQL could hold: no other can be asked for."""
    return [text for text in texts if is_text(text)]


def _columns(vectors: bool) -> str:
    return ", ".join((*PARTS[:-1], "fields::text", *(("vector",) if vectors else ("NULL",))))


def _items(rows: Sequence[Sequence[Any]]) -> list[Found]:
    return [Found(Stored(*row[:6]), row[6]) for row in rows]


def _asked(
    db: psycopg.Connection[Any], statement: sql.Composed, values: Sequence[Any], queries: Floats, exact: bool
) -> list[list[Found]]:
    """The rows of one statement for each query, sent together where libpq can; `exact` walks no graph."""
    with db.transaction() if exact else nullcontext():
        if exact:
            db.execute("SET LOCAL enable_indexscan = off")
        together = len(queries) > 1 and psycopg.Pipeline.is_supported()
        with db.pipeline() if together else nullcontext():
            cursors = [db.execute(statement, (*values, query), binary=True) for query in queries]
        return [_items(cursor.fetchall()) for cursor in cursors]


def _fix(error: psycopg.Error) -> str:
    if isinstance(error, (refused.InsufficientPrivilege, refused.ReadOnlySqlTransaction)):
        return "Ask for the right to write there, or name another database."
    return "See the server's log; run the same command again."
