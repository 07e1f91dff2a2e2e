"""Evaluate an expression over a whole batch of queries at once, and say what weight each vector had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmr.compose.columns import ZERO, Atom, Column, Mix, Weight, angles, inverse, lengths
from mmr.compose.expr import VECTOR, Call, Name, Node, Number, Param, Product, Sum, children, kind
from mmr.errors import UsageError

CANCELLED = 8  # a sum this many times shorter than its parts has lost digits of float32
STRAIGHT = 1e-7  # an angle below which an arc is a line


@dataclass(frozen=True)
class Outcome:
    """What an expression gives for n queries.

    vectors  (n, d) float32, of unit length unless `length` was kept; zeros where `zero`
    norms    (n,) length before it became 1
    zero     (n,) whether the sum, or one inside a function, cancelled out
    weights  what each vector, at unit length, was multiplied by in the end: a number or (n,)
    """

    vectors: NDArray[np.float32]
    norms: NDArray[np.float64]
    zero: NDArray[np.bool_]
    weights: Mapping[str, Weight]


class ZeroVectorError(ValueError):
    """A named vector of zeros, which has no direction: `name`, and `queries` (m,) that have it."""

    def __init__(self, name: str, queries: NDArray[np.int64]) -> None:
        super().__init__(f"{name} is a vector of zeros")
        self.name, self.queries = name, queries


class WrongShapeError(ValueError):
    """A named vector that does not fit the others; the words say why."""


def evaluate(
    node: Node, columns: Mapping[str, Column], params: Mapping[str, float], n: int, *, raw: bool = False,
    length: bool = False,
) -> Outcome:  # fmt: skip
    """Compute an expression for n queries.

    columns  the named vectors, brought to unit length unless `raw`; arguments that are a mean, weights or
             a basis are taken as they are
    params   the numbers $a
    length   keep the length that the expression gives

    Sums are made in float32, and again in float64 where vectors cancel out to an eighth or less. Raises
    `ZeroVectorError` for an input of zeros, `WrongShapeError` for vectors of different d and for weights or a
    basis that do not fit.
    """
    return _Evaluation(columns, params, n, raw).outcome(node, length)


def number(node: Node, params: Mapping[str, float]) -> float:
    """The value of an expression without vectors."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Param):
        if node.name not in params:
            raise UsageError(f"${node.name} has no value", f"Give it one: --set {node.name}=0.8")
        return params[node.name]
    if isinstance(node, Sum):
        return sum(sign * number(term, params) for sign, term in node.terms)
    value = 1.0
    for factor in children(node):
        value *= number(factor, params)
    return value


class _Evaluation:
    def __init__(self, columns: Mapping[str, Column], params: Mapping[str, float], n: int, raw: bool) -> None:
        self._columns, self._params, self._n, self._raw = columns, params, n, raw
        self._zero = np.zeros(n, bool)
        self._dim = next((column.rows.shape[1] for column in columns.values()), 0)
        self._computed = 0

    def outcome(self, node: Node, length: bool) -> Outcome:
        while isinstance(node, Call) and node.function == "u" and not length:
            node = node.arguments[0]
        mix = self._vector(node)
        total: NDArray[np.float32] = mix.array(self._n, np.float32)
        norms = lengths(total, rough=True)
        weak = np.arange(self._n) if self._raw else np.flatnonzero(norms * CANCELLED < mix.size())
        exact = mix.part(weak).array(len(weak))
        norms[weak] = lengths(exact)
        self._zero |= norms <= ZERO
        by = 1.0 if length else inverse(norms, ZERO)
        if isinstance(by, np.ndarray):
            np.multiply(total, by.astype(np.float32)[:, None], out=total)
            exact *= by[weak][:, None]
        total[weak] = exact
        total[self._zero] = 0
        return Outcome(total, norms, self._zero, mix.scaled(by).terms)

    def _vector(self, node: Node) -> Mix:
        """The value of a node that is a vector."""
        if isinstance(node, Name):
            return self._named(node.name)
        if isinstance(node, Sum):
            (sign, first), *others = node.terms
            mix = self._vector(first) if sign == 1 else self._vector(first).scaled(-1)
            for sign, term in others:
                mix = mix.plus(self._vector(term), sign)
            return mix
        if isinstance(node, Product):
            vector = next(factor for factor in node.factors if kind(factor) == VECTOR)
            by = 1.0
            for factor in node.factors:
                by *= 1.0 if factor is vector else number(factor, self._params)
            return self._vector(vector).scaled(by)
        assert isinstance(node, Call)
        called: Callable[..., Mix] = getattr(self, f"_{node.function}")
        return called(*node.arguments)

    def _named(self, name: str) -> Mix:
        """A named vector at unit length; of a list the mean of its unit vectors."""
        column = self._columns[name]
        if column.counts is not None:
            return self._averaged(name, None)
        return self._atom(name, column.rows, self._scale(name, column))

    def _atom(self, name: str, rows: NDArray[np.floating], scale: Weight = 1.0) -> Mix:
        if rows.shape[1] != self._dim:
            raise WrongShapeError(f"{name} has {rows.shape[1]:,} numbers, and others have {self._dim:,}")
        return Mix({name: 1.0}, {name: Atom(rows, scale)})

    def _scale(self, name: str, column: Column) -> Weight:
        """What brings each row of a column to unit length."""
        if self._raw:
            return 1.0
        found = lengths(column.rows)
        if not found.all():
            bad = np.flatnonzero(found == 0)
            if column.counts is not None:
                bad = np.searchsorted(np.cumsum(column.counts), bad, side="right")
            elif len(column.rows) == 1:
                bad = np.arange(self._n)
            raise ZeroVectorError(name, np.unique(bad))
        return inverse(found)

    def _averaged(self, name: str, weights: Column | None) -> Mix:
        """The mean of the unit vectors of a list, or their weighted sum."""
        column = self._columns[name]
        if column.counts is None:
            column = Column(column.rows, np.ones(len(column.rows), np.int64))
        counts = column.counts
        assert counts is not None
        by = np.asarray(self._scale(name, column), np.float64)
        rows = column.rows * (by[:, None] if by.ndim else by)
        if weights is None:
            rows = rows / np.repeat(counts, counts)[:, None]
            label = f"mean({name})"
        else:
            rows = rows * self._weights(name, counts, weights)[:, None]
            label = f"wmean({name})"
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        return self._atom(label, np.add.reduceat(rows.astype(np.float64), starts, axis=0))

    def _weights(self, name: str, counts: NDArray[np.int64], weights: Column) -> NDArray[np.float64]:
        """One number a vector of a list, from the weights of each query (n, k) or of all (1, k)."""
        if weights.counts is not None or (counts != weights.rows.shape[1]).any():
            k, found = int(counts.max()), weights.rows.shape[1]
            raise WrongShapeError(f"{name} has {k:,} vectors, and its weights are {found:,} numbers")
        rows = np.broadcast_to(weights.rows, (len(counts), weights.rows.shape[1]))
        return np.asarray(rows, np.float64).ravel()

    def _u(self, inside: Node) -> Mix:
        mix = self._vector(inside)
        return mix.scaled(inverse(self._nonzero(lengths(mix.array(self._n))), ZERO))

    def _nonzero(self, norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Remember which sums inside the expression cancelled out."""
        self._zero |= norms <= ZERO
        return norms

    def _mean(self, *arguments: Node) -> Mix:
        """The mean of a named list, or of several vectors, each at unit length."""
        if len(arguments) == 1 and isinstance(arguments[0], Name):
            return self._averaged(arguments[0].name, None)
        mix = self._u(arguments[0])
        for one in arguments[1:]:
            mix = mix.plus(self._u(one))
        return mix.scaled(1 / len(arguments))

    def _wmean(self, vectors: Name, weights: Name) -> Mix:
        return self._averaged(vectors.name, self._columns[weights.name])

    def _slerp(self, first: Node, second: Node, along: Node) -> Mix:
        """A point on the arc between two vectors: sin((1-a)T)/sin T x + sin(aT)/sin T y."""
        a = number(along, self._params)
        x, y = self._u(first), self._u(second)
        angle, opposite = angles(x.array(self._n), y.array(self._n))
        self._zero |= opposite
        straight = (angle < STRAIGHT) | opposite
        sine = np.where(straight, 1, np.sin(angle))
        left = np.where(straight, 1 - a, np.sin((1 - a) * angle) / sine)
        right = np.where(straight, a, np.sin(a * angle) / sine)
        return x.scaled(left).plus(y.scaled(right))

    def _centre(self, inside: Node, mean: Name) -> Mix:
        """A vector less a mean, which is taken as it is; no longer at unit length."""
        column = self._columns[mean.name]
        if column.counts is not None:
            raise WrongShapeError(f"{mean.name} is a list of vectors, and a mean is one")
        return self._vector(inside).plus(self._atom(mean.name, column.rows), -1)

    def _proj(self, inside: Node, basis: Name) -> Mix:
        """A vector's part in the span of a basis P (k, d) of orthonormal rows: x P' P."""
        column = self._columns[basis.name]
        counts = np.array([len(column.rows)]) if column.counts is None else column.counts
        if len(counts) != 1 and self._n > 1:
            raise WrongShapeError(
                f"{basis.name} must be one basis for all queries: --bind {basis.name}=FILE.npy"
            )
        if column.rows.shape[1] != self._dim:
            raise WrongShapeError(
                f"{basis.name} has rows of {column.rows.shape[1]:,} numbers, not {self._dim:,}"
            )
        rows = column.rows.astype(np.float64)
        x = self._vector(inside).array(self._n)
        self._computed += 1
        return self._atom(f"proj {self._computed}", (x @ rows.T) @ rows)
