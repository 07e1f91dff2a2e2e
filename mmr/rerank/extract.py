"""The sentences of the hits that are most like the query, under a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.unit import unit
from mmr.errors import BadItem, UsageError
from mmr.rerank.method import Answer, Given, Hit, Method, Tools
from mmr.rerank.sentences import sentences, size, within
from mmr.stream.records import check_model

INT8 = "-int8"  # a text tower of smaller numbers answers for the model that it was made of


class Sentence(NamedTuple):
    """One sentence: its words, the hit that it is of, its number there, and the hit's rank, both from 1."""

    text: str
    hit: Hit
    number: int
    rank: int


class Extract(Method):
    """Makes sentences the hits: the best that fit, best first, each naming its hit as parent, whose score and
    place were its own before."""

    def __init__(self, params: Mapping[str, Any], tools: Tools) -> None:
        super().__init__(params, tools)
        if tools.encode is None:
            raise UsageError("extract needs a model for sentences", "Name the index with --index.")
        self._encode = tools.encode

    def rerank(self, given: Given) -> Answer:
        """Sentences are embedded query by query, so that none depends on those of others."""
        cut = _cut(self._with_words(given.hits))
        query = self._query(given)
        scores = np.empty(0)
        if cut:
            vectors = unit(self._encode([one.text for one in cut])).astype(np.float64)
            if vectors.shape[1] != len(query):
                what = f"a vector of {len(query)} numbers, and its sentences have {vectors.shape[1]}"
                raise self._bad(given, what, "name the index that the hits are from")
            scores = (vectors @ query).astype(np.float32).astype(np.float64)
        sizes = [size(one.text) for one in cut]
        params = self.params
        chosen = within(scores, sizes, params["words"], params["sentences"], params["min_score"])
        hits = [_hit(cut[place]) for place in chosen]
        was: dict[str, list[Any]] = {"prev_score": [cut[place].hit["score"] for place in chosen],
                                     "prev_rank": [cut[place].rank for place in chosen]}  # fmt: skip
        said = {"sentences": len(chosen), "of": len(cut), "words": sum(sizes[place] for place in chosen)}
        return Answer(
            scores[chosen], hits=hits, tail=False, fields=was, record={"extract": said},
            why=[f"place {rank} of {len(cut)} sentences, {sizes[place]} words"
                 for rank, place in enumerate(chosen, 1)],
        )  # fmt: skip

    def _with_words(self, hits: Sequence[Hit]) -> Sequence[Hit]:
        """Hits with their words: their own, else those that are stored."""
        bare = [hit["id"] for hit in hits if "text" not in hit]
        if not bare or self.tools.fields_of is None:
            return hits
        stored = dict(zip(bare, self.tools.fields_of(bare, ("text",)), strict=True))
        return [{**(stored.get(hit["id"]) or {}), **hit} for hit in hits]

    def _query(self, given: Given) -> NDArray[np.float64]:
        """The query's vector, unit length: its own, else that of its words."""
        record = {**self.tools.queries.get(given.record["id"], {}), **given.record}
        vector = record.get("vector")
        if vector is None:
            if not isinstance(record.get("text"), str) or "image" in record:
                raise self._bad(given, "has no vector", "leave it in the records, or name --from")
            vector = self._encode([record["text"]])[0]
        else:
            model = record.get("model")
            check_model(_whole(self.tools.model), _whole(model), expected_by=self.tools.gallery,
                        found_by=given.where, fix="Name the index that the hits are from.")  # fmt: skip
        wide = np.asarray(vector, np.float64)
        length = float(np.linalg.norm(wide))
        if not length > 0:
            raise self._bad(given, "a vector of zeros has no direction", "embed it again")
        found: NDArray[np.float64] = wide / length
        return found

    def _bad(self, given: Given, what: str, fix: str) -> BadItem:
        return BadItem(given.where, what, fix, stage="rerank", record=given.record)


def _whole(model: str | None) -> str | None:
    return None if model is None else model.removesuffix(INT8)


def _cut(hits: Sequence[Hit]) -> list[Sentence]:
    """The sentences of all hits, in their order; one that came before is left out."""
    found: dict[str, Sentence] = {}
    for rank, hit in enumerate(hits, 1):
        if isinstance(hit.get("text"), str):
            for number, text in enumerate(sentences(hit["text"]), 1):
                found.setdefault(text, Sentence(text, hit, number, rank))
    return list(found.values())


def _hit(one: Sentence) -> dict[str, Any]:
    return {"id": f"{one.hit['id']}#{one.number}", "parent": one.hit["id"], "text": one.text}
