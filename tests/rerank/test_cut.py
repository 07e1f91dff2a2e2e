"""Where a ranking ends: the reference's worked cases, the formulas naively, and each trap by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.rerank import cut
from mmr.rerank.cut import Kept, bounded, calibrated, chance, gap, mass, mixtures, threshold

WORKED = [0.82, 0.80, 0.78, 0.45, 0.44, 0.43, 0.41, 0.40, 0.39, 0.38]


def gmm(scores):
    (found,) = cut.gmm([scores])
    return found


def mixture(scores):
    """The mixture of one list."""
    found = mixtures(np.array([scores]))
    return found._make(figure[0] for figure in found)


def naive_mixture(x):
    """The same EM written out with loops."""
    n = len(x)
    mean = sum(x) / n
    var = max(sum((v - mean) ** 2 for v in x) / n, 1e-6)
    means, variances, weights = [min(x), max(x)], [var, var], [0.5, 0.5]
    for _ in range(200):
        shares = []
        for v in x:
            parts = [
                w * math.exp(-((v - m) ** 2) / (2 * s)) / math.sqrt(2 * math.pi * s)
                for m, s, w in zip(means, variances, weights, strict=True)
            ]
            shares.append([part / sum(parts) for part in parts])
        for c in range(2):
            size = sum(share[c] for share in shares)
            means[c] = sum(share[c] * v for share, v in zip(shares, x, strict=True)) / size
            spread = sum(share[c] * (v - means[c]) ** 2 for share, v in zip(shares, x, strict=True)) / size
            variances[c] = max(spread, 1e-6)
            weights[c] = size / n
    return means, [math.sqrt(v) for v in variances], weights


def test_gmm_worked():
    found = mixture(WORKED)
    assert found.means == pytest.approx([0.41429, 0.80], abs=1e-4)
    assert found.spreads == pytest.approx([0.0244, 0.0164], abs=1e-4)
    assert found.weights == pytest.approx([0.7, 0.3], abs=1e-4)
    assert found.upper[:3] == pytest.approx([1, 1, 1], abs=1e-4)
    assert gmm(WORKED).size == 3


def test_gmm_worked_with_the_caps_of_vidorag():
    kept = bounded(gmm(WORKED), len(WORKED), 5, 10)
    assert kept.size == 5
    assert kept.reason.endswith("; 5 at least")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=15))
def test_mixture_is_the_formula(values):
    x = sorted((round(v, 3) for v in values), reverse=True)
    if x[0] - x[-1] < 0.05:
        return
    means, spreads, weights = naive_mixture(x)
    found = mixture(x)
    order = sorted(range(2), key=lambda i: means[i])
    assert found.means == pytest.approx([means[i] for i in order], abs=1e-6)
    assert found.spreads == pytest.approx([spreads[i] for i in order], abs=1e-6)
    assert found.weights == pytest.approx([weights[i] for i in order], abs=1e-6)


def test_mixture_is_the_formula_at_1e10():
    means, spreads, weights = naive_mixture(WORKED)
    found = mixture(WORKED)
    assert found.means == pytest.approx(means, abs=1e-10)
    assert found.spreads == pytest.approx(spreads, abs=1e-10)
    assert found.weights == pytest.approx(weights, abs=1e-10)


def test_trap_gmm_splits_no_list_of_one_hump():
    random = np.random.default_rng(0)
    many = 0
    for _ in range(100):
        hump = np.sort(random.normal(0.3, 0.02, 20))[::-1]
        assert mixture(hump).means[0] < mixture(hump).means[1], "there are always two Gaussians"
        many += gmm(hump).size is not None
    assert many <= 12
    assert bounded(gmm([0.5, 0.49, 0.48, 0.47, 0.46, 0.45]), 6, 0, 4) == Kept(
        4, gmm([0.5, 0.49, 0.48, 0.47, 0.46, 0.45]).reason + "; 4 at most"
    )


def test_gmm_keeps_one_clear_winner():
    others = np.sort(np.random.default_rng(1).normal(0.3, 0.02, 19))[::-1]
    assert gmm([0.9, *others]).size == 1


def test_trap_gmm_one_low_score_is_no_group():
    """Its Gaussian would have the floor as its spread, and stand apart from anything."""
    scores = [0.35, 0.34, 0.33, 0.32, 0.31, 0.30, 0.29, 0.28, 0.27, 0.24]
    assert gmm(scores).size is None


def test_trap_gmm_keeps_a_prefix_where_the_wide_group_claims_the_top():
    near = [0.803, 0.802, 0.802, 0.801, 0.801, 0.80, 0.80, 0.799, 0.799, 0.798, 0.798, 0.797]
    scores = np.array([0.9, *near, 0.5, 0.4, 0.3, 0.1, -0.1, -0.3, -0.6])
    claimed = mixture(scores).upper > 0.5
    assert not claimed[0], "the wide group claims the best hit"
    assert claimed[1:13].all()
    assert bounded(gmm(scores), 20, 1, 10).size == 10, "and the best hit stays all the same"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30), st.floats(0.01, 10), st.floats(-3, 3))
def test_gmm_never_tears_a_hole_and_is_the_same_twice(values, scale, shift):
    scores = np.sort(np.array(values) * scale + shift)[::-1]
    kept = gmm(scores)
    assert kept == gmm(scores)
    assert kept.size is None or 1 <= kept.size < len(scores)


def test_gmm_of_few_or_equal_scores():
    assert gmm([]).size is None
    assert gmm([0.5]).size is None
    assert gmm([0.5, 0.5, 0.5]) == Kept(None, "all scores are equal")


def test_gmm_looks_at_the_first_twenty():
    scores = [*WORKED, *np.linspace(0.37, 0.30, 10), *([-9.0] * 30)]
    assert gmm(scores).size == gmm(scores[:20]).size == 3


def test_many_lists_at_once_are_each_alone():
    random = np.random.default_rng(3)
    lists = [np.sort(random.normal(0.3, 0.1, size))[::-1] for size in (0, 1, 2, 5, 20, 20, 20, 30, 5, 2)] * 5
    assert cut.gmm(lists) == [gmm(one) for one in lists]


def test_gap_worked():
    kept = gap(WORKED)
    assert kept.size == 3
    assert "0.33 after hit 3" in kept.reason


def test_gap_lies_between_the_bounds():
    assert gap(WORKED, z=0, least=4, most=10).size != 3
    assert gap(WORKED, z=0, least=1, most=3).size in (1, 2)
    assert gap(WORKED, least=3, most=3).size is None


def test_trap_the_raw_gap_prefers_the_head():
    """A smooth list whose widest raw gap is at its head: in standard deviations it is no gap."""
    scores = 1 / np.arange(2.0, 22)
    assert gap(scores, z=0).size == 1
    assert gap(scores * 100, z=0).size == 1
    smooth = np.linspace(0.9, 0.1, 20)
    assert gap(smooth).size is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=2, max_size=25), st.integers(0, 5), st.integers(0, 4))
def test_gap_is_the_formula_and_knows_no_scale(values, power, shift):
    x = sorted(values, reverse=True)
    gaps = [x[i] - x[i + 1] for i in range(min(len(x), 10, 20) - 1)]
    kept = gap(np.array(x, float))
    if not gaps or x[0] == x[min(len(x), 20) - 1]:
        assert kept.size is None
        return
    best = max(gaps)
    if best >= 1.5 * float(np.std(x[:20])) + 1e-9:
        assert kept.size == gaps.index(best) + 1
    elif best < 1.5 * float(np.std(x[:20])) - 1e-9:
        assert kept.size is None
    assert gap(np.array(x, float) * 2**power + shift).size == kept.size


def test_threshold():
    assert threshold(WORKED, 0.45).size == 4
    assert threshold(WORKED, 0.9).size == 0
    assert threshold(WORKED, ratio=0.9).size == 3
    assert threshold(WORKED, 0.81, 0.9) == Kept(1, "at least 0.81")
    assert threshold([], 0.5, 0.9).size == 0


def test_trap_a_ratio_of_a_score_below_zero_is_no_bound():
    with pytest.raises(ValueError, match=r"-0\.1, and a ratio needs one above 0"):
        threshold([-0.1, -0.2], ratio=0.9)


def test_mass():
    parts = [math.exp(s / 0.1) for s in WORKED]
    shares = [part / sum(parts) for part in parts]
    for share in (0.1, 0.3, 0.5, 0.9, 0.97, 1.0):
        expected = next((i + 1 for i in range(10) if sum(shares[: i + 1]) >= share - 1e-12), 10)
        assert mass(WORKED, share, 0.1).size == expected
    assert mass([0.3, 0.3], 0.5).size == 1
    assert mass([], 0.5).size == 0
    assert mass([900, -900], 0.9, 1e-4).size == 1


def test_calibrated():
    naive = [1 / (1 + math.exp(-(20 * s - 12))) for s in WORKED]
    assert chance(WORKED, 20, -12) == pytest.approx(naive, abs=1e-12)
    assert calibrated(WORKED, 20, -12).size == sum(p >= 0.5 for p in naive) == 3
    assert calibrated(WORKED, 20, -12, 0.999).size == 0
    assert calibrated([], 1, 0).size == 0
    assert np.isfinite(chance([1e6, -1e6], 1, 0)).all()


def test_bounds():
    assert bounded(Kept(0, "r"), 5, 0, 10) == Kept(0, "r")
    assert bounded(Kept(0, "r"), 5, 1, 10) == Kept(1, "r; 1 at least")
    assert bounded(Kept(0, "r"), 0, 1, 10) == Kept(0, "r")
    assert bounded(Kept(12, "r"), 20, 1, 10) == Kept(10, "r; 10 at most")
    assert bounded(Kept(3, "r"), 20, 1, 10) == Kept(3, "r")
    assert bounded(Kept(None, "r"), 4, 1, 10) == Kept(4, "r")
