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

    def array(self, n: int) -> NDArray[np.float64]:
        """The vectors (n, d) in float64."""
        total: NDArray[np.float64] | None = None
        held: NDArray[np.float64] | None = None
        for name, weight in self.terms.items():
            atom = self.atoms[name]
            by = np.asarray(weight * atom.scale, np.float64)
            factor = by[:, None] if by.ndim else by
            if total is None:
                total = np.empty((n, atom.rows.shape[1]))
                np.multiply(atom.rows, factor, out=total)
            else:
                held = np.empty_like(total) if held is None else held
                np.multiply(atom.rows, factor, out=held)
                total += held
        assert total is not None
        return total


def lengths(rows: Floats) -> NDArray[np.float64]:
    """The length of each row (n, d) in float64; one within 5e-7 of 1 is 1."""
    wide = rows.astype(np.float64, copy=False)
    found: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    found[np.abs(found - 1) <= NEARLY] = 1
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
