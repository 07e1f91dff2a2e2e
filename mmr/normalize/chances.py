"""From a score to the chance of relevance: Platt's sigmoid, isotonic regression, a map a query."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError

Array = NDArray[np.floating[Any]]
Arrays = dict[str, NDArray[Any]]

RIDGES = (10.0, 30.0, 100.0, 300.0)  # weights on the head that are tried; besides, a head that never changes
PRIOR = 1.0  # weight on how far the common slope and power are from those of Platt
FOLDS = 5
STEPS = 500  # of the optimiser, at most
LEAST = 2.0**-24  # no chance that is written is smaller


class Pairs(NamedTuple):
    """Hits of judged queries.

    scores    (n,) float64
    relevant  (n,) bool
    query     (n,) which row of `vectors` asked
    vectors   (q, d) float64 of length 1; None where the queries' vectors are not known
    """

    scores: Array
    relevant: NDArray[np.bool_]
    query: NDArray[np.int64]
    vectors: Array | None = None


def fit_platt(pairs: Pairs) -> Arrays:
    """Learn p = 1 / (1 + exp(A s + B)): `sigmoid` holds A and B.

    Newton's method on the smoothed targets of Platt 1999, "Probabilistic outputs for support vector
    machines", as Lin, Lin and Weng 2007 do it. Raises `BadDataError` where a higher score is not more often
    relevant, where all scores are equal, and where all or none of the hits are relevant.
    """
    relevant = int(pairs.relevant.sum())
    others = len(pairs.relevant) - relevant
    mean, sd = pairs.scores.mean(), pairs.scores.std()
    if not relevant or not others or not sd > 0:
        which = "all scores are equal" if relevant and others else (
            "no hit is relevant" if not relevant else "every hit is relevant"
        )  # fmt: skip
        raise BadDataError(
            f"{which}, so that nothing tells what a score means",
            "Give hits of judged queries, right and wrong ones: more of them with `mmr query -k`.",
        )
    target = np.where(pairs.relevant, (relevant + 1) / (relevant + 2), 1 / (others + 2))
    a, b = _newton((pairs.scores - mean) / sd, target, np.log((others + 1) / (relevant + 1)))
    if not a < 0:
        raise BadDataError(
            "in these hits a higher score is not more often relevant",
            "Are the judgements those of these queries? A map that kept the order would be wrong.",
        )
    return {"sigmoid": np.array([a / sd, b - a * mean / sd])}


def _newton(x: Array, target: Array, offset: float) -> tuple[float, float]:
    """The minimum of the cross-entropy of 1 / (1 + exp(a x + b)), which is convex."""
    design = np.stack([x, np.ones(len(x))])
    found = np.array([0.0, offset])

    def loss(theta: Array) -> float:
        z = theta @ design
        return float((target * z + np.logaddexp(0, -z)).sum())

    now = loss(found)
    for _ in range(100):
        chance = _sigmoid(-(found @ design))
        gradient = design @ (target - chance)
        weight = chance * (1 - chance)
        hessian = (design * weight) @ design.T + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-10 and (after := loss(found - size * step)) > now:
            size /= 2
        if size <= 1e-10:
            break
        found, now = found - size * step, after
        if np.abs(size * step).max() < 1e-13:
            break
    return float(found[0]), float(found[1])


def platt(arrays: Arrays, scores: Array, query: Array | None = None) -> Array:
    """1 / (1 + exp(A s + B)) of scores (n,)."""
    a, b = arrays["sigmoid"]
    return _sigmoid(-(a * scores + b))


def fit_isotonic(pairs: Pairs) -> Arrays:
    """Learn the step-free isotonic map: `score` and `chance` (m,) are its knots, both ascending.

    Pool adjacent violators (Zadrozny and Elkan 2002): equal scores first become one, the two ends of every
    pooled block are knots. Raises `BadDataError` as `fit_platt` does.
    """
    from scipy.optimize import isotonic_regression

    fit_platt(pairs)
    scores, place = np.unique(pairs.scores, return_inverse=True)
    weight = np.bincount(place).astype(np.float64)
    share = np.bincount(place, pairs.relevant) / weight
    fitted = isotonic_regression(share, weights=weight)
    first, last = fitted.blocks[:-1], fitted.blocks[1:] - 1
    knots = np.unique(np.concatenate([first, last]))
    if fitted.x[-1] == fitted.x[0]:
        raise BadDataError(
            "in these hits a higher score is not more often relevant",
            "Are the judgements those of these queries? A map that kept the order would be wrong.",
        )
    return {"score": scores[knots], "chance": fitted.x[knots]}


def isotonic(arrays: Arrays, scores: Array, query: Array | None = None) -> Array:
    """Linear between the knots, and the last chance beyond them."""
    found: Array = np.interp(scores, arrays["score"], arrays["chance"])
    return found


def fit_query(pairs: Pairs) -> Arrays:
    """Learn a head that predicts the map of a query from its vector.

    The map is sigmoid(a m ((clip(s, 0, 1) / m)^p - 1) / p + b): the power form of the Cosine Adapter in
    "Relevance Filtering for Embedding-based Retrieval", Rossi et al. 2024, written so that a is its slope at
    m, the mean score; a and p are above 0 through softplus, and it is trained by cross-entropy. The head is
    linear in the vector, and held near one that never changes by a ridge that cross-validation over queries
    chooses. Raises `BadDataError` as `fit_platt` does, and without vectors.
    """
    if pairs.vectors is None:
        raise BadDataError(
            "the map of each query comes from its vector, and these queries have none",
            "`mmr query` keeps them in its records; a run of TREC has none.",
        )
    slope, offset = fit_platt(pairs)["sigmoid"]
    middle = float(np.clip(pairs.scores, 0, 1).mean())
    mean = pairs.vectors.mean(axis=0)
    shape = np.array([-slope, max(middle, 1e-6)])
    centred = pairs.vectors - mean
    start = np.zeros((3, centred.shape[1] + 1))
    start[:, -1] = _UNIT, _UNIT, -(slope * middle + offset)
    training = _Training(pairs, centred, shape, np.ones(len(pairs.scores), bool))
    flat = training.trained(start, None)
    ridge = _chosen(pairs, centred, shape, flat)
    head = flat if ridge is None else training.trained(flat, ridge)
    return {"head": head[:, :-1], "bias": head[:, -1], "mean": mean, "shape": shape}


def query_map(arrays: Arrays, scores: Array, query: Array | None = None) -> Array:
    """The map of `fit_query`, where a, p and b come from the query's vector (d,)."""
    assert query is not None
    z = arrays["head"] @ (query - arrays["mean"]) + arrays["bias"]
    steep, middle = arrays["shape"]
    a, p = steep * _softplus(z[0]), max(_softplus(z[1]), LEAST)
    return _sigmoid(a * middle * ((np.clip(scores, 0, 1) / middle) ** p - 1) / p + z[2])


_UNIT = float(np.log(np.e - 1))  # softplus of it is 1


class _Training:
    """Pairs as the optimiser reads them, some queries left out."""

    def __init__(self, pairs: Pairs, centred: Array, shape: Array, rows: NDArray[np.bool_]) -> None:
        self.asked, self.relevant = pairs.query[rows], pairs.relevant[rows]
        self.centred = centred
        self.steep, self.middle = shape
        self.log = np.log(np.clip(pairs.scores[rows], 1e-12, 1) / self.middle)

    def losses(self, head: Array) -> Array:
        """Cross-entropy (q,) of each query."""
        a, p, b = self._parameters(head).T
        logit = a[self.asked] * self._bent(p[self.asked]) + b[self.asked]
        loss = np.logaddexp(0, logit) - self.relevant * logit
        found: Array = np.bincount(self.asked, loss, len(self.centred)).astype(np.float64)
        return found

    def _parameters(self, head: Array) -> Array:
        z = self.centred @ head[:, :-1].T + head[:, -1]
        z[:, 0], z[:, 1] = self.steep * _softplus(z[:, 0]), np.maximum(_softplus(z[:, 1]), LEAST)
        return np.asarray(z)

    def _bent(self, p: Array) -> Array:
        found: Array = self.middle * np.expm1(p * self.log) / p
        return found

    def objective(self, flat: Array, ridge: float | None) -> tuple[float, Array]:
        """Cross-entropy, prior and ridge, and the gradient; without a ridge only the biases move."""
        head = flat.reshape(3, -1)
        a, p, b = self._parameters(head).T
        own = p[self.asked]
        bent = self._bent(own)
        logit = a[self.asked] * bent + b[self.asked]
        off = _sigmoid(logit) - self.relevant
        value = float((np.logaddexp(0, logit) - self.relevant * logit).sum())
        power = (self.middle * np.exp(own * self.log) * self.log - bent) / own
        count = len(self.centred)
        by = (off * bent, off * a[self.asked] * power, off)
        dz = np.stack([np.bincount(self.asked, one, count) for one in by], axis=1)
        dz[:, 0] *= self.steep * -np.expm1(-a / self.steep)
        dz[:, 1] *= -np.expm1(-p)
        gradient = np.zeros(head.shape)
        apart = head[:2, -1] - _UNIT
        value += PRIOR / 2 * float(apart @ apart)
        gradient[:, -1] = dz.sum(axis=0)
        gradient[:2, -1] += PRIOR * apart
        if ridge is not None:
            gradient[:, :-1] = dz.T @ self.centred + ridge * head[:, :-1]
            value += ridge / 2 * float((head[:, :-1] ** 2).sum())
        return value, gradient.ravel()

    def trained(self, start: Array, ridge: float | None) -> Array:
        """The head (3, d + 1) of least objective."""
        from scipy.optimize import minimize

        found = minimize(self.objective, start.ravel(), (ridge,), jac=True, method="L-BFGS-B",
                         options={"maxiter": STEPS, "ftol": 1e-7})  # fmt: skip
        head: Array = found.x.reshape(start.shape)
        return head


def _chosen(pairs: Pairs, centred: Array, shape: Array, flat: Array) -> float | None:
    """The largest ridge under which queries left out of the training lose, within one standard error, least.

    None for a head that is the same for all queries.
    """
    fold = np.random.default_rng(0).permutation(len(centred)) % FOLDS
    losses = np.zeros((len(RIDGES) + 1, len(centred)))
    for out in range(min(FOLDS, len(centred))):
        test = fold[pairs.query] == out
        if not pairs.relevant[~test].any():
            continue
        training, left = (_Training(pairs, centred, shape, rows) for rows in (~test, test))
        head = training.trained(flat, None)
        losses[-1] += left.losses(head)
        for place in range(len(RIDGES) - 1, -1, -1):
            head = training.trained(head, RIDGES[place])
            losses[place] += left.losses(head)
    best = losses[losses.sum(axis=1).argmin()]
    more = losses - best
    near = more.sum(axis=1) <= more.std(axis=1) * np.sqrt(len(centred))
    place = int(np.flatnonzero(near)[-1])
    return RIDGES[place] if place < len(RIDGES) else None


def in_order(scores: NDArray[np.float32], chances: Array) -> NDArray[np.float32]:
    """Chances (n,) float32 in the order of `scores` (n,), which fall: equal only where those are equal.

    A chance that does not fall where its score falls is taken down by the smallest steps that float32 has,
    each depending on the hits before it alone.
    """
    narrow = np.clip(chances, LEAST, 1).astype(np.float32)
    group = np.concatenate([[0], np.cumsum(scores[1:] != scores[:-1])]).astype(np.int64)
    bits = narrow.view(np.int32).astype(np.int64)
    kept = np.minimum.accumulate(bits + group) - group
    return np.maximum(kept, 1).astype(np.int32).view(np.float32)


def _sigmoid(x: Array) -> Array:
    from scipy.special import expit

    found: Array = expit(x)
    return found


def _softplus(x: Any) -> Any:
    return np.logaddexp(0, x)
