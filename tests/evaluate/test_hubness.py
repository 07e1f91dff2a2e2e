"""Hubness figures: the reference's case 10, and every item of a gallery counted naively."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mmr.errors import BadDataError, UsageError
from mmr.evaluate.hubness import hubness, meaning


def lists_of(counts, width):
    """Lists of at most `width` ids that give each item its count."""
    lists = [[] for _ in range(max(counts) * len(counts))]
    for item, times in enumerate(counts):
        free = [ids for ids in lists if len(ids) < width][:times]
        for ids in free:
            ids.append(f"i{item}")
    return [ids for ids in lists if ids]


def test_case_10():
    lists = lists_of((4, 2, 0, 0, 2), 2)
    assert len(lists) == 4
    found = hubness(lists, 2, 5)
    assert found.skewness == pytest.approx(0.3436215967445454, rel=1e-13)
    assert found.gini == 0.5
    assert found.hoover == pytest.approx(0.4)
    assert found.antihub_share == 0.4
    assert found.largest == 4
    assert found.atkinson == pytest.approx(0.41715728752538117, rel=1e-13)
    assert found.hub_share_2k == 0.5
    assert (found.queries, found.seen, found.hits) == (4, 3, 8)
    assert found.hubs == (("i0", 4), ("i1", 2), ("i4", 2))
    without_zeros = hubness(lists, 2, 3)
    assert without_zeros.skewness == pytest.approx(0.7071067811865479, rel=1e-13)


@given(
    st.lists(st.lists(st.integers(0, 12), unique=True, max_size=6), min_size=1, max_size=20),
    st.integers(1, 5), st.integers(13, 30),
)  # fmt: skip
def test_naively_over_the_whole_gallery(lists, k, gallery):
    counts = np.zeros(gallery)
    for ids in lists:
        counts[ids[:k]] += 1
    named = [[f"{item:02}" for item in ids] for ids in lists]
    if not counts.any():
        with pytest.raises(BadDataError, match="without a hit"):
            hubness(named, k, gallery)
        return
    found = hubness(named, k, gallery)
    total, mean = counts.sum(), counts.mean()
    expected = {
        "skewness": scipy.stats.skew(counts) if counts.std() else 0,
        "antihub_share": np.mean(counts == 0),
        "antihub_least": max(0, 1 - total / gallery),
        "hub_share_2k": counts[counts >= 2 * k].sum() / total,
        "hub_share_2sd": counts[counts > mean + 2 * counts.std()].sum() / total,
        "gini": np.abs(counts[:, None] - counts).sum() / (2 * gallery * total),
        "hoover": np.abs(counts - mean).sum() / (2 * total),
        "atkinson": 1 - np.sqrt(counts).mean() ** 2 / mean,
        "largest": counts.max(),
        "seen": np.count_nonzero(counts),
    }
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.hubs[0][1] == counts.max()
    assert sorted(found.hubs, key=lambda hub: (-hub[1], hub[0])) == list(found.hubs)


@pytest.mark.parametrize(("queries", "k", "gallery"), [(400, 5, 100), (30, 3, 500), (5, 4, 4)])
def test_skewness_by_chance(queries, k, gallery):
    found = hubness([[f"{place}" for place in range(k)]] * queries, k, gallery)
    share = k / gallery
    expected = scipy.stats.binom(queries, share).stats(moments="s") if share < 1 else 0
    assert found.skewness_chance == pytest.approx(float(expected), rel=1e-9)


def test_only_the_first_k_and_only_the_largest_hubs():
    lists = [["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"]]
    assert hubness(lists, 1, 9).hubs == (("a", 2), ("b", 1))
    assert hubness(lists, 3, 9, hubs=1).hubs == (("a", 3),)


def test_everything_even_is_no_hub():
    found = hubness([["a"], ["b"], ["c"]], 1, 3)
    assert (found.skewness, found.gini, found.hoover, found.antihub_share) == (0, 0, 0, 0)
    assert found.atkinson == pytest.approx(0, abs=1e-15)


def test_meaning():
    everywhere = hubness([["hub", f"own {query}"] for query in range(50)], 2, 60)
    assert "51 of 60 items come up" in meaning(everywhere)
    assert "take 59.0% of all hits" in meaning(everywhere)
    assert "there are hubs" in meaning(everywhere)
    few = hubness([[f"{query}"] for query in range(20)] + [["0"]], 1, 10_000)
    assert few.skewness > 20
    assert "no hubs to be seen" in meaning(few)
    assert "no hubs to be seen" in meaning(hubness([["a"], ["b"], ["c"]], 1, 3))


def test_refusals():
    with pytest.raises(BadDataError, match="3 different items, and the gallery has 2"):
        hubness([["a", "b"], ["c"]], 2, 2)
    with pytest.raises(BadDataError, match="0 queries without a hit"):
        hubness([], 2, 5)
    with pytest.raises(UsageError, match="the first 0 hits"):
        hubness([["a"]], 0, 5)
