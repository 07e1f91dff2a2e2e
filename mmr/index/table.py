"""The kinds of index, one row each; `mmr index --kind name:key=value,key=value` names them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = int | str
Params = dict[str, Value]


class Param(NamedTuple):
    """One parameter of a kind: a whole number from `low` to `high`, or one word of `choices`."""

    name: str
    default: Value
    note: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> Value:
        """Turn what the user wrote into a value; raises `UsageError` naming the range."""
        if self.choices:
            if text in self.choices:
                return text
            raise UsageError(f"{self.name}={shown(text)}: it must be one of {', '.join(self.choices)}.")
        if text.isascii() and text.isdigit() and self.low <= int(text) <= self.high:
            return int(text)
        raise UsageError(
            f"{self.name}={shown(text)}: it must be a whole number from {self.low} to {self.high}."
        )


class Row(NamedTuple):
    """One kind: its name, one line, where its adapter lives, its parameters and its source."""

    name: str
    summary: str
    loads: str
    params: tuple[Param, ...]
    exact: bool
    source: str


class Kind(Protocol):
    """An adapter: what a segment of this kind keeps beside its vectors, and how it is searched.

    suffix  of the file beside `seg-N.npy`; None where the vectors are all
    """

    suffix: str | None

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path) -> bool:
        """Build the structure over (n, d) vectors into `file`; False when the segment needs none."""

    def candidates(
        self, file: Path, queries: NDArray[np.float32], k: int, params: Params
    ) -> NDArray[np.int64]:
        """Row numbers (q, k) that are probably the nearest; -1 where there is none."""


DTYPE = Param("dtype", "float32", "how vectors are stored", choices=("float32", "float16"))

KINDS = (
    Row("flat", "every vector is compared; exact", "mmr.index.flat:Flat", (DTYPE,), True, ""),
    Row(
        "hnsw",
        "a graph is walked; about 4d + 8m more bytes a vector",
        "mmr.index.hnsw:Hnsw",
        (
            DTYPE,
            Param("m", 32, "links of a vector", 4, 128),
            Param("efc", 40, "how far building looks", 8, 4096),
            Param("ef", 64, "how far a search looks", 8, 65536),
            Param(
                "least", 20_000, "smaller segments are searched exactly, without a graph", 2, 1_000_000_000
            ),
        ),
        False,
        "Malkov and Yashunin, 2016",
    ),
)


def parse(spec: str) -> tuple[Row, Params]:
    """Read `name:key=value,...` into a row and all its parameters, defaults filled in.

    Raises `UsageError` for an unknown kind or parameter, or a value out of range.
    >>> parse("flat:dtype=float16")[1]
    {'dtype': 'float16'}
    """
    name, _, rest = spec.partition(":")
    row = next((row for row in KINDS if row.name == name), None)
    if row is None:
        raise UsageError(f"no kind of index is called {shown(name)!r}.", f"There are: {known()}.")
    params: Params = {param.name: param.default for param in row.params}
    known_params = {param.name: param for param in row.params}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals or key not in known_params:
            raise UsageError(
                f"{shown(pair)!r} is no parameter of {name}.", f"It has: {', '.join(known_params)}."
            )
        params[key] = known_params[key].read(value)
    return row, params


def known() -> str:
    """The names of all kinds, for messages and help."""
    return ", ".join(row.name for row in KINDS)


def adapter(name: str) -> Kind:
    """Import the adapter of a kind that `parse` accepted or the catalogue names."""
    row, _ = parse(name)
    module, _, attribute = row.loads.partition(":")
    kind: Kind = getattr(importlib.import_module(module), attribute)()
    return kind
