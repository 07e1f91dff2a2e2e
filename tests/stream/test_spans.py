"""Strings in one buffer: hashed, compared, ordered and found, against Python's bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.stream import spans as module
from mmr.stream.spans import Lookup, Spans, changes, equal, hashed, joined, joint, order_keys, repeated

STRINGS = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"", b"a", b"ab", b"12345678", b"123456789", b"12345678" * 3, b"a\0", b"a\0\0", b"\xff" * 9]
        ),
    ),
    max_size=12,
)


@given(STRINGS)
def test_strings_come_back(strings: list[bytes]) -> None:
    spans = Spans.of(strings)
    assert spans.strings() == strings == [spans[place] for place in range(len(spans))]
    assert joined([spans, Spans.of([b"x"]), spans]).strings() == [*strings, b"x", *strings]


@given(
    st.lists(
        st.one_of(st.text("ab1", max_size=9), st.text(st.characters(exclude_categories=("Cs",)))), max_size=9
    )
)
def test_texts_come_back(texts: list[str]) -> None:
    spans = Spans.of_texts(texts)
    assert spans.texts() == texts and spans.strings() == [text.encode() for text in texts]


@given(STRINGS, STRINGS)
def test_equal_strings_have_equal_hashes_in_any_buffer(one: list[bytes], other: list[bytes]) -> None:
    both = one + other
    hashes = np.concatenate([hashed(Spans.of(one)), hashed(Spans.of(other))])
    for place, string in enumerate(both):
        assert [hashes[place] == one for one in hashes] == [string == one for one in both]


@given(STRINGS, STRINGS)
def test_pairs_and_neighbours_are_compared(one: list[bytes], other: list[bytes]) -> None:
    size = min(len(one), len(other))
    same = equal(Spans.of(one[:size]), Spans.of(other[:size]))
    assert same.tolist() == [a == b for a, b in zip(one, other, strict=False)]
    expected = [place for place in range(len(one)) if place == 0 or one[place] != one[place - 1]]
    assert changes(Spans.of(one)).tolist() == expected


@given(STRINGS)
def test_keys_order_as_bytes_do(strings: list[bytes]) -> None:
    order = np.lexsort(list(reversed(order_keys(Spans.of(strings)))))
    assert [strings[place] for place in order] == sorted(strings)


@pytest.mark.parametrize("weak", [False, True])
@given(STRINGS, st.lists(st.binary(max_size=3), unique=True, max_size=8))
def test_wanted_strings_are_found_even_where_all_hashes_collide(
    weak: bool, strings: list[bytes], wanted: list[bytes]
) -> None:
    wanted = list(dict.fromkeys([*strings[:2], *wanted]))
    one, other = Spans.of(strings), Spans.of(wanted)
    keys = [np.zeros(len(s), np.uint64) if weak else hashed(s) for s in (one, other)]
    places, which = Lookup(other, keys[1]).find(one, keys[0])
    expected = [(place, wanted.index(s)) for place, s in enumerate(strings) if s in wanted]
    assert list(zip(places.tolist(), which.tolist(), strict=True)) == expected


@given(STRINGS, st.data())
def test_a_string_that_comes_again_in_its_group(strings: list[bytes], data: st.DataObject) -> None:
    group = sorted(data.draw(st.lists(st.integers(0, 2), min_size=len(strings), max_size=len(strings))))
    spans = Spans.of(strings)
    found = repeated(spans, joint(hashed(spans), np.array(group, np.int64)))
    pairs = list(zip(group, strings, strict=True))
    again = [place for place, pair in enumerate(pairs) if pair in pairs[:place]]
    assert found == ((again[0], pairs.index(pairs[again[0]])) if again else None)


def test_ranges() -> None:
    found = module.ranges(np.array([5, 0, 9]), np.array([2, 0, 3]))
    assert found.tolist() == [5, 6, 9, 10, 11]
