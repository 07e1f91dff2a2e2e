"""Two bags of vectors compared by what it costs to carry one to the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.frames import lengthened

Wide = NDArray[np.float64]

LEAST_BETA = 0.1
LEAST_TEMPERATURE = 0.01


class Carried(NamedTuple):
    """What it costs, and the plan (n, m): how much of each row of the first goes to each of the second."""

    cost: float
    plan: Wide


def optimal(query: NDArray[Any], document: NDArray[Any], beta: float = 0.5, steps: int = 50) -> Carried:
    """Carry a query's rows (n, d) to a document's (m, d) at the least cost, a cosine below 1 being the cost.

    All rows of a side weigh the same, so rows of the plan add up to 1/n and columns to 1/m, the rows as
    nearly as `steps` let them: what the document has beyond the query costs too, and long documents lose.
    IPOT (Xie et al. 2018) with one inner step, as in UNITER (Chen et al. 2020). Raises `ValueError` for a
    side without rows, other lengths, `beta` below .1 or no step.
    """
    cost = _costs(query, document)
    if not beta >= LEAST_BETA:
        raise ValueError(f"beta is at least {LEAST_BETA}")
    if steps < 1:
        raise ValueError("at least one step")
    n, m = cost.shape
    kernel = np.exp((cost.min(axis=1, keepdims=True) - cost) / beta)
    plan, sigma = np.ones(cost.shape), np.full(m, 1 / m)
    for _ in range(steps):
        weighed = kernel * plan
        delta = 1 / (n * np.einsum("ij,j->i", weighed, sigma))
        sigma = 1 / (m * np.einsum("i,ij->j", delta, weighed))
        plan = delta[:, None] * weighed * sigma
    return Carried(float((plan * cost).sum()), plan)


def conditional(query: NDArray[Any], document: NDArray[Any], temperature: float = 0.07) -> Carried:
    """Carry every row where it is likely to belong, there and back; the plan is that of the way there.

    The way there: each of the query's rows (n, d) spreads over the document's (m, d) by softmax(cosine /
    temperature), and pays 1 - cosine; the way back is the same from the document. Towards temperature 0 the
    way there is 1 minus the mean of MaxSim. As in PatchCT, with all rows of a side alike. Raises `ValueError`
    as `optimal` does, and for a temperature below .01.
    """
    cost = _costs(query, document)
    if not temperature >= LEAST_TEMPERATURE:
        raise ValueError(f"a temperature is at least {LEAST_TEMPERATURE}")
    there, back = _spread(cost, temperature), _spread(cost.T, temperature).T
    plan = there / len(cost)
    return Carried(float((plan * cost).sum() + (back * cost).sum() / cost.shape[1]), plan)


def _spread(cost: Wide, temperature: float) -> Wide:
    """Each row's share (n, m) of the columns: the softmax of what it saves."""
    weights = np.exp((cost.min(axis=1, keepdims=True) - cost) / temperature)
    found: Wide = weights / weights.sum(axis=1, keepdims=True)
    return found


def _costs(query: NDArray[Any], document: NDArray[Any]) -> Wide:
    """1 - cosine of every pair (n, m)."""
    if not len(query) or not len(document):
        raise ValueError("a side without vectors")
    if query.shape[1] != document.shape[1]:
        raise ValueError(f"vectors of {query.shape[1]} numbers and of {document.shape[1]}")
    found: Wide = 1 - np.einsum("ik,jk->ij", lengthened(query), lengthened(document))
    return found
