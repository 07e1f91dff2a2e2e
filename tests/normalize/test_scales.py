"""Scales of scores: worked cases, and what no scale may do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays.scales import OF_THE_LIST
from mmr.arrays.scales import SCALES as FUNCTIONS
from mmr.normalize.table import SCALES, scale

ROWS = {row.name: row for row in SCALES}

CASES = {
    "minmax": ([0.9, 0.5, 0.4], [1, 0.2, 0]),
    "max": ([0.8, 0.4, -0.2], [1, 0.5, -0.25]),
    "sum": ([0.9, 0.5, 0.4], [0.5 / 0.6, 0.1 / 0.6, 0]),
    "z": ([3, 2, 1], [1.5**0.5, 0, -(1.5**0.5)]),
    "cosine": ([1, 0.5, -1], [1, 0.75, 0]),
    "rank": ([9, 5, 4], [1, 2 / 3, 1 / 3]),
    "isr": ([9, 5, 4], [1, 1 / 4, 1 / 9]),
    "borda": ([9, 5, 4], [3, 2, 1]),
}
EQUAL = {"minmax": 1, "max": 1, "sum": 1 / 3, "z": 0, "cosine": 0.75}


def of(name, scores, over=None):
    scores = np.asarray(scores, np.float64)
    return scale(ROWS[name])(scores, scores if over is None else np.asarray(over, np.float64))


def test_every_scale_has_a_case():
    assert set(CASES) == set(ROWS)


def test_what_other_stages_are_handed_is_the_table():
    assert {name: scale(row) for name, row in ROWS.items()} == FUNCTIONS
    assert {row.name for row in SCALES if row.stream} == OF_THE_LIST


@pytest.mark.parametrize("name", CASES)
def test_worked_cases(name):
    assert of(name, CASES[name][0]) == pytest.approx(CASES[name][1], abs=1e-12)


@pytest.mark.parametrize("name", EQUAL)
def test_equal_scores(name):
    assert of(name, [0.5, 0.5, 0.5]) == pytest.approx([EQUAL[name]] * 3)


@pytest.mark.parametrize("name", ["minmax", "max", "z"])
def test_figures_of_a_whole_stream(name):
    expected = {"minmax": [0.25, 0], "max": [0.25, 0], "z": [-1 / 3, -1]}[name]
    over = [0, 1, 2, 3, 4] if name != "z" else [0, 6]
    assert of(name, [1, 0] if name != "z" else [2, 0], over) == pytest.approx(expected)


def test_scales_refuse_what_would_turn_the_order():
    with pytest.raises(ValueError, match="needs one above 0"):
        of("max", [-0.1, -0.2])
    with pytest.raises(ValueError, match=r"24\.5 is no cosine"):
        of("cosine", [24.5, 0.2])


lists = st.lists(st.integers(-1000, 1000), min_size=1, max_size=30).map(
    lambda values: sorted((value / 1000 for value in values), reverse=True)
)


@settings(max_examples=100, deadline=None)
@given(lists, st.sampled_from(sorted(ROWS)))
def test_the_order_stays(scores, name):
    if name == "max" and scores[0] <= 0:
        return
    found = of(name, scores)
    assert np.isfinite(found).all()
    assert (np.diff(found) <= 0).all()


@settings(max_examples=100, deadline=None)
@given(lists, st.sampled_from(["minmax", "z", "rank", "sum"]), st.floats(0.1, 10), st.floats(-5, 5))
def test_affine_maps_of_the_scores_change_nothing(scores, name, a, b):
    assert of(name, [a * x + b for x in scores]) == pytest.approx(of(name, scores), abs=1e-7)
