"""The kinds of index, one row each; `mmr index --kind name:key=value,key=value` names them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = int | float | str
Params = dict[str, Value]


class Param(NamedTuple):
    """One parameter of a kind: a whole number from `low` to `high`, or one word of `choices`.

    real  it need not be whole
    file  it is a file's name, or "no"
    late  a search alone uses it, and tuning leaves it as it is
    walk  what tuning tries of a parameter that a search alone uses, rising; empty for those of the files
    """

    name: str
    default: Value
    note: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    walk: tuple[int, ...] = ()
    late: bool = False
    real: bool = False
    file: bool = False

    def read(self, text: str) -> Value:
        """Turn what the user wrote into a value; raises `UsageError` naming the range."""
        if self.file and text:
            return text
        if self.choices:
            if text in self.choices:
                return text
            raise UsageError(f"{self.name}={shown(text)}: it must be one of {', '.join(self.choices)}.")
        if self.real:
            with suppress(ValueError):
                if self.low <= float(text) <= self.high:
                    return float(text)
        elif text.isascii() and text.isdigit() and self.low <= int(text) <= self.high:
            return int(text)
        what = "a number" if self.real else "a whole number"
        raise UsageError(f"{self.name}={shown(text)}: it must be {what} from {self.low} to {self.high}.")


class Row(NamedTuple):
    """One kind: its name, one line, where its adapter lives, its parameters and its source.

    content  where what its items are made from lives; one vector each, where nothing is said
    """

    name: str
    summary: str
    loads: str
    params: tuple[Param, ...]
    exact: bool
    source: str
    content: str = "mmr.index.content:Content"


class Kind(Protocol):
    """An adapter: what a segment of this kind keeps beside its vectors, and how it is searched.

    suffix  of the file beside `seg-N.npy`; None where the vectors are all
    """

    suffix: str | None

    def needs(self, dim: int, params: Params) -> int:
        """Rows that training needs; 0 where nothing is trained. `UsageError` for what does not fit d."""

    def takes(self, rows: int, params: Params) -> int:
        """Rows that training makes use of, when the index has `rows`."""

    def train(
        self, vectors: NDArray[np.float32], queries: NDArray[np.float32] | None, rows: int, params: Params,
        file: Path,
    ) -> None:  # fmt: skip
        """Fit the quantisers to (m, d) rows of an index that has `rows`, and write them to `file`.

        queries  (p, d) that stand for those to come, where the index keeps some
        """

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path, trained: Path | None) -> None:
        """Build the structure over (n, d) vectors into `file`, with the quantisers of the index."""

    def size(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of the structure's file over `rows` vectors of `dim` numbers; 0 where there is none."""

    def holds(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of memory that training for and building a structure of `rows` vectors take at most."""

    def candidates(
        self, file: Path, queries: NDArray[np.float32], depth: int, params: Params, share: float
    ) -> NDArray[np.int64]:
        """Row numbers (q, depth) that are probably the nearest; -1 where there is none.

        `share` of all rows will be kept by the caller: what reads a part of the rows reads more then.
        """


DTYPE = Param("dtype", "float32", "how vectors are stored", choices=("float32", "float16", "int8"))
LEAST = Param("least", 20_000, "smaller segments are searched exactly, without it", 2, 1_000_000_000)
M = Param("m", 32, "links of a vector", 4, 128)
EFC = Param("efc", 40, "how far building looks", 8, 4096)
EF = Param("ef", 64, "how far a search looks", 8, 65536, walk=(32, 64, 128, 256, 512, 1024))
LISTS = Param("lists", 0, "lists of rows; 0: about 4 times the root of the rows", 0, 1 << 20)
PIECES = Param("m", 0, "pieces of a vector; 0: half of its dimensions", 0, 4096)
BITS = Param("bits", "4", "of a piece; 4 is scanned fast", choices=("4", "8"))
SCORE = Param("score", "maxsim", "of items: by all of their vectors, or by those that are near (xtr)",
              choices=("maxsim", "xtr"), late=True)  # fmt: skip
UNDER = ("pq", "flat", "sq8", "hnsw", "hnswsq8", "ivfflat", "ivfpq")
FITTED, NOT_FITTED = "fitted", "no"
BY_QUERIES = Param(FITTED, NOT_FITTED, "what `mmr fit quantizer` wrote, to code by", file=True)
OPQ = Param("opq", "no", "learn a rotation first", choices=("no", "yes"))


def _probe(count: int) -> Param:
    walk = tuple(1 << i for i in range(12))
    return Param("probe", count, "lists that a search reads", 1, 1 << 20, walk=walk)


def _refine(count: int) -> Param:
    walk = (1, 2, 4, 10, 20, 40, 100, 200)
    return Param("refine", count, "candidates a hit that are compared exactly", 1, 1000, walk=walk)


AUTO = Row(
    "auto", "one of these, chosen by the number of vectors, their length and --memory", "",
    (DTYPE._replace(default="", note="how vectors are stored; as they are, or float32 in a new index"),),
    False, "",
)  # fmt: skip


KINDS = (
    Row("flat", "every vector is compared; exact", "mmr.index.flat:Flat", (DTYPE,), True, ""),
    Row(
        "hnsw",
        "a graph is walked; about 4d + 8m more bytes a vector",
        "mmr.index.hnsw:Hnsw",
        (DTYPE, M, EFC, EF, _refine(1), LEAST),
        False,
        "Malkov and Yashunin, 2016",
    ),
    Row(
        "hnswsq8",
        "a graph over one byte a dimension; about d + 8m more bytes a vector",
        "mmr.index.hnsw:HnswSq8",
        (DTYPE, M, EFC, EF, _refine(2), LEAST),
        False,
        "Malkov and Yashunin, 2016",
    ),
    Row(
        "sq8",
        "every vector is compared by one byte a dimension; d more bytes a vector",
        "mmr.index.codes:Sq8",
        (DTYPE, _refine(2), LEAST),
        False,
        "FAISS",
    ),
    Row(
        "pq",
        "every vector is compared by the numbers of centroids; m times bits/8 more bytes a vector",
        "mmr.index.codes:Pq",
        (DTYPE, PIECES, BITS, OPQ, BY_QUERIES, _refine(10), LEAST),
        False,
        "Jégou, Douze and Schmid, 2011; Ge et al., 2013 (opq)",
    ),
    Row(
        "rabitq",
        "every vector is compared by signs after a rotation; about d times bits/8 + 8 more bytes a vector",
        "mmr.index.codes:RaBitQ",
        (DTYPE, Param("bits", 1, "of a dimension", 1, 9), _refine(10), LEAST),
        False,
        "Gao and Long, 2024",
    ),
    Row(
        "binary",
        "every vector is compared by bits, cut at the mean of items or queries; bits/8 more bytes a vector",
        "mmr.index.binary:Binary",
        (
            DTYPE, Param("bits", 0, "of a vector; 0: one a dimension", 0, 65536),
            Param("code", "signs", "of what: dimensions, random planes, or a learnt rotation",
                  choices=("signs", "planes", "itq")),
            _refine(20), LEAST,
        ),
        False,
        "Charikar, 2002 (planes); Gong and Lazebnik, 2011 (itq)",
    ),
    Row(
        "bebr",
        "every vector is compared by residual bits of both sides; d times bits/8 + 8 more bytes a vector",
        "mmr.index.residual:Bebr",
        (DTYPE, Param("bits", "2", "of a dimension", choices=("1", "2", "4")), _refine(5), LEAST),
        False,
        "Gan et al., 2023",
    ),
    Row(
        "svd",
        "every vector is compared by fewer numbers of a byte; as many more bytes a vector",
        "mmr.index.truncated:Svd",
        (
            DTYPE, Param("dims", 0, "numbers that are kept; 0: a quarter of the dimensions", 0, 1024),
            _refine(10), LEAST,
        ),
        False,
        "Eckart and Young, 1936, of both modalities",
    ),
    Row(
        "ivfflat",
        "the nearest lists of vectors are read; about 4d + 8 more bytes a vector",
        "mmr.index.lists:IvfFlat",
        (DTYPE, LISTS, _probe(16), _refine(1), LEAST),
        False,
        "Jégou, Douze and Schmid, 2011",
    ),
    Row(
        "ivfpq",
        "the nearest lists of codes are read; about m times bits/8 + 12 more bytes a vector",
        "mmr.index.lists:IvfPq",
        (
            DTYPE, LISTS, _probe(32), PIECES, BITS, OPQ, BY_QUERIES,
            _refine(10), LEAST,
        ),
        False,
        "Jégou, Douze and Schmid, 2011; André, Kermarrec and Le Scouarnec, 2015 (4 bits)",
    ),
    Row(
        "maxsim",
        "each of the query's vectors finds its best one of an item; items are of several vectors",
        "mmr.index.maxsim:MaxSim",
        (
            DTYPE._replace(default="float16"),
            _refine(50),
            Param("least", 20_000, "among fewer items all are compared", 2, 1_000_000_000, late=True),
            SCORE,
            Param("near", 1000, "xtr: vectors that are near each of the query's", 1, 100_000, late=True),
        ),
        False,
        "Khattab and Zaharia, 2020, ColBERT",
        "mmr.index.bags:Bags",
    ),
    Row(
        "tokens",
        "items are of several vectors, and those near the query's propose what is compared",
        "mmr.index.tokens:Tokens",
        (
            DTYPE._replace(default="float16"),
            Param("under", "pq", "the kind that holds the vectors of all items",
                  choices=tuple(name for name in UNDER if name != "flat")),
            _refine(50), LEAST, SCORE,
            Param("near", 300, "vectors that are near each of the query's", 1, 100_000, late=True),
        ),
        False,
        "Santhanam et al., 2022, PLAID; Lee et al., 2023, XTR",
        "mmr.index.bags:Bags",
    ),
    Row(
        "muvera",
        "items are of several vectors, and one encoding of all of them proposes what is compared",
        "mmr.index.muvera:Encodings",
        (
            DTYPE._replace(default="float16", note="how vectors and encodings are stored"),
            Param("reps", 20, "repetitions, each with planes of its own", 1, 1000),
            Param("ksim", 4, "planes of a repetition, which part the vectors into 2^ksim blocks", 0, 10),
            Param("dproj", 16, "numbers of a block; all where vectors have no more", 1, 4096),
            Param("final", 0, "numbers that a sketch leaves of the encoding; 0: all", 0, 1 << 20),
            Param("seed", 0, "of the random planes", 0, (1 << 31) - 1),
            Param("under", "pq", "the kind that holds the encodings", choices=UNDER),
            _refine(50), LEAST,
        ),
        False,
        "Dhulipala et al., 2024",
        "mmr.index.bags:Bags",
    ),
    Row(
        "sparse",
        "weighted terms; lists of a byte a term propose, what is stored is compared; exact",
        "mmr.index.inverted:Lists",
        (),
        True,
        "Zobel and Moffat, 2006",
        "mmr.index.sparse:Terms",
    ),
    Row(
        "sparse:bm25",
        "the words of texts, weighed by BM25; exact, and no model is needed",
        "mmr.index.inverted:Lists",
        (
            Param("k1", 1.2, "how long more occurrences of a word count more", 0, 100, late=True, real=True),
            Param("b", 0.75, "how much longer texts lose", 0, 1, late=True, real=True),
        ),
        True,
        "Robertson and Zaragoza, 2009",
        "mmr.index.sparse:Words",
    ),
)  # fmt: skip


def parse(spec: str) -> tuple[Row, Params]:
    """Read `name:key=value,...` into a row and all its parameters, defaults filled in.

    Raises `UsageError` for an unknown kind or parameter, or a value out of range.
    >>> parse("flat:dtype=float16")[1]
    {'dtype': 'float16'}
    """
    rows = sorted((*KINDS, AUTO), key=lambda row: -len(row.name))
    row = next((row for row in rows if f"{spec}:".startswith(f"{row.name}:")), None)
    if row is None:
        name = spec.partition(":")[0]
        raise UsageError(f"no kind of index is called {shown(name)!r}.", f"There are: auto, {known()}.")
    name, rest = row.name, spec[len(row.name) + 1 :]
    params: Params = {param.name: param.default for param in row.params}
    known_params = {param.name: param for param in row.params}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if key not in known_params:
            raise UsageError(
                f"{shown(pair)!r} is no parameter of {name}.",
                f"It has: {', '.join(known_params) or 'none'}.",
            )
        if not equals:
            raise UsageError(f"{name}:{shown(pair)} gives no value.", f"Write {name}:{key}=VALUE.")
        params[key] = known_params[key].read(value)
    return row, params


def knobs(kind: str) -> dict[str, tuple[int, ...]]:
    """What a search alone uses of a kind's parameters: name and the values that tuning tries, rising."""
    return {param.name: param.walk for param in parse(kind)[0].params if param.walk}


def told(kind: str, pairs: Sequence[str]) -> Params:
    """Read `name=value` pairs of what a search alone uses of a kind.

    Raises `UsageError` for what is no such parameter, and a value out of range.
    >>> told("hnsw", ["ef=128"])
    {'ef': 128}
    """
    own = {param.name: param for param in parse(kind)[0].params if param.walk or param.late}
    found: Params = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if name not in own:
            has = f"It has: {', '.join(own)}." if own else ""
            raise UsageError(f"{shown(name)!r} is nothing that a search of {kind} is told.", has)
        if not equals:
            raise UsageError(f"{shown(pair)} gives no value.", f"Write {name}=VALUE.")
        found[name] = own[name].read(value)
    return found


def spelled(kind: str, params: Params) -> str:
    """A kind as the user writes it, with the parameters that are not the default alone.

    >>> spelled("pq", {**parse("pq")[1], "refine": 40})
    'pq:refine=40'
    """
    default = parse(kind)[1]
    pairs = [f"{name}={value}" for name, value in params.items() if default.get(name) != value]
    return f"{kind}:{','.join(pairs)}" if pairs else kind


def complete(kind: str, params: Params) -> Params:
    """The parameters of a kind with the defaults of those that an older index does not name."""
    return {**parse(kind)[1], **params}


def known() -> str:
    """The names of all kinds, for messages and help."""
    return ", ".join(row.name for row in KINDS)


@cache
def adapter(name: str) -> Kind:
    """Import the adapter of a kind that `parse` accepted or the catalogue names; one, which keeps maps."""
    row, _ = parse(name)
    module, _, attribute = row.loads.partition(":")
    kind: Kind = getattr(importlib.import_module(module), attribute)()
    return kind
