"""Fold hits that are parts (passages, pages, frames, captions) into their parents, and unfold them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadItem, UsageError, shown
from mmr.rerank.method import Answer, Floats, Given, Hit, Method, Tools
from mmr.rerank.order import below

WAYS = ("max", "mean", "sum", "top-mean", "softmax", "log-mean-exp")
OF_SOFT = ("softmax", "log-mean-exp")
KEPT = ("image", "text")


def folded(scores: Floats, way: str, n: int = 3, temperature: float = 0.1) -> float:
    """The score of a parent from the scores (m,), m > 0, of its children.

    way          "max", "mean", "sum", "top-mean" (of the n best), "softmax" (mean weighted by
                 softmax(s / temperature)), "log-mean-exp" (temperature * log(mean(exp(s / temperature))))

    >>> [round(folded(np.float64([.9, .5, .1]), way), 4) for way in ("mean", "softmax", "log-mean-exp")]
    [0.5, 0.8925, 0.792]
    """
    x = np.sort(np.asarray(scores, np.float64))[::-1]
    if way == "max":
        return float(x[0])
    if way == "sum":
        return float(x.sum())
    if way == "mean":
        return float(x.mean())
    if way == "top-mean":
        return float(x[:n].mean())
    parts = np.exp((x - x[0]) / temperature)
    if way == "softmax":
        return float(x @ parts / parts.sum())
    return float(x[0] + temperature * np.log(parts.mean()))


def completed(scores: Floats, size: int, lowest: float) -> NDArray[np.float64]:
    """The scores of all `size` children of a parent: those that were retrieved, the others as `lowest`.

    >>> completed(np.float64([.9]), 3, .1).tolist()
    [0.9, 0.1, 0.1]
    """
    known = np.asarray(scores, np.float64)
    return np.concatenate([known, np.full(max(size - len(known), 0), lowest)])


class Group(Method):
    """Makes each parent, the value of a field, a hit: it shows its best child, whose place and score were its
    own before, keeps the others for `unfold`, and says how many there were."""

    def __init__(self, params: Mapping[str, Any], tools: Tools) -> None:
        super().__init__(params, tools)
        self.way, self.by = params["pool"], params["by"]
        given = {name for name in ("top", "temperature") if params[name] is not None}
        if "top" in given and self.way != "top-mean":
            fix = "Leave it out, or use --pool top-mean."
            raise UsageError(f"--top means nothing to --pool {self.way}", fix)
        if "temperature" in given and self.way not in OF_SOFT:
            fix = f"Leave it out, or use --pool {' or '.join(OF_SOFT)}."
            raise UsageError(f"--temperature means nothing to --pool {self.way}", fix)
        self.whole = params["over"] == "all"
        if self.whole and self.way in ("max", "sum", "top-mean"):
            raise UsageError(
                f"--over all means nothing to --pool {self.way}",
                "It is for means of all children; leave it out.",
            )
        if self.whole and self.by != "parent":
            fix = "An index counts the children of a parent alone; leave one of them out."
            raise UsageError(f"--over all means nothing to --by {shown(self.by)}", fix)
        if self.whole and tools.children_of is None:
            raise UsageError("--over all needs to know how many children a parent has", "Name --index.")
        self._grouped = False
        self._seen = False

    def rerank(self, given: Given) -> Answer:
        """A hit without a parent is its own."""
        groups: dict[str, list[int]] = {}
        for place, parent in enumerate(self._parents(given.hits)):
            groups.setdefault(parent, []).append(place)
        sizes = self._sizes(groups)
        lowest = float(given.scores.min()) if len(given.scores) else 0.0
        scores = [self._score(given.scores[places], sizes.get(name), lowest)
                  for name, places in groups.items()]  # fmt: skip
        keep = self.params["children"]
        hits = [_parent(name, [given.hits[place] for place in places], keep)
                for name, places in groups.items()]  # fmt: skip
        self._seen |= bool(hits)
        over = "all children, those that were not retrieved as the lowest hit" if self.whole else "retrieved"
        said = {"by": self.by, "pool": self.way, "over": over, "hits": len(given.hits),
                "parents": len(groups)}  # fmt: skip
        why = [f"{self.way} of {_children(len(places))}, the best was {places[0] + 1} of {len(given.hits)}"
               for places in groups.values()]  # fmt: skip
        best = [places[0] for places in groups.values()]
        was = {"prev_score": given.scores[best].tolist(), "prev_rank": [place + 1 for place in best]}
        return Answer(scores, hits=hits, tail=False, fields=was, record={"group": said}, why=why)

    def _parents(self, hits: Sequence[Hit]) -> list[str]:
        """The parent of each hit: in its own field, else in the index's, else itself."""
        stored: Sequence[Mapping[str, Any] | None] = [None] * len(hits)
        if self.tools.fields_of is not None:
            stored = self.tools.fields_of([hit["id"] for hit in hits], (self.by,))
        found = []
        for hit, known in zip(hits, stored, strict=True):
            parent = hit.get(self.by) or (known or {}).get(self.by)
            self._grouped |= isinstance(parent, str)
            found.append(parent if isinstance(parent, str) else hit["id"])
        return found

    def _sizes(self, groups: Mapping[str, Sequence[int]]) -> Mapping[str, int]:
        if not self.whole:
            return {}
        assert self.tools.children_of is not None
        return dict(zip(groups, self.tools.children_of(list(groups)), strict=True))

    def _score(self, scores: Floats, size: int | None, lowest: float) -> float:
        if size is not None:
            scores = completed(scores, size, lowest)
        params = self.params
        return folded(scores, self.way, params["top"] or 3, params["temperature"] or 0.1)

    def close(self) -> None:
        """Say so where no hit had a parent."""
        if self._seen and not self._grouped:
            what = "parent" if self.by == "parent" else f"{shown(self.by)} that is words"
            self.tools.note(f"no hit has a {what}. Ask for it with `mmr query --fields "
                            f"image,text,{shown(self.by)}`, or name the index with --index.")  # fmt: skip


def _children(many: int) -> str:
    return "1 child" if many == 1 else f"{many:,} children"


def _parent(name: str, children: Sequence[Hit], keep: int | None) -> dict[str, Any]:
    """A parent's hit. `children` come best first."""
    best = children[0]
    found = {"id": name, **{field: best[field] for field in KEPT if field in best}}
    kept = [dict(child) for child in children[:keep]]
    return {**found, "best_child": best["id"], "retrieved": len(children), "children": kept}


class Unfold(Method):
    """Makes the children of grouped hits hits again; their place and score before are their parent's."""

    def rerank(self, given: Given) -> Answer:
        """A hit without `children` stays as it is; a child of two hits is taken from the first.

        Raises `BadItem` for children that are no hits.
        """
        hits: list[Hit] = []
        scores: list[float] = []
        parents: list[tuple[str, float, int]] = []
        seen: set[str] = set()
        for rank, (hit, score) in enumerate(zip(given.hits, given.scores.tolist(), strict=True), 1):
            children = _children_of(hit, score, given, seen)
            own = np.array([child["score"] for child in children], np.float64)
            if self.params["order"] == "parent" and scores:
                own = below(own, scores[-1])
            hits += children
            parents += [(hit["id"], score, rank)] * len(children)
            scores += own.tolist()
        was: dict[str, list[float]] = {
            "prev_score": [score for _, score, _ in parents], "prev_rank": [rank for *_, rank in parents],
        }  # fmt: skip
        why = [f"child of {name}, which was {rank} of {len(given.hits)}" for name, _, rank in parents]
        return Answer(scores, hits=hits, tail=False, fields=was, why=why)


def _children_of(hit: Hit, score: float, given: Given, seen: set[str]) -> list[Hit]:
    """The children of a hit that were not seen before; of one without any itself."""
    children = hit.get("children", [])
    good = isinstance(children, list) and all(
        isinstance(one, dict) and isinstance(one.get("id"), str) and _is_number(one.get("score"))
        for one in children
    )
    if not good:
        what = f'"children" of the hit {shown(hit["id"])} are no hits with ids and scores'
        raise BadItem(
            given.where, what, "`mmr rerank group` writes them", stage="rerank", record=given.record
        )
    found = [one for one in children or [{**hit, "score": score}] if one["id"] not in seen]
    seen.update(one["id"] for one in found)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
