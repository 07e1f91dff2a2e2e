"""Scoring a run: which queries count, what is refused, how far equal scores move a figure."""

import math

import numpy as np
import pytest

from mmr.errors import BadDataError, UsageError
from mmr.evaluate.grammar import parse
from mmr.evaluate.qrels import Qrels
from mmr.evaluate.score import Conventions, score, total

QRELS = {"q1": {"a": 1, "b": 2}, "q2": {"c": 1}, "q3": {"d": 0}}
RUN = "q1 Q0 a 1 1 x\nq1 Q0 b 1 1 x\nq1 Q0 x 1 1 x\nq3 Q0 d 1 1 x\nq9 Q0 a 1 1 x\n"


def scored(folder, measures="AP", run=RUN, qrels=QRELS, fields=(), name="a.run", **conventions):
    path = folder / name
    path.write_text(run)
    return score(str(path), Qrels.of(qrels), parse(measures), Conventions(**conventions), fields)


def test_case_17_over_the_qrels_both_and_nonempty(tmp_path):
    assert scored(tmp_path).totals["AP"] == pytest.approx(7 / 36, rel=1e-15)
    assert scored(tmp_path, over="both").totals["AP"] == pytest.approx(7 / 24, rel=1e-15)
    assert scored(tmp_path, over="nonempty").totals["AP"] == pytest.approx(7 / 24, rel=1e-15)


def test_the_counts_say_what_it_rests_on(tmp_path):
    assert scored(tmp_path).counts == (3, 3, 3, 1, 1)
    assert scored(tmp_path, over="both").counts == (3, 3, 2, 1, 1)
    assert scored(tmp_path, over="nonempty").queries == ["q1", "q2"]


def test_queries_come_in_the_order_of_their_ids(tmp_path):
    run = "z Q0 a 1 1 x\ny Q0 a 1 1 x\n"
    found = scored(tmp_path, run=run, qrels={"z": {"a": 1}, "y": {"b": 1}, "x": {"a": 1}})
    assert found.queries == ["x", "y", "z"]
    assert found.values["AP"].tolist() == [0, 0, 1]


def test_ties_that_matter_have_bounds(tmp_path):
    found = scored(tmp_path, "AP,hit@2")
    assert found.ties["AP"] == (pytest.approx(7 / 36), pytest.approx(1 / 3))
    assert "hit@2" not in found.ties
    assert found.ties_by == "docid-desc"


@pytest.mark.parametrize("ties", ["best", "worst", "average"])
def test_a_chosen_extreme_or_mean_has_no_bounds(tmp_path, ties):
    found = scored(tmp_path, ties=ties)
    assert found.ties == {}
    assert found.ties_by == ties


def test_the_average_lies_between_the_bounds(tmp_path):
    low, high = scored(tmp_path).ties["AP"]
    assert low < scored(tmp_path, ties="average").totals["AP"] < high


def test_missing_queries_count_as_empty_for_averaged_ties_too(tmp_path):
    assert len(scored(tmp_path, ties="average").queries) == 3


def test_a_missing_query_has_the_worst_rank_where_the_gallery_is_known(tmp_path):
    found = scored(tmp_path, "MeanR,MedR", gallery=9, qrels={"q1": {"x": 1}, "q2": {"c": 1}})
    assert found.values["MeanR"].tolist() == [1, 10]
    assert found.totals == {"MeanR": 5.5, "MedR": 5.5}


def test_a_file_whose_lines_are_mixed_is_read_as_a_whole(tmp_path):
    lines = RUN.splitlines(keepends=True)
    mixed = "".join([lines[0], lines[3], lines[1], lines[4], lines[2]])
    assert scored(tmp_path, run=mixed).totals == scored(tmp_path).totals
    assert scored(tmp_path, run=mixed).counts == scored(tmp_path).counts


def test_pooled_measures_have_a_total_and_no_values(tmp_path):
    run = '{"id":"q1","hits":[{"id":"a","score":0.9},{"id":"x","score":0.1}]}\n'
    found = scored(tmp_path, "AUC,RR", run, name="a.jsonl")
    assert found.totals == {"AUC": 1.0, "RR": pytest.approx(1 / 3)}
    assert list(found.values) == ["RR"]
    assert found.pooled is not None
    assert found.ties_by == "input"


def test_pooled_measures_count_queries_that_the_run_lacks(tmp_path):
    run = "".join(
        f'{{"id":"{query}","lang":"de","hits":[{{"id":"a","score":0.9}},{{"id":"x","score":0.1}}]}}\n'
        for query in ("q1", "q2")
    )
    found = scored(tmp_path, "AUC,MRV(of=lang)", run, fields=["model"], gallery=9, name="a.jsonl")
    assert found.totals["MRV(of=lang)"] == 20.25
    assert found.pooled.field("lang") == ["de", "de", None]
    assert found.pooled.field("nothing") == [None, None, None]


def test_warnings_of_measures_are_kept_as_words(tmp_path):
    run = '{"id":"q1","hits":[{"id":"a","score":0.9},{"id":"x","score":0.1}]}\n'
    found = scored(tmp_path, "TAR(far=0.001)", run, name="a.jsonl")
    assert len(found.warnings) == 1


def test_fields_of_the_queries_are_kept_in_their_order(tmp_path):
    run = '{"id":"q2","lang":"de","hits":[{"id":"c","score":1}]}\n{"id":"q1","hits":[]}\n'
    found = scored(tmp_path, run=run, fields=["lang"], name="a.jsonl")
    assert found.fields["lang"] == [None, "de", None]


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ("", "holds no rankings"),
        ("z1 Q0 a 1 1 x\n", "none of the run's queries"),
        ("q1 Q0 A 1 1 x\n", "'A'|called like A"),
    ],
)
def test_a_run_of_nothing_or_of_something_else_is_refused(tmp_path, run, says):
    with pytest.raises(BadDataError, match=says):
        scored(tmp_path, run=run)


def test_items_that_other_queries_judge_are_a_true_zero(tmp_path):
    assert scored(tmp_path, run="q1 Q0 c 1 1 x\n").totals == {"AP": 0.0}


def test_rankings_that_are_empty_are_a_true_zero(tmp_path):
    found = scored(tmp_path, run='{"id":"q1","hits":[]}\n', name="a.jsonl")
    assert found.totals == {"AP": 0.0}


def test_an_average_of_ties_that_no_formula_gives_is_refused(tmp_path):
    with pytest.raises(UsageError, match="bpref"):
        scored(tmp_path, "bpref", ties="average")


def test_the_same_total_in_any_order_of_queries():
    values = np.array([1e16, 1.0, -1e16, 0.5, math.nan])
    assert total(values, "sum") == 1.5
    assert total(values[::-1], "mean") == total(values, "mean") == 1.5 / 4


def test_totals_of_nothing_are_not_a_number():
    assert all(math.isnan(total(np.array([math.nan]), how)) for how in ("mean", "median", "sum"))


def test_the_median_can_be_rounded_down():
    values = np.array([1.0, 2.0, 3.0, 10.0])
    assert (total(values, "median"), total(values, "median_floor")) == (2.5, 2.0)
