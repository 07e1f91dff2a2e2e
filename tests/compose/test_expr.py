"""The language of compositions: what it reads, what it refuses, and where the caret points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.compose.expr import Name, Number, Product, Sum, names, params, parse
from mmr.compose.table import PRESETS
from mmr.errors import UsageError


@pytest.mark.parametrize("row", PRESETS, ids=lambda row: row.name)
def test_every_preset_is_an_expression_with_its_own_numbers(row):
    node = parse(row.expression)
    assert set(params(node)) == {param.name for param in row.params}
    assert set(names(node)) <= {"v", "t_m", "t_r", "t_c", "n"}
    assert all(param.low <= param.default <= param.high for param in row.params)


def test_factors_bind_closer_than_terms():
    assert parse("v - 0.5*t_r") == Sum(
        ((1, Name("v", 0)), (-1, Product((Number(0.5, 4), Name("t_r", 8)), 4))), 0
    )


def test_names_are_listed_once_in_their_order():
    node = parse("slerp(b, a, $x) + $y*(b - 2*c) + $x*a")
    assert names(node) == ("b", "a", "c")
    assert params(node) == ("x", "y")


WRONG = [
    ("v +", 4, "the expression ends where"),
    ("", 1, "the expression ends where"),
    ("0.5", 1, "this is a number"),
    ("1 - $a", 1, "this is a number"),
    ("v * t", 5, "two vectors cannot be multiplied"),
    ("v + 0.5", 5, "a number cannot be added to a vector"),
    ("1 + v", 5, "a vector cannot be added to a number"),
    ("v t", 3, "'t' is not expected here"),
    ("v @ t", 3, "'@' means nothing here"),
    ("v / 2", 3, "'/' means nothing here"),
    ("(v + t", 7, "the bracket of column 1 is not closed"),
    ("u(v))", 5, "')' is not expected here"),
    ("u()", 3, "')' stands where"),
    ("sleep(v, t, 1)", 1, "no function is called 'sleep'"),
    ("slerp(v, t)", 1, "slerp does not take 2 arguments"),
    ("u(v, t)", 1, "u does not take 2 arguments"),
    ("slerp(v, t, t)", 13, "slerp takes a number here, and this is a vector"),
    ("mean(2)", 6, "mean takes named vectors here, and this is a number"),
    ("wmean(u(v), w)", 7, "wmean takes named vectors here, and this is computed"),
    ("centre(v, u(m))", 11, "centre takes the name of a vector here, and this is computed"),
    ("v + \u2212t", 5, "means nothing here"),
]


@pytest.mark.parametrize(("text", "column", "what"), WRONG)
def test_the_caret_points_at_what_is_wrong(text, column, what):
    with pytest.raises(UsageError) as caught:
        parse(text)
    said, line, caret = caught.value.what.splitlines()
    assert what in said
    assert f"(column {column})" in said
    assert line == f"    {text}"
    assert caret == " " * (4 + column - 1) + "^"


def test_a_caret_in_a_long_text_stands_under_its_place():
    text = "v + " * 40 + "@"
    with pytest.raises(UsageError) as caught:
        parse(text)
    _, line, caret = caught.value.what.splitlines()
    assert line[caret.index("^")] == "@"


def test_a_near_name_of_a_function_is_offered():
    with pytest.raises(UsageError, match="Did you mean 'slerp'"):
        parse("sleep(v, t, 1)")


def test_brackets_without_end_are_refused_and_no_crash():
    with pytest.raises(UsageError, match="brackets deep"):
        parse("(" * 5000 + "v" + ")" * 5000)


@given(st.text(alphabet="vt_0.5$a+-*(), umeanslrp@\n\t\u00e9", max_size=40))
def test_any_text_is_read_or_refused_with_a_column(text):
    try:
        node = parse(text)
    except UsageError as error:
        assert "(column " in error.what
    else:
        assert names(node)
