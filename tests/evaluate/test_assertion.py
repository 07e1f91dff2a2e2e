"""Assertions: a measure, a sign, a number."""

import math

import pytest

from mmr.errors import UsageError
from mmr.evaluate.assertion import read


@pytest.mark.parametrize(
    ("text", "holds", "fails"),
    [
        ("nDCG@10>=0.42", [0.42, 1.0], [0.4199, math.nan, None]),
        ("MedR <= 3", [3.0], [3.5, math.nan]),
        ("nDCG(gain=exp2)@10>.5", [0.6], [0.5]),
        ("RR<1e-3", [0.0009], [0.001]),
    ],
)
def test_it_holds_or_not(text, holds, fails):
    one = read(text)
    assert all(one.holds(value) for value in holds)
    assert not any(one.holds(value) for value in fails)


def test_the_measure_is_read_with_its_parameters():
    assert str(read("nDCG( gain = exp2 )@10 >= 0.5").measure) == "nDCG(gain=exp2)@10"


@pytest.mark.parametrize("text", ["", "nDCG@10", "nDCG@10>=", ">=0.4", "nDCG@10=0.4", "nDCG@10>=a", "RR>=1e"])
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="--assert"):
        read(text)
