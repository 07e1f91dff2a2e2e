"""Codes fitted to retrieval: centroids and a map of queries that keep the ranking of exact scores.

What is coded stays as it is coded; what changes is what a code stands for when a query is scored (JPQ, Zhan
et al. 2021), and how a query is turned before. The teacher is the exact score (Distill-VQ, Xiao et al. 2022).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Rows = NDArray[np.int64]
FIRST, SECOND, TINY = 0.9, 0.999, 1e-8  # of Adam (Kingma and Ba, 2015)


class Coded(NamedTuple):
    """How rows are coded: `codes` (n, m) of the pieces, and `lists` (n,) that they stand in."""

    codes: Rows
    lists: Rows

    def only(self, rows: Rows) -> Coded:
        """Some of the rows."""
        return Coded(self.codes[rows], self.lists[rows])


class Student(NamedTuple):
    """What scores are made of: <q asked, centroids[list] + books[0][code 0] | books[1][code 1] | ...>.

    books      (m, k, w) float: what the codes of each piece stand for, m w = d
    centroids  (lists, d): what is added to a row of a list; zeros where there are no lists
    asked      (d, d): the map of queries
    """

    books: Floats
    centroids: Floats
    asked: Floats

    def decoded(self, rows: Coded) -> Floats:
        """What rows (n, d) stand for."""
        count, pieces = rows.codes.shape
        places = rows.codes + np.arange(pieces) * self.books.shape[1]
        flat = self.books.reshape(-1, self.books.shape[2])
        return np.asarray(flat[places].reshape(count, -1) + self.centroids[rows.lists])

    def scores(self, queries: Floats, rows: Coded) -> Floats:
        """The scores (q, n) of queries (q, d)."""
        return np.asarray((queries @ self.asked) @ self.decoded(rows).T)


def encoded(rows: Floats, books: Floats, centroids: Floats) -> Coded:
    """Code rows (n, d): the list of the largest product, then of each piece of the rest the nearest centroid.

    As FAISS does it for inner products.
    """
    lists = np.asarray((rows @ centroids.T).argmax(axis=1), np.int64)
    pieces, _, width = books.shape
    rest = (rows - centroids[lists]).reshape(len(rows), pieces, width)
    codes = np.empty((len(rows), pieces), np.int64)
    for j in range(pieces):
        codes[:, j] = ((books[j] ** 2).sum(axis=1) / 2 - rest[:, j] @ books[j].T).argmin(axis=1)
    return Coded(codes, lists)


def listwise(
    exact: Floats, scores: Floats, temperature: float, weights: Floats | None = None
) -> tuple[float, Floats]:
    """The divergence of the ranking by `scores` from that by `exact`, and its gradient by `scores`.

    exact, scores  (q, n)
    temperature    above 0: KL(softmax(exact / t) || softmax(scores / t)), the mean over the queries
    weights        (n,) how many rows each stands for; 1 where none are given
    returns        (loss at least 0, (q, n))
    """
    shift = 0.0 if weights is None else np.log(weights)
    teacher, student = (_log_shares(one / temperature + shift) for one in (exact, scores))
    share = np.exp(teacher)
    loss = float((share * (teacher - student)).sum() / len(exact))
    return loss, np.asarray((np.exp(student) - share) / (temperature * len(exact)))


def _log_shares(values: Floats) -> Floats:
    held = values - values.max(axis=1, keepdims=True)
    return np.asarray(held - np.log(np.exp(held).sum(axis=1, keepdims=True)))


def gradient(
    student: Student, queries: Floats, rows: Coded, exact: Floats, temperature: float,
    weights: Floats | None = None,
) -> tuple[float, Student]:  # fmt: skip
    """The loss of `listwise` over rows, and its gradient by books, centroids and the map of queries.

    queries  (q, d); exact (q, n) their exact scores of the rows
    """
    turned, decoded = queries @ student.asked, student.decoded(rows)
    loss, by_score = listwise(exact, turned @ decoded.T, temperature, weights)
    by_row = by_score.T @ turned
    pieces, count, width = student.books.shape
    flat = (rows.codes + np.arange(pieces) * count).ravel()
    books = _summed(flat, by_row.reshape(-1, width), pieces * count).reshape(student.books.shape)
    centroids = _summed(rows.lists, by_row, len(student.centroids))
    return loss, Student(books, centroids, np.asarray(queries.T @ (by_score @ decoded)))


def _summed(places: Rows, values: Floats, count: int) -> Floats:
    """The sums (count, w) of values (n, w) by place (n,)."""
    from scipy.sparse import csr_matrix

    ones = np.ones(len(places), values.dtype)
    return np.asarray(csr_matrix((ones, (places, np.arange(len(places)))), (count, len(places))) @ values)


class Adam:
    """Steps down a gradient (Kingma and Ba, 2015), as long as a share of each array's own size.

    rates  of books, centroids and map: the length of a step over the root mean square of the array's numbers
    """

    def __init__(self, start: Student, rates: tuple[float, float, float]) -> None:
        self._rates = [np.float32(rate * np.sqrt(np.mean(np.square(one))))
                       for rate, one in zip(rates, start, strict=True)]  # fmt: skip
        self._mean, self._square = ([np.zeros_like(one) for one in start] for _ in range(2))
        self._steps = 0

    def step(self, student: Student, slope: Student) -> Student:
        """The arrays after one step."""
        self._steps += 1
        first, second = 1 - FIRST**self._steps, 1 - SECOND**self._steps
        found = []
        for rate, mean, square, old, down in zip(
            self._rates, self._mean, self._square, student, slope, strict=True
        ):
            mean += (1 - FIRST) * (down - mean)
            square += (1 - SECOND) * (down * down - square)
            found.append(old - rate * (mean / first) / (np.sqrt(square / second) + TINY))
        return Student(*found)


def adapter(rows: Floats, back: Floats, queries: Floats, strength: float) -> NDArray[np.float64]:
    """The map A of queries, q + q A, whose scores of decoded rows are nearest to the exact ones; closed form.

    rows      (n, d); back (n, d) what is left of them: the decoded rows, turned back
    queries   (p, d)
    strength  above 0, of the ridge, over the mean of what stands beside it
    returns   (d, d) float64: it minimises |(Q + Q A) back' - Q rows'|^2 + ridge |A|^2, over rows about their
              mean, since what moves all scores of a query alike ranks nothing
    """
    exact, held = (one.astype(np.float64) - one.mean(axis=0, dtype=np.float64) for one in (rows, back))
    asked = queries.astype(np.float64)
    power, left = np.linalg.eigh(asked.T @ asked / len(asked))
    spread, right = np.linalg.eigh(held.T @ held / len(held))
    lacking = (exact - held).T @ held / len(held)
    ridge = strength * power.mean() * spread.mean()
    inner = power[:, None] * (left.T @ lacking @ right) / (power[:, None] * spread + ridge)
    return np.asarray(left @ inner @ right.T)
