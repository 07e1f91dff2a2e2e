"""Consistency across languages: does the same question find its item equally well in each?"""

from __future__ import annotations

import numpy as np

from mmr.errors import BadDataError, shown
from mmr.evaluate.judged import Judged
from mmr.evaluate.measures.first import first_rank


def mrv(judged: Judged, *, rel: int = 1, of: str, form: str = "var") -> float:
    """Mean rank variance: how much the place of the first relevant item varies over an instance's queries.

    of    the field of the query records whose value names the instance that they ask for in several languages
    form  "var": mean over instances of the population variance, as the name says; "std": of the population
          standard deviation, as the authors' code (CCRK) and so their tables have it

    Nie et al., Improving the Consistency in Cross-Lingual Cross-Modal Retrieval with 1-to-K Contrastive
    Learning, 2024. Lower is better. An instance with one query varies in nothing and is left out. A query
    that retrieves nothing relevant counts as gallery + 1. Raises `BadDataError` where no instance has two
    queries.
    """
    names = judged.fields.get(of) or [None] * len(judged.queries)
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name is not None:
            places.setdefault(str(name), []).append(place)
    instances = [own for own in places.values() if len(own) > 1]
    if not instances:
        raise BadDataError(
            f"no two queries share a value of the field {shown(of)}",
            "MRV(of=FIELD) needs hits with their query's fields, one query a language of each instance.",
        )
    ranks = first_rank(judged, rel=rel)
    spreads = [float(np.var(ranks[own])) for own in instances]
    return float(np.mean(spreads if form == "var" else np.sqrt(spreads)))
