"""The engines, one row each: which addresses are theirs, what they need, and which kinds they have."""

from __future__ import annotations

import importlib
import importlib.util
from typing import NamedTuple

from mmr.errors import UnavailableError, UsageError, shown
from mmr.index.address import Address
from mmr.index.engine import About, Engine
from mmr.index.table import Param, Params, Row


class EngineRow(NamedTuple):
    """One engine.

    schemes  what its addresses begin with
    example  one of them
    loads    where its adapter lives
    package  what the adapter imports; the extra of mmr that brings it is `extra`
    kinds    its kinds of index, the usual one first
    """

    name: str
    schemes: tuple[str, ...]
    example: str
    loads: str
    package: str
    extra: str
    kinds: tuple[Row, ...]


FLAT = Row("flat", "every vector is compared; exact", "", (), True, "")

ENGINES = (
    EngineRow(
        "PostgreSQL with pgvector", ("postgresql", "postgres"), "postgresql://host/db#pics",
        "mmr.index.postgresql:PostgreSQL", "psycopg", "postgres",
        (
            FLAT,
            Row("hnsw", "a graph is walked", "",
                (Param("m", 16, "links of a vector", 2, 100),
                 Param("efc", 64, "how far building looks", 4, 1000),
                 Param("ef", 100, "how far a search looks", 1, 1000)), False, "Malkov and Yashunin, 2016"),
        ),
    ),
    EngineRow(
        "Milvus", ("milvus+http", "milvus+https", "milvus+file"), "milvus+http://host:19530#pics",
        "mmr.index.milvus:Milvus", "pymilvus", "milvus",
        (
            FLAT,
            Row("hnsw", "a graph is walked", "",
                (Param("m", 16, "links of a vector", 4, 64),
                 Param("efc", 64, "how far building looks", 8, 512),
                 Param("ef", 100, "how far a search looks", 1, 32_768)), False, "Malkov and Yashunin, 2016"),
        ),
    ),
)  # fmt: skip


def row_of(address: Address) -> EngineRow:
    """The engine of an address; raises `UsageError` where there is none of its scheme."""
    for row in ENGINES:
        if address.scheme in row.schemes:
            return row
    known = ", ".join(row.example for row in ENGINES)
    raise UsageError(
        f"{address}: no engine has addresses that begin with {shown(address.scheme)}://",
        f"There are: {known}.",
    )


def connect(address: Address) -> Engine:
    """The adapter of an address; it connects at its first call. `UnavailableError` where its client lacks."""
    row = row_of(address)
    module, _, attribute = row.loads.partition(":")
    try:
        if importlib.util.find_spec(row.package) is None:
            raise ModuleNotFoundError(f"there is no package {row.package}")
        made = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        what = f"{row.name} needs the package {row.package}, which cannot be used: {shown(str(error))}"
        raise UnavailableError(what, f"Install it: pip install 'mmr[{row.extra}]'") from error
    engine: Engine = made(address)
    return engine


def parse(row: EngineRow, spec: str) -> tuple[Row, Params]:
    """Read `name:key=value,...` into a kind of the engine and the parameters that it names.

    Raises `UsageError` for what the engine does not have.
    """
    name, _, rest = spec.partition(":")
    kind = next((kind for kind in row.kinds if kind.name == name), None)
    if kind is None:
        known = ", ".join(one.name for one in row.kinds)
        raise UsageError(f"{row.name} has no kind of index called {shown(name)!r}", f"It has: {known}.")
    known_params = {param.name: param for param in kind.params}
    params: Params = {}
    for pair in filter(None, rest.split(",")):
        key, _, value = pair.partition("=")
        if key not in known_params:
            has = f"It has: {', '.join(known_params)}." if known_params else "It has none."
            raise UsageError(f"{shown(pair)!r} is no parameter of {name} in {row.name}", has)
        params[key] = known_params[key].read(value)
    return kind, params


def defaults(kind: Row) -> Params:
    """The parameters of a kind where nothing is said."""
    return {param.name: param.default for param in kind.params}


def spelled(about: About) -> str:
    """A collection's kind as the user writes it.

    >>> spelled(About(None, 3, "hnsw", {"m": 16, "ef": 100}))
    'hnsw:m=16,ef=100'
    """
    pairs = ",".join(f"{name}={value}" for name, value in about.params.items())
    return f"{about.kind}:{pairs}" if pairs else about.kind
