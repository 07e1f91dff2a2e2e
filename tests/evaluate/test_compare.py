"""Runs against a baseline: the same queries, one correction, no comparison with nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from mmr.errors import BadDataError, UsageError
from mmr.evaluate.compare import compare
from mmr.evaluate.doubt import holm, interval, randomization
from mmr.evaluate.scored import Counts, Scored

A = [0.5, 0.6, 0.4, 0.9, 0.3, 0.7, 0.8, 0.2]
B = [0.4, 0.6, 0.2, 0.7, 0.4, 0.5, 0.5, 0.1]
QUERIES = [f"q{i}" for i in range(8)]


def scored(name, values, queries=QUERIES, counts=None, totals=None):
    values = {measure: np.array(column, dtype=float) for measure, column in values.items()}
    counts = counts or Counts(len(queries), len(queries), len(queries), 0, 0)
    return Scored(name, queries, values, totals or {}, counts)


def test_case_9_as_a_comparison():
    (one,) = compare([scored("b", {"AP": B}), scored("a", {"AP": A})], ["AP"])
    assert (one.run, one.baseline, one.measure, one.queries) == ("a", "b", "AP", 8)
    assert one.difference == pytest.approx(0.125, rel=1e-15)
    assert one.value - one.base == pytest.approx(0.125, rel=1e-14)
    assert (one.p, one.holm, one.up, one.down) == (0.0625, 0.0625, 6, 1)
    assert not one.significant
    assert (one.low, one.high) == pytest.approx((0.025, 0.2), abs=0.01)
    d = np.round(np.subtract(A, B), 12)
    assert one.effect == pytest.approx(d.mean() / d.std(ddof=1))
    z = scipy.stats.norm.ppf([0.975, 0.8]).sum()
    assert one.detectable == pytest.approx(z * d.std(ddof=1) / math.sqrt(8), rel=1e-12)


@pytest.mark.parametrize(("test", "p"), [("t", 0.028161396909008735), ("wilcoxon", 0.0625)])
def test_the_other_tests(test, p):
    (one,) = compare([scored("b", {"AP": B}), scored("a", {"AP": A})], ["AP"], test=test)
    assert one.p == pytest.approx(p, rel=1e-12)
    assert one.how.startswith(f"{test}: ")


def test_holm_is_over_systems_times_measures():
    rng = np.random.default_rng(5)
    base = {"AP": rng.random(40), "RR": rng.random(40)}
    queries = [f"{i:02}" for i in range(40)]
    others = [
        scored(f"s{j}", {m: v + rng.normal(j / 20, 0.2, 40) for m, v in base.items()}, queries)
        for j in range(3)
    ]
    compared = compare([scored("base", base, queries), *others], ["AP", "RR"])
    assert [(one.run, one.measure) for one in compared] == [
        (f"s{j}", measure) for j in range(3) for measure in ("AP", "RR")
    ]
    assert [one.holm for one in compared] == holm([one.p for one in compared])
    assert [one.holm for one in compared] != [one.p for one in compared]


def test_only_queries_that_both_have():
    base = scored("base", {"AP": [0.1, 0.2, 0.3, 0.4]}, ["a", "b", "c", "e"])
    run = scored("run", {"AP": [0.9, 0.5, math.nan, 0.5]}, ["b", "c", "d", "e"])
    (one,) = compare([base, run], ["AP"])
    assert (one.queries, one.left_out) == (3, 1)
    assert (one.base, one.value) == (pytest.approx(0.3), pytest.approx(1.9 / 3))
    assert one.difference == pytest.approx((0.7 + 0.2 + 0.1) / 3)


def test_queries_without_a_value_are_left_out_of_their_measure_alone():
    base = scored("base", {"AP": [0.1, 0.2, 0.3], "AUC_query": [0.1, math.nan, 0.3]}, ["a", "b", "c"])
    run = scored("run", {"AP": [0.1, 0.3, 0.3], "AUC_query": [0.5, 0.5, math.nan]}, ["a", "b", "c"])
    ap, auc = compare([base, run], ["AP", "AUC_query"])
    assert (ap.queries, ap.left_out) == (3, 0)
    assert (auc.queries, auc.left_out, auc.difference) == (1, 2, 0.4)
    assert math.isnan(auc.low)


def test_a_pooled_measure_is_shown_and_not_tested():
    base = scored("base", {"AP": B}, totals={"AUC": 0.5})
    run = scored("run", {"AP": A}, totals={"AUC": 0.75})
    pooled, ap = compare([base, run], ["AUC", "AP"])
    assert (pooled.base, pooled.value, pooled.difference) == (0.5, 0.75, 0.25)
    assert math.isnan(pooled.p)
    assert "nothing to pair" in pooled.how
    assert ap.holm == ap.p


def test_a_median_is_compared_by_its_mean():
    base = scored("base", {"MedR": [1, 2, 9], "AP": [0, 0, 1]}, ["a", "b", "c"])
    run = scored("run", {"MedR": [1, 1, 1], "AP": [0, 1, 1]}, ["a", "b", "c"])
    ranks, ap = compare([base, run], ["MedR", "AP"])
    assert (ranks.base, ranks.value) == (4, 1)
    assert ranks.how.endswith("; means are compared, where MedR is a median")
    assert "means" not in ap.how


def test_equal_runs_differ_by_nothing():
    (one,) = compare([scored("a", {"AP": A}), scored("again", {"AP": A})], ["AP"])
    assert (one.difference, one.p, one.low, one.high, one.up, one.down) == (0, 1, 0, 0, 0, 0)
    assert math.isnan(one.effect)


def test_no_comparison_with_nothing():
    good = scored("good", {"AP": A})
    empty = scored("empty.run", {"AP": [0.0] * 8}, counts=Counts(8, 0, 8, 8, 0))
    with pytest.raises(BadDataError, match=r"empty\.run cannot be compared: it is empty"):
        compare([good, empty], ["AP"])
    foreign = scored("other.run", {"AP": [0.0] * 8}, counts=Counts(8, 1200, 8, 8, 1200))
    with pytest.raises(BadDataError, match=r"its 1,200 queries are not in the judgements"):
        compare([foreign, good], ["AP"])
    apart = scored("apart", {"AP": A}, [f"x{i}" for i in range(8)])
    with pytest.raises(BadDataError, match="good and apart have no query in common"):
        compare([good, apart], ["AP"])


def test_wrong_use():
    with pytest.raises(UsageError, match="at least two runs"):
        compare([scored("a", {"AP": A})], ["AP"])
    with pytest.raises(UsageError, match="no test is called sign"):
        compare([scored("a", {"AP": A})] * 2, ["AP"], test="sign")


def test_the_seed_reaches_the_flips_and_the_interval():
    rng = np.random.default_rng(1)
    queries = [f"{i:03}" for i in range(100)]
    base, better = rng.random(100), rng.random(100)
    runs = [scored("a", {"AP": base}, queries), scored("b", {"AP": better}, queries)]
    d = np.round(better - base, 12)
    one, other = (compare(runs, ["AP"], seed=seed)[0] for seed in (1, 2))
    assert (one.p, one.low, one.high) == (randomization(d, seed=1).p, *interval(d, seed=1))
    assert (one.p, one.low) != (other.p, other.low)
