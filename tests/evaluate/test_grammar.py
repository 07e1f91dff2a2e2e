"""How measures are written: what is read, what is refused, and that each form reads back to itself."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.errors import UsageError
from mmr.evaluate.grammar import LIST_COMMAND, Measure, parse
from mmr.evaluate.table import ALIASES, CUT_WITH_UNDERSCORE, MEASURES, Param

NAMES = [row.name for row in MEASURES]


@st.composite
def measures(draw: st.DrawFn) -> Measure:
    """Any measure that the table allows."""
    row = draw(st.sampled_from(MEASURES))

    def value(param: Param):
        if param.choices:
            return draw(st.sampled_from(param.choices))
        if isinstance(param.default, int):
            return draw(st.integers(int(param.low), int(param.high)))
        if isinstance(param.default, float):
            return draw(st.floats(param.low, param.high))
        return draw(st.text(min_size=1).filter(lambda text: "'" not in text or '"' not in text))

    params = tuple((param.name, value(param)) for param in row.params)
    cut = {"no": st.none(), "may": st.none() | st.integers(1, 10**9), "must": st.integers(1, 10**9)}[
        row.cutoff
    ]
    measure = Measure(row, params, draw(cut))
    return Measure(row, params, None) if measure.uncut else measure


@given(st.lists(measures(), min_size=1, max_size=4, unique_by=str))
def test_every_measure_reads_back_to_itself(wanted):
    assert parse(",".join(map(str, wanted))) == tuple(wanted)
    assert parse(" , ".join(f" {measure} " for measure in wanted)) == tuple(wanted)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("nDCG@10", ["nDCG@10"]),
        ("nDCG(gain=linear)@10", ["nDCG@10"]),
        ("nDCG( gain = exp2 ) @ 10", ["nDCG(gain=exp2)@10"]),
        ("AP(norm=min,rel=2)@50,R@1,hit@10,RR", ["AP(rel=2,norm=min)@50", "R@1", "hit@10", "RR"]),
        ("AP(norm='min')@50", ["AP(norm=min)@50"]),
        ("RBP(p=.5)", ["RBP(p=0.5)"]),
        ("RBP(p=0.80)", ["RBP"]),
        ("P@5,P@5,P(rel=1)@5", ["P@5"]),
        ("P()@5", ["P@5"]),
        ("MRV(of=instance,form=std)", ["MRV(of=instance,form=std)"]),
        ("MRV(of='a, (b)')", ["MRV(of='a, (b)')"]),
        ("MAP,MRR@10,NDCG@10,Success@5,Precision@1,RPrec,BPref",
         ["AP", "RR@10", "nDCG@10", "hit@5", "P@1", "Rprec", "bpref"]),
        ("map,ndcg_cut_10,P_5,recall_100,map_cut_100,success_1,recip_rank",
         ["AP", "nDCG@10", "P@5", "R@100", "AP@100", "hit@1", "RR"]),
    ],
)  # fmt: skip
def test_what_is_read(text, canonical):
    assert [str(measure) for measure in parse(text)] == canonical


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("nDGC@10", "no such measure 'nDGC'; did you mean nDCG?", "--list-measures"),
        ("xyzzy@10", "no such measure 'xyzzy'", "There are P, R, R_cap, hit,"),
        ("ndcg_10", "no such measure 'ndcg_10'; did you mean nDCG?", "--list-measures"),
        ("Recall@5", "papers mean different things by 'Recall'", "hit@k whether any was"),
        ("recall@5", "papers mean different things by 'recall'", "R@k is the share"),
        ("mAP@5", "papers mean different things by 'mAP'", "AP_R is mAP@R"),
        ("P", "P needs a cut-off", "Write P@10"),
        ("Rprec@5", "Rprec takes no cut-off", "Write Rprec."),
        ("AP(norm=trapezoid)@5", "AP(norm=trapezoid)@5 takes no cut-off", "Write AP(norm=trapezoid)."),
        ("P@0", "P@0: the cut-off must be a whole number from 1", "NAME@k"),
        ("P@-1", "whole number from 1", ""),
        ("P@ten", "P@ten: the cut-off", ""),
        ("P@1e3", "P@1e3: the cut-off", ""),
        ("P@99999999999999999999", "the cut-off must be a whole number from 1 to 1000000000", ""),
        ("P@²", "the cut-off must be a whole number", ""),
        ("hit@", "'hit@' is no measure", "NAME(parameter=value,...)@k"),
        ("", "'' is no measure", "NAME@k"),
        ("P@5,,R@5", "'' is no measure", "NAME@k"),
        ("P(rel=1@5", "is no measure", "NAME@k"),
        ("P@5(rel=1)", "P@5(rel=1): the cut-off must be", "NAME@k"),
        ("P(2)@5", "P(2): parameters are written name=value", "rel (a whole number from 1 to 1e+06)"),
        ("P(rel=0)@5", "P(rel=0): it must be a whole number from 1 to 1e+06", "at least this judgement"),
        ("P(rel=1.5)@5", "P(rel=1.5): it must be a whole number", ""),
        ("P(level=1)@5", "P has no parameter 'level'", "It has: rel"),
        ("P(rel=1,rel=2)@5", "P: the parameter rel is written twice", "once"),
        ("nDCG(gain=burges)@5", "nDCG(gain=burges): it must be one of linear, exp2", "gain: "),
        ("RBP(p=1)", "RBP(p=1): it must be a number from 0 to 0.9999", "chance"),
        ("RBP(p=nan)", "RBP(p=nan): it must be a number", ""),
        ("MRV", "MRV needs of: the field of the queries that names the instance", "Write MRV(rel=1,of=WORD,"),
        ("MRV(of='')", "MRV(of=): it must be a word", ""),
        ("NumRet(rel=1)", "NumRet has no parameter 'rel'", "NumRet has none."),
    ],
)  # fmt: skip
def test_what_is_refused(text, what, fix):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert what in caught.value.what
    assert fix in caught.value.fix


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(UsageError) as caught:
        parse("nDGC@10,P@5,Rprec@3,P")
    assert [part in caught.value.what for part in ("'nDGC'", "Rprec takes", "Write P@10")] == [True] * 3
    assert caught.value.fix == LIST_COMMAND


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        found = parse(text)
    except UsageError:
        return
    assert parse(",".join(map(str, found))) == found


def test_the_table_is_sound():
    assert len(set(NAMES)) == len(NAMES)
    assert {*ALIASES.values(), *CUT_WITH_UNDERSCORE.values()} <= set(NAMES)
    assert not set(ALIASES) & set(NAMES)
    for row in MEASURES:
        module, _, name = row.loads.partition(":")
        function = getattr(importlib.import_module(module), name)
        assert function.__doc__ and len(function.__doc__.splitlines()) <= 20
        assert row.summary and row.source
        assert all(param.default == param.choices[0] for param in row.params if param.choices)
        assert row.total in {"mean", "median", "median_floor", "sum", "pooled"}
        assert parse(row.form.replace("[@k]", "").replace("@k", "@1"))[0].row is row


def test_forms_and_ranges():
    rows = {row.name: row for row in MEASURES}
    assert rows["nDCG"].form == "nDCG(gain=linear)[@k]"
    assert rows["R"].form == "R(rel=1)@k"
    assert rows["nDCG"].usage == "nDCG(gain=linear|exp2)[@k]"
    assert rows["MRV"].usage == "MRV(rel=1,of=WORD,form=var|std)"
    assert rows["NumRet"].usage == rows["NumRet"].form == "NumRet"
    assert [param.range for param in rows["RBP"].params] == [
        "1 and more", "0 to 0.9999", "binary|graded", "0 and more",
    ]  # fmt: skip
    assert Param("of", None, "a field").range == "WORD"
