"""Whatever bytes come: an error in words or an evaluation, no traceback; and the same in small blocks."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, MmrError
from mmr.evaluate import runs
from mmr.evaluate.join import NotGrouped, judged_blocks
from mmr.evaluate.judged import concatenated
from mmr.evaluate.qrels import Qrels, read_qrels
from mmr.stream import qrels as qrels_module
from mmr.stream import trec_blocks

QRELS = (
    b"q1 0 d1 1\nq1 0 d2 0\nq2 0 d1 2\n",
    b"query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td 2\t1\n",
    b"q1 0 d1 1 4\nq2 0 d1 1 4\n",
    b'{"q1":["d1",2],"q2":{"d1":1}}',
    gzip.compress(b"q1 0 d1 1\n"),
)
RUNS = (
    b"q1 Q0 d1 1 0.5 mmr\nq1 Q0 d%202 2 0.25 mmr\nq2 Q0 d1 1 -1e3 mmr\n",
    "q1\tQ0\té\t1\t17.25\tx\r\nq2\tQ0\td1\t1\tinf\tx\r\n".encode(),
    b'{"id":"q1","hits":[{"id":"d1","score":1.5},{"id":"d2"}]}\n{"id":"q2","hits":[],"among":["d1"]}\n',
    gzip.compress(b"q1 Q0 d1 1 0.5 x\n"),
)
BITS = st.sampled_from(
    [b"\n", b" ", b"\t", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"#", b"%", b"%zz", b"{", b"}", b"[", b'"',
     b"nan", b"1e999", b"-", b".", b"q1", b"99999999999999999999", b"mmr", b"\xc3\xa9", b"\x1f\x8b", b","]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, sources: tuple[bytes, ...]) -> bytes:
    """A good file with some bytes put in, taken out or moved."""
    data = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(0, 4))):
        at, to = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
        piece = draw(st.one_of(BITS, st.just(data[at:to]), st.just(b"")))
        data = data[:at] + piece + data[draw(st.sampled_from([at, to])) :]
    return data


def outcome(call: Any) -> Any:
    try:
        return call()
    except MmrError as error:
        assert error.what and error.fix
        return type(error), str(error)


@settings(max_examples=500, deadline=None)
@given(mutated(QRELS), st.integers(1, 30))
def test_any_judgements(tmp_path_factory, data: bytes, block: int) -> None:
    path = tmp_path_factory.getbasetemp() / "qrels"
    path.write_bytes(data)

    def read() -> dict[str, dict[str, int]]:
        found = read_qrels(str(path))
        return {query: found.of_query(query) for query in found.queries}

    expected = outcome(read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qrels_module, "BLOCK", block)
        assert outcome(read) == expected
        patch.setattr(qrels_module, "_scanned", lambda *_: None)
        assert outcome(read) == expected


@settings(max_examples=500, deadline=None)
@given(mutated(RUNS), st.integers(4, 60), st.sampled_from([None, "docid-asc", "best"]))
def test_any_run(tmp_path_factory, data: bytes, block: int, ties: str | None) -> None:
    path = tmp_path_factory.getbasetemp() / "run"
    path.write_bytes(data)
    qrels = Qrels.of({"q1": {"d1": 1, "d 2": 2, "é": 0}, "q2": {"d1": 1}})

    def read(whole: bool) -> list[Any]:
        blocks = list(judged_blocks(str(path), qrels, ties=ties, whole=whole))
        if not blocks:
            return []
        found = concatenated(blocks)
        order = np.argsort(found.queries)
        rows = [(found.start[place], found.start[place + 1]) for place in order]
        return [found.queries[place] for place in order] + [found.rank[a:b].tolist() for a, b in rows]

    def either() -> list[Any]:
        try:
            try:
                return read(whole=False)
            except NotGrouped:
                return read(whole=True)
        except BadDataError as error:  # which of several is met first depends on the blocks
            assert error.what.startswith(f"{path}") and error.fix
            return ["bad data"]

    expected = outcome(either)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trec_blocks, "BLOCK", block)
        patch.setattr(runs, "HITS_HELD", 1)
        assert outcome(either) == expected
        patch.setattr(trec_blocks, "_scanned", lambda *_: None)
        assert outcome(either) == expected
