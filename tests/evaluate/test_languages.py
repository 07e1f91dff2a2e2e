"""Mean rank variance: the reference's case 7, both published forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.errors import BadDataError
from mmr.evaluate.measures.languages import mrv
from tests.evaluate.hits import judged


def ranked(ranks):
    """A query for each rank, whose one relevant item stands there; rank None: nowhere."""
    return [[(1 / place, int(place == rank)) for place in range(1, (rank or 3) + 1)] for rank in ranks]


def test_case_7():
    block = judged(ranked([1, 1, 1, 1, 1, 2, 3, 6]), {"picture": ["a"] * 4 + ["b"] * 4})
    assert mrv(block, of="picture") == 1.75
    assert mrv(block, of="picture", form="std") == pytest.approx(0.9354143466934853, rel=1e-15)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), min_size=2, max_size=20))
def test_naively(rows):
    own = {name: [rank for n, rank in rows if n == name] for name, _ in rows}
    several = [ranks for ranks in own.values() if len(ranks) > 1]
    block = judged(ranked([rank for _, rank in rows]), {"of": [name for name, _ in rows]})
    if not several:
        with pytest.raises(BadDataError, match="no two queries share"):
            mrv(block, of="of")
        return
    assert mrv(block, of="of") == pytest.approx(np.mean([np.var(ranks) for ranks in several]), abs=1e-12)
    assert mrv(block, of="of", form="std") == pytest.approx(np.mean([np.std(ranks) for ranks in several]))


def test_queries_of_no_instance_and_instances_of_one_query_are_left_out():
    block = judged(ranked([5, 1, 3, 9]), {"picture": [None, 7, 7, 8]})
    assert mrv(block, of="picture") == 1


def test_nothing_found_counts_as_one_past_the_gallery():
    queries = ranked([1, None])
    with pytest.raises(BadDataError, match="gallery"):
        mrv(judged(queries, {"of": ["a", "a"]}), of="of")
    assert mrv(judged(queries, {"of": ["a", "a"]}, gallery=10), of="of") == 25


def test_a_field_that_no_query_has():
    with pytest.raises(BadDataError, match="the field language"):
        mrv(judged(ranked([1, 2])), of="language")
