"""pgvector's type on the wire: float32 arrays to and from its binary form, without a package of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD = 4  # two bytes of the dimension, two that are 0


class VectorDumper(Dumper):
    """A float32 array (d,) as pgvector reads it: d, 0, then big-endian numbers."""

    format = Format.BINARY

    def dump(self, obj: NDArray[np.float32]) -> bytes:
        """The bytes of one vector."""
        return len(obj).to_bytes(2, "big") + b"\0\0" + obj.astype(">f4").tobytes()


class VectorLoader(Loader):
    """The same, back."""

    format = Format.BINARY

    def load(self, data: bytes | bytearray | memoryview) -> NDArray[np.float32]:
        """One vector."""
        return np.frombuffer(data, ">f4", offset=HEAD).astype(np.float32)


def register(connection: psycopg.Connection[Any]) -> bool:
    """Teach a connection the type `vector`; False where its database has none."""
    info = TypeInfo.fetch(connection, "vector")
    if info is None:
        return False
    info.register(connection)
    dumper = type("VectorDumper", (VectorDumper,), {"oid": info.oid})
    connection.adapters.register_dumper(np.ndarray, dumper)
    connection.adapters.register_loader(info.oid, VectorLoader)
    return True
