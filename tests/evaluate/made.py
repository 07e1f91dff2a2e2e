"""Rankings of our own making: a plain builder of `Judged`, and every measure naively on Python lists."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import groupby, permutations, product
from typing import Any

import numpy as np

from mmr.evaluate.judged import Judged

Run = Mapping[str, Mapping[str, float]]
Qrels = Mapping[str, Mapping[str, int]]


def key(score: float, precision: str = "f32") -> float:
    return float(np.float32(score)) if precision == "f32" else score


def ranked(scores: Mapping[str, float], precision: str = "f32") -> list[str]:
    """Ids by score descending, then by the bytes of the id descending."""
    return sorted(scores, key=lambda doc: (key(scores[doc], precision), doc.encode()), reverse=True)


def judged(
    run: Run, qrels: Qrels, *, precision: str = "f32", average: bool = False, gallery: int | None = None,
    among: Mapping[str, Sequence[str]] | None = None,
) -> Judged:  # fmt: skip
    """Join a run with judgements the slow way: every query of the judgements, ids ascending."""
    queries = sorted(qrels)
    rank, rel, first, last, owner, pool, pool_owner, scores = [], [], [], [], [], [], [], []
    for number, query in enumerate(queries):
        hits = run.get(query, {})
        order = ranked(hits, precision)
        values = [key(hits[doc], precision) for doc in order]
        scores += [hits[doc] for doc in order]
        for place, (doc, value) in enumerate(zip(order, values, strict=True), 1):
            if doc in qrels[query]:
                owner.append(number)
                rank.append(place)
                rel.append(qrels[query][doc])
                first.append(values.index(value) + 1)
                last.append(len(values) - values[::-1].index(value))
        pool += sorted(qrels[query].values(), reverse=True)
        pool_owner += [number] * len(qrels[query])

    def bounds(owners: Sequence[int]) -> Any:
        return np.searchsorted(np.array(owners, dtype=np.int64), np.arange(len(queries) + 1))

    lengths = [len(run.get(query, {})) for query in queries]
    inner = None
    if among is not None:
        cut = {q: {d: s for d, s in run.get(q, {}).items() if d in among.get(q, ())} for q in queries}
        inner = judged(cut, qrels, precision=precision, average=average)
    return Judged(
        queries=queries, start=bounds(owner), rank=whole(rank), rel=whole(rel), first=whole(first),
        last=whole(last), retrieved=whole(lengths), pool_start=bounds(pool_owner), pool=whole(pool),
        hit_start=whole([0, *np.cumsum(lengths)]), scores=np.array(scores, dtype=np.float64),
        average=average, gallery=gallery, among=inner,
    )  # fmt: skip


def whole(values: Sequence[int]) -> Any:
    return np.array(values, dtype=np.int64)


def one(scores: Mapping[str, float], rels: Mapping[str, int], **options: Any) -> Judged:
    """One query, called q."""
    return judged({"q": scores}, {"q": rels}, **options)


def places(spots: Sequence[int], n: int) -> tuple[dict[str, float], dict[str, int]]:
    """A ranking of n items whose relevant ones stand at these places."""
    return {f"d{i}": float(n - i) for i in range(1, n + 1)}, {f"d{i}": 1 for i in spots}


def orders(scores: Mapping[str, float]) -> list[list[str]]:
    """Every order of a ranking that its scores allow."""
    ids = ranked(scores)
    groups = [list(group) for _, group in groupby(ids, key=lambda doc: key(scores[doc]))]
    return [[doc for part in parts for doc in part] for parts in product(*(permutations(g) for g in groups))]


def naive(
    name: str, ranking: Sequence[str], rels: Mapping[str, int], k: int | None = None, **params: Any
) -> float:
    """One measure of one query by its formula; raises `KeyError` for a name that it lacks."""
    return _NAIVE[name](list(ranking), dict(rels), k, **params)


def _relevant(rels: Mapping[str, int], level: int) -> set[str]:
    return {doc for doc, grade in rels.items() if grade >= level}


def _cut(ranking: list[str], k: int | None) -> list[str]:
    return ranking if k is None else ranking[:k]


def _p(ranking, rels, k, rel=1):
    return len(_relevant(rels, rel) & set(ranking[:k])) / k


def _r(ranking, rels, k, rel=1):
    good = _relevant(rels, rel)
    return len(good & set(_cut(ranking, k))) / len(good) if good else 0.0


def _r_cap(ranking, rels, k, rel=1):
    good = _relevant(rels, rel)
    return len(good & set(ranking[:k])) / min(k, len(good)) if good else 0.0


def _hit(ranking, rels, k, rel=1):
    return float(bool(_relevant(rels, rel) & set(ranking[:k])))


def _all(ranking, rels, k, rel=1):
    good = _relevant(rels, rel)
    return float(bool(good) and good <= set(ranking[:k]))


def _rr(ranking, rels, k, rel=1):
    good = _relevant(rels, rel)
    return next((1 / i for i, doc in enumerate(_cut(ranking, k), 1) if doc in good), 0.0)


def _precisions(ranking, good):
    return [
        sum(d in good for d in ranking[:i]) / i for i in range(1, len(ranking) + 1) if ranking[i - 1] in good
    ]


def _ap(ranking, rels, k, rel=1, norm="rel"):
    good = _relevant(rels, rel)
    if norm == "trapezoid":
        return _trapezoid(ranking, rels, good)
    cut = _cut(ranking, k)
    size = {"rel": len(good), "min": min(len(good), k or len(good)), "ret": len(good & set(cut))}[norm]
    return sum(_precisions(cut, good)) / size if size else 0.0


def _ap_r(ranking, rels, k, rel=1):
    good = _relevant(rels, rel)
    return sum(_precisions(ranking[: len(good)], good)) / len(good) if good else 0.0


def _clean(ranking, rels, good):
    return [i for i, doc in enumerate([d for d in ranking if rels.get(d, 0) >= 0]) if doc in good]


def _trapezoid(ranking, rels, good):
    """The loop of revisited Oxford's compute_ap, on 0-based positions of positives."""
    if not good:
        return math.nan
    area = 0.0
    for j, p in enumerate(_clean(ranking, rels, good)):
        before = 1.0 if p == 0 else j / p
        area += (before + (j + 1) / (p + 1)) / 2 / len(good)
    return area


def _mp(ranking, rels, k, rel=1):
    good = _relevant(rels, rel)
    if not good:
        return math.nan
    places = [p + 1 for p in _clean(ranking, rels, good)]
    if not places:
        return 0.0
    kq = min(max(places), k)
    return sum(p <= kq for p in places) / kq


def _gain(grade, gain):
    return max(grade, 0) if gain == "linear" else 2 ** max(grade, 0) - 1


def _dcg(ranking, rels, k, gain="linear"):
    return sum(_gain(rels.get(d, 0), gain) / math.log2(i + 1) for i, d in enumerate(_cut(ranking, k), 1))


def _ndcg(ranking, rels, k, gain="linear"):
    ideal = _dcg(sorted(rels, key=lambda d: -rels[d]), rels, k, gain)
    return _dcg(ranking, rels, k, gain) / ideal if ideal else 0.0


def _rprec(ranking, rels, k, rel=1):
    good = _relevant(rels, rel)
    return len(good & set(ranking[: len(good)])) / len(good) if good else 0.0


def _bpref(ranking, rels, k, rel=1):
    good = _relevant(rels, rel)
    bad = {d for d, grade in rels.items() if 0 <= grade < rel}
    value, above = 0.0, 0
    for doc in ranking:
        above += doc in bad
        if doc in good:
            value += 1 - min(above, len(good)) / min(len(bad), len(good)) if above else 1
    return value / len(good) if good else 0.0


def _rbp(ranking, rels, k, rel=1, p=0.8, gain="binary", top=0):
    highest = top or max([1, *rels.values()])
    value = 0.0
    for i, doc in enumerate(_cut(ranking, k)):
        grade = rels.get(doc, 0)
        value += (grade >= rel if gain == "binary" else max(grade, 0) / highest) * p**i
    return (1 - p) * value


def _rbp_residual(ranking, rels, k, p=0.8):
    cut = _cut(ranking, k)
    unjudged = sum(p**i for i, doc in enumerate(cut) if doc not in rels)
    return (1 - p) * unjudged + p ** len(cut)


def _judged(ranking, rels, k):
    cut = _cut(ranking, k)
    return sum(doc in rels for doc in cut) / len(cut) if cut else 0.0


def _set_p(ranking, rels, k, rel=1):
    return len(_relevant(rels, rel) & set(ranking)) / len(ranking) if ranking else 0.0


def _set_f(ranking, rels, k, rel=1, beta=1.0):
    p, r = _set_p(ranking, rels, k, rel), _r(ranking, rels, None, rel)
    return (1 + beta) * p * r / (r + beta * p) if p or r else 0.0


def _first_rank(ranking, rels, k, rel=1):
    good = _relevant(rels, rel)
    return float(next(i for i, doc in enumerate(ranking, 1) if doc in good))


_NAIVE = {
    "P": _p, "R": _r, "R_cap": _r_cap, "hit": _hit, "all": _all, "RR": _rr, "AP": _ap, "AP_R": _ap_r,
    "mP": _mp, "nDCG": _ndcg, "DCG": _dcg, "Rprec": _rprec, "bpref": _bpref, "RBP": _rbp,
    "RBP_residual": _rbp_residual, "Judged": _judged, "SetP": _set_p, "SetF": _set_f,
    "SetR": lambda ranking, rels, k, rel=1: _r(ranking, rels, None, rel),
    "MedR": _first_rank, "MedR_floor": _first_rank, "MeanR": _first_rank,
    "rsum": lambda ranking, rels, k, rel=1: 100 * sum(_hit(ranking, rels, cut, rel) for cut in (1, 5, 10)),
    "NumRet": lambda ranking, rels, k: float(len(ranking)),
    "NumRel": lambda ranking, rels, k, rel=1: float(len(_relevant(rels, rel))),
    "NumRelRet": lambda ranking, rels, k, rel=1: float(len(_relevant(rels, rel) & set(ranking))),
}  # fmt: skip


def mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)
