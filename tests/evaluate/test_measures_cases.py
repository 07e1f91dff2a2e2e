"""The reference's hand-worked cases of ranking measures, by number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmr.errors import BadDataError, UsageError
from mmr.evaluate.grammar import parse
from tests.evaluate.made import judged, one, places


def value(text, scores, rels, **options) -> float:
    """One measure of one query."""
    (found,) = parse(text)[0].values(one(scores, rels, **options))
    return float(found)


def check(cases, scores, rels, **options):
    for text, expected in cases.items():
        assert value(text, scores, rels, **options) == pytest.approx(expected, abs=1e-15, rel=1e-14), text


def test_case_1_ties():
    run = {"a": 1, "b": 1, "c": 1}
    check({"RR": 1 / 3, "nDCG@3": 0.5}, run, {"a": 1})
    check({"RR": 1 / 2, "nDCG@3": 0.6309297535714575, "RR@10": 1 / 2}, run, {"b": 1})
    check({"RR": 1, "RR@10": 1}, run, {"c": 1})
    check({"RR": 1 / 2}, {"d10": 1, "d9": 1}, {"d10": 1})


@pytest.mark.parametrize(("high", "low"), [(1.000000001, 1.0), (16777217, 16777216)])
def test_case_2_precision(high, low):
    check({"RR": 1 / 2}, {"a": high, "b": low}, {"a": 1})
    check({"RR": 1}, {"a": high, "b": low}, {"a": 1}, precision="f64")


def test_case_3_graded_and_unjudged():
    check(
        {
            "nDCG@3": 0.31939394323979897, "nDCG": 0.4569494273838043,
            "nDCG(gain=exp2)@3": 0.3631143808977028, "nDCG(gain=exp2)": 0.46737094873235197,
            "AP": 0.27777777777777773, "AP@3": 1 / 9, "R@3": 1 / 3,
            "P@3": 1 / 3, "P@10": 0.2, "RR": 1 / 3, "Rprec": 1 / 3, "bpref": 0, "hit@1": 0, "RBP": 0.2304,
            "RBP(gain=graded)": 0.1792, "RBP(gain=graded,top=2)": 0.1792, "RBP(gain=graded,top=4)": 0.0896,
        },
        {"x": 4, "c": 3, "a": 2, "d": 1}, {"a": 2, "b": 1, "c": 0, "d": 1},
    )  # fmt: skip


def test_case_4_short_run():
    check(
        {
            "nDCG": 0.42000399150792816, "nDCG@3": 0.42000399150792816, "nDCG@5": 0.42000399150792816,
            "AP": 1 / 3, "P@3": 1 / 3, "P@5": 0.2, "R@5": 1 / 3, "Rprec": 1 / 3, "bpref": 1 / 3,
            "nDCG(gain=exp2)@5": 0.31939394323979897,
        },
        {"b": 3, "x": 2}, {"a": 3, "b": 2, "c": 1},
    )  # fmt: skip


def test_case_5_negative_judgement_and_level():
    check(
        {
            "AP": 0.325, "nDCG": 0.4744352910551497, "nDCG@3": 0, "bpref": 0, "P@5": 0.4, "R@5": 1,
            "RR": 0.25, "NumRel": 2,
        },
        {"b": 4, "x": 3.5, "c": 3, "a": 2, "d": 1}, {"a": 2, "b": -1, "c": 0, "d": 1},
    )  # fmt: skip
    check(
        {
            "AP(rel=2)": 0.5, "RR(rel=2)": 0.5, "R(rel=2)@1": 0, "nDCG": 0.8821211986607034,
            "NumRel(rel=2)": 1,
        },
        {"a": 3, "b": 2, "c": 1}, {"a": 1, "b": 2, "c": 1},
    )  # fmt: skip


def test_case_6_five_captions():
    check(
        {"hit@1": 0, "hit@3": 1, "R@3": 0.2, "R@10": 0.4, "Rprec": 0.4, "RR": 1 / 3, "all@10": 0},
        {"y": 3, "x": 2, "c0": 1, "c1": 0.5}, {f"c{i}": 1 for i in range(5)},
    )  # fmt: skip


def test_case_7_ranks():
    pairs = [places([rank], 10) for rank in (1, 2, 3, 10)]
    block = judged({f"q{i}": run for i, (run, _) in enumerate(pairs)},
                   {f"q{i}": rels for i, (_, rels) in enumerate(pairs)})  # fmt: skip

    def values(text):
        return parse(text)[0].values(block)

    assert [100 * values(f"hit@{k}").mean() for k in (1, 5, 10)] == [25, 75, 100]
    assert values("MeanR").mean() == 4
    assert np.median(values("MedR")) == 2.5
    assert parse("MedR_floor")[0].row.total == "median_floor"
    assert values("rsum").mean() == 200


def test_case_8_denominators_of_average_precision():
    run, rels = places([1, 3, 6], 6)
    check(
        {
            "AP": 13 / 30, "AP@3": 1 / 3, "AP@5": 1 / 3, "AP(norm=min)@3": 5 / 9, "AP(norm=ret)@3": 5 / 6,
            "AP(norm=trapezoid)": 0.4066666666666666, "nDCG@3": 0.7039180890341347, "Rprec": 0.4,
        },
        run, {**rels, "out1": 1, "out2": 1},
    )  # fmt: skip


def test_case_8_circo():
    run, rels = places([1, 3], 5)
    rels |= {f"out{i}": 1 for i in range(4)}
    check(
        {"AP(norm=min)@3": 5 / 9, "AP(norm=min)@5": 1 / 3, "AP(norm=min)@10": 0.27777777777777773}, run, rels
    )


def test_case_8_inquire():
    run, rels = places([1, 3], 5)
    rels["out"] = 1
    check({"AP(norm=min)@5": 5 / 9, "nDCG@5": 0.7039180890341348}, run, rels)


def test_case_11_revisited():
    order = {str(doc): -float(place) for place, doc in enumerate([5, 0, 3, 1, 2, 4])}
    first = {"0": 1, "2": 1, "3": -1}
    check({"AP(norm=trapezoid)": 1 / 3, "mP@1": 0, "mP@5": 0.5, "mP@10": 0.5}, order, first)
    second = {"5": 1, "4": 1, "0": -1, "1": -1, "2": -1}
    check({"AP(norm=trapezoid)": 0.7916666666666666, "mP@1": 1, "mP@5": 2 / 3, "mP@10": 2 / 3}, order, second)
    block = judged({"a": order, "b": order}, {"a": first, "b": {"3": -1}})
    found = parse("AP(norm=trapezoid)")[0].values(block)
    assert found[0] == pytest.approx(1 / 3) and math.isnan(found[1])
    assert math.isnan(parse("mP@5")[0].values(block)[1])


def test_case_11_positives_missing_from_a_ranking_that_was_cut_off():
    check({"AP(norm=trapezoid)": 0, "mP@5": 0}, {"x": 2, "y": 1}, {"a": 1, "x": -1})


def test_case_12_bpref():
    run = {"n1": 6, "a": 5, "u": 4, "n2": 3, "n3": 2, "b": 1}
    check({"bpref": 0.25}, run, {"a": 1, "b": 1, "n1": 0, "n2": 0, "n3": 0})
    check({"bpref": 0.5}, {"u": 2, "a": 1}, {"a": 1, "b": 1})


def test_case_16_average_precision_at_r():
    run = {"7": 4, "3": 3, "9": 2, "5": 1}
    check({"AP_R": 0.6041666666666667, "Rprec": 0.75, "hit@1": 1}, run, dict.fromkeys("7958", 1))


def test_case_17_query_sets():
    block = judged(
        {"q1": {"a": 1, "b": 1, "x": 1}, "q3": {"d": 1}, "q9": {"a": 1}},
        {"q1": {"a": 1, "b": 2}, "q2": {"c": 1}, "q3": {"d": 0}},
    )
    assert parse("AP")[0].values(block) == pytest.approx([0.5833333333333333, 0, 0])
    assert block.relevant().tolist() == [2, 1, 0]


def test_case_18_ties_averaged():
    run, rels = {"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 0, "c": 1}
    check({"nDCG": 0.8099531166420328}, run, rels, average=True)
    check({"nDCG": 0.7601875334318685}, run, rels)


def test_subset_and_cirr_average():
    run = {"t": 5.0, "x": 9.0, "m1": 7.0, "m2": 4.0}
    block = judged({"q": run}, {"q": {"t": 1}}, among={"q": ["m1", "m2", "t"]})
    expected = {"R_subset@1": 0, "R_subset@2": 1, "CIRR_avg": 0.5, "hit@2": 0, "hit@3": 1}
    assert {text: parse(text)[0].values(block).item() for text in expected} == expected


def test_candidates_that_are_missing_are_named():
    with pytest.raises(BadDataError, match="candidates of its own"):
        parse("R_subset@1")[0].values(one({"a": 1}, {"a": 1}))


def test_a_rank_that_is_not_known_is_refused_unless_the_gallery_is():
    run, rels = (
        {"q1": {"a": 2, "b": 1}, "q2": {"b": 1}, "q3": {}},
        {"q1": {"b": 1}, "q2": {"a": 1}, "q3": {"a": 1}},
    )
    (measure,) = parse("MeanR")
    with pytest.raises(BadDataError, match=r"2 of 3 queries retrieve .* \(q2 is the first\)") as caught:
        measure.values(judged(run, rels))
    assert "--gallery-size" in caught.value.fix and "--index" in caught.value.fix
    assert measure.values(judged(run, rels, gallery=7)).tolist() == [2, 8, 8]
    with pytest.raises(BadDataError, match="retrieved 2 items, more than the gallery of 1"):
        measure.values(judged(run, rels, gallery=1))


def test_a_gain_that_leaves_float64_is_refused():
    with pytest.raises(BadDataError, match="a judgement of 1,025 is too high for gain=exp2"):
        value("nDCG(gain=exp2)", {"a": 1}, {"a": 1025})
    assert value("nDCG(gain=exp2)", {"a": 1}, {"a": 1000}) == 1
    with pytest.raises(BadDataError, match="a judgement of 3 is above the highest of the scale, top=2"):
        value("RBP(gain=graded,top=2)", {"a": 1}, {"a": 3})


@pytest.mark.parametrize("text", ["bpref", "MedR", "AP(norm=ret)@5", "AP(norm=trapezoid)", "mP@5"])
def test_measures_without_averaged_ties_say_so(text):
    with pytest.raises(UsageError, match="is not defined for --ties average"):
        value(text, {"a": 1, "b": 1}, {"a": 1}, average=True)
