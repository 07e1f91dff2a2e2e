"""What a database must be able to do to hold an index: few functions, batches in and out.

Policy is none of its business: models that never meet, unit length, the order of hits, what is excluded,
counts, refusals, batches and retries live once, in `mmr.index.remote` and `mmr.index.remote_write`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.address import Address
    from mmr.index.table import Params

    Floats = NDArray[np.float32]

Where = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class About:
    """What a collection is: its model ("SPEC#hash" or None), d, kind and the kind's parameters."""

    model: str | None
    dim: int
    kind: str
    params: Params

    @property
    def query_map(self) -> None:
        """An engine's index holds no map between two models."""
        return None

    @property
    def dtype(self) -> str:
        """How vectors are stored, which is float32 in every engine."""
        return "float32"


class Stored(NamedTuple):
    """One item as an engine keeps it.

    image   the picture's path as the record gave it, or None
    path    the same, absolute; None where it is relative to nothing known
    fields  the whole record without id, vector and model, in its order, as one line of JSON
    """

    id: str
    image: str | None
    path: str | None
    digest: str | None
    parent: str | None
    fields: str


class Found(NamedTuple):
    """An item, and its vector (d,) where that was asked for."""

    item: Stored
    vector: Floats | None


class Unsettled(Exception):  # noqa: N818 - the call may succeed in a moment
    """The connection was lost, or the server was busy: the same call again, in a moment, may succeed.

    The adapter connects anew by itself at the next call. `reason` is what the client said.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Engine(Protocol):
    """One collection of a server. Every call may be repeated after `Unsettled`.

    An adapter is made from an `Address` alone and connects at the first call. What the server refuses for
    good becomes an error of `mmr.errors`: `UnavailableError` (69) where it is away, the password is wrong or
    an extension is missing. The client's words go through `Address.clean`, which hides passwords.

    most  candidates that one `search` of a vector can give
    """

    address: Address
    most: int

    def about(self) -> About | None:
        """What the collection is; None where there is none of that name that mmr made."""

    def create(self, about: About) -> None:
        """Make an empty collection and note what it is; nothing where another writer just did.

        Raises `BadDataError` where the name belongs to something that mmr did not make.
        """

    def note(self, about: About) -> None:
        """Note what the collection is now: another model where it had none, another kind."""

    def count(self) -> int:
        """How many items there are."""

    def refuses(self, item: Stored) -> str | None:
        """Why the engine cannot hold an item ("its id is longer than 2,600 bytes"), or None."""

    def put(self, items: Sequence[Stored], vectors: Floats, *, new: bool) -> None:
        """Put items with their vectors (n, d), each id once, in the place of those of the same id.

        All or nothing where the engine has transactions. new: no such id was there a moment ago.
        """

    def revise(self, items: Sequence[Stored]) -> None:
        """Put items in the place of those of the same id, whose vectors stay."""

    def delete(self, ids: Sequence[str]) -> int:
        """Delete items by id, all or nothing where the engine has transactions; returns how many."""

    def fetch(self, ids: Sequence[str], *, vectors: bool) -> list[Found]:
        """The items with these ids, in any order; those that are not there are left out."""

    def named(self, names: Sequence[str]) -> list[Found]:
        """The items whose `image`, `path` or `digest` is one of these, in any order, without vectors."""

    def page(self, after: str | None, count: int, *, vectors: bool) -> list[Found]:
        """The next `count` items behind the id `after`, in the order of the ids' UTF-8 bytes."""

    def children(self) -> dict[str, int]:
        """How many items name each parent."""

    def search(self, queries: Floats, count: int, where: Where, *, exact: bool) -> list[list[Found]]:
        """The `count` (at most `most`) nearest items of each query (n, d) by inner product, with vectors.

        where  (field, value) that an item must have; what the engine cannot check it may leave out: the
               caller checks each item again, and asks for more where too few are left
        exact  compare every vector, whatever the kind

        Fewer than `count` come only where no more items fit.
        """

    def finish(self, changed: int) -> None:
        """End a run that changed so many items: flush, and build the kind's structure where it is missing."""

    def build(self, about: About) -> None:
        """Build the kind's structure anew, of `about`'s kind and parameters, and note it."""

    def facts(self) -> dict[str, Any]:
        """More that `--info` says: the server's version, bytes, whether the structure is built."""

    def close(self) -> None:
        """Let go of the connection."""
