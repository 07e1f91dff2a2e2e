"""Every measure against its formula on Python lists, pytrec_eval and ir_measures, on random runs."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.evaluate.grammar import parse
from tests.evaluate.made import judged, naive, ranked

DOCS = [f"d{i}" for i in range(12)] + ["é", "中文", "Ω#1", "a b", "𝒳"]
SCORES = st.sampled_from([0.0, 1.0, 1.000000001, 2.5, -3.0, 16777216.0, 16777217.0]) | st.floats(
    -5, 5, width=32
)
QUERY = st.sampled_from(["q1", "q2", "q10", "é", "中"])


ANY_QRELS = st.dictionaries(
    QUERY, st.dictionaries(st.sampled_from(DOCS), st.integers(-2, 3), min_size=1), min_size=1
)


def grades(low: int):
    """Judgements without queries that have only negative ones: pytrec_eval can hang on these."""
    return st.dictionaries(
        QUERY,
        st.dictionaries(st.sampled_from(DOCS), st.integers(low, 3), min_size=1).filter(
            lambda rels: max(rels.values()) >= 0
        ),
        min_size=1,
    )


RUNS = st.dictionaries(QUERY, st.dictionaries(st.sampled_from(DOCS), SCORES, max_size=14))

CUTS = (1, 2, 3, 5, 10, 100)
OURS = [
    *(f"{name}@{k}" for name in ("P", "R", "R_cap", "hit", "all", "mP", "Judged") for k in CUTS),
    *(f"{name}(rel=2)@{k}" for name in ("P", "R", "R_cap", "hit", "all", "RR", "AP") for k in CUTS),
    *(f"{name}@{k}" for name in ("RR", "AP", "AP(norm=min)", "AP(norm=ret)", "nDCG", "nDCG(gain=exp2)", "DCG",
                                 "DCG(gain=exp2)", "RBP", "RBP_residual") for k in CUTS),
    "RR", "RR(rel=2)", "AP", "AP(rel=2)", "AP(norm=min)", "AP(norm=ret)", "AP(norm=trapezoid)",
    "AP(rel=2,norm=trapezoid)", "AP_R", "AP_R(rel=2)", "nDCG", "nDCG(gain=exp2)", "DCG", "Rprec",
    "Rprec(rel=2)",
    "bpref", "bpref(rel=2)", "RBP", "RBP(p=0.95)", "RBP(rel=2)", "RBP(gain=graded)", "RBP(gain=graded,top=5)",
    "RBP_residual(p=0.5)", "rsum", "SetP", "SetR", "SetF", "SetF(beta=0.5)", "SetF(rel=2,beta=3.0)", "NumRet",
    "NumRel", "NumRel(rel=2)", "NumRelRet", "NumRelRet(rel=3)", "Judged",
]  # fmt: skip

TREC = {
    "map": "AP", "recip_rank": "RR", "Rprec": "Rprec", "bpref": "bpref", "set_P": "SetP", "ndcg": "nDCG",
    "set_recall": "SetR", "set_F": "SetF", "num_ret": "NumRet", "num_rel": "NumRel",
    "num_rel_ret": "NumRelRet",
    **{f"map_cut_{k}": f"AP@{k}" for k in (1, 3, 5, 100)}, **{f"P_{k}": f"P@{k}" for k in (1, 3, 5, 100)},
    **{f"recall_{k}": f"R@{k}" for k in (1, 3, 5, 100)},
    **{f"ndcg_cut_{k}": f"nDCG@{k}" for k in (1, 3, 5, 100)},
    **{f"success_{k}": f"hit@{k}" for k in (1, 3, 5, 100)},
}  # fmt: skip
AT_LEVEL = ("nDCG", "NumRet")


@settings(max_examples=120, deadline=None)
@given(RUNS, ANY_QRELS)
def test_every_measure_is_its_formula(run, qrels):
    block = judged(run, qrels)
    for measure in parse(",".join(OURS)):
        expected = [
            naive(measure.row.name, ranked(run.get(q, {})), qrels[q], measure.cutoff, **dict(measure.params))
            for q in sorted(qrels)
        ]
        np.testing.assert_allclose(
            measure.values(block), expected, rtol=1e-12, atol=1e-14, err_msg=str(measure)
        )


@settings(max_examples=80, deadline=None)
@given(RUNS, ANY_QRELS)
def test_ranks_of_the_first_relevant(run, qrels):
    block = judged(run, qrels, gallery=50)
    for text in ("MeanR", "MedR(rel=2)", "MedR_floor"):
        (measure,) = parse(text)
        level = dict(measure.params)["rel"]
        expected = []
        for q in sorted(qrels):
            order = ranked(run.get(q, {}))
            found = any(qrels[q].get(doc, 0) >= level for doc in order)
            expected.append(naive("MeanR", order, qrels[q], rel=level) if found else 51)
        assert measure.values(block).tolist() == expected


def pytrec(run, qrels, level):
    """Values of pytrec_eval, 0 where a query has no ranking; ids are given to it as they are."""
    filled = {
        query: {doc: float(score) for doc, score in hits.items()} for query, hits in run.items() if hits
    }
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, set(TREC), relevance_level=level)
    return evaluator.evaluate(filled)


@settings(max_examples=150, deadline=None)
@given(RUNS, grades(-1), st.integers(1, 3))
def test_pytrec_eval_agrees(run, qrels, level):
    theirs = pytrec(run, qrels, level)
    block = judged(run, qrels)
    for name, text in TREC.items():
        (measure,) = parse(text)
        if any(param.name == "rel" for param in measure.row.params):
            cut = f"@{measure.cutoff}" if measure.cutoff else ""
            (measure,) = parse(f"{measure.row.name}(rel={level}){cut}")
        for query, value in zip(block.queries, measure.values(block), strict=True):
            if query in theirs:
                assert value == pytest.approx(theirs[query][name], rel=1e-12, abs=1e-12), (name, query)


SAME = (
    "P@1", "P@5", "P(rel=2)@5", "R@3", "R(rel=2)@3", "RR", "AP", "AP@5", "AP(rel=2)", "nDCG",
    "nDCG@3", "Rprec",
    "Judged@3", "SetP", "SetR", "SetF", "SetF(beta=2.0)", "NumRet", "NumRel",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(RUNS, grades(0))
def test_ir_measures_agrees(run, qrels):
    """On all of its queries but where ties are ordered differently: RR@k and Judged@k by id ascending."""
    names = {text: ir_measures.parse_measure(text) for text in SAME}
    names |= {f"hit@{k}": ir_measures.parse_measure(f"Success@{k}") for k in (1, 5)}
    names |= {"bpref": ir_measures.parse_measure("Bpref"), "NumRelRet": ir_measures.NumRelRet}
    untied = {
        query: {doc: float(len(hits) - place) for place, doc in enumerate(ranked(hits))}
        for query, hits in run.items()
        if hits
    }
    theirs = {
        (found.measure, found.query_id): found.value
        for found in ir_measures.iter_calc(list(names.values()), qrels, untied)
    }
    block = judged(run, qrels)
    for text, name in names.items():
        for query, value in zip(block.queries, parse(text)[0].values(block), strict=True):
            if query in untied:
                assert value == pytest.approx(theirs[name, query], rel=1e-12, abs=1e-12), (text, query)


def test_ties_that_ir_measures_orders_by_id_ascending():
    run, qrels = {"q": {"a": 1.0, "b": 1.0, "c": 1.0}}, {"q": {"a": 1}}
    (theirs,) = ir_measures.iter_calc([ir_measures.parse_measure("RR@10")], qrels, run)
    assert theirs.value == 1
    assert parse("RR@10")[0].values(judged(run, qrels)).tolist() == [1 / 3]


def test_no_queries_give_no_values():
    block = judged({}, {}, gallery=1, among={})
    for measure in parse(",".join([*OURS, "MeanR", "MedR", "R_subset@1", "CIRR_avg"])):
        assert measure.values(block).shape == (0,)
