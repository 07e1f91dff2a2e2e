"""Breakdowns: groups of queries, macro and micro."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mmr.errors import BadDataError
from mmr.evaluate.figures import by_group
from mmr.evaluate.grammar import parse
from mmr.evaluate.groups import groups, macro, read_groups
from mmr.evaluate.scored import Counts, Scored

RUN = Scored(
    "a.run", ["q1", "q2", "q3", "q4"], {"RR": np.array([1.0, 0.5, 0.0, math.nan])}, {"RR": 0.5},
    Counts(4, 4, 4, 0, 0),
)  # fmt: skip


def values(labels):
    found = by_group(RUN, parse("RR"), "lang", groups(RUN, labels, "lang"))
    return {figure["group"]: figure["value"] for figure in found}


def test_macro_counts_groups_and_micro_counts_queries():
    assert values({"q1": "de", "q2": "de", "q3": "en"}) == {
        "de": 0.75,
        "en": 0.0,
        "macro": 0.375,
        "micro": 0.5,
    }


def test_a_query_may_be_in_several_groups_and_counts_once_in_micro():
    assert values({"q1": ["de", "en"], "q3": "en"}) == {"de": 1.0, "en": 0.5, "macro": 0.75, "micro": 0.5}


def test_a_group_without_a_value_is_null_and_not_in_the_mean():
    assert values({"q1": "a", "q4": "b"}) == {"a": 1.0, "b": None, "macro": 1.0, "micro": 1.0}


def test_groups_have_intervals_when_asked():
    found = list(by_group(RUN, parse("RR"), "x", groups(RUN, {"q1": 1, "q2": 1, "q3": 1}, "x"), seed=0))
    assert found[0]["low"] < 0.5 < found[0]["high"]


def test_two_groups_have_a_difference_with_its_interval():
    run = replace(RUN, values={"RR": np.array([1.0, 0.5, 0.0, 0.25])})
    labels = {"q1": "a", "q2": "a", "q3": "b", "q4": "b"}
    last = list(by_group(run, parse("RR"), "x", groups(run, labels, "x"), seed=0))[-1]
    assert (last["group"], last["value"]) == ("a - b", 0.625)
    assert 0 < last["low"] < 0.625 < last["high"] <= 1


def test_groups_that_share_a_query_have_no_difference():
    sets = groups(RUN, {"q1": ["a", "b"], "q2": "a"}, "x")
    assert list(by_group(RUN, parse("RR"), "x", sets, seed=0))[-1]["group"] == "micro"


def test_a_field_that_no_query_has_is_refused():
    with pytest.raises(BadDataError, match="lang"):
        groups(RUN, {}, "lang")


def test_the_mean_of_no_group_is_not_a_number():
    assert math.isnan(macro([math.nan]))


def test_groups_are_read_from_a_file(tmp_path):
    path = tmp_path / "g.tsv"
    path.write_bytes("\ufeffq1\tde\r\n\nq 2\ten gb\n".encode())
    assert read_groups(str(path)) == {"q1": "de", "q 2": "en gb"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"q1 de\n", "line 1: no tab"),
        (b"q1\ta\nq1\tb\n", "line 2.*came before"),
        (b"q\xff\ta\n", "UTF-8"),
        (b"\n", "holds no groups"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, says):
    path = tmp_path / "g.tsv"
    path.write_bytes(text)
    with pytest.raises(BadDataError, match=says):
        read_groups(str(path))
