"""Named vectors of many queries at once, and weighted sums of them with one weight a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Weight = float | NDArray[np.float64]

NEARLY = 5e-7  # a length this near to 1 is 1: so a unit vector comes out bit for bit
SURE, DOUBT = 2e-7, 2e-6  # a float32 length this near to 1 is of a unit vector; may be of one
ZERO = 1e-6  # a sum shorter than this has cancelled out


@dataclass(frozen=True)
class Column:
    """The vectors of one name over n queries.

    rows    (n, d), one a query; (1, d) where all queries share it; with `counts` (sum of counts, d)
    counts  (n,) how many vectors each query has under a name that is a list, else None
    """

    rows: Floats
    counts: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.rows) if self.counts is None else len(self.counts)


@dataclass(frozen=True)
class Atom:
    """Vectors (n, d) or (1, d) that sums are made of, and what each has to be multiplied by."""

    rows: Floats
    scale: Weight = 1.0


class Mix:
    """A weighted sum of atoms, one weight a query: every value of the language is one."""

    def __init__(self, terms: Mapping[str, Weight], atoms: Mapping[str, Atom]) -> None:
        self.terms = dict(terms)
        self.atoms = atoms

    def scaled(self, by: Weight) -> Mix:
        """The sum, times a number a query."""
        return Mix({name: weight * by for name, weight in self.terms.items()}, self.atoms)

    def plus(self, other: Mix, sign: int = 1) -> Mix:
        """The sum of two sums."""
        terms = dict(self.terms)
        for name, weight in other.terms.items():
            terms[name] = terms.get(name, 0.0) + sign * weight
        return Mix(terms, {**self.atoms, **other.atoms})

    def array(self, n: int, dtype: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
        """The vectors (n, d), added up in `dtype`."""
        total: NDArray[Any] | None = None
        held: NDArray[Any] | None = None
        for name, weight in self.terms.items():
            atom = self.atoms[name]
            by = np.asarray(weight * atom.scale, dtype)
            factor = by[:, None] if by.ndim else by
            if total is None:
                total = np.empty((n, atom.rows.shape[1]), dtype)
                np.multiply(atom.rows, factor, out=total, casting="same_kind")
            else:
                held = np.empty_like(total) if held is None else held
                np.multiply(atom.rows, factor, out=held, casting="same_kind")
                total += held
        assert total is not None
        return total

    def size(self) -> Weight:
        """How long the sum would be, were all its vectors of length 1 and of one direction."""
        total: Weight = 0.0
        for weight in self.terms.values():
            total = total + np.abs(weight)
        return total

    def part(self, rows: NDArray[np.int64]) -> Mix:
        """The sums of some queries alone."""

        def of(weight: Weight) -> Weight:
            many = isinstance(weight, np.ndarray) and weight.ndim == 1 and len(weight) > 1
            return weight[rows] if isinstance(weight, np.ndarray) and many else weight

        atoms = {
            name: Atom(one.rows[rows] if len(one.rows) > 1 else one.rows, of(one.scale))
            for name, one in self.atoms.items()
        }
        return Mix({name: of(weight) for name, weight in self.terms.items()}, atoms)


def lengths(rows: Floats, rough: bool = False) -> NDArray[np.float64]:
    """The length of each row (n, d); one within 5e-7 of 1 is 1.

    rough  of float32 rows float32 arithmetic does, but for those that may count as 1
    """
    if rows.dtype == np.float32:
        found: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", rows, rows)).astype(np.float64)
        off = np.abs(found - 1)
        doubt = np.flatnonzero(off <= DOUBT if rough else off > SURE)
        found[doubt] = _exact(rows[doubt])
    else:
        found = _exact(rows)
    found[np.abs(found - 1) <= NEARLY] = 1
    return found


def _exact(rows: Floats) -> NDArray[np.float64]:
    wide = rows.astype(np.float64, copy=False)
    found: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return found


def inverse(found: NDArray[np.float64], least: float = 0.0) -> Weight:
    """1 / length, (n,), 0 where the length is `least` or less; the number 1 where all are 1."""
    if (found == 1).all():
        return 1.0
    out = np.zeros(len(found))
    np.divide(1, found, out=out, where=found > least)
    return out


def angles(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The angle of each pair of rows of unit length (n, d), exact for near ones; and which are opposite.

    2 atan2(|x - y|, |x + y|), where acos of the cosine loses half its digits near 0 and pi. Opposite
    vectors, |x + y| below 1e-6, have no one arc between them.
    """
    apart = np.sqrt(np.einsum("ij,ij->i", x - y, x - y))
    along = np.sqrt(np.einsum("ij,ij->i", x + y, x + y))
    opposite: NDArray[np.bool_] = along <= ZERO
    return 2 * np.arctan2(apart, along), opposite
