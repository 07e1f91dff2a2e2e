"""What a method of `rerank` gets, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mmr.stream.records import Record

if TYPE_CHECKING:
    from mmr.arrays.ragged import Ragged
    from mmr.programs.ask import Program
    from mmr.programs.child import Check
    from mmr.programs.endpoint import Chat

Floats = NDArray[np.floating[Any]]
Hit = Mapping[str, Any]
Note = Callable[[str], None]


class Given(NamedTuple):
    """One query and its first hits, best first; nothing of it may be changed.

    record   the query's record
    hits     the first m hits
    scores   (m,) float64
    query    (d,) float32, the query's vector; None unless the row needs it
    vectors  (m, d) float32, the hits' vectors; None unless the row needs them
    where    what messages call it: "stdin line 3"
    explain  `Answer.why` is wanted
    rows     (n, d) float32, the query's several vectors; None where it has none, or the row needs none
    bags     the several vectors of each hit, out of an index; None where hits carry their own
    """

    record: Record
    hits: Sequence[Hit]
    scores: Floats
    query: NDArray[np.float32] | None
    vectors: NDArray[np.float32] | None
    where: str
    explain: bool = False
    rows: NDArray[np.float32] | None = None
    bags: Ragged | None = None


class Answer(NamedTuple):
    """What a method made of the hits that it was given.

    scores  one a hit, of any float type; NaN of a hit that got none, which keeps its place and is reported
    hits    other hits than the given ones, with their `id`: groups, sentences, another search. None: the same
    kept    (m,) bool, which of them stay; None: all
    tail    whether the hits behind those given follow
    fields  name -> one value a hit; None leaves the field away
    record  fields of the query's own record
    why     for `--explain`: one short line a hit
    failed  place of a hit -> what is wrong; it keeps its place too
    step    words that `via` gets after the method's name and parameters
    """

    scores: Sequence[float] | Floats
    hits: Sequence[Hit] | None = None
    kept: NDArray[np.bool_] | None = None
    tail: bool = True
    fields: Mapping[str, Sequence[Any]] = {}
    record: Mapping[str, Any] = {}
    why: Sequence[str] | None = None
    failed: Mapping[int, str] = {}
    step: str = ""


class Stored(Protocol):
    """An index that a method was pointed to by a name of its own.

    partly  ids -> (n,) bool, which of them it has, and the vectors (m, d) float32 of those
    """

    name: str
    model: str | None

    def partly(self, names: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]: ...


@dataclass(frozen=True)
class Tools:
    """What the command line hands to methods, which know no index and no program.

    vectors_of  lists of ids -> of each list its vectors (n, d) float32, or the id that is not there
    bags_of     the same of several vectors each: of each list the vectors of its items, or the id
    search      (queries (q, d), the records, k) -> of each query its hits from the whole index
    fields_of   (ids, field names) -> of each item its stored fields, None where it is not there
    children_of ids of parents -> how many items each has
    opened      opens another index by its path, for as long as the run lasts
    queries     what is known of queries by id, for records that came without their vector
    scorer      (how a server is asked or None, what is wrong with an answer) -> the program or server to ask
    encode      texts -> their vectors (n, d) float32, by `model`
    note        says a line on stderr
    model       of the vectors that `vectors_of` gives, None when unknown; `gallery` is what they are of
    """

    vectors_of: Callable[[Sequence[Sequence[str]]], Sequence[NDArray[np.float32] | str]] | None = None
    bags_of: Callable[[Sequence[Sequence[str]]], Sequence[Ragged | str]] | None = None
    search: Callable[[NDArray[np.float32], Sequence[Record], int], Sequence[Sequence[Hit]]] | None = None
    fields_of: Callable[[Sequence[str], tuple[str, ...]], Sequence[Mapping[str, Any] | None]] | None = None
    children_of: Callable[[Sequence[str]], Sequence[int]] | None = None
    opened: Callable[[str], Stored] | None = None
    queries: Mapping[str, Record] = field(default_factory=dict)
    scorer: Callable[[Chat | None, Check], Program] | None = None
    encode: Callable[[Sequence[str]], NDArray[np.float32]] | None = None
    note: Note = print
    model: str | None = None
    gallery: str = "the index"


class Method:
    """One method at work. A subclass overrides `rerank`, or `rerank_all` to see a batch at once.

    params  every parameter of its row

    It may hold state of a run (a program, a cache), but what a query gets never depends on other queries.
    """

    BATCH = 64

    def __init__(self, params: Mapping[str, Any], tools: Tools) -> None:
        self.params = params
        self.tools = tools

    def rerank(self, given: Given) -> Answer:
        """Score the hits of one query. Raises `BadItem` for a query that cannot be reranked."""
        raise NotImplementedError

    def rerank_all(self, given: Sequence[Given]) -> Sequence[Answer | Exception]:
        """Score a batch: an `Answer` or the `BadItem` of each, in order."""
        from mmr.errors import BadItem

        found: list[Answer | Exception] = []
        for one in given:
            try:
                found.append(self.rerank(one))
            except BadItem as item:
                found.append(item)
        return found

    def close(self) -> None:
        """Let go of what a run holds; called once at its end, also after an error."""
