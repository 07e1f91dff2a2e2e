"""Runs that are scanned at once, against the plain reader of lines; blocks against whole files."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError
from mmr.stream import trec_blocks
from mmr.stream.spans import PAD
from mmr.stream.trec_blocks import hits_of_queries
from mmr.stream.trec_lines import Hits, plain_hits
from mmr.stream.trec_scan import scanned_hits

NAMES = st.one_of(
    st.sampled_from(
        ["q1", "q2", "301", "d%20e", "é", "文書", "FBIS3-27619", "pictures/apple-red-three.png", "#1"]
    ),
    st.text("abc01", min_size=1, max_size=20),
)
SCORES = st.one_of(
    st.floats(allow_nan=False).map(repr), st.sampled_from(["1", "-3.5", "0.123456", "inf", "1e5", "+2", "1."])
)
BLANKS = st.sampled_from([" ", " ", " ", "\t", "  ", " \t"])
TAGS = st.sampled_from(["x", "mmr", "STANDARD", "a b", ""])
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", " \n", "\n\n", "\n \n"])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line of a run as files have them, now and then a bad one."""
    columns = [draw(NAMES), "Q0", draw(NAMES), draw(st.sampled_from(["1", "x"])), draw(SCORES), draw(TAGS)]
    blank = draw(BLANKS)
    if draw(st.integers(0, 30)) == 0:
        columns[draw(st.integers(0, 5))] = draw(st.sampled_from(["nan", "\0", "\x01a", "x y", "", "1_0"]))
    return blank.join(columns) + draw(ENDS)


RUNS = st.lists(lines(), max_size=12).map(lambda texts: "".join(texts).encode())


def rows(hits: Hits) -> list[tuple[object, ...]]:
    columns = (column.tolist() for column in (hits.score, hits.line))
    return list(zip(hits.query.strings(), hits.item.strings(), *columns, strict=True))


def scanned(data: bytes, line: int = 1) -> Hits | None:

    return scanned_hits(np.frombuffer(data + b"\n" * PAD, np.uint8), len(data), line)


def plain(data: bytes) -> list[tuple[object, ...]] | str:
    try:
        return rows(plain_hits(data, "a.run", 1))
    except BadDataError as error:
        return str(error)


def in_blocks(data: bytes, block: int) -> list[tuple[object, ...]] | str:
    try:
        return [row for hits in hits_of_queries(io.BytesIO(data), "a.run", block) for row in rows(hits)]
    except BadDataError as error:
        return str(error)


@settings(max_examples=500, deadline=None)
@given(RUNS)
@example(b"q Q0 d 1 0.5 x")
@example(b"q Q0 d 1 0.5 x\nq Q0 d% 1 0.5 mmr\n")
@example(b"q Q0 \xff 1 0.5 x\n")
@example(b"q Q0 d 1 0.5\nq Q0 d 1 0.5 x y\n")
def test_a_scan_finds_what_the_plain_reader_finds_or_leaves_it(data: bytes) -> None:
    found = scanned(data)
    if found is not None:
        assert rows(found) == plain(data)
        starts = zip(found.offset.tolist(), found.query.strings(), strict=True)
        assert all(data[offset:].startswith(query) for offset, query in starts)


@pytest.mark.parametrize("blank", [" ", "\t"])
@pytest.mark.parametrize("end", ["\n", ""])
def test_the_usual_run_is_scanned(blank: str, end: str) -> None:
    run = (
        "\n".join(blank.join([f"q{n // 3}", "Q0", f"d{n}", "1", f"{1 / (n + 1)}", "x"]) for n in range(9))
        + end
    )
    found = scanned(run.encode())
    assert found is not None and rows(found) == plain(run.encode())


@settings(max_examples=300, deadline=None)
@given(RUNS, st.integers(1, 300))
def test_blocks_of_any_size_give_the_same_lines_and_errors(data: bytes, block: int) -> None:
    assert in_blocks(data, block) == plain(data)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5)), max_size=8), st.integers(1, 200))
def test_neighbouring_lines_of_a_query_come_in_one_block(groups: list[tuple[str, int]], block: int) -> None:
    data = "".join(f"{q} Q0 d{n} 1 0.5 x\n" for q, count in groups for n in range(count)).encode()
    blocks = [hits.query.strings() for hits in hits_of_queries(io.BytesIO(data), "a.run", block)]
    assert all(one[-1] != other[0] for one, other in pairwise(blocks))


def test_a_byte_order_mark_is_no_part_of_the_first_query() -> None:
    for end in (b" x\n", b"  x\n"):
        data = b"\xef\xbb\xbfq Q0 d 1 0.5" + end
        assert in_blocks(data, 8) == in_blocks(data, 1 << 20) == [(b"q", b"d", 0.5, 1)]


def test_lines_that_end_in_both_ways() -> None:
    ends = [b"\r\n", b"\r\n", b"\n", b"\r\n", b"\r\n"]
    data = b"".join(b"query%d Q0 d 1 0.5 x%s" % pair for pair in enumerate(ends))
    for block in range(10, 120):
        assert in_blocks(data, block) == in_blocks(data + b"query5 Q0 d 1 0.5 x", block)[:5] == plain(data)


def test_blocks_are_bounded_by_the_block_and_not_by_the_file() -> None:
    data = b"".join(b"q%d Q0 d%d 1 0.5 x\n" % (n // 10, n) for n in range(5000))
    sizes = [len(hits.line) for hits in hits_of_queries(io.BytesIO(data), "a.run", 1 << 12)]
    assert sum(sizes) == 5000 and max(sizes) <= (1 << 12) // 15
    assert trec_blocks.BLOCK <= 1 << 22


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"q Q0 d 1 0.5", "column 6: missing, the line has 5 columns"),
        (b"q", "column 2: missing, the line has 1 column"),
        (b"q Q0 d 1 x y", "column 5: score 'x' is not a number"),
        (b"q Q0 d 1 nan y", "column 5: score 'nan' is not a number"),
        (b"q Q0 d 1 1_0 y", "column 5: score '1_0' is not a number"),
        (b"\xff Q0 d 1 1 y", "column 1: not UTF-8"),
        (b"q Q0 \xff 1 1 y", "column 3: not UTF-8"),
        (b"q Q0 %ff 1 1 mmr", "column 3: percent-encoding that is not UTF-8"),
    ],
)
def test_a_bad_line_names_line_and_column(line: bytes, words: str) -> None:
    good = b"".join(b"q%d Q0 d 1 0.5 x\n" % n for n in range(6))
    found = in_blocks(good + line + b"\n" + good, 40)
    assert isinstance(found, str) and found.startswith(f"a.run line 7, {words}")


def test_percent_signs_are_decoded_in_our_runs_alone() -> None:
    data = b"a%20b Q0 c%25d 1 1 mmr\nz%20 Q0 c%25d 1 1 other\n"
    assert (
        in_blocks(data, 1) == in_blocks(data, 999) == [(b"a b", b"c%d", 1.0, 1), (b"z%20", b"c%25d", 1.0, 2)]
    )
