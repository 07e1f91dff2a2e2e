"""`--ties average`: each closed form is the mean over every order that the scores allow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.evaluate.grammar import parse
from mmr.evaluate.table import MEASURES
from tests.evaluate.made import judged, mean, naive, one, orders

DOCS = [f"d{i}" for i in range(7)] + ["é"]
SCORES = st.dictionaries(
    st.sampled_from(DOCS), st.sampled_from([0.0, 1.0, 2.0]), max_size=7
).filter(lambda scores: len(orders(scores)) <= 800)  # fmt: skip
RELS = st.dictionaries(st.sampled_from([*DOCS, "out"]), st.integers(-1, 3), min_size=1)

AVERAGED = [
    *(f"{name}@{k}" for k in (1, 2, 3, 5, 20)
      for name in ("P", "P(rel=2)", "R", "R_cap", "hit", "all", "RR", "RR(rel=2)", "AP", "AP(rel=2)",
                   "AP(norm=min)", "nDCG", "nDCG(gain=exp2)", "DCG", "RBP", "RBP(gain=graded)",
                   "RBP_residual", "Judged")),
    "RR", "AP", "AP(norm=min)", "AP_R", "AP_R(rel=2)", "nDCG", "DCG(gain=exp2)", "Rprec", "Rprec(rel=2)",
    "RBP", "RBP(gain=graded,p=0.95)", "RBP_residual", "Judged", "rsum", "SetP", "SetR", "SetF", "NumRet",
    "NumRel", "NumRelRet",
]  # fmt: skip


def expectation(measure, scores, rels) -> float:
    every = orders(scores)
    return mean([naive(measure.row.name, o, rels, measure.cutoff, **dict(measure.params)) for o in every])


@settings(max_examples=60, deadline=None)
@given(SCORES, RELS)
def test_closed_forms_are_means_over_all_orders(scores, rels):
    block = one(scores, rels, average=True)
    for measure in parse(",".join(AVERAGED)):
        expected = expectation(measure, scores, rels)
        assert measure.values(block).item() == pytest.approx(expected, rel=1e-11, abs=1e-12), str(measure)


@settings(max_examples=60, deadline=None)
@given(SCORES, RELS)
def test_the_mean_rank_of_the_first_relevant(scores, rels):
    block = one(scores, rels, average=True, gallery=9)
    (measure,) = parse("MeanR")
    found = any(rels.get(doc, 0) >= 1 for doc in scores)
    expected = expectation(measure, scores, rels) if found else 10
    assert measure.values(block).item() == pytest.approx(expected, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(SCORES, RELS, st.sets(st.sampled_from(DOCS)))
def test_candidates_of_a_query_are_averaged_as_well(scores, rels, among):
    block = one(scores, rels, average=True, among={"q": sorted(among)})
    cut = {doc: score for doc, score in scores.items() if doc in among}
    for k in (1, 2, 3):
        expected = mean([naive("hit", order, rels, k) for order in orders(cut)])
        assert parse(f"R_subset@{k}")[0].values(block).item() == pytest.approx(expected, abs=1e-12)
    average = (mean([naive("hit", order, rels, 5) for order in orders(scores)])
               + mean([naive("hit", order, rels, 1) for order in orders(cut)])) / 2  # fmt: skip
    assert parse("CIRR_avg")[0].values(block).item() == pytest.approx(average, abs=1e-12)


def test_every_measure_that_averages_is_tested_above():
    tested = {measure.row.name for measure in parse(",".join(AVERAGED))} | {"MeanR", "R_subset", "CIRR_avg"}
    assert {row.name for row in MEASURES if row.average and row.needs != "scores"} == tested


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(12)), RELS)
def test_without_ties_the_average_is_the_value(order, rels):
    scores = {doc: float(score) for doc, score in zip([*DOCS, "x", "y", "z", "w"], order, strict=True)}
    plain, averaged = one(scores, rels), one(scores, rels, average=True)
    for measure in parse(",".join(AVERAGED)):
        np.testing.assert_array_almost_equal_nulp(measure.values(averaged), measure.values(plain), nulp=4)


@pytest.mark.parametrize(("n", "c", "k"), [(1000, 1, 10), (1000, 3, 10), (1000, 999, 5), (5000, 40, 100)])
def test_large_groups_of_equal_scores(n, c, k):
    """All n items tie, c of them are relevant: hypergeometric draws."""
    block = one({f"d{i}": 0.5 for i in range(n)}, {f"d{i}": 1 for i in range(c)}, average=True)

    def value(text):
        return parse(text)[0].values(block).item()

    assert value(f"hit@{k}") == pytest.approx(1 - math.comb(n - c, k) / math.comb(n, k), rel=1e-12)
    assert value(f"all@{k}") == pytest.approx(math.comb(k, c) / math.comb(n, c), rel=1e-12)
    assert value(f"P@{k}") == pytest.approx(c / n, rel=1e-12)
    chances = [math.comb(n - i, c - 1) / math.comb(n, c) for i in range(1, n - c + 2)]
    assert value("RR") == pytest.approx(math.fsum(p / i for i, p in enumerate(chances, 1)), rel=1e-11)
    among = math.fsum((c / n) * (1 + (i - 1) * (c - 1) / (n - 1)) / i for i in range(1, n + 1))
    assert value("AP") == pytest.approx(among / c, rel=1e-11)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5]), st.integers(0, 3)), min_size=2, max_size=40),
    st.sampled_from([1, 3, 10, None]),
)
def test_scikit_learn_averages_the_same_way(hits, k):
    """Its ideal holds retrieved items alone, so every judged item is retrieved here."""
    from sklearn.metrics import dcg_score, ndcg_score

    scores, rels = [score for score, _ in hits], [rel for _, rel in hits]
    block = one(
        {f"d{i}": s for i, s in enumerate(scores)}, {f"d{i}": r for i, r in enumerate(rels)}, average=True
    )
    for text, theirs in (("nDCG", ndcg_score), ("DCG", dcg_score)):
        (measure,) = parse(text if k is None else f"{text}@{k}")
        assert measure.values(block).item() == pytest.approx(
            theirs([rels], [scores], k=k), rel=1e-12, abs=1e-12
        )


def test_several_queries_do_not_mix():
    run = {
        "q1": {"a": 1.0, "b": 1.0},
        "q2": {},
        "q3": {"a": 1.0, "b": 1.0, "c": 1.0},
        "q4": {"a": 2.0, "b": 1.0},
    }
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 1, "b": 1}, "q4": {"b": 1}}
    block = judged(run, qrels, average=True)
    expected = {"RR": [0.75, 0, 2 / 3 + 1 / 6, 0.5], "hit@1": [0.5, 0, 2 / 3, 0], "all@2": [1, 0, 1 / 3, 1]}
    for text, values in expected.items():
        assert parse(text)[0].values(block) == pytest.approx(values)
