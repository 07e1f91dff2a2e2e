"""Unit vectors for the tests of compose, and expressions over them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mmr.compose.apply import expression
from mmr.compose.columns import Column
from mmr.compose.evaluate import evaluate

DIM = 8


def units(seed: int, n: int, d: int = DIM) -> np.ndarray:
    """n unit vectors of d numbers."""
    rows = np.random.default_rng(seed).standard_normal((n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows at length 1 in float64."""
    wide = np.asarray(rows, np.float64)
    return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


def found(text: str, raw: bool = False, queries: int = 0, **named) -> np.ndarray:
    """What an expression gives: arrays are vectors, numbers are $parameters, n the longest."""
    columns = {k: Column(np.asarray(value)) for k, value in named.items() if np.ndim(value) == 2}
    numbers = {k: value for k, value in named.items() if np.ndim(value) == 0}
    method = expression(text, numbers)
    n = queries or max(len(column) for column in columns.values())
    outcome = evaluate(method.node, columns, method.params, n, raw=raw)
    assert not outcome.zero.any()
    return outcome.vectors


seeds = st.integers(0, 10_000)
shares = st.floats(0, 1)
strengths = st.floats(-3, 3)
