"""A map between two models that an index holds: what the catalogue says of it, and whose rows are whose.

With it the index answers queries of the new model. While the pictures are embedded anew it holds segments of
both models, each noted in the catalogue, and vectors of one are never compared with those of the other: a
query is mapped to the space of the rows that it is compared with.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mmr.errors import BadDataError, shown
from mmr.stream.records import same_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmr.index import AnyIndex
    from mmr.index.catalogue import Meta
    from mmr.index.reader import Index

KEY = "query_map"
STEM = "map-"  # how its files begin
THERE, BACK, OLD, NEW = "there", "back", "old", "new"


class QueryMap(NamedTuple):
    """What the catalogue says of the map.

    model  of the vectors that it takes, "SPEC#hash": the new one
    dim    their length
    step   the line that it adds to `via`
    facts  for people: form, pairs, mean cosine
    files  its matrices, "there" and "back", and rows of items that both models have seen, "old" and "new"
    pairs  how many of these items there are
    """

    model: str
    dim: int
    step: str
    facts: dict[str, Any]
    files: Mapping[str, str] = MappingProxyType({})
    pairs: int = 0

    def takes(self, model: str | None) -> bool:
        """Whether vectors of a model are those that it maps."""
        return model is not None and same_model(self.model, model)


def read(values: Mapping[str, Any]) -> QueryMap | None:
    """The map as the catalogue's names and values have it; None where there is none.

    Raises `TypeError` or `ValueError` for what is no map.
    """
    text = values.get(KEY)
    if text is None:
        return None
    found = QueryMap(**json.loads(text))
    kinds = {"model": str, "dim": int, "step": str, "facts": dict, "files": dict, "pairs": int}
    wrong = next((name for name, kind in kinds.items() if type(getattr(found, name)) is not kind), None)
    if wrong is not None or found.dim < 1 or found.pairs < 0:
        raise ValueError(f"its map has no sound {wrong or 'numbers'}")
    return found


def written(query_map: QueryMap) -> str:
    """What `read` reads."""
    return json.dumps({**query_map._asdict(), "files": dict(query_map.files)})


def is_new(meta: Meta, model: str | None) -> bool:
    """Whether a segment noted as of `model` holds rows of the new one."""
    return meta.query_map is not None and model == meta.query_map.model


def dim(meta: Meta, model: str | None) -> int:
    """The length of the vectors of a segment noted as of `model`."""
    return meta.query_map.dim if meta.query_map is not None and is_new(meta, model) else meta.dim


def model_of(meta: Meta, model: str | None) -> str | None:
    """The full name of what a segment noted as of `model` holds; one without a name is the index's."""
    return model if is_new(meta, model) else meta.model


def takes(index: AnyIndex, model: str | None) -> bool:
    """Whether the index answers queries of a model by its map."""
    return index.meta.query_map is not None and index.meta.query_map.takes(model)


def info(index: Index) -> dict[str, Any]:
    """What `--info` says: the map, and how many items are of each model where there are two."""
    held = index.meta.query_map
    if held is None:
        return {}
    new, old = rows_of(index)
    rows = {"items_of": {held.model: new, str(index.meta.model): old}} if index.is_mixed() else {}
    return {"query_map": held.facts, **rows}


def rows_of(index: Index) -> tuple[int, int]:
    """How many live items are of the new model, and how many of the index's."""
    found = [0, 0]
    for segment in index.segments():
        found[0 if is_new(index.meta, segment.model) else 1] += int(segment.live.sum())
    return found[0], found[1]


def refuse_mixed(index: AnyIndex, what: str) -> None:
    """Raise `BadDataError` where an index holds rows of two models, which `what` cannot take together."""
    held = index.meta.query_map
    if held is not None and cast("Index", index).is_mixed():
        name = shown(index.path.name)
        raise BadDataError(
            f"{what} needs vectors of one model, and {name} has those of {index.meta.model}\n"
            f"  and of {held.model} while it is embedded anew.",
            f"Go on when the rest is embedded; `mmr index {name} --info` says how far it is.",
        )
