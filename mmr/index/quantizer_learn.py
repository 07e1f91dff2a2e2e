"""Fit a student to exact scores: a closed form, then steps down the gradient while others gain."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.distill import Adam, Coded, Student, adapter, gradient

Floats = NDArray[np.floating]
Rows = NDArray[np.int64]
K = 10
TEMPERATURE = 0.05
RIDGE = 0.01
RATES = (0.005, 0.005, 0.005)  # of books, centroids and map; .02 undoes at first what the closed form gained
BATCH = 64  # queries a step
NEAR = 32  # rows that a query is nearest to, and as many that its codes take for these
SPREAD = 1024  # rows of a step drawn at random, which stand for all others
WHOLE = 4096  # of so many rows and fewer, every step looks at all
FRESH = 5  # rounds after which it is looked anew which rows the codes put first
PATIENCE = 20  # rounds without a gain, after which no more come
HELD = 1 << 24  # numbers of a block of scores


class Pool(NamedTuple):
    """What is fitted to: rows (n, d), their codes, queries (p, d), and `kept` ones that say when to stop."""

    rows: Floats
    coded: Coded
    queries: Floats
    kept: Floats


def nearest(queries: Floats, rows: Floats, k: int) -> Rows:
    """The k rows (q, k) with the largest products, best first; all rows where there are fewer."""
    count = min(k, len(rows))
    step = max(1, HELD // len(rows))
    found = [np.empty((0, count), np.int64)]
    for start in range(0, len(queries), step):
        score = queries[start : start + step] @ rows.T
        best = np.argpartition(-score, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(score, best, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(found)


def shares(found: Rows, right: Rows) -> NDArray[np.float64]:
    """The share (q,) of the right rows (q, k) that are among those found (q, c)."""
    return np.asarray([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, right, strict=True)])


def learn(
    start: Student, pool: Pool, rounds: int, seed: int, advance: Callable[[int], None] = lambda rounds: None
) -> Student:
    """The student of those seen that finds most of the ten nearest rows of the queries kept out.

    start   what the codes stand for as they were made; it is the answer where nothing gains
    rounds  over all queries, at most; 0 for the closed form alone
    """
    rng = np.random.default_rng(seed)
    right = nearest(pool.kept, pool.rows, K)

    def worth(student: Student) -> float:
        turned = pool.kept @ student.asked
        return float(shares(nearest(turned, student.decoded(pool.coded), K), right).mean())

    back = start.decoded(pool.coded) @ start.asked.T
    change = adapter(pool.rows, back, pool.queries, RIDGE)
    student = start._replace(asked=(start.asked + change @ start.asked).astype(np.float32))
    (value, best), since = max(((worth(one), one) for one in (start, student)), key=lambda pair: pair[0]), 0
    adam, near, hard = (
        Adam(student, RATES),
        nearest(pool.queries, pool.rows, NEAR),
        np.empty((0, 0), np.int64),
    )
    for number in range(rounds):
        if len(pool.rows) > WHOLE and number % FRESH == 0:
            hard = nearest(pool.queries @ student.asked, student.decoded(pool.coded), NEAR)
        order = rng.permutation(len(pool.queries))
        for batch in np.array_split(order, max(1, round(len(order) / BATCH))):
            student = adam.step(student, _slope(student, pool, batch, near, hard, rng))
        advance(1)
        gained = worth(student)
        since += 1
        if gained > value:
            value, best, since = gained, student, 0
        if since >= PATIENCE:
            break
    return best


def _slope(
    student: Student, pool: Pool, batch: Rows, near: Rows, hard: Rows, rng: np.random.Generator
) -> Student:
    """The gradient over some queries: of all rows, or of the first by score and by codes, and some others."""
    count, weights = len(pool.rows), None
    rows = np.arange(count)
    if count > WHOLE:
        first = np.union1d(near[batch], hard[batch])
        others = np.setdiff1d(rng.choice(count, SPREAD, replace=False), first)
        rows = np.concatenate([first, others])
        weights = np.ones(len(rows), np.float32)
        weights[len(first) :] = (count - len(first)) / max(len(others), 1)
    queries, held = pool.queries[batch], pool.rows if count <= WHOLE else pool.rows[rows]
    coded = pool.coded if count <= WHOLE else pool.coded.only(rows)
    return gradient(student, queries, coded, queries @ held.T, TEMPERATURE, weights)[1]
