"""Score a task by its definitions: plain loops over whole rankings, float64."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmr.evaluate.protocols.task import Task
from mmr.evaluate.scored import Counts, Scored

FILES = Path(__file__).parent / "files"


def unpacked(path: str | Path) -> Any:
    """The JSON in a gzip file."""
    with gzip.open(path) as file:
        return json.loads(file.read())


def scored(task: Task, rankings: Mapping[str, Sequence[str]]) -> Scored:
    """Every measure of the task over its queries; `over` decides whether a missing query is 0 or left out."""
    queries = sorted(query for query in task.qrels if task.over == "qrels" or query in rankings)
    values = {
        measure: np.array([of_query(task, measure, query, rankings.get(query, ())) for query in queries])
        for measure in task.measures
    }
    missing = sum(query not in rankings for query in task.qrels)
    counts = Counts(len(task.qrels), len(rankings), len(queries), missing, 0)
    return Scored("run", queries, values, {}, counts)


def of_query(task: Task, measure: str, query: str, hits: Sequence[str]) -> float:
    """One value, from the ranking as the protocol cuts it."""
    ranking = [task.renamed(hit) for hit in hits]
    ranking = [hit for hit in ranking if hit not in (task.removed or {}).get(query, ())]
    among = (task.among or {}).get(query)
    if among is not None and (task.only or measure.startswith("R_subset")):
        ranking = [hit for hit in ranking if hit in among]
    return value(measure, ranking, task.qrels[query])


def value(measure: str, ranking: Sequence[str], wanted: Mapping[str, int]) -> float:
    """A measure by its formula in the reference."""
    found = re.fullmatch(r"(\w+)(?:\((\w+)=(\w+)\))?(?:@(\d+))?", measure)
    assert found is not None, measure
    name, key, word, cut = found[1], found[2], found[3], int(found[4] or 0)
    level = int(word) if key == "rel" else 1
    good = {item for item, rel in wanted.items() if rel >= level}
    if name in ("mP", "AP") and (name == "mP" or word == "trapezoid"):
        ranking = [item for item in ranking if wanted.get(item, 0) >= 0]
        places = [place for place, item in enumerate(ranking) if item in good]
        if name == "mP":
            depth = min(max(places) + 1, cut) if places else 1
            return sum(place < depth for place in places) / depth
        terms = [(1.0 if p == 0 else j / p) + (j + 1) / (p + 1) for j, p in enumerate(places)]
        return sum(terms) / (2 * len(good))
    if name == "NumRet":
        return float(len(ranking))
    right = [item in good for item in ranking[: cut or len(ranking)]]
    if name in ("hit", "R_subset"):
        return float(any(right))
    if name == "Rprec":
        return sum(right[: len(good)]) / len(good)
    if name == "R":
        return sum(right) / len(good)
    if name == "RR":
        return 1 / (right.index(True) + 1) if any(right) else 0.0
    if name == "nDCG":
        gains = [max(wanted.get(item, 0), 0) for item in ranking[: cut or len(ranking)]]
        ideal = sorted((max(rel, 0) for rel in wanted.values()), reverse=True)[: cut or len(wanted)]
        return discounted(gains) / discounted(ideal)
    depth = len(good) if name == "AP_R" else cut or len(ranking)
    precisions = [sum(right[: i + 1]) / (i + 1) for i in range(min(depth, len(right))) if right[i]]
    return math.fsum(precisions) / (min(cut, len(good)) if word == "min" else len(good))


def discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def figures(task: Task, rankings: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], float]:
    """The published figures of a run: (part, measure) -> value."""
    return {(one.part, one.measure): one.value for one in task.figures(scored(task, rankings))}
