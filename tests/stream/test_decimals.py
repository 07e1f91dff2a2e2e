"""Numbers that are read many at a time, against Python's own `float` and `int`."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.stream.decimals import decimals, integers
from mmr.stream.spans import Spans
from mmr.stream.trec_lines import number, whole

DIGITS = st.text("0123456789", max_size=12)
SHORT = st.builds(
    lambda sign, left, dot, right: sign + left + dot + right,
    st.sampled_from(["", "-", "+", "--"]), DIGITS, st.sampled_from(["", ".", ".."]), DIGITS,
)  # fmt: skip
FLOATS = st.floats(allow_nan=False).map(repr)
ROUNDED = st.builds("{:.{}f}".format, st.floats(-1e6, 1e6), st.integers(0, 12))
ODD = st.sampled_from([
    "", ".", "-", "-.", "1.", ".5", "inf", "-Infinity", "nan", "1e5", "1e999", "0x1", "1_0", "1e", "12345678",
    "9007199254740993", "0.30000000000000004", "99999999999999.99", "true", "null", "[1]", "1,2", '"1"',
    "1234567890123456789012345678901234567890", "123456789012345678901234567890123456789012345678901",
])  # fmt: skip


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def placed(texts: list[str], before: int) -> Spans:
    """The texts inside a buffer, after some other bytes."""
    spans = Spans.of([b"x" * before, *(text.encode() for text in texts)])
    return spans.take(slice(1, None))


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(SHORT, FLOATS, ROUNDED, ODD), min_size=1, max_size=20), st.integers(0, 70))
def test_numbers_are_the_floats_of_python(texts: list[str], before: int) -> None:
    values, others = decimals(placed(texts, before))
    assert others.tolist() == sorted(set(others.tolist()))
    for place, text in enumerate(texts):
        if place not in others:
            assert bits(values[place]) == bits(number(text.encode())), text


@pytest.mark.parametrize("style", ["{:.6f}", "{:.3f}", "{:.10f}", "{!r}", "{:.9g}", "{:d}"])
def test_usual_scores_are_all_read_at_once(style: str) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(-999, 10**6, 5000).tolist() if style == "{:d}" else rng.normal(0, 30, 5000).tolist()
    texts = [style.format(score) for score in scores]
    values, others = decimals(placed(texts, 64))
    assert not len(others)
    assert [bits(value) for value in values] == [bits(float(text)) for text in texts]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.integers(-(10**8) + 1, 10**9 - 1).map(str), SHORT, ODD), min_size=1, max_size=10)
)
def test_whole_numbers_are_those_of_python(texts: list[str]) -> None:
    found = integers(Spans.of([text.encode() for text in texts]))
    try:
        expected = [whole(text.encode()) for text in texts]
    except ValueError:
        assert found is None
        return
    assert found is None or found.tolist() == expected
    assert found is not None or max(map(len, texts)) > 9
