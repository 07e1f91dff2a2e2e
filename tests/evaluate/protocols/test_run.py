"""What is asked of a run before it is scored: its queries, its plain rankings."""

from __future__ import annotations

import gzip

import pytest

from mmr.errors import BadDataError, MissingInputError
from mmr.evaluate.protocols.run import asked, rankings
from mmr.evaluate.protocols.task import beside

HITS = b"""{"id":"7","text":"x","hits":[{"id":"b","score":0.5},{"id":"a","score":0.5}]}
{ "id" : "caf\\u00e9/\\"subset\\"", "hits":[]}
{"text":"late","hits":[{"id":"no","score":1}],"id":"late"}
"""
RUN = b"7 Q0 a 1 0.5 tag\n7 Q0 b 2 0.5 tag\n100% Q0 b 1 1 tag\na%20b Q0 b 1 1 mmr\n"


def test_the_queries_of_hits(tmp_path):
    path = tmp_path / "hits.jsonl"
    path.write_bytes(HITS)
    assert asked(str(path)) == {"7", 'café/"subset"', "late"}
    assert list(rankings(str(path))) == [("7", ["b", "a"]), ('café/"subset"', []), ("late", ["no"])]
    path.write_bytes(gzip.compress(HITS))
    assert asked(str(path)) == {"7", 'café/"subset"', "late"}


def test_the_queries_of_a_run(tmp_path):
    path = tmp_path / "x.run"
    path.write_bytes(RUN)
    assert {"7", "100%", "a b"} <= asked(str(path))
    assert next(rankings(str(path))) == ("7", ["b", "a"])


def test_bad_lines_are_left_to_the_scoring_and_refused_by_a_submission(tmp_path):
    path = tmp_path / "hits.jsonl"
    path.write_bytes(b'{"text":"\n' + HITS)
    assert "7" in asked(str(path))
    with pytest.raises(BadDataError, match="not JSON"):
        list(rankings(str(path)))
    with pytest.raises(MissingInputError):
        asked(str(tmp_path / "nowhere"))


def test_the_second_file_has_the_word_before_its_ending():
    assert beside("s.json", "subset") == "s.subset.json"
    assert beside("a.b/s", "subset") == "a.b/s.subset"
