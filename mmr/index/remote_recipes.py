"""Queries with a recipe in an engine: each vector proposes its nearest items, the union is scored by all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmr.index import recipes
from mmr.index.remote_search import Asked, Scored, candidates, in_order, left_of, scores

if TYPE_CHECKING:
    from mmr.index.engine import Found
    from mmr.index.recipes import Asked as Recipe
    from mmr.index.remote import Remote
    from mmr.index.search import Wanted
    from mmr.stream.records import Record


def unfit(query: Record) -> tuple[str, str] | None:
    """Why an engine cannot answer a recipe that is otherwise sound, and what to do; else None."""
    recipe = recipes.asked(query).recipe
    if recipe.whole or not recipe.seeds:
        what = "its recipe looks at all items, and an engine gives the nearest alone"
        return what, "ask a folder: mmr index ADDRESS --dump | mmr index FOLDER"
    return None


def hits(index: Remote, query: Record, one: Asked, wanted: Wanted) -> list[Scored]:
    """The best of what the vectors propose, of `among` where that is given; all scored exactly."""
    asked = recipes.asked(query)
    if one.among is not None:
        items = list(index.fetch(sorted(one.among - one.excluded)).values())
        return _best(asked, left_of(items, one, wanted), wanted)
    depth = max(recipes.PROPOSED[0] * wanted.k, recipes.PROPOSED[1]) + len(one.excluded)
    seeds = [asked.recipe.names.index(name) for name in asked.recipe.seeds]
    most = index.ask(lambda engine: engine.most)
    while True:
        depth = min(depth, most)
        proposed = candidates(index, asked.vectors[seeds], depth, wanted)
        union = {found.item.id: found for some in proposed for found in some}
        left = left_of(list(union.values()), one, wanted)
        if len(left) >= wanted.k or depth == most or max(map(len, proposed)) < depth:
            return _best(asked, left, wanted)
        depth *= 4


def _best(asked: Recipe, items: Sequence[Found], wanted: Wanted) -> list[Scored]:
    if not items:
        return []
    exact = dict(zip(asked.recipe.names, (scores(one, items) for one in asked.vectors), strict=True))
    score = asked.recipe.value(exact, exact).astype(np.float32)
    return in_order(list(map(Scored, score, items)))[: wanted.k]
