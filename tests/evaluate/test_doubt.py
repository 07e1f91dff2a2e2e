"""Intervals and paired tests, against SciPy and the reference's case 9."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmr.errors import UsageError
from mmr.evaluate.doubt import (
    TESTS,
    _medians_without_one,
    _shares,
    detectable,
    differences,
    effect,
    holm,
    interval,
    randomization,
    t_test,
    unpaired_interval,
    wilcoxon,
)

A = np.array([0.5, 0.6, 0.4, 0.9, 0.3, 0.7, 0.8, 0.2])
B = np.array([0.4, 0.6, 0.2, 0.7, 0.4, 0.5, 0.5, 0.1])
D = differences(A, B)

tenths = arrays(np.int64, st.integers(2, 12), elements=st.integers(-5, 5)).map(lambda a: np.round(a / 10, 12))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_case_9_differences_are_rounded():
    assert D.tolist() == [0.1, 0, 0.2, 0.2, -0.1, 0.2, 0.3, 0.1]
    assert len(np.unique(np.abs(A - B))) > len(np.unique(np.abs(D)))


def test_case_9_tests():
    t = t_test(D)
    assert t.statistic == pytest.approx(2.7583864218368523, rel=1e-13)
    assert t.p == pytest.approx(0.028161396909008735, rel=1e-13)
    assert randomization(D) == (0.0625, 0.125, "all 2^7 flips of the signs")
    raw = wilcoxon(A - B)
    assert (raw.statistic, raw.p) == (3, 0.078125)
    for zeros, statistic, exact, normal in (
        ("wilcox", 2, 0.046875, 0.039591763236690385),
        ("pratt", 3, 0.0546875, 0.039806089855318166),
    ):
        assert wilcoxon(D, zeros=zeros, method="exact")[:2] == (exact, statistic)
        assert wilcoxon(D, zeros=zeros, method="normal").p == pytest.approx(normal, rel=1e-13)


def test_case_9_interval_holm_and_detectable():
    assert interval(D) == pytest.approx((0.025, 0.2), abs=0.01)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    spread = np.tile([0.2, -0.2], 50) * math.sqrt(99 / 100)
    assert detectable(spread) == pytest.approx(0.05603170436225937, rel=1e-12)


SAMPLES = pytest.mark.parametrize("make", [
    lambda: rng(1).random(30),
    lambda: rng(2).random(200) ** 4,
    lambda: rng(3).integers(0, 2, 60).astype(float),
    lambda: (rng(4).random(400) < 0.03).astype(float),
    lambda: 1 / rng(5).integers(1, 8, 1000),
    lambda: rng(6).standard_normal(1000).round(1),
], ids=["even", "skewed", "hits", "rare hits", "reciprocal ranks", "differences"])  # fmt: skip


@pytest.mark.parametrize("make", [
    lambda: rng(1).random(30), lambda: rng(2).random(201) ** 4, lambda: rng(3).integers(0, 2, 60) / 1,
    lambda: (rng(4).random(400) < 0.03) / 1, lambda: rng(6).integers(-9, 9, 500) / 8,
], ids=["even", "skewed", "hits", "rare hits", "differences"])  # fmt: skip
@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_bca_of_the_same_resamples_is_scipys(make, statistic):
    values = np.sort(make())
    function = getattr(np, statistic)
    if statistic == "median" and len(np.unique(values)) < 20:
        values = values + np.arange(len(values)) / 1024  # SciPy has none where the jackknife gives one median
    theirs = scipy.stats.bootstrap(
        (values,), function, method="BCa", n_resamples=999, rng=rng(), vectorized=True
    )
    assert not np.isnan(theirs.confidence_interval).any()
    left_out = np.array([function(np.delete(values, place)) for place in range(len(values))])
    influence = left_out.mean() - left_out
    shares = _shares(theirs.bootstrap_distribution, function(values), influence, 0.95)
    ends = np.quantile(theirs.bootstrap_distribution, shares)
    assert ends == pytest.approx(tuple(theirs.confidence_interval), rel=1e-9)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 11])
def test_medians_without_one(n):
    ordered = np.sort(rng(n).integers(0, 6, n)).astype(float)
    naive = [np.median(np.delete(ordered, place)) for place in range(n)]
    assert _medians_without_one(ordered).tolist() == naive


@SAMPLES
def test_interval_of_the_mean_is_scipys(make):
    values = make()
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=9999, rng=rng(), batch=100
    ).confidence_interval
    assert interval(values) == pytest.approx(
        tuple(theirs), abs=0.06 * (theirs.high - theirs.low) + 1 / len(values)
    )


@pytest.mark.parametrize("n", [7, 8, 41, 300])
def test_interval_of_the_median_is_scipys(n):
    values = rng(n).standard_normal(n) ** 3
    theirs = scipy.stats.bootstrap(
        (values,), np.median, method="BCa", n_resamples=9999, rng=rng()
    ).confidence_interval
    ours = interval(values, statistic="median")
    ranks = [np.searchsorted(np.sort(values), end) for end in (*ours, *theirs)]
    assert abs(ranks[0] - ranks[2]) <= 1 + n // 60
    assert abs(ranks[1] - ranks[3]) <= 1 + n // 60


def test_median_of_ranks_as_a_plain_bootstrap_has_it():
    ranks = rng(9).geometric(0.2, 501).astype(float)
    drawn = np.median(ranks[rng(1).integers(0, 501, (4000, 501))], axis=1)
    low, high = interval(ranks, statistic="median")
    assert low <= np.median(ranks) <= high
    assert np.quantile(drawn, 0.01) <= low <= high <= np.quantile(drawn, 0.999)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_unpaired_interval_is_scipys(statistic):
    one, other = rng(1).random(90) ** 3, rng(2).random(41)
    function = getattr(np, statistic)
    theirs = scipy.stats.bootstrap(
        (one, other), lambda x, y, axis: function(x, axis) - function(y, axis), method="BCa",
        n_resamples=9999, rng=rng(),
    ).confidence_interval  # fmt: skip
    ours = unpaired_interval(one, other, statistic=statistic)
    assert ours == pytest.approx(tuple(theirs), abs=0.06 * (theirs.high - theirs.low))


def test_unpaired_interval_of_little():
    assert all(math.isnan(end) for end in unpaired_interval(A, np.array([1.0])))
    assert unpaired_interval(np.full(3, 0.75), np.full(4, 0.25)) == (0.5, 0.5)
    with pytest.raises(UsageError):
        unpaired_interval(A, B, statistic="sum")


def test_median_rounded_down():
    ranks = rng(4).integers(1, 40, 200) + 0.0
    ends = interval(ranks, statistic="median"), interval(ranks, statistic="median_floor")
    assert ends[1] == tuple(np.floor(ends[0]))
    halves = np.repeat([1.0, 2.0], 50)
    assert interval(halves, statistic="median_floor") == (1, 2)
    both = (unpaired_interval(ranks, halves, statistic=name) for name in ("median", "median_floor"))
    assert len(set(both)) == 1


def test_percentiles_stand_in_where_bca_is_not_defined():
    tails = pytest.approx((0.025, 0.975), rel=1e-12)
    assert _shares(np.full(99, 2.0), 1.0, np.array([1.0, -1]), 0.95) == tails
    nearly_all_above = np.concatenate([[0.0], np.full(99_999, 2.0)])
    assert _shares(nearly_all_above, 1.0, np.array([-1.0, 0.001]), 0.95) == tails


def test_interval_without_doubt_to_speak_of():
    assert all(math.isnan(end) for end in interval(np.array([0.4])))
    assert all(math.isnan(end) for end in interval(np.array([])))
    assert interval(np.full(9, 0.1)) == (0.1, 0.1)


def test_a_wider_level_holds_the_narrower():
    values = rng(3).random(80)
    narrow, wide = interval(values, level=0.8), interval(values, level=0.99)
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]


def test_bad_statistic_and_level():
    with pytest.raises(UsageError, match="no interval of the mode"):
        interval(A, statistic="mode")
    with pytest.raises(UsageError, match="level 95"):
        interval(A, level=95)


def test_the_order_of_queries_does_not_matter():
    values = rng(3).random(700)
    assert interval(values) == interval(values[::-1]) == interval(rng(1).permutation(values))


PROGRAM = """
import json, numpy as np
from mmr.evaluate.doubt import interval, randomization
values = np.random.default_rng(7).standard_normal(3000) + .02
print(json.dumps([interval(values), interval(values, statistic="median"), randomization(values)]))
"""


def test_the_same_at_any_thread_count():
    answers = set()
    for threads in ("1", "2", "8"):
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        answers.add(subprocess.check_output([sys.executable, "-c", PROGRAM], env=os.environ | limits))
    values = rng(7).standard_normal(3000) + 0.02
    here = [interval(values), interval(values, statistic="median"), randomization(values)]
    assert [json.loads(answer) for answer in answers] == [json.loads(json.dumps(here))]


def test_another_seed_moves_the_interval_a_little():
    values = rng(3).random(200)
    one, other = interval(values, seed=1), interval(values, seed=2)
    assert one != other
    assert one == pytest.approx(other, abs=0.005)


@settings(max_examples=60)
@given(tenths)
def test_randomization_is_the_naive_share(d):
    flips = [abs(np.mean(d * signs)) >= abs(d.mean()) - 1e-12 for signs in product((1, -1), repeat=len(d))]
    assert randomization(d).p == pytest.approx(np.mean(flips), rel=1e-12)


def test_random_flips_come_near_all_flips():
    d = np.round(rng(8).standard_normal(20) + 0.3, 12)
    exact = randomization(d).p
    more = np.concatenate([d, [1e-9]])
    assert "100,000 random flips" in randomization(more).how
    assert randomization(more).p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 100_000))


def test_random_flips_are_as_many_sums_of_either_sign():
    d = rng(2).random(37)
    flipped = np.array([randomization(d * s, seed=3, resamples=2000).p for s in (1, -1)])
    assert (flipped == 1 / 2001).all()


def test_pairs_without_a_difference_change_nothing():
    d = np.round(rng(8).standard_normal(40) * 0.1 + 0.01, 12)
    with_zeros = np.concatenate([d, np.zeros(300)])
    assert randomization(with_zeros).p == randomization(d).p
    assert randomization(np.zeros(50)).p == 1
    assert math.isnan(randomization(np.array([])).p)


@settings(max_examples=60)
@given(tenths)
def test_t_is_scipys(d):
    ours = t_test(d)
    if (d == d[0]).all():
        assert math.isnan(ours.p) == (d[0] == 0)
        return
    theirs = scipy.stats.ttest_rel(d, np.zeros(len(d)))
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)


def test_t_of_one_pair_and_of_no_difference_says_so():
    assert math.isnan(t_test(np.array([0.3])).p)
    assert "fewer than two" in t_test(np.array([0.3])).how
    assert math.isnan(t_test(np.zeros(4)).p)
    assert "no pair differs" in t_test(np.zeros(4)).how
    assert t_test(np.full(4, 0.1)).p == 0


@pytest.mark.parametrize(("n", "digits", "how"), [
    (12, 9, "exact"), (50, 9, "exact"), (51, 9, "normal"), (12, 0, "all flips"), (30, 0, "normal"),
])  # fmt: skip
@pytest.mark.parametrize("zeros", ["wilcox", "pratt"])
def test_wilcoxon_is_scipys_choice(n, digits, how, zeros):
    d = rng(n).normal(0.4, 1.5, n).round(digits)
    d[d == 0] = 1
    theirs = scipy.stats.wilcoxon(d, zero_method=zeros)
    ours = wilcoxon(d, zeros=zeros)
    assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-12)
    assert ours.how.startswith(how)


def test_wilcoxon_drops_zeros_before_it_chooses():
    d = np.array([0.1, -0.2, 0.3, 0.4, 0.5, 0.5, 0.7])
    assert wilcoxon(np.concatenate([d, np.zeros(100)])) == wilcoxon(d)
    assert math.isnan(wilcoxon(np.zeros(9)).p)


@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=8))
def test_holm_naively(ps):
    real = sorted(p for p in ps if not math.isnan(p))
    m = len(real)
    for p, corrected in zip(ps, holm(ps), strict=True):
        if math.isnan(p):
            assert math.isnan(corrected)
            continue
        place = max(i for i, other in enumerate(real) if other <= p)
        want = max(min(1, (m - j) * real[j]) for j in range(place + 1))
        assert corrected == pytest.approx(want, rel=1e-12)


def test_effect_and_detectable():
    assert effect(D) == pytest.approx(D.mean() / D.std(ddof=1), rel=1e-14)
    assert math.isnan(effect(np.full(3, 0.1)))
    assert math.isnan(effect(np.zeros(5)))
    assert math.isnan(detectable(np.array([1.0])))
    assert detectable(np.full(3, 0.1)) == 0


def test_every_test_is_called_alike():
    for name, test in TESTS.items():
        assert 0 < test(D, 0).p < 0.1, name
